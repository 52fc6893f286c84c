"""Charts side by side under one title, and words beside their lines and points that do not overlap."""

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
REACHES = (7, 12, 19, 28, 40, 54)  # and how far, in points
NEAR = 12  # what stands farther away is joined to its point by a thin line
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
    lines = {title: 1 + title.count("\n") for title in ends}
    line = (high - low) * LINE / axes.bbox.height
    order = sorted(ends, key=lambda title: ends[title][1])
    heights = spread([ends[title][1] for title in order], [lines[title] * line for title in order])
    right = axes.get_xlim()[1]
    look = {"fontsize": FONT_SIZE, "va": "center", "annotation_clip": False, "textcoords": "offset points"}
    dash = {"arrowstyle": "-", "linewidth": 2.5, "relpos": (0, 0.5), "shrinkA": 3, "shrinkB": 4}
    return [
        axes.annotate(
            title, (right, height), xytext=(20, 0), color=INK, arrowprops=dash | {"color": shades[title]}, **look
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


def at_points(axes: Axes, titles: Mapping[str, tuple[tuple[float, float], str]]) -> list[Annotation]:
    """Write a title at each point, where it covers no line, no other title and not the edge.

    Parameters
    ----------
    axes
        With all points and lines drawn. Its limits are kept from here on.
    titles
        By title, its point (x, y) and its colour.
    """
    axes.set(xlim=axes.get_xlim(), ylim=axes.get_ylim())
    edges, written = axes.get_window_extent(), []
    taken = [box for line in axes.lines for box in _along(axes, np.asarray(line.get_xydata()))]
    marks = {title: axes.transData.transform(point) for title, (point, _) in titles.items()}
    for title, (point, shade) in titles.items():
        for place in product(REACHES, SIDES):
            label = _written(axes, title, point, shade, place)
            box = extent(label)
            own = place[0] > NEAR or _gap(box, marks[title]) <= min(_gap(box, mark) for mark in marks.values())
            if own and _inside(box, edges) and not any(box.overlaps(other) for other in taken):
                break
            label.remove()
        else:  # nowhere is free: then where it is looked for first
            label = _written(axes, title, point, shade, (REACHES[0], SIDES[0]))
        taken.append(extent(label))
        written.append(label)
    return written


def extent(label: Annotation) -> Bbox:
    """Return the box of a label's words, without its line, in px of the figure."""
    label.get_window_extent()  # places the words
    return Text.get_window_extent(label)


def _along(axes: Axes, points: np.ndarray) -> list[Bbox]:
    """Return small boxes that cover a line and its marks, in px of the figure."""
    corners = axes.transData.transform(points)
    steps = np.linspace(0, 1, 60)[:, None]
    dense = [corners, *(start + steps * (end - start) for start, end in pairwise(corners))]
    return [Bbox.from_extents(x - 4, y - 4, x + 4, y + 4) for x, y in np.concatenate(dense)]


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
