"""What is done to a picture file as a whole: grey stays grey, and transparency goes along."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from mzsr_lib import estimation, images, resize
from mzsr_lib.data import generator_for
from mzsr_lib.degradation import Degradation
from mzsr_lib.files import InputError, check_writable
from mzsr_lib.images import Picture, crop_to_multiple
from mzsr_lib.kernels import Setting
from mzsr_lib.shapes import Images, OtherImages

# Formats with room for an alpha channel beside grey and beside colour.
TRANSPARENT = (".png", ".tif", ".tiff", ".webp")


def crop(picture: Picture, scale: int) -> tuple[Picture, str | None]:
    """Return the picture cut to a multiple of the scale, and a sentence that says so if anything was cut."""
    image = crop_to_multiple(picture.image, images.check_scale(scale))
    if image.shape == picture.image.shape:
        return picture, None
    alpha = None if picture.alpha is None else crop_to_multiple(picture.alpha, scale)
    old, new = (f"{x.shape[-1]} x {x.shape[-2]}" for x in (picture.image, image))
    sentence = f"The picture was cropped from {old} to {new} px, a multiple of {scale}."
    return replace(picture, image=image, alpha=alpha), sentence


def degrade(picture: Picture, degradation: Degradation, seed: int = 0) -> Picture:
    """Return the low-resolution picture; its sides must be multiples of the scale (see `crop`).

    The transparency is blurred and subsampled as the colours are, without noise.
    """
    device = degradation.kernel.device
    planes = picture.image[:, :1] if picture.grey else picture.image  # so that grey gets grey noise
    lr = degradation(planes.to(device), generator_for(seed, "noise", device=device)).expand(-1, 3, -1, -1)
    alpha = None if picture.alpha is None else degradation.linear(picture.alpha.to(device)).clamp(0, 1)
    return Picture(lr, alpha, picture.grey)


def upscale(
    picture: Picture, method: Callable[[Images, Degradation], OtherImages], degradation: Degradation
) -> Picture:
    """Return the super-resolved picture: the colours by `method`, the transparency by plain bicubic.

    Each side becomes exactly `scale` times as long, whatever it was.
    """
    device = degradation.kernel.device
    sr = method(picture.image.to(device), degradation).clamp(0, 1)
    alpha = None if picture.alpha is None else resize.upscale(picture.alpha, degradation.scale).clamp(0, 1)
    return Picture(sr, None if alpha is None else alpha.to(device), picture.grey)


def estimated(picture: Picture, scale: int, mode: str | None, say: Callable[[str], None]) -> Setting:
    """Return the Gaussian blur that a low-resolution picture seems to have, and say which.

    Raises
    ------
    InputError
        If the scale is not 2, the sampling not direct, or the picture shows no edges; see `estimation.estimate`.
    """
    if mode not in (None, "direct"):
        raise InputError(f"A kernel is estimated for direct sampling only, not {mode}: give the kernel.")
    if scale != 2:
        raise InputError(f"A kernel is estimated for scale 2 only, not {scale}: give the kernel.")
    found = estimation.estimate(picture.image)
    say(f"The blur is estimated: lambda1 {found.lambda1:.2f}, lambda2 {found.lambda2:.2f} px^2, {found.theta:.2f} rad.")
    return found.setting


def doubt(kernel: str, method: str) -> str | None:
    """Say in one sentence why a method should not be trusted with a kernel that was only estimated, or return None."""
    if kernel == "estimate" and method == "mzsr-plus":
        return "With an estimated kernel the method mzsr is the safer one: look for halos, and compare."
    return None


def check_size(picture: Picture, degradation: Degradation) -> None:
    """Raise `InputError` when a low-resolution picture is too small to be degraded once more by its kernel."""
    degradation.check(crop_to_multiple(picture.image, degradation.scale))


def check_output(path: str | Path, picture: Picture) -> None:
    """Raise `InputError` when such a picture cannot be written to `path`; to be called before long work."""
    path = images.check_suffix(path)
    if picture.alpha is not None and path.suffix.lower() not in TRANSPARENT:
        raise InputError(f"{path} cannot hold transparency, which the picture has: use {', '.join(TRANSPARENT)}.")
    check_writable(path)


def save(path: str | Path, picture: Picture) -> None:
    """Write a picture at 8 bits a channel, whole or not at all."""
    images.save(path, picture.image, picture.alpha, picture.grey)
