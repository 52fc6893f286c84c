"""Every method behind one signature: ``method(lr, degradation) -> sr``."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from tqdm import tqdm

from mzsr_lib import weights, zero_shot
from mzsr_lib.adaptation import adapt, starting_point, super_resolve
from mzsr_lib.degradation import Degradation
from mzsr_lib.files import InputError
from mzsr_lib.inputs import Restored, bicubic_input
from mzsr_lib.shapes import Images, OtherImages
from mzsr_lib.zero_shot import ZeroShotConfig

METHODS = ("bicubic", "pretrained", "mzsr", "mzsr-plus", "zssr")


@dataclass(frozen=True)
class Method:
    """A way to super-resolve, ready to be called with (lr, degradation).

    Attributes
    ----------
    name
        One of `METHODS`.
    steps
        Gradient updates at test time.
    weights
        Name of the weights, or an empty string.
    run
        What a call does.
    """

    name: str
    steps: int
    weights: str
    run: Callable[[Images, Degradation], OtherImages]

    def __call__(self, lr: Images, degradation: Degradation) -> OtherImages:
        """Return the super-resolved picture (1, 3, scale * h, scale * w) of (1, 3, h, w)."""
        return self.run(lr, degradation.to(lr.device))


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
        ``bicubic``; ``pretrained``, the network of stage 1 as it is; ``mzsr``, adapted to the picture
        by `steps` updates; ``mzsr-plus``, the same with a kernel-aware input; ``zssr``, from random
        weights by at most `steps` updates.
    steps
        Updates at test time; bicubic and pretrained make none, whatever is given.
    weights_name
        A shipped name or a file, by default the name of the method and the scale, such as ``mzsr-x2``.
    seed
        For the random start and crops of zssr.
    device
        Where the network is put.
    scale
        2, 3 or 4; must be the one the weights were trained for.
    progress
        Show a bar for the updates on one picture.
    ensemble
        For ``mzsr-plus``: average over turned pictures, 2 for direct sampling and 8 for bicubic, which
        takes so many times longer; zssr does so always.

    Raises
    ------
    InputError
        If the method is unknown, the steps are negative or missing, the weights have another scale or input, or an
        ensemble is asked of another method.
    """
    if ensemble and name != "mzsr-plus":
        raise InputError(f"An ensemble is an option of mzsr-plus, not of {name}: leave it out.")
    if name not in METHODS:
        raise InputError(f"There is no method '{name}': choose one of {', '.join(METHODS)}.")
    if steps < 0:
        raise InputError(f"The number of steps is {steps}: it cannot be negative.")
    if name == "bicubic":
        return Method(name, 0, "", bicubic_input)
    if name == "zssr":
        return _zssr(steps, seed, progress)
    return _with_weights(name, steps, weights_name or f"{name}-x{scale}", device, scale, progress, ensemble)


def _zssr(steps: int, seed: int, progress: bool) -> Method:
    if steps == 0:
        raise InputError("zssr starts from random weights: give it steps to learn in, for instance 3000.")
    config = ZeroShotConfig(steps=steps, seed=seed)
    return Method("zssr", steps, "", lambda lr, degradation: zero_shot.zero_shot(lr, degradation, config, progress).sr)


def _with_weights(
    name: str,
    steps: int,
    chosen: str | Path,
    device: torch.device | str,
    scale: int,
    progress: bool,
    ensemble: bool,
) -> Method:
    if chosen == f"{name}-x{scale}" and chosen not in weights.shipped():
        names = ", ".join(weights.shipped()) or "none"
        raise InputError(f"No weights for {name} at scale {scale} are shipped (only {names}): give a file of your own.")
    loaded = weights.load(chosen, device)
    if loaded.scale != scale:
        raise InputError(f"The weights '{loaded.name}' are for scale {loaded.scale}, not {scale}: choose others.")
    if (name == "mzsr-plus") != isinstance(loaded.upscaler, Restored):
        kind, other = ("bicubic", "mzsr") if name == "mzsr-plus" else ("restored", "mzsr-plus")
        raise InputError(f"The weights '{loaded.name}' were trained for a {kind} input: take the method {other}.")
    steps = 0 if name == "pretrained" else steps
    start = starting_point(loaded.network)

    def run(lr: Images, degradation: Degradation) -> OtherImages:
        params = start
        updates = adapt(loaded.network, start, lr, degradation, steps, loaded.rates, loaded.upscaler)
        for adapted, _ in tqdm(updates, name, steps, unit="update", disable=None if progress and steps else True):
            params = adapted
        if ensemble:
            views = zero_shot.samplings(degradation)
            return zero_shot.ensemble(loaded.network, params, lr, degradation, views, loaded.upscaler)
        return super_resolve(loaded.network, params, lr, degradation, loaded.upscaler)

    return Method(name, steps, loaded.name, run)
