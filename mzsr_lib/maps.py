"""A table of numbers drawn as a map: what a result becomes when two things are varied."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from mzsr_lib.files import InputError
from mzsr_lib.look import DPI, FONT_SIZE, INK, MARK, Drawing, sheet
from mzsr_lib.shapes import Float, Tensor

Table = Float[Tensor, "rows columns"]
CELL = (76, 44)  # px: width and height of a cell
EDGES = (112, 34, 20, 56)  # px: left, top, right and bottom of the cells
COLOURS = "cividis"  # its brightness rises evenly, for colour-blind readers too
READABLE = 0.45  # from this part of the range on, dark ink reads better than white


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
    _check(values, rows, columns, mark)
    (left, top, right, bottom), (across, down) = EDGES, values.shape[::-1]
    width, height = left + across * CELL[0] + right, top + down * CELL[1] + bottom
    figure = sheet(width, height)
    box = (left / width, bottom / height, across * CELL[0] / width, down * CELL[1] / height)
    axes = figure.add_axes(box)
    numbers = values.detach().cpu().double().numpy()
    axes.imshow(numbers, cmap=COLOURS, aspect="auto", interpolation="nearest")
    middle = numbers.min() + READABLE * (numbers.max() - numbers.min())
    for y, line in enumerate(numbers):
        for x, number in enumerate(line):
            ink = INK if number > middle else "white"
            axes.text(x, y, f"{number:.{digits}f}", ha="center", va="center", color=ink, fontsize=FONT_SIZE)
    axes.set(xticks=range(across), xticklabels=columns, yticks=range(down), yticklabels=rows)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.set_title(title, fontsize=FONT_SIZE + 1, loc="left")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    if mark is not None:
        _frame(axes, mark)
    return figure


def _frame(axes: Axes, cell: tuple[int, int]) -> None:
    """Draw a line of two colours around a cell, which can be seen on every other one."""
    for width, edge in ((6, INK), (2, MARK)):
        look = {"fill": False, "edgecolor": edge, "linewidth": width * 72 / DPI, "clip_on": False, "zorder": 5}
        axes.add_patch(Rectangle((cell[1] - 0.5, cell[0] - 0.5), 1, 1, **look))


def _check(values: Table, rows: Sequence[str], columns: Sequence[str], mark: tuple[int, int] | None) -> None:
    if tuple(values.shape) != (len(rows), len(columns)):
        given = f"{len(rows)} names of rows and {len(columns)} of columns"
        raise InputError(f"A table of {values.shape[0]} x {values.shape[1]} numbers was given {given}.")
    if not values.isfinite().all():
        raise InputError("The table holds a number that is not finite: it has no colour.")
    if mark is not None and not (0 <= mark[0] < len(rows) and 0 <= mark[1] < len(columns)):
        raise InputError(f"The mark {mark} lies outside the table of {len(rows)} x {len(columns)} cells.")
