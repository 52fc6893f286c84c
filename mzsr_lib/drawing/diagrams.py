"""Drawings of what happens in which order: how data flow in each stage, how a long run is shared and continued."""

from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, Rectangle

from mzsr_lib.drawing.panels import draw
from mzsr_lib.drawing.style import DPI, GAP, LINE, PALE, Drawing, frame, sheet, text
from mzsr_lib.imaging import degradation, kernels
from mzsr_lib.shapes import Images, Tensor

# px: the largest picture of a row, the stage's name, from a picture to the next, what a stage ends with
TALL, NAME, COLUMN, RESULT = 112, 220, 224, 170
GIVEN, WANTED, QUIET = "#0072b2", "#a83e00", "#555555"  # colours of input, target and everything else
MISSING = "?"
FOOT = (
    "Every input is first enlarged to the size of its target with bicubic interpolation; the network then repairs it."
)


class Stage(NamedTuple):
    """A row of the drawing.

    Attributes
    ----------
    name, about
        Its title, and two lines on it.
    arrow
        What makes a picture out of the one to its left.
    roles
        What the pictures HR, LR and LR-son are used for, each as lines of (text, colour); fewer when there are fewer.
    result
        What the stage ends with, in lines.
    """

    name: str
    about: tuple[str, str]
    arrow: str
    roles: tuple[tuple[tuple[str, str], ...], ...]
    result: tuple[str, ...]


STAGES = (
    Stage(
        "1  Large-scale training",
        ("many pictures,", "one way to shrink them"),
        "bicubic",
        ((("target", WANTED),), (("input", GIVEN),)),
        ("weights that know", "what sharp edges", "look like"),
    ),
    Stage(
        "Between: the blind network",
        ("many pictures, many kernels,", "and it is told none"),
        "kernel k",
        ((("target", WANTED),), (("input", GIVEN),)),
        ("weights that undo", "the average blur"),
    ),
    Stage(
        "2  Meta-training",
        ("many pictures, many tasks:", "every kernel is one"),
        "kernel k",
        (
            (("query target", WANTED),),
            (("query input", GIVEN), ("support target", WANTED)),
            (("support input", GIVEN),),
        ),
        ("a start from which a", "few updates on the", "support lower the", "loss of the query"),
    ),
    Stage(
        "Meta-test",
        ("one picture, yours,", "and its kernel"),
        "kernel k",
        (
            (("the result (SR)", QUIET),),
            (("support target, then", WANTED), ("input for the result", GIVEN)),
            (("support input", GIVEN),),
        ),
        ("1 to 10 updates on the", "support, then one run", "over the picture"),
    ),
)


def data_flow(hr: Images, kernel: str = "gani_d") -> Drawing:
    """Draw the stages of the method, a row each: who is HR, LR and LR-son, and who is input and target.

    Parameters
    ----------
    hr
        (1, 3, H, W), a small sharp picture whose sides are multiples of 4 and more than twice those of the kernel.
    kernel
        A name of `kernels.named`, with which the pictures of the drawing are made.
    """
    cameras = [degradation.from_setting(kernels.named()[name]) for name in ("bicubic", kernel)]
    row, top = TALL + LINE + 3 * GAP, GAP + 2 * LINE
    figure = sheet(_left(3) + RESULT, top + len(STAGES) * row + LINE + GAP)
    for column, title in enumerate(("HR, high resolution", "LR, half as large", "LR-son, half of LR")):
        text(figure, _left(column), GAP, title, weight="bold")
    text(figure, _left(3), GAP, "what it ends with", weight="bold")
    for number, stage in enumerate(STAGES):
        camera = cameras[min(number, 1)]
        lr = camera(hr)
        pictures: list[Tensor | None] = [None if stage is STAGES[-1] else hr, lr, camera(lr)][: len(stage.roles)]
        _row(figure, stage, pictures, top + number * row)
    text(figure, GAP, top + len(STAGES) * row, FOOT, color=QUIET)
    return figure


def _left(column: int) -> int:
    """Return where a column of pictures begins, px."""
    return GAP + NAME + column * COLUMN


