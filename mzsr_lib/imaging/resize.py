"""Changing a picture's size as MATLAB's ``imresize`` does, and differentiably."""

import math
from functools import partial

import torch
from torch.nn import functional as F

from mzsr_lib.files import InputError
from mzsr_lib.imaging import tiling
from mzsr_lib.shapes import OtherPlanes, Planes, Tensor

# The cubic reaches 2 source pixels when it enlarges and 2 * scale when it shrinks; a little more does no harm.
REACH = 4


def mirror(size: int, before: int, after: int, device: torch.device | str = "cpu") -> torch.Tensor:
    """Return the source index of every pixel of a line padded by reflection that repeats the edge.

    A line ``a b c`` padded by two on both sides reads ``b a a b c c b``. Any width of padding is
    allowed: the reflection goes on.
    """
    position = torch.arange(-before, size + after, device=device) % (2 * size)
    return torch.where(position < size, position, 2 * size - 1 - position)


def pad_symmetric(image: Planes, pad: int) -> OtherPlanes:
    """Pad all four sides by `pad` px with the reflection that repeats the edge ("symmetric" in MATLAB)."""
    rows = mirror(image.shape[-2], pad, pad, image.device)
    columns = mirror(image.shape[-1], pad, pad, image.device)
    return image.index_select(-2, rows).index_select(-1, columns)


def cubic(distance: Tensor) -> Tensor:
    """Return Keys' cubic (a = -0.5), the weight of a pixel at a signed distance in px (Keys, IEEE TASSP 1981).

    It is 1 at 0, 0 at all other whole distances, and 0 beyond 2.
    """
    x = distance.abs()
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return torch.where(x <= 1, near, torch.where(x < 2, far, torch.zeros_like(x)))


def upscale(image: Planes, scale: int) -> OtherPlanes:
    """Enlarge by an integer factor with the bicubic of MATLAB (Keys' cubic, a = -0.5).

    Pixel centres are aligned: the middle of the picture stays the middle. (B, C, H, W) becomes
    (B, C, scale * H, scale * W); values may leave [0, 1] slightly, as any cubic does.
    """
    if scale == 1:
        return image
    return tiling.by_tiles(partial(_upscale, scale=scale), image, scale, REACH)


def _upscale(image: Planes, scale: int) -> OtherPlanes:
    padded = pad_symmetric(image, REACH)
    # antialias=True is what selects a = -0.5; with False torch uses a = -0.75.
    size = (padded.shape[-2] * scale, padded.shape[-1] * scale)
    # torch computes positions in the picture's precision; a third is not exact in float32 and drifts by 1e-4.
    exact = padded.double() if scale == 3 else padded
    large = F.interpolate(exact, size, mode="bicubic", antialias=True, align_corners=False)
    edge = REACH * scale
    return large[..., edge:-edge, edge:-edge].to(image.dtype)


def downscale(image: Planes, scale: int) -> OtherPlanes:
    """Shrink by an integer factor with the antialiased bicubic of MATLAB (the cubic is widened by `scale`).

    Raises
    ------
    InputError
        If a side is no multiple of `scale`; see `images.crop_to_multiple`.
    """
    if scale == 1:
        return image
    height, width = image.shape[-2:]
    if height % scale or width % scale:
        raise InputError(f"A picture of {width} x {height} px cannot be divided by {scale}: crop it first.")
    padded = pad_symmetric(image, REACH * scale)
    size = (padded.shape[-2] // scale, padded.shape[-1] // scale)
    small = F.interpolate(padded, size, mode="bicubic", antialias=True, align_corners=False)
    return small[..., REACH:-REACH, REACH:-REACH]


def shift(image: Planes, right: float, down: float | None = None) -> Planes:
    """Move a picture by a number of px, between pixels with Keys' cubic; the border is mirrored.

    It moves as far down as right if nothing else is said. By whole numbers it moves as it is.
    """
    down = right if down is None else down
    pad, channels = max(abs(math.floor(offset)) for offset in (right, down)) + 3, image.shape[1]
    parts, taps = [], []
    for offset, size in ((down, image.shape[-2]), (right, image.shape[-1])):
        # Output p is the input at p - offset: the four pixels around that place, from p - whole - 2 on.
        whole = math.floor(offset)
        taps.append(cubic(torch.arange(-2, 2, device=image.device, dtype=image.dtype) + (offset - whole)))
        parts.append(slice(pad - whole - 2, pad - whole - 2 + size + 3))
    weights = torch.outer(*taps).expand(channels, 1, -1, -1)
    return F.conv2d(pad_symmetric(image, pad)[..., parts[0], parts[1]], weights, groups=channels)


def fit(image: Planes, height: int, width: int) -> OtherPlanes:
    """Change the size of a picture with the antialiased bicubic, to any other; pixel centres are aligned."""
    return F.interpolate(image, (height, width), mode="bicubic", antialias=True, align_corners=False)
