"""The one reader of picture files: values that can be used, and what a file says beside them, or one sentence."""

import contextlib
import logging
import os
import re
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageCms, ImageFile, UnidentifiedImageError

from mzsr_lib import fields
from mzsr_lib.files import InputError, is_address

# More pixels than this are not read unless somebody asks for it: a file of a few KB can claim any number of them.
MAX_PIXELS = 100_000_000

# Everybody's formats. Pillow knows more; some of those run other programs.
FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "GIF", "PPM", "TGA", "JPEG2000", "AVIF", "ICO", "PCX")


def suffixes() -> set[str]:
    """Return the endings, such as ``".gif"``, of the files that are read: more than are written."""
    return {suffix for suffix, form in Image.registered_extensions().items() if form in FORMATS}


# How the pixels of a file have to be turned to be upright, by the orientation tag of TIFF 6.0.
UPRIGHT = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a.swapaxes(0, 1)[:, ::-1],
    7: lambda a: a.swapaxes(0, 1)[::-1, ::-1],
    8: lambda a: a.swapaxes(0, 1)[::-1],
}

# What EXIF says of the picture, and not of the file: who and what made it, when, where; and the blocks behind pointers.
KEPT = {ExifTags.Base[name] for name in ("ImageDescription", "Make", "Model", "Software", "DateTime", "Artist")}
KEPT |= {ExifTags.Base.Copyright, *map(int, (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo))}
SIZES = (ExifTags.Base.ExifImageWidth, ExifTags.Base.ExifImageHeight)


@dataclass(frozen=True)
class Origin:
    """What a file says of its picture beside the pixels, to be written again.

    Attributes
    ----------
    profile
        Its ICC colour profile: what its numbers mean.
    dpi
        Pixels per inch, across and down.
    exif
        Camera, date, place, author. The orientation was applied, and is left out.
    """

    profile: bytes | None = None
    dpi: tuple[float, float] | None = None
    exif: bytes | None = None


NOWHERE = Origin()


class Decoded(NamedTuple):
    """What a file holds.

    Attributes
    ----------
    values
        (H, W, C): 8- or 16-bit integers, or numbers in [0, 1]; C is 1 (grey), 2 (and alpha), 3 (RGB) or 4.
    grey
        Whether the file has one channel beside its alpha.
    origin
        See `Origin`.
    notes
        Sentences about what is in the file and not in here.
    """

    values: np.ndarray
    grey: bool
    origin: Origin
    notes: tuple[str, ...]


def decode(source: str | Path | BytesIO, max_pixels: int = MAX_PIXELS) -> Decoded:
    """Read the first picture of a file, upright.

    Parameters
    ----------
    source
        A file, or what it holds; sentences call that by its attribute `name`, if it has one.
    max_pixels
        The most that are read.

    Raises
    ------
    InputError
        If there is no such file, it is damaged or no picture, it has a colour space other than grey, RGB or CMYK,
        values outside their range, or more pixels.
    """
    name = str(source) if isinstance(source, str | Path) else getattr(source, "name", "the standard input")
    if isinstance(source, str | Path):
        _check_file(source)
    elif not source.getbuffer().nbytes:
        raise InputError(f"Cannot read the picture from {name}: it is empty.")
    try:
        with _alone():
            return _decoded(source, name, max_pixels)
    except (InputError, MemoryError):
        raise
    except UnidentifiedImageError:
        raise InputError(f"{name} is not a picture that can be read: give one of {', '.join(FORMATS)}.") from None
    except Exception as error:  # every decoder has its own kinds; a user needs only the sentence
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"The picture {name} cannot be read ({reason}): if it is damaged or cut short, copy or download it again."
        ) from None


def _open(source: str | Path | BytesIO) -> ImageFile.ImageFile:
    Image.init()  # every plugin that is installed
    return Image.open(source, formats=[name for name in FORMATS if name in Image.OPEN])


