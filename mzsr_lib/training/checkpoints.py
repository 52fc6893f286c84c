"""What a run leaves behind to be continued from: one whole file with a checksum, checked before it is used."""

import contextlib
import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import Any, Required, TypedDict

import torch

from mzsr_lib.fields import NotNegative, Whole, problem
from mzsr_lib.files import InputError, atomic_path
from mzsr_lib.models import released, weights
from mzsr_lib.mzsr import curvature
from mzsr_lib.shapes import Tensor

# The first line of a checkpoint. On the second stands the SHA-256 of all that comes after it.
MAGIC = b"mzsr checkpoint, SHA-256 of the rest:\n"
DIGITS = 64


class State(TypedDict, total=False):
    """Everything the next step of a run depends on; see `loop.Loop`. What is not required, earlier versions lack."""

    config: Required[dict[str, Any]]
    identity: Mapping[str, str]
    changes: Sequence[Mapping[str, Any]]
    architecture: Mapping[str, Any]
    step: Required[Whole]
    seconds: Required[NotNegative]
    best: Required[float | Real]  # not finite before the first validation
    skipped: Required[Whole]
    streaks: Tensor
    network: Required[Mapping[str, Tensor]]
    average: Required[Sequence[Tensor]]
    optimizer: Required[Mapping[str, Any]]
    totals: Required[dict[str, Tensor]]


def write(path: str | Path, state: State) -> None:
    """Write a checkpoint, whole or not at all."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    content = buffer.getvalue()
    with atomic_path(path) as temporary, temporary.open("wb") as handle:
        handle.writelines([MAGIC, hashlib.sha256(content).hexdigest().encode(), b"\n", content])


def read(path: str | Path, device: torch.device | str = "cpu") -> State:
    """Read a checkpoint in which every byte is as it was written.

    Files of earlier versions have no checksum of the whole: of these the CRC-32 of every part is compared.

    Raises
    ------
    InputError
        If the file cannot be read, is damaged, or is no checkpoint.
    """
    try:
        state = released.unpickled(io.BytesIO(_content(Path(path))), device)
    except (OSError, InputError) as error:
        raise InputError(f"The checkpoint {path} is damaged ({error}): remove it to start the run again.") from None
    if found := problem(state, State, "checkpoint") or _problem_of_tensors(state):
        raise InputError(f"The checkpoint {path} is damaged, {found.rstrip('.')}: remove it to start the run again.")
    return state


def _content(path: Path) -> bytes:
    """Return what `torch.save` wrote into a checkpoint, or raise `InputError` when it is not that any more."""
    whole = path.read_bytes()
    if not whole.startswith(MAGIC):
        released.check_parts(whole)
        return whole
    digest, content = whole[len(MAGIC) :][: DIGITS + 1], whole[len(MAGIC) + DIGITS + 1 :]
    if digest != hashlib.sha256(content).hexdigest().encode() + b"\n":
        raise InputError("its checksum is that of other bytes")
    return content


def _problem_of_tensors(state: State) -> str | None:
    values = list(state["network"].values())
    if not all(isinstance(value, Tensor) for value in values) or not alike(state["average"], values):
        return "what should be weights and their average is something else"
    if not all(isinstance(value, Tensor) and not value.ndim for value in state["totals"].values()):
        return "what should be sums for the log is something else"
    if not all(bool(value.isfinite().all()) for value in _tensors(state)):
        return "there are numbers in it that are not finite"
    return None


def _tensors(state: Any) -> Iterator[Tensor]:
    if isinstance(state, Tensor):
        yield state
    elif isinstance(state, (Mapping, list, tuple)):
        for part in state.values() if isinstance(state, Mapping) else state:
            yield from _tensors(part)


def alike(found: Any, like: Any) -> bool:
    """Say whether a nested state has the names and lengths, and tensors of the shapes, of another one."""
    if isinstance(like, Tensor):
        return isinstance(found, Tensor) and found.shape == like.shape
    if isinstance(like, Mapping):
        whole = isinstance(found, Mapping) and found.keys() == like.keys()
        return whole and all(alike(found[key], part) for key, part in like.items())
    whole = isinstance(found, (list, tuple)) and len(found) == len(like)
    return whole and all(map(alike, found, like))


def check(path: str | Path, state: State, parameters: Mapping[str, Tensor]) -> None:
    """Raise `InputError` when a checkpoint is not one of a run that trains these parameters with Adam."""
    moments = dict(enumerate({"step": p.new_tensor(0), "exp_avg": p, "exp_avg_sq": p} for p in parameters.values()))
    kept = state["optimizer"].get("state")
    # Adam knows nothing yet of parameters that have had no gradient, such as those of another scale.
    known = isinstance(kept, Mapping) and kept.keys() <= moments.keys() and alike(kept, {k: moments[k] for k in kept})
    if not (known and alike(state["network"], parameters)):
        raise InputError(f"The checkpoint {path} is one of another network: give another folder.")


def holds_one(path: str | Path) -> bool:
    """Say whether a file is a checkpoint; one of an earlier version must end in .pt, and be whole."""
    with Path(path).open("rb") as handle:
        if handle.read(len(MAGIC)) == MAGIC:
            return True
    with contextlib.suppress(InputError):
        return Path(path).suffix == ".pt" and bool(read(path))
    return False


def weights_in(path: str | Path, settings: Mapping[str, Any], device: torch.device | str = "cpu") -> weights.Weights:
    """Return the averaged weights of a checkpoint, and the step that was learned with them.

    Parameters
    ----------
    path
        See `holds_one`.
    settings
        Of the network, in a checkpoint of an earlier version, which does not say them.
    device
        Where they are put.
    """
    state = read(path)
    values = dict(zip(state["network"], state["average"], strict=True))
    values = curvature.finished(values) if "log_rates" in values else values
    return weights.assembled(str(path), state.get("architecture", settings), values, {}, device)


def step_of(path: str | Path) -> int:
    """Return the step at which a checkpoint was written, 0 when there is none."""
    return read(path)["step"] if Path(path).exists() else 0
