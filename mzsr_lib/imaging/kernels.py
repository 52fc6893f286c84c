"""Blur kernels: anisotropic Gaussians from a covariance, the paper's four, and its prior."""

import functools
import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch

from mzsr_lib import fields
from mzsr_lib.files import InputError
from mzsr_lib.imaging.resize import cubic
from mzsr_lib.shapes import Covariances, Eigenvalues, Float, Kernel, Kernels, Tensor

Mode = Literal["direct", "bicubic"]
Spacing = Literal["linear", "log"]

TEST_SIZE = 21


class Setting(NamedTuple):
    """A blur kernel and the way of subsampling that goes with it: ``"direct"`` or ``"bicubic"``.

    Attributes
    ----------
    name
        What it is called. Two kernels may have the same name: see `fingerprint`.
    kernel
        (k, k), on the high-resolution grid.
    mode
        How pixels are dropped after the blur.
    origin
        What the kernel was made of, if that tells it better than its numbers: those of a Gaussian, which are computed,
        differ in their last digit from one processor to another.
    note
        What a user should know of how it was read, in a sentence, or an empty text.
    """

    name: str
    kernel: Kernel
    mode: Mode
    origin: str = ""
    note: str = ""

    @property
    def fingerprint(self) -> str:
        """Twelve characters that are the same for the same kernel, whatever its name and the sampling."""
        content = self.kernel.cpu().numpy().tobytes()
        return hashlib.sha256(self.origin.encode() or content).hexdigest()[:12]


def covariance(lambda1: float | Eigenvalues, lambda2: float | Eigenvalues, theta: float | Eigenvalues) -> Covariances:
    """Return ``R(theta) diag(lambda1, lambda2) R(theta)^T`` (paper, Section 4.1).

    Parameters
    ----------
    lambda1, lambda2
        Variances along and across the kernel's main axis, in px^2 on the high-resolution grid.
    theta
        Angle of the main axis from the x axis, in radians, y down.

    Returns
    -------
    Covariances
        (..., 2, 2), in the order (x, y).

    Raises
    ------
    InputError
        If a number that is a variance is not positive; tensors are not looked into.

    Examples
    --------
    >>> covariance(4.0, 1.0, 0.0).tolist()
    [[4.0, 0.0], [0.0, 1.0]]
    """
    for variance in (lambda1, lambda2):
        if not torch.is_tensor(variance) and not variance > 0:
            raise InputError(f"The variances are {lambda1} and {lambda2}: both must be positive (px^2).")
    lambda1, lambda2, theta = (v if torch.is_tensor(v) else torch.tensor(float(v)) for v in (lambda1, lambda2, theta))
    cos, sin = torch.cos(theta), torch.sin(theta)
    xx = lambda1 * cos**2 + lambda2 * sin**2
    yy = lambda1 * sin**2 + lambda2 * cos**2
    xy = (lambda1 - lambda2) * sin * cos
    return torch.stack([torch.stack([xx, xy], -1), torch.stack([xy, yy], -1)], -2)


def gaussian_kernel(cov: Covariances, size: int = TEST_SIZE, centre: float = 0.0) -> Kernels:
    """Return the Gaussian ``exp(-x^T cov^-1 x / 2)`` on a ``size`` x ``size`` grid, normalised to sum 1.

    Parameters
    ----------
    cov
        (..., 2, 2), positive definite, px^2.
    size
        Odd number of pixels a side.
    centre
        How far right of and below the middle pixel its middle lies, px.

    Raises
    ------
    InputError
        If the size is even or less than 1.
    """
    if size < 1 or size % 2 == 0:
        raise InputError(f"The size of a kernel is {size}: it must be odd, so that there is a centre pixel.")
    axis = torch.arange(size, dtype=cov.dtype, device=cov.device) - size // 2 - centre
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    a, b, c = (cov[..., i, j, None, None] for i, j in ((0, 0), (0, 1), (1, 1)))
    # The inverse of a 2 x 2 matrix, written out: it needs no solver and no synchronisation on a GPU.
    exponent = (c * x**2 - 2 * b * x * y + a * y**2) / (a * c - b**2)
    kernel = torch.exp(-exponent / 2)
    return kernel / kernel.sum(dim=(-2, -1), keepdim=True)


