"""Network weights as safetensors files that say where they come from, and those that others released."""

import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from mzsr_lib.files import InputError, atomic_path
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
    facts = {name: read_provenance(path) for name, path in shipped().items()}
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
            f"There are no weights '{name}': give a file (.safetensors, .pt or .pth) or one of the shipped ({names})."
        )
    return path


def read_provenance(path: str | Path) -> dict:
    """Read what a weights file says of itself, without reading the weights; of a released one, what is known.

    Raises
    ------
    InputError
        If the file is neither a safetensors file of this library nor one that `released.read` can read.
    """
    if released.is_released(path):
        return released.read(path)[1]
    try:
        with safe_open(str(path), framework="pt") as opened:
            provenance = json.loads((opened.metadata() or {})["mzsr"])
        if isinstance(provenance, dict) and registry.known(provenance["network"]):
            return provenance
    except (SafetensorError, OSError, KeyError, AttributeError, ValueError):
        pass
    raise InputError(f"{path} is not a weights file of this library: make one with pretrain or meta-train.")


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
    with safe_open(str(path), framework="pt") as opened:
        facts = json.loads((opened.metadata() or {}).get("mzsr", "{}"))
    facts = {name: value for name, value in facts.items() if name not in ADDED}
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for key, tensor in sorted(load_file(path).items()):
        digest.update(f"{key} {tuple(tensor.shape)} {tensor.dtype}".encode() + tensor.float().numpy().tobytes())
    return digest.hexdigest()[:12]


def doubt(provenance: Mapping, degradation: Degradation) -> str | None:
    """Say in one sentence why a degradation is outside what weights were trained for, or return None."""
    settings = provenance.get("settings", {})
    if settings.get("kernel"):
        return OneKernel(parse(settings["kernel"]).kernel).doubt(degradation.kernel.cpu())
    if degradation.mode == "bicubic":
        if not settings.get("bicubic_share"):
            return "These weights never saw bicubic sampling: expect less than the tables show."
        if degradation.kernel.shape[-1] == 1 and settings.get("plain_share"):
            return None
    low, high = settings.get("prior_low") or 1.0, settings.get("prior_high") or 2.5 * degradation.scale
    return KernelPrior(low, high).doubt(degradation.kernel.cpu())


def load(name: str | Path, device: torch.device | str = "cpu", precision: Precision = "float32") -> Weights:
    """Load shipped weights by name, any weights file of this library, or a released one (see `released`).

    `precision` is that of the network's convolutions, see `networks.Network`.
    """
    path = locate(name)
    if released.is_released(path):
        network, provenance = released.read(path)
        return Weights(str(name), _ready(network, device, precision), provenance)
    provenance = read_provenance(path)
    network = registry.build(provenance["network"])
    with safe_open(str(path), framework="pt") as opened:
        tensors = {key: opened.get_tensor(key).to(device) for key in opened.keys()}  # noqa: SIM118 (not a dict)
    step = {key: tensors.pop(key) for key in list(tensors) if curvature.belongs(key)}
    try:
        network.load_state_dict(tensors)
    except RuntimeError:
        raise InputError(f"The weights in {path} do not fit the network that the file describes.") from None
    shown = path.stem if path.parent == FOLDER else str(name)
    rule = curvature.from_tensors((name for name, _ in network.named_parameters()), step) if step else None
    return Weights(shown, _ready(network, device, precision), provenance, rule)


def _ready(network: Network, device: torch.device | str, precision: Precision) -> Network:
    # A network that ends with the picture itself, and not with what is added to one, would round it to 8 bits.
    network.precision = precision if network.factor == 1 else "float32"
    moved = network.to(device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    return moved.eval()


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
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata={"mzsr": json.dumps(described)})
