"""A notebook as the site shows it: the same text and the same stored outputs, with what only a page has."""

import ast
import html
import itertools
import json
import re
from pathlib import Path
from typing import Any

import nbformat

from mzsr_lib.drawing import style
from mzsr_lib.lessons import folding, meta_run, reading

EXPLORER = re.compile(r"(Kernel|Degradation|Landscape|MetaRun)Explorer\((.*)\)")
RUN = Path(__file__).resolve().parents[1] / "results" / "meta_run"  # what the explorer of page 07 shows
# The pictures that the two explorers show on their pages: (picture of `datasets.EXAMPLES`, top, left, side in px).
LIVE = {"Kernel": ("chelsea", 165, 69, 126), "Degradation": ("astronaut", 44, 180, 96)}
# Those on which MZSR runs in the page: what a reader is asked, and (picture, top, left), of which SIDE px are taken.
SAMPLES = {"an astronaut": ("astronaut", 10, 120), "a cup": ("coffee", 90, 180), "a cat": ("chelsea", 60, 90)}
SIDE = 192
INVITATION = """### Here, without installing anything

MZSR on a picture of yours, in this page: choose a file, move the square of 96 x 96 px over what you want to see, and
say the blur that you think it has. The network and its updates run in your browser; nothing leaves your machine.

"""
# What stands before the text on the explorer of updates, which on the site is a stored picture.
INSTEAD = """MZSR runs in this page: ten updates on a picture that was blurred and made small, or on one of yours. It is
**told** the blur: the true one at first, or another one that you choose. Then bicubic and MZSR lie on one another, with
a divider between them, and *show after* goes back to 0, 1 and 3 updates. Nothing leaves your machine.

{place}
**Try this:**

1. *blurred by* `g2.0d`, and take ten updates. Go through *show after*: where is most of the gain?
2. *blurred by* `gani_d`, a blur along a slanted line. Which details come back, which do not?
3. *blurred by* `g0.2d`, hardly any blur. Is the start better or worse there, and how far does one update go?
4. *blurred by* `g2.0d`, but *MZSR is told* `gani_d`. What do ten updates make of a lie, beside bicubic?
5. *blurred by* `g2.0d`, and *MZSR is told* a Gaussian of your own. With `lambda1` = `lambda2` = 2 that is the truth.
   What do 1.6 and 2.5 cost?

### In JupyterLab, with sliders

"""
LEARNS = "AdaptationExplorer("
OWN_PICTURE = "## 1 Your picture"


def prepared(source: str, with_network: bool = True) -> str:
    """Return a notebook, given as the text of its file, made ready for the site.

    The links to the neighbours go, because each page has them at its foot; imports are folded, in one bar, as code that
    only draws is already; every stored picture keeps its description, and leads to its file; below the stored picture
    of an explorer stands a place for the live one. Where MZSR adapts to a picture there is a place for the network
    before it, with words of its own, unless the site is made without it.
    """
    notebook = nbformat.reads(source, as_version=4)
    for cell in (notebook.cells[0], notebook.cells[-1]):
        cell.source = _without_navigation(cell.source)
    _join_imports(notebook.cells)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            _fold(cell)
            _describe(cell)
            _enliven(cell)
    if with_network:
        _invite(notebook.cells)
    return nbformat.writes(notebook)


def network_place(static: str, own: bool = False) -> str:
    """Return the place of a page where MZSR runs, by the way from the page to the site's own files.

    With `own` it asks for a picture of the reader's first.
    """
    pictures = {title: f"{static}/live/{_file_name(title)}" for title in SAMPLES}
    return f'<div class="mzsr-live"{" data-own" * own} data-pictures="{html.escape(json.dumps(pictures))}"></div>\n'


def sample_files() -> dict[str, tuple[str, int, int, int]]:
    """Return every picture that something live shows by its file's name: (picture, top, left, side)."""
    cuts = {f"{name}.png": (name, top, left, side) for name, top, left, side in LIVE.values()}
    return cuts | {_file_name(title): (*place, SIDE) for title, place in SAMPLES.items()}


