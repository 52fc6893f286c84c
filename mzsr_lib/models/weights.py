"""Network weights as safetensors files that say where they come from, and those that others released."""

import functools
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Required, TypedDict

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes

from mzsr_lib import fields
from mzsr_lib.fields import Positive, Scale, Share
from mzsr_lib.files import InputError, atomic_path, nearest
from mzsr_lib.imaging.degradation import Degradation
from mzsr_lib.imaging.kernel_files import parse
from mzsr_lib.imaging.kernels import KernelPrior, OneKernel
from mzsr_lib.models import registry, released
from mzsr_lib.mzsr import curvature, inputs
from mzsr_lib.mzsr.curvature import LearnedStep
from mzsr_lib.mzsr.networks import Network
from mzsr_lib.runtime import Precision
from mzsr_lib.shapes import Tensor

FOLDER = Path(__file__).parents[1] / "weights"
# What a file says that does not change its weights: measured scores, the method they are shipped for, and a word
# that tells them from others of that method.
ADDED = ("scores", "method", "label")
# Beyond any number of a network that was trained: colours are 0 to 1, or 0 to 255 in RCAN.
LARGEST = 1e6


class TrainedWith(TypedDict, total=False):
    """The settings of the training of which something follows: see `doubt`. The others are not looked at."""

    kernel: str | None
    prior_low: Positive | None
    prior_high: Positive | None
    bicubic_share: Share
    plain_share: Share


class Said(TypedDict, total=False):
    """What a weights file of this library says of itself; there is more, that is only shown."""

    network: Required[Mapping[str, Any]]
    scales: tuple[Scale, ...]
    scale: Scale
    settings: TrainedWith
    held_out: Mapping[str, float]
    method: str
    label: str


@dataclass(frozen=True)
class Weights:
    """A network with its weights and their provenance.

    Attributes
    ----------
    name
        The shipped name, or the file's.
    network
        In evaluation mode, on the device asked for.
    provenance
        What the file says of itself: data, settings, commit, steps, device, seed, date, scores.
    rule
        The step that was learned with the weights; None when they go with plain gradient steps.
    """

    name: str
    network: Network
    provenance: dict
    rule: LearnedStep | None = None

    @property
    def upscaler(self) -> inputs.Upscaler:
        """What makes the input that the weights were trained for."""
        return inputs.named(**self.provenance.get("input", {"kind": "bicubic"}))

    @property
    def scales(self) -> tuple[int, ...]:
        """The scales the weights were trained for."""
        return scales_of(self.provenance)


