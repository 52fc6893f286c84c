"""Using the known kernel: phase-aligned enlarging, and the closed-form least-squares restoration.

The restoration minimises ``|A x - y|^2 + mu |x - x0|^2``, where A blurs and subsamples. Its solution,
``x0 + A^T (A A^T + mu)^-1 (y - A x0)``, costs four Fourier transforms, because blurring and then keeping
every scale-th pixel makes ``A A^T`` a plain convolution on the low-resolution grid (Zhao et al., "Fast
single image super-resolution using a new analytical solution for l2-l2 problems", IEEE TIP 2016).
Nothing is divided by mu, so float32 is enough for any mu in use.
"""

import math

import torch
from torch.nn import functional as F

from mzsr_lib.files import InputError
from mzsr_lib.imaging import resize, tiling
from mzsr_lib.imaging.degradation import Degradation
from mzsr_lib.imaging.resize import cubic, mirror, pad_symmetric
from mzsr_lib.shapes import Kernels, OtherPlanes, Planes, Tensor

MU = 1e-3  # trust in the prior, when nothing else is said
# Low-resolution pixels of reflection around a picture, in which the wrap-around of the Fourier transform fades.
PAD = 8
# Low-resolution pixels around a piece, without those of the kernel, of which it is restored as in the whole picture.
HALO = 24


def upscale_aligned(lr: Planes, scale: int) -> OtherPlanes:
    """Enlarge with Keys' cubic so that LR pixel i is HR pixel scale * i, as direct sampling has it.

    `resize.upscale` aligns the middle of the picture instead, (scale - 1) / 2 px away: the offset that
    misregisters the paper's "Bicubic" in all its direct settings. (B, C, H, W) becomes
    (B, C, scale * H, scale * W).
    """
    taps = cubic(torch.arange(1 - 2 * scale, 2 * scale, device=lr.device, dtype=lr.dtype) / scale)
    padded = pad_symmetric(lr, 3)
    channels = lr.shape[1]
    weights = torch.outer(taps, taps).expand(channels, 1, -1, -1)
    large = F.conv_transpose2d(padded, weights, stride=scale, groups=channels)
    start = 3 * scale + 2 * scale - 1
    return large[..., start : start + scale * lr.shape[-2], start : start + scale * lr.shape[-1]]


def enlarge(lr: Planes, degradation: Degradation) -> OtherPlanes:
    """Enlarge without any blur being undone, in register with the camera: the start x0 of the restoration.

    That is with the sampling mode, and with a kernel whose mass lies off its centre (`Degradation.offset`).
    """
    x, y = degradation.offset

    def enlarged(piece: Planes) -> OtherPlanes:
        direct = degradation.mode == "direct"
        large = upscale_aligned(piece, degradation.scale) if direct else resize.upscale(piece, degradation.scale)
        return resize.shift(large, x, y) if x or y else large

    reach = 3 + math.ceil(max(abs(x), abs(y)))
    return tiling.by_tiles(enlarged, lr, degradation.scale, resize.REACH + (reach if x or y else 0))


def offset(degradation: Degradation) -> tuple[float, float]:
    """Return how many HR px right of and below a picture in register with the sampling `resize.upscale` lies.

    A kernel of which the mass lies off its centre moves the sampling: by (scale - 1) / 2 px it lies there itself.
    """
    middle = (degradation.scale - 1) / 2 if degradation.mode == "direct" else 0.0
    across, down = degradation.offset
    return middle - across, middle - down


def composite_kernel(degradation: Degradation) -> Kernels:
    """Return the one kernel (..., n, n), odd n, with which direct sampling equals the degradation's linear part.

    For ``"direct"`` it is the kernel itself. For ``"bicubic"`` it is the kernel convolved with the taps of
    the antialiased cubic, whose centre lies (scale - 1) / 2 px beyond HR pixel scale * i. Equal except
    within a few pixels of the border, where the two pad in another order.
    """
    kernel, scale = degradation.kernel, degradation.scale
    if degradation.mode == "direct":
        return kernel
    offsets = torch.arange(-2 * scale, 3 * scale, device=kernel.device, dtype=kernel.dtype)
    reach = 3 * scale - 1  # so that the taps have an odd length, with offset 0 in the middle
    taps = cubic((offsets - (scale - 1) / 2) / scale)
    taps = F.pad(taps / taps.sum(), (reach - 2 * scale, 0))
    # Correlations compose by convolution: every tap places a copy of the kernel.
    flat = kernel.reshape(-1, 1, *kernel.shape[-2:])
    square = torch.outer(taps, taps)[None, None]
    return F.conv_transpose2d(flat, square).reshape(*kernel.shape[:-2], *(kernel.shape[-1] + 2 * reach,) * 2)


