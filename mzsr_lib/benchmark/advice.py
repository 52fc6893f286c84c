"""What to use when: every method with the kernel known, roughly known, and wrong, from one file of rows."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from mzsr_lib.benchmark import measuring
from mzsr_lib.benchmark.measuring import Rows
from mzsr_lib.files import InputError
from mzsr_lib.methods import catalogue

SWEEP = "width"  # of benchmarks/kernel_error.py: the kernel is g2.0d, and what is told is narrower or wider
# How far the standard deviation that is told is off, per cent, to either side; the mean of both is given.
KNOWN: Mapping[str, int] = {"kernel exact": 0, "20 % off": 20, "50 % off": 50}


def use_when(path: str | Path) -> Rows:
    """Return the mean PSNR (dB) of every method, by how well the kernel is known.

    A method that is told no kernel has the same number in every column.

    Parameters
    ----------
    path
        Rows of benchmarks/kernel_error.py.

    Returns
    -------
    DataFrame
        A row a method, by its title, in the order of `catalogue.METHODS`; the columns are those of `KNOWN`.

    Raises
    ------
    InputError
        If the file has no such rows, or a method lacks some.
    """
    rows = measuring.read(path, ("sweep", "error", "method", "steps", "agree", "psnr"))
    rows = measuring.ordered(rows[rows["sweep"] == SWEEP], by=["method", "steps", "agree"])
    found: dict[str, dict[str, float]] = {}
    for (method, steps, agree), members in rows.groupby(["method", "steps", "agree"], sort=False):
        errors: Rows = pd.to_numeric(members["error"])  # empty, so NaN, where nothing is told
        means = {name: members["psnr"][errors.isna() | (errors.abs() == off)].mean() for name, off in KNOWN.items()}
        found[catalogue.title(method, steps, agree == "yes")] = means
    table: Rows = pd.DataFrame.from_dict(found, orient="index", columns=list(KNOWN))
    if table.empty or table.isna().to_numpy().any():
        raise InputError(f"{path} lacks rows of the sweep '{SWEEP}': measure them with benchmarks/kernel_error.py.")
    return table


def markdown(table: Rows) -> str:
    """Return `use_when` as a Markdown table, the best number of each column in bold."""
    best = table.round(2) == table.round(2).max()
    shown = table.map("{:.2f}".format).where(~best, table.map("**{:.2f}**".format))
    return shown.rename_axis("PSNR (dB)").to_markdown(colalign=["left", *["right"] * len(shown.columns)])
