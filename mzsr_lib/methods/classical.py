"""Super-resolution without learning: interpolation, Landweber's iteration, and the closed-form restoration.

All return pictures in [0, 1]. Landweber and Tikhonov use the known kernel; the interpolations do not.

Their two settings were chosen on Set14 (the middle 192 px of its 14 pictures, scale 2, mean PSNR in dB):

======  =======  =============  =====  =====  ==================  =====  =====  =====
kernel  aligned  Landweber, 30  100    200    Tikhonov, mu 1e-4   3e-4   1e-3   1e-2
======  =======  =============  =====  =====  ==================  =====  =====  =====
g0.2d   30.26    30.33          30.33  30.33  30.33               30.33  30.33  30.33
g2.0d   27.12    30.32          30.99  31.18  31.20               31.25  31.12  29.97
gani_d  26.69    29.63          30.21  30.42  30.54               30.55  30.37  29.31
g1.3b   27.69    30.82          31.27  31.36  31.35               31.38  31.31  30.43
======  =======  =============  =====  =====  ==================  =====  =====  =====
"""

from collections.abc import Callable

import torch
from torch.nn import functional as F

from mzsr_lib.files import InputError
from mzsr_lib.imaging import images, resize, restoration, tiling
from mzsr_lib.imaging.degradation import Degradation
from mzsr_lib.shapes import Images, OtherImages, OtherPlanes, Planes

ITERATIONS = 200  # the most that were tried; the gain of the last hundred is 0.1 to 0.2 dB
MU = 3e-4


def nearest(lr: Images, degradation: Degradation) -> OtherImages:
    """Repeat every pixel: (1, 3, h, w) becomes (1, 3, scale * h, scale * w)."""
    return F.interpolate(lr, scale_factor=degradation.scale, mode="nearest")


def bilinear(lr: Images, degradation: Degradation) -> OtherImages:
    """Interpolate linearly between pixel centres; the middle of the picture stays the middle."""
    return F.interpolate(lr, scale_factor=degradation.scale, mode="bilinear", align_corners=False)


def bicubic(lr: Images, degradation: Degradation) -> OtherImages:
    """Enlarge as MATLAB does, the paper's "Bicubic"; see `resize.upscale`."""
    return images.clip(resize.upscale(lr, degradation.scale))


def aligned(lr: Images, degradation: Degradation) -> OtherImages:
    """Enlarge with the same cubic, in register with the sampling; see `restoration.enlarge`."""
    return images.clip(restoration.enlarge(lr, degradation))


def adjoint(degradation: Degradation, lr: Planes) -> Callable[[Planes], OtherPlanes]:
    """Return ``A^T`` for pictures of the shape of `lr` (B, C, h, w), where A is `Degradation.linear`.

    It is exact, borders included, since it is A differentiated. Its values are (B, C, scale * h, scale * w).
    """
    size = (degradation.scale * length for length in lr.shape[-2:])
    pull = torch.func.vjp(degradation.linear, lr.new_zeros(*lr.shape[:2], *size))[1]
    return lambda residual: pull(residual)[0]


def largest_eigenvalue(degradation: Degradation, size: int = 24, rounds: int = 15) -> float:
    """Return about the largest eigenvalue of ``A A^T``, from below, by power iteration from a flat picture.

    The low-resolution picture has `size` px a side: how far a blur can amplify hardly depends on it.
    """
    kernel = degradation.kernel
    vector = torch.ones(1, 1, size, size, dtype=kernel.dtype, device=kernel.device)
    spread = adjoint(degradation, vector)
    for _ in range(rounds):
        image = degradation.linear(spread(vector))
        norm = image.norm()
        vector = image / norm
    return float(norm)


def landweber(lr: Images, degradation: Degradation, steps: int = ITERATIONS) -> OtherImages:
    """Descend ``|A x - lr|^2`` from the aligned enlargement: ``x <- x + tau A^T (lr - A x)`` (Landweber, 1951).

    Parameters
    ----------
    lr
        (1, 3, h, w) in [0, 1].
    degradation
        The known blur and scale; noise is not modelled.
    steps
        Iterations; to stop early is what regularises.

    Returns
    -------
    OtherImages
        (1, 3, scale * h, scale * w), clipped to [0, 1] at the end. The step tau is 1 / `largest_eigenvalue`:
        anything below twice that lets the residual fall with every iteration.

    Raises
    ------
    InputError
        If there is not at least one iteration.
    """
    if steps < 1:
        raise InputError(f"Landweber's iteration takes {steps} steps: give at least 1.")

    def work(piece: Images) -> OtherImages:
        return images.clip(descend(restoration.enlarge(piece, degradation), piece, degradation, steps))

    halo = restoration.halo(degradation.kernel, degradation.scale)
    return tiling.by_tiles(work, lr, degradation.scale, halo, "descend")


def descend(sr: Planes, lr: OtherPlanes, degradation: Degradation, steps: int) -> Planes:
    """Return what Landweber's iteration makes of a start `sr` (B, C, scale * h, scale * w), not clipped."""
    tau, spread = 1 / largest_eigenvalue(degradation), adjoint(degradation, lr)
    for _ in range(steps):
        sr = sr + tau * spread(lr - degradation.linear(sr))
    return sr


def tikhonov(lr: Images, degradation: Degradation, mu: float = MU) -> OtherImages:
    """Solve for the picture with the least ``|A x - lr|^2 + mu |x - x0|^2``; see `restoration.restore`."""
    return images.clip(restoration.restore(lr, degradation, mu))
