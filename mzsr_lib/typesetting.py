"""One table, written as Markdown or as LaTeX."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from tabulate import tabulate


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


def markdown(layout: Layout) -> str:
    """Return a table for Markdown: best in bold, second best underlined, published in italics."""
    frames = {"": "{}", "best": "**{}**", "second": "<u>{}</u>", "published": "*{}*"}
    cells = layout.texts(lambda piece: frames[piece.style].format(piece.text))
    sides = ["left"] * layout.words + ["right"] * (len(layout.headers) - layout.words)
    text = tabulate(cells, layout.headers, tablefmt="pipe", disable_numparse=True, colalign=sides)
    return "\n\n".join([f"## {layout.title}", text, *layout.notes])


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


def _line(cells: object) -> str:
    return " & ".join(cells) + r" \\"
