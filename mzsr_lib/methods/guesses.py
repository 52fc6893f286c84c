"""What a photograph seems to have gone through, how sure that is, and what the network is told of it."""

import functools
import math
from dataclasses import dataclass, replace

import torch

from mzsr_lib.imaging import estimation
from mzsr_lib.imaging.cameras import LARGEST_DOUBT, positive
from mzsr_lib.imaging.compression import compression
from mzsr_lib.imaging.degradation import Degradation
from mzsr_lib.imaging.kernels import gaussian_kernel, moments, of_symmetric, resampled
from mzsr_lib.methods import catalogue
from mzsr_lib.models import weights
from mzsr_lib.models.estimator import FINE, Estimator, Finding, look
from mzsr_lib.shapes import Covariances, Images

METHOD = "estimate"  # what the weights of the estimator say they are for
ESTIMATED_AT = 2  # the scale the estimator was trained at: it sees the low-resolution grid alone, and serves all
TOLD_SPREAD = 0.2  # standard deviation of the logarithm of a width that somebody tells
CLEAN = 2.0  # grey levels; of a clean picture, which has rounding alone, the estimator says one or two
DISTURBED = 4.0  # grey levels, from which on a method that is told no noise ends in grain or blocks
NARROW = 0.5  # px; a blur that is narrower is hardly one, and the ratio of two such widths says nothing
ALIKE = 0.05  # largest sum of differences between a kernel and a Gaussian that it is taken for
DOUBTFUL = 0.35  # expected error of the logarithm of the width, from which on a picture is taken for a sharp one


def told_size(scale: int) -> int:
    """Return how many px a side the kernels have that are told of a picture: they grow with the scale."""
    return 8 * scale - 1


@dataclass(frozen=True)
class Guess:
    """What is told of a picture, and why.

    Attributes
    ----------
    finding
        What the estimator saw; its noise is at least what the compression did.
    scale
        Of the enlargement.
    quality
        Of the JPEG that the picture once was, see `compression.compression`; None when it seems to have been none.
    noise_is_told
        Whether the noise is what somebody said, and not what was found.
    """

    finding: Finding
    scale: int
    quality: int | None = None
    noise_is_told: bool = False

    def told(self, noise: float) -> "Guess":
        """Return the same with the noise, in [0, 1], that somebody said."""
        return replace(self, finding=self.finding._replace(noise=noise), quality=None, noise_is_told=True)

    @property
    def trusted(self) -> bool:
        """Whether the blur that was found is told, and not none."""
        return self.finding.width_spread < DOUBTFUL

    @property
    def covariance(self) -> Covariances:
        """Of the blur that is told, px^2 of the result; the least there is when none is trusted."""
        return positive(self.finding.covariance[None].float() * self.scale**2 * self.trusted)[0]

    @property
    def degradation(self) -> Degradation:
        """The blur as it seems, or none, shrunk by bicubic: the result lies as an ordinary enlargement does."""
        # The standard deviation of Laplace's distribution, of which the estimator gives the mean absolute error.
        doubt = min(math.sqrt(2) * self.finding.width_spread, LARGEST_DOUBT)
        shape, size = self.finding.kernel, told_size(self.scale)
        if self.trusted:
            (kernel,) = resampled(shape[None], torch.eye(2).to(shape)[None] * FINE / self.scale, size)
        else:
            kernel = gaussian_kernel(self.covariance, size)
        return Degradation(kernel, self.scale, "bicubic", self.finding.noise, doubt)

    @property
    def disturbances(self) -> str:
        """How strong the noise is, in words, and that of a JPEG."""
        level = f"{self.finding.noise * 255:.1f} grey levels"
        if self.noise_is_told:
            return f"noise of {level}, as you say"
        once = f" (it was a JPEG of quality {self.quality})" if self.quality is not None else ""
        return f"disturbances of {level}{once}"

    @property
    def sentence(self) -> str:
        """What was found, and what to write for the same."""
        if not self.trusted:
            return f"How the picture is blurred cannot be told from it, so none is undone; it has {self.disturbances}."
        blur = estimation.Estimate.of(self.covariance)
        return (
            f"The picture seems blurred by {blur.lambda1**0.5:.1f} x {blur.lambda2**0.5:.1f} px of the result "
            f"(standard deviations, give or take {100 * self.finding.width_spread:.0f} %), and has {self.disturbances}."
            f" That blur as a Gaussian: --method photo --kernel {blur.text} --mode bicubic."
        )


