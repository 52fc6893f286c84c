"""A blur kernel from what a user wrote: a name, three numbers, or a file of the kinds in which others keep theirs."""

import math
from pathlib import Path

import numpy as np
import torch

from mzsr_lib.files import InputError
from mzsr_lib.imaging.kernels import TEST_SIZE, Setting, covariance, gaussian_kernel, named
from mzsr_lib.shapes import Kernel

FILE_SUFFIXES = (".mat", ".npy", ".png")


def parse(text: str) -> Setting:
    """Read what a user wrote for a kernel: a name, ``lambda1,lambda2,theta``, or a file.

    Parameters
    ----------
    text
        One of `named`, three numbers like ``4.0,1.0,-0.5`` (px^2, px^2, radians), or a path that
        ends in .mat, .npy or .png. Numbers and files are sampled directly.

    Raises
    ------
    InputError
        If it is none of these, or the kernel is even-sized, all zero or not finite.
    """
    if text in named():
        return named()[text]
    if Path(text).suffix.lower() in FILE_SUFFIXES:
        return Setting(Path(text).stem, load(text), "direct")
    parts = text.split(",")
    if len(parts) == 3:
        return Setting(text, _parse_numbers(text, parts), "direct")
    raise InputError(
        f"There is no kernel '{text}': give {', '.join(named())}, 'lambda1,lambda2,theta', "
        f"or a file that ends in {', '.join(FILE_SUFFIXES)}."
    )


def _parse_numbers(text: str, parts: list[str]) -> Kernel:
    try:
        lambda1, lambda2, theta = (float(part) for part in parts)
    except ValueError:
        raise InputError(f"The kernel '{text}' should be three numbers: lambda1,lambda2,theta.") from None
    if not all(map(math.isfinite, (lambda1, lambda2, theta))) or not lambda1 >= lambda2 > 0:
        raise InputError(f"The kernel '{text}' needs lambda1 >= lambda2 > 0 (variances, px^2) and a finite theta.")
    reach = int(np.ceil(3 * math.sqrt(lambda1)))
    size = max(TEST_SIZE, 2 * reach + 1)
    if size > 101:
        raise InputError(f"The kernel '{text}' is {math.sqrt(lambda1):.0f} px wide: lambda1 must be at most 277 px^2.")
    return gaussian_kernel(covariance(lambda1, lambda2, theta), size)


def load(path: str | Path) -> Kernel:
    """Read a kernel from a .mat (as ZSSR, KernelGAN and MZSR write it), .npy or .png file, normalised to sum 1.

    In a .mat file the largest two-dimensional array is taken, whatever its name.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"There is no kernel file {path}.")
    return normalise(read(path), str(path))


def normalise(array: np.ndarray, what: str = "The kernel") -> Kernel:
    """Check that an array can be a kernel (two-dimensional, square, odd, finite, not zero) and make its sum 1."""
    if array.dtype.kind not in "biuf":
        raise InputError(f"{what} holds {array.dtype}: a kernel must be real numbers.")
    array = np.asarray(array, dtype=np.float64)
    if array.ndim != 2 or array.shape[0] != array.shape[1]:
        raise InputError(f"{what} has the shape {array.shape}: a kernel must be a square.")
    if array.shape[0] % 2 == 0:
        raise InputError(
            f"{what} is {array.shape[0]} x {array.shape[0]}: a kernel needs an odd size, so that it has a centre."
        )
    if not np.isfinite(array).all() or array.sum() <= 0:
        raise InputError(f"{what} sums to {array.sum():g}: a kernel must be finite with a positive sum.")
    return torch.from_numpy((array / array.sum()).astype(np.float32))


def read(path: Path) -> np.ndarray:
    """Read a two-dimensional array from a .mat (the largest in it), .npy or .png (its grey values) file.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    try:
        if path.suffix.lower() == ".npy":
            return np.load(path, allow_pickle=False)
        if path.suffix.lower() == ".mat":
            return _read_mat(path)
        from PIL import Image

        with Image.open(path) as picture:
            grey = picture if picture.mode.startswith(("I", "F")) else picture.convert("L")
            return np.asarray(grey, dtype=np.float64)
    except InputError:
        raise
    except Exception as error:  # each reader has its own kinds; a user needs only the sentence
        raise InputError(f"The kernel file {path} cannot be read ({error}).") from None


def _read_mat(path: Path) -> np.ndarray:
    from scipy.io import loadmat

    arrays = [v for v in loadmat(path).values() if isinstance(v, np.ndarray) and v.ndim == 2 and v.dtype.kind in "fiu"]
    if not arrays:
        raise InputError(f"{path} holds no two-dimensional array of numbers.")
    return max(arrays, key=lambda array: array.size)
