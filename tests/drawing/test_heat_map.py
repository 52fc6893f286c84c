"""Maps: the number in each cell, its colour, its place and the mark."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from mzsr_lib.drawing import plotting, style
from mzsr_lib.files import InputError

VALUES = torch.tensor([[20.0, 21.0, 22.0], [23.0, 24.0, 30.0]])


def drawn(**changes):
    arguments = {"values": VALUES, "rows": ["a", "b"], "columns": ["1", "2", "3"], "ylabel": "y", "xlabel": "x"}
    return plotting.heat_map(**(arguments | changes))


def pixels(figure) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(style.png(figure))).convert("RGB")).astype(int)


def cell(picture: np.ndarray, row: int, column: int) -> np.ndarray:
    """The colour of a cell near its upper left corner, away from the number and the frame."""
    left, top, _, _ = plotting.EDGES
    return picture[top + row * plotting.CELL[1] + 8, left + column * plotting.CELL[0] + 8]


def test_each_cell_shows_its_number():
    axes = drawn(digits=2).axes[0]
    shown = {tuple(map(int, text.get_position())): text.get_text() for text in axes.texts}
    assert shown == {(x, y): f"{VALUES[y, x]:.2f}" for y in range(2) for x in range(3)}


def test_the_first_row_is_on_top_and_larger_is_brighter():
    picture = pixels(drawn())
    brightness = [cell(picture, row, column).sum() for row in range(2) for column in range(3)]
    assert brightness == sorted(brightness)
    assert len(set(brightness)) == 6


def test_the_numbers_can_be_read_on_their_cells():
    for text in drawn().axes[0].texts:
        bright = float(text.get_text()) > 25
        assert text.get_color() == ("black" if bright else "white")


def test_the_mark_frames_one_cell_and_nothing_else():
    difference = np.abs(pixels(drawn(mark=(1, 0))) - pixels(drawn())).sum(axis=2) > 0
    (left, top, _, _), (width, height) = plotting.EDGES, plotting.CELL
    rows, columns = np.nonzero(difference)
    assert abs(rows.min() - (top + height)) <= 3
    assert abs(rows.max() - (top + 2 * height)) <= 3
    assert abs(columns.min() - left) <= 3
    assert abs(columns.max() - (left + width)) <= 3


def test_a_flat_table_and_a_single_cell_can_be_drawn():
    assert pixels(drawn(values=torch.full((2, 3), 5.0))).size
    assert pixels(drawn(values=torch.zeros(1, 1), rows=["a"], columns=["1"], mark=(0, 0))).size


def test_words_stay_inside_the_figure():
    figure = drawn(title="PSNR (dB)", rows=["0.25 times", "4 times"])
    style.png(figure)
    box = figure.axes[0].get_tightbbox()
    width, height = figure.get_size_inches() * style.DPI
    assert box.x0 >= 0
    assert box.y0 >= 0
    assert box.x1 <= width
    assert box.y1 <= height


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rows": ["a"]}, "2 x 3 numbers was given 1 names of rows and 3"),
        ({"values": VALUES / 0}, "not finite"),
        ({"mark": (2, 0)}, r"mark \(2, 0\) lies outside"),
        ({"mark": (0, -1)}, "lies outside"),
    ],
)
def test_what_cannot_be_drawn_is_refused(changes, message):
    with pytest.raises(InputError, match=message):
        drawn(**changes)
