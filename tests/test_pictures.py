"""The pictures that texts show: sharp where a screen has two pixels for one, described, and not too heavy."""

import re
from pathlib import Path

import nbformat
import pytest
from notebook_contract import PICTURE
from PIL import Image

from mzsr_lib.drawing import style
from mzsr_lib.lessons import reproduce

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob(reproduce.NUMBERED))
TEXTS = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "results/README.md", "mzsr_lib/weights/README.md")]
SHARP = 1.9  # pixels of a file for each pixel of the width that is given
HEAVY, HEAVIEST = 450_000, 500_000  # bytes: of a picture that a text shows, and of any figure
WIDEST = 1110  # px


def markdown(path: Path) -> str:
    if path.suffix == ".md":
        return path.read_text(encoding="utf-8")
    cells = nbformat.read(path, as_version=4).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def shown(path: Path) -> list[tuple[Path, str, int]]:
    """The pictures that a text shows: file, description, width."""
    return [(path.parent / name, alt, int(width)) for name, alt, width in PICTURE.findall(markdown(path))]


@pytest.mark.parametrize("path", [*NOTEBOOKS, *TEXTS], ids=lambda path: str(path.relative_to(ROOT)))
def test_a_picture_is_sharp_and_described(path):
    for picture, alt, width in shown(path):
        with Image.open(picture) as opened:
            assert opened.width >= SHARP * width, f"{picture.name} has {opened.width} px and is shown {width} px wide"
        assert width <= WIDEST and len(alt) >= 15, picture.name
    bare = [name for name in re.findall(r"!\[[^\]]*\]\(([^)\s]+)\)", markdown(path)) if ":" not in name]
    assert bare == [], "no width is given"


def test_every_page_has_a_top_picture_of_its_own():
    tops = [shown(path)[0][0].name for path in NOTEBOOKS]
    assert len(set(tops)) == len(NOTEBOOKS)


def test_the_first_page_of_the_site_shows_what_the_readme_does():
    index = PICTURE.findall((ROOT / "docs" / "index.md").read_text(encoding="utf-8"))
    assert index and index[0] in PICTURE.findall((ROOT / "README.md").read_text())


def test_figures_are_not_too_heavy():
    sizes = {path.name: path.stat().st_size for path in (ROOT / "figures").glob("*.png")}
    seen = {picture.name for path in [*NOTEBOOKS, *TEXTS] for picture, _, _ in shown(path)}
    assert seen <= {*sizes}
    assert not {name: size for name, size in sizes.items() if size > (HEAVY if name in seen else HEAVIEST)}


def test_a_file_has_two_pixels_for_one(tmp_path):
    figure = style.sheet(60, 40)
    style.text(figure, 4, 4, "sharp")
    style.save(figure, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as opened:
        assert (opened.size, opened.mode) == ((60 * style.SHARP, 40 * style.SHARP), "RGB")
