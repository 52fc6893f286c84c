"""Pictures in and out of files, and the few things done to their values: luma, rounding, cropping."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError

from mzsr_lib.files import InputError, atomic_path, existing_folder
from mzsr_lib.shapes import Images, Luma, OtherPlanes, Planes

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")

# Pictures that come with scikit-image, so that nothing has to be fetched; all are free to use.
EXAMPLES = ("astronaut", "coffee", "chelsea", "rocket")


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


def example(name: str) -> Images:
    """Return one of scikit-image's colour pictures (`EXAMPLES`) as (1, 3, H, W); nothing is fetched."""
    if name not in EXAMPLES:
        raise InputError(f"There is no example picture '{name}': choose one of {', '.join(EXAMPLES)}.")
    from skimage import data  # here, so that a training machine does without scikit-image

    return _to_tensor(Image.fromarray(getattr(data, name)()))


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


def crop_to_multiple(image: Planes, scale: int) -> OtherPlanes:
    """Cut rows at the bottom and columns at the right until both sizes are multiples of `scale`.

    Raises
    ------
    InputError
        If nothing would be left.
    """
    height, width = (size - size % scale for size in image.shape[-2:])
    if min(height, width) == 0:
        raise InputError(f"A picture of {image.shape[-1]} x {image.shape[-2]} px is too small for scale {scale}.")
    return image[..., :height, :width]


def check_scale(scale: int) -> int:
    """Return `scale`, or raise `InputError` when it is not 2, 3 or 4."""
    if scale not in (2, 3, 4):
        raise InputError(f"The scale is {scale}: it must be 2, 3 or 4.")
    return scale


def centre_crop(image: Planes, size: int, scale: int) -> OtherPlanes:
    """Cut the middle of a picture: at most `size` px a side, a multiple of `scale`."""
    height, width = (min(size, s) // scale * scale for s in image.shape[-2:])
    top, left = (image.shape[-2] - height) // 2, (image.shape[-1] - width) // 2
    return image[..., top : top + height, left : left + width]
