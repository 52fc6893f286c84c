"""Our means beside the numbers that the paper prints, as the README and the results lesson show them."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from tabulate import tabulate

from mzsr_lib.benchmark import evaluation, published, selfcheck, tables
from mzsr_lib.benchmark.evaluation import Row
from mzsr_lib.benchmark.tables import DATASETS
from mzsr_lib.files import InputError, atomic_path, read_rows
from mzsr_lib.methods.zero_shot import ZeroShotConfig

# What has a column, by (method, updates). All other rows are in results/tables.md.
COLUMNS = {
    ("bicubic", 0): "bicubic",
    ("tikhonov", 0): "Tikhonov",
    ("zssr", ZeroShotConfig.steps): "ZSSR",
    ("pretrained", 0): "pre-trained",
    ("mzsr", 1): "MZSR 1",
    ("mzsr", 10): "MZSR 10",
    ("mzsr-plus", 0): "MZSR-plus",
}
# What the paper prints; of ZSSR it names no number of updates.
PRINTED = {("zssr", None): "paper: ZSSR", ("mzsr", 1): "paper: MZSR 1", ("mzsr", 10): "paper: MZSR 10"}
DIGITS = {"psnr": 2, "ssim": 3}

BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"


def cells(rows: Iterable[Row], scale: int = 2) -> list[Row]:
    """Return the means of the rows of `evaluation.evaluate` for one scale, in the paper's order.

    Each has the columns of `evaluation.means`, the data set's name as the paper writes it, and
    ``difference``: our PSNR minus the published one in dB, or None where there is nothing to compare.
    Of a method that was measured with several weights those of its own for the scale are taken.
    """
    means = sorted(evaluation.means(row for row in rows if int(row["scale"]) == scale), key=evaluation.place)
    own = {_line(mean) for mean in means if not tables.column_of(mean).weights}
    means = [mean for mean in means if _line(mean) not in own or not tables.column_of(mean).weights]
    for mean in means:
        printed = mean["published"]
        mean["difference"] = None if printed is None else mean["psnr"] - printed.psnr
        mean["dataset"] = DATASETS.get(str(mean["dataset"]), mean["dataset"])
    return means


def _line(mean: Row) -> tuple:
    return tuple(str(mean[column]) for column in evaluation.GROUP if column != "weights")


def table(rows: Iterable[Row], measure: str = "psnr", scale: int = 2) -> str:
    """Return a Markdown table: a line for each data set and kernel, ours beside the paper's.

    Parameters
    ----------
    rows
        From `evaluation.evaluate`, or read back from its file.
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
    lines: dict[tuple, dict] = {}
    for cell in cells(rows, scale):
        line = lines.setdefault((cell["dataset"], cell["kernel"]), {})
        key = (cell["method"], int(cell["steps"]))
        if key in line:
            raise InputError(f"There are two results for {cell['method']} on {cell['dataset']} {cell['kernel']}.")
        line[key] = cell
    shown = [[*names, *_numbers(names, line, measure, scale)] for names, line in lines.items()]
    headers = ["data set", "kernel", *COLUMNS.values(), *PRINTED.values()]
    right = ["right"] * (len(headers) - 2)
    return tabulate(shown, headers, tablefmt="pipe", disable_numparse=True, colalign=("left", "left", *right))


def _numbers(names: tuple[str, str], line: dict[tuple, Row], measure: str, scale: int) -> list[str]:
    """Return ours, then the paper's where the self-check says that they can be compared; a dash for what is not there.

    A mean over fewer pictures than others of its line has their number behind it.
    """
    comparable = all(cell["selfcheck"] in (selfcheck.PASSED, selfcheck.EXCEPTION) for cell in line.values())
    printed = published.cells(*names, scale) if comparable else {}
    theirs = [getattr(printed[key], measure) if key in printed else None for key in PRINTED]
    values = [*(line[key][measure] if key in line else None for key in COLUMNS), *theirs]
    texts = ["-" if value is None else f"{value:.{DIGITS[measure]}f}" for value in values]
    whole = max(cell["images"] for cell in line.values())
    for place, key in enumerate(COLUMNS):
        if key in line and line[key]["images"] < whole:
            texts[place] += f" ({line[key]['images']})"
    return texts


def exceptions(rows: Iterable[Row]) -> str:
    """Return a line for each cell in which plain bicubic is known not to give the printed number."""
    known = [row for row in rows if row["selfcheck"] == selfcheck.EXCEPTION]
    cells_of_them = dict.fromkeys((row["dataset"], row["kernel"], int(row["scale"])) for row in known)
    return "\n\n".join(selfcheck.exception_note(*cell) for cell in cells_of_them)


def other_weights(rows: Iterable[Row], scale: int) -> str:
    """Return a sentence that names the weights of those columns whose method has none of its own for the scale."""
    found = {}
    for cell in cells(rows, scale):
        title = COLUMNS.get((cell["method"], int(cell["steps"])))
        if title and tables.column_of(cell).weights:
            found[title] = Path(str(cell["weights"])).stem
    named = [f"{title} has the weights `{weights}`" for title, weights in found.items()]
    return f"{'; '.join(named)}." if named else ""


def readme_table(rows: Sequence[Row]) -> str:
    """Return what stands between the marks in the README: PSNR x2 and, if measured, x4, and known exceptions."""
    parts = [table(rows), other_weights(rows, 2), exceptions(row for row in rows if int(row["scale"]) == 2)]
    if any(int(row["scale"]) == 4 for row in rows):
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
    rows, readme = read_rows(results / "rows.csv"), Path(root) / "README.md"
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