def moments(kernel: Kernel) -> tuple[torch.Tensor, Covariances]:
    """Return a kernel's centre of mass (x, y), in px from its centre pixel, and its covariance (2, 2) in px^2."""
    axis = torch.arange(kernel.shape[-1], dtype=kernel.dtype, device=kernel.device) - kernel.shape[-1] // 2
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    points = torch.stack([x.flatten(), y.flatten()])
    weights = kernel.flatten()
    mean = points @ weights
    centred = points - mean[:, None]
    return mean, (centred * weights) @ centred.T


def resampled(kernels: Kernels, maps: Covariances, size: int) -> Float[Tensor, "b n n"]:
    """Return kernels (B, size, size) that are stretched and turned: at x they have what others have at ``map @ x``.

    Both are in px from the middle, (x, y), `kernels` are (B, k, k) and `maps` (B, 2, 2); between taps Keys' cubic is
    taken, which does not widen them, and may go a little below zero beside an edge. What comes out sums to 1.
    """

    def axis(count: int) -> Tensor:
        return torch.arange(count, dtype=kernels.dtype, device=kernels.device) - count // 2

    y, x = torch.meshgrid(axis(size), axis(size), indexing="ij")
    places = torch.einsum("bij,hwj->bhwi", maps, torch.stack([x, y], dim=-1))
    across, down = (cubic(place[..., None] - axis(kernels.shape[-1])) for place in places.unbind(dim=-1))
    found = torch.einsum("bhwx,bhwy,byx->bhw", across, down, kernels)
    return found / found.sum(dim=(-2, -1), keepdim=True)


def of_symmetric(matrices: Covariances, function: Callable[[Tensor], Tensor]) -> Covariances:
    """Return a function, such as the logarithm, of symmetric matrices (..., 2, 2): that of their eigenvalues."""
    values, vectors = torch.linalg.eigh(matrices)
    return vectors @ torch.diag_embed(function(values)) @ vectors.mT


@dataclass(frozen=True)
class KernelPrior:
    """The distribution p(k) over blur kernels from which tasks are drawn (paper, Section 4.1).

    ``theta ~ U(0, pi)``, ``lambda1 ~ U(low, high)``, ``lambda2 ~ U(low, lambda1)``.

    Attributes
    ----------
    low
        Smallest eigenvalue, px^2. The paper's 1.0; 0.2 also takes in the test kernel ``g0.2d``.
    high
        Largest eigenvalue, px^2. The paper's is 2.5 * scale.
    size
        Pixels a side of the kernels, odd.
    spacing
        ``"linear"`` draws the eigenvalues uniformly, as the paper does; ``"log"`` their logarithms, so that
        narrow kernels come as often as wide ones.
    """

    low: float = 1.0
    high: float = 5.0
    size: int = 15
    spacing: Spacing = "linear"

    def __post_init__(self):
        fields.check(self)
        if not 0 < self.low <= self.high or self.size < 1 or self.size % 2 == 0:
            raise InputError(
                f"Kernels of {self.size} px a side, eigenvalues from {self.low:g} to {self.high:g} px^2, are no prior: "
                "the side must be odd, and the smallest positive and not above the largest."
            )

    def sample(
        self, count: int, generator: torch.Generator, device: torch.device | str = "cpu", centre: float = 0.0
    ) -> Kernels:
        """Draw `count` kernels: (count, size, size), each with sum 1; `centre` is that of `gaussian_kernel`."""
        u = torch.rand(3, count, generator=generator, device=device)
        lambda1 = self._between(torch.full_like(u[0], self.high), u[0])
        lambda2 = self._between(lambda1, u[1])
        return gaussian_kernel(covariance(lambda1, lambda2, math.pi * u[2]), self.size, centre)

    def _between(self, high: Eigenvalues, u: Eigenvalues) -> Eigenvalues:
        """Return eigenvalues between the lowest and `high`, for u in [0, 1]."""
        if self.spacing == "log":
            return self.low * (high / self.low) ** u
        return self.low + (high - self.low) * u

    def doubt(self, kernel: Kernel) -> str | None:
        """Say in one sentence why a kernel is outside this prior, or return None when it is inside.

        The kernel's second moments are compared with the eigenvalues of the prior, with five per
        cent to spare; its narrowest kernel counts as it is on a grid, where 0.2 px^2 becomes 0.14.
        Where its mass lies does not matter: see `degradation.Degradation.centred`.
        """
        small, large = (float(v) for v in torch.linalg.eigvalsh(moments(kernel)[1]))
        narrowest = moments(gaussian_kernel(covariance(self.low, self.low, 0.0), self.size))[1][0, 0]
        if small < float(narrowest) * 0.95 or large > self.high * 1.05:
            what = f"The kernel's eigenvalues, {large:.2f} and {small:.2f} px^2, lie"
            if large < 0.005:  # to two digits nothing
                what = "The kernel is a point, no blur at all, which lies"
            return (
                f"{what} outside the training prior ({self.low:g} to {self.high:g} px^2): expect less than the tables "
                "show."
            )
        return None