def run_shown(address: str) -> dict[str, Any]:
    """Return what the explorer of a run shows in a page, with the address of the folder of its pictures."""
    run = meta_run.read(RUN)
    curves = [
        {
            "title": meta_run.title(n),
            "colour": shade,
            "marker": meta_run.MARKERS[n],
            "scores": [there.held_out[n] for there in run.checkpoints],
        }
        for n, shade in meta_run.COLOURS.items()
    ]
    names = [[f"{address}/{meta_run.picture_name(step, n)}" for n in meta_run.UPDATES] for step in run.steps]
    return {
        "steps": run.steps,
        "curves": curves,
        "blind": {"psnr": run.blind, "colour": style.colour("blind")},
        "titles": [meta_run.title(n) for n in meta_run.UPDATES],
        "psnr": [[there.psnr[n] for n in meta_run.UPDATES] for there in run.checkpoints],
        "pictures": names,
        "truth": f"{address}/{meta_run.TRUTH}",
        "sentences": [meta_run.sentence(run, number) for number in range(len(run.steps))],
    }


def _file_name(title: str) -> str:
    return f"mzsr-{SAMPLES[title][0]}.png"


def _invite(cells) -> None:
    """Put the network before the explorer of updates, and at the beginning of the page on a reader's own picture."""
    for text, cell in itertools.pairwise(cells):
        if any(LEARNS in output.get("data", {}).get("text/plain", "") for output in cell.get("outputs", ())):
            heading, _, rest = text.source.partition("\n\n")
            text.source = f"{heading}\n\n{INSTEAD.format(place=network_place('../_static'))}{rest}"
    where = [number for number, cell in enumerate(cells) if cell.source.startswith(OWN_PICTURE)]
    for number in where:
        cells.insert(number + 1, nbformat.v4.new_markdown_cell(INVITATION + network_place("../_static", own=True)))


def opening(path: Path) -> tuple[str, str, str, str]:
    """Return the title of a notebook, its question, and its first picture: description and address."""
    first = nbformat.read(path, as_version=4).cells[0].source
    shown = r'<img src="(.+?)" alt="(.+?)"'
    found = re.search(rf"^# (.+?)\n.*?^\*\*(.+?)\*\*$.*?{shown}", first, re.MULTILINE | re.DOTALL)
    title, question, picture, alt = found.groups()
    return title, question, alt, picture


def _without_navigation(source: str) -> str:
    lines = [line for line in source.split("\n") if not line.startswith(("previous: ", "[![Open in Colab]"))]
    return "\n".join(lines)


def _only_imports(cell) -> bool:
    if cell.cell_type != "code":
        return False
    statements = ast.parse(cell.source).body
    return bool(statements) and all(isinstance(node, ast.Import | ast.ImportFrom) for node in statements)


def _join_imports(cells) -> None:
    """Make one cell of two that only import and follow one another."""
    for number in range(len(cells) - 1, 0, -1):
        if _only_imports(cells[number - 1]) and _only_imports(cells[number]):
            cells[number - 1].source += f"\n\n{cells.pop(number).source}"


def _fold(cell) -> None:
    """Fold a cell that imports and does nothing else, and name what a folded cell has."""
    tags = cell.metadata.setdefault("tags", [])
    what = (
        "code of the figure" if any(reading.PICTURES & {*output.get("data", {})} for output in cell.outputs) else "code"
    )
    if _only_imports(cell):
        tags.append(folding.TAG)
        what = "imports"
    if folding.TAG in tags:
        cell.metadata["mystnb"] = {"code_prompt_show": f"Show the {what}", "code_prompt_hide": f"Hide the {what}"}


def _describe(cell) -> None:
    """Hand the description of a stored picture on to the page; one with a scale leads to its file there."""
    for output in cell.outputs:
        for kind in reading.PICTURES & {*output.get("metadata", {})}:
            cell.metadata.setdefault("mystnb", {})["image"] = {"alt": output["metadata"][kind]["alt"], "scale": "100"}


def _enliven(cell) -> None:
    for output in list(cell.outputs):
        shown = EXPLORER.fullmatch(output.get("data", {}).get("text/plain", ""))
        if shown:
            kind, arguments = shown.groups()
            state = {name: ast.literal_eval(value) for name, value in re.findall(r"(\w+)=([^,]+)", arguments)}
            if kind in LIVE:
                state["picture"] = f"../_static/live/{LIVE[kind][0]}.png"
            elif kind == "MetaRun":
                state |= run_shown("../_static/live/meta_run")
            described = html.escape(json.dumps(state))
            place = f'<div class="live" data-kind="{kind.lower()}" data-start="{described}"></div>'
            live = {"text/html": place, "text/plain": "the same, live"}
            cell.outputs.append(nbformat.v4.new_output("display_data", live))