def shipped() -> dict[str, Path]:
    """Return the weights that come with the package, by name."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.safetensors"))}


def scales_of(provenance: Mapping) -> tuple[int, ...]:
    """Return the scales that weights were trained for; files of earlier versions name just one."""
    return tuple(provenance.get("scales") or [provenance.get("scale", 2)])


def default(method: str, scale: int) -> str | None:
    """Return the shipped weights of a method for a scale: those for it alone before ones for several."""
    facts = _shipped_facts(FOLDER)
    found = [name for name, known in facts.items() if known.get("method") == method and scale in scales_of(known)]
    return min(found, key=lambda name: len(scales_of(facts[name])), default=None)


def is_own(name: str, method: str, scale: int) -> bool:
    """Say whether weights are shipped as those of a method for a scale alone, without a label of their own."""
    known = _facts(name)
    return known.get("method") == method and scales_of(known) == (scale,) and "label" not in known


def label(name: str) -> str:
    """Return what tells weights from others of their method: the label they are shipped with, or their name."""
    return _facts(name).get("label", Path(name).stem)


@functools.cache
def _shipped_facts(folder: Path) -> dict[str, dict]:
    return {name: read_provenance(path) for name, path in shipped().items()}


def _facts(name: str) -> dict:
    return _shipped_facts(FOLDER).get(name, {})


def locate(name: str | Path) -> Path:
    """Return the file of shipped weights, or the file itself.

    Raises
    ------
    InputError
        If it is neither.
    """
    path = shipped().get(str(name), Path(name))
    if not path.is_file():
        names = ", ".join(shipped()) or "none"
        raise InputError(
            f"There are no weights '{name}'{nearest(str(name), shipped())}: give a file (.safetensors, .pt or .pth) or "
            f"one of the shipped ({names})."
        )
    return path


def read_provenance(path: str | Path) -> dict:
    """Read what a weights file says of itself, without reading the weights; of a released one, what is known.

    Raises
    ------
    InputError
        If the file is neither a safetensors file of this library, with a network and settings that can be, nor one
        that `released.read` can read.
    """
    if released.is_released(path):
        return released.read(path)[1]
    return _read(path, lambda opened: None)[0]


def _read(path: str | Path, take: Callable[[safe_open], Any]) -> tuple[dict, Any]:
    """Return what a file of this library says of itself, checked, and what `take` makes of the opened file."""
    try:
        with safe_open(str(path), framework="pt") as opened:
            said = (opened.metadata() or {}).get("mzsr")
            if said is None:
                raise InputError("it does not say what it is")
            provenance = json.loads(said)
            _check(provenance)
            return provenance, take(opened)
    except (SafetensorError, OSError, ValueError, RecursionError) as error:  # InputError is a ValueError
        reason = "it is damaged, or something else" if isinstance(error, SafetensorError) else str(error).rstrip(".")
        raise InputError(f"{path} is not a weights file of this library ({reason}): give another file.") from None


def _check(provenance: Any) -> None:
    """Raise `InputError` when a weights file says of itself what cannot be."""
    if found := fields.problem(provenance, Said, "file"):
        raise InputError(found)
    registry.check(provenance["network"])
    for key in {"input", "trained_input"} & provenance.keys():
        fields.check_call(inputs.named, provenance[key], key)
        inputs.named(**provenance[key])


def _check_values(network: Network, step: Mapping[str, Tensor]) -> None:
    """Raise `InputError` when nothing can be computed with the numbers of weights."""
    ramp = torch.linspace(0, 1, 3 * 24 * 24).view(1, 3, 24, 24)
    given = (ramp, Degradation(torch.ones(1, 1))) if network.takes_kernel else (ramp,)
    with torch.no_grad():
        values = {**network.state_dict(), **step, "the picture it makes": network(*given)}
    for name, value in values.items():
        if not bool((value.abs() <= LARGEST).all()):  # nor is NaN
            raise InputError(
                f"{name} has numbers that are not finite, or above {LARGEST:g}; the file is damaged, or its training "
                "diverged."
            )


def fingerprint(name: str | Path) -> str:
    """Return twelve hexadecimal digits (of SHA-256) that tell weights from others of the same name.

    In a file of this library the facts of `ADDED` do not count, since they are added when the weights are done;
    of any other file every byte does.
    """
    path = locate(name)
    return _fingerprint(path.resolve(), path.stat().st_mtime_ns)


@functools.cache
def _fingerprint(path: Path, changed: int) -> str:
    if path.suffix != ".safetensors":
        return hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    facts, tensors = _read(path, _tensors)
    facts = {name: value for name, value in facts.items() if name not in ADDED}
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for key, tensor in sorted(tensors.items()):
        digest.update(f"{key} {tuple(tensor.shape)} {tensor.dtype}".encode() + tensor.float().numpy().tobytes())
    return digest.hexdigest()[:12]


def doubt(provenance: Mapping, degradation: Degradation) -> str | None:
    """Say in one sentence why a degradation is outside what weights were trained for, or return None."""
    settings = provenance.get("settings", {})
    if settings.get("kernel"):
        return OneKernel(parse(settings["kernel"]).kernel).doubt(degradation.kernel.cpu())
    unseen = None
    if degradation.mode == "bicubic":
        if not settings.get("bicubic_share"):
            unseen = "These weights never saw bicubic sampling: expect less than the tables show."
        if degradation.kernel.shape[-1] == 1 and (unseen or settings.get("plain_share")):
            return unseen
    low, high = settings.get("prior_low") or 1.0, settings.get("prior_high") or 2.5 * degradation.scale
    if settings.get("shapes_share"):  # the longest motion is a bar of three times the largest radius
        high = max(high, 0.75 * ((settings.get("largest") or 0.0) * degradation.scale / 2) ** 2)
    outside = KernelPrior(low, high).doubt(degradation.kernel.cpu())
    return " ".join(filter(None, (unseen, outside))) or None


def load(name: str | Path, device: torch.device | str = "cpu", precision: Precision = "float32") -> Weights:
    """Load shipped weights by name, any weights file of this library, or a released one (see `released`).

    `precision` is that of the network's convolutions, see `networks.Network`.
    """
    path = locate(name)
    shown = path.stem if path.parent == FOLDER else str(name)
    if released.is_released(path):
        network, provenance = released.read(path)
        return ready(shown, network, {}, provenance, device, precision)
    provenance, tensors = _read(path, _tensors)
    return assembled(shown, provenance["network"], tensors, provenance, device, precision)


def _tensors(opened: safe_open) -> dict[str, Tensor]:
    return {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118 (not a dict)


def assembled(
    name: str,
    settings: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    provenance: dict,
    device: torch.device | str = "cpu",
    precision: Precision = "float32",
) -> Weights:
    """Return weights of a network with these settings, made of its tensors and those of a learned step by name.

    The other parameters are those of `ready`.
    """
    step = {key: value for key, value in tensors.items() if curvature.belongs(key)}
    own = {key: value.float().clone() for key, value in tensors.items() if key not in step}
    # Made without memory: what a file claims costs nothing until it is known to hold as much.
    with torch.device("meta"):
        network = registry.build(settings)
    try:
        network.load_state_dict(own, assign=True)
    except RuntimeError:
        raise InputError(f"The weights in {name} do not fit the network that the file describes.") from None
    return ready(name, network, step, provenance, device, precision)


def ready(
    name: str,
    network: Network,
    step: Mapping[str, Tensor],
    provenance: dict,
    device: torch.device | str = "cpu",
    precision: Precision = "float32",
) -> Weights:
    """Return weights that were read, on a device; raise `InputError` when nothing can be computed with them.

    Parameters
    ----------
    name
        What they are called, also in the error.
    network, step, provenance
        What was read; `step` has the tensors of a learned step, or none.
    device, precision
        As for `load`.
    """
    parameters = dict(network.named_parameters())
    try:
        curvature.check(parameters, step)
        _check_values(network, step)
    except InputError as error:
        raise InputError(f"The weights in {name} cannot be used: {error}") from None
    # A network that ends with the picture itself, and not with what is added to one, would round it to 8 bits.
    network.precision = precision if network.factor == 1 else "float32"
    moved = network.to(device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    rule = curvature.from_tensors(parameters, {key: value.to(device) for key, value in step.items()}) if step else None
    return Weights(name, moved.eval(), provenance, rule)


def annotate(path: str | Path, facts: Mapping) -> None:
    """Add facts, such as measured scores, to what a weights file says of itself; the weights stay as they are."""
    if released.is_released(path):
        raise InputError(f"{path} holds released weights: save them as a .safetensors file first.")
    loaded = load(path)
    params = dict(loaded.network.named_parameters()) | (loaded.rule.tensors() if loaded.rule else {})
    save(path, loaded.network, params, {**loaded.provenance, **facts})


def save(path: str | Path, network: Network, params: Mapping[str, Tensor], provenance: Mapping) -> None:
    """Write weights with their provenance, whole or not at all.

    Parameters
    ----------
    path
        Should end in .safetensors.
    network
        Tells the architecture.
    params
        The values by name, such as ``dict(network.named_parameters())`` or their average, and those of a
        learned step: see `curvature.LearnedStep.tensors`.
    provenance
        Anything JSON can hold.
    """
    described = {"network": network.settings, **provenance}
    values = {**dict(network.named_buffers()), **params}
    tensors = {name: value.detach().cpu().contiguous() for name, value in values.items()}
    whole = to_bytes(tensors, {"mzsr": json.dumps(described)})
    with atomic_path(path) as temporary:
        temporary.write_bytes(whole)