def _check_file(source: str | Path) -> None:
    path = Path(source)
    try:
        if path.is_file() and path.stat().st_size:
            return
        found = "a folder has that name" if path.is_dir() else "there is no such file"
        if path.exists() and not path.is_dir():
            found = "it is empty" if path.is_file() else "it is no ordinary file"
    except (OSError, ValueError) as error:  # a name that is too long, or cannot be one
        found = getattr(error, "strerror", None) or str(error)
    if is_address(str(source)):
        found = "that is an address, and only files are read; download it first"
    raise InputError(f"Cannot read the picture {source}: {found}.")


_ONE_AT_A_TIME = threading.RLock()  # what `_alone` changes belongs to the whole process


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Keep what Pillow and its C libraries say from the screen; pixels are counted here, not by Pillow's own limit."""
    with _ONE_AT_A_TIME:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        logger, silent = logging.getLogger("PIL"), logging.NullHandler()
        logger.addHandler(silent)
        try:
            with warnings.catch_warnings(), _no_stderr():
                warnings.simplefilter("ignore")
                yield
        finally:
            logger.removeHandler(silent)
            Image.MAX_IMAGE_PIXELS = limit


@contextlib.contextmanager
def _no_stderr() -> Iterator[None]:
    """Send what is written to file descriptor 2 nowhere: libtiff writes there itself."""
    try:
        kept = os.dup(2)
    except OSError:  # it is closed
        yield
        return
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _decoded(source: str | Path | BytesIO, name: str, max_pixels: int) -> Decoded:
    with _open(source) as opened:
        _check(opened, name, max_pixels)
        tiles, count = list(opened.tile), getattr(opened, "n_frames", 1)
        opened.seek(0)
        origin, notes = _origin(opened)
        opened.load()
        orientation = 1 if notes else opened.getexif().get(ExifTags.Base.Orientation, 1)
        if opened.mode == "1":
            notes.append(
                f"{name} has black and white alone (1 bit), whose dots are taken for noise: give the grey picture that "
                "it was made from, or take --method nearest."
            )
        shown = opened
        if opened.mode == "CMYK":  # its profile is that of inks
            exact = "" if origin.profile else ", approximately, since it has no colour profile"
            notes.append(f"{name} is a CMYK picture: its colours are taken as sRGB{exact}.")
            shown, origin = to_srgb(opened, origin.profile or b"").convert("RGB"), replace(origin, profile=None)
        values, grey = _values(shown, name)
    if count > 1:
        notes.append(f"{name} holds {count} pictures: the first is taken.")
    deep = re.fullmatch(r"(LA|RGB|RGBA);16([BLN])", _rawmode(tiles))
    if deep and (deep[1] == "LA" or len(deep[1]) == values.shape[-1]):
        values, grey = _sixteen_bits(source, *deep.groups()), deep[1] == "LA"
    elif ";16" in _rawmode(tiles) and values.dtype == np.uint8:
        notes.append(f"{name} has 16 bits a channel, of which 8 are read.")
    return Decoded(UPRIGHT.get(orientation, np.asarray)(values), grey, origin, tuple(notes))


def _check(opened: Image.Image, name: str, max_pixels: int) -> None:
    if opened.mode in ("LAB", "HSV", "YCbCr"):
        raise InputError(f"{name} is a {opened.mode} picture: convert it to RGB or grey first.")
    check_pixels(f"The picture {name}", *opened.size, max_pixels)


def check_pixels(what: str, width: int, height: int, most: int) -> None:
    """Raise `InputError` when a picture has more pixels than are allowed, or the limit is none."""
    fields.require(most, fields.Count, "max-pixels")
    if width * height > most:
        raise InputError(
            f"{what} has {width} x {height} px, {width * height:,} in all, more than the {most:,} that are "
            f"allowed: if the memory is there, allow them (--max-pixels {width * height})."
        )


def to_srgb(picture: Image.Image, profile: bytes) -> Image.Image:
    """Return the colours that a profile means, as sRGB; a profile that cannot be used is left out."""
    mode = "RGB" if picture.mode == "CMYK" else None
    try:
        found = ImageCms.profileToProfile(picture, BytesIO(profile), ImageCms.createProfile("sRGB"), outputMode=mode)
    except (ImageCms.PyCMSError, OSError):
        return picture
    return found or picture