def noise(lr: Images) -> tuple[float, list[str]]:
    """Return the noise that is told beside a kernel that is known, in [0, 1], and what a user should read of it.

    What is hardly any, or cannot be found because the picture is too small, is none.
    """
    found = _disturbed(lr, CLEAN)
    if found is None:
        return 0.0, []
    return found.finding.noise, [f"The picture has {found.disturbances}, which are told to the network (--noise)."]


def not_told(lr: Images, method: str) -> list[str]:
    """Return what a user should read of a picture that is too noisy for a method that is told no noise."""
    found, able = _disturbed(lr, DISTURBED), " or ".join(catalogue.names(lambda entry: entry.told_noise))
    if found is None:
        return []
    return [f"The picture has {found.disturbances}, which {method} sharpens with the rest: --method {able} does not."]


def _disturbed(lr: Images, least: float) -> Guess | None:
    """Return what was found in a picture with disturbances of so many grey levels; None if it has fewer, or is tiny."""
    if min(lr.shape[-2:]) < estimation.LEAST_SIDE:
        return None
    found = guess(lr, ESTIMATED_AT)
    return found if found.finding.noise * 255 >= least else None


def reconciled(told: Degradation, found: Guess) -> tuple[Degradation, str]:
    """Return what is told of a picture when somebody has told a kernel, and one sentence on it.

    A Gaussian moves towards the one that was found, in its logarithm, each with the weight of how sure it is: a width
    that is told may be wrong by a fifth. What is no Gaussian stays as it is, and so does next to no blur. On Set14
    (variances 1, 2, 3.5 px^2; `benchmarks/told_wrong.py`) a standard deviation that is a fifth too small or too large
    then costs up to 0.3 dB beside the true one, and 0.8 to 1.4 if it is believed. The price: told the truth it is 0.3
    to 0.6 dB lower.
    """
    centre, cov = moments(told.kernel)
    gaussian = gaussian_kernel(cov, told.kernel.shape[-1]) if bool(torch.linalg.det(cov) > 0) else None
    narrow = float(torch.linalg.eigvalsh(cov)[0].clamp(min=0).sqrt()) < NARROW
    if gaussian is None or narrow or float((gaussian - told.kernel).abs().sum() + centre.abs().max()) > ALIKE:
        return told, f"The picture has {found.disturbances}."
    # Sharpness and blur are told apart by the estimator whatever the sampling: a cubic has no second moment.
    seen = positive(found.finding.covariance[None].to(cov) * told.scale**2)[0]
    spread = math.sqrt(2) * found.finding.width_spread
    share = TOLD_SPREAD**2 / (TOLD_SPREAD**2 + spread**2)  # of what was found
    between = of_symmetric(
        (1 - share) * of_symmetric(cov, torch.log) + share * of_symmetric(seen, torch.log), torch.exp
    )
    kernel = gaussian_kernel(between, told_size(told.scale))
    widths = [float(torch.linalg.det(each) ** 0.25) for each in (cov, seen, between)]
    seems = f"and {widths[1]:.2f} px as it seems, give or take {100 * found.finding.width_spread:.0f} %"
    sentence = (
        f"The kernel is {widths[0]:.2f} px wide as you say (standard deviation), "
        f"{seems if found.trusted else 'and the picture does not tell'}: {widths[2]:.2f} px are taken. The "
        f"picture has {found.disturbances}."
    )
    return replace(told, kernel=kernel, doubt=min(math.sqrt(share) * spread, LARGEST_DOUBT)), sentence


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
        If the picture is smaller than 24 px.
    """
    name = weights.default(METHOD, ESTIMATED_AT)
    estimation.check_side(lr)
    finding, found = look(_estimator(name, str(lr.device)), lr), compression(lr)
    if found is None:
        return Guess(finding, scale)
    return Guess(finding._replace(noise=max(finding.noise, found.disturbance)), scale, found.quality)
