"""What happens to photographs in the benchmark is what its rows say, and the score forgives a shift alone."""

import pytest
import torch
from helpers import close, picture

from mzsr_lib.benchmark import treatments
from mzsr_lib.benchmark.treatments import ROWS, Treatment, aligned_psnr, kernel_of
from mzsr_lib.imaging import images, resize
from mzsr_lib.imaging.degradation import from_setting
from mzsr_lib.imaging.kernels import moments, named
from mzsr_lib.runtime import generator_for

HR = picture(48, 44)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_row_makes_a_picture_of_half_the_size_in_8_bits_and_the_same_again(row):
    lr, again = (row(HR, generator_for(0)) for _ in range(2))
    assert lr.shape == (1, 3, 24, 22)
    assert torch.equal(lr, again)
    close(lr * 255, (lr * 255).round(), 1e-3)


def test_the_first_row_is_the_paper_s_camera_and_lanczos_and_area_are_shrinking_alone():
    close(ROWS[0](HR, generator_for(0)), from_setting(named()["g2.0d"])(HR), 1.5 / 255)
    area = Treatment("area", program="area")(HR, generator_for(0))
    close(area, images.round_to_8_bits(torch.nn.functional.avg_pool2d(HR, 2)), 1.5 / 255)


@pytest.mark.parametrize("blur", ["", "gaussian 2.0", "disk 3", "motion 7", "shake 9", "cross 3", "ring 3"])
def test_blurs_sum_to_one_around_the_middle(blur):
    kernel = kernel_of(blur)
    close(kernel.sum(), 1, 1e-5)
    close(moments(kernel)[0], [0, 0], 0.05)


def test_noise_is_as_strong_as_the_row_says():
    flat = torch.full((1, 3, 96, 96), 0.5)
    lr = Treatment("noise", noise=5)(flat, generator_for(0))
    close((lr - 0.5).std() * 255, torch.tensor(5.0), 0.2)


def test_a_shift_of_half_a_pixel_costs_nothing_and_one_of_three_does():
    smooth = torch.nn.functional.interpolate(picture(8, 8), scale_factor=8, mode="bicubic").clamp(0, 1)
    noisy = smooth + 0.02 * torch.randn(smooth.shape, generator=generator_for(0))
    score = aligned_psnr(noisy, smooth)
    assert aligned_psnr(resize.shift(smooth, 0.5, -1.0), smooth) > score
    assert aligned_psnr(resize.shift(smooth, 3.0), smooth) < score


def test_it_is_at_least_the_psnr_of_the_luma_where_it_lies():
    a, b = picture(40, 40), picture(40, 40, seed=1)
    inner = slice(treatments.BORDER, -treatments.BORDER)
    error = (images.luma(a) - images.luma(b))[..., inner, inner].square().mean()
    assert aligned_psnr(a, b) >= float(10 * torch.log10(255**2 / error)) - 1e-4
