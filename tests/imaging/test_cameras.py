"""Photographs are taken as they say, the same from the same key, and what is told of them is near the truth."""

import pytest
import torch
from helpers import close, picture

from mzsr_lib.imaging import blurs, cameras, degradation, images, restoration
from mzsr_lib.imaging.blurs import AnyShape
from mzsr_lib.imaging.cameras import PhotographPrior
from mzsr_lib.imaging.kernels import KernelPrior, gaussian_kernel, moments
from mzsr_lib.runtime import generator_for

PRIOR = PhotographPrior(2, AnyShape(KernelPrior(0.2, 5.0, 15, "log"), 0.4))


@pytest.mark.parametrize("scale", [2, 3])
def test_what_is_seen_is_the_blurred_picture_at_every_scale_th_pixel(device, scale):
    hr = picture(6 * scale, 7 * scale, batch=2, device=device)
    kernel = KernelPrior(0.5, 3.0, 9).sample(2, generator_for(0)).to(device)
    kernel = kernel + torch.arange(81.0, device=device).reshape(9, 9) / 5000  # no symmetry
    close(cameras.seen(hr, kernel, scale), degradation.blur(hr, kernel, scale), 1e-5)


def test_jpeg_is_coarser_at_a_lower_quality_and_keeps_grey():
    image = images.round_to_8_bits(picture(24, 32))
    errors = [float((cameras.jpeg(image, quality, False) - image).square().mean()) for quality in (95, 75, 40)]
    assert errors == sorted(errors)
    assert errors[0] < 0.002 < errors[2]
    grey = torch.full((2, 3, 16, 16), 128 / 255)
    close(cameras.jpeg(grey, 50), grey, 1e-6)


def test_sharpening_keeps_what_is_flat_or_falls_evenly_and_steepens_an_edge():
    ramp = torch.linspace(0, 1, 21).expand(1, 3, 21, 21)
    close(cameras.sharpen(ramp, 1.0, 1.0)[..., 5:-5, 5:-5], ramp[..., 5:-5, 5:-5], 1e-5)
    edge = (torch.arange(20) >= 10).float().expand(1, 3, 20, 20)
    sharpened = cameras.sharpen(edge, 0.5, 1.0)
    assert sharpened.max() > 1.05
    assert sharpened.min() < -0.05


def test_the_same_key_takes_the_same_photographs():
    hr = picture(48, 48, batch=6)
    (lr, told), (again, told_again) = (PRIOR.take(hr, (0, 5)) for _ in range(2))
    assert torch.equal(lr, again)
    assert torch.equal(told.kernel, told_again.kernel)
    other, _ = PRIOR.take(hr, (0, 6))
    assert not torch.equal(lr, other)
    assert lr.shape == (6, 3, 24, 24)
    close(lr * 255, (lr * 255).round(), 1e-3)  # 8 bits


def test_the_truth_is_known_when_there_is_nothing_but_rounding(monkeypatch):
    monkeypatch.setattr(cameras, "SHARES", cameras.SHARES | {"clean": 1.0, "sharpened": 0.0, "jpeg": 0.0})
    hr = picture(48, 48, batch=12)
    taken = PRIOR.taken(hr, (3,))
    close(taken.noise, torch.full((12,), 1 / 255 / 12**0.5), 4e-4)


def test_a_centred_photograph_lies_as_an_ordinary_enlargement_does():
    # A soft blob in the middle: its centre of mass stays there.
    axis = torch.arange(48.0) - 23.5
    blob = torch.exp(-(axis[:, None] ** 2 + axis**2) / 60).expand(8, 3, 48, 48)
    lr = PRIOR.taken(blob, (1,)).lr
    places = torch.arange(24.0) - 11.5
    weight = lr.mean(1)
    right = (weight.sum(1) * places).sum(1) / weight.sum((1, 2))
    assert right.abs().max() < 0.25  # the place is drawn from a quarter of a high-resolution pixel, plus JPEG


def test_the_gaussian_told_of_a_gaussian_is_near_it():
    hr, prior = picture(48, 48, batch=64), PhotographPrior(2, AnyShape(KernelPrior(2.0, 2.0, 15), 0.01))
    cov = prior.taken(hr, (2,), centred=False).covariances
    gaussian = (cov[:, 0, 1].abs() < 0.01) & (cov[:, 0, 0] < 3)
    close(cov[gaussian].mean(0), 2 * torch.eye(2), 0.15)
    none = cameras.wrong(torch.zeros(64), generator_for(0))
    assert torch.equal(none, torch.eye(2).expand(64, 2, 2))
    widths = torch.linalg.det(cameras.wrong(torch.full((64,), 0.15), generator_for(0))).sqrt()
    assert 0.6 < widths.min() < 0.95
    assert 1.05 < widths.max() < 1.4


def test_a_shape_is_stretched_to_the_moments_that_are_told():
    blur = blurs.disk(torch.tensor([3.0]), 15)
    told = cameras.covariances(blur) - cameras.SHRINKING * torch.eye(2)
    close(moments(cameras.stretched(blur, told, 15)[0])[1], told[0], 0.05)
    close(cameras.stretched(blur, cameras.covariances(blur), 15), blur, 1e-3)


def test_what_is_told_may_have_the_shape_of_the_blur(monkeypatch):
    monkeypatch.setattr(cameras, "LARGEST_DOUBT", 0.0)
    prior = PhotographPrior(2, AnyShape(KernelPrior(1.0, 1.0, 15), 1.0, 5.0))
    for share in (0.0, 1.0):
        shares = {"register": 0.0, "sharp": 0.0, "known": 0.0, "shaped": share}
        monkeypatch.setattr(cameras, "SHARES", cameras.SHARES | shares)
        told = prior.take(picture(48, 48, batch=32), (0,))[1].kernel
        taken = prior.taken(picture(48, 48, batch=32), (0,), centred=False)
        gaussians = gaussian_kernel(taken.covariances, 15)
        nearer = ((told - taken.blurs).abs().sum((1, 2)) < (gaussians - taken.blurs).abs().sum((1, 2)) - 1e-3).float()
        assert nearer.mean() > 0.8 if share else not nearer.any()
        close(told.sum((1, 2)), torch.ones(32), 1e-4)


def test_covariances_become_positive_and_others_stay():
    cov = torch.stack([torch.eye(2) * 2, -torch.eye(2), torch.tensor([[1.0, 2.0], [2.0, 1.0]])])
    mended = cameras.positive(cov)
    close(mended[0], cov[0], 1e-5)
    assert (torch.linalg.eigvalsh(mended) >= cameras.NARROWEST * 0.99).all()


@pytest.mark.parametrize("centred", [True, False])
def test_what_is_told_restores_more_than_it_spoils_where_nothing_disturbs(centred, monkeypatch):
    monkeypatch.setattr(cameras, "SHARES", dict.fromkeys(cameras.SHARES, 0.0) | {"clean": 1.0, "register": centred})
    smooth = torch.nn.functional.interpolate(picture(12, 12, batch=16), scale_factor=8, mode="bicubic").clamp(0, 1)
    lr, told = PhotographPrior(2, AnyShape(KernelPrior(1.5, 3.0, 15), 0.01)).take(smooth, (0,))
    assert told.mode == ("bicubic" if centred else "direct")
    inner = (..., slice(12, -12), slice(12, -12))
    errors = [
        float((sr - smooth)[inner].square().mean())
        for sr in (restoration.restore(lr, told, 1e-2), restoration.enlarge(lr, told))
    ]
    assert errors[0] < errors[1]
