"""Picture files: reading and writing them, and what goes along: grey stays grey, transparency is kept."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError

from mzsr_lib.files import InputError, atomic_path, check_writable, existing_folder
from mzsr_lib.imaging import resize
from mzsr_lib.imaging.degradation import Degradation
from mzsr_lib.imaging.images import check_scale, crop_to_multiple, to_bytes
from mzsr_lib.runtime import generator_for
from mzsr_lib.shapes import Images, Luma, OtherImages, Planes

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")

# Formats with room for an alpha channel beside grey and beside colour.
TRANSPARENT = (".png", ".tif", ".tiff", ".webp")


@dataclass(frozen=True)
class Picture:
    """A picture as it stood in its file.

    Attributes
    ----------
    image
        (1, 3, H, W), RGB in [0, 1]. A grey picture has three equal channels.
    alpha
        (1, 1, H, W) in [0, 1], or None when the file had no transparency.
    grey
        True when the file had a single channel.
    """

    image: Images
    alpha: Luma | None = None
    grey: bool = False


def read(path: str | Path) -> Picture:
    """Read a picture file with its transparency and its grey or colour nature.

    Grey, 16-bit and palette pictures and ones with transparency are read as one would expect; a
    rotation noted by a camera is applied. Sixteen-bit colour is read at eight bits a channel.

    Raises
    ------
    InputError
        If the file is missing, is not a picture, or has a colour space other than grey or RGB.
    """
    path = Path(path)
    if not path.is_file():
        found = "a folder has that name" if path.is_dir() else "there is no such file"
        raise InputError(f"Cannot read the picture {path}: {found}.")
    try:
        with Image.open(path) as opened:
            return _from_pillow(ImageOps.exif_transpose(opened), path)
    except UnidentifiedImageError:
        raise InputError(f"{path} is not a picture that can be read: give a PNG, JPEG, TIFF or BMP.") from None
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"The picture {path} cannot be read ({error}).") from None


def _from_pillow(picture: Image.Image, path: Path) -> Picture:
    if picture.mode in ("CMYK", "LAB", "HSV", "YCbCr"):
        raise InputError(f"{path} is a {picture.mode} picture: convert it to RGB or grey first.")
    if picture.mode.startswith(("I", "F")):
        return Picture(_wide_grey(picture, path).expand(1, 3, -1, -1).contiguous(), grey=True)
    transparent = picture.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in picture.info
    alpha = _to_tensor(picture.convert("RGBA").getchannel("A")) if transparent else None
    grey = picture.mode in ("1", "L", "LA", "La")
    return Picture(_to_tensor(picture.convert("RGB")), alpha, grey)


def _wide_grey(picture: Image.Image, path: Path) -> Luma:
    values = np.array(picture, dtype=np.float32)
    if picture.mode.startswith("I"):
        values = values / 65535
    if not np.isfinite(values).all() or values.min() < 0 or values.max() > 1:
        raise InputError(f"{path} has values outside its range: save it as 8- or 16-bit first.")
    return torch.from_numpy(values)[None, None]


def _to_tensor(picture: Image.Image) -> Planes:
    values = np.array(picture, dtype=np.float32) / 255
    return torch.from_numpy(values.reshape(*values.shape[:2], -1)).permute(2, 0, 1)[None].contiguous()


def load(path: str | Path) -> Images:
    """Read a picture file as (1, 3, H, W), RGB in [0, 1]. See `read` for what is accepted."""
    return read(path).image


def write(path: str | Path, picture: Picture) -> None:
    """Write a picture at 8 bits a channel, whole or not at all."""
    save(path, picture.image, picture.alpha, picture.grey)


def save(path: str | Path, image: Images, alpha: Luma | None = None, grey: bool = False) -> None:
    """Write one image, rounded to 8 bits, as a whole file or not at all.

    Parameters
    ----------
    path
        Its ending names the format: one of `SUFFIXES`.
    image
        (1, 3, H, W), values outside [0, 1] are clipped.
    alpha
        (1, 1, H, W) in [0, 1], written as transparency.
    grey
        Write one channel, the mean of the three.
    """
    path = check_suffix(path)
    if len(image) != 1:
        raise InputError(f"A file holds one picture, and {len(image)} were given: save them one by one.")
    colour = image.mean(dim=1, keepdim=True) if grey else image
    planes = colour if alpha is None else torch.cat([colour, alpha], dim=1)
    values = to_bytes(planes)[0].permute(1, 2, 0).cpu().numpy()
    with atomic_path(path) as temporary:
        try:
            Image.fromarray(values.squeeze(-1) if values.shape[-1] == 1 else values).save(temporary)
        except OSError as error:
            raise InputError(f"Cannot write the picture {path} ({error}).") from None


def check_suffix(path: str | Path) -> Path:
    """Return `path`, or raise `InputError` when its ending is not a picture format we write."""
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(
            f"{path} has the ending '{path.suffix}', which is no picture format: use {', '.join(SUFFIXES)}."
        )
    return path


def check_output(path: str | Path, picture: Picture) -> None:
    """Raise `InputError` when such a picture cannot be written to `path`; to be called before long work."""
    path = check_suffix(path)
    if picture.alpha is not None and path.suffix.lower() not in TRANSPARENT:
        raise InputError(f"{path} cannot hold transparency, which the picture has: use {', '.join(TRANSPARENT)}.")
    check_writable(path)


def paths_in(folder: str | Path) -> list[Path]:
    """Return the picture files of a folder, sorted by name.

    Raises
    ------
    InputError
        If it is not a folder or holds no picture.
    """
    folder = existing_folder(folder)
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))
    if not paths:
        raise InputError(
            f"There are no pictures in {folder}: it should hold files like {SUFFIXES[0]} or {SUFFIXES[1]}."
        )
    return paths


def crop(picture: Picture, scale: int) -> tuple[Picture, str | None]:
    """Return the picture cut to a multiple of the scale, and a sentence that says so if anything was cut."""
    image = crop_to_multiple(picture.image, check_scale(scale))
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


def check_size(picture: Picture, degradation: Degradation) -> None:
    """Raise `InputError` when a low-resolution picture is too small to be degraded once more by its kernel."""
    degradation.check(crop_to_multiple(picture.image, degradation.scale))
