"""Training material: random patches out of many pictures, and tasks made of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

import torch

from mzsr_lib import fields
from mzsr_lib.files import InputError
from mzsr_lib.imaging import images
from mzsr_lib.imaging.degradation import Degradation, DegradationPrior
from mzsr_lib.imaging.images import centre_crop
from mzsr_lib.mzsr.inputs import Upscaler, bicubic_input
from mzsr_lib.runtime import generator_for
from mzsr_lib.shapes import Images, OtherImages

Episode = Literal["two-sets", "image"]
Teacher = Callable[[Images, Degradation], OtherImages]

# Low-resolution pixels that a teacher sees around the part it is asked for.
SURROUNDINGS = 16


class PatchSource:
    """Many pictures in one block of memory, from which patches are cut by index arithmetic alone.

    The pictures may differ in size. Nothing waits for the device: random numbers, positions and
    values are all computed there, with static shapes.

    Parameters
    ----------
    pictures
        Each (1, 3, H, W) in [0, 1].
    device
        Where the pixels are kept (8 bits a channel) and the patches are made.
    """

    def __init__(self, pictures: Sequence[OtherImages], device: torch.device | str = "cpu"):
        if not pictures:
            raise InputError("There are no pictures to train on.")
        sizes = torch.tensor([p.shape[-2:] for p in pictures])
        self.device = torch.device(device)
        self.smallest = int(sizes.min())
        self.pixels = torch.cat([images.to_bytes(p)[0].flatten(1) for p in pictures], dim=1).to(device)
        self.heights, self.widths = sizes[:, 0].to(device), sizes[:, 1].to(device)
        self.starts = (sizes.prod(1).cumsum(0) - sizes.prod(1)).to(device)

    def sample(self, count: int, size: int, generator: torch.Generator) -> Images:
        """Draw patches (count, 3, size, size) with random flips and transposition, in [0, 1].

        Raises
        ------
        InputError
            If a picture is smaller than the patch.
        """
        if size > self.smallest:
            raise InputError(f"A training picture has a side of {self.smallest} px: patches of {size} px do not fit.")
        u = torch.rand(6, count, 1, 1, generator=generator, device=self.device)
        index = (u[0] * len(self.starts)).long()
        rows, columns = self._orient(size, *(u[3:] < 0.5))
        rows = rows + (u[1] * (self.heights[index] - size + 1)).long()
        columns = columns + (u[2] * (self.widths[index] - size + 1)).long()
        values = self.pixels[:, self.starts[index] + rows * self.widths[index] + columns]
        return values.permute(1, 0, 2, 3).float() / 255

    def _orient(self, size: int, flip_rows: torch.Tensor, flip_columns: torch.Tensor, swap: torch.Tensor):
        """Return row and column offsets (count, size, size) for each patch's flips and transposition."""
        axis = torch.arange(size, device=self.device)
        rows = torch.where(flip_rows, size - 1 - axis[:, None], axis[:, None]).expand(-1, size, size)
        columns = torch.where(flip_columns, size - 1 - axis, axis).expand(-1, size, size)
        return torch.where(swap, columns, rows), torch.where(swap, rows, columns)


@dataclass(frozen=True)
class Task:
    """One task of meta-learning: a blur kernel, and the pairs it gives.

    Attributes
    ----------
    support_input, support_target
        What the inner loop learns from.
    query_input, query_target
        What the adapted network is judged by.
    degradation
        The task itself.
    border
        Pixels at each side of the query that do not count: see `adaptation.loss_of`.
    """

    support_input: Images
    support_target: Images
    query_input: OtherImages
    query_target: OtherImages
    degradation: Degradation
    border: int = 0

    @property
    def tensors(self) -> tuple[Images, Images, OtherImages, OtherImages]:
        """The four of them: support input and target, query input and target."""
        return self.support_input, self.support_target, self.query_input, self.query_target

    def channels_last(self) -> "Task":
        """Return the same task in the layout in which convolutions are fastest."""
        a, b, c, d = (tensor.contiguous(memory_format=torch.channels_last) for tensor in self.tensors)
        return Task(a, b, c, d, self.degradation, self.border)


def degraded_pair(hr: Images, degradation: Degradation, upscaler: Upscaler) -> tuple[Images, Images]:
    """Return (network input, target) for high-resolution patches."""
    return upscaler(degradation(hr), degradation), hr


def two_sets_task(hr: Images, degradation: Degradation, upscaler: Upscaler = bicubic_input) -> Task:
    """Make an episode of the paper's kind: half of the patches are support, the other half query."""
    support, query = hr.chunk(2)
    pairs = (*degraded_pair(support, degradation, upscaler), *degraded_pair(query, degradation, upscaler))
    return Task(*pairs, degradation)


