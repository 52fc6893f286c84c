"""One meta-training run as it went: its curve, a picture at each checkpoint, and an explorer that shows both."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ipywidgets as widgets

from mzsr_lib import files
from mzsr_lib.drawing import style
from mzsr_lib.drawing.style import GAP, INK, Drawing
from mzsr_lib.files import InputError
from mzsr_lib.imaging import picture_files
from mzsr_lib.lessons.live import BELOW, Panel
from mzsr_lib.lessons.sliders import HALF, LABEL, Explorer
from mzsr_lib.shapes import Images

TABLE, TRUTH = "run.csv", "truth.png"
SCORED, UPDATES = (0, 1, 3, 10), (0, 1, 10)  # updates: of the curves, and of the pictures
SIDE, CHART = 160, 260  # px: of a picture, and the height of the curves
# The start is a grey that is seen on a dark page too, and what updates make of it the method's colour, never so pale
# that a line is lost.
COLOURS = dict(zip(SCORED, (style.QUIET, *style.tints("mzsr", 8)[-3:]), strict=True))
MARKERS = dict(zip(SCORED, "osD^", strict=True))
SAME = 0.05  # dB: what is nearer than this is called the same


def picture_name(step: int, updates: int) -> str:
    """Return the name of the picture at a checkpoint (outer steps) after so many updates."""
    return f"outer-{step:04d}-inner-{updates:02d}.png"


def title(updates: int) -> str:
    """Return what a curve or a picture after so many updates is called."""
    return f"{updates} update{'s' * (updates != 1)}"


@dataclass(frozen=True)
class Checkpoint:
    """What the averaged weights do after some outer steps.

    Attributes
    ----------
    step
        Outer steps.
    held_out
        Mean PSNR (dB) of the held-out photographs by updates, `SCORED`.
    psnr
        PSNR (dB) of the pictures, by updates, `UPDATES`.
    pictures
        (1, 3, H, W) in [0, 1], by updates, `UPDATES`.
    """

    step: int
    held_out: dict[int, float]
    psnr: dict[int, float]
    pictures: dict[int, Images]


@dataclass(frozen=True)
class MetaRun:
    """A run: its checkpoints in order, the first before all training, and the original of their pictures."""

    checkpoints: tuple[Checkpoint, ...]
    truth: Images

    @property
    def steps(self) -> list[int]:
        """The outer steps of the checkpoints."""
        return [checkpoint.step for checkpoint in self.checkpoints]

    @property
    def blind(self) -> float:
        """The PSNR (dB) of the network that the run began with, on the held-out photographs."""
        return self.checkpoints[0].held_out[0]


def read(folder: str | Path) -> MetaRun:
    """Read what benchmarks/meta_run.py wrote.

    Raises
    ------
    InputError
        If the table or a picture is missing or damaged.
    """
    folder = Path(folder)
    numbers = [_numbers(folder / TABLE, row) for row in files.read_rows(folder / TABLE)]
    steps = [step for step, *_ in numbers]
    if len(steps) < 2 or steps != sorted({*steps, 0}):
        raise InputError(f"The table {folder / TABLE} should begin at step 0 and go up: it has the steps {steps}.")
    truth = picture_files.load(folder / TRUTH)
    return MetaRun(tuple(Checkpoint(*found, _pictures(folder, found[0], truth)) for found in numbers), truth)


def _numbers(path: Path, row: Mapping[str, str]) -> tuple[int, dict[int, float], dict[int, float]]:
    """Return the step of a row, and its PSNR (dB) on the held-out photographs and of the pictures."""
    try:
        step = int(row["step"])
        held_out, psnr = ({n: float(row[f"{kind}_{n}"]) for n in wanted} for kind, wanted in _COLUMNS.items())
    except (KeyError, ValueError) as error:
        raise InputError(f"The table {path} is damaged ({error}): restore it.") from None
    if not all(map(math.isfinite, (*held_out.values(), *psnr.values()))):
        raise InputError(f"The table {path} is damaged (a PSNR of step {step} is not finite): restore it.")
    return step, held_out, psnr


def _pictures(folder: Path, step: int, truth: Images) -> dict[int, Images]:
    pictures = {n: picture_files.load(folder / picture_name(step, n)) for n in UPDATES}
    if any(picture.shape != truth.shape for picture in pictures.values()):
        raise InputError(f"A picture of step {step} in {folder} has another size than {TRUTH}: restore it.")
    return pictures


_COLUMNS = {"psnr": SCORED, "picture": UPDATES}


def sentence(run: MetaRun, number: int) -> str:
    """Return what one sees at a checkpoint, by its place in the run."""
    here = run.checkpoints[number]
    start, one, ten = (here.held_out[n] for n in UPDATES)
    if not number:
        return (
            f"Before training, the start is the blind network ({run.blind:.1f} dB on the held-out photographs): ten "
            f"updates change it by {ten - start:+.2f} dB."
        )
    against = [_against(psnr, run.blind) for psnr in (start, one, ten)]
    return (
        f"After {here.step} outer steps, on the held-out photographs: the start alone is {against[0]} the blind "
        f"network, one update {against[1]} it, ten {against[2]} it. Ten updates bring {ten - start:.1f} dB."
    )


def _against(psnr: float, blind: float) -> str:
    gap = psnr - blind
    if abs(gap) < SAME:
        return "level with"
    return f"{abs(gap):.1f} dB {'above' if gap > 0 else 'below'}"


class MetaRunExplorer(Explorer):
    """Outer steps -> the curve of a run with a mark there, and a picture after 0, 1 and 10 updates.

    Where the run cannot be read it is one sentence and has no slider.

    Parameters
    ----------
    folder
        What benchmarks/meta_run.py wrote, see `read`.
    step
        The checkpoint it begins with, in outer steps; by default the last one.

    Attributes
    ----------
    run
        What was read, or None.
    shown
        The checkpoint that is shown, or None.
    """

    side_by_side = ()

    def __init__(self, folder: str | Path, step: int | None = None):
        self.run, self.shown, self._problem = None, None, ""
        try:
            self.run = read(folder)
        except InputError as error:
            self._problem = str(error)
            figure = style.sheet(4 * (SIDE + GAP), 3 * GAP)
            style.text(figure, GAP, GAP, "There is no run to show.")
            super().__init__({}, figure)
            return
        steps = self.run.steps
        step = steps[-1] if step is None else step
        if step not in steps:
            raise InputError(f"The run has no checkpoint at step {step}: choose one of {', '.join(map(str, steps))}.")
        figure = style.sheet(4 * SIDE + 5 * GAP, CHART + GAP + SIDE + BELOW)
        self._curves, self._panels = _Curves(figure, self.run), _panels(figure, self.run)
        super().__init__({"step": _steps_slider(steps, step)}, figure)

    def update(self) -> str:
        """Move the mark, and show the pictures of the checkpoint."""
        if self.run is None:
            return self._problem
        number = self.run.steps.index(self.state["step"])
        self.shown = self.run.checkpoints[number]
        self._curves.mark(self.shown)
        for updates, panel in self._panels.items():
            panel.show(self.shown.pictures[updates], f"{self.shown.psnr[updates]:.2f} dB")
        return sentence(self.run, number)

    def _carry(self, moved: Any) -> None:
        """Have no other slider to carry along."""


def _steps_slider(steps: list[int], step: int) -> widgets.SelectionSlider:
    return widgets.SelectionSlider(
        options=steps,
        value=step,
        description="outer steps",
        tooltip="a checkpoint of the run",
        layout=widgets.Layout(width=f"{HALF}px"),
        style={"description_width": f"{LABEL}px"},
    )


def _panels(figure: Drawing, run: MetaRun) -> dict[int, Panel]:
    """Return the panels of the pictures by updates; the original beside them stays."""
    boxes = [(GAP + i * (SIDE + GAP), CHART + GAP, SIDE, SIDE) for i in range(len(UPDATES) + 1)]
    shown = zip(UPDATES, boxes, strict=False)
    panels = {n: Panel(figure, box, title(n), COLOURS[n]) for n, box in shown}
    height, width = run.truth.shape[-2:]
    Panel(figure, boxes[-1], "truth").show(run.truth, f"{width} x {height} px")
    return panels


class _Curves:
    """The held-out PSNR by outer steps, a line for each number of updates, with a mark at one checkpoint."""

    def __init__(self, figure: Drawing, run: MetaRun):
        width, height = figure.get_size_inches() * style.DPI
        self.axes = figure.add_axes((64 / width, 1 - (CHART - 46) / height, 1 - 76 / width, (CHART - 78) / height))
        style.tidy(self.axes)
        for updates, shade in COLOURS.items():
            scores = [checkpoint.held_out[updates] for checkpoint in run.checkpoints]
            self.axes.plot(run.steps, scores, MARKERS[updates], ls="-", color=shade, ms=4.5, label=updates or title(0))
        self.axes.axhline(run.blind, color=style.colour("blind"), ls="--", lw=1.5, label="the blind network")
        self._line = self.axes.axvline(0, color=INK, lw=1, zorder=1)
        (self._rings,) = self.axes.plot([], [], "o", color=INK, ms=11, fillstyle="none", mew=1.4)
        self.axes.set_xlabel("outer steps", color=INK)
        self.axes.set_ylabel("held-out PSNR (dB)", color=INK)
        self.axes.tick_params(labelcolor=INK)
        place = {"loc": "lower left", "bbox_to_anchor": (-0.01, 0.99), "ncols": len(SCORED) + 1}
        style.legend(self.axes, **place, handlelength=1.6, columnspacing=1.4, handletextpad=0.5)

    def mark(self, checkpoint: Checkpoint) -> None:
        """Put the line and the rings at a checkpoint."""
        self._line.set_xdata([checkpoint.step] * 2)
        self._rings.set_data([checkpoint.step] * len(SCORED), [checkpoint.held_out[n] for n in SCORED])
