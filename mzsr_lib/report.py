"""Our means beside the numbers that the paper prints, as the README and the results lesson show them."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from tabulate import tabulate

from mzsr_lib import evaluation, kernels, selfcheck
from mzsr_lib.evaluation import Row
from mzsr_lib.files import InputError, atomic_path, read_rows

DATASETS = {"set5": "Set5", "bsd100": "BSD100", "urban100": "Urban100"}

# What has a column of its own, by (method, updates). The paper prints those of `PRINTED`.
COLUMNS = {
    ("bicubic", 0): "bicubic",
    ("pretrained", 0): "pre-trained",
    ("mzsr", 0): "MZSR 0",
    ("mzsr", 1): "MZSR 1",
    ("mzsr", 10): "MZSR 10",
    ("mzsr-plus", 0): "MZSR-plus 0",
    ("mzsr-plus", 1): "MZSR-plus 1",
    ("mzsr-plus", 10): "MZSR-plus 10",
}
PRINTED = (("bicubic", 0), ("mzsr", 1), ("mzsr", 10))
DIGITS = {"psnr": 2, "ssim": 3}

BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"


def cells(rows: Iterable[Row]) -> list[Row]:
    """Return the means of the rows of `evaluation.evaluate`, in the paper's order.

    Each has the columns of `evaluation.means`, the data set's name as the paper writes it, and
    ``difference``: our PSNR minus the published one in dB, or None where there is nothing to compare.
    """
    means = evaluation.means(rows)
    for mean in means:
        printed = mean["published"]
        mean["difference"] = None if printed is None else mean["psnr"] - printed.psnr
        mean["dataset"] = DATASETS.get(str(mean["dataset"]), mean["dataset"])
    return sorted(means, key=_place)


def _place(mean: Row) -> tuple:
    """Return what sorts by data set, kernel, method and updates; names that the paper has not come last."""
    sets, settings, methods = list(DATASETS.values()), list(kernels.named()), [method for method, _ in COLUMNS]
    pairs = ((mean["dataset"], sets), (mean["kernel"], settings), (mean["method"], methods))
    places = [(known.index(name) if name in known else len(known), name) for name, known in pairs]
    return (*places, int(mean["steps"]))


def table(rows: Iterable[Row], measure: str = "psnr") -> str:
    """Return a Markdown table: a line for each data set and kernel, ours beside the paper's.

    Parameters
    ----------
    rows
        From `evaluation.evaluate`, or read back from its file.
    measure
        ``"psnr"`` (dB) or ``"ssim"``.

    Raises
    ------
    InputError
        If two rows would stand in the same place, because of other weights or another scale.
    """
    if measure not in DIGITS:
        raise InputError(f"There is no measure '{measure}': choose {' or '.join(DIGITS)}.")
    lines: dict[tuple, dict] = {}
    for cell in cells(rows):
        line = lines.setdefault((cell["dataset"], cell["kernel"]), {})
        key = (cell["method"], int(cell["steps"]))
        if key in line:
            raise InputError(f"There are two results for {cell['method']} on {cell['dataset']} {cell['kernel']}.")
        line[key] = cell
    shown = [[*names, *_numbers(line, measure)] for names, line in lines.items()]
    headers = ["data set", "kernel"]
    for key, title in COLUMNS.items():
        headers += [title, f"paper: {title}"] if key in PRINTED else [title]
    right = ["right"] * (len(headers) - 2)
    return tabulate(shown, headers, tablefmt="pipe", disable_numparse=True, colalign=("left", "left", *right))


def _numbers(line: dict[tuple, Row], measure: str) -> list[str]:
    numbers = []
    for key in COLUMNS:
        cell = line.get(key)
        numbers.append("-" if cell is None else f"{cell[measure]:.{DIGITS[measure]}f}")
        if key in PRINTED:
            printed = cell["published"] if cell else None
            numbers.append("-" if printed is None else f"{getattr(printed, measure):.{DIGITS[measure]}f}")
    return numbers


def exceptions(rows: Iterable[Row]) -> str:
    """Return a line for each cell in which plain bicubic is known not to give the printed number."""
    known = [row for row in rows if row["selfcheck"] == selfcheck.EXCEPTION]
    cells_of_them = dict.fromkeys((row["dataset"], row["kernel"], int(row["scale"])) for row in known)
    return "\n\n".join(selfcheck.exception_note(*cell) for cell in cells_of_them)


def readme_table(rows: Sequence[Row]) -> str:
    """Return what stands between the marks in the README: the PSNR table, and its known exceptions."""
    remark = exceptions(rows)
    return table(rows) + (f"\n\n{remark}" if remark else "")


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


def refresh_readme(root: str | Path) -> None:
    """Write the table of ``results/rows.csv`` into ``README.md``; without these files nothing happens."""
    readme, results = Path(root) / "README.md", Path(root) / "results" / "rows.csv"
    if not (readme.is_file() and results.is_file()):
        return
    text = readme.read_text(encoding="utf-8")
    between_marks(text)
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    table_of_now = readme_table(read_rows(results))
    with atomic_path(readme) as temporary:
        temporary.write_text(f"{before}{BEGIN}\n{table_of_now}\n{END}{after}", encoding="utf-8")
