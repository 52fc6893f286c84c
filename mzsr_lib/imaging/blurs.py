"""Blurs of other shapes than Gaussian: a lens out of focus, a camera that moves, and what shrinking programs average.

All are made in batches from a generator, on a grid of pixels whose origin may lie between two of them.
"""

import math
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from mzsr_lib import fields
from mzsr_lib.fields import Positive, Share
from mzsr_lib.imaging.kernels import KernelPrior
from mzsr_lib.imaging.resize import cubic
from mzsr_lib.shapes import Float, Kernels, Tensor

POINTS = 24  # of a path
WIDTH = 0.45  # px, standard deviation of the spot that moves along a path

Numbers = Float[Tensor, "b"]


def _grid(size: int, centre: float, like: Tensor) -> tuple[Tensor, Tensor]:
    axis = torch.arange(size, device=like.device, dtype=like.dtype) - size // 2 - centre
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    return x, y


def _normalised(kernels: Kernels) -> Kernels:
    return kernels / kernels.sum(dim=(-2, -1), keepdim=True)


def disk(radius: Numbers, size: int, centre: float = 0.0) -> Kernels:
    """Return the blur of a lens out of focus: (B, size, size), disks of radius (B,) px with a soft rim of one px.

    Its middle lies `centre` px right of and below the middle pixel; so for the other kernels here.
    """
    x, y = _grid(size, centre, radius)
    return _normalised((radius.view(-1, 1, 1) + 0.5 - torch.hypot(x, y)).clamp(0, 1))


def path(x: Float[Tensor, "b n"], y: Float[Tensor, "b n"], size: int, centre: float = 0.0) -> Kernels:
    """Return the blur of a point that moves: (B, size, size), along points (B, n) in px; their mean is the middle."""
    across, down = _grid(size, centre, x)
    x, y = (points - points.mean(dim=-1, keepdim=True) for points in (x, y))
    square = (across - x[..., None, None]) ** 2 + (down - y[..., None, None]) ** 2
    return _normalised(torch.exp(-square / (2 * WIDTH**2)).sum(dim=1))


def motion(length: Numbers, angle: Numbers, size: int, centre: float = 0.0) -> Kernels:
    """Return the blur of an even motion: `length` px at an angle in radians from the x axis, y down."""
    along = torch.linspace(-0.5, 0.5, POINTS, device=length.device) * length[:, None]
    return path(along * angle.cos()[:, None], along * angle.sin()[:, None], size, centre)


def shake(extent: Numbers, generator: torch.Generator, size: int, centre: float = 0.0) -> Kernels:
    """Return the blur of a hand that shakes: a walk of changing speed and direction, about `extent` px long."""
    drawn = torch.randn(2, len(extent), POINTS, generator=generator, device=extent.device)
    walk = drawn.cumsum(dim=-1).cumsum(dim=-1)
    walk = walk - walk.mean(dim=-1, keepdim=True)
    reach = (walk.amax(dim=-1) - walk.amin(dim=-1)).norm(dim=0).clamp(min=1e-6)
    x, y = walk / reach.view(1, -1, 1) * extent.view(1, -1, 1)
    return path(x, y, size, centre)


def shrinking(kind: str, scale: int) -> Tensor:
    """Return the taps (n,), odd n, with which a program shrinks a line; their mass lies (scale - 1) / 2 px off.

    ``"bicubic"`` and ``"lanczos"`` (three lobes) are widened by `scale`; ``"area"`` is the mean.
    """
    reach = 4 * scale
    at = (torch.arange(-reach, reach + 1) - (scale - 1) / 2) / scale
    if kind == "bicubic":
        taps = cubic(at)
    elif kind == "lanczos":
        taps = torch.where(at.abs() < 3, torch.sinc(at) * torch.sinc(at / 3), 0.0)
    else:
        taps = (at.abs() < 0.5).float()
    return taps / taps.sum()


def followed(kernels: Float[Tensor, "b k k"], taps: Float[Tensor, "b n"]) -> Float[Tensor, "b m m"]:
    """Return the one kernel of a blur (B, k, k) and then, along both axes, taps (B, n): (B, k + n - 1, k + n - 1)."""
    # Correlations compose by convolution.
    square = taps[:, None, :, None] * taps[:, None, None, :]
    return F.conv_transpose2d(kernels[None], square, groups=len(kernels))[0]


@dataclass(frozen=True)
class AnyShape:
    """A prior of kernels of many shapes: Gaussians of another prior, disks, motions, shakes.

    Attributes
    ----------
    gaussians
        The prior of the Gaussians, which also has the size.
    share
        How many of the kernels have another shape.
    largest
        Radius of the largest disk, px; motions and shakes are up to three times as long.
    """

    gaussians: KernelPrior
    share: Share = 0.4
    largest: Positive = 3.0

    def __post_init__(self):
        fields.check(self)

    @property
    def size(self) -> int:
        """Pixels a side."""
        return self.gaussians.size

    def sample(
        self, count: int, generator: torch.Generator, device: torch.device | str = "cpu", centre: float = 0.0
    ) -> Kernels:
        """Draw `count` kernels: (count, size, size), each with sum 1."""
        u = torch.rand(4, count, generator=generator, device=device)
        extent = 1 + (3 * self.largest - 1) * u[1]
        shapes = torch.stack(
            [
                self.gaussians.sample(count, generator, device, centre),
                disk(0.5 + (self.largest - 0.5) * u[1], self.size, centre),
                motion(extent, math.pi * u[2], self.size, centre),
                shake(extent, generator, self.size, centre),
            ]
        )
        other = 1 + (3 * u[3]).long()
        which = torch.where(u[0] < self.share, other, 0)
        return shapes[which, torch.arange(count, device=shapes.device)]
