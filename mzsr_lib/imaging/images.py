"""Pictures as numbers: from arrays and back, luma, rounding to 8 bits, cropping."""

import numpy as np
import torch

from mzsr_lib.files import InputError
from mzsr_lib.shapes import Images, Luma, OtherPlanes, Planes

# Grey levels. Rounding to 8 bits alone makes half of one; the calmest photograph of BSD100 and Set14 has 3.5, shrunk by
# 2 after a blur of 6 px^2.
FLAT = 1.0
BEYOND = 0.25  # that values may leave [0, 1] by, as those of a cubic or with noise do


def from_array(values: np.ndarray) -> Images:
    """Return an array (H, W, 3), or a grey one (H, W), as (1, 3, H, W); 8-bit integers become numbers in [0, 1].

    Raises
    ------
    InputError
        If it has another shape, or integers of another size.
    """
    if values.ndim not in (2, 3) or values.shape[2:] not in ((), (3,)):
        raise InputError(f"The array has the shape {values.shape}: a picture is (H, W, 3), or (H, W) when it is grey.")
    if values.dtype != np.uint8 and values.dtype.kind != "f":
        raise InputError(f"The array holds {values.dtype}: give 8-bit integers, or floating-point numbers in [0, 1].")
    numbers = values.astype(np.float32) / (255 if values.dtype == np.uint8 else 1)
    colours = numbers if numbers.ndim == 3 else numbers[..., None].repeat(3, axis=2)
    return from_tensor(torch.from_numpy(colours).permute(2, 0, 1)[None].contiguous())


def from_tensor(values: torch.Tensor) -> Images:
    """Return a tensor that somebody gives as a picture (1, 3, H, W), in single precision, if it is one.

    Raises
    ------
    InputError
        If it has another shape, no pixels, integers, values that are not finite, or values far outside [0, 1].
    """
    if values.ndim != 4 or tuple(values.shape[:2]) != (1, 3) or not values.numel():
        raise InputError(f"The tensor has the shape {tuple(values.shape)}: a picture is (1, 3, H, W), H and W not 0.")
    if not values.is_floating_point():
        raise InputError(f"The tensor holds {values.dtype}: give floating-point numbers in [0, 1].")
    values = values.detach()
    if not values.isfinite().all():
        raise InputError("The picture has values that are not finite (NaN or infinite): replace them first.")
    low, high = (float(value) for value in values.aminmax())
    if low < -BEYOND or high > 1 + BEYOND:
        raise InputError(f"The picture has values from {low:g} to {high:g}: they must lie in [0, 1].")
    return values.float()


def to_array(image: Images, like: np.ndarray) -> np.ndarray:
    """Return a picture (1, 3, H, W) as an array of the kind of another one: its number type, grey or colour."""
    planes = image if like.ndim == 3 else image.mean(dim=1, keepdim=True)
    shown = to_bytes(planes) if like.dtype == np.uint8 else planes.clamp(0, 1)
    values = shown[0].permute(1, 2, 0).cpu().numpy().astype(like.dtype)
    return values if like.ndim == 3 else values[..., 0]


def round_to_8_bits(image: Planes) -> Planes:
    """Clip to [0, 1] and round to multiples of 1/255, as saving to an 8-bit file would."""
    return (image.clamp(0, 1) * 255).round() / 255


def to_bytes(image: Planes) -> torch.Tensor:
    """Clip to [0, 1] and return 8-bit integers 0 ... 255 of the same shape."""
    return (image.clamp(0, 1) * 255).round().to(torch.uint8)


def luma(image: Images) -> Luma:
    """Return the BT.601 luma Y of RGB in [0, 1]: (B, 1, H, W), from 16 (black) to 235 (white)."""
    weights = image.new_tensor([65.481, 128.553, 24.966]).reshape(1, 3, 1, 1)
    return (image * weights).sum(dim=1, keepdim=True) + 16


def is_flat(image: Images) -> bool:
    """Say whether a picture has no texture to speak of: slopes of less than a grey level, root mean square."""
    plane = luma(image)
    return bool(sum(plane.diff(dim=axis).square().mean() for axis in (-1, -2)) < FLAT**2)


def crop_to_multiple(image: Planes, scale: int) -> OtherPlanes:
    """Cut rows at the bottom and columns at the right until both sizes are multiples of `scale`.

    Raises
    ------
    InputError
        If nothing would be left, or the scale is not positive.
    """
    if scale < 1:
        raise InputError(f"The scale is {scale!r}: it must be 1 or more.")
    height, width = (size - size % scale for size in image.shape[-2:])
    if min(height, width) == 0:
        raise InputError(
            f"A picture of {image.shape[-1]} x {image.shape[-2]} px is too small for scale {scale}: each side needs "
            f"{scale} px or more."
        )
    return image[..., :height, :width]


def check_scale(scale: int, least: int = 2) -> int:
    """Return `scale`, or raise `InputError` when it is not 2, 3 or 4; with `least` 1 also for 1, a blur alone."""
    if scale not in range(least, 5):
        *others, last = range(least, 5)
        raise InputError(f"The scale is {scale!r}: it must be {', '.join(map(str, others))} or {last}.")
    return scale


def clip(image: Planes) -> Planes:
    """Clip to [0, 1]; infinite values become NaN, so that they are never taken for black or white."""
    return image.clamp(0, 1).masked_fill_(image.isinf(), torch.nan)


def centre_crop(image: Planes, size: int, scale: int) -> OtherPlanes:
    """Cut the middle of a picture: at most `size` px a side, a multiple of `scale`."""
    height, width = (min(size, s) // scale * scale for s in image.shape[-2:])
    top, left = (image.shape[-2] - height) // 2, (image.shape[-1] - width) // 2
    return image[..., top : top + height, left : left + width]


def beside(right: float, below: float) -> str:
    """Return in words where something lies that is so many px right of and below something else.

    Examples
    --------
    >>> beside(-0.5, 1)
    '0.5 px left of and 1 px below'
    """
    across, down = "left" if right < 0 else "right", "above" if below < 0 else "below"
    return f"{abs(right):.3g} px {across} of and {abs(below):.3g} px {down}"
