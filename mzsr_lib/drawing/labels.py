"""Charts side by side under one title, and words beside their lines and points that do not overlap."""

import textwrap
from collections.abc import Mapping, Sequence
from itertools import pairwise, product

import numpy as np
from matplotlib.axes import Axes
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Bbox, BboxBase
from scipy.optimize import isotonic_regression

from mzsr_lib.drawing.style import FONT_SIZE, GAP, INK, LINE, Drawing, sheet, text, tidy

LEFT, RIGHT, TOP, BOTTOM, BETWEEN = 64, 24, 78, 52, 46  # px around the charts, and between two

# Where a title may stand, seen from its point: right (1), left (-1) or in the middle; above (1), below (-1) or level.
SIDES = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))
REACHES = (7, 12, 19, 28, 40, 54, 72, 96)  # and how far, in points
WRAP = 28  # letters in a line of a title beside a chart
NEAR = 12  # what stands farther away is joined to its point by a thin line
CLEARLY = 0.7  # other points are farther away than this share says
Points = Sequence[tuple[float, float]]
ALIGNMENT = {1: "left", -1: "right", 0: "center"}


def side_by_side(
    count: int, title: str, note: str, width: int, height: int, right: int = RIGHT
) -> tuple[Drawing, list[Axes]]:
    """Return a figure with charts side by side, under its title and a paler line.

    Parameters
    ----------
    count
        How many charts.
    title, note
        What is seen, and what has to be known about it.
    width, height
        Of the figure, px.
    right
        Empty px on the right, for `beside`.
    """
    figure = sheet(width, height)
    text(figure, GAP, GAP, title, weight="bold", fontsize=FONT_SIZE + 1)
    text(figure, GAP, GAP + LINE + 2, note, color="#555555")
    side, axes = (width - LEFT - right - (count - 1) * BETWEEN) / count, []
    for number in range(count):
        left = LEFT + number * (side + BETWEEN)
        box = (left / width, BOTTOM / height, side / width, (height - TOP - BOTTOM) / height)
        axes.append(figure.add_axes(box))
        tidy(axes[-1])
        axes[-1].tick_params(labelcolor=INK)
    return figure, axes


def share_heights(axes: Sequence[Axes], bottom: float | None = None) -> None:
    """Give charts the same range of PSNR, named once: from the lowest, or from `bottom`, to the highest."""
    low, high = zip(*(one.get_ylim() for one in axes), strict=True)
    for one in axes:
        one.set_ylim(min(low) if bottom is None else bottom, max(high))
    axes[0].set_ylabel("PSNR (dB)")


def beside(axes: Axes, ends: Mapping[str, tuple[float, float]], shades: Mapping[str, str]) -> list[Annotation]:
    """Write titles right of the chart, each at the height of its line's end, as near as keeps them apart.

    Parameters
    ----------
    axes
        With its final limits.
    ends
        By title, the last point (x, y) of its line.
    shades
        By title, the colour of its line, and of a dash before the title; words are in ink.
    """
    low, high = axes.get_ylim()
    wrapped = {title: textwrap.fill(title, WRAP, break_on_hyphens=False) for title in ends}
    lines = {title: 1 + words.count("\n") for title, words in wrapped.items()}
    line = (high - low) * LINE / axes.bbox.height
    order = sorted(ends, key=lambda title: ends[title][1])
    heights = spread([ends[title][1] for title in order], [lines[title] * line for title in order])
    right = axes.get_xlim()[1]
    look = {"fontsize": FONT_SIZE, "va": "center", "annotation_clip": False, "textcoords": "offset points"}
    dash = {"arrowstyle": "-", "linewidth": 2.5, "relpos": (0, 0.5), "shrinkA": 3, "shrinkB": 4}
    return [
        axes.annotate(
            wrapped[title],
            (right, height),
            xytext=(20, 0),
            color=INK,
            arrowprops=dash | {"color": shades[title]},
            **look,
        )
        for title, height in zip(order, heights, strict=True)
    ]


def spread(places: Sequence[float], sizes: Sequence[float]) -> list[float]:
    """Return rising places moved apart, each the middle of something that takes a size, by as little as possible.

    Examples
    --------
    >>> spread([0.0, 0.0, 9.0], [2.0, 2.0, 2.0])
    [-1.0, 1.0, 9.0]
    """
    if not len(places):
        return []
    # How far each would stand from the first if all touched: the rest of the places must not fall.
    touching = np.cumsum(sizes) - np.asarray(sizes) / 2
    return (isotonic_regression(np.asarray(places) - touching).x + touching).tolist()


