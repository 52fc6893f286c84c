"""Code that only draws or prints what is known is folded; what the lesson teaches never is."""

from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from mzsr_lib.lessons import folding, reproduce

ROOT = Path(__file__).resolve().parents[2]
COMMITTED = sorted((ROOT / "notebooks").glob(reproduce.NUMBERED))
IMPORTS = """import torch
from tabulate import tabulate
from mzsr_lib import files
from mzsr_lib.drawing import plotting, style
from mzsr_lib.imaging import degradation, metrics"""
TITLES = "\n".join(f"titles[{n}] = 'a title'" for n in range(6))
PICTURE = f"""{TITLES}
figure = plotting.comparison(pictures, titles, crop)
figure"""
AXES = f"""{TITLES}
for axes, (name, values) in zip(figure.subplots(1, 3), curves.items(), strict=True):
    axes.plot(torch.linspace(0, 1, 9), values)
figure"""
TABLE = f"""{TITLES}
rows = [[row["name"], f"{{float(row['psnr']):.2f}}"] for row in files.read_rows("rows.csv")]
tabulate(rows)"""
SCORED = PICTURE.replace("'a title'", "f'{psnr(sr):.1f} dB'")
HELPERS = "def psnr(sr):\n    return metrics.protocol_psnr(sr, hr, 2)"
DRAWER = f"""def both(axes, values):
    axes.plot(values)
    axes.set(xlim=(0, 1))


{AXES.replace("axes.plot(torch.linspace(0, 1, 9), values)", "both(axes, values)")}"""

FOLDED = {"a picture": PICTURE, "axes": AXES, "a table": TABLE, "scores": SCORED, "with its helper": DRAWER}
OPEN = {
    "short": "\n".join(PICTURE.splitlines()[2:]),
    "nothing is shown": TITLES + "\nx = 1",
    "it computes": PICTURE.replace("'a title'", "degradation.blur(hr, kernel)", 1),
    "it calls a function of the page": PICTURE.replace("'a title'", "adapt(hr)", 1),
    "it checks": PICTURE + "\nassert pictures",
    "it defines": "def step(x):\n    return x - 1\n\n\n" + PICTURE,
    "it defines something that draws and returns": DRAWER.replace("axes.set(xlim=(0, 1))", "return axes"),
    "it imports": "import math\n" + PICTURE,
}


def page(*sources: str):
    return new_notebook(cells=[new_markdown_cell("# Title"), *map(new_code_cell, (IMPORTS, HELPERS, *sources))])


def folded(notebook) -> list[int]:
    """The places of the cells that are folded, in JupyterLab and on the site alike."""
    folding.fold(notebook)
    hidden = [n for n, cell in enumerate(notebook.cells) if cell.metadata.get("jupyter", {}).get("source_hidden")]
    assert hidden == [n for n, cell in enumerate(notebook.cells) if folding.TAG in cell.metadata.get("tags", [])]
    return hidden


@pytest.mark.parametrize("source", FOLDED.values(), ids=FOLDED)
def test_what_only_draws_is_folded(source):
    assert folded(page(source)) == [3]


@pytest.mark.parametrize("source", OPEN.values(), ids=OPEN)
def test_what_teaches_is_not(source):
    assert folded(page(source)) == []


@pytest.mark.parametrize(
    ("later", "expected"),
    [
        ("print(titles)", []),
        ("titles = {}\nprint(titles)", [3]),
        ("for titles in pictures:\n    print(titles)", [3]),
        ("print(axes, name)", [3]),  # left over from a loop
    ],
)
def test_a_cell_whose_names_are_needed_later_is_not_folded(later, expected):
    lines = "\n".join(f"titles = {{**titles, {n}: 'a title'}}" for n in range(6))
    assert folded(page("titles = {}", AXES.replace(TITLES, lines), later)) == [number + 1 for number in expected]


@pytest.mark.parametrize("tag", sorted(folding.KEPT))
def test_parameters_and_exercises_stay_open(tag):
    notebook = page(PICTURE)
    notebook.cells[3].metadata.tags = [tag]
    assert folded(notebook) == []


def test_folding_again_changes_nothing_and_what_has_become_short_is_opened():
    notebook = page(PICTURE)
    notebook.cells[3].metadata.update(tags=["nbval-ignore-output"], jupyter={"outputs_hidden": False})
    before = notebook.cells[3].copy()
    assert folded(notebook) == folded(notebook) == [3]
    assert notebook.cells[3].metadata.tags == ["nbval-ignore-output", folding.TAG]
    notebook.cells[3].source = "figure"
    assert folded(notebook) == []
    assert notebook.cells[3].metadata == before.metadata
    assert notebook.cells[1].metadata == {}


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_the_stored_pages_are_folded_so(path):
    stored, fresh = (nbformat.read(path, as_version=4) for _ in range(2))
    folding.fold(fresh)
    assert fresh == stored


def test_figures_are_folded_on_several_pages():
    assert sum(bool(folding.drawing(nbformat.read(path, as_version=4))) for path in COMMITTED) >= 5
