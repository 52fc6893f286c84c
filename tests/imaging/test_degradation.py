"""Degrading is blur, then every scale-th pixel, then eight bits; its linear part has the right adjoint."""

import math

import numpy as np
import pytest
import torch
from helpers import HEIGHT, WIDTH, close, picture
from scipy.ndimage import correlate

from mzsr_lib.files import InputError
from mzsr_lib.imaging import degradation, kernels, metrics, resize
from mzsr_lib.imaging.degradation import Degradation
from mzsr_lib.runtime import generator_for

SETTINGS = [(scale, mode) for scale in (2, 3, 4) for mode in degradation.MODES]
each_setting = pytest.mark.parametrize(("scale", "mode"), SETTINGS)
EIGHT_BITS = 0.5 / 255 + 1e-6


def uneven(size: int = 5, seed: int = 0) -> torch.Tensor:
    """A kernel without any symmetry, which tells correlation from convolution and x from y."""
    kernel = torch.rand(size, size, generator=generator_for(seed, "kernel"), dtype=torch.float64)
    return kernel / kernel.sum()


def divisible(scale: int, **options) -> torch.Tensor:
    """A picture of about 37 x 31 px whose sides are odd multiples of the scale where that is possible."""
    return picture(HEIGHT // scale * scale, WIDTH // scale * scale, **options)


@pytest.mark.parametrize("size", [1, 5, 21, 31])
def test_blur_is_a_correlation_with_mirrored_edges(device, size):
    image, kernel = picture(device=device), uneven(size)
    # "reflect" is scipy's name for the reflection that repeats the edge.
    expected = correlate(image.cpu().double().numpy(), kernel.numpy()[None, None], mode="reflect")
    close(degradation.blur(image, kernel.float().to(device)), expected, 1e-6)


def test_each_picture_has_its_own_kernel(device):
    batch = picture(batch=3, device=device)
    many = torch.stack([uneven(5, seed).float() for seed in range(3)]).to(device)
    blurred = degradation.blur(batch, many)
    for one, kernel, image in zip(blurred.split(1), many, batch.split(1), strict=True):
        close(one, degradation.blur(image, kernel), 1e-6)


@pytest.mark.parametrize("stride", [2, 3, 4])
def test_a_stride_is_blur_and_then_subsampling(device, stride):
    image, kernel = picture(device=device), uneven().float().to(device)
    close(degradation.blur(image, kernel, stride), degradation.subsample(degradation.blur(image, kernel), stride), 1e-6)


def test_subsampling_keeps_the_first_pixel():
    image = torch.arange(35.0).reshape(1, 1, 5, 7)
    assert degradation.subsample(image, 3).flatten().tolist() == [0, 3, 6, 21, 24, 27]


@each_setting
def test_the_linear_part_is_blur_and_then_sampling(device, scale, mode):
    image, kernel = divisible(scale, device=device), uneven().float().to(device)
    shrink = degradation.subsample if mode == "direct" else resize.downscale
    close(Degradation(kernel, scale, mode).linear(image), shrink(degradation.blur(image, kernel), scale), 1e-6)


@each_setting
def test_the_adjoint_is_the_gradient(device, scale, mode):
    forward = Degradation(uneven(), scale, mode).to(device).linear
    x = divisible(scale, dtype=torch.float64, device=device)
    somewhere = picture(*x.shape[-2:], seed=7, dtype=torch.float64, device=device).requires_grad_()
    y = picture(*forward(x).shape[-2:], seed=1, dtype=torch.float64, device=device)
    (adjoint,) = torch.autograd.grad(forward(somewhere), somewhere, y)
    close((forward(x) * y).sum(), (x * adjoint).sum(), 1e-9)


@each_setting
def test_a_constant_stays(device, scale, mode):
    image = torch.full(divisible(scale).shape, 51 / 255, device=device)
    lr = Degradation(uneven().float(), scale, mode).to(device)(image)
    assert lr.shape[-2:] == (image.shape[-2] // scale, image.shape[-1] // scale)
    close(lr, torch.full(lr.shape, 51 / 255), 1e-6)


@each_setting
def test_the_result_is_the_linear_part_in_eight_bits(device, scale, mode):
    degrade = Degradation(uneven().float(), scale, mode).to(device)
    image = divisible(scale, device=device) * 15 - 7  # leaves [0, 1] on both sides
    lr = degrade(image)
    assert (lr.min(), lr.max()) == (0, 1)
    close(lr * 255, (lr * 255).round(), 1e-4)
    assert (lr - degrade.linear(image).clamp(0, 1)).abs().max() <= EIGHT_BITS


def test_noise_has_its_standard_deviation(device):
    image = torch.full((1, 3, 128, 128), 0.5, device=device)
    degrade = Degradation(torch.ones(1, 1, device=device), 2, noise=0.1)
    first, again = (degrade(image, generator_for("noise", device=device)) for _ in range(2))
    assert torch.equal(first, again)
    # 12,288 draws: the mean has a standard error of 0.0009, the deviation one of 0.0006.
    close(first.mean(), 0.5, 0.004)
    close(first.std(), 0.1, 0.003)


def test_noise_needs_a_generator():
    with pytest.raises(InputError, match=r"torch\.Generator"):
        Degradation(torch.ones(1, 1), 2, noise=0.1)(picture(4, 4))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scale": 0}, "scale is 0"),
        ({"scale": 5}, "scale is 5"),
        ({"noise": -0.1}, "noise is -0.1"),
    ],
)
def test_an_impossible_degradation_is_refused(changes, message):
    with pytest.raises(InputError, match=message):
        Degradation(torch.ones(1, 1), **changes)