def at_points(axes: Axes, titles: Mapping[str, tuple[Points, str]]) -> list[Annotation]:
    """Write a title at a point of each line, where it covers no line, no other title, no words and not the edge.

    Parameters
    ----------
    axes
        With all points and lines drawn. Its limits are kept from here on.
    titles
        By title, the points (x, y) of its line, beside any of which it may stand, and its colour. Those that lie
        outside the limits do not count.
    """
    axes.set(xlim=axes.get_xlim(), ylim=axes.get_ylim())
    places = _Places(axes, {title: points for title, (points, _) in titles.items()})
    near, far = (tuple(reach for reach in REACHES if (reach > NEAR) == more) for more in (False, True))
    written = {title: places.write(title, shade, near) for title, (_, shade) in titles.items()}
    # What has found no place at its point comes last, so that its thin line goes around the others, or across them.
    for title, (_, shade) in titles.items():
        found = (places.write(title, shade, far, around) for around in (True, False))
        written[title] = written[title] or next(filter(None, found), None) or places.anyhow(title, shade)
    return [label for label in written.values() if label]


class _Places:
    """Where words may stand in axes: what is taken, and what the thin lines to their points must not cross."""

    def __init__(self, axes: Axes, points: Mapping[str, Points]):
        self.axes, self.points, self.edges = axes, points, axes.get_window_extent()
        to_px = axes.transData.transform
        self.marks = {title: to_px(np.asarray(line)) for title, line in points.items()}
        self.lines = [box for line in axes.lines for box in _along(to_px(np.asarray(line.get_xydata())))]
        self.words = [extent(label) for label in axes.texts if isinstance(label, Annotation)]

    def write(self, title: str, shade: str, reaches: Sequence[int], around: bool = True) -> Annotation | None:
        """Write a title beside one of its points, at the first place that is free; or nowhere.

        `around` is whether the thin line to the point goes around all words and others' points.
        """
        inside = [number for number, mark in enumerate(self.marks[title]) if self.edges.contains(*mark)]
        for reach, number, side in product(reaches, inside, SIDES):
            label = _written(self.axes, title, self.points[title][number], shade, (reach, side))
            box, leader = extent(label), _leader(extent(label), self.marks[title][number], reach)
            mine = (not around or self._apart(title, leader)) if leader else self._own(title, box)
            if self._free(box) and mine:
                self.words.append(box.padded(3))
                self.lines += leader
                return label
            label.remove()
        return None

    def anyhow(self, title: str, shade: str) -> Annotation:
        """Write a title where it is looked for first, although something is there."""
        return _written(self.axes, title, self.points[title][0], shade, (REACHES[0], SIDES[0]))

    def _free(self, box: Bbox) -> bool:
        """Return whether words cover nothing."""
        return _inside(box, self.edges) and not any(map(box.overlaps, self.words + self.lines))

    def _apart(self, title: str, leader: list[Bbox]) -> bool:
        """Return whether the thin line of a title crosses neither words nor the points of others."""
        others = [_around(mark, 7) for other, marks in self.marks.items() if other != title for mark in marks]
        return not any(part.overlaps(other) for part in leader for other in self.words + others)

    def _own(self, title: str, box: Bbox) -> bool:
        """Return whether the points of other lines are clearly farther from words than those of their own."""
        gaps = {other: min(_gap(box, mark) for mark in marks) for other, marks in self.marks.items()}
        return gaps[title] <= CLEARLY * min([gap for other, gap in gaps.items() if other != title], default=np.inf)


def _leader(box: Bbox, mark: np.ndarray, reach: int) -> list[Bbox]:
    """Return small boxes along the thin line from words to their point, px; none where there is no such line."""
    if reach <= NEAR:
        return []
    middle = np.add(box.min, box.max) / 2
    return [part for part in _along(np.array([middle, mark]), 2) if not box.contains(*part.min)]


def extent(label: Annotation) -> Bbox:
    """Return the box of a label's words, without its line, in px of the figure."""
    label.get_window_extent()  # places the words
    return Text.get_window_extent(label)


def _along(corners: np.ndarray, half: float = 4) -> list[Bbox]:
    """Return small boxes that cover a line and its marks, in px of the figure."""
    steps = np.linspace(0, 1, 60)[:, None]
    dense = [corners, *(start + steps * (end - start) for start, end in pairwise(corners))]
    return [_around(point, half) for point in np.concatenate(dense)]


def _around(point: np.ndarray, half: float) -> Bbox:
    """Return the square with a point in its middle."""
    return Bbox([point - half, point + half])


def _written(axes: Axes, title: str, point: tuple, shade: str, place: tuple[int, tuple[int, int]]) -> Annotation:
    reach, (across, up) = place
    look = {"ha": ALIGNMENT[across], "va": "center", "fontsize": FONT_SIZE, "color": INK}
    away = (across * reach, up * (reach + 3))
    if reach > NEAR:
        look["arrowprops"] = {"arrowstyle": "-", "color": shade, "linewidth": 0.8, "shrinkA": 0, "shrinkB": 2}
    return axes.annotate(title, point, xytext=away, textcoords="offset points", **look)


def _gap(box: BboxBase, mark: np.ndarray) -> float:
    """Return how far a point lies from a box, px: a title without a line belongs to the nearest point."""
    return float(np.linalg.norm(np.maximum(np.maximum(box.min - mark, mark - box.max), 0)))


def _inside(box: BboxBase, edges: BboxBase) -> bool:
    return bool(np.all(edges.min <= box.min) and np.all(box.max <= edges.max))
