"""Every method behind one signature, ``method(lr, degradation) -> sr``: what it is, and how each kind is made."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tqdm import tqdm

from mzsr_lib.files import InputError
from mzsr_lib.imaging.degradation import Degradation
from mzsr_lib.methods import classical, self_ensemble, zero_shot
from mzsr_lib.methods.zero_shot import ZeroShotConfig, ZeroShotResult
from mzsr_lib.models import weights
from mzsr_lib.models.registry import CLASSES, PAPER, kind_of
from mzsr_lib.mzsr import inputs
from mzsr_lib.mzsr.adaptation import adapt, starting_point, super_resolve
from mzsr_lib.shapes import Images, OtherImages

# The method for each kind of weights of the paper's network.
TAKER = {"bicubic": "mzsr", "restored": "mzsr-plus"}


@dataclass(frozen=True)
class Method:
    """A way to super-resolve, ready to be called with (lr, degradation).

    Attributes
    ----------
    name
        Such as ``mzsr``; see `registry.METHODS`.
    steps
        Gradient updates at test time, at most.
    weights
        Name of the weights, or an empty string.
    run
        What a call does.
    """

    name: str
    steps: int
    weights: str
    run: Callable[[Images, Degradation], OtherImages | ZeroShotResult]

    def __call__(self, lr: Images, degradation: Degradation) -> OtherImages:
        """Return the super-resolved picture (1, 3, scale * h, scale * w) of (1, 3, h, w)."""
        return self.counted(lr, degradation)[0]

    def counted(self, lr: Images, degradation: Degradation) -> tuple[OtherImages, int]:
        """Return the picture and the updates taken: zssr may stop before `steps`."""
        result = self.run(lr, degradation.to(lr.device))
        return (result.sr, result.steps) if isinstance(result, ZeroShotResult) else (result, self.steps)


@dataclass(frozen=True)
class Options:
    """What a method is built with, see `registry.build`."""

    steps: int = 0
    weights_name: str | Path | None = None
    seed: int = 0
    device: torch.device | str = "cpu"
    scale: int = 2
    progress: bool = False
    ensemble: bool = False


@dataclass(frozen=True)
class Entry:
    """What is known of a method before it is built.

    Attributes
    ----------
    name
        What it is called by.
    title
        What tables and figures call it.
    make
        Builds it from its entry and the options.
    updates
        Gradient updates at test time if nothing else is said; None for a method that makes none.
    needs_kernel
        Whether the kernel changes its result.
    takes
        The kind of weights it needs: those of the paper's network for a ``"bicubic"`` or ``"restored"``
        input, or an architecture of its own; empty for a method without weights.
    """

    name: str
    title: str
    make: Callable[["Entry", Options], Method]
    updates: int | None = None
    needs_kernel: bool = True
    takes: str = ""

    @property
    def has_weights(self) -> bool:
        """Whether it starts from weights that were trained before."""
        return bool(self.takes)


def classical_method(entry: Entry, options: Options) -> Method:
    """Return a method of `classical`, which has its name."""
    return Method(entry.name, 0, "", getattr(classical, entry.name))


def zssr_method(entry: Entry, options: Options) -> Method:
    """Return ZSSR, which learns from every picture anew."""
    if options.steps == 0:
        raise InputError("zssr starts from random weights: give it steps to learn in, for instance 3000.")
    config = ZeroShotConfig(steps=options.steps, seed=options.seed)

    def run(lr: Images, degradation: Degradation) -> ZeroShotResult:
        return zero_shot.zero_shot(lr, degradation, config, options.progress)

    return Method(entry.name, options.steps, "", run)


def _load(entry: Entry, options: Options) -> weights.Weights:
    """Return the weights that were asked for, or the shipped ones, if they fit the method and the scale."""
    name, scale = entry.name, options.scale
    chosen = options.weights_name or weights.default(name, scale)
    if chosen is None:
        scales = [str(other) for other in (2, 3, 4) if weights.default(name, other)]
        there = f"only for {' and '.join(scales)}" if scales else "nor for another"
        raise InputError(f"No weights for {name} at scale {scale} are shipped ({there}): give a file (--weights).")
    loaded = weights.load(chosen, options.device)
    if scale not in loaded.scales:
        found = " and ".join(map(str, loaded.scales))
        raise InputError(f"The weights '{loaded.name}' are for scale {found}, not {scale}: choose others.")
    kind = _kind(loaded)
    if kind != entry.takes:
        what = f"those of {kind}" if kind in CLASSES else f"trained for a {kind} input"
        raise InputError(
            f"The weights '{loaded.name}' are {what}, not for {name}: take the method {TAKER.get(kind, kind)}."
        )
    return loaded


def _kind(loaded: weights.Weights) -> str:
    architecture = kind_of(loaded.network.settings)
    if architecture != PAPER:
        return architecture
    return inputs.described(loaded.upscaler)["kind"]


def trained_method(entry: Entry, options: Options) -> Method:
    """Return a method that starts from weights, and adapts them when there are steps."""
    loaded, steps = _load(entry, options), options.steps
    start = starting_point(loaded.network)

    def run(lr: Images, degradation: Degradation) -> OtherImages:
        params = start
        shown = options.progress and steps
        # Without updates there is nothing to learn from: no LR-son is made, and no picture is too small for one.
        updates = adapt(loaded.network, start, lr, degradation, steps, loaded.rule, loaded.upscaler) if steps else ()
        for adapted, _ in tqdm(updates, entry.name, steps, unit="update", disable=None if shown else True):
            params = adapted
        if options.ensemble:
            views = self_ensemble.samplings(degradation)
            return self_ensemble.ensemble(loaded.network, params, lr, degradation, views, loaded.upscaler)
        return super_resolve(loaded.network, params, lr, degradation, loaded.upscaler)

    return Method(entry.name, steps, loaded.name, run)


# Tables and figures have this order.
REGISTRY = {
    entry.name: entry
    for entry in (
        Entry("nearest", "Nearest", classical_method, needs_kernel=False),
        Entry("bilinear", "Bilinear", classical_method, needs_kernel=False),
        Entry("bicubic", "Bicubic", classical_method, needs_kernel=False),
        Entry("aligned", "Aligned bicubic", classical_method, needs_kernel=False),
        Entry("landweber", "Landweber", classical_method),
        Entry("tikhonov", "Tikhonov", classical_method),
        Entry("pretrained", "Pre-trained", trained_method, needs_kernel=False, takes="bicubic"),
        Entry("mzsr", "MZSR", trained_method, 10, takes="bicubic"),
        Entry("mzsr-plus", "MZSR-plus", trained_method, 0, takes="restored"),
        Entry("zssr", "ZSSR", zssr_method, ZeroShotConfig.steps),
        Entry("carn", "CARN", trained_method, needs_kernel=False, takes="carn"),
        Entry("rcan", "RCAN", trained_method, needs_kernel=False, takes="rcan"),
    )
}
METHODS = tuple(REGISTRY)


def build(
    name: str,
    steps: int = 0,
    weights_name: str | Path | None = None,
    seed: int = 0,
    device: torch.device | str = "cpu",
    scale: int = 2,
    progress: bool = False,
    ensemble: bool = False,
) -> Method:
    """Return a method by name.

    Parameters
    ----------
    name
        ``nearest``, ``bilinear``, ``bicubic``, ``aligned`` (bicubic in register with direct sampling),
        ``landweber`` and ``tikhonov``: see `classical`. ``pretrained``, the network of stage 1 as it is;
        ``mzsr``, adapted to the picture by `steps` updates; ``mzsr-plus``, the same with a kernel-aware
        input; ``zssr``, from random weights by at most `steps` updates; ``carn`` and ``rcan``, blind networks.
    steps
        Updates at test time.
    weights_name
        A shipped name or a file, by default the shipped weights of the method for the scale.
    seed
        For the random start and crops of zssr.
    device
        Where the network is put.
    scale
        2, 3 or 4; must be one the weights were trained for.
    progress
        Show a bar for the updates on one picture.
    ensemble
        For ``mzsr-plus``: average over turned pictures, 2 for direct sampling and 8 for bicubic, which
        takes so many times longer; zssr does so always.

    Raises
    ------
    InputError
        If the method is unknown, the steps are negative, missing or given to a method that makes none, the
        weights have another scale or input, or an ensemble is asked of another method.
    """
    if ensemble and name != "mzsr-plus":
        raise InputError(f"An ensemble is an option of mzsr-plus, not of {name}: leave it out.")
    entry = entry_of(name)
    if steps < 0:
        raise InputError(f"The number of steps is {steps}: it cannot be negative.")
    if steps and entry.updates is None:
        raise InputError(f"{name} makes no updates, and here are {steps}: leave the steps out, or give 0.")
    return entry.make(entry, Options(steps, weights_name, seed, device, scale, progress, ensemble))


def entry_of(name: str) -> Entry:
    """Return what is known of a method, or raise `InputError` when there is none of that name."""
    if name not in REGISTRY:
        raise InputError(f"There is no method '{name}': choose one of {', '.join(METHODS)}.")
    return REGISTRY[name]


def sweep(
    names: Sequence[str],
    steps: Sequence[int] | None = None,
    weights_name: str | Path | None = None,
    seed: int = 0,
    device: torch.device | str = "cpu",
    scale: int = 2,
    progress: bool = False,
    ensemble: bool = False,
) -> list[Method]:
    """Build every method with every number of steps; those that make no updates come once.

    Parameters
    ----------
    names
        Of `METHODS`.
    steps
        Updates at test time; by default each method's own (`Entry.updates`).
    weights_name
        A shipped name or a file, for the one method among `names` that has weights.
    seed, device, scale, progress, ensemble
        See `build`.

    Raises
    ------
    InputError
        If a method cannot be built, weights are given for two methods, or nothing but positive steps to the
        only method, which makes no updates.
    """
    if not names:
        raise InputError(f"No method is named: choose from {', '.join(METHODS)}.")
    entries = [entry_of(name) for name in dict.fromkeys(names)]
    weighted = [entry.name for entry in entries if entry.has_weights]
    if weights_name is not None and len(weighted) != 1:
        found, able = " and ".join(weighted) or "none", [e.name for e in REGISTRY.values() if e.has_weights]
        raise InputError(f"Weights are for one method ({', '.join(able)}), and here is {found}: take them one by one.")
    methods = []
    for entry in entries:
        counts = list(dict.fromkeys(steps or [entry.updates or 0]))
        if entry.updates is None:
            counts = [0] if 0 in counts or len(entries) > 1 else counts[:1]
        chosen = weights_name if entry.has_weights else None
        methods += [build(entry.name, count, chosen, seed, device, scale, progress, ensemble) for count in counts]
    return methods


def doubt(method: Method, degradation: Degradation) -> str | None:
    """Say in one sentence why a kernel is outside what meta-trained weights were trained for, or return None."""
    if method.name not in ("mzsr", "mzsr-plus"):
        return None
    return weights.doubt(weights.read_provenance(weights.locate(method.weights)), degradation)
