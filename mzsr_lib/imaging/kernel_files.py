"""A blur kernel from what a user wrote: a name, three numbers, or a file of the kinds in which others keep theirs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from mzsr_lib.files import InputError, nearest, printable
from mzsr_lib.imaging import array_files
from mzsr_lib.imaging.kernels import TEST_SIZE, Setting, covariance, gaussian_kernel, gaussian_text, named
from mzsr_lib.shapes import Kernel

FILE_SUFFIXES = tuple(array_files.READERS)
# What others call the kernel in a .mat file, in groups: a word says more than a letter, which may be a picture.
NAMES = (
    ("Kernel", "kernel", "kernels", "Kernels", "blur_kernel", "psf", "PSF"),
    ("k", "K", "f", "h", "ker", "filt", "filter"),
)

MOST = 100.0  # sum of the magnitudes of a kernel whose sum is 1: beyond it little is left of single precision

# How a picture is blurred with a file's kernel: the kernel is laid on it as it is, or turned by 180 degrees first.
Convention = Literal["correlate", "convolve"]


def parse(text: str, convention: Convention = "correlate", words: Sequence[str] = ()) -> Setting:
    """Read what a user wrote for a kernel: a name, ``lambda1,lambda2,theta``, or a file.

    Parameters
    ----------
    text
        One of `named`, three numbers like ``4.0,1.0,-0.5`` (px^2, px^2, radians), or a path that
        ends in .mat, .npy or .png, see `load`. Numbers and files are sampled directly.
    convention
        Of the file: ``"correlate"`` for `degradation.blur`, scipy's ``ndimage.correlate``, ZSSR, KernelGAN and MZSR;
        ``"convolve"`` for scipy's ``ndimage.convolve``, KAIR and USRNet. Gaussians are the same either way.
    words
        What else the caller takes for a kernel, to be named to somebody who wrote none.

    Raises
    ------
    InputError
        If it is none of these, or the kernel cannot be: see `normalise`.
    """
    path, chosen = split(text)
    if path is not None and text not in named():
        return _from_file(path, chosen, convention)
    if setting := spelled(text):
        return setting
    raise InputError(
        f"There is no kernel '{text}'{nearest(text, named())}: give {', '.join((*words, *named()))}; three numbers, "
        f"lambda1,lambda2,theta, such as 4.0,1.0,-0.5; or a file that ends in {', '.join(FILE_SUFFIXES)}."
    )


def spelled(text: str) -> Setting | None:
    """Return the kernel that a name or three numbers spell out, without any file; None if the text is neither.

    Raises
    ------
    InputError
        If it has commas, and is not three numbers that can be.
    """
    if text in named():
        return named()[text]
    if "," not in text:
        return None
    numbers = _numbers(text, text.split(","))
    return Setting(text, _gaussian(text, *numbers), "direct", gaussian_text(*numbers))


def split(text: str) -> tuple[Path | None, list[str]]:
    """Return the file that a text names, and the name and the number behind it: ``FILE``, ``FILE:NAME``, ``FILE:3``."""
    parts = text.split(":")
    for count in range(len(parts), 0, -1):
        path = Path(":".join(parts[:count]))
        if path.suffix.lower() in FILE_SUFFIXES:
            return path, parts[count:]
    return None, []


def _numbers(text: str, parts: Sequence[str]) -> tuple[float, float, float]:
    try:
        lambda1, lambda2, theta = (float(part) for part in parts)
    except ValueError:
        raise InputError(
            f"The kernel '{text}' should be three numbers, lambda1,lambda2,theta (two variances in px^2, the larger "
            "first, and an angle in radians): write for instance 2.0,2.0,0 for a round blur, or 4.0,1.0,-0.5 for a "
            "slanted one."
        ) from None
    if not all(map(math.isfinite, (lambda1, lambda2, theta))) or not lambda1 >= lambda2 > 0:
        raise InputError(
            f"The kernel '{text}' needs lambda1 >= lambda2 > 0 (variances in px^2, the larger first) and a finite "
            "theta: write for instance 4.0,1.0,-0.5."
        )
    if abs(theta) > 2 * math.pi:
        raise InputError(
            f"The kernel '{text}' has the angle {theta:g}, more than a full turn: it is in radians, so that "
            f"{theta:g} degrees are {math.radians(theta):.3g}."
        )
    return lambda1, lambda2, theta


def _gaussian(text: str, lambda1: float, lambda2: float, theta: float) -> Kernel:
    """Return the Gaussian, if single precision can compute it: not with a width of 1e-20."""
    reach = int(np.ceil(3 * math.sqrt(min(lambda1, 1e6))))
    size = max(TEST_SIZE, 2 * reach + 1)
    if size > 101:
        raise InputError(f"The kernel '{text}' is {math.sqrt(lambda1):.0f} px wide: lambda1 must be at most 277 px^2.")
    exact = (torch.tensor(number, dtype=torch.float64) for number in (lambda1, lambda2, theta))
    kernel, wanted = (
        gaussian_kernel(covariance(lambda1, lambda2, theta), size),
        gaussian_kernel(covariance(*exact), size),
    )
    if not (kernel - wanted).abs().max() <= 1e-3 * wanted.max():  # nor is NaN
        raise InputError(
            f"The kernel '{text}' cannot be computed to three digits: take a larger lambda2 (1e-3 px^2 is a point "
            "already)."
        )
    return kernel


@dataclass(frozen=True)
class Loaded:
    """A kernel out of a file, the name of the entry that was asked for, and sentences about how it was read."""

    kernel: Kernel
    entry: str = ""
    notes: tuple[str, ...] = ()


def _from_file(path: Path, chosen: Sequence[str], convention: Convention) -> Setting:
    loaded = load(path, chosen, convention)
    name = printable(path.stem if path.stem not in named() else path.name)
    origin = next((paper.origin for paper in named().values() if same(paper.kernel, loaded.kernel)), "")
    return Setting(f"{name}{loaded.entry}", loaded.kernel, "direct", origin, " ".join(loaded.notes))


def same(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Say whether two kernels are the same to six digits."""
    return a.shape == b.shape and bool((a - b).abs().max() <= 1e-6 * b.max())


