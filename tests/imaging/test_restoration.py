"""The closed form is the least-squares solution; enlarging is in register with the sampling."""

import pytest
import torch
from helpers import close, picture

from mzsr_lib.benchmark import datasets
from mzsr_lib.files import InputError
from mzsr_lib.imaging import images, kernels, metrics, resize, restoration
from mzsr_lib.imaging.degradation import MODES, Degradation, from_setting
from mzsr_lib.runtime import generator_for

SCALES = pytest.mark.parametrize("scale", [2, 3, 4])


def uneven(size: int = 5, seed: int = 0, dtype=torch.float64) -> torch.Tensor:
    """A kernel without any symmetry."""
    kernel = torch.rand(size, size, generator=generator_for(seed, "kernel"), dtype=torch.float64)
    return (kernel / kernel.sum()).to(dtype)


def wrapped(kernel: torch.Tensor, height: int, width: int, scale: int) -> torch.Tensor:
    """The matrix of: correlate on a periodic grid, keep every scale-th pixel. Built pixel by pixel."""
    size, rows = kernel.shape[-1], []
    for i in range(0, height, scale):
        for j in range(0, width, scale):
            row = torch.zeros(height, width, dtype=kernel.dtype)
            for a in range(size):
                for b in range(size):
                    row[(i + a - size // 2) % height, (j + b - size // 2) % width] += kernel[a, b]
            rows.append(row.flatten())
    return torch.stack(rows)


def matrix(linear, shape: tuple[int, int]) -> torch.Tensor:
    """The matrix of a linear map of one-channel pictures, found by applying it to every unit picture."""
    units = torch.eye(shape[0] * shape[1], dtype=torch.float64).reshape(-1, 1, *shape)
    return linear(units).flatten(1).T


@SCALES
@pytest.mark.parametrize("mu", [1e-4, 1e-2])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 2e-4)])
def test_least_squares_equals_a_dense_solve(device, scale, mu, dtype, tolerance):
    kernel, (height, width) = uneven(), (5 * scale, 7 * scale)
    residual = picture(5, 7, dtype=torch.float64)[:, :1] - 0.5
    a = wrapped(kernel, height, width, scale)
    stacked = torch.cat([a, mu**0.5 * torch.eye(height * width, dtype=torch.float64)])
    target = torch.cat([residual.flatten(), torch.zeros(height * width, dtype=torch.float64)])
    expected = torch.linalg.lstsq(stacked, target[:, None]).solution.reshape(1, 1, height, width)
    found = restoration.least_squares(residual.to(device, dtype), kernel.to(device, dtype), scale, mu)
    close(found, expected, tolerance)


@SCALES
@pytest.mark.parametrize("mode", MODES)
def test_a_restoration_is_the_dense_solution_away_from_the_border(scale, mode):
    kernel = kernels.gaussian_kernel(kernels.covariance(1.5, 0.7, 0.4), 7).double()
    degradation = Degradation(kernel, scale, mode)
    lr = picture(17, 15, dtype=torch.float64)[:, :1]
    x0 = restoration.enlarge(lr, degradation)
    a = matrix(degradation.linear, tuple(x0.shape[-2:]))
    mu = 1e-2
    residual = lr.flatten() - a @ x0.flatten()
    solved = torch.linalg.solve(a @ a.T + mu * torch.eye(len(a), dtype=torch.float64), residual)
    expected = x0 + (a.T @ solved).reshape(x0.shape)
    inner = (..., slice(5 * scale, -5 * scale), slice(5 * scale, -5 * scale))
    close(restoration.restore(lr, degradation, mu)[inner], expected[inner], 2e-3)


@SCALES
def test_phase_aligned_enlarging_keeps_the_pixels_and_a_ramp(device, scale):
    lr = picture(9, 7, device=device)
    large = restoration.upscale_aligned(lr, scale)
    assert large.shape == (1, 3, 9 * scale, 7 * scale)
    close(large[..., ::scale, ::scale], lr, 1e-6)
    ramp = torch.arange(12.0, device=device).expand(1, 1, 10, 12)
    expected = torch.arange(12 * scale, device=device) / scale
    found = restoration.upscale_aligned(ramp, scale)[0, 0, 5 * scale]
    close(found[3 * scale : -3 * scale], expected[3 * scale : -3 * scale], 1e-5)


