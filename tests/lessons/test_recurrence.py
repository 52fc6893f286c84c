"""The search for patches that occur again: planted copies, exhaustive comparison, places and sizes."""

import pytest
import torch
from helpers import close, picture

from mzsr_lib.files import InputError
from mzsr_lib.lessons import recurrence


def grey(height: int = 37, width: int = 31, seed: int = 0) -> torch.Tensor:
    return picture(height, width, seed=seed)[:, :1]


def test_patches_are_the_squares_of_the_picture_without_their_mean():
    image = grey(9, 11)
    values, corners = recurrence.patches(image, size=4, step=3)
    assert corners.tolist() == [[y, x] for y in (0, 3) for x in (0, 3, 6)]
    for line, (y, x) in zip(values, corners.tolist(), strict=True):
        square = image[0, 0, y : y + 4, x : x + 4]
        close(line, (square - square.mean()).flatten(), 1e-6)


def test_a_picture_smaller_than_a_patch_is_refused():
    with pytest.raises(InputError, match="4 x 9 px has no patch of 5 x 5 px"):
        recurrence.patches(grey(9, 4), size=5)


def test_contrast_and_choice():
    flat, stripes = torch.zeros(1, 1, 4, 4), torch.tensor([1.0, 3.0] * 2).expand(1, 1, 4, 4)
    cut = recurrence.patches(torch.cat([flat, stripes], dim=3), size=4, step=4)
    close(cut.contrast, torch.tensor([0.0, 1.0]), 1e-6)
    assert cut.where(cut.contrast > 0.5).corners.tolist() == [[0, 4]]


def test_a_planted_copy_is_found_at_its_place_also_when_it_is_brighter():
    image, other = grey(), grey(seed=1)
    other[..., 20:25, 7:12] = image[..., 3:8, 11:16] + 0.25
    query, candidates = recurrence.patches(image[..., 3:8, 11:16]), recurrence.patches(other)
    found = recurrence.nearest(query.values, candidates.values)
    assert candidates.corners[found.index].tolist() == [[20, 7]]
    close(found.error, torch.zeros(1), 1e-6)


def test_the_search_agrees_with_comparing_every_pair(monkeypatch):
    monkeypatch.setattr(recurrence, "CHUNK", 7)
    queries, candidates = (recurrence.patches(grey(12, 10, seed), 3).values for seed in (0, 1))
    distance = torch.cdist(queries, candidates)
    found = recurrence.nearest(queries, candidates)
    assert torch.equal(found.index, distance.argmin(dim=1))
    close(found.error, distance.min(dim=1).values / 3, 1e-6)


def test_a_picture_finds_itself_and_two_pictures_find_each_other():
    one, two = (recurrence.patches(grey(9, 9, seed), 4).values for seed in (0, 1))
    found = recurrence.nearest(one, one)
    assert torch.equal(found.index, torch.arange(len(one)))
    assert float(found.error.max()) == 0
    # The smallest of all distances is the same from both sides.
    close(recurrence.nearest(one, two).error.min(), recurrence.nearest(two, one).error.min(), 1e-7)


def test_nothing_to_search_in_is_refused_and_nothing_to_search_for_is_not():
    values = recurrence.patches(grey(), 5).values
    with pytest.raises(InputError, match="no candidates"):
        recurrence.nearest(values, values[:0])
    assert recurrence.nearest(values[:0], values).error.shape == (0,)


def planted() -> torch.Tensor:
    """A smooth pattern at (6, 4), 10 px, and the same twice as large at (30, 40)."""
    canvas = torch.zeros(1, 1, 64, 72)
    axis = torch.linspace(-1, 1, 10)
    pattern = torch.exp(-3 * (axis[:, None] ** 2 + (axis - 0.3) ** 2))
    canvas[0, 0, 6:16, 4:14] = pattern
    large = torch.nn.functional.interpolate(pattern[None, None], scale_factor=2, mode="bicubic")
    canvas[..., 30:50, 40:60] = large
    return canvas


def test_a_larger_copy_is_found_with_its_place_and_size():
    best, *others = recurrence.occurrences(planted(), (6, 4, 10), (0.8, 0.5), count=3)
    assert best.ratio == 0.5
    assert best.corner == (15, 20)
    assert best.box == (30, 40, 20)
    assert best.error < 0.02
    assert all(best.error <= other.error for other in others)


def test_places_overlap_neither_each_other_nor_the_pattern():
    box = (8, 5, 9)
    boxes = [box, *(place.box for place in recurrence.occurrences(grey(40, 44), box, count=5))]
    apart = [not recurrence._overlap(a, b) for n, a in enumerate(boxes) for b in boxes[:n]]
    assert len(boxes) > 2
    assert all(apart)


def test_a_copy_too_small_for_the_pattern_is_left_out():
    assert recurrence.occurrences(grey(), (0, 0, 20), (0.3,)) == []


@pytest.mark.parametrize("box", [(-1, 0, 5), (0, 28, 5), (34, 0, 5), (0, 0, 1)])
def test_a_box_outside_is_refused(box):
    with pytest.raises(InputError, match="does not lie inside the picture of 31 x 37 px"):
        recurrence.occurrences(grey(), box)


@pytest.mark.parametrize("ratio", [0, 1, 1.5])
def test_a_copy_that_is_not_smaller_is_refused(ratio):
    with pytest.raises(InputError, match="between 0 and 1"):
        recurrence.occurrences(grey(), (0, 0, 5), (ratio,))


def test_the_figure_has_a_cut_out_for_every_place_and_shows_them_shrunk():
    image = planted().expand(-1, 3, -1, -1)
    found = recurrence.occurrences(planted(), (6, 4, 10), (0.5,), count=2)
    figure = recurrence.draw_occurrences(image, (6, 4, 10), found)
    assert len(figure.axes) == 1 + 1 + 2 * len(found)
    assert figure._repr_mimebundle_()["image/png"].startswith(b"\x89PNG")
