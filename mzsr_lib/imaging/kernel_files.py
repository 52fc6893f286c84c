"""Arrays of numbers from the kinds of file in which others write their kernels."""

from pathlib import Path

import numpy as np

from mzsr_lib.files import InputError


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
