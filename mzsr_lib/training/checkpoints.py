"""What a run leaves behind to be continued from: one whole file, checked before it is used."""

import json
import pickle
from pathlib import Path

import torch

from mzsr_lib.files import InputError, atomic_path


def write(path: str | Path, state: dict) -> None:
    """Write a checkpoint, whole or not at all. `state` must hold ``"config"``, the settings as a dictionary."""
    with atomic_path(path) as temporary:
        torch.save(state, temporary)


def read(path: str | Path, config: dict, device: torch.device) -> dict:
    """Read a checkpoint of a run with these settings.

    Raises
    ------
    InputError
        If the file is damaged, or belongs to a run with other settings.
    """
    path = Path(path)
    try:
        # Tensors and plain values only: a checkpoint cannot run code.
        state = torch.load(path, map_location=device, weights_only=True)
        known = state["config"]
    except (OSError, EOFError, RuntimeError, KeyError, TypeError, pickle.UnpicklingError):
        raise InputError(f"The checkpoint {path} is damaged: remove it to start the run again.") from None
    changed = sorted(name for name in config if known.get(name) != config[name])
    if changed:
        raise InputError(
            f"{path.parent} holds a run with other settings ({', '.join(changed)}): repeat them to continue it, "
            "or give another folder."
        )
    return state


def step_of(path: str | Path) -> int:
    """Return the step at which a checkpoint was written, 0 when there is none."""
    if not Path(path).exists():
        return 0
    return int(torch.load(path, map_location="cpu", weights_only=True)["step"])


def trim_log(path: str | Path, step: int) -> None:
    """Forget the lines of a JSONL log that were written after `step`, and one that a crash cut short."""
    path = Path(path)
    if not path.exists():
        return
    lines = [line for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]
    with atomic_path(path) as temporary:
        temporary.write_text("".join(line for line in lines if json.loads(line)["step"] <= step))
