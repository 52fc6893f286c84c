"""ZSSR: a network that learns from one picture alone (Shocher, Cohen, Irani, CVPR 2018)."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from tqdm import tqdm

from mzsr_lib.adaptation import Adam, Pair, Params, inner_loop, loss_of, starting_point, super_resolve
from mzsr_lib.data import PatchSource, generator_for
from mzsr_lib.degradation import Degradation
from mzsr_lib.inputs import Upscaler, bicubic_input
from mzsr_lib.networks import SRNetwork
from mzsr_lib.shapes import Images, OtherImages, Tensor


@dataclass(frozen=True)
class ZeroShotConfig:
    """Settings of ZSSR; the defaults are its authors'.

    Attributes
    ----------
    steps
        Most updates.
    learning_rate
        Of Adam, at the start; divided by 10 when the error stops falling, and learning ends below `last_rate`.
    crop
        Side of the random crops of the picture, px.
    check_every
        Updates between two looks at the error on the whole picture.
    window
        Looks at the error through which the line is fitted whose slope decides.
    ensemble
        Average over the flips and transpositions that leave the degradation as it is.
    seed
        Of the random start and crops.
    """

    steps: int = 3_000
    learning_rate: float = 1e-3
    last_rate: float = 9e-6
    crop: int = 128
    check_every: int = 50
    window: int = 6
    ensemble: bool = True
    seed: int = 0


@dataclass(frozen=True)
class ZeroShotResult:
    """What `zero_shot` returns: the picture, the updates taken, and (update, error on LR) at every look."""

    sr: OtherImages
    steps: int
    errors: list[tuple[int, float]]


def zero_shot(
    lr: Images, degradation: Degradation, config: ZeroShotConfig | None = None, progress: bool = False
) -> ZeroShotResult:
    """Train a network from random weights on one picture and its LR-sons, then super-resolve the picture.

    Parameters
    ----------
    lr
        (1, 3, h, w) in [0, 1].
    degradation
        The blur and scale that made it.
    config
        By default the authors' settings.
    progress
        Show a bar.
    """
    config = config or ZeroShotConfig()
    degradation = degradation.to(lr.device)
    network = SRNetwork(generator=generator_for(config.seed, "weights"))
    network = network.to(lr.device, memory_format=torch.channels_last)
    target, son = degradation.son(lr)
    whole = (bicubic_input(son, degradation), target)
    rule, errors, recent = Adam(config.learning_rate), [], []
    params = starting_point(network)
    steps = inner_loop(network, params, _random_crops(lr, degradation, config), rule, config.steps)
    bar = tqdm(steps, "zssr", config.steps, unit="update", disable=None if progress else True)
    for step, (params, _) in enumerate(bar, start=1):
        if step % config.check_every == 0:
            with torch.no_grad():
                recent.append((step, float(loss_of(network, params, whole))))
            errors.append(recent[-1])
        if len(recent) >= config.window and stopped_falling(recent[-config.window :]):
            rule.rate, recent = rule.rate / 10, []
        if rule.rate < config.last_rate:
            break
    views = symmetries(degradation) if config.ensemble else VIEWS[:1]
    return ZeroShotResult(ensemble(network, params, lr, degradation, views), step, errors)


def _random_crops(lr: Images, degradation: Degradation, config: ZeroShotConfig) -> Callable[[int], Pair]:
    """Return what gives a crop of the picture, flipped and transposed at random, with its LR-son, at each step."""
    source = PatchSource([lr], lr.device)
    size = min(config.crop, source.smallest) // degradation.scale * degradation.scale

    def pair(step: int) -> Pair:
        father = source.sample(1, size, generator_for(config.seed, step, device=lr.device))
        return bicubic_input(degradation(father), degradation), father

    return pair


def stopped_falling(errors: Sequence[tuple[int, float]], ratio: float = 1.5) -> bool:
    """Say whether the errors no longer fall: 1.5 times the slope of a fitted line is below its own uncertainty."""
    steps, values = np.array(errors).T
    line, covariance = np.polyfit(steps, values, 1, cov=True)
    return bool(-ratio * line[0] < np.sqrt(covariance[0, 0]))


class View(NamedTuple):
    """One of the eight ways to look at a picture: flips of rows and columns, then a transposition."""

    flip_rows: bool
    flip_columns: bool
    swap: bool

    def look(self, image: Tensor) -> Tensor:
        """Return the picture (or kernel) seen this way."""
        axes = [axis for axis, flip in ((-2, self.flip_rows), (-1, self.flip_columns)) if flip]
        image = image.flip(axes) if axes else image
        return image.mT if self.swap else image

    def undo(self, image: Tensor) -> Tensor:
        """Return the picture of which this is the view."""
        image = image.mT if self.swap else image
        axes = [axis for axis, flip in ((-2, self.flip_rows), (-1, self.flip_columns)) if flip]
        return image.flip(axes) if axes else image


VIEWS = tuple(View(*bits) for bits in itertools.product((False, True), repeat=3))


def symmetries(degradation: Degradation) -> list[View]:
    """Return the views under which a degradation stays itself: a network that undoes it may average over these.

    The kernel must look the same, and direct sampling, which starts at pixel 0, allows no flip.
    """
    kernel = degradation.kernel
    return [view for view in samplings(degradation) if torch.allclose(view.look(kernel), kernel, atol=1e-6)]


def samplings(degradation: Degradation) -> list[View]:
    """Return the views under which the sampling stays itself; the kernel may turn with the picture."""
    return [v for v in VIEWS if degradation.mode == "bicubic" or not (v.flip_rows or v.flip_columns)]


def ensemble(
    network: SRNetwork,
    params: Params,
    lr: Images,
    degradation: Degradation,
    views: Sequence[View],
    upscaler: Upscaler = bicubic_input,
) -> OtherImages:
    """Return the mean of the network's pictures over views of the low-resolution one (geometric self-ensemble).

    The kernel is seen the same way as the picture: a network that is given it may use all `samplings`, one
    that has learned it only the `symmetries`.
    """

    def seen(view: View) -> OtherImages:
        turned = replace(degradation, kernel=view.look(degradation.kernel))
        return view.undo(super_resolve(network, params, view.look(lr), turned, upscaler))

    return torch.stack([seen(view) for view in views]).mean(dim=0)
