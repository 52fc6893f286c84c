"""What is hidden never shows, and colours and transparency stay in register."""

import numpy as np
import pytest
import torch
from helpers import close, picture

from mzsr_lib.imaging import kernels, picture_files, resize, restoration, transparency
from mzsr_lib.imaging.degradation import MODES, Degradation, from_setting
from mzsr_lib.imaging.picture_files import Picture

Y, X = np.mgrid[:64, :64]
AWAY = torch.tensor(np.hypot(Y - 31.5, X - 31.5), dtype=torch.float32)[None, None]


def disk(radius: float) -> torch.Tensor:
    """A disk in the middle of 64 px, with a soft rim: (1, 1, 64, 64)."""
    return (radius + 0.5 - AWAY).clamp(0, 1)


def centroid(plane: torch.Tensor) -> tuple[float, float]:
    """Centre of mass, (x, y) in px."""
    weights = plane.squeeze().double()
    y, x = (float((weights.sum(1 - axis) * torch.arange(weights.shape[axis])).sum() / weights.sum()) for axis in (0, 1))
    return x, y


def sprite(background: float) -> Picture:
    """A red disk; where it is transparent its colour is another, hidden one."""
    alpha = disk(22)
    colour = torch.tensor([230, 40, 0]).reshape(1, 3, 1, 1) / 255
    return Picture(torch.where(alpha > 0, colour, torch.full_like(colour, background)), alpha)


METHODS = {
    "aligned": restoration.enlarge,
    "restored": lambda lr, camera: restoration.restore(lr, camera).clamp(0, 1),
    "not linear": lambda lr, camera: (restoration.restore(lr, camera) ** 2).clamp(0, 1) ** 0.5,
}


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("background", [0.0, 1.0])
def test_no_hidden_colour_comes_into_view(name, mode, background):
    camera = Degradation(kernels.gaussian_kernel(torch.eye(2), 9), 2, mode)
    large = picture_files.upscale(sprite(background), METHODS[name], camera)
    on_white = large.image * large.alpha + 1 - large.alpha
    assert float(on_white[:, 0].min()) > 229 / 255
    seen = (large.alpha > 0.02).expand(-1, 3, -1, -1)
    expected = torch.tensor([230, 40, 0]).reshape(1, 3, 1, 1).expand_as(large.image) / 255
    close(large.image[seen], expected[seen], 2 / 255)
    assert float(large.image[(large.alpha == 0).expand(-1, 3, -1, -1)].abs().max()) == 0


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("mode", MODES)
def test_colours_and_transparency_have_one_centroid_through_both_ways(scale, mode):
    whole = resize.pad_symmetric(disk(20), 4)  # 72 px, a multiple of every scale
    camera = from_setting(kernels.named()["g2.0d"], scale, mode)
    small = picture_files.degrade(Picture(whole.expand(-1, 3, -1, -1), whole), camera)
    large = picture_files.upscale(small, METHODS["restored"], camera)
    for plane in (large.alpha, large.image[:, :1] * large.alpha):
        close(centroid(plane), (35.5, 35.5), 0.05)
    # Where hardly anything is seen colours are those of neighbours, as far as the small picture is not transparent.
    close(centroid(large.image[:, :1]), (35.5, 35.5), 0.5)


def test_to_compose_and_to_enlarge_may_change_places():
    camera = Degradation(torch.ones(1, 1))
    image, alpha = picture(24, 21), picture(12, 11, seed=1)[:, :1].repeat_interleave(2, 2)[..., :24, :]
    alpha = alpha.repeat_interleave(2, 3)[..., :21]
    large = picture_files.upscale(Picture(image, alpha), restoration.enlarge, camera)
    composed = restoration.enlarge(image * alpha + 1 - alpha, camera)
    inside = (large.alpha > 0.05) & (large.alpha < 0.999)
    found = large.image * large.alpha + 1 - large.alpha
    apart = (found - composed.clamp(0, 1)).abs()[inside.expand(-1, 3, -1, -1)]
    assert float(apart.quantile(0.9)) < 0.01  # what is clipped may differ


def test_what_is_opaque_is_the_same_with_and_without_an_alpha():
    image, camera = picture(), Degradation(torch.ones(1, 1))
    plain = picture_files.upscale(Picture(image), METHODS["not linear"], camera)
    opaque = picture_files.upscale(Picture(image, torch.ones(1, 1, *image.shape[-2:])), METHODS["not linear"], camera)
    assert torch.equal(plain.image, opaque.image) and bool((opaque.alpha == 1).all())
    half = Picture(image, torch.full((1, 1, *image.shape[-2:]), 0.5))
    close(picture_files.upscale(half, METHODS["aligned"], camera).image, plain_enlarged(image, camera), 1e-3)


def plain_enlarged(image: torch.Tensor, camera: Degradation) -> torch.Tensor:
    return restoration.enlarge(image, camera).clamp(0, 1)


def test_colours_are_spread_from_what_is_seen():
    image, alpha = picture(9, 13), torch.zeros(1, 1, 9, 13)
    alpha[..., 4, 6] = 1
    close(transparency.spread(image, alpha), image[..., 4:5, 6:7].expand_as(image), 0.3)
    close(transparency.spread(image, torch.ones_like(alpha)), image, 0)
    close(transparency.spread(image, torch.full_like(alpha, 0.1)), image, 1e-6)
    assert transparency.spread(image, torch.zeros_like(alpha)).isfinite().all()


@pytest.mark.parametrize("grey", [False, True])
def test_noise_is_that_of_the_camera(grey):
    camera = Degradation(kernels.gaussian_kernel(torch.eye(2), 5), noise=0.05)
    image = picture(24, 20)[:, :1].expand(-1, 3, -1, -1) if grey else picture(24, 20)
    opaque = picture_files.degrade(Picture(image, torch.ones(1, 1, 24, 20), grey), camera, seed=3)
    close(opaque.image, picture_files.degrade(Picture(image, grey=grey), camera, seed=3).image, 1 / 255 + 1e-6)
