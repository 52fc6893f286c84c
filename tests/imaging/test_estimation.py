"""The kernel from the picture alone: steepness by hand, symmetries, and blurs that are known."""

import math

import pytest
import torch
from helpers import benchmark, close, picture

from mzsr_lib.benchmark import datasets
from mzsr_lib.files import InputError
from mzsr_lib.imaging import estimation, images, kernels
from mzsr_lib.imaging.degradation import Degradation
from mzsr_lib.imaging.estimation import Coefficients, Estimate


def blurred(name: str, lambda1: float, lambda2: float, theta: float) -> torch.Tensor:
    hr = images.crop_to_multiple(datasets.example(name), 4)
    return Degradation(kernels.gaussian_kernel(kernels.covariance(lambda1, lambda2, theta), 21), 2)(hr)


def turned(found: Estimate, truth: float) -> float:
    """How far the angle is off, as an axis without a direction."""
    return abs((found.theta - truth + math.pi / 2) % math.pi - math.pi / 2)


def test_slopes_of_a_step_by_hand():
    step = torch.tensor([0.0, 0.0, 1.0, 1.0]).expand(1, 1, 3, 4)
    one, two = estimation.slopes(step, (1, 0))
    assert one[0, 0, 0].tolist() == [0, 1, 0] and two[0, 0, 0].tolist() == [0.5, 0.5]
    falling, _ = estimation.slopes(step, (1, 1))
    rising, _ = estimation.slopes(step, (-1, 1))
    assert falling[0, 0].tolist() == [[0, 1, 0]] * 2 and rising[0, 0].tolist() == [[0, -1, 0]] * 2


def test_a_ramp_is_as_steep_over_one_pixel_as_over_two():
    axis = torch.linspace(0.2, 0.8, 31)
    ramp = (axis[None] + axis[:, None] / 7).clamp(0, 1).expand(1, 3, -1, -1)
    close(estimation.steepness(ramp), torch.zeros(4, 3), 1e-3)


def test_contrast_and_brightness_do_not_matter():
    lr = picture(33, 40)
    close(estimation.steepness(lr * 0.5 + 0.2), estimation.steepness(lr), 1e-4)


def test_a_mirrored_picture_has_the_mirrored_kernel():
    lr = blurred("coffee", 4.0, 1.0, 0.5)
    plain, mirrored = estimation.estimate(lr), estimation.estimate(lr.flip(-1))
    turn = estimation.estimate(lr.transpose(-2, -1))
    for other in (mirrored, turn):
        assert (other.lambda1, other.lambda2) == pytest.approx((plain.lambda1, plain.lambda2), rel=1e-5)
    assert turned(mirrored, -plain.theta) < 1e-5
    assert turned(turn, math.pi / 2 - plain.theta) < 1e-5


@pytest.mark.parametrize("name", ["astronaut", "coffee", "rocket"])
@pytest.mark.parametrize("truth", [(0.5, 0.5, 0.0), (2.0, 2.0, 0.0), (4.0, 1.0, -0.5), (4.0, 4.0, 0.0)])
def test_a_known_blur_is_found_on_pictures_that_are_not_fitted(name, truth):
    found = estimation.estimate(blurred(name, *truth))
    assert estimation.width_error(found, truth[0], truth[1]) < 0.4
    assert truth[0] == truth[1] or turned(found, truth[2]) < 0.3


@pytest.mark.parametrize("name", datasets.EXAMPLES)
def test_a_wider_blur_gives_a_wider_estimate(name):
    widths = [estimation.estimate(blurred(name, v, v, 0.0)).lambda1 for v in (0.5, 1.0, 2.0, 4.0)]
    assert widths == sorted(widths)


def test_an_estimate_stays_within_its_range():
    for wild in (8.0, -8.0):
        always = Coefficients((wild,) + (0.0,) * 9, (0.0,) * 3, (0.0,) * 3)
        found = estimation.estimate(picture(30, 27), always)
        limit = estimation.LARGEST if wild > 0 else estimation.SMALLEST
        assert found.lambda1 == pytest.approx(limit) and found.lambda2 == pytest.approx(limit)


def test_the_text_is_what_the_command_line_reads():
    found = Estimate(4.0, 1.0, 0.5)
    assert found.text == "4.00,1.00,0.50"
    close(found.kernel, kernels.gaussian_kernel(kernels.covariance(4.0, 1.0, 0.5), 21), 1e-7)
    assert found.setting.mode == "direct"


def test_fit_finds_the_numbers_that_made_the_data():
    generator = torch.Generator().manual_seed(3)
    measured = torch.rand(400, 4, 3, generator=generator, dtype=torch.float64) * 0.3
    made = Coefficients((0.1, 0.5, -0.4, 0.3, *(0.2,) * 6), (0.1, -0.2, 0.3), (-0.3, 0.1, 0.2))
    a, b, c = estimation.predict(measured, made)
    root = torch.stack([torch.stack([a + b, c], -1), torch.stack([c, a - b], -1)], -2)
    again = benchmark("estimation").fit(measured, root @ root, ridge=1e-12)
    for field in ("width", "axes", "diagonals"):
        assert getattr(again, field) == pytest.approx(getattr(made, field), abs=2e-3)


def test_width_error_by_hand():
    assert estimation.width_error(Estimate(4.0, 1.0, 0.0), 1.0, 1.0) == 0.5


def test_what_cannot_be_measured_is_said():
    with pytest.raises(InputError, match="40 x 23 px"):
        estimation.estimate(picture(23, 40))
    with pytest.raises(InputError, match="flat"):
        estimation.estimate(torch.full((1, 3, 40, 40), 0.5))
    with pytest.raises(InputError, match="flat"):  # the steps of rounding are no edges
        estimation.estimate(images.round_to_8_bits(torch.linspace(0.4, 0.5, 60).expand(1, 3, 60, 60)))


def test_a_covariance_and_its_three_numbers_are_the_same():
    for numbers in ((4.0, 1.0, 0.5), (2.5, 2.0, 2.9), (3.0, 0.5, 0.0)):
        found = Estimate.of(kernels.covariance(*numbers))
        close(kernels.covariance(found.lambda1, found.lambda2, found.theta), kernels.covariance(*numbers), 1e-5)


def test_grey_planes_count_as_their_luma():
    lr = picture(30, 31)
    grey = (images.luma(lr) - 16) / 219
    close(estimation.steepness(grey.expand(1, 3, -1, -1)), estimation.steepness(lr), 1e-4)


def test_dtype_is_kept():
    assert estimation.steepness(picture(30, 31)).dtype == torch.float32
