"""PSNR and SSIM have the values one finds by hand, and the paper's protocol counts what it says."""

import math

import pytest
import torch
from helpers import close, picture

from mzsr_lib.files import InputError
from mzsr_lib.imaging import images, metrics


@pytest.mark.parametrize(("error", "data_range", "expected"), [(0.1, 1.0, 20), (0.01, 1.0, 40), (25.5, 255.0, 20)])
def test_psnr_by_hand(device, error, data_range, expected):
    reference = picture(device=device) * data_range
    assert metrics.psnr(reference + error, reference, data_range) == pytest.approx(expected, abs=1e-4)


def test_psnr_is_of_the_mean_square_not_the_mean():
    reference = torch.zeros(1, 1, 1, 4)
    wrong = torch.tensor([0.2, 0, 0, 0]).reshape(1, 1, 1, 4)
    assert metrics.psnr(wrong, reference) == pytest.approx(20, abs=1e-4)  # 0.04 / 4 = 0.1^2


def test_identical_pictures_have_no_error():
    assert metrics.psnr(picture(), picture()) == math.inf
    assert metrics.ssim(images.luma(picture()), images.luma(picture())) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("measure", [metrics.psnr, metrics.ssim])
def test_shapes_must_agree(measure):
    with pytest.raises(InputError, match=r"\(1, 1, 37, 31\) and \(1, 1, 31, 37\)"):
        measure(images.luma(picture()), images.luma(picture(31, 37)))


@pytest.mark.parametrize(("a", "b"), [(100.0, 120.0), (16.0, 235.0)])
def test_ssim_of_two_constants_by_hand(a, b):
    # Without variance only the luminance term stays: (2ab + C1) / (a^2 + b^2 + C1), C1 = (0.01 * 255)^2.
    c1 = 2.55**2
    flat = torch.ones(1, 1, 13, 17)
    assert metrics.ssim(a * flat, b * flat, 255) == pytest.approx((2 * a * b + c1) / (a * a + b * b + c1), rel=1e-9)


def test_ssim_of_opposite_noise_by_hand():
    # Zero-mean noise against its negative: covariance = -variance, so the structure term is near -1.
    noise = (picture(64, 64)[:, :1] - 0.5) * 200
    assert metrics.ssim(128 + noise, 128 - noise, 255) < -0.9


def gaussian_ssim(a: torch.Tensor, b: torch.Tensor) -> float:
    """SSIM as in Wang et al., Equation 13, written with an 11 x 11 window at every place it fits in."""
    axis = torch.arange(11).double() - 5
    line = torch.exp(-(axis**2) / (2 * 1.5**2))
    window = (line[:, None] * line / line.sum() ** 2)[None, None]

    def mean(x):
        return torch.nn.functional.conv2d(x.double(), window)

    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    ma, mb = mean(a), mean(b)
    va, vb, cov = mean(a * a) - ma**2, mean(b * b) - mb**2, mean(a * b) - ma * mb
    return float(((2 * ma * mb + c1) * (2 * cov + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2))).mean())


def test_ssim_is_wang_s():
    a = images.luma(picture(dtype=torch.float64))
    b = a + 20 * (images.luma(picture(seed=1, dtype=torch.float64)) - 125) / 60
    assert metrics.ssim(a, b, 255) == pytest.approx(gaussian_ssim(a, b), abs=1e-6)


def test_ssim_needs_its_window():
    with pytest.raises(InputError, match="at least 11 x 11 px and got 12 x 10"):
        metrics.ssim(torch.zeros(1, 1, 10, 12), torch.zeros(1, 1, 10, 12))


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_protocol_leaves_out_a_border_of_scale_pixels(device, scale):
    hr = picture(device=device)
    sr = hr.clone()
    sr[..., :scale, :] = sr[..., -scale:, :] = sr[..., :scale] = sr[..., -scale:] = 0
    assert metrics.protocol_psnr(sr, hr, scale) == math.inf
    sr[..., scale, scale] = 1 - hr[..., scale, scale].round()
    assert metrics.protocol_psnr(sr, hr, scale) < 100
    assert metrics.protocol_luma(hr, scale).shape == (1, 1, 37 - 2 * scale, 31 - 2 * scale)


def test_the_protocol_compares_integers_of_luma():
    # Grey 100/255 has Y = 16 + 219 * 100 / 255 = 101.88 -> 102, grey 101/255 has 102.74 -> 103: one step
    # of 255, 20 log10(255) = 48.1308 dB. Grey 100.4/255 is rounded to 100 first: no difference.
    hr, sr, same = (torch.full((1, 3, 21, 23), v / 255) for v in (100, 101, 100.4))
    assert metrics.protocol_luma(hr, 2).unique().tolist() == [102]
    assert metrics.protocol_psnr(sr, hr, 2) == pytest.approx(48.1308, abs=1e-4)
    assert metrics.protocol_psnr(same, hr, 2) == math.inf


def test_the_protocol_clips():
    hr = picture().round()
    assert metrics.protocol_psnr(hr * 3 - 1, hr, 2) == math.inf


def test_a_score_is_both_numbers():
    hr, sr = picture(), (picture() + 0.1 * picture(seed=1)).clamp(0, 1)
    score = metrics.score(sr, hr, 2)
    y = [metrics.protocol_luma(x, 2) for x in (sr, hr)]
    assert score == (metrics.psnr(*y, data_range=255), metrics.ssim(*y, data_range=255))
    assert 10 < score.psnr < 40
    assert 0 < score.ssim < 1


def test_without_a_border_the_whole_picture_counts():
    hr, sr = picture(), picture(seed=1)
    assert metrics.protocol_luma(hr, 0).shape[-2:] == hr.shape[-2:]
    score = metrics.score(sr, hr, 0)
    assert math.isfinite(score.psnr) and score.psnr == metrics.protocol_psnr(sr, hr, 0)


def test_a_score_is_that_of_one_picture():
    with pytest.raises(InputError, match="2 were given: take them one by one"):
        metrics.score(picture(batch=2), picture(batch=2), 2)


def test_nothing_is_left_inside_too_wide_a_border():
    with pytest.raises(InputError, match="nothing inside a border of 4 px"):
        metrics.protocol_psnr(picture(8, 31), picture(8, 31), 4)


def test_luma_of_the_protocol_is_on_one_channel():
    close(metrics.protocol_luma(torch.ones(2, 3, 9, 9), 2), torch.full((2, 1, 5, 5), 235.0), 0)
