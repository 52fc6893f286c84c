"""Our means beside the numbers that the paper prints, as the README and the results lesson show them."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from mzsr_lib.benchmark import evaluation, measuring, tables
from mzsr_lib.benchmark.measuring import Rows
from mzsr_lib.benchmark.tables import DATASETS, Column
from mzsr_lib.files import InputError, atomic_path
from mzsr_lib.methods.catalogue import ENTRIES

# What has a column if it was measured, few enough to be read side by side; all other rows are in results/tables.md.
COLUMNS = [Column(entry.name, steps) for entry in ENTRIES.values() if entry.reported for steps in entry.standard]
PRINTED = [Column("mzsr", steps) for steps in (1, 10)]  # of these the paper's numbers stand beside ours

BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"


def cells(rows: Rows, scale: int = 2) -> Rows:
    """Return the means of measured rows for one scale, in the paper's order.

    The columns are those of `evaluation.means`, with the data set's name as the paper writes it; ``column``, see
    `tables.column_of`; and ``difference``: our PSNR minus the published one in dB, NaN where there is nothing to
    compare. Of a method that was measured with several weights those of its own for the scale are taken.
    """
    means = tables.with_columns(measuring.ordered(evaluation.means(rows[rows["scale"] == scale])))
    other = pd.Series([bool(column.weights) for column in means["column"]], means.index, dtype=bool)
    line = [column for column in measuring.GROUP if column != "weights"]
    doubled = other & ~other.groupby([means[column] for column in line]).transform("all")
    means = means[~doubled].reset_index(drop=True)
    means["column"] = [replace(column, weights="") for column in means["column"]]
    names = {name: DATASETS.get(name, name) for name in means["dataset"]}
    return means.assign(dataset=means["dataset"].map(names), difference=means["psnr"] - means["published_psnr"])


def table(rows: Rows, scale: int = 2) -> str:
    """Return the README's Markdown table of PSNR (dB): `beside` for those of `COLUMNS` that were measured."""
    found = {*cells(rows, scale)["column"]}
    return beside(rows, [column for column in COLUMNS if column in found], scale, PRINTED)


def beside(rows: Rows, columns: Sequence[Column], scale: int = 2, printed: Sequence[Column] | None = None) -> str:
    """Return a narrow Markdown table of PSNR (dB): a line a setting, and the paper's number right beside ours.

    A mean over fewer pictures than others of its line has their number behind it.

    Parameters
    ----------
    rows
        See `measuring.read`.
    columns
        Methods to show.
    scale
        2, 3 or 4: rows of other scales are left out.
    printed
        Those that have the paper's column to their right; by default all for which it prints one of the settings.

    Raises
    ------
    InputError
        If two rows would stand in the same place, because of other weights.
    """
    found = cells(rows, scale)
    for cell in found[found.duplicated(["dataset", "kernel", "column"])].itertuples():
        raise InputError(f"There are two results for {cell.method} on {cell.dataset} {cell.kernel}.")
    known = {*found.loc[found["published_psnr"].notna(), "column"]} if printed is None else printed
    shown = []
    for names, line in found.groupby(["dataset", "kernel"], sort=False):
        ours = {cell["column"]: cell for cell in line.to_dict("records")}
        whole = max(cell["images"] for cell in ours.values())
        values = [_pair(ours.get(column), whole)[: 1 + (column in known)] for column in columns]
        shown.append([", ".join(names), *itertools.chain(*values)])
    heads = [text for c in columns for text in (c.title, *(["paper"] if c in known else []))]
    table = pd.DataFrame(shown, columns=["PSNR (dB)", *heads])
    return table.to_markdown(index=False, disable_numparse=True, colalign=["left", *["right"] * len(heads)])


def _pair(cell: dict | None, whole: int) -> list[str]:
    """Return our mean and the paper's number, a dash for what is not there."""
    if cell is None:
        return ["-", "-"]
    some = f" ({cell['images']})" if cell["images"] < whole else ""
    theirs = cell["published_psnr"]
    return [f"{cell['psnr']:.2f}{some}", "-" if pd.isna(theirs) else f"{theirs:.2f}"]


def other_weights(rows: Rows, scale: int) -> str:
    """Return a sentence that names the weights of those columns whose method has none of its own for the scale."""
    found = {}
    for cell in cells(rows, scale).to_dict("records"):
        if cell["column"] in COLUMNS and tables.column_of(cell).weights:
            found[cell["column"].title] = Path(cell["weights"]).stem
    named = [f"At x{scale} {title} has the weights `{weights}`" for title, weights in found.items()]
    return f"{'; '.join(named)}." if named else ""


def readme_table(rows: Rows) -> str:
    """Return what stands between the marks in the README: PSNR x2 and, if measured, x4, and known exceptions."""
    parts = [table(rows), other_weights(rows, 2), *evaluation.exceptions(rows[rows["scale"] == 2])]
    if (rows["scale"] == 4).any():
        parts += ["The same at x4:", table(rows, scale=4), other_weights(rows, 4)]
    return "\n\n".join(part for part in parts if part)


def between_marks(text: str) -> str:
    """Return what stands between `BEGIN` and `END`.

    Raises
    ------
    InputError
        If one of the marks is missing.
    """
    _, begin, rest = text.partition(BEGIN)
    inside, end, _ = rest.partition(END)
    if not begin or not end:
        raise InputError(f"The text has no place for the table: it should hold {BEGIN} and {END}.")
    return inside.strip()


def pages(root: str | Path) -> dict[Path, str]:
    """Return what the files that show ``results/rows.csv`` should hold: the README and the tables beside the rows."""
    results = Path(root) / "results"
    rows, readme = measuring.read(results / "rows.csv"), Path(root) / "README.md"
    text = readme.read_text(encoding="utf-8")
    between_marks(text)
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    texts = {readme: f"{before}{BEGIN}\n{readme_table(rows)}\n{END}{after}"}
    return texts | {results / "tables.md": tables.as_markdown(rows), results / "tables.tex": tables.as_latex(rows)}


def refresh(root: str | Path) -> None:
    """Write the tables of ``results/rows.csv`` into the README and beside it; without these two nothing happens."""
    if not all((Path(root) / name).is_file() for name in ("README.md", "results/rows.csv")):
        return
    for path, text in pages(root).items():
        with atomic_path(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