@dataclass(frozen=True, eq=False)
class OneKernel:
    """The prior of a specialist: always the same kernel (k, k)."""

    kernel: Kernel

    @property
    def size(self) -> int:
        """Pixels a side."""
        return self.kernel.shape[-1]

    def sample(self, count: int, generator: torch.Generator, device: torch.device | str = "cpu") -> Kernels:
        """Return (count, size, size)."""
        return self.kernel.to(device).expand(count, -1, -1)

    def doubt(self, kernel: Kernel) -> str | None:
        """Say in one sentence that a kernel is another one, or return None when it is this one."""
        grid = kernel.new_zeros(2, *(max(kernel.shape[-1], self.size),) * 2)
        for plane, one in zip(grid, (kernel, self.kernel), strict=True):
            edge = (len(plane) - len(one)) // 2
            plane[edge : edge + len(one), edge : edge + len(one)] = one
        if (grid[0] - grid[1]).abs().max() > 0.01 * self.kernel.max():
            return "These weights were trained for one other kernel: expect less than the tables show."
        return None


def gaussian_text(lambda1: float, lambda2: float, theta: float) -> str:
    """Return one text for a Gaussian however its numbers were written, the `Setting.origin` of its kernel."""
    return f"gaussian {float(lambda1)!r} {float(lambda2)!r} {float(theta)!r}"


def _gaussian(name: str, lambda1: float, lambda2: float, theta: float, mode: Mode = "direct") -> Setting:
    kernel = gaussian_kernel(covariance(lambda1, lambda2, theta), TEST_SIZE)
    return Setting(name, kernel, mode, gaussian_text(lambda1, lambda2, theta))


def named() -> dict[str, Setting]:
    """Return the paper's settings by name: its four test kernels (Table 2) and plain bicubic (Table 1)."""
    settings = (
        _gaussian("g0.2d", 0.2, 0.2, 0.0),
        _gaussian("g2.0d", 2.0, 2.0, 0.0),
        _gaussian("gani_d", 4.0, 1.0, -0.5),
        _gaussian("g1.3b", 1.3, 1.3, 0.0, "bicubic"),
        Setting("bicubic", torch.ones(1, 1), "bicubic"),
    )
    return {setting.name: setting for setting in settings}


@functools.cache
def _paper() -> dict[tuple[str, Mode], str]:
    return {(setting.fingerprint, setting.mode): name for name, setting in named().items()}


def paper_name(fingerprint: str, mode: Mode) -> str | None:
    """Return what the paper calls the kernel of a `Setting.fingerprint` in a sampling, or None: names do not count."""
    return _paper().get((fingerprint, mode))
