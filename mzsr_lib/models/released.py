"""The PyTorch weights that the authors of CARN and RCAN released, read from a file the user has.

Only the names in those files are facts of theirs: `nmhkahn/CARN-pytorch` (carn/model) and `yulunzhang/RCAN`
(RCAN_TestCode/code/model) on GitHub.
"""

import io
import re
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from mzsr_lib.files import InputError
from mzsr_lib.models import registry
from mzsr_lib.mzsr.networks import Network
from mzsr_lib.shapes import Tensor

SUFFIXES = (".pt", ".pth")
State = Mapping[str, Tensor]
# Under which some programs keep the weights, beside other things.
WRAPPINGS = ("state_dict", "params_ema", "params", "model")


def is_released(path: str | Path) -> bool:
    """Say whether a file is read here: whether it ends in .pt or .pth."""
    return Path(path).suffix.lower() in SUFFIXES


def read(path: str | Path) -> tuple[Network, dict]:
    """Return the network in a released file, on the CPU, and what is known of where its weights come from.

    Raises
    ------
    InputError
        If the file cannot be read, or does not hold the weights of CARN or RCAN: the first name that is
        missing, superfluous or of another shape is told.
    """
    path = Path(path)
    state = _state(path)
    if "entry.weight" in state:
        settings, name_in_file = _carn(path, state), carn_name(state)
    elif "head.0.weight" in state:
        settings = _rcan(path, state)
        name_in_file = rcan_name(settings["groups"], settings["blocks"])
    else:
        raise InputError(
            f"{path} holds the released weights of neither CARN ('entry.weight' is missing) "
            "nor RCAN ('head.0.weight' is missing): give another file."
        )
    network = _filled(settings, state, name_in_file, path)
    return network, _provenance(network, path)


def unpickled(source: Path | io.BytesIO, device: torch.device | str = "cpu") -> Any:
    """Return what `torch.save` wrote: tensors and plain values only, since such a file cannot run code.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    try:
        return torch.load(source, map_location=device, weights_only=True)
    except Exception:  # a small program made of bytes that may be anything: so may be what it raises
        raise InputError("damaged, or more than tensors") from None


def check_parts(content: bytes) -> None:
    """Raise `InputError` when a part of what `torch.save` wrote has not its CRC-32 any more."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as parts:
            damaged = parts.testzip()
    except Exception as error:  # as above
        damaged = error
    if damaged:
        raise InputError(f"part {damaged}")


def _state(path: Path) -> dict[str, Tensor]:
    """Return the tensors by name, without a wrapping and without the prefix of several GPUs."""
    try:
        state = unpickled(path)
    except InputError as error:
        raise InputError(f"{path} cannot be read as PyTorch weights: {error}.") from None
    for key in WRAPPINGS:
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
            break
    if not isinstance(state, Mapping):
        state = {}
    plain = {name: t for name, t in state.items() if isinstance(t, torch.Tensor) and t.layout == torch.strided}
    return {str(name).removeprefix("module."): t for name, t in plain.items() if t.is_floating_point()}


def _count(pattern: str, state: State) -> int:
    """Return one more than the largest number at the group of a pattern, 0 when no name has it."""
    return max((int(found[1]) + 1 for name in state if (found := re.match(pattern, name))), default=0)


def _channels(path: Path, state: State, name: str) -> int:
    shape = state[name].shape
    if len(shape) != 4 or shape[0] < 1:
        raise InputError(f"{path} cannot be used: '{name}' is {_shown(shape)}, and not a convolution.")
    return shape[0]


def _scale(path: Path, state: State, prefix: str, channels: int) -> int:
    """Return what an up-sampler enlarges by: 3 has nine times the channels, 4 a second convolution."""
    weights = [name for name in state if name.startswith(prefix) and name.endswith(".weight")]
    if f"{prefix}0.weight" not in weights:
        raise InputError(f"{path} cannot be used: '{prefix}0.weight' is missing.")
    if _channels(path, state, f"{prefix}0.weight") == 9 * channels:
        return 3
    return 2 ** len(weights)


def _carn(path: Path, state: State) -> dict:
    """Return the settings of CARN."""
    channels, blocks = _channels(path, state, "entry.weight"), _count(r"c(\d+)\.body\.0\.weight$", state) - 1
    scales = [scale for scale in (2, 3, 4) if f"upsample.up{scale}.body.0.weight" in state]
    scales = scales or [_scale(path, state, "upsample.up.body.", channels)]
    settings = {"architecture": "carn", "channels": channels, "blocks": max(blocks, 1), "scales": scales}
    groups = _groups(state, channels)
    return settings if groups is None else settings | {"groups": groups}


