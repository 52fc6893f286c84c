"""Blur kernels have the moments that were asked for, and a user's kernel is checked at the border."""

import math

import numpy as np
import pytest
import torch
from helpers import close

from mzsr_lib.files import InputError
from mzsr_lib.imaging import kernel_files, kernels
from mzsr_lib.imaging.kernels import KernelPrior
from mzsr_lib.runtime import generator_for

ANGLES = (0.0, 0.3, -0.5, 1.2, 2.5)


def uneven(size: int = 5) -> np.ndarray:
    """A kernel without any symmetry."""
    return np.arange(1.0, size * size + 1).reshape(size, size) ** 2


@pytest.mark.parametrize("variances", [(-1.0, 2.0), (2.0, 0.0), (float("nan"), 1.0)])
def test_a_variance_is_positive(variances):
    with pytest.raises(InputError, match="both must be positive"):
        kernels.covariance(*variances, 0.0)


def test_covariance_by_hand():
    close(kernels.covariance(4.0, 1.0, 0.0), [[4, 0], [0, 1]], 1e-6)
    close(kernels.covariance(4.0, 1.0, math.pi / 2), [[1, 0], [0, 4]], 1e-6)
    # At 45 degrees, y down: x and y grow together, (4 + 1) / 2 and (4 - 1) / 2.
    close(kernels.covariance(4.0, 1.0, math.pi / 4), [[2.5, 1.5], [1.5, 2.5]], 1e-6)


@pytest.mark.parametrize("theta", ANGLES)
def test_covariance_keeps_its_eigenvalues_and_turns_by_pi_into_itself(theta):
    cov = kernels.covariance(4.0, 0.5, theta)
    close(torch.linalg.eigvalsh(cov), [0.5, 4.0], 1e-5)
    close(kernels.covariance(4.0, 0.5, theta + math.pi), cov, 1e-5)
    axis = torch.tensor([math.cos(theta), math.sin(theta)])
    close(cov @ axis, 4 * axis, 1e-5)


def test_a_circle_has_no_direction():
    close(kernels.covariance(2.0, 2.0, 0.7), 2 * torch.eye(2), 1e-6)


@pytest.mark.parametrize("theta", ANGLES)
def test_a_wide_kernel_has_the_covariance_asked_for(device, theta):
    # On a grid and cut off, a Gaussian keeps its moments when it is smooth (1 px^2) and small inside it.
    cov = kernels.covariance(4.0, 1.0, theta).to(device)
    kernel = kernels.gaussian_kernel(cov, 31)
    mean, found = kernels.moments(kernel)
    close(mean, [0, 0], 1e-5)
    close(found, cov, 1e-4)
    close(kernel.sum(), 1, 1e-6)


@pytest.mark.parametrize("size", [1, 3, 15, 21])
def test_a_gaussian_is_centred_positive_and_sums_to_one(size):
    kernel = kernels.gaussian_kernel(kernels.covariance(3.0, 0.2, 0.4), size)
    assert kernel.shape == (size, size)
    assert (kernel >= 0).all()
    assert kernel.argmax() == size * size // 2
    close(kernel.sum(), 1, 1e-6)
    close(kernel.flip(0, 1), kernel, 1e-7)


def test_a_gaussian_by_hand():
    # Variance 2: exp(-1/4) one pixel and exp(-1/2) one diagonal away from the centre.
    kernel = kernels.gaussian_kernel(kernels.covariance(2.0, 2.0, 0.0), 3)
    close(kernel[1, 0] / kernel[1, 1], math.exp(-0.25), 1e-6)
    close(kernel[0, 0] / kernel[1, 1], math.exp(-0.5), 1e-6)


def test_the_main_axis_lies_along_theta_with_y_down():
    kernel = kernels.gaussian_kernel(kernels.covariance(4.0, 0.5, math.pi / 4), 9)
    assert kernel[6, 6] > 10 * kernel[6, 2]
    wide = kernels.gaussian_kernel(kernels.covariance(4.0, 0.5, 0.0), 9)
    assert wide[4, 6] > 10 * wide[6, 4]


