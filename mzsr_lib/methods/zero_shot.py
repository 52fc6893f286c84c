"""ZSSR: a network that learns from one picture alone (Shocher, Cohen, Irani, CVPR 2018)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple, cast

import numpy as np
import torch
from torch.nn import functional as F
from tqdm import tqdm

from mzsr_lib.files import InputError
from mzsr_lib.imaging import images, restoration, tiling
from mzsr_lib.imaging.degradation import Degradation
from mzsr_lib.imaging.images import crop_to_multiple
from mzsr_lib.methods.self_ensemble import VIEWS, View, symmetries, turnings, view_outputs
from mzsr_lib.mzsr.adaptation import Adam, Pair, Params, inner_loop, starting_point, super_resolve
from mzsr_lib.mzsr.inputs import bicubic_input
from mzsr_lib.mzsr.networks import SRNetwork
from mzsr_lib.runtime import PRECISIONS, Precision, autocast, generator_for
from mzsr_lib.shapes import Images, OtherImages


@dataclass(frozen=True)
class ZeroShotConfig:
    """Settings of ZSSR; the defaults are its authors', from the paper or, where it is silent, from their program.

    Two things are left out: the going up in several small scales, which they use for plain bicubic sampling
    only, and the shears and free rotations of their program, which the paper does not name.

    Mean PSNR (dB) of three 128 px crops of Set14 after 300 updates, seed 0, with the median over the views:

    ====================  ================  =====================  =====================
    crops                 back-projections  g2.0d                  bicubic
    ====================  ================  =====================  =====================
    full size only        0 / 2 / 10        30.17 / 30.86 / 31.18  31.46 / 31.69 / 31.69
    half of them resized  0 / 2 / 10        30.18 / 30.84 / 31.15  31.39 / 31.64 / 31.64
    ====================  ================  =====================  =====================

    Back-projection helps. The smaller pictures bring nothing in so few updates and cost at most 0.07 dB, which
    is no clear loss on three crops: the authors' default stays.

    Attributes
    ----------
    steps
        Most updates.
    learning_rate
        Of Adam, at the start; divided by 10 when the error stops falling, and learning ends below `last_rate`.
    crop
        Side of the random crops of the picture, px; a smaller picture gives smaller ones.
    resized
        Share of the crops ("HR fathers") that come out of the picture made smaller. (Program: half of them.)
    smallest
        Smallest size of such a picture, relative to the full one; all sizes between are equally likely.
    noise
        Standard deviation, in [0, 1], of white noise that is added to the sons, for noisy pictures (the
        authors take 0.0125 for photographs of their own); None takes that of the degradation.
    check_every
        Updates between two looks at the error on the whole picture.
    window
        Looks at the error through which the line is fitted whose slope decides. (Program: 5, and no two
        changes of the rate within 256 updates; 6 looks since the last change are 300 updates.)
    ensemble
        Take the median over the flips and transpositions that leave the degradation as it is.
    back_projections
        Back-projections of each of these pictures, and again of their median; None takes the authors'
        number: 10 without blur, 2 with a given kernel, 0 with noise.
    precision
        ``"float32"``, or ``"bfloat16"`` for the convolutions while learning: 2.4 times as fast on a
        processor that multiplies it.
    seed
        Of the random start and crops.
    """

    steps: int = 3_000
    learning_rate: float = 1e-3
    last_rate: float = 9e-6
    crop: int = 128
    resized: float = 0.5
    smallest: float = 0.5
    noise: float | None = None
    check_every: int = 50
    window: int = 6
    ensemble: bool = True
    back_projections: int | None = None
    precision: str = "float32"
    seed: int = 0

    def __post_init__(self):
        if self.precision not in PRECISIONS:
            raise InputError(f"There is no precision '{self.precision}': choose {' or '.join(PRECISIONS)}.")
        if not (0 <= self.resized <= 1 and 0 < self.smallest <= 1):
            raise InputError(
                f"A share of {self.resized:g} and a smallest size of {self.smallest:g} cannot be: "
                "the one must be in [0, 1], the other positive and at most 1."
            )

    def back_projections_for(self, degradation: Degradation) -> int:
        """Return how often to back-project."""
        if self.back_projections is not None:
            return self.back_projections
        if degradation.noise > 0:
            return 0
        return 10 if degradation.mode == "bicubic" and degradation.kernel.shape[-1] == 1 else 2


@dataclass(frozen=True)
class ZeroShotResult:
    """What `zero_shot` returns: the picture, the updates taken, and (update, error on LR) at every look."""

    sr: OtherImages
    steps: int
    errors: list[tuple[int, float]]


class Update(NamedTuple):
    """One update: its number from 1, the parameters after it, its rate, and the error when it was looked at."""

    step: int
    params: Params
    rate: float
    error: float | None


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
    if config.noise is not None:
        degradation = replace(degradation, noise=config.noise)
    network = start(config, lr.device)
    params, taken, errors = starting_point(network), 0, []
    updates = learn(network, lr, degradation, config)
    for update in tqdm(updates, "zssr", config.steps, unit="update", disable=None if progress else True):
        params, taken = update.params, update.step
        if update.error is not None:
            errors.append((update.step, update.error))
    return ZeroShotResult(finish(network, params, lr, degradation, config), taken, errors)


def start(config: ZeroShotConfig, device: torch.device | str = "cpu") -> SRNetwork:
    """Return the network with its random weights."""
    network = SRNetwork(generator=generator_for(config.seed, "weights"))
    return network.to(device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def learn(network: SRNetwork, lr: Images, degradation: Degradation, config: ZeroShotConfig) -> Iterator[Update]:
    """Learn from one picture, and yield every update until the rate has become too small or the steps are used up."""
    target = crop_to_multiple(lr, degradation.scale)
    son = degradation(target, generator_for(config.seed, "son", device=lr.device))
    rule, recent = Adam(config.learning_rate), []
    updates = inner_loop(network, starting_point(network), father_and_son(lr, degradation, config), rule, config.steps)
    for step in range(1, config.steps + 1):
        with autocast(lr.device, cast(Precision, config.precision)):
            params, _ = next(updates)
        rate, error = rule.rate, None
        if step % config.check_every == 0:
            error = float((super_resolve(network, params, son, degradation) - target).abs().mean())
            recent.append((step, error))
        if len(recent) >= config.window and stopped_falling(recent[-config.window :]):
            rule.rate, recent = rule.rate / 10, []
        yield Update(step, params, rate, error)
        if rule.rate < config.last_rate:
            return


def father_and_son(lr: Images, degradation: Degradation, config: ZeroShotConfig) -> Callable[[int], Pair]:
    """Return what gives (network input, target) for a step: a random crop, the HR father, and its enlarged LR-son."""
    views = turnings(degradation)

    def pair(step: int) -> Pair:
        generator = generator_for(config.seed, step, device=lr.device)
        with torch.autocast(lr.device.type, enabled=False):  # 8 bits of a blur would not be enough
            father = draw_father(lr, degradation, config, views, generator)
            return bicubic_input(degradation(father, generator), degradation), father

    return pair


def draw_father(
    lr: Images, degradation: Degradation, config: ZeroShotConfig, views: Sequence[View], generator: torch.Generator
) -> OtherImages:
    """Return a square crop of the picture, or of the picture made smaller, seen in a random way.

    Its side is a multiple of the scale and no less than the kernel's size.
    """
    chance, size, row, column, turn = torch.rand(5, generator=generator, device=lr.device).tolist()
    shortest, scale = min(lr.shape[-2:]), degradation.scale
    ratio = config.smallest + (1 - config.smallest) * size if chance < config.resized else 1.0
    least = -(-degradation.kernel.shape[-1] // scale) * scale
    side = max(min(config.crop, int(ratio * shortest)) // scale * scale, least)
    # To crop first and then to shrink the crop is to shrink the picture, only cheaper.
    window = min(round(side / ratio), shortest)
    top, left = (int(u * (length - window + 1)) for u, length in zip((row, column), lr.shape[-2:], strict=True))
    father = lr[..., top : top + window, left : left + window]
    if window != side:
        father = F.interpolate(father, (side, side), mode="bicubic", antialias=True).clamp(0, 1)
    return views[int(turn * len(views))].look(father)


def finish(
    network: SRNetwork, params: Params, lr: Images, degradation: Degradation, config: ZeroShotConfig
) -> OtherImages:
    """Return the picture: the back-projected outputs over the views, their median, back-projected once more."""
    halo = network.reach + restoration.halo(degradation.kernel, degradation.scale)
    work = partial(_finish, network, params, degradation=degradation, config=config)
    return tiling.by_tiles(work, lr, degradation.scale, halo, "finish")


def _finish(
    network: SRNetwork, params: Params, lr: Images, degradation: Degradation, config: ZeroShotConfig
) -> OtherImages:
    views = symmetries(degradation) if config.ensemble else VIEWS[:1]
    count = config.back_projections_for(degradation)

    def agreeing(sr: OtherImages) -> OtherImages:
        return images.clip(restoration.back_project(sr, lr, degradation, count))

    outputs = [agreeing(sr) for sr in view_outputs(network, params, lr, degradation, views)]
    ordered = torch.stack(outputs).sort(dim=0).values
    return agreeing((ordered[(len(outputs) - 1) // 2] + ordered[len(outputs) // 2]) / 2)


def stopped_falling(errors: Sequence[tuple[int, float]], ratio: float = 1.5) -> bool:
    """Say whether the errors no longer fall: 1.5 times the slope of a fitted line is below its own uncertainty."""
    steps, values = np.array(errors).T
    line, covariance = np.polyfit(steps, values, 1, cov=True)
    return bool(-ratio * line[0] < np.sqrt(covariance[0, 0]))
