"""Blurs of other shapes sum to one, lie where they should, and have the extent that was asked for."""

import math

import pytest
import torch
from helpers import close, picture
from torch.nn import functional as F

from mzsr_lib.files import InputError
from mzsr_lib.imaging import blurs, resize
from mzsr_lib.imaging.kernels import KernelPrior, moments
from mzsr_lib.runtime import generator_for

SIZE = 21


def one(kind: str, centre: float = 0.0) -> torch.Tensor:
    if kind == "disk":
        return blurs.disk(torch.tensor([4.0]), SIZE, centre)[0]
    if kind == "motion":
        return blurs.motion(torch.tensor([9.0]), torch.tensor([0.4]), SIZE, centre)[0]
    return blurs.shake(torch.tensor([8.0]), generator_for(1), SIZE, centre)[0]


@pytest.mark.parametrize("kind", ["disk", "motion", "shake"])
@pytest.mark.parametrize("centre", [0.0, 0.5, 1.5])
def test_they_sum_to_one_around_their_middle(kind, centre):
    kernel = one(kind, centre)
    close(kernel.sum(), 1, 1e-6)
    assert (kernel >= 0).all()
    close(moments(kernel)[0], [centre, centre], 0.02)


def test_a_disk_has_a_quarter_of_its_squared_radius_as_variance():
    # Of the area of a disk of radius 4; the soft rim adds a little.
    close(moments(one("disk"))[1], 4 * torch.eye(2), 0.15)


def test_a_motion_is_as_long_as_asked_for_along_its_angle():
    cov = moments(one("motion"))[1]
    axis = torch.tensor([math.cos(0.4), math.sin(0.4)])
    # 24 points from end to end have the variance of a line, a little more, and the width of the spot.
    close(axis @ cov @ axis, 81 / 12 * 25 / 23 + blurs.WIDTH**2, 0.1)
    across = axis.flip(0) * torch.tensor([-1.0, 1.0])
    close(across @ cov @ across, blurs.WIDTH**2, 0.05)


def test_a_shake_follows_its_generator():
    assert torch.equal(one("shake"), one("shake"))
    other = blurs.shake(torch.tensor([8.0]), generator_for(2), SIZE)[0]
    assert (one("shake") - other).abs().max() > 0.01


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("kind", ["bicubic", "area", "lanczos"])
def test_shrinking_keeps_flat_and_falling_pictures(kind, scale):
    taps = blurs.shrinking(kind, scale)
    places = torch.arange(len(taps)) - len(taps) // 2
    close(taps.sum(), 1, 1e-6)
    close((taps * places).sum(), (scale - 1) / 2, 1e-5)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_taps_of_bicubic_shrink_as_the_library_does(scale):
    image = picture(12 * scale, 10 * scale)
    taps = blurs.shrinking("bicubic", scale)
    edge = len(taps) // 2
    padded = resize.pad_symmetric(image, edge)
    square = torch.outer(taps, taps).expand(3, 1, -1, -1)
    close(F.conv2d(padded, square, stride=scale, groups=3), resize.downscale(image, scale), 1e-5)


def test_followed_is_one_after_the_other():
    image = picture(40, 37)
    kernels = torch.stack([one("motion"), one("disk")])
    taps = torch.stack([blurs.shrinking("area", 2), blurs.shrinking("lanczos", 2)])
    whole = blurs.followed(kernels, taps)
    for kernel, line, both in zip(kernels, taps, whole, strict=True):
        planes = image.transpose(0, 1)
        first = F.conv2d(planes, kernel[None, None])
        close(F.conv2d(first, torch.outer(line, line)[None, None]), F.conv2d(planes, both[None, None]), 1e-5)


def test_a_prior_of_any_shape_draws_the_share_that_it_names():
    prior = blurs.AnyShape(KernelPrior(0.2, 5.0, 15, "log"), 0.0)
    gaussians = KernelPrior(0.2, 5.0, 15, "log")
    found, again = (prior.sample(40, generator_for(0)) for _ in range(2))
    assert torch.equal(found, again)
    close(found.sum((1, 2)), torch.ones(40), 1e-5)
    # With a share of 0 all are Gaussians: their logarithm has constant second differences.
    second = found[:, 7, 5:10].log().diff(dim=1).diff(dim=1)
    close(second.amax(1) - second.amin(1), torch.zeros(40), 2e-2)
    mixed = blurs.AnyShape(gaussians, 1.0).sample(40, generator_for(0))
    assert (mixed == 0).any(dim=1).any(dim=1).any()  # disks have a rim
    with pytest.raises(InputError, match="share"):
        blurs.AnyShape(gaussians, 1.5)
