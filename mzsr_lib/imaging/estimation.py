"""A blur kernel from the low-resolution picture alone: how steep the picture is over one pixel, against two.

A blur takes the steepest slopes first. At a sharp edge the slope over one pixel is twice that over two pixels;
at a soft one both are the same. `steepness` measures this in four directions, and sixteen numbers, fitted to
photographs with known blurs, turn it into a Gaussian kernel. What it assumes: a photograph that was
sharp on the high-resolution grid, a Gaussian blur, direct sampling by 2, and little noise or compression.
"""

import math
from dataclasses import dataclass

import torch

from mzsr_lib.files import InputError
from mzsr_lib.imaging import kernel_files, kernels
from mzsr_lib.imaging.images import is_flat, luma
from mzsr_lib.shapes import Covariances, Float, Images, Kernel, Planes, Tensor

# One pixel to the right, along the falling diagonal, down, along the rising diagonal: (x, y), y down.
DIRECTIONS = ((1, 0), (1, 1), (0, 1), (-1, 1))
# Means of these powers of the slopes: a higher power listens more to the sharpest edges.
POWERS = (1, 2, 4)
SMALLEST, LARGEST = 0.3, 6.0  # px^2: an estimate is kept between them
LEAST_SIDE = 24  # px of the low-resolution picture
OTHERWISE = "give the blur (--kernel), or take a method that is told none, such as --method bicubic"
NO_EDGE = f"The picture is flat, without an edge at which a blur could be measured: {OTHERWISE}."

Steepness = Float[Tensor, "... 4 3"]
Features = Float[Tensor, "... 3"]


@dataclass(frozen=True)
class Coefficients:
    """Sixteen numbers from steepness to a kernel, for sampling by 2.

    Attributes
    ----------
    width
        Ten: of 1, the three mean features and their six products, to the logarithm of the mean width in px.
    axes, diagonals
        Three each: of half the difference between the two axes, and between the two diagonals, to the
        difference of the widths relative to their mean.
    """

    width: tuple[float, ...]
    axes: tuple[float, ...]
    diagonals: tuple[float, ...]


# Fitted and measured by benchmarks/estimation.py; see results/lessons/kernel_estimation.csv.
SHIPPED = Coefficients(
    width=(1.143, -0.964, 4.772, -8.09, 1.117, -5.723, 2.532, -0.523, 3.929, 1.019),
    axes=(-2.402, 3.7, -3.783),
    diagonals=(-3.212, 3.412, -3.903),
)


@dataclass(frozen=True)
class Estimate:
    """A Gaussian blur: variances lambda1 >= lambda2 in px^2 on the high-resolution grid, theta in radians."""

    lambda1: float
    lambda2: float
    theta: float

    @classmethod
    def of(cls, cov: Covariances) -> "Estimate":
        """Return the Gaussian with a covariance (2, 2), in the order (x, y)."""
        (small, large), vectors = torch.linalg.eigh(cov)
        return cls(float(large), float(small), float(torch.atan2(vectors[1, 1], vectors[0, 1])) % math.pi)

    @property
    def text(self) -> str:
        """The three numbers as `kernel_files.parse` and the command line read them."""
        return f"{self.lambda1:.2f},{self.lambda2:.2f},{self.theta:.2f}"

    @property
    def setting(self) -> kernels.Setting:
        """The kernel, sampled directly."""
        return kernel_files.parse(self.text)

    @property
    def kernel(self) -> Kernel:
        """The kernel alone."""
        return self.setting.kernel


def check_side(lr: Images) -> None:
    """Raise `InputError` when a low-resolution picture (1, 3, h, w) is too small for its blur to be found."""
    height, width = lr.shape[-2:]
    if min(height, width) < LEAST_SIDE:
        raise InputError(
            f"The picture has {width} x {height} px, and how it is blurred can be found only from {LEAST_SIDE} px a "
            f"side on: {OTHERWISE}."
        )


