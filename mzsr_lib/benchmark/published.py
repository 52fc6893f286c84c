"""The numbers that the paper prints, to stand beside ours."""

import functools
from pathlib import Path
from typing import NamedTuple

from mzsr_lib.files import read_rows

FOLDER = Path(__file__).parent / "paper"
Key = tuple[str, str, int, str, int | None]


class Value(NamedTuple):
    """PSNR in dB and SSIM, both on Y and averaged over a data set."""

    psnr: float
    ssim: float


def plain(name: str) -> str:
    """Return a name in small letters without ``-``, ``_`` and spaces: Set5, set5 and set-5 are the same."""
    return "".join(letter for letter in name.lower() if letter not in "-_ ")


@functools.cache
def tables(folder: Path = FOLDER) -> dict[Key, Value]:
    """Return every cell of the paper's Tables 1 to 3 by (dataset, kernel, scale, method, steps).

    Names are those of `plain`. The steps are None where the paper names no number (ZSSR).
    """
    cells = {}
    for path in sorted(folder.glob("table*.csv")):
        for row in read_rows(path):
            steps = int(row["steps"]) if row["steps"] else None
            key = (plain(row["dataset"]), plain(row["kernel"]), int(row["scale"]), plain(row["method"]), steps)
            cells[key] = Value(float(row["psnr"]), float(row["ssim"]))
    return cells


def lookup(dataset: str, kernel: str, scale: int, method: str, steps: int | None) -> Value | None:
    """Return what the paper prints for a setting, or None where it prints nothing.

    Parameters
    ----------
    dataset
        Such as ``"Set5"``; capitals, ``-`` and ``_`` do not matter, here and below.
    kernel
        A name such as ``"g2.0d"``.
    scale
        2 or 4.
    method
        Such as ``"bicubic"`` or ``"MZSR"``.
    steps
        Gradient updates at test time: 0 for methods without; None for ZSSR, which has as many as it takes.

    Examples
    --------
    >>> lookup("set5", "g2.0d", 2, "mzsr", 10)
    Value(psnr=36.05, ssim=0.9439)
    """
    return tables().get((plain(dataset), plain(kernel), scale, plain(method), steps))


def cells(dataset: str, kernel: str, scale: int) -> dict[tuple[str, int | None], Value]:
    """Return all that the paper prints for a setting, by (method, steps); names as in `tables`."""
    wanted = (plain(dataset), plain(kernel), scale)
    return {key[3:]: value for key, value in tables().items() if key[:3] == wanted}


@functools.cache
def updates(folder: Path = FOLDER) -> dict[tuple[str, str], dict[int, float]]:
    """Return the paper's Figure 3, read off the graph (+-0.2 dB): Set5, x2.

    The keys are (kernel, method as printed); the values are PSNR in dB by the number of updates (0, 1, 10).
    """
    rows = read_rows(folder / "figure3_updates_set5.csv")
    return {(row["kernel"], row["method"]): {n: float(row[f"step{n}"]) for n in (0, 1, 10)} for row in rows}