def _rawmode(tiles: list) -> str:
    """Return how the pixels lie in the file, in Pillow's words."""
    arguments = tiles[0][3] if tiles else ""
    return str(arguments[0] if isinstance(arguments, tuple) and arguments else arguments)


def _values(picture: Image.Image, name: str) -> tuple[np.ndarray, bool]:
    """Return the values (H, W, C) as Pillow has them, and whether they are grey."""
    if picture.mode.startswith(("I", "F")):
        return _wide(np.array(picture), name), True
    transparent = picture.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in picture.info
    grey = picture.mode in ("1", "L", "LA", "La")
    values = np.array(picture.convert("RGBA" if transparent else "L" if grey else "RGB"))
    values = values[..., [0, 3]] if grey and transparent else values
    return np.atleast_3d(values), grey


def _wide(values: np.ndarray, name: str) -> np.ndarray:
    """Return grey values with more than 8 bits as 16-bit integers, or as numbers in [0, 1]."""
    most = 1 if values.dtype.kind == "f" else 65535
    if not np.isfinite(values).all():
        raise InputError(f"{name} has values that are not finite: replace them, or save it as 8- or 16-bit first.")
    if values.min() < 0 or values.max() > most:
        raise InputError(
            f"{name} has values from {values.min():g} to {values.max():g}, where they should lie between 0 and {most}: "
            "save it as 8- or 16-bit first."
        )
    return values.astype(np.float32 if most == 1 else np.uint16)[..., None]


def _sixteen_bits(source: str | Path | BytesIO, channels: str, order: str) -> np.ndarray:
    """Return all 16 bits of a file of which Pillow decodes the upper half.

    Told the other order of bytes it decodes the lower half. Grey with alpha, two channels, has as many bytes as four
    channels of 8 bits, and is decoded as those.
    """
    little = order == "L" or (order == "N" and np.little_endian)
    if channels == "LA":
        parts = _decoded_as(source, "RGBA").astype(np.uint16)
        first, second = (parts[..., [0, 2]], parts[..., [1, 3]])
        return second << 8 | first if little else first << 8 | second
    high, low = (_decoded_as(source, f"{channels};16{end}") for end in ("LB" if little else "BL"))
    return high.astype(np.uint16) << 8 | low


def _decoded_as(source: str | Path | BytesIO, rawmode: str) -> np.ndarray:
    if not isinstance(source, str | Path):
        source.seek(0)
    with _open(source) as opened:
        rest = [tile.args[1:] if isinstance(tile.args, tuple) else None for tile in opened.tile]
        opened.tile = [
            tile._replace(args=rawmode if more is None else (rawmode, *more))
            for tile, more in zip(opened.tile, rest, strict=True)
        ]
        return np.array(opened)


def _origin(picture: Image.Image) -> tuple[Origin, list[str]]:
    """Return what is to be kept, and a sentence when there is more that cannot be."""
    profile, dpi = picture.info.get("icc_profile") or None, _dpi(picture.info.get("dpi"))
    try:
        exif, kept = picture.getexif(), Image.Exif()
        for tag in KEPT & set(exif):
            block = exif.get_ifd(tag) if tag in list(ExifTags.IFD) else exif[tag]
            kept[tag] = {k: v for k, v in block.items() if k not in SIZES} if isinstance(block, dict) else block
        return Origin(profile, dpi, kept.tobytes() if len(kept) else None), []
    except Exception:  # a picture is worth more than what a camera wrote beside it
        return Origin(profile, dpi), ["Its EXIF data cannot be read, and is left out."]


def _dpi(found: object) -> tuple[float, float] | None:
    """Return dots per inch as two positive numbers, or None when they are something else.

    Of a TIFF that says nothing Pillow says one dot per inch.
    """
    if not isinstance(found, tuple) or len(found) != 2:
        return None
    across, down = map(float, found)
    told = 0 < across < float("inf") and 0 < down < float("inf") and (across, down) != (1, 1)
    return (across, down) if told else None