def transfer_function(kernel: Kernels, height: int, width: int) -> Tensor:
    """Return the real Fourier transform of a kernel on a periodic grid, its centre at pixel (0, 0).

    (..., k, k) becomes complex (..., height, width // 2 + 1). To convolve is to multiply by it, to
    correlate, as `degradation.blur` does, by its conjugate. A kernel wider than the grid wraps around.
    """
    size = kernel.shape[-1]
    places = torch.arange(-(size // 2), size // 2 + 1, device=kernel.device)
    rows, columns = torch.meshgrid(places % height, places % width, indexing="ij")
    grid = kernel.new_zeros(*kernel.shape[:-2], height * width)
    index = (rows * width + columns).flatten()
    grid = grid.index_add(-1, index, kernel.flatten(-2))
    return torch.fft.rfft2(grid.unflatten(-1, (height, width)))


def least_squares(residual: Planes, kernel: Kernels, scale: int, mu: float | Tensor) -> OtherPlanes:
    """Return ``A^T (A A^T + mu)^-1 residual`` on a periodic grid, exactly.

    Parameters
    ----------
    residual
        ``y - A x0``, (B, C, h, w), of any size.
    kernel
        (k, k), or (B, k, k): A correlates with it and keeps every scale-th pixel.
    scale
        The subsampling.
    mu
        Weight of ``|x - x0|^2``, positive.

    Returns
    -------
    OtherPlanes
        (B, C, scale * h, scale * w), what is to be added to x0.
    """
    height, width = residual.shape[-2:]
    size = (scale * height, scale * width)
    # 1. The kernel's transfer function, with an axis for the channels.
    transfer = transfer_function(kernel, *size).unsqueeze(-3)
    # 2. A A^T correlates on the coarse grid with the subsampled autocorrelation of the kernel.
    power = torch.fft.rfft2(torch.fft.irfft2(transfer.abs() ** 2, size)[..., ::scale, ::scale]).real
    # 3. Solve on the coarse grid.
    solved = torch.fft.irfft2(torch.fft.rfft2(residual) / (power + mu), (height, width))
    # 4. A^T: put the pixels back on the fine grid, with zeros between them, and spread them by the kernel.
    spread = residual.new_zeros(*residual.shape[:2], *size)
    spread[..., ::scale, ::scale] = solved
    return torch.fft.irfft2(torch.fft.rfft2(spread) * transfer, size)


def restore(
    lr: Planes, degradation: Degradation, mu: float | Tensor = MU, prior: OtherPlanes | None = None
) -> OtherPlanes:
    """Return the picture that minimises ``|A x - lr|^2 + mu |x - prior|^2``.

    Parameters
    ----------
    lr
        (B, C, h, w).
    degradation
        Blur and sampling, known. With one kernel for each picture, B kernels.
    mu
        Trust in the prior against trust in the low-resolution picture; 0.0001 to 0.1 is useful.
    prior
        x0, (B, C, scale * h, scale * w); by default the enlarged picture, see `enlarge`.

    Returns
    -------
    OtherPlanes
        (B, C, scale * h, scale * w), differentiable by lr, mu and prior. It may leave [0, 1].

    Raises
    ------
    InputError
        If mu is a number that is not positive.
    """
    if not torch.is_tensor(mu) and not mu > 0:  # to look at a tensor would be to wait for the device
        raise InputError(f"The weight mu is {float(mu):g}: it must be positive.")
    x0 = enlarge(lr, degradation) if prior is None else prior
    residual = lr - _observed(x0, degradation)
    rows, columns = (mirror(size, PAD, _fast_length(size + 2 * PAD) - size - PAD, lr.device) for size in lr.shape[-2:])
    kernel, scale, (height, width) = composite_kernel(degradation).to(lr), degradation.scale, lr.shape[-2:]
    pieces = list(tiling.tiles(height, width, 0, tiling.side(tiling.LARGE) // scale))
    if height * width <= (tiling.side(tiling.LARGE) // scale) ** 2:
        padded = residual.index_select(-2, rows).index_select(-1, columns)
        correction = least_squares(padded, kernel, scale, mu)
        edge = PAD * scale
        return x0 + correction[..., edge : edge + scale * height, edge : edge + scale * width]
    restored = x0.clone() if prior is not None else x0
    for tile in tiling.watched(pieces, "restore"):
        correction = _correction(residual, tile, (rows, columns), kernel, scale, mu)
        tile.enlarged(scale).target(restored).add_(correction)
    return restored


def halo(kernel: Kernels, scale: int) -> int:
    """Return how far, in low-resolution px, a restored pixel is felt to depend on others."""
    return HALO + 2 * kernel.shape[-1] // scale


def _observed(image: Planes, degradation: Degradation) -> OtherPlanes:
    """Return `Degradation.linear` of a picture, from pieces of it if it is large."""
    scale = degradation.scale
    height, width = (size // scale for size in image.shape[-2:])
    size, reach = tiling.side(tiling.LARGE) // scale, degradation.kernel.shape[-1] // scale + 6
    if height * width <= size**2:
        return degradation.linear(image)
    seen = image.new_empty(*image.shape[:-2], height, width)
    for tile in tiling.tiles(height, width, reach, size):
        tile.target(seen).copy_(tile.trim(degradation.linear(tile.enlarged(scale).cut(image))))
    return seen


def _correction(
    residual: Planes,
    tile: tiling.Tile,
    places: tuple[Tensor, Tensor],
    kernel: Kernels,
    scale: int,
    mu: float | Tensor,
) -> OtherPlanes:
    """Return the part of `least_squares` for a tile, from a window of the periodic picture that has it as a whole."""
    around = halo(kernel, scale)
    cut = residual
    for axis, core, line in zip((-2, -1), tile.core, places, strict=True):
        length = core.stop - core.start
        window = torch.arange(core.start - around, core.start - around + _fast_length(length + 2 * around))
        cut = cut.index_select(axis, line[(window.to(line.device) + PAD) % len(line)])
    edge = around * scale
    rows, columns = (slice(edge, edge + scale * (core.stop - core.start)) for core in tile.core)
    return least_squares(cut, kernel, scale, mu)[..., rows, columns]


def _fast_length(length: int) -> int:
    """Return the smallest length, not below the one given, whose Fourier transform is fast: factors 2, 3 and 5."""
    while True:
        rest = length
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return length
        length += 1


def back_project(sr: Planes, lr: OtherPlanes, degradation: Degradation, steps: int = 1) -> Planes:
    """Move a picture towards agreement with the low-resolution one (Irani and Peleg, 1991).

    Each step adds the enlarged difference between `lr` and the degraded `sr`.
    """
    for _ in range(steps):
        sr = sr + enlarge(lr - degradation.linear(sr), degradation)
    return sr
