"""The same small patch again and again: search for patches of a picture in smaller copies of itself.

That such copies exist is what lets one picture teach itself (Glasner, Bagon and Irani, "Super-resolution
from a single image", ICCV 2009; Zontak and Irani, "Internal statistics of a single natural image", CVPR 2011).
Patches are compared after their mean is removed: a pattern in the shade equals the same pattern in the sun.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from torch.nn import functional as F

from mzsr_lib.drawing.panels import draw
from mzsr_lib.drawing.style import DPI, FONT_SIZE, GAP, INK, LINE, MARK, Drawing, frame, sheet, text
from mzsr_lib.files import InputError
from mzsr_lib.shapes import Float, Images, Luma, OtherPlanes, Planes, Tensor

CHUNK = 1024  # queries compared at a time, so that memory stays bounded


class Patches(NamedTuple):
    """Small squares of a picture, each as a line of numbers.

    Attributes
    ----------
    values
        (n, size * size), the mean of each patch removed.
    corners
        (n, 2), row and column of each patch's top left pixel.
    """

    values: Tensor
    corners: Tensor

    @property
    def contrast(self) -> Tensor:
        """Standard deviation of the pixels of each patch, (n,)."""
        return self.values.square().mean(dim=1).sqrt()

    def where(self, chosen: Tensor) -> "Patches":
        """Return the patches that a mask (n,) or a list of numbers chooses."""
        return Patches(self.values[chosen], self.corners[chosen])


class Matches(NamedTuple):
    """What `nearest` found for each query: the number of the nearest candidate, and how far it is.

    Attributes
    ----------
    index
        (n,), into the candidates.
    error
        (n,), root of the mean squared difference a pixel, in the unit of the picture.
    """

    index: Tensor
    error: Tensor


def patches(picture: Luma, size: int = 5, step: int = 1) -> Patches:
    """Cut a grey picture (1, 1, h, w) into overlapping squares of `size` px, every `step` px.

    Raises
    ------
    InputError
        If the picture is smaller than a patch.

    Examples
    --------
    >>> patches(torch.arange(12.0).reshape(1, 1, 3, 4), size=3).corners.tolist()
    [[0, 0], [0, 1]]
    """
    height, width = picture.shape[-2:]
    if size > min(height, width):
        raise InputError(f"A picture of {width} x {height} px has no patch of {size} x {size} px: give a larger one.")
    values = F.unfold(picture, size, stride=step)[0].T
    rows, columns = (torch.arange(0, side - size + 1, step, device=picture.device) for side in (height, width))
    corners = torch.cartesian_prod(rows, columns).reshape(-1, 2)
    return Patches(values - values.mean(dim=1, keepdim=True), corners)


def nearest(queries: Float[Tensor, "n d"], candidates: Float[Tensor, "m d"]) -> Matches:
    """Return the nearest candidate of each query, by exhaustive search.

    ``|q - c|^2 = |q|^2 - 2 q.c + |c|^2``: the middle term for all pairs is one matrix product, and
    ``|q|^2`` does not change which candidate is nearest.

    Raises
    ------
    InputError
        If there is no candidate.
    """
    if len(candidates) == 0:
        raise InputError("There are no candidates to search in: cut patches from a larger picture.")
    half = candidates.square().sum(dim=1) / 2
    index = [(half - chunk @ candidates.T).argmin(dim=1) for chunk in queries.split(CHUNK)]
    found = torch.cat(index) if index else torch.zeros(0, dtype=torch.long, device=queries.device)
    # From the pixels themselves: the sum of the three terms would lose the small distances to rounding.
    return Matches(found, (queries - candidates[found]).square().mean(dim=1).sqrt())


class Occurrence(NamedTuple):
    """A place where a pattern occurs, larger.

    Attributes
    ----------
    ratio
        By how much the picture was shrunk for the pattern to fit, such as 0.5.
    corner
        (row, column) of the top left pixel in the shrunk picture.
    box
        (top, left, side) in px of the picture: the larger copy of the pattern.
    error
        As in `Matches`.
    """

    ratio: float
    corner: tuple[int, int]
    box: tuple[float, float, float]
    error: float


def shrink(picture: Planes, ratio: float) -> OtherPlanes:
    """Return a smaller copy (antialiased bicubic), its sides `ratio` times as long, to the next pixel."""
    sides = [max(1, round(side * ratio)) for side in picture.shape[-2:]]
    return F.interpolate(picture, sides, mode="bicubic", antialias=True)


def occurrences(
    picture: Luma, box: tuple[int, int, int], ratios: Sequence[float] = (0.8, 0.65, 0.5, 0.4), count: int = 4
) -> list[Occurrence]:
    """Return the best places where a pattern occurs in smaller copies of its picture, the best first.

    Parameters
    ----------
    picture
        (1, 1, h, w), of any range.
    box
        (top, left, size) of the pattern, px.
    ratios
        By how much the picture is shrunk, each below 1.
    count
        At most so many places. Their boxes overlap neither each other nor the pattern's own box.

    Raises
    ------
    InputError
        If the box does not lie inside the picture or a ratio is not between 0 and 1.
    """
    (top, left, size), (height, width) = box, picture.shape[-2:]
    if min(top, left) < 0 or size < 2 or top + size > height or left + size > width:
        raise InputError(f"The box {box} (top, left, size) does not lie inside the picture of {width} x {height} px.")
    if not all(0 < ratio < 1 for ratio in ratios):
        raise InputError(f"The ratios are {tuple(ratios)}: each must be between 0 and 1, for a smaller copy.")
    query = patches(picture[..., top : top + size, left : left + size], size).values
    ranked = [place for ratio in ratios for place in _everywhere(picture, query, size, ratio)]
    chosen: list[Occurrence] = []
    for place in sorted(ranked, key=lambda place: place.error):
        if len(chosen) == count:
            break
        if not any(_overlap(place.box, other) for other in (box, *(one.box for one in chosen))):
            chosen.append(place)
    return chosen


def _everywhere(picture: Luma, query: Tensor, size: int, ratio: float) -> list[Occurrence]:
    """Compare a pattern with every place of one smaller copy."""
    small = shrink(picture, ratio)
    if min(small.shape[-2:]) < size:
        return []
    values, corners = patches(small, size)
    error = (values - query).square().mean(dim=1).sqrt()
    places = zip(corners.tolist(), error.tolist(), strict=True)
    return [Occurrence(ratio, (y, x), (y / ratio, x / ratio, size / ratio), e) for (y, x), e in places]


def _overlap(a: tuple[float, float, float], b: tuple[float, float, float]) -> bool:
    return all(a[axis] < b[axis] + b[2] and b[axis] < a[axis] + a[2] for axis in (0, 1))


SIDE = 100  # px of a cut-out in the figure


def draw_occurrences(picture: Images, box: tuple[int, int, int], found: Sequence[Occurrence]) -> Drawing:
    """Show a picture with a pattern and the places where it occurs larger; under it each of them cut out.

    The first row of cut-outs shows the places as they stand in the picture, the second row the same
    places in the shrunk picture, beside the pattern that they resemble.

    Parameters
    ----------
    picture
        (1, 3, h, w) in [0, 1].
    box
        The pattern, (top, left, size) px: marked by Q.
    found
        From `occurrences`, of the picture's luma: marked by numbers.
    """
    wide = (1 + len(found)) * (SIDE + GAP) - GAP
    tall = round(picture.shape[-2] * wide / picture.shape[-1])
    figure = sheet(wide + 2 * GAP, tall + 2 * SIDE + 2 * LINE + 4 * GAP)
    axes = frame(figure, (GAP, GAP, wide, tall))
    draw(axes, picture)
    _mark(axes, "Q", box, MARK)
    rows = (tall + 2 * GAP + LINE, tall + SIDE + 3 * GAP + 2 * LINE)
    text(figure, GAP, rows[0], "right: as they\nstand; below:\nshrunk, beside\nthe pattern Q")
    _cut_out(figure, picture, box, (GAP, rows[1]), f"Q: {box[2]} x {box[2]} px")
    for number, place in enumerate(found, start=1):
        _mark(axes, str(number), place.box, "white")
        left, side = GAP + number * (SIDE + GAP), f"{place.box[2]:.0f}"
        _cut_out(figure, picture, place.box, (left, rows[0]), f"{number}: {side} x {side} px")
        copy = shrink(picture, place.ratio).clamp(0, 1)
        _cut_out(figure, copy, (*place.corner, box[2]), (left, rows[1]), f"{number}, times {place.ratio:g}")
    return figure


def _mark(axes: Axes, name: str, box: tuple[float, float, float], edge: str) -> None:
    top, left, size = box
    for line, shade in ((4, INK), (2, edge)):
        look = {"fill": False, "edgecolor": shade, "linewidth": line * 72 / DPI}
        axes.add_patch(Rectangle((left - 0.5, top - 0.5), size, size, **look))
    plate = {"facecolor": INK, "pad": 1.5, "edgecolor": "none"}
    axes.text(left, top - 3, name, bbox=plate, color=edge, fontsize=FONT_SIZE, weight="bold", va="bottom")


def _cut_out(figure: Drawing, picture: Images, box: tuple, place: tuple[int, int], title: str) -> None:
    """Draw a square of a picture, enlarged, at a place (left, top) of the figure, under its title."""
    (top, left, size), (x, y) = box, place
    axes = frame(figure, (x, y, SIDE, SIDE))
    draw(axes, picture)
    axes.images[0].set_interpolation("nearest")
    axes.set(xlim=(left - 0.5, left + size - 0.5), ylim=(top + size - 0.5, top - 0.5))
    text(figure, x, y - LINE, title, weight="bold")
