"""Picture files: reading and writing them, and what goes along: grey stays grey, transparency and 16 bits are kept."""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

import numpy as np
import torch

from mzsr_lib.files import Failure, InputError, atomic_path, check_writable, existing_folder, folder_of, room_for
from mzsr_lib.imaging import decoding, encoding, restoration, transparency
from mzsr_lib.imaging.decoding import MAX_PIXELS, NOWHERE, Origin
from mzsr_lib.imaging.degradation import Degradation
from mzsr_lib.imaging.encoding import FORMATS, SUFFIXES, TRANSPARENT, check_quality
from mzsr_lib.imaging.images import check_scale, clip, crop_to_multiple
from mzsr_lib.runtime import generator_for
from mzsr_lib.shapes import Images, Luma, OtherImages, OtherPlanes, Planes

# Rows that are made integers at a time: a large picture needs no second copy of itself.
STRIP = 256


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
    depth
        Bits a channel of the file, 8 or 16.
    origin
        What else the file said, to be written again: colour profile, dots per inch, EXIF.
    notes
        Sentences about what was in the file and is not in here.
    """

    image: Images
    alpha: Luma | None = None
    grey: bool = False
    depth: int = 8
    origin: Origin = NOWHERE
    notes: tuple[str, ...] = ()


def read(source: str | Path | BytesIO, max_pixels: int = MAX_PIXELS) -> Picture:
    """Read a picture file with its transparency, its grey or colour nature, its depth, and what else it says.

    Grey, 16-bit and palette pictures and ones with transparency are read as one would expect; a
    rotation noted by a camera is applied. Of several pictures in a file the first is read.

    Raises
    ------
    InputError
        See `decoding.decode`.
    """
    values, grey, origin, notes = decoding.decode(source, max_pixels)
    planes = _to_tensor(values)
    colours = 1 if grey else 3
    alpha = planes[:, colours:].contiguous() if planes.shape[1] > colours else None
    image = planes[:, :colours].expand(-1, 3, -1, -1).contiguous()
    return Picture(image, alpha, grey, 8 if values.dtype == np.uint8 else 16, origin, notes)


def _to_tensor(values: np.ndarray) -> Planes:
    """Return (H, W, C) as (1, C, H, W) in [0, 1]; integers are divided by the largest of their kind."""
    peak = np.float32(1 if values.dtype.kind == "f" else np.iinfo(values.dtype).max)
    numbers = np.ascontiguousarray(values.transpose(2, 0, 1), dtype=np.float32)
    return torch.from_numpy(np.divide(numbers, peak, out=numbers))[None]


def load(path: str | Path, max_pixels: int = MAX_PIXELS) -> Images:
    """Read a picture file as (1, 3, H, W), RGB in [0, 1]. See `read` for what is accepted."""
    return read(path, max_pixels).image


def write(path: str | Path, picture: Picture, quality: int | None = None) -> None:
    """Write a picture, whole or not at all, as its file had it: with its depth, where the format has room for it."""
    save(path, picture.image, picture.alpha, picture.grey, picture.depth, picture.origin, quality)


def save(
    path: str | Path,
    image: Images,
    alpha: Luma | None = None,
    grey: bool = False,
    depth: int = 8,
    origin: Origin = NOWHERE,
    quality: int | None = None,
) -> None:
    """Write one image, rounded to integers, as a whole file or not at all.

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
    depth
        Bits a channel, 8 or 16; formats other than PNG and TIFF hold 8.
    origin
        Colour profile, dots per inch and EXIF, see `encoding.encode`.
    quality
        1 to 100, of JPEG and lossy WebP. By default 95, and WebP is lossless.

    Raises
    ------
    InputError
        If it cannot be written.
    Failure
        If there is no room for it, or a value is not finite: what is no picture is not written.
    """
    path = check_suffix(path)
    check_quality(path, quality)
    if len(image) != 1:
        raise InputError(f"A file holds one picture, and {len(image)} were given: save them one by one.")
    values = to_integers(image, alpha, grey, depth if FORMATS[path.suffix.lower()].deep else 8)
    with atomic_path(path) as temporary:
        try:
            with room_for(f"The picture {path}"):
                # First to memory: what Pillow writes to a file itself may be cut short without a word (JPEG).
                buffer = BytesIO()
                encoding.encode(buffer, path.suffix.lower(), values, origin, quality)
                temporary.write_bytes(buffer.getbuffer())
        except (OSError, ValueError) as error:
            raise InputError(f"Cannot write the picture {path} ({error}).") from None


def to_integers(image: Images, alpha: Luma | None, grey: bool, depth: int = 8) -> np.ndarray:
    """Return a picture as integers (H, W) or (H, W, C) of 8 or 16 bits.

    Raises
    ------
    Failure
        If a value is not finite.
    """
    height, width = image.shape[-2:]
    channels, kind = (1 if grey else 3) + (alpha is not None), np.uint16 if depth == 16 else np.uint8
    values = np.empty((height, width, channels), kind)
    for top in range(0, height, STRIP):
        rows = slice(top, min(top + STRIP, height))
        strip = image[0, :, rows].mean(dim=0, keepdim=True) if grey else image[0, :, rows]
        planes = strip if alpha is None else torch.cat([strip, alpha[0, :, rows]])
        if not planes.isfinite().all():
            raise Failure(
                "The result is no picture, since it has values that are not finite, and nothing was written: look at "
                "the kernel and the weights."
            )
        whole = (planes.clamp(0, 1) * np.iinfo(kind).max).round()
        values[rows] = whole.permute(1, 2, 0).cpu().numpy().astype(kind)
    return values[..., 0] if channels == 1 else values


def check_suffix(path: str | Path) -> Path:
    """Return `path`, or raise `InputError` when its ending is not a picture format we write."""
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        ending = f"the ending '{path.suffix}', in which no pictures are written" if path.suffix else "no ending"
        raise InputError(f"{path} has {ending}: use {', '.join(SUFFIXES)}.")
    return path


def check_output(
    path: str | Path, picture: Picture, size: tuple[int, int] | None = None, quality: int | None = None
) -> None:
    """Raise `InputError` when such a picture, of another (height, width), cannot be written; for before long work."""
    path = check_suffix(path)
    form, (height, width) = FORMATS[path.suffix.lower()], size or tuple(picture.image.shape[-2:])
    if picture.alpha is not None and not form.alpha:
        raise InputError(f"{path} cannot hold transparency, which the picture has: use {', '.join(TRANSPARENT)}.")
    if max(height, width) > form.side:
        raise InputError(
            f"{path} cannot be: {form.name} holds at most {form.side} px a side, and the picture will have "
            f"{width} x {height} px; use .png or .tif."
        )
    check_quality(path, quality)
    free = shutil.disk_usage(folder_of(check_writable(path))).free
    # Only a file that is not compressed has a size that is known before.
    needed = height * width * (1 if picture.grey else 3) if form.name in ("BMP", "TIFF") else 1
    if free < needed:
        room = f"needs {needed / 1e6:.3g} MB, and {free / 1e6:.3g} MB are free" if free else "finds no room"
        raise InputError(f"{path} {room} there: make some.")


def lost(path: str | Path, picture: Picture) -> Iterator[str]:
    """Yield a sentence for everything of a picture that the format of `path` has no room for."""
    form = FORMATS[Path(path).suffix.lower()]
    if picture.depth > 8 and not form.deep:
        yield f"{path} has 8 bits a channel, and the picture {picture.depth}: .png and .tif keep them."
    if picture.origin.profile and not form.profile:
        yield f"{path} holds no colour profile: the colours are converted to sRGB."
    if picture.origin.exif and not encoding.keeps_exif(form, picture.depth, picture.grey and picture.alpha is None):
        yield f"{path} cannot hold the EXIF data (camera, date, place), which are left out."


def paths_in(folder: str | Path) -> list[Path]:
    """Return the files of a folder that end as pictures do which can be read, sorted by name.

    Raises
    ------
    InputError
        If it is not a folder or holds no picture.
    """
    folder = existing_folder(folder)
    known = decoding.suffixes()
    named = (p for p in folder.iterdir() if p.suffix.lower() in known and not p.name.startswith("."))
    if paths := sorted(p for p in named if not p.is_dir()):
        return paths
    if inner := _inner(folder):
        raise InputError(
            f"There are no pictures in {folder}, only in folders within it ({_listed(inner)}): name those."
        )
    raise InputError(f"There are no pictures in {folder}: it should hold files like {SUFFIXES[0]} or {SUFFIXES[1]}.")


def passed_over(folders: Sequence[str | Path], apart: Sequence[str | Path] = ()) -> list[str]:
    """Return a sentence for each of some folders in which there are folders with pictures: those are not looked into.

    Those that are named themselves, or stand `apart`, do not count.
    """
    known = {os.path.realpath(path) for path in (*folders, *apart)}
    return [
        f"Folders within {folder} are left out ({_listed(inner)}): name them, too, if they are wanted."
        for folder in folders
        if (inner := [path for path in _inner(Path(folder)) if os.path.realpath(path) not in known])
    ]


def _inner(folder: Path) -> list[Path]:
    """Return the folders in a folder in which, at any depth, there are pictures."""
    known = decoding.suffixes()
    inner = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    return [path for path in inner if any(file.suffix.lower() in known for file in path.rglob("*"))]


def _listed(inner: Sequence[Path]) -> str:
    return f"{len(inner)}: {inner[0]}{', ...' * (len(inner) > 1)}"


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
    """Return the low-resolution picture, at 8 bits; its sides must be multiples of the scale (see `crop`).

    The transparency is blurred and subsampled as the colours are, without noise; hidden colours stay hidden.
    """
    device = degradation.kernel.device
    generator = generator_for(seed, "noise", device=device)
    image = picture.image[:, :1] if picture.grey else picture.image  # so that grey gets grey noise
    if picture.alpha is None:
        lr = degradation(image.to(device), generator).expand(-1, 3, -1, -1)
        return replace(picture, image=lr, depth=8)
    degradation.check(image)
    image, alpha = picture.image.to(device), picture.alpha.to(device)
    seen, lr_alpha = transparency.premultiplied(image, alpha, transparency.spread(image, alpha), degradation.linear)
    # What is left to do is the noise, and rounding.
    rest = replace(degradation, kernel=degradation.kernel.new_ones(1, 1), scale=1, mode="direct")
    lr = rest(seen[:, :1] if picture.grey else seen, generator).expand(-1, 3, -1, -1)
    return replace(picture, image=lr * (lr_alpha > 0), alpha=lr_alpha.clamp(0, 1), depth=8)


def upscale(
    picture: Picture,
    method: Callable[[Images, Degradation], OtherImages],
    degradation: Degradation,
    enlarge: Callable[[Planes, Degradation], OtherPlanes] = restoration.enlarge,
) -> Picture:
    """Return the super-resolved picture: the colours by `method`, the transparency by `enlarge`, in register with it.

    Each side becomes exactly `scale` times as long, whatever it was. See `transparency.enlarged` for what is hidden.
    """
    device = degradation.kernel.device
    image = picture.image.to(device)
    if picture.alpha is None or bool((picture.alpha == 1).all()):
        sr = clip(method(image, degradation))
        alpha = None if picture.alpha is None else sr.new_ones(1, 1, *sr.shape[-2:])
        return replace(picture, image=sr, alpha=alpha)
    alpha = picture.alpha.to(device)
    sr, large = transparency.enlarged(
        image,
        alpha,
        transparency.spread(image, alpha),
        lambda colours: method(colours, degradation),
        lambda planes: enlarge(planes, degradation),
    )
    return replace(picture, image=sr, alpha=large)


def check_size(picture: Picture, degradation: Degradation) -> None:
    """Raise `InputError` when a low-resolution picture is too small to be degraded once more by its kernel."""
    degradation.check(crop_to_multiple(picture.image, degradation.scale))