def test_many_gaussians_are_made_at_once():
    cov = torch.stack([kernels.covariance(2.0 + i, 1.0, 0.3 * i) for i in range(3)])
    many = kernels.gaussian_kernel(cov, 11)
    for one, kernel in zip(cov, many, strict=True):
        close(kernels.gaussian_kernel(one, 11), kernel, 1e-7)


@pytest.mark.parametrize("size", [0, 4, -3])
def test_a_kernel_needs_a_centre(size):
    with pytest.raises(InputError, match=f"size of a kernel is {size}: it must be odd"):
        kernels.gaussian_kernel(torch.eye(2), size)


def test_moments_by_hand():
    kernel = torch.zeros(3, 3)
    kernel[1, 2], kernel[1, 1] = 0.5, 0.5  # half a pixel to the right
    mean, cov = kernels.moments(kernel)
    close(mean, [0.5, 0], 1e-7)
    close(cov, [[0.25, 0], [0, 0]], 1e-7)


# Paper, Table 2 and Section 4.1: variances in px^2, theta in radians; the last is no blur at all.
PAPER = {
    "g0.2d": ((0.2, 0.2, 0.0), "direct"),
    "g2.0d": ((2.0, 2.0, 0.0), "direct"),
    "gani_d": ((4.0, 1.0, -0.5), "direct"),
    "g1.3b": ((1.3, 1.3, 0.0), "bicubic"),
}


@pytest.mark.parametrize("size", [9, 21])
def test_a_kernel_on_another_grid_is_stretched_and_turned(size, device):
    cov = kernels.covariance(3.0, 2.0, 0.4).to(device)
    stretch = torch.tensor([[1.1, 0.2], [-0.1, 0.9]], device=device)
    wide = kernels.gaussian_kernel(cov, 25)
    (found,) = kernels.resampled(wide[None], stretch[None], size)
    inverse = torch.linalg.inv(stretch)
    expected = kernels.gaussian_kernel(inverse @ cov @ inverse.T, size)
    close(found.sum(), 1.0, 1e-5)
    close(found, expected, 0.02 * float(expected.max()))
    close(kernels.resampled(wide[None], torch.eye(2, device=device)[None], 25)[0], wide, 1e-6)


def test_the_paper_s_settings_are_the_named_ones():
    assert list(kernels.named()) == [*PAPER, "bicubic"]
    assert kernels.named()["bicubic"].mode == "bicubic"
    close(kernels.named()["bicubic"].kernel, [[1]], 0)


@pytest.mark.parametrize("name", PAPER)
def test_a_named_kernel_is_the_paper_s(name):
    numbers, mode = PAPER[name]
    setting = kernels.named()[name]
    assert (setting.name, setting.mode) == (name, mode)
    assert setting.kernel.shape == (21, 21)
    close(setting.kernel, kernels.gaussian_kernel(kernels.covariance(*numbers), 21), 1e-7)
    assert kernel_files.parse(name).mode == mode
    assert torch.equal(kernel_files.parse(name).kernel, setting.kernel)


def test_g02d_by_hand():
    # exp(-1 / 0.4) = 0.082085 beside the centre; (1 + 2 * 0.082085 + ...)^-2 = 0.737642 in it.
    kernel = kernels.named()["g0.2d"].kernel
    close(kernel[10, 11] / kernel[10, 10], 0.082085, 1e-6)
    close(kernel[10, 10], (1 + 2 * (math.exp(-2.5) + math.exp(-10))) ** -2, 1e-6)


def test_gani_leans_up_to_the_right():
    # theta = -0.5 with y down: where x grows, y falls.
    _, cov = kernels.moments(kernels.named()["gani_d"].kernel)
    close(cov[0, 1], -1.5 * math.sin(1.0), 1e-2)


def test_the_prior_stays_inside_its_bounds(device):
    prior = KernelPrior(low=1.0, high=5.0, size=31)
    drawn = prior.sample(200, generator_for("prior", device=device), device)
    assert drawn.shape == (200, 31, 31)
    close(drawn.sum((1, 2)), torch.ones(200), 1e-5)
    values = torch.stack([torch.linalg.eigvalsh(kernels.moments(k)[1].cpu()) for k in drawn])
    assert 0.98 < values.min() < 1.1
    assert 4.5 < values.max() < 5.02
    # lambda1 ~ U(1, 5) has mean 3, lambda2 ~ U(1, lambda1) has mean 2; four standard errors of 200 draws.
    close(values.mean(0), [2.0, 3.0], 0.35)