def load(path: str | Path, chosen: Sequence[str] = (), convention: Convention = "correlate") -> Loaded:
    """Read a kernel from a .mat (as ZSSR, KernelGAN, MZSR, KAIR and Levin write it), .npy or .png file.

    A file that could mean several is not guessed at. In a .mat file a known name is taken (`NAMES`), or the only array;
    of a cell or a stack of kernels one has to be named, counted from 0. The centre of an even-sized kernel is the pixel
    ``size // 2`` (from 0), as for ``scipy.ndimage``: a row and a column of zeros are added behind.

    Parameters
    ----------
    path
        Its ending names the format.
    chosen
        The name of an array in a .mat file, the number of an entry, or both in this order.
    convention
        See `parse`.

    Raises
    ------
    InputError
        If it cannot be read, several arrays could be the kernel, or what is there cannot be one; see `normalise`.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"There is no kernel file {path}.")
    arrays, notes = array_files.read(path), []
    number = chosen[-1] if chosen and chosen[-1].isdecimal() and chosen[-1] not in arrays else None
    names = chosen[: len(chosen) - (number is not None)]
    if len(names) > 1:
        raise InputError(
            f"{':'.join([str(path), *chosen])} names too much: write FILE, FILE:NAME, FILE:3 or FILE:NAME:3."
        )
    name = _named(path, arrays, names[0]) if names else _guessed(path, arrays, notes)
    array = _entry(f"{path}:{name}" if name and names else str(path), array_files.members(arrays[name]), number)
    kernel = normalise(array, ":".join([str(path), *chosen]), notes)
    return Loaded(turned(kernel, convention), "".join(f":{word}" for word in chosen), tuple(notes))


def turned(kernel: Kernel, convention: Convention) -> Kernel:
    """Return the kernel with which to correlate, of one that is meant for a convention."""
    return kernel.flip(0, 1).contiguous() if convention == "convolve" else kernel


def _named(path: Path, arrays: array_files.Arrays, name: str) -> str:
    if name not in arrays:
        raise InputError(f"{path} has no '{name}': it holds {_listed(arrays)}.")
    return name


def _listed(arrays: array_files.Arrays) -> str:
    def kind(array: np.ndarray) -> str:
        return f"{array.size} entries" if array.dtype == object else " x ".join(map(str, array.shape))

    return ", ".join(f"{name} ({kind(array)})" if name else kind(array) for name, array in arrays.items())


def _guessed(path: Path, arrays: array_files.Arrays, notes: list[str]) -> str:
    """Return the name of the one array that must be meant, and note what else there was.

    Raises
    ------
    InputError
        If there is none, or several could be.
    """
    able = {name: array for name, array in arrays.items() if array.size > 1} or arrays
    for group in (*NAMES, tuple(able)):
        found = [name for name in group if name in able and (group not in NAMES or _small(able[name]))]
        if len(found) == 1:
            if len(able) > 1:
                notes.append(f"{path} holds {_listed(able)}: {found[0]} is taken, as FILE:NAME chooses another.")
            return found[0]
        if found:
            break
    if not able:
        raise InputError(f"{path} holds no two-dimensional array of numbers.")
    raise InputError(f"{path} holds {_listed(able)}: say which is the kernel, as in {path}:{next(iter(able))}.")


def _small(array: np.ndarray) -> bool:
    """Say whether an array is not too large for a kernel: of two that might be one, a picture is none."""
    return max(array_files.members(array)[0].shape) <= array_files.LARGEST


def _entry(what: str, entries: Sequence[np.ndarray], number: str | None) -> np.ndarray:
    if number is None and len(entries) > 1:
        raise InputError(
            f"{what} holds {len(entries)} kernels: choose one, counted from 0, as "
            f"{what}:0 to {what}:{len(entries) - 1}."
        )
    if number is not None and int(number) >= len(entries):
        raise InputError(f"{what} has no entry {number}: it holds {len(entries)}, counted from 0.")
    return entries[int(number or 0)]


def normalise(array: np.ndarray, what: str = "The kernel", notes: list[str] | None = None) -> Kernel:
    """Return an array as a kernel: a square of odd size, finite, with sum 1. The one place where kernels are checked.

    An oblong array gets zeros around it, and an even number of rows or columns one more behind; see `load`.

    Parameters
    ----------
    array
        Real numbers, (h, w), at most 255 px a side.
    what
        What a sentence calls it.
    notes
        Gets a sentence when an even size was padded.

    Raises
    ------
    InputError
        If it is something else, or sums to nothing, so that it cannot be normalised.
    """
    if array.dtype.kind not in "biuf":
        raise InputError(f"{what} holds {array.dtype}: a kernel must be real numbers.")
    if array.ndim != 2 or not 1 <= min(array.shape) <= max(array.shape) <= array_files.LARGEST:
        limit = array_files.LARGEST
        raise InputError(f"{what} has the shape {array.shape}: a kernel has two dimensions of 1 to {limit} px.")
    values = np.array(array, dtype=np.float64)
    if not np.isfinite(values).all():
        raise InputError(f"{what} has values that are not finite: a kernel must be finite with a positive sum.")
    with np.errstate(over="ignore"):
        total = values.sum()
    if not 0 < total < np.inf:
        raise InputError(f"{what} sums to {total:g}: a kernel must be finite with a positive sum.")
    if notes is not None and (array.shape[0] % 2 == 0 or array.shape[1] % 2 == 0):
        height, width = array.shape
        notes.append(
            f"{what} is {width} x {height}: its centre is taken at column {width // 2} and row {height // 2}, counted "
            "from 0, as scipy takes it."
        )
    kernel = torch.from_numpy((_square(values) / total).astype(np.float32))
    if not (float(kernel.abs().sum()) < MOST and abs(float(kernel.sum()) - 1) < 1e-3):
        raise InputError(f"{what} has values of both signs that cancel: a kernel must have a sum that is not nearly 0.")
    return kernel


def _square(values: np.ndarray) -> np.ndarray:
    """Return the values in the middle of an odd square of zeros; the pixel ``size // 2`` of each axis is the centre."""
    reach = max(values.shape) // 2
    square = np.zeros((2 * reach + 1,) * 2)
    top, left = (reach - size // 2 for size in values.shape)
    square[top : top + values.shape[0], left : left + values.shape[1]] = values
    return square