def slopes(plane: Planes, direction: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Return the slopes of (1, 1, h, w) over one pixel and over two, per pixel, in a direction of `DIRECTIONS`.

    The first is the difference of neighbours, the second half the difference of pixels two apart.

    Examples
    --------
    >>> one, two = slopes(torch.tensor([0.0, 0.0, 1.0, 1.0]).reshape(1, 1, 1, 4), (1, 0))
    >>> one.flatten().tolist(), two.flatten().tolist()
    ([0.0, 1.0, 0.0], [0.5, 0.5])
    """
    x, y = direction
    plane = plane.flip(-1) if x < 0 else plane
    height, width = plane.shape[-2:]

    def apart(steps: int) -> Tensor:
        dx, dy = steps * abs(x), steps * y
        return (plane[..., dy:, dx:] - plane[..., : height - dy, : width - dx]) / steps

    return apart(1), apart(2)


def steepness(lr: Images) -> Float[Tensor, "4 3"]:
    """Return log(slope over one pixel / slope over two), for four directions and three powers.

    Parameters
    ----------
    lr
        (1, 3, h, w) in [0, 1]. Brightness and contrast do not matter: only a ratio is taken.

    Raises
    ------
    InputError
        If the picture is smaller than 24 px, or has no slope in some direction.
    """
    check_side(lr)
    if is_flat(lr):
        raise InputError(NO_EDGE)
    plane, rows = luma(lr).double(), []
    for direction in DIRECTIONS:
        one, two = slopes(plane, direction)
        means = [[slope.abs().pow(power).mean() ** (1 / power) for power in POWERS] for slope in (one, two)]
        near, far = (torch.stack(values) for values in means)
        if float(far.min()) <= 1e-6:
            raise InputError(NO_EDGE)
        rows.append(torch.log(near / far))
    return torch.stack(rows).to(lr)


def estimate(lr: Images, coefficients: Coefficients = SHIPPED) -> Estimate:
    """Return the Gaussian blur that a low-resolution picture (1, 3, h, w) seems to have, for scale 2.

    Raises
    ------
    InputError
        As `steepness`.
    """
    width, along, slant = predict(steepness(lr).double().cpu(), coefficients)
    low, high = math.sqrt(SMALLEST), math.sqrt(LARGEST)
    gap = torch.hypot(along, slant)
    large, small = (float((width + side * gap).clamp(low, high)) for side in (1, -1))
    return Estimate(large**2, small**2, float(torch.atan2(slant, along)) / 2 % math.pi)


def width_error(found: Estimate, lambda1: float, lambda2: float) -> float:
    """Return the mean absolute error of the two widths, the square roots of the eigenvalues, in px."""
    pairs = ((found.lambda1, lambda1), (found.lambda2, lambda2))
    return sum(abs(math.sqrt(ours) - math.sqrt(true)) for ours, true in pairs) / 2


def predict(measured: Steepness, coefficients: Coefficients) -> tuple[Tensor, Tensor, Tensor]:
    """Return (a, b, c), px, of the square root [[a + b, c], [c, a - b]] of the covariance."""
    mean, axes, diagonals = features(measured)
    vectors = (coefficients.width, coefficients.axes, coefficients.diagonals)
    width, along, slant = (measured.new_tensor(values) for values in vectors)
    a = torch.exp(products(mean) @ width)
    return a, a * (axes @ along), a * (diagonals @ slant)


def features(measured: Steepness) -> tuple[Features, Features, Features]:
    """Return the mean over the directions, and the half differences of the axes and of the diagonals."""
    right, fall, down, rise = measured.unbind(-2)
    return (right + fall + down + rise) / 4, (right - down) / 2, (fall - rise) / 2


def products(mean: Features) -> Float[Tensor, "... 10"]:
    """Return 1, the three features and their six products."""
    first, second = torch.triu_indices(3, 3)
    return torch.cat([torch.ones_like(mean[..., :1]), mean, mean[..., first] * mean[..., second]], dim=-1)
