"""The arrays that a file holds, by name: MATLAB's .mat of every version, .npy, and what is painted in a picture."""

import os
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mzsr_lib.files import InputError

LARGEST = 255  # px a side of a painted kernel: a picture is no kernel
COLOURED = 32  # grey levels between the channels of a pixel, from which on it has a colour

# Kinds of elements in a MATLAB 5 file: numbers and texts of some width, matrices, compressed ones.
MATRIX, COMPRESSED = 14, 15
ELEMENTS = (1, 2, 3, 4, 5, 6, 7, 9, 12, 13, MATRIX, COMPRESSED, 16, 17, 18)
MOST = 1 << 28  # bytes of a compressed element

Arrays = dict[str, np.ndarray]


def read(path: Path) -> Arrays:
    """Return the arrays of a file by name, in the file's order; the only one of a .npy or .png has the name ``""``.

    A cell or a stack of several is one array of them, see `members`.

    Raises
    ------
    InputError
        If the file cannot be read, or holds nothing of the kind.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of doubled names and large pictures: what is wrong is said below
            return READERS[path.suffix.lower()](path)
    except InputError:
        raise
    except Exception as error:  # each reader has its own kinds, and words that are not meant for a user
        reason = f"it is damaged, or no {path.suffix} file"
        if isinstance(error, OSError) and error.errno:
            reason = os.strerror(error.errno)
        raise InputError(
            f"The kernel file {path} cannot be read ({reason}): give a {', '.join(READERS)} file that holds a kernel."
        ) from None


def members(array: np.ndarray) -> list[np.ndarray]:
    """Return what an array consists of: the entries of a cell, the planes of a stack, or the array alone.

    A stack is (n, k, k) or, as MATLAB has it, (k, k, n); one that could be both counts along its first axis.
    """
    if array.dtype == object:
        return [np.asarray(entry) for entry in array.flatten(order="F")]
    array = array.reshape(1, 1) if array.ndim < 2 and array.size == 1 else array
    if array.ndim > 2:
        array = array.reshape([size for size in array.shape if size > 1])
    if array.ndim != 3:
        return [array]
    return list(np.moveaxis(array, -1, 0) if array.shape[0] == array.shape[1] != array.shape[2] else array)


def _npy(path: Path) -> Arrays:
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    if not isinstance(array, np.ndarray):
        raise InputError(f"{path} is an archive of arrays: save the one that is the kernel as .npy.")
    return {"": array}


def _png(path: Path) -> Arrays:
    """Return grey values; of a shape on a transparent layer, what of the layer can be seen."""
    from PIL import Image

    with Image.open(path) as picture:
        if max(picture.size) > LARGEST:
            size = f"{picture.width} x {picture.height}"
            raise InputError(f"{path} has {size} px: the picture of a kernel has at most {LARGEST} px a side.")
        if picture.mode.startswith(("I", "F")):
            return {"": np.asarray(picture, dtype=np.float64)}
        layers = np.asarray(picture.convert("RGBA"), dtype=np.float64)
        grey, alpha = np.asarray(picture.convert("RGBA").convert("L"), dtype=np.float64), layers[..., 3]
    spread = np.ptp(layers[..., :3], axis=-1)[alpha > 0]
    if spread.size and (spread > COLOURED).mean() > 0.05:
        raise InputError(f"{path} is a picture in colours, and a kernel is grey: give the kernel itself.")
    if alpha.min() == alpha.max():
        return {"": grey}
    seen = grey[alpha > 0]
    return {"": alpha if seen.min() == seen.max() else grey * alpha / 255}


def _mat(path: Path) -> Arrays:
    from scipy.io import loadmat

    content = path.read_bytes()
    if content[124:128] in (b"\x00\x01IM", b"\x01\x00MI"):
        _check_elements(content[128:], "<" if content[126:128] == b"IM" else ">")
    try:
        found = loadmat(path)
    except NotImplementedError:  # scipy's way to say that the version is 7.3, which is HDF5
        return _hdf5(path)
    return _numeric({name: value for name, value in found.items() if not name.startswith("__")})


def _check_elements(data: bytes, order: str) -> None:
    """Raise `ValueError` when the elements of a MATLAB 5 file do not fit together: on some, scipy's reader crashes.

    An element is its kind and size, four bytes each, then the content, up to a multiple of eight; one of at most four
    bytes may have both in the first four.
    """
    at = 0
    while at + 8 <= len(data):
        kind, size = struct.unpack_from(f"{order}II", data, at)
        small = kind >> 16
        kind, size, start = (kind & 0xFFFF, small, at + 4) if small else (kind, size, at + 8)
        if kind not in ELEMENTS or start + size > len(data) or small > 4:
            raise ValueError("its parts do not fit together")
        if kind == COMPRESSED:
            _check_elements(zlib.decompressobj().decompress(data[start : start + size], MOST), order)
        elif kind == MATRIX:
            _check_elements(data[start : start + size], order)
        at = at + 8 if small else start + size + (-size % 8 if kind != COMPRESSED else 0)


def _hdf5(path: Path) -> Arrays:
    try:
        import h5py
    except ImportError:
        raise InputError(
            f"{path} is a MATLAB file of version 7.3: install h5py (pip install 'mzsr[mat73]'), or save it with -v7."
        ) from None
    with h5py.File(path, "r") as file:

        def value(item: Any) -> Any:
            if isinstance(item, h5py.Group):
                return {name: value(item[name]) for name in item}
            array = item[()]
            if h5py.check_ref_dtype(item.dtype) is not None:  # a cell: the entries lie elsewhere in the file
                entries = np.empty(array.size, dtype=object)
                entries[:] = [value(file[reference]) for reference in array.flatten()]
                return entries
            return np.asarray(array).T  # MATLAB's arrays run down the columns

        return _numeric({str(name): value(file[name]) for name in file if not str(name).startswith("#")})


def _numeric(found: dict[str, Any], before: str = "") -> Arrays:
    """Return the arrays of numbers, cells of them, and those inside structures as ``structure.field``."""
    arrays: Arrays = {}
    for name, value in found.items():
        if isinstance(value, np.ndarray) and value.dtype.names and value.size == 1:
            value = {field: value[field].item() for field in value.dtype.names}
        if isinstance(value, dict):
            arrays |= _numeric(value, f"{before}{name}.")
        elif isinstance(value, np.ndarray) and _holds_numbers(value):
            arrays[before + name] = value
    return arrays


def _holds_numbers(array: np.ndarray) -> bool:
    if array.dtype == object:
        return array.size > 0 and all(_holds_numbers(np.asarray(entry)) for entry in array.flat)
    return array.dtype.kind in "biufc" and array.ndim >= 1 and array.size > 0


READERS: dict[str, Callable[[Path], Arrays]] = {".mat": _mat, ".npy": _npy, ".png": _png}