def image_task(hr: Images, degradation: Degradation, upscaler: Upscaler = bicubic_input) -> Task:
    """Make an episode of the meta-test kind: support = (LR-son, LR), query = (LR, HR) of the same patches."""
    lr = degradation(hr)
    target, son = degradation.with_son(lr)
    return Task(upscaler(son, degradation), target, upscaler(lr, degradation), hr, degradation)


@dataclass(frozen=True)
class Shots:
    """Low-resolution pictures, their originals, and what is told of how they were taken, which need not be true."""

    hr: Images
    lr: OtherImages
    degradation: Degradation

    def part(self, which: slice) -> "Shots":
        """Return some of them."""
        return Shots(self.hr[which], self.lr[which], self.degradation.part(which))


Prior = TypeVar("Prior")


def one_of(priors: Sequence[Prior], key: tuple[int | str, ...]) -> Prior:
    """Return one of the priors, mostly that of a scale, by the key."""
    return priors[int(float(torch.rand((), generator=generator_for(*key, "scale"))) * len(priors))]


def draw_degradation(
    degradations: Sequence[DegradationPrior], count: int, key: tuple[int | str, ...], generator: torch.Generator
) -> Degradation:
    """Draw a degradation with `count` kernels: these from `generator`, one of the priors and the mode from the key."""
    chance = float(torch.rand((), generator=generator_for(*key, "mode")))
    return one_of(degradations, key).sample(count, chance, generator)


@dataclass(frozen=True)
class TaskDistribution:
    """How tasks are drawn: the distribution of degradations, and the kind of episode.

    Attributes
    ----------
    degradations
        Distributions of kernels and sampling modes, one or more: each task draws one of them, such as its scale.
    episode
        ``"two-sets"`` (support and query are different HR patches, as in the authors' program) or
        ``"image"`` (support = LR-son to LR, query = LR to HR, as at test time).
    patch
        Side of the HR patches, px.
    patches
        HR patches for support, and as many for query.
    query_patch
        Side of the middle part of a query patch that is computed, px; None for all of it.
    border
        Pixels at each side of that part that do not count.
    """

    degradations: Sequence[DegradationPrior]
    episode: Episode = "two-sets"
    patch: int = 64
    patches: int = 8
    query_patch: int | None = None
    border: int = 0

    def __post_init__(self):
        fields.check(self)
        side = self.patch if self.query_patch is None else self.query_patch
        if not 0 < side <= self.patch or not 0 <= 2 * self.border < side:
            raise InputError(
                f"A query of {side} px without {self.border} px at each side does not fit into patches of "
                f"{self.patch} px: it must be no larger than they, and leave something in the middle."
            )
        for prior in self.degradations:
            self._check_patch(prior.scale, prior.kernels.size)

    def _check_patch(self, scale: int, size: int) -> None:
        son = self.patch // scale**2 * scale if self.episode == "image" else self.patch
        if self.patch % scale or son < size:
            least = scale**2 * -(-size // scale)
            raise InputError(
                f"Patches of {self.patch} px do not suit scale {scale} and kernels of {size} px: "
                f"take a multiple of the scale, at least {least} for image episodes."
            )

    def sample(
        self,
        source: PatchSource,
        key: tuple[int | str, ...],
        upscaler: Upscaler = bicubic_input,
        teacher: Teacher | None = None,
    ) -> Task:
        """Draw the task that belongs to a key such as (seed, step, task).

        With a teacher the query's target is what it makes of the low-resolution picture and the kernel, instead of the
        original: what nobody can know of that is then no part of the loss (image episodes only).
        """
        generator = generator_for(*key, device=source.device)
        degradation = draw_degradation(self.degradations, 1, key, generator).shared()
        count = self.patches * (2 if self.episode == "two-sets" else 1)
        hr = source.sample(count, self.patch, generator)
        make = two_sets_task if self.episode == "two-sets" else image_task
        task = make(hr, degradation, upscaler)
        side = self.query_patch or self.patch
        wanted = centre_crop(task.query_target, side, 1)
        if teacher is not None:
            wanted = _taught(teacher, degradation(hr), degradation, (self.patch - side) // 2, side)
        given = centre_crop(task.query_input, side, 1)
        return replace(task, query_input=given, query_target=wanted, border=self.border).channels_last()


def _taught(teacher: Teacher, lr: Images, degradation: Degradation, top: int, side: int) -> OtherImages:
    """Return a square of a teacher's picture, which begins `top` px from the top and from the left of it."""
    scale = degradation.scale
    first, last = max(top // scale - SURROUNDINGS, 0), -(-(top + side) // scale) + SURROUNDINGS
    with torch.no_grad():
        sr = teacher(lr[..., first:last, first:last], degradation)
    part = slice(top - first * scale, top - first * scale + side)
    return sr[..., part, part]
