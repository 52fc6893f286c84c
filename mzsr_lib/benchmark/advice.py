"""What to use when: every method with the kernel known, roughly known, and wrong, from one file of rows."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from mzsr_lib.benchmark import measuring
from mzsr_lib.benchmark.measuring import Rows
from mzsr_lib.files import InputError
from mzsr_lib.methods import catalogue

# How far the standard deviation that is told is off, per cent, to either side; the mean of both is given.
KNOWN: Mapping[str, int] = {"kernel exact": 0, "20 % off": 20, "50 % off": 50}


def use_when(path: str | Path) -> Rows:
    """Return the mean PSNR (dB) of every method, by how well the width of the kernel is known.

    Parameters
    ----------
    path
        Rows of benchmarks/kernel_error.py.

    Returns
    -------
    DataFrame
        A row a method, see `by_error`; the columns are those of `KNOWN`.

    Raises
    ------
    InputError
        If the file has no such rows, or a method lacks some.
    """
    table = by_error(path, "width", sorted({sign * off for off in KNOWN.values() for sign in (-1, 1)}))
    return pd.DataFrame({name: (table[-off] + table[off]) / 2 for name, off in KNOWN.items()})


def by_error(path: str | Path, sweep: str, errors: list[int]) -> Rows:
    """Return the mean PSNR (dB) of every method, by how far the kernel that it is told is off.

    A method that is told no kernel has the same number in every column.

    Parameters
    ----------
    path
        Rows of benchmarks/kernel_error.py.
    sweep
        ``"width"``: the kernel is g2.0d, and errors are per cent of its standard deviation; or ``"angle"``: it is
        gani_d, and errors are degrees.
    errors
        The columns.

    Returns
    -------
    DataFrame
        A row a method, by its title, in the order of `catalogue.METHODS`.

    Raises
    ------
    InputError
        If the file has no such rows, or a method lacks some.
    """
    rows = measuring.read(path, ("sweep", "error", "method", "steps", "agree", "psnr"))
    rows = measuring.ordered(rows[rows["sweep"] == sweep], by=["method", "steps", "agree"])
    found: dict[str, dict[int, float]] = {}
    for (method, steps, agree), members in rows.groupby(["method", "steps", "agree"], sort=False):
        told: Rows = pd.to_numeric(members["error"])  # empty, so NaN, where nothing is told
        means = {off: members["psnr"][told.isna() | (told == off)].mean() for off in errors}
        found[catalogue.title(method, steps, agree == "yes")] = means
    table: Rows = pd.DataFrame.from_dict(found, orient="index", columns=errors)
    if table.empty or table.isna().to_numpy().any():
        raise InputError(f"{path} lacks rows of the sweep '{sweep}': measure them with benchmarks/kernel_error.py.")
    return table


def markdown(table: Rows, corner: str = "PSNR (dB)") -> str:
    """Return a table of PSNR as Markdown, the best number of each column in bold, and a word in its corner."""
    best = table.round(2) == table.round(2).max()
    shown = table.map("{:.2f}".format).where(~best, table.map("**{:.2f}**".format))
    return shown.rename_axis(corner).to_markdown(colalign=["left", *["right"] * len(shown.columns)])
