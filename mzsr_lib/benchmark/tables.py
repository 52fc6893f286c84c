"""The paper's tables with our numbers in them: laid out once, written as Markdown and as LaTeX."""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from mzsr_lib.benchmark import datasets, evaluation, intervals, measuring, published, selfcheck
from mzsr_lib.benchmark.measuring import Rows
from mzsr_lib.files import atomic_path
from mzsr_lib.imaging import kernels
from mzsr_lib.methods import catalogue
from mzsr_lib.methods.catalogue import ENTRIES
from mzsr_lib.models import weights


class Piece(NamedTuple):
    """A number or word in a table; the style is ``""``, ``"best"``, ``"second"`` or ``"published"``."""

    text: str
    style: str = ""


Cell = tuple[Piece, ...]


@dataclass(frozen=True)
class Layout:
    """A table before it is written.

    Attributes
    ----------
    title
        What it is called.
    headers
        One a column.
    lines
        Cells, one a column; the pieces of a cell are set with strokes between them.
    notes
        Sentences below.
    words
        So many columns, from the left, hold words; the others hold numbers, and stand right.
    long
        It may run over several pages; a table that is not is made as narrow as the page.
    """

    title: str
    headers: list[str]
    lines: list[list[Cell]]
    notes: list[str] = field(default_factory=list)
    words: int = 3
    long: bool = False

    def texts(self, style: Callable[[Piece], str]) -> list[list[str]]:
        """Return the cells as texts, each piece in its style."""
        return [[" / ".join(map(style, cell)) for cell in line] for line in self.lines]


DATASETS = {"set5": "Set5", "set14": "Set14", "bsd100": "BSD100", "urban100": "Urban100"}
KERNELS = ("g0.2d", "g2.0d", "gani_d", "g1.3b")
DIGITS = {"psnr": 2, "ssim": 4}


@dataclass(frozen=True, order=True)
class Column:
    """A method, its updates, whether it ends with agreement, and its weights if they are not its own for the scale."""

    method: str
    steps: int = 0
    agree: bool = False
    weights: str = ""

    @property
    def title(self) -> str:
        """Its head, such as ``MZSR 10``."""
        named = catalogue.title(self.method, self.steps, self.agree)
        return f"{named} ({self.weights})" if self.weights else named

    @property
    def rank(self) -> tuple:
        """Its place from the left: as `catalogue.ENTRIES` has it, and what nobody knows last."""
        return [*ENTRIES, self.method].index(self.method), self.method, self.weights, self.steps, self.agree

    @property
    def shown(self) -> bool:
        """Whether tables show so many updates; others stand in the rows only."""
        entry = ENTRIES.get(self.method)
        return not entry or not entry.shown or self.steps in entry.shown


Place = tuple[str, str, int]
KIND = ("method", "steps", "agree", "weights", "scale")  # what decides on the column of a row
DASH: Cell = (Piece("-"),)


def column_of(row: Mapping) -> Column:
    """Return the column in which a row, or a mean, stands."""
    method, name = row["method"], row["weights"]
    label = "" if not name or weights.is_own(name, method, int(row["scale"])) else weights.label(name)
    return Column(method, int(row["steps"]), row["agree"] == "yes", label)


def with_columns(rows: Rows) -> Rows:
    """Return rows with the column in which each stands as one more, ``column``."""
    found = functools.cache(lambda *kind: column_of(dict(zip(KIND, kind, strict=True))))
    columns = [found(*kind) for kind in rows[list(KIND)].itertuples(index=False, name=None)]
    return rows.assign(column=pd.Series(columns, rows.index, dtype=object))


def collect(rows: Rows) -> dict[Place, Rows]:
    """Return the rows to be shown by (data set, kernel, scale), in order, with their ``column``."""
    shown = with_columns(measuring.ordered(measuring.labelled(rows)))
    shown = shown[[column.shown for column in shown["column"]]]
    return dict(iter(shown.groupby(["dataset", "kernel", "scale"], sort=False)))


def printed(place: Place, rows: Rows) -> dict[Column, published.Value]:
    """Return what the paper prints for a setting, if the self-check says that it can be compared."""
    if not set(rows["selfcheck"]) <= {selfcheck.PASSED, selfcheck.EXCEPTION}:
        return {}
    names, found = {published.plain(name): name for name in ENTRIES}, {}
    for (method, steps), value in published.cells(*place).items():
        name = names[method]
        found[Column(name, ENTRIES[name].standard[0] if steps is None else steps)] = value
    return found


def rehearsed(place: Place, rows: Rows) -> str:
    """Return a sentence if not all pictures of a data set were measured; of a folder of one's own nothing is known."""
    count, known = rows["image"].nunique(), len(datasets.manifest().get(place[0], ()))
    if count >= known:
        return ""
    name = DATASETS.get(place[0], place[0])
    return f"{name} with {place[1]}: only {count} of {known} pictures were measured; the published numbers are of all."


