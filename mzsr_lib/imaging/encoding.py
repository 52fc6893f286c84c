"""Pictures into files of the usual formats: what each can hold, and the choices that keep what a picture is worth."""

import struct
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from mzsr_lib.files import InputError
from mzsr_lib.imaging.decoding import Origin, to_srgb


class Format(NamedTuple):
    """A format: its name, whether it has transparency, pixels a side, 16 bits, a profile and EXIF, and if it loses."""

    name: str
    alpha: bool = True
    side: int = 2**31 - 1
    deep: bool = False
    profile: bool = True
    lossy: bool = False


PNG = Format("PNG", deep=True)
TIFF = Format("TIFF", deep=True)
JPEG = Format("JPEG", alpha=False, side=65_500, lossy=True)
FORMATS = {
    ".png": PNG,
    ".jpg": JPEG,
    ".jpeg": JPEG,
    ".bmp": Format("BMP", alpha=False, side=2**15 - 1, profile=False),
    ".tif": TIFF,
    ".tiff": TIFF,
    ".webp": Format("WEBP", side=16_383, lossy=True),
}
SUFFIXES = tuple(FORMATS)
TRANSPARENT = tuple(suffix for suffix, each in FORMATS.items() if each.alpha)
QUALITY = 95  # of JPEG


def keeps_exif(form: Format, depth: int, plain: bool) -> bool:
    """Say whether a format keeps EXIF; a TIFF of 16 bits does so with one channel alone (`plain`)."""
    return form.profile and (form is not TIFF or depth == 8 or plain)


def check_quality(path: Path, quality: int | None) -> None:
    """Raise `InputError` when a quality cannot be, or the format of a file has none."""
    if quality is None:
        return
    if not 1 <= quality <= 100:
        raise InputError(f"The quality is {quality}: it must be between 1 and 100.")
    if not FORMATS[path.suffix.lower()].lossy:
        able = ", ".join(suffix for suffix, each in FORMATS.items() if each.lossy)
        raise InputError(f"{path} loses nothing, and has no quality: leave it out, or use {able}.")


def encode(target: Path | BytesIO, suffix: str, values: np.ndarray, origin: Origin, quality: int | None = None) -> None:
    """Write a picture.

    Parameters
    ----------
    target
        A file, or the bytes to be.
    suffix
        One of `FORMATS`.
    values
        (H, W) or (H, W, C), 8- or 16-bit integers; 16 only where the format is deep.
    origin
        Is written where the format has a place for it; colours go to sRGB where it has none for a profile.
    quality
        Of a lossy format, 1 to 100; by default JPEG has 95, and WebP is lossless. JPEG keeps all its colour samples.
    """
    form = FORMATS[suffix]
    if values.dtype == np.uint16 and values.ndim == 3:
        _deep(target, form, values, origin)
        return
    options: dict[str, Any] = {"icc_profile": origin.profile, "dpi": origin.dpi, "exif": origin.exif}
    options = {key: value for key, value in options.items() if value is not None}
    if form is JPEG:
        options |= {"quality": quality or QUALITY, "subsampling": 0}
    elif form.lossy:
        options |= {"quality": quality} if quality else {"lossless": True, "exact": True}
    elif not form.profile:
        options = {"dpi": origin.dpi} if origin.dpi else {}
    picture = Image.fromarray(values)
    if origin.profile and not form.profile:
        picture = to_srgb(picture, origin.profile)
    picture.save(target, form.name, **options)


def _deep(target: Path | BytesIO, form: Format, values: np.ndarray, origin: Origin) -> None:
    """Write 16 bits in several channels, which Pillow cannot."""
    if form is TIFF:
        _deep_tiff(target, values, origin)
    elif isinstance(target, Path):
        target.write_bytes(b"".join(_png(values, origin)))
    else:
        target.write(b"".join(_png(values, origin)))


def _deep_tiff(target: Path | BytesIO, values: np.ndarray, origin: Origin) -> None:
    import tifffile

    channels = values.shape[-1]
    tifffile.imwrite(
        target,
        values,
        photometric="rgb" if channels > 2 else "minisblack",
        planarconfig="contig",
        extrasamples=["unassalpha"] if channels in (2, 4) else None,
        iccprofile=origin.profile,
        resolution=origin.dpi,
        resolutionunit="INCH" if origin.dpi else None,
        metadata=None,
        software=False,
    )


def _png(values: np.ndarray, origin: Origin) -> Iterator[bytes]:
    """Yield a PNG file (ISO/IEC 15948): every row is stored as its difference to the one above."""
    height, width, channels = values.shape

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    yield b"\x89PNG\r\n\x1a\n"
    yield chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, {2: 4, 3: 2, 4: 6}[channels], 0, 0, 0))
    if origin.profile:
        yield chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(origin.profile))
    if origin.dpi:
        yield chunk(b"pHYs", struct.pack(">IIB", *(round(dots / 0.0254) for dots in origin.dpi), 1))
    if origin.exif:
        yield chunk(b"eXIf", origin.exif.removeprefix(b"Exif\0\0"))
    packer, above = zlib.compressobj(6), np.zeros(2 * width * channels, np.uint8)
    for row in values:
        bytes_ = row.astype(">u2").reshape(-1).view(np.uint8)
        if body := packer.compress(b"\x02" + (bytes_ - above).tobytes()):
            yield chunk(b"IDAT", body)
        above = bytes_
    yield chunk(b"IDAT", packer.flush())
    yield chunk(b"IEND", b"")
