"""Arrays and rows in, a matplotlib Figure out.

Pictures are drawn with 0 as black and 1 as white, whatever they contain; a crop is enlarged by a whole
number, so that each of its pixels is a square of exactly its own colour.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from mzsr_lib.benchmark.measuring import Rows
from mzsr_lib.drawing.panels import lines
from mzsr_lib.drawing.style import (
    COLOURS,
    DPI,
    FONT_SIZE,
    GAP,
    INK,
    LINE,
    MARK,
    Drawing,
    chart,
    colour,
    frame,
    heading,
    ink_on,
    legend,
    marker,
    save,
    shade,
    sheet,
    text,
    tidy,
)
from mzsr_lib.files import InputError
from mzsr_lib.methods import catalogue
from mzsr_lib.shapes import Float, Images, Kernel, OtherImages, Tensor
from mzsr_lib.training import logs

__all__ = ["comparison", "differences", "draw_kernel", "heat_map", "kernel", "save", "training_curve", "updates"]

ZOOM, WHOLE, KERNEL = 180, 300, 84  # px: about the side of a crop, a whole picture and a kernel
Crop = tuple[int, int, int]
Box = tuple[int, int, int, int]


def comparison(
    pictures: Mapping[str, Images],
    captions: Mapping[str, str],
    crop: Crop,
    kernel: Kernel | None = None,
    colours: Mapping[str, str] | None = None,
) -> Drawing:
    """Show one picture whole, and beside it the same crop of every picture, enlarged.

    Parameters
    ----------
    pictures
        By title, each (1, 3, H, W) in [0, 1]. The first is the one shown whole; one of another size
        (a low-resolution picture) is stretched to the size of the first, pixel by pixel.
    captions
        By title, a line such as ``"34.1 dB"``; a picture may go without.
    crop
        (top, left, size) in px of the first picture; marked in it.
    kernel
        Drawn under the whole picture.
    colours
        Of titles that are not those of a method, see `style.colour`.

    Raises
    ------
    InputError
        If the crop does not lie inside the picture.
    """
    first = next(iter(pictures.values()))
    _check_crop(first, crop)
    count, side = len(pictures), crop[2] * max(1, ZOOM // crop[2])
    rows = 1 if count <= 3 else 2
    columns, cell = math.ceil(count / rows), side + 2 * LINE + GAP
    below = 0 if kernel is None else KERNEL + GAP
    width, height = _fitted(first, WHOLE, rows * cell - 2 * GAP - below)
    figure = sheet(3 * GAP + width + columns * (side + GAP) - GAP, rows * cell + GAP)
    _whole(figure, first, crop, kernel, (GAP, GAP, width, height))
    for number, (title, picture) in enumerate(pictures.items()):
        row, column = divmod(number, columns)
        left, top = 2 * GAP + width + column * (side + GAP), GAP + row * cell
        _zoom(figure, picture, first, crop, (left, top, side, side))
        heading(figure, left, top + side, title, shade(title, colours), side, captions.get(title, ""))
    return figure


def _check_crop(picture: Images, crop: Crop) -> None:
    (height, width), (top, left, size) = picture.shape[-2:], crop
    if min(top, left) < 0 or size < 1 or top + size > height or left + size > width:
        where = f"the picture of {width} x {height} px"
        raise InputError(f"The crop {crop} (top, left, size) does not lie inside {where}.")


def _fitted(picture: Images, width: int, height: int) -> tuple[int, int]:
    """Return about the largest size (w, h) with the picture's proportions inside (width, height).

    If it is hardly larger than a multiple of the picture it is that multiple: each pixel is then a square again.
    """
    factor = min(width / picture.shape[-1], height / picture.shape[-2])
    factor = math.floor(factor) if 1 <= factor < 1.05 * math.floor(factor) else factor
    return round(picture.shape[-1] * factor), round(picture.shape[-2] * factor)


def _draw(axes: Axes, picture: Images, like: OtherImages, interpolation: str) -> None:
    """Draw a picture in the pixel coordinates of another one."""
    values = picture[0].detach().clamp(0, 1).permute(1, 2, 0).cpu().numpy()
    extent = (0, like.shape[-1], like.shape[-2], 0)
    axes.imshow(values, vmin=0, vmax=1, extent=extent, interpolation=interpolation, aspect="auto")


def _zoom(figure: Drawing, picture: Images, like: OtherImages, crop: Crop, box: Box) -> None:
    axes, (top, left, size) = frame(figure, box), crop
    _draw(axes, picture, like, "nearest")
    axes.set(xlim=(left, left + size), ylim=(top + size, top))


def _whole(figure: Drawing, picture: Images, crop: Crop, kernel: Kernel | None, box: Box) -> None:
    axes, (top, left, size) = frame(figure, box), crop
    _draw(axes, picture, picture, "antialiased")
    for width, edge in ((4, INK), (2, MARK)):
        mark = Rectangle((left, top), size, size, fill=False, edgecolor=edge, linewidth=width * 72 / DPI)
        axes.add_patch(mark)
    axes.set(xlim=(0, picture.shape[-1]), ylim=(picture.shape[-2], 0))
    if kernel is not None:
        side = kernel.shape[-1] * max(1, KERNEL // kernel.shape[-1])
        place = box[1] + box[3] + GAP
        draw_kernel(frame(figure, (box[0], place, side, side)), kernel)
        text(figure, box[0] + side + GAP, place, "the blur kernel,")
        text(figure, box[0] + side + GAP, place + LINE, f"{kernel.shape[-1]} x {kernel.shape[-1]} px")


def draw_kernel(axes: Axes, kernel: Kernel) -> None:
    """Draw a kernel into axes, an inset for instance: black is zero, white is its largest value."""
    values = kernel.detach().cpu().numpy()
    axes.imshow(values, cmap="gray", vmin=0, vmax=values.max(), interpolation="nearest", aspect="auto")


def kernel(kernels: Mapping[str, Kernel]) -> Drawing:
    """Draw blur kernels side by side on one grid, by title; smaller ones are padded with zeros."""
    size = max(values.shape[-1] for values in kernels.values())
    side = size * max(1, 126 // size)
    figure = sheet(GAP + len(kernels) * (side + GAP), GAP + side + LINE + GAP)
    for number, (title, values) in enumerate(kernels.items()):
        left = GAP + number * (side + GAP)
        padded = torch.nn.functional.pad(values, [(size - values.shape[-1]) // 2] * 4)
        draw_kernel(frame(figure, (left, GAP, side, side)), padded)
        text(figure, left, GAP + side + 2, title, weight="bold")
    return figure


def updates(
    rows: Mapping[str, Sequence[Mapping]], ylabel: str = "PSNR (dB)", colours: Mapping[str, str] | None = None
) -> Drawing:
    """Draw PSNR against the number of updates: by title, rows with ``steps`` and ``psnr``.

    A second line of the same colour is dashed, a third one dotted; `colours` are those of titles that are not
    those of a method.
    """
    series = {
        title: sorted((int(row["steps"]), float(row["psnr"])) for row in members) for title, members in rows.items()
    }
    figure = lines(series, "updates", ylabel, colours, marker="o")
    figure.axes[0].locator_params(axis="x", integer=True)
    return figure


def differences(cells: Rows) -> Drawing:
    """Draw ours minus published: a line for each data set and kernel, a dot for each method and number of updates.

    Parameters
    ----------
    cells
        With ``dataset``, ``kernel``, ``method``, ``steps`` and ``difference`` in dB, see `report.cells`.
    """
    names = (cells["dataset"] + "  " + cells["kernel"]).rename("line")
    lines, methods = list(names.unique()), cells.groupby(["method", "steps"], sort=False)
    figure, axes = chart(760, 110 + 24 * len(lines), left=130, top=40)
    axes.axvline(0, color=INK, linewidth=1)
    for (method, steps), mine in methods:
        places = [lines.index(name) for name in names[mine.index]]
        shown = colour(method)
        look: dict[str, Any] = {"color": shown, "markerfacecolor": "white" if steps == 1 else shown}
        axes.plot(mine["difference"], places, marker(shown), markersize=7, label=catalogue.title(method, steps), **look)
    axes.set(yticks=range(len(lines)), yticklabels=lines, ylim=(len(lines) - 0.5, -0.5))
    axes.set_xlabel("ours - published (dB); right of the line we are above the paper")
    legend(axes, ncols=len(methods), loc="lower center", bbox_to_anchor=(0.5, 1))
    return figure


def training_curve(log_path: str | Path) -> Drawing:
    """Draw a run's log: losses, PSNR on held-out pictures, learning rate; against steps, the time on top.

    Raises
    ------
    InputError
        If there is no such file or no line in it.
    """
    lines = _read_log(log_path)
    losses = {"support_loss": "support, before the updates", "query_loss": "query, after the updates"}
    tests = {"psnr_0": "0 updates", "psnr_1": "1 update", "psnr_10": "10 updates"}
    figure = sheet(760, 640)
    panels = figure.subplots(3, 1, sharex=True, height_ratios=(3, 3, 1.3))
    _curves(panels[0], lines, losses if "support_loss" in lines[0] else {"loss": "loss"}, "loss")
    meta = any("psnr_0" in line for line in lines)
    of_pictures = meta or any(line.get("score", 0) > 10 for line in lines)  # that of the estimator is a likelihood
    scored = "held-out PSNR (dB)" if of_pictures else "held-out score"
    _curves(panels[1], lines, tests if meta else {"score": "score"}, scored, marker="o")
    _curves(panels[2], lines, {"rate": "rate"}, "learning rate")
    panels[2].set(xlabel="steps", xlim=(0, lines[-1]["step"]), ylim=(0, None))
    panels[2].ticklabel_format(axis="y", scilimits=(0, 0))
    _time_on_top(panels[0], lines)
    figure.subplots_adjust(left=0.11, right=0.96, bottom=0.08, top=0.91, hspace=0.18)
    figure.align_ylabels(panels)
    return figure


def _read_log(path: str | Path) -> list[dict]:
    lines = logs.read(path)
    if not lines:
        raise InputError(f"The log {path} is empty: the run has not written a line yet.")
    return lines


def _curves(axes: Axes, lines: Sequence[dict], names: Mapping[str, str], label: str, marker: str = "") -> None:
    """Draw those values of a log that are there, the later names in deeper blue."""
    for number, (key, name) in enumerate(names.items()):
        points = [(line["step"], line[key]) for line in lines if line.get(key) is not None]
        look = {"marker": marker, "markersize": 3, "color": COLOURS["mzsr"], "label": name}
        if points:
            axes.plot(*zip(*points, strict=True), alpha=(number + 1.5) / (len(names) + 0.5), **look)
    tidy(axes)
    axes.set_ylabel(label)
    if len(names) > 1:
        legend(axes)


def _time_on_top(axes: Axes, lines: Sequence[dict]) -> None:
    steps = np.array([0, *(line["step"] for line in lines)], dtype=float)
    times = np.array([0, *(line["seconds"] for line in lines)], dtype=float)
    if times[-1] == 0:  # a run of moments has no scale of time
        return
    unit = "seconds" if times[-1] < 120 else "minutes"
    times /= {"seconds": 1, "minutes": 60}[unit]
    there, back = lambda x: np.interp(x, steps, times), lambda x: np.interp(x, times, steps)
    top = axes.secondary_xaxis("top", functions=(there, back))
    top.set_xticks([tick for tick in MaxNLocator(6).tick_values(0, times[-1]) if tick <= times[-1]])
    top.set_xlabel(unit)


Table = Float[Tensor, "rows columns"]
CELL = (76, 44)  # px: width and height of a cell
EDGES = (112, 34, 20, 56)  # px: left, top, right and bottom of the cells
COLOUR_MAP = "cividis"  # its brightness rises evenly, for colour-blind readers too


def heat_map(
    values: Table,
    rows: Sequence[str],
    columns: Sequence[str],
    ylabel: str,
    xlabel: str,
    title: str = "",
    mark: tuple[int, int] | None = None,
    digits: int = 1,
) -> Drawing:
    """Draw a table as coloured cells with their numbers in them: the brighter, the larger.

    Parameters
    ----------
    values
        (rows, columns), of any unit; named in the title.
    rows, columns
        What stands beside each row, from the top, and under each column, from the left.
    ylabel, xlabel
        What the rows and columns are.
    title
        Above the cells.
    mark
        (row, column) of a cell that gets a frame, for instance the true setting.
    digits
        Decimals of the numbers.

    Raises
    ------
    InputError
        If the names do not fit the table, it holds a number that is not finite, or the mark is outside.
    """
    _check_table(values, rows, columns, mark)
    (left, top, right, bottom), (across, down) = EDGES, values.shape[::-1]
    width, height = left + across * CELL[0] + right, top + down * CELL[1] + bottom
    figure = sheet(width, height)
    box = (left / width, bottom / height, across * CELL[0] / width, down * CELL[1] / height)
    axes = figure.add_axes(box)
    numbers = values.detach().cpu().double().numpy()
    axes.imshow(numbers, cmap=COLOUR_MAP, aspect="auto", interpolation="nearest")
    shade, low, spread = colormaps[COLOUR_MAP], float(numbers.min()), float(np.ptp(numbers)) or 1.0
    for y, line in enumerate(numbers):
        for x, number in enumerate(line):
            ink = ink_on(to_hex(shade((float(number) - low) / spread)))
            axes.text(x, y, f"{number:.{digits}f}", ha="center", va="center", color=ink, fontsize=FONT_SIZE)
    axes.set(xticks=range(across), xticklabels=columns, yticks=range(down), yticklabels=rows)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.set_title(title, fontsize=FONT_SIZE + 1, loc="left")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    if mark is not None:
        _mark_cell(axes, mark)
    return figure


def _mark_cell(axes: Axes, cell: tuple[int, int]) -> None:
    """Draw a line of two colours around a cell, which can be seen on every other one."""
    for width, edge in ((6, INK), (2, MARK)):
        look = {"fill": False, "edgecolor": edge, "linewidth": width * 72 / DPI, "clip_on": False, "zorder": 5}
        axes.add_patch(Rectangle((cell[1] - 0.5, cell[0] - 0.5), 1, 1, **look))


def _check_table(values: Table, rows: Sequence[str], columns: Sequence[str], mark: tuple[int, int] | None) -> None:
    if tuple(values.shape) != (len(rows), len(columns)):
        given = f"{len(rows)} names of rows and {len(columns)} of columns"
        raise InputError(f"A table of {values.shape[0]} x {values.shape[1]} numbers was given {given}.")
    if not values.isfinite().all():
        raise InputError("The table holds a number that is not finite: it has no colour.")
    if mark is not None and not (0 <= mark[0] < len(rows) and 0 <= mark[1] < len(columns)):
        raise InputError(f"The mark {mark} lies outside the table of {len(rows)} x {len(columns)} cells.")