def marks(values: Mapping[Column, float], digits: int) -> dict[Column, str]:
    """Return which value is best and which second, as printed: equal ones are marked alike, and one alone is not."""
    shown = {column: f"{value:.{digits}f}" for column, value in values.items()}
    ranks = sorted(set(shown.values()), key=float, reverse=True)[:2] if len(values) > 1 else []
    styles = dict(zip(ranks, ("best", "second"), strict=False))
    return {column: styles.get(text, "") for column, text in shown.items()}


def complete(rows: Rows) -> Rows:
    """Return the rows of the columns that were measured on every picture on which any was: these can be compared."""
    return rows[rows.groupby("column")["image"].transform("nunique") == rows["image"].nunique()]


def _measured(rows: Rows, columns: Sequence[Column]) -> list[Cell]:
    """Return a line of means, the best and second best marked; the number of pictures where some are missing."""
    line, means = {}, rows.groupby("column")[list(DIGITS)].mean()
    whole, counts = set(complete(rows)["column"]), rows.groupby("column")["image"].nunique()
    styles = {m: marks(means.loc[means.index.isin(whole), m].to_dict(), digits) for m, digits in DIGITS.items()}
    for column, numbers in means.to_dict("index").items():
        pieces = [Piece(f"{numbers[m]:.{n}f}", styles[m].get(column, "")) for m, n in DIGITS.items()]
        line[column] = (*pieces, *([] if column in whole else [Piece(f"{counts[column]} pictures")]))
    return [line.get(column, DASH) for column in columns]


def _published(values: Mapping[Column, published.Value], columns: Sequence[Column]) -> list[Cell]:
    """Return the line below it, of what the paper prints."""
    texts = {c: " / ".join(f"{getattr(value, m):.{n}f}" for m, n in DIGITS.items()) for c, value in values.items()}
    return [(Piece(texts[column], "published"),) if column in texts else DASH for column in columns]


def paper_layout(name: str, found: Mapping[Place, Rows], wanted: Callable[[str, int], bool]) -> Layout | None:
    """Return a table as the paper lays it out, PSNR / SSIM by data set and method, for the settings that are wanted.

    Below each line of ours stands what the paper prints. Without a measured row there is no table.
    """
    order = list(kernels.named())
    places = sorted(filter(lambda place: wanted(*place[1:]), found), key=lambda p: [*order, p[1]].index(p[1]))
    here = {place: found[place] for place in places}
    known = {place: printed(place, rows) for place, rows in here.items()}
    columns = {column for place, rows in here.items() for column in (*rows["column"], *known[place])}
    columns = sorted(columns, key=lambda column: column.rank)
    lines, notes = [], {}
    for place, rows in here.items():
        names = [(Piece(place[1]),), (Piece(DATASETS.get(place[0], place[0])),)]
        lines.append([*names, (Piece("measured"),), *_measured(rows, columns)])
        if known[place]:
            lines.append([*names, (Piece("published", "published"),), *_published(known[place], columns)])
        notes |= dict.fromkeys([*evaluation.exceptions(rows), *filter(None, [rehearsed(place, rows)])])
    heads = ["kernel", "data set", "", *(column.title for column in columns)]
    return Layout(name, heads, lines, list(notes)) if lines else None


def spread_layout(name: str, found: Mapping[Place, Rows], scale: int) -> Layout | None:
    """Return each mean with its 95 % interval, and on which share of the pictures the method wins."""
    lines = []
    for place, rows in found.items():
        if place[2] != scale:
            continue
        won = intervals.wins(scores(complete(rows)))
        for column, members in sorted(rows.groupby("column"), key=lambda pair: pair[0].rank):
            texts = [DATASETS.get(place[0], place[0]), place[1], column.title, str(len(members))]
            for measure, digits in DIGITS.items():
                low, high = intervals.interval(members[measure].tolist())
                texts += [f"{members[measure].mean():.{digits}f}", f"{low:.{digits}f} to {high:.{digits}f}"]
            texts.append(f"{100 * won[column]:.0f} %" if column in won else "-")
            lines.append([(Piece(text),) for text in texts])
    heads = ["data set", "kernel", "method", "pictures", "PSNR", "95 %", "SSIM", "95 %", "wins"]
    return Layout(name, heads, lines, long=True) if lines else None


def scores(rows: Rows) -> dict[Column, list[float]]:
    """Return the PSNR (dB) of every picture by column, the pictures in the same order."""
    return {column: list(members["psnr"]) for column, members in rows.groupby("column", sort=False)}


def layouts(rows: Rows) -> list[Layout]:
    """Return every table that the rows fill, the paper's first."""
    found = collect(rows)
    asked = [
        paper_layout("Table 1: bicubic, x2", found, lambda kernel, scale: (kernel, scale) == ("bicubic", 2)),
        paper_layout("Table 2: four kernels, x2", found, lambda kernel, scale: kernel in KERNELS and scale == 2),
        paper_layout("Table 3: x4", found, lambda kernel, scale: scale == 4),
        paper_layout("x3, not in the paper", found, lambda kernel, scale: scale == 3),
        paper_layout("Other kernels, x2", found, lambda k, scale: scale == 2 and k not in (*KERNELS, "bicubic")),
        *(spread_layout(f"Intervals and wins, x{scale}", found, scale) for scale in (2, 3, 4)),
    ]
    return [layout for layout in asked if layout]


