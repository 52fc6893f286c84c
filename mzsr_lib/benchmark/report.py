"""Our means beside the numbers that the paper prints, as the README and the results lesson show them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from mzsr_lib.benchmark import evaluation, measuring, published, selfcheck, tables
from mzsr_lib.benchmark.measuring import Rows
from mzsr_lib.benchmark.tables import DATASETS, Column
from mzsr_lib.files import InputError, atomic_path
from mzsr_lib.methods.catalogue import ENTRIES

DIGITS = {"psnr": 2, "ssim": 3}
# What has a column if it was measured, few enough to be read side by side; all other rows are in results/tables.md.
COLUMNS = [Column(entry.name, steps) for entry in ENTRIES.values() if entry.reported for steps in entry.standard]
# What the paper prints of these.
PRINTED = {("mzsr", steps): Column("mzsr", steps) for steps in (1, 10)}

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


def table(rows: Rows, measure: str = "psnr", scale: int = 2) -> str:
    """Return a Markdown table: a line for each data set and kernel, ours beside the paper's.

    Parameters
    ----------
    rows
        See `measuring.read`.
    measure
        ``"psnr"`` (dB) or ``"ssim"``.
    scale
        2, 3 or 4: rows of other scales are left out.

    Raises
    ------
    InputError
        If two rows would stand in the same place, because of other weights.
    """
    if measure not in DIGITS:
        raise InputError(f"There is no measure '{measure}': choose {' or '.join(DIGITS)}.")
    found = cells(rows, scale)
    twice = found[found.duplicated(["dataset", "kernel", "column"])]
    for cell in twice.itertuples():
        raise InputError(f"There are two results for {cell.method} on {cell.dataset} {cell.kernel}.")
    groups, columns = (
        found.groupby(["dataset", "kernel"], sort=False),
        [c for c in COLUMNS if c in set(found["column"])],
    )
    shown = [[*names, *_numbers(names, line, columns, measure, scale)] for names, line in groups]
    heads = ["data set", "kernel", *(c.title for c in columns), *(f"paper: {c.title}" for c in PRINTED.values())]
    sides = ("left", "left", *["right"] * (len(heads) - 2))
    return pd.DataFrame(shown, columns=heads).to_markdown(index=False, disable_numparse=True, colalign=sides)


def _numbers(names: tuple[str, str], line: Rows, columns: Sequence[Column], measure: str, scale: int) -> list[str]:
    """Return ours, then the paper's where the self-check says that they can be compared; a dash for what is not there.

    A mean over fewer pictures than others of its line has their number behind it.
    """
    comparable = line["selfcheck"].isin([selfcheck.PASSED, selfcheck.EXCEPTION]).all()
    printed = published.cells(*names, scale) if comparable else {}
    ours, whole = {cell["column"]: cell for cell in line.to_dict("records")}, line["images"].max()

    def text(column: Column) -> str:
        if column not in ours:
            return "-"
        images = ours[column]["images"]
        return f"{ours[column][measure]:.{DIGITS[measure]}f}" + (f" ({images})" if images < whole else "")

    theirs = [getattr(printed.get(key), measure, None) for key in PRINTED]
    return [*map(text, columns), *("-" if value is None else f"{value:.{DIGITS[measure]}f}" for value in theirs)]


def beside(rows: Rows, columns: Sequence[Column], scale: int = 2) -> str:
    """Return a narrow Markdown table of PSNR (dB): a line a setting, and the paper's number right beside ours.

    Parameters
    ----------
    rows
        See `measuring.read`.
    columns
        Methods to show; one that the paper prints for any of the settings has the paper's column to its right.
    scale
        2, 3 or 4: rows of other scales are left out.
    """
    found = cells(rows, scale)
    printed = {column for column in columns if found.loc[found["column"] == column, "published_psnr"].notna().any()}
    shown = []
    for names, line in found.groupby(["dataset", "kernel"], sort=False):
        values = line.drop_duplicates("column").set_index("column")[["psnr", "published_psnr"]].reindex(columns)
        both = [value for column in columns for value in values.loc[column].tolist()[: 1 + (column in printed)]]
        shown.append([", ".join(names), *("-" if pd.isna(value) else f"{value:.2f}" for value in both)])
    heads = [text for c in columns for text in (c.title, *(["paper"] if c in printed else []))]
    table = pd.DataFrame(shown, columns=["PSNR (dB)", *heads])
    return table.to_markdown(index=False, disable_numparse=True, colalign=["left", *["right"] * len(heads)])


def other_weights(rows: Rows, scale: int) -> str:
    """Return a sentence that names the weights of those columns whose method has none of its own for the scale."""
    found = {}
    for cell in cells(rows, scale).to_dict("records"):
        if cell["column"] in COLUMNS and tables.column_of(cell).weights:
            found[cell["column"].title] = Path(cell["weights"]).stem
    named = [f"{title} has the weights `{weights}`" for title, weights in found.items()]
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