def _row(figure: Drawing, stage: Stage, pictures: list[Tensor | None], top: int) -> None:
    text(figure, GAP, top, stage.name, weight="bold")
    for line, words in enumerate(stage.about, start=1):
        text(figure, GAP, top + line * LINE, words, color=QUIET)
    for column, (picture, roles) in enumerate(zip(pictures, stage.roles, strict=True)):
        side = TALL // 2**column
        axes = frame(figure, (_left(column), top, side, side))
        if picture is None:
            axes.add_patch(Rectangle((0, 0), 1, 1, fill=False, edgecolor=QUIET, linestyle="--", clip_on=False))
            axes.text(0.5, 0.5, MISSING, ha="center", va="center", fontsize=28, color=QUIET)
        else:
            draw(axes, picture)
        for line, (words, ink) in enumerate(roles):
            text(figure, _left(column), top + side + 4 + line * LINE, words, color=ink, weight="bold")
        if column + 1 < len(pictures):
            _arrow(figure, (_left(column) + side + 6, _left(column + 1) - 6), top + 28, stage.arrow, picture is None)
    for line, words in enumerate(stage.result):
        text(figure, _left(3), top + line * LINE, words)


def _arrow(figure: Drawing, ends: tuple[int, int], top: int, words: str, dashed: bool) -> None:
    """Draw an arrow to the right between two pixels of a line, with words above it."""
    width, height = figure.get_size_inches() * DPI
    begin, end = ((x / width, 1 - top / height) for x in ends)
    look = {"arrowstyle": "-|>", "mutation_scale": 12, "color": QUIET, "linewidth": 1.2}
    look["linestyle"] = "--" if dashed else "-"
    figure.add_artist(FancyArrowPatch(begin, end, transform=figure.transFigure, **look))
    text(figure, sum(ends) / 2, top - LINE - 3, words, color=QUIET, ha="center")


LANE, STEP, TASK = 44, 156, 40  # px: the height of a process, the width of an outer step, the side of a task
RUNS = ("one command, two processes", "the same command again")


def long_run() -> Drawing:
    """Draw a run that two processes share, that is killed after a checkpoint, and that the same command continues."""
    left, tall = GAP + 90, 2 * LANE + 5 * LINE + GAP
    width, height = left + 4 * STEP + 2 * GAP, 2 * tall + GAP
    figure = sheet(width, height)
    axes = frame(figure, (0, 0, width, height))
    axes.set(xlim=(0, width), ylim=(height, 0))
    for number, (name, steps) in enumerate(zip(RUNS, ((0, 1, 2), (2, 3)), strict=True)):
        top = GAP + number * tall
        text(figure, GAP, top, name, weight="bold")
        top += 2 * LINE + GAP
        for process in range(2):
            text(figure, GAP, top + process * LANE + 8, f"process {process}", color=QUIET)
        for step in steps:
            killed = not number and step == steps[-1]
            _outer_step(figure, axes, (left + step * STEP, top), step, killed)
    for number in range(2):  # what the first run leaves, and the second begins with
        x, top = left + 2 * STEP - 30, 2 * GAP + number * tall + 2 * LINE
        axes.add_patch(Rectangle((x, top - 4), 14, 2 * LANE, facecolor=GIVEN, edgecolor="none"))
        text(figure, x + 7, top + 2 * LANE + LINE, "checkpoint", color=GIVEN, weight="bold", ha="center")
    return figure


def _outer_step(figure: Drawing, axes: Axes, corner: tuple[int, int], step: int, killed: bool) -> None:
    """Draw the three tasks of an outer step, shared by two processes, and the sum of their gradients."""
    left, top = corner
    text(figure, left, top - LINE - 4, f"outer step {step + 1}", color=QUIET)
    for task in range(3):
        place = (left + task // 2 * (TASK + 6), top + task % 2 * LANE)
        done = not killed or task < 2
        axes.add_patch(
            Rectangle(place, TASK, LANE - 10, fc=PALE if done else "white", ec=QUIET, ls="-" if done else "--")
        )
        axes.text(place[0] + TASK / 2, place[1] + LANE / 2 - 5, f"task {task}", ha="center", va="center", fontsize=8)
    x = left + 2 * TASK + 14
    if killed:
        text(figure, x + 4, top + LANE - 16, "killed", color=WANTED, weight="bold")
    else:
        axes.plot([x, x], [top - 4, top + 2 * LANE - 6], color=QUIET, linewidth=3)
        text(figure, x, top + 2 * LANE, "sum", color=QUIET, ha="center")