def _groups(state: State, channels: int) -> int | None:
    """Return the groups of CARN-M, which has one block in each cascade; CARN has no such number."""
    weight = state.get("b1.b1.body.0.weight")
    if "b1.b2.body.0.weight" in state or weight is None or weight.ndim != 4:
        return None
    each = max(weight.shape[1], 1)
    return None if channels % each else channels // each


def _rcan(path: Path, state: State) -> dict:
    """Return the settings of RCAN."""
    channels = _channels(path, state, "head.0.weight")
    groups, blocks = _count(r"body\.(\d+)\.body\.", state), _count(r"body\.0\.body\.(\d+)\.body\.", state)
    squeeze = "body.0.body.0.body.3.conv_du.0.weight"
    if squeeze not in state:
        raise InputError(f"{path} holds no weights of RCAN: '{squeeze}' is missing.")
    reduction = max(channels // _channels(path, state, squeeze), 1)
    sizes = {"channels": channels, "groups": groups, "blocks": blocks, "reduction": reduction}
    return {"architecture": "rcan", **sizes, "scale": _scale(path, state, "tail.0.", channels)}


def carn_name(names: Iterable[str] = ()) -> Callable[[str], str]:
    """Return what gives the released name of one of CARN's tensors; the names in files for one scale have no scale."""
    single = any(name.startswith("upsample.up.") for name in names)

    def name_in_file(name: str) -> str:
        name = re.sub(r"^(un)?shift\.", lambda m: f"{'add' if m[1] else 'sub'}_mean.shifter.", name)
        name = re.sub(r"parts\.(\d+)", lambda m: f"b{int(m[1]) + 1}", name.removeprefix("body."))
        name = re.sub(r"joins\.(\d+)", lambda m: f"c{int(m[1]) + 1}.body.0", name)
        return re.sub(r"^upsamplers\.(\d)", lambda m: f"upsample.up{'' if single else m[1]}.body", name)

    return name_in_file


def rcan_name(groups: int, blocks: int) -> Callable[[str], str]:
    """Return what gives the released name of one of RCAN's tensors, for so many groups of so many blocks."""
    patterns = {
        r"^shift\.": "sub_mean.",
        r"^unshift\.": "add_mean.",
        r"^entry\.": "head.0.",
        r"^exit\.": "tail.1.",
        r"^end\.": f"body.{groups}.",
        r"^upsampler\.": "tail.0.",
        r"^groups\.(\d+)\.end\.": rf"body.\1.body.{blocks}.",
        r"^groups\.(\d+)\.blocks\.(\d+)\.body\.": r"body.\1.body.\2.body.",
        r"^groups\.(\d+)\.blocks\.(\d+)\.attention\.weigh\.": r"body.\1.body.\2.body.3.conv_du.",
    }

    def name_in_file(name: str) -> str:
        pattern = next(pattern for pattern in patterns if re.match(pattern, name))
        return re.sub(pattern, patterns[pattern], name)

    return name_in_file


def _filled(settings: dict, state: State, name_in_file: Callable[[str], str], path: Path) -> Network:
    """Return a network with every tensor of a file; the fixed colour shifts may be missing."""
    try:
        with torch.device("meta"):  # sizes alone, without memory
            sizes = registry.build(settings)
    except InputError as error:
        raise InputError(f"{path} holds the weights of no network known here: {error}") from None
    fixed, kind, unused = {name for name, _ in sizes.named_buffers()}, type(sizes).__name__, set(state)
    for name, own in sizes.state_dict().items():
        theirs = name_in_file(name)
        unused.discard(theirs)
        if theirs not in state and name not in fixed:
            raise InputError(f"{path} does not hold the weights of {kind}: '{theirs}' is missing.")
        if theirs in state and state[theirs].shape != own.shape:
            problem = f"'{theirs}' is {_shown(state[theirs].shape)}, not {_shown(own.shape)}"
            raise InputError(f"{path} does not hold the weights of {kind}: {problem}.")
    if unused:
        raise InputError(f"{path} does not hold the weights of {kind}: '{min(unused)}' belongs to another network.")
    network = registry.build(settings)
    for name, own in network.state_dict().items():
        own.copy_(state.get(name_in_file(name), own))
    return network


def _shown(shape: torch.Size) -> str:
    return " x ".join(map(str, shape)) or "a number"


def _provenance(network: Network, path: Path) -> dict:
    """Return what a weights file of this library would say; RCAN's files name the blurred training by BD."""
    settings = network.settings
    plain = {} if "BD" in path.stem else {"bicubic_share": 1.0, "plain_share": 1.0}
    return {
        "network": settings,
        "stage": "released",
        "source": f"the released PyTorch weights of {type(network).__name__} in {path.name}, given by the user",
        "scales": list(settings.get("scales") or [settings["scale"]]),
        "input": {"kind": "none"},
        "settings": plain,
    }
