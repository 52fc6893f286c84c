"""The card says what is known of others, and of our weights what their file says."""

import re
from pathlib import Path

import nbformat

from mzsr_lib.lessons import recipe
from mzsr_lib.models import weights

ROOT = Path(__file__).resolve().parents[2]
PAGES = {path.name[:2]: nbformat.read(path, as_version=4) for path in (ROOT / "notebooks").glob("[0-9]*.ipynb")}


def rows() -> dict[str, list[str]]:
    lines = [line.strip("|").split("|") for line in recipe.card().splitlines()[2:]]
    return {cells[0].strip(" *"): [cell.strip() for cell in cells[1:]] for cells in lines}


def test_every_question_has_three_answers():
    assert list(rows()) == list(recipe.KNOWN)
    assert all(len(cells) == 3 and all(cells) for cells in rows().values())


def test_ours_are_the_numbers_of_the_weights_file():
    facts = weights.read_provenance(weights.locate("mzsr-x2"))
    settings = facts["settings"]
    for question, name in (
        ("inner steps", "inner_steps"),
        ("query weights", "query_weights"),
        ("kernel size", "kernel_size"),
    ):
        assert re.match(rf"{settings[name]}\b", rows()[question][2])
    assert rows()["clipping of the gradient"][2] == f"norm {settings['clip']:g}"
    assert rows()["starts from"][2] == facts["phases"][0]["from"]
    assert f"{settings['bicubic_share']:.0%}" in rows()["sampling"][2]


def test_nothing_is_known_of_a_program_that_was_not_seen():
    assert rows()["clipping of the gradient"][:2] == [recipe.UNKNOWN] * 2


def test_the_pages_of_the_method_lead_to_the_card():
    shown = [cell for cell in PAGES["07"].cells if "recipe.card(" in cell.source]
    assert len(shown) == 1
    assert shown[0].outputs[0].data["text/markdown"] == recipe.card()
    for number in ("06", "08", "10"):
        text = "\n".join(cell.source for cell in PAGES[number].cells if cell.cell_type == "markdown")
        assert re.search(r"\[recipe card\]\(07_meta_training\.ipynb\)", text), f"page {number} has no link to the card"
