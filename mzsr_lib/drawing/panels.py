"""The two figures that most lessons need: pictures side by side at whole-number zoom, and lines on one chart."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from mzsr_lib.drawing import style
from mzsr_lib.drawing.style import GAP, INK, LINE, Drawing, chart, frame, heading, legend, shade, sheet
from mzsr_lib.shapes import Tensor

Points = Sequence[tuple[float, float]]


def gallery(
    pictures: Mapping[str, Tensor],
    captions: Mapping[str, str] | None = None,
    side: int = 180,
    columns: int = 4,
    colours: Mapping[str, str] | None = None,
) -> Drawing:
    """Show pictures by title, row by row, each with a line below its title.

    Parameters
    ----------
    pictures
        (1, 3, H, W) or (1, 1, H, W) in [0, 1]; or (H, W), a map of any range, drawn from black for 0 (or
        its smallest value, when that is negative) to white for its largest.
    captions
        By title, such as ``"34.1 dB"``.
    side
        About the pixels a side in the figure: each picture is enlarged by a whole number, so that its
        pixels are squares of exactly their own colour; only one that is larger is shrunk.
    columns
        At most so many in a row.
    colours
        Of titles that are not those of a method, see `style.colour`.
    """
    captions, columns = captions or {}, min(columns, len(pictures))
    rows = math.ceil(len(pictures) / columns)
    sizes = [_size(picture, side) for picture in pictures.values()]
    width, height = (max(size[axis] for size in sizes) for axis in (0, 1))
    lines = 2 if captions else 1
    cell = height + lines * LINE + GAP + 4
    figure = sheet(GAP + columns * (width + GAP), GAP + rows * cell)
    for number, ((title, picture), (w, h)) in enumerate(zip(pictures.items(), sizes, strict=True)):
        row, column = divmod(number, columns)
        left, top = GAP + column * (width + GAP), GAP + row * cell
        draw(frame(figure, (left, top, w, h)), picture)
        heading(figure, left, top + h, title, shade(title, colours), w, captions.get(title, ""))
    return figure


def _size(picture: Tensor, side: int) -> tuple[int, int]:
    height, width = picture.shape[-2:]
    largest = max(height, width)
    factor = side // largest if largest <= side else side / largest
    return round(width * factor), round(height * factor)


def draw(axes: Axes, picture: Tensor) -> None:
    """Draw a picture (1, 3, H, W) or (1, 1, H, W) with 0 as black and 1 as white, or a map (H, W), into axes."""
    values = picture.detach().cpu().numpy()
    smooth = "antialiased" if max(values.shape[-2:]) > 200 else "nearest"
    if values.ndim == 2:
        low = min(0.0, float(values.min()))
        axes.imshow(values, cmap="gray", vmin=low, vmax=float(values.max()), interpolation=smooth, aspect="auto")
        return
    shown = np.clip(values[0].transpose(1, 2, 0), 0, 1)
    shown = np.repeat(shown, 3, axis=2) if shown.shape[2] == 1 else shown
    axes.imshow(shown, vmin=0, vmax=1, interpolation=smooth, aspect="auto")


def lines(
    series: Mapping[str, Points],
    xlabel: str,
    ylabel: str,
    colours: Mapping[str, str] | None = None,
    width: int = 760,
    height: int = 340,
    marker: str = "",
    log_x: bool = False,
) -> Drawing:
    """Draw lines through points (x, y), by title; a method's line has the method's colour, see `style.colour`.

    With a `marker` its points are marked, those of a method with the method's own. Titles that name no method,
    and are not in `colours`, are drawn in dark ink, then dashed, then dotted.
    """
    figure, axes = chart(width, height, left=80)
    drawn: list[str] = []
    for title, points in series.items():
        ink = shade(title, colours)
        dashes = ("-", "--", ":", "-.")[drawn.count(ink) % 4]
        drawn.append(ink)
        axes.plot(
            *zip(*points, strict=True),
            color=ink,
            linestyle=dashes,
            marker=marker and style.marker(ink),
            ms=4,
            label=title,
        )
    axes.set(xlabel=xlabel, ylabel=ylabel)
    if log_x:
        axes.set_xscale("log")
    axes.tick_params(labelcolor=INK)
    legend(axes)
    return figure