INTRODUCTION = """
PSNR in dB and SSIM on the luma (the paper's protocol), means over a data set. *measured* is this library, *published*
what the paper prints (its Tables 1 and 2, and the one of scale 4); the two are never mixed. What stands under one
heading is one table, in narrow parts: of the measured values of a line, all parts together, the best is bold and the
second best underlined. A number after a method is its updates; MZSR without updates and MZSR-plus with some are in
the rows only.

The intervals hold 95 % of the means of 10,000 resamplings of the pictures (percentile bootstrap). *wins* is the share
of the pictures on which a method has the highest PSNR of all in its data set and kernel; equal ones share a picture.
""".strip()
MADE = "Made from rows.csv by `mzsr tables` and `make refresh`: do not edit."


def as_markdown(rows: Rows) -> str:
    """Return all tables as a Markdown page."""
    return "\n\n".join(["# Tables", MADE, INTRODUCTION, *map(markdown, layouts(rows))]) + "\n"


def as_latex(rows: Rows) -> str:
    """Return all tables as LaTeX, to be put into a text."""
    needs = f"% {MADE}\n% In the preamble: \\usepackage{{{','.join(PACKAGES)}}}"
    return "\n\n".join([needs, *map(latex, layouts(rows))]) + "\n"


def write(folder: str | Path) -> list[Path]:
    """Write ``tables.md`` and ``tables.tex`` beside ``rows.csv``, from it, and return their paths."""
    rows = measuring.read(Path(folder) / "rows.csv")
    texts = {"tables.md": as_markdown(rows), "tables.tex": as_latex(rows)}
    for name, text in texts.items():
        with atomic_path(Path(folder) / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return [Path(folder) / name for name in texts]


NUMBERS = 4  # columns of numbers in a table of a page


def narrow(layout: Layout) -> list[Layout]:
    """Return the tables for a page: each with all words, some of the numbers, and the lines that have one of these."""
    if layout.long:
        return [layout]
    names, found = range(layout.words), []
    for first in range(layout.words, len(layout.headers), NUMBERS):
        kept = [*names, *range(first, min(first + NUMBERS, len(layout.headers)))]
        lines = [[line[number] for number in kept] for line in layout.lines]
        lines = [line for line in lines if any(cell != DASH for cell in line[layout.words :])]
        found.append(replace(layout, headers=[layout.headers[number] for number in kept], lines=lines))
    return found


def markdown(layout: Layout) -> str:
    """Return a table for Markdown, in `narrow` parts: best in bold, second best underlined, published in italics."""
    return "\n\n".join([f"## {layout.title}", *map(_markdown, narrow(layout)), *layout.notes])


def _markdown(layout: Layout) -> str:
    frames = {"": "{}", "best": "**{}**", "second": "<u>{}</u>", "published": "*{}*"}
    cells = layout.texts(lambda piece: frames[piece.style].format(measuring.in_a_table(piece.text)))
    sides = ["left"] * layout.words + ["right"] * (len(layout.headers) - layout.words)
    return pd.DataFrame(cells, columns=layout.headers).to_markdown(index=False, disable_numparse=True, colalign=sides)


ESCAPES = {letter: f"\\{letter}" for letter in "_%&#${}"} | {
    "\\": "\\textbackslash{}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
}
PACKAGES = ("booktabs", "graphicx", "longtable", "xcolor")


def escaped(text: str) -> str:
    """Return a text that LaTeX prints as it is."""
    return "".join(ESCAPES.get(letter, letter) for letter in text)


def latex(layout: Layout) -> str:
    """Return a table for LaTeX with `PACKAGES`: best in bold red, second best underlined in blue, as the paper does."""
    frames = {
        "": "{}",
        "best": r"\textbf{{\textcolor{{red}}{{{}}}}}",
        "second": r"\underline{{\textcolor{{blue}}{{{}}}}}",
        "published": r"\textit{{{}}}",
    }
    cells = layout.texts(lambda piece: frames[piece.style].format(escaped(piece.text)))
    columns = "l" * layout.words + "r" * (len(layout.headers) - layout.words)
    head = rf"\toprule{chr(10)}{_line(map(escaped, layout.headers))}{chr(10)}\midrule"
    body = "\n".join(map(_line, cells))
    caption = rf"\caption{{{escaped(' '.join([layout.title + '.', *layout.notes]))}}}"
    if layout.long:
        inside = [rf"{caption} \\", head, r"\endfirsthead", head, r"\endhead", r"\bottomrule", r"\endfoot", body]
        return "\n".join([rf"\begin{{longtable}}{{{columns}}}", *inside, r"\end{longtable}"])
    inside = [rf"\begin{{tabular}}{{{columns}}}", head, body, r"\bottomrule", r"\end{tabular}"]
    fitted = [r"\resizebox{\textwidth}{!}{%", *inside, "}"]
    return "\n".join([r"\begin{table*}", r"\centering", caption, *fitted, r"\end{table*}"])


def _line(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"