@SCALES
def test_plain_bicubic_lies_half_the_missing_pixels_away(scale):
    ramp = torch.arange(12.0).expand(1, 1, 10, 12)
    shift = (restoration.upscale_aligned(ramp, scale) - resize.upscale(ramp, scale))[0, 0, 5 * scale]
    close(shift[4 * scale : -4 * scale], torch.full((4 * scale,), (scale - 1) / 2 / scale), 1e-5)


@SCALES
@pytest.mark.parametrize("mode", MODES)
def test_a_composite_kernel_is_the_whole_linear_part(scale, mode):
    hr = picture(16 * scale, 15 * scale, dtype=torch.float64)
    degradation = Degradation(uneven(), scale, mode)
    one = Degradation(restoration.composite_kernel(degradation), scale, "direct")
    close(one.linear(hr)[..., 5:-5, 5:-5], degradation.linear(hr)[..., 5:-5, 5:-5], 1e-7)


def test_composite_kernels_of_a_batch_are_those_of_its_kernels():
    many = torch.stack([uneven(5, seed) for seed in range(3)])
    composite = restoration.composite_kernel(Degradation(many, 2, "bicubic"))
    for one, kernel in zip(composite, many, strict=True):
        close(one, restoration.composite_kernel(Degradation(kernel, 2, "bicubic")), 1e-12)


@pytest.mark.parametrize("mode", MODES)
def test_each_picture_is_restored_with_its_own_kernel(device, mode):
    lr, many = picture(11, 13, batch=2, device=device), torch.stack([uneven(5, seed).float() for seed in range(2)])
    both = restoration.restore(lr, Degradation(many.to(device), 2, mode))
    for one, picture_, kernel in zip(both.split(1), lr.split(1), many, strict=True):
        close(one, restoration.restore(picture_, Degradation(kernel.to(device), 2, mode)), 1e-5)


def test_mu_is_the_trust_in_the_prior():
    camera = from_setting(kernels.named()["g2.0d"])
    lr, prior = picture(24, 21), picture(48, 42, seed=1)
    close(restoration.restore(lr, camera, 1e6, prior), prior, 1e-4)
    restored = [restoration.restore(lr, camera, mu, prior) for mu in (10, 1, 0.1, 0.01)]
    misfits = [float((camera.linear(sr) - lr).abs().mean()) for sr in restored]
    assert misfits == sorted(misfits, reverse=True)
    with pytest.raises(InputError, match="mu is 0: it must be positive"):
        restoration.restore(lr, camera, 0.0)


@pytest.mark.parametrize("mode", MODES)
def test_gradients_by_picture_prior_and_mu_agree_with_finite_differences(mode):
    degradation = Degradation(uneven(3), 2, mode)
    given = [picture(5, 4, dtype=torch.float64)[:, :1], picture(10, 8, seed=1, dtype=torch.float64)[:, :1]]
    mu = torch.tensor(0.05, dtype=torch.float64)
    leaves = [value.requires_grad_() for value in (*given, mu)]
    assert torch.autograd.gradcheck(lambda lr, x0, mu: restoration.restore(lr, degradation, mu, x0), leaves)


@pytest.mark.parametrize(("name", "gain"), [("g2.0d", 2.0), ("gani_d", 2.0), ("g1.3b", 2.0), ("bicubic", 0.5)])
def test_knowing_the_kernel_is_worth_decibels(name, gain):
    hr = images.crop_to_multiple(datasets.example("astronaut")[..., 40:200, 120:280], 2)
    camera = from_setting(kernels.named()[name])
    lr = camera(hr)
    scores = [
        metrics.protocol_psnr(sr.clamp(0, 1), hr, 2)
        for sr in (restoration.enlarge(lr, camera), restoration.restore(lr, camera))
    ]
    assert scores[1] > scores[0] + gain


def test_float32_is_enough_for_a_small_mu():
    camera = from_setting(kernels.named()["g2.0d"])
    lr = picture(31, 27)
    exact = Degradation(camera.kernel.double(), 2)
    close(restoration.restore(lr, camera, 1e-4), restoration.restore(lr.double(), exact, 1e-4), 1e-3)


@pytest.mark.parametrize("mode", MODES)
def test_back_projection_comes_closer_to_the_low_resolution_picture(mode):
    degradation = Degradation(kernels.gaussian_kernel(kernels.covariance(1.0, 1.0, 0.0), 7), 2, mode)
    lr, sr = picture(17, 15), picture(34, 30, seed=1)
    misfits = [
        float((degradation.linear(restoration.back_project(sr, lr, degradation, n)) - lr).abs().mean())
        for n in (0, 1, 4)
    ]
    assert misfits[0] > misfits[1] > misfits[2]
