"""What a method is, and how each kind is made: classical, learned from one picture, or from weights."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from tqdm import tqdm

from mzsr_lib import architectures, classical, inputs, orientations, weights, zero_shot
from mzsr_lib.adaptation import adapt, starting_point, super_resolve
from mzsr_lib.degradation import Degradation
from mzsr_lib.files import InputError
from mzsr_lib.shapes import Images, OtherImages
from mzsr_lib.zero_shot import ZeroShotConfig, ZeroShotResult

# The method for each kind of weights of the paper's network.
TAKER = {"bicubic": "mzsr", "restored": "mzsr-plus"}


@dataclass(frozen=True)
class Method:
    """A way to super-resolve, ready to be called with (lr, degradation).

    Attributes
    ----------
    name
        Such as ``mzsr``; see `baselines.METHODS`.
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
    """What a method is built with, see `baselines.build`."""

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
        what = f"those of {kind}" if kind in architectures.CLASSES else f"trained for a {kind} input"
        raise InputError(
            f"The weights '{loaded.name}' are {what}, not for {name}: take the method {TAKER.get(kind, kind)}."
        )
    return loaded


def _kind(loaded: weights.Weights) -> str:
    architecture = architectures.kind_of(loaded.network.settings)
    if architecture != architectures.PAPER:
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
            views = orientations.samplings(degradation)
            return orientations.ensemble(loaded.network, params, lr, degradation, views, loaded.upscaler)
        return super_resolve(loaded.network, params, lr, degradation, loaded.upscaler)

    return Method(entry.name, steps, loaded.name, run)
