"""The look that all figures share: colours, sizes in pixels, and PNG bytes that are always the same.

Figures are made without pyplot: nothing is kept open and no setting of the user's is changed.
"""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

from mzsr_lib.files import InputError, atomic_path
from mzsr_lib.methods.catalogue import ENTRIES, INK

# One colour a method, see `catalogue.ENTRIES`; "wrong" is for one that is told something wrong on purpose.
COLOURS = {name: entry.colour for name, entry in ENTRIES.items()} | {"wrong": "#8a191b"}
_MARKERS = {entry.colour: entry.marker for entry in ENTRIES.values()} | {COLOURS["wrong"]: "^", INK: "o"}
_TITLES = {entry.title.lower(): entry.colour for entry in ENTRIES.values()}
PALE, MARK, QUIET = "#dddddd", "#ffd400", "#767676"
# Lines that stand for no method, in order; they differ in brightness too.
SERIES = ("#222222", "#c44e00", "#5b8c5a", "#8c6bb1", "#8c6d1f")
FONT_SIZE = 9.5

DPI = 100  # all sizes are in pixels of the picture as it is shown
SHARP = 2  # pixels of a PNG file for each of them: a page shows it at half its size, sharp on a fine screen too
GAP, LINE = 12, 17  # between things, and of a line of text
BELOW = 5  # from a picture to its title
HINTING = 1.04  # at other resolutions words are wider, by up to so much
SUFFIXES = (".png", ".svg")


class Drawing(Figure):
    """A Figure that a notebook shows as a picture."""

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, object]:
        buffer = io.BytesIO()
        sharp(self, 1).save(buffer, format="PNG", optimize=True)  # a page keeps it: as few bytes as can be
        return {"image/png": buffer.getvalue(), "text/plain": repr(self)}


def colour(name: str) -> str:
    """Return a method's colour, by its name or its title in `catalogue.ENTRIES`; of anything else dark ink."""
    return COLOURS.get(name, _TITLES.get(name.lower(), INK))


def tints(name: str, count: int) -> list[str]:
    """Return so many shades of the colour of a method, from pale to its own: one thing, more and more of it."""
    full = to_rgb(colour(name))
    shares = [(number + 1) / count for number in range(count)]
    return [to_hex(((1 - s * (1 - full[0])), (1 - s * (1 - full[1])), (1 - s * (1 - full[2])))) for s in shares]


def marker(line: str) -> str:
    """Return the marker that goes with the colour of a line, so that methods differ without their colours too."""
    return _MARKERS.get(line, "o")


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, 1 to 21, as WCAG 2.1 defines it; text needs 4.5."""
    brighter, darker = sorted(map(_luminance, (one, other)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


def _luminance(name: str) -> float:
    parts = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in to_rgb(name))
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), parts, strict=True))


def ink_on(ground: str) -> str:
    """Return the colour, black or white, in which words are read best on a ground."""
    return max(("black", "white"), key=lambda ink: contrast(ink, ground))


def shade(title: str, colours: Mapping[str, str] | None = None) -> str:
    """Return the colour of a title: one that was chosen for it, or that of the method it names."""
    return (colours or {}).get(title) or colour(title)


def png(figure: Figure) -> bytes:
    """Return a figure as the bytes of a PNG file, without a date or the name of a program."""
    buffer = io.BytesIO()
    _write(figure, buffer, ".png")
    return buffer.getvalue()


def save(figure: Figure, path: str | Path) -> None:
    """Write a figure as .png or .svg, whole or not at all; the same figure gives the same bytes.

    A PNG file has `SHARP` pixels a side for each pixel of the figure: pages give the width
    at which it is shown.

    Raises
    ------
    InputError
        If the file has another ending.
    """
    path = Path(path)
    if path.suffix not in SUFFIXES:
        known = " or ".join(SUFFIXES)
        raise InputError(f"{path} has the ending '{path.suffix}': a figure is written as {known}.")
    with atomic_path(path) as temporary:
        if path.suffix == ".png":
            sharp(figure).save(temporary, format="PNG", optimize=True)
        else:
            _write(figure, temporary, path.suffix)


def sharp(figure: Figure, times: int = SHARP) -> Image.Image:
    """Return a figure as a picture with so many pixels a side for each of its own, without transparency."""
    buffer = io.BytesIO()
    _write(figure, buffer, ".png", times)
    return Image.open(buffer).convert("RGB")


def save_both(figure: Figure, path: str | Path) -> None:
    """Write a figure as `path`.png, for pages that are read, and as `path`.svg, for print and enlarging."""
    for suffix in SUFFIXES:
        save(figure, f"{path}{suffix}")


def _write(figure: Figure, target: Path | io.BytesIO, suffix: str, times: int = 1) -> None:
    unsaid = {"Software": None} if suffix == ".png" else {"Date": None, "Creator": None}
    with matplotlib.rc_context({"svg.hashsalt": "mzsr"}):
        figure.savefig(target, format=suffix[1:], dpi=DPI * times, metadata=unsaid, facecolor="white")


def sheet(width: int, height: int) -> Drawing:
    """Return an empty figure of so many pixels."""
    return Drawing(figsize=(width / DPI, height / DPI), dpi=DPI)


def text(figure: Figure, left: float, top: float, words: str, **style: Any) -> None:
    """Write a line whose top left corner is at a pixel, counted from the top left of the figure."""
    width, height = figure.get_size_inches() * DPI
    look = {"fontsize": FONT_SIZE, "color": INK, "va": "top", "ha": "left"} | style
    figure.text(left / width, 1 - top / height, words, **look)


def heading(figure: Figure, left: float, top: float, words: str, line: str, width: float, caption: str = "") -> None:
    """Write the title of a picture that ends at a pixel, below it, in ink; a line of a method's colour joins the two.

    A title that is wider than the picture is set smaller, down to 0.8 times the usual size. Below it stands a caption.
    """
    text(figure, left, top + BELOW, words, weight="bold")
    written = figure.texts[-1]
    length = written.get_window_extent(FigureCanvasAgg(figure).get_renderer()).width
    written.set_fontsize(FONT_SIZE * min(1, max(width / (HINTING * length), 0.8)))
    text(figure, left, top + BELOW + LINE, caption)
    if line != INK:
        wide, tall = figure.get_size_inches() * DPI
        ends = ([left / wide, (left + width) / wide], [1 - (top + 2) / tall] * 2)
        figure.add_artist(Line2D(*ends, color=line, linewidth=3 * 72 / DPI, solid_capstyle="butt"))


def frame(figure: Figure, box: tuple[int, int, int, int]) -> Axes:
    """Add axes without ticks that fill a box (left, top, width, height) of pixels exactly."""
    (left, top, w, h), (width, height) = box, figure.get_size_inches() * DPI
    axes = figure.add_axes((left / width, 1 - (top + h) / height, w / width, h / height))
    axes.set_axis_off()
    return axes


def chart(width: int, height: int, left: int = 64, top: int = 20) -> tuple[Drawing, Axes]:
    """Return a figure of so many pixels and its axes, which begin `left` and `top` pixels from its edges."""
    figure = sheet(width, height)
    size = ((width - left - 20) / width, (height - top - 52) / height)
    axes = figure.add_axes((left / width, 52 / height, *size))
    tidy(axes)
    return figure, axes


def tidy(axes: Axes) -> None:
    """Give axes a pale grid, and no lines at the top and on the right."""
    axes.grid(color=PALE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def legend(axes: Axes, **place: Any) -> None:
    """Explain the lines of axes, without a frame."""
    axes.legend(frameon=False, fontsize=FONT_SIZE, **place)