@pytest.mark.parametrize("size", [(4, 4), (2, 4, 4)])  # the type checker catches (3, 5)
def test_a_kernel_without_a_centre_is_refused(size):
    with pytest.raises(InputError, match="must be a square of odd size"):
        Degradation(torch.ones(size) / 16)


@pytest.mark.parametrize(
    ("height", "width", "message"),
    [
        (20, 30, "30 x 20 px in multiples of 2, is smaller than the 21 x 21 kernel"),
        (37, 30, "30 x 37 px is no multiple of scale 2"),
    ],
)
def test_a_picture_that_does_not_suit_is_refused(height, width, message):
    with pytest.raises(InputError, match=message):
        Degradation(kernels.named()["g2.0d"].kernel)(picture(height, width))


@each_setting
def test_the_son_is_the_cropped_picture_degraded(scale, mode):
    degrade = Degradation(uneven().float(), scale, mode)
    target, son = degrade.with_son(picture())
    height, width = HEIGHT // scale * scale, WIDTH // scale * scale
    assert torch.equal(target, picture()[..., :height, :width])
    assert torch.equal(son, degrade(target))
    noisy = Degradation(uneven().float(), scale, mode, noise=0.1)
    assert torch.equal(noisy.with_son(picture())[1], son)  # the picture has its noise already
    assert son.shape[-2:] == (height // scale, width // scale)


def test_a_setting_brings_its_mode_unless_told_otherwise():
    setting = kernels.named()["g1.3b"]
    assert degradation.from_setting(setting).mode == "bicubic"
    assert degradation.from_setting(setting, mode="direct").mode == "direct"
    made = degradation.from_setting(setting, 3, noise=0.2)
    assert (made.scale, made.noise) == (3, 0.2)
    assert torch.equal(made.kernel, setting.kernel)


def test_direct_sampling_lies_half_a_pixel_off_bicubic():
    # A ramp x / 256: direct keeps pixel 2 i, the aligned bicubic lands between 2 i and 2 i + 1.
    ramp = (torch.arange(64.0) / 256).expand(1, 3, 8, 64)
    direct, aligned = (Degradation(torch.ones(1, 1), 2, mode).linear(ramp)[..., 8:-8] for mode in degradation.MODES)
    close((aligned - direct) * 256, torch.full(direct.shape, 0.5), 1e-4)


# Paper, Tables 1 and 2, Set5 x2, bicubic enlargement: PSNR in dB. Two decimals, so 0.01 of tolerance
# and as much for libraries that round otherwise.
PUBLISHED = {"g0.2d": 30.24, "g2.0d": 28.73, "gani_d": 28.15, "g1.3b": 30.54, "bicubic": 33.64}


@pytest.mark.parametrize("name", PUBLISHED)
def test_bicubic_on_set5_is_the_published_number(data_dir, name):
    from mzsr_lib.imaging import images, picture_files

    degrade = degradation.from_setting(kernels.named()[name])
    pictures = [
        images.crop_to_multiple(picture_files.load(path), 2) for path in picture_files.paths_in(data_dir / "set5")
    ]
    scores = [metrics.protocol_psnr(resize.upscale(degrade(hr), 2), hr, 2) for hr in pictures]
    assert math.isclose(np.mean(scores), PUBLISHED[name], abs_tol=0.02)


def gaussian(size: int, centre: float, cov=((3.0, 1.2), (1.2, 1.5))) -> torch.Tensor:
    """A Gaussian whose mass lies at pixel (centre, centre), which need not be the middle one, nor whole."""
    y, x = torch.meshgrid(*[torch.arange(size, dtype=torch.float64) - centre] * 2, indexing="ij")
    (a, b), (_, c) = torch.linalg.inv(torch.tensor(cov, dtype=torch.float64)).tolist()
    kernel = torch.exp(-(a * x * x + 2 * b * x * y + c * y * y) / 2)
    return (kernel / kernel.sum()).float()


@pytest.mark.parametrize("offset", [0.5, 1.0, 1.5, -0.5])
def test_a_kernel_is_centred_with_its_width(offset):
    camera = Degradation(gaussian(19, 9 + offset), 2)
    close(torch.tensor(camera.offset), [offset, offset], 1e-3)
    centred = camera.centred()
    assert centred.offset == (0.0, 0.0) and centred.kernel.shape == camera.kernel.shape
    close(centred.kernel, gaussian(19, 9), 6e-3 if offset % 1 else 1e-6)
    close(kernels.moments(centred.kernel)[1], [[3.0, 1.2], [1.2, 1.5]], 0.05)
    assert Degradation(gaussian(19, 9.04)).centred().offset == (0.0, 0.0)


def test_a_kernel_whose_mass_lies_at_its_edge_gets_a_larger_grid():
    corner = torch.zeros(5, 5)
    corner[:2, :2] = 0.25
    centred = Degradation(corner).centred().kernel
    close(kernels.moments(centred)[0], [0.0, 0.0], 1e-5)
    assert centred.sum() == pytest.approx(1) and centred.shape[-1] % 2 == 1


@pytest.mark.parametrize(
    ("scale", "x", "word"), [(2, 0.5, "as in files of ZSSR and KernelGAN"), (3, 0.5, "0.5 px right")]
)
def test_what_is_said_of_a_kernel_off_its_centre(scale, x, word):
    assert word in Degradation(gaussian(19, 9 + x), scale).remark()
    assert Degradation(gaussian(19, 9), scale).remark() is None
