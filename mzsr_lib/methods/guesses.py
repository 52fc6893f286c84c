"""What a photograph seems to have gone through, how sure that is, and what the network is told of it."""

import functools
import math
from dataclasses import dataclass

import torch

from mzsr_lib.files import InputError
from mzsr_lib.imaging.cameras import LARGEST_DOUBT, TOLD_SIZE, positive
from mzsr_lib.imaging.degradation import Degradation
from mzsr_lib.imaging.kernels import gaussian_kernel
from mzsr_lib.models import weights
from mzsr_lib.models.estimator import Estimator, Finding, look
from mzsr_lib.shapes import Images

METHOD = "estimate"  # what the weights of the estimator say they are for
LEAST_SIDE = 24  # px of the low-resolution picture
DOUBTFUL = 0.35  # expected error of the logarithm of the width, from which on a picture is taken for a sharp one


@dataclass(frozen=True)
class Guess:
    """What is told of a picture, and why.

    Attributes
    ----------
    finding
        What the estimator saw.
    scale
        Of the enlargement.
    """

    finding: Finding
    scale: int

    @property
    def trusted(self) -> bool:
        """Whether the blur that was found is told, and not none."""
        return self.finding.width_spread < DOUBTFUL

    @property
    def degradation(self) -> Degradation:
        """A Gaussian blur, shrunk by bicubic: the result lies as an ordinary enlargement does."""
        cov = positive(self.finding.covariance[None].float() * self.scale**2 * self.trusted)
        # The standard deviation of Laplace's distribution, of which the estimator gives the mean absolute error.
        doubt = min(math.sqrt(2) * self.finding.width_spread, LARGEST_DOUBT)
        kernel = gaussian_kernel(cov, TOLD_SIZE)[0]
        return Degradation(kernel, self.scale, "bicubic", self.finding.noise, doubt)

    @property
    def sentence(self) -> str:
        """What was found, in one sentence."""
        noise = f"disturbances of {self.finding.noise * 255:.1f} grey levels"
        if not self.trusted:
            return f"How the picture is blurred cannot be told from it, so no blur is undone; it has {noise}."
        widths = torch.linalg.eigvalsh(self.finding.covariance).clamp(min=0).sqrt() * self.scale
        narrow, wide = widths.tolist()
        return (
            f"The picture seems blurred by {wide:.1f} x {narrow:.1f} px of the result (standard deviations, give or "
            f"take {100 * self.finding.width_spread:.0f} %), and has {noise}."
        )


@functools.cache
def _estimator(name: str, device: str) -> Estimator:
    network = weights.load(name, device).network
    assert isinstance(network, Estimator)
    return network


def guess(lr: Images, scale: int) -> Guess:
    """Return what a picture (1, 3, h, w) seems to have gone through before it was to be enlarged by `scale`.

    Raises
    ------
    InputError
        If the picture is smaller than 24 px, or no estimator is shipped.
    """
    name = weights.default(METHOD, scale)
    if name is None:
        raise InputError(f"No estimator is shipped for scale {scale}: give the kernel (--kernel).")
    if min(lr.shape[-2:]) < LEAST_SIDE:
        size = f"{lr.shape[-1]} x {lr.shape[-2]} px"
        raise InputError(f"A picture of {size} is too small to estimate a kernel: give at least {LEAST_SIDE} px.")
    return Guess(look(_estimator(name, str(lr.device)), lr), scale)