def test_the_prior_turns_all_ways():
    drawn = KernelPrior(1.0, 5.0, 21).sample(200, generator_for("turn"))
    off = torch.stack([kernels.moments(k)[1][0, 1] for k in drawn])
    assert 60 < int((off > 0).sum()) < 140


def test_the_prior_gives_the_same_again():
    first, again, other = (KernelPrior().sample(3, generator_for(key)) for key in "aab")
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("settings", [(0.0, 5.0, 15), (3.0, 2.0, 15), (1.0, 5.0, 14), (1.0, 5.0, -1)])
def test_an_impossible_prior_is_refused(settings):
    with pytest.raises(InputError, match="are no prior"):
        KernelPrior(*settings)


@pytest.mark.parametrize(("name", "inside"), [("g2.0d", True), ("gani_d", True), ("g0.2d", False)])
def test_a_kernel_outside_the_prior_is_doubted(name, inside):
    doubt = KernelPrior().doubt(kernels.named()[name].kernel)
    assert (doubt is None) == inside
    assert inside or "outside the training prior (1 to 5 px^2)" in doubt
    assert KernelPrior(low=0.2).doubt(kernels.named()[name].kernel) is None


def test_too_wide_kernels_are_doubted_and_shifted_ones_are_not():
    wide = kernels.gaussian_kernel(kernels.covariance(6.0, 2.0, 0.0), 31)
    assert "6.00 and 2.00 px^2" in KernelPrior().doubt(wide)
    assert KernelPrior().doubt(kernels.named()["g2.0d"].kernel.roll(2, 1)) is None


def test_numbers_are_a_kernel():
    setting = kernel_files.parse("4.0,1.0,-0.5")
    assert (setting.name, setting.mode) == ("4.0,1.0,-0.5", "direct")
    assert torch.equal(setting.kernel, kernels.named()["gani_d"].kernel)


def test_a_wide_kernel_gets_a_wide_grid():
    kernel = kernel_files.parse("100,25,0.4").kernel
    assert kernel.shape == (61, 61)  # three standard deviations of 10 px to each side


BAD_NUMBERS = ["1,2,0", "4,0,0", "4,-1,0", "nan,1,0", "4,1,inf", "a,b,c", "400,1,0", "1e300,1,0", "1,2", "g3.0d", ""]
# Numbers of which single precision makes nothing, or a wrong angle without a word.
BAD_NUMBERS += ["4,1,1e308", "4,1,123456789", "9,1e-7,0.785398", "1e-30,1e-30,0"]
BAD_NUMBERS += ["4,1,90", "4,1,-6.3"]  # degrees, or more than a full turn


@pytest.mark.parametrize("text", BAD_NUMBERS)
def test_what_is_no_kernel_is_one_sentence(text):
    with pytest.raises(InputError) as caught:
        kernel_files.parse(text)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_angle_in_degrees_is_told_in_radians():
    with pytest.raises(InputError, match=r"90, more than a full turn: it is in radians, so that 90 degrees are 1\.57"):
        kernel_files.parse("4,1,90")
    full = kernel_files.parse(f"4,1,{2 * math.pi}").kernel
    assert torch.allclose(full, kernel_files.parse("4,1,0").kernel, atol=1e-6)


def test_the_prior_of_a_specialist_is_one_kernel_and_knows_others():
    known = kernels.named()
    prior = kernels.OneKernel(known["gani_d"].kernel)
    drawn = prior.sample(3, torch.Generator().manual_seed(1))
    assert drawn.shape == (3, prior.size, prior.size)
    assert all(torch.equal(kernel, prior.kernel) for kernel in drawn)
    assert prior.doubt(known["gani_d"].kernel) is None
    smaller = kernels.gaussian_kernel(kernels.covariance(4.0, 1.0, -0.5), 15)
    assert prior.doubt(smaller) is None
    for other in ("g2.0d", "g1.3b", "bicubic"):
        assert "one other kernel" in prior.doubt(known[other].kernel)
