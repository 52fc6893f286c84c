"""The bicubic is MATLAB's, checked against its definition written as one matrix; padding is numpy's."""

import numpy as np
import pytest
import torch
from helpers import HEIGHT, WIDTH, close, picture

from mzsr_lib.files import InputError
from mzsr_lib.imaging import resize

SCALES = (2, 3, 4)
PRECISION = {torch.float32: 1e-6, torch.float64: 1e-12}
each_precision = pytest.mark.parametrize("dtype", PRECISION, ids=str)
each_scale = pytest.mark.parametrize("scale", SCALES)


def cubic(x: np.ndarray) -> np.ndarray:
    """Keys' cubic with a = -1/2 (IEEE Trans. ASSP 29, 1981, Equation 15)."""
    x = np.abs(x)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x < 2, far, 0))


def matrix(size: int, factor: float) -> np.ndarray:
    """MATLAB's imresize of a line of `size` samples by `factor`, as a matrix (new size, size).

    New sample o lies at (o + 1/2) / factor - 1/2 in the old line; when the line shrinks, the cubic is
    widened by 1 / factor. Rows sum to 1, and samples beyond an end are the mirrored ones.
    """
    new, reach = round(size * factor), 4 * size + 20
    centre = (np.arange(new)[:, None] + 0.5) / factor - 0.5
    places = np.arange(-reach, size + reach)
    weight = cubic((centre - places) * min(1.0, factor))
    weight /= weight.sum(1, keepdims=True)
    inside = np.pad(np.arange(size), reach, mode="symmetric")
    return weight @ np.eye(size)[inside]


def dense(image: torch.Tensor, factor: float) -> np.ndarray:
    """Both axes of (B, C, H, W) resized by the matrices."""
    values = image.cpu().double().numpy()
    return matrix(values.shape[-2], factor) @ values @ matrix(values.shape[-1], factor).T


def test_the_matrix_by_hand():
    # Doubling puts new samples a quarter of a sample off: 128 cubic(1.75, 0.75, -0.25, -1.25).
    assert (matrix(9, 2)[8, 2:6] * 128).tolist() == pytest.approx([-3, 29, 111, -9])
    # Halving widens the cubic, so that each value is used twice at half its height.
    assert (matrix(16, 0.5)[4, 5:9] * 256).tolist() == pytest.approx([-3, -9, 29, 111])


@each_precision
@each_scale
@pytest.mark.parametrize("size", [(HEIGHT, WIDTH), (1, 5), (2, 3)], ids=str)
def test_enlarging_is_matlab_s(device, scale, dtype, size):
    image = picture(*size, dtype=dtype, device=device)
    close(resize.upscale(image, scale), dense(image, scale), PRECISION[dtype])


@each_precision
@each_scale
@pytest.mark.parametrize("size", [(13, 9), (1, 5)], ids=str)
def test_shrinking_is_matlab_s(device, scale, dtype, size):
    image = picture(size[0] * scale, size[1] * scale, dtype=dtype, device=device)
    close(resize.downscale(image, scale), dense(image, 1 / scale), PRECISION[dtype])


@each_scale
@pytest.mark.parametrize("change", [resize.upscale, resize.downscale])
def test_a_constant_stays_and_a_ramp_stays_straight(device, change, scale):
    flat = change(torch.full((2, 3, 24, 36), 0.3, device=device), scale)
    close(flat, torch.full(flat.shape, 0.3), 2e-7)
    step = 1 / scale if change is resize.upscale else scale
    ramp = torch.arange(96, device=device).double().expand(1, 1, 24, 96)
    inner = change(ramp, scale)[..., 8:-8]
    # Aligned centres: new sample o lies at (o + 1/2) step - 1/2.
    expected = (torch.arange(8, 8 + inner.shape[-1]).double() + 0.5) * step - 0.5
    close(inner[0, 0, 5], expected, 1e-9)


@pytest.mark.parametrize("change", [resize.upscale, resize.downscale])
def test_scale_one_is_the_picture(change):
    assert torch.equal(change(picture(), 1), picture())


def test_channels_and_pictures_do_not_mix(device):
    batch = picture(batch=2, device=device)
    one = resize.upscale(batch[1:, 2:], 2)
    assert torch.equal(resize.upscale(batch, 2)[1:, 2:], one)


@each_scale
@pytest.mark.parametrize("change", [resize.upscale, resize.downscale])
def test_the_gradient_is_the_slope(device, change, scale):
    size = (2, 3) if change is resize.upscale else (2 * scale, 3 * scale)
    image = picture(*size, dtype=torch.float64, device=device).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: change(x, scale), image)


@pytest.mark.parametrize(("height", "width"), [(37, 30), (36, 31)])
def test_what_cannot_be_divided_is_refused(height, width):
    with pytest.raises(InputError, match=f"{width} x {height} px cannot be divided by 2"):
        resize.downscale(picture(height, width), 2)


@pytest.mark.parametrize("pad", [0, 1, 3, 5, 17, 100])
def test_padding_is_numpy_s_however_wide(device, pad):
    image = picture(5, 3, device=device)
    expected = np.pad(image.cpu().numpy(), ((0, 0), (0, 0), (pad, pad), (pad, pad)), mode="symmetric")
    close(resize.pad_symmetric(image, pad), expected, 0)


@pytest.mark.parametrize(("before", "after"), [(2, 0), (0, 2), (7, 9)])
def test_a_mirrored_line_is_numpy_s(before, after):
    expected = np.pad(np.arange(3), (before, after), mode="symmetric")
    assert resize.mirror(3, before, after).tolist() == expected.tolist()


def test_the_mirror_of_the_docstring():
    assert "".join("abc"[i] for i in resize.mirror(3, 2, 2)) == "baabccb"


@pytest.mark.parametrize("offset", [0.0, 0.5, 1.0, 1.5, -2.25])
def test_a_shift_moves_a_ramp_and_whole_pixels_exactly(offset):
    ramp = torch.arange(24.0).expand(1, 2, 20, 24)
    moved = resize.shift(ramp, offset)
    assert moved.shape == ramp.shape
    close(moved[..., 6:-6, 6:-6], ramp[..., 6:-6, 6:-6] - offset, 1e-5)
    close(resize.shift(ramp.mT, offset), moved.mT, 1e-6)
    if offset.is_integer():
        close(moved[..., 5:, 5:], ramp.roll(int(offset), dims=-1)[..., 5:, 5:], 1e-6)


def test_a_size_that_is_no_multiple_keeps_a_flat_picture_flat_and_the_middle_in_the_middle():
    close(resize.fit(torch.full((1, 3, 17, 23), 0.3), 12, 19), torch.full((1, 3, 12, 19), 0.3), 1e-6)
    bump = torch.exp(-((torch.arange(41.0) - 20) ** 2) / 18).expand(1, 1, 9, 41)
    small = resize.fit(bump, 9, 27)[0, 0, 4]
    close((small * torch.arange(27)).sum() / small.sum(), 13, 1e-3)
