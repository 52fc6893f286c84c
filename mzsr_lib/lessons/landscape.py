"""An explorer of starting points: three bowls over two weights, a start that is moved, and where steps take it."""

from typing import Any

import ipywidgets as widgets
import torch
from matplotlib.axes import Axes

from mzsr_lib.drawing import style
from mzsr_lib.files import InputError
from mzsr_lib.lessons.sliders import Explorer, slider
from mzsr_lib.shapes import Tensor

ACROSS, DOWN = (-4.0, 4.0), (-3.4, 4.8)  # theta_1 and theta_2 that are shown
GRID = 0.1
MOST_STEPS = 10
DARKEST = 5.0  # square root of the largest mean loss that is told from larger ones
TASKS = style.SERIES[1:4]


def losses(points: Tensor, hessians: Tensor, optima: Tensor) -> Tensor:
    """Return each task's loss (T, ...), ``(p - c)^T H (p - c) / 2``, at points of its own (T, ..., 2)."""
    away = points - optima.view(len(optima), *[1] * (points.ndim - 2), 2)
    return 0.5 * torch.einsum("t...i,tij,t...j->t...", away, hessians, away)


def walk(start: Tensor, hessians: Tensor, optima: Tensor, alpha: float, steps: int) -> list[Tensor]:
    """Return where each task is, (T, ..., 2), after 0, 1, ... plain gradient steps from the points (..., 2)."""
    points = [start.expand(len(optima), *start.shape)]
    for _ in range(steps):
        away = points[-1] - optima.view(len(optima), *[1] * (start.ndim - 1), 2)
        points.append(points[-1] - alpha * torch.einsum("tij,t...j->t...i", hessians, away))
    return points


class LandscapeExplorer(Explorer):
    """Start, rate and number of steps -> the landscape as it is, and the one after the steps, which MAML sees.

    Parameters
    ----------
    hessians
        (T, 2, 2), the curvature of each task's bowl.
    optima
        (T, 2), their bottoms; at most three tasks.
    theta1, theta2
        The start.
    alpha
        Rate of the steps, 0 to 1.2.
    steps
        0 to 10.

    Attributes
    ----------
    before, after
        The mean loss of the start as it is, and after the steps.
    best
        (theta1, theta2) with the lowest mean loss after the steps, on a grid of 0.1.
    """

    side_by_side = ("theta1", "theta2")

    def __init__(
        self,
        hessians: Tensor,
        optima: Tensor,
        theta1: float = 0.0,
        theta2: float = 0.0,
        alpha: float = 0.5,
        steps: int = 1,
    ):
        if hessians.shape != (len(optima), 2, 2) or optima.shape[1:] != (2,) or not 0 < len(optima) <= len(TASKS):
            raise InputError(
                f"The bowls are {tuple(hessians.shape)} and {tuple(optima.shape)}: (T, 2, 2) and (T, 2) are needed, "
                f"with at most {len(TASKS)} tasks."
            )
        self.hessians, self.optima = hessians, optima
        ranges = [torch.arange(round((end - begin) / GRID) + 1) * GRID + begin for begin, end in (ACROSS, DOWN)]
        self._grid = torch.stack(torch.meshgrid(*ranges, indexing="xy"), dim=-1)
        figure = style.sheet(900, 450)
        self._panes = [figure.add_axes((left, 0.1, 0.43, 0.82)) for left in (0.055, 0.555)]
        real, fine = widgets.FloatSlider, {"readout_format": ".1f"}
        controls = {
            "theta1": slider(real, "theta 1", "the start, across", *ACROSS, GRID, theta1, **fine),
            "theta2": slider(real, "theta 2", "the start, upwards", *DOWN, GRID, theta2, **fine),
            "alpha": slider(real, "alpha", "rate of the steps", 0.0, 1.2, 0.05, alpha, readout_format=".2f"),
            "steps": slider(widgets.IntSlider, "steps", "gradient steps of each task", 0, MOST_STEPS, 1, steps),
        }
        super().__init__(controls, figure)

    def update(self) -> str:
        """Draw both landscapes and the ways from the start."""
        state = self.state
        bowls, start = (self.hessians, self.optima), torch.tensor([state["theta1"], state["theta2"]])
        moved = walk(self._grid, *bowls, state["alpha"], state["steps"])
        heights = [losses(points, *bowls).mean(0) for points in (moved[0], moved[-1])]
        ways = torch.stack(walk(start, *bowls, state["alpha"], state["steps"]), dim=1)
        self.before, self.after = (float(losses(ways[:, i], *bowls).mean()) for i in (0, -1))
        lowest = heights[1].flatten().argmin()
        x, y = self._grid.reshape(-1, 2)[lowest].tolist()
        self.best = (round(x, 1) + 0.0, round(y, 1) + 0.0)  # without a minus before a zero
        many = f"{state['steps']} step{'s' * (state['steps'] != 1)}"
        for axes, height, title in zip(self._panes, heights, ("as it is", f"after {many}"), strict=True):
            self._draw_pane(axes, height, ways, f"shade: mean loss {title}")
        return (
            f"The mean loss of this start is {self.before:.2f} as it is and {self.after:.2f} after {many}. The lowest "
            f"after {many} is {float(heights[1].flatten()[lowest]):.2f}, from ({self.best[0]:g}, {self.best[1]:g})."
        )

    def _draw_pane(self, axes: Axes, height: Tensor, ways: Tensor, title: str) -> None:
        axes.clear()
        box = (*ACROSS, *DOWN)
        shades = height.clamp(max=DARKEST**2).sqrt().numpy()
        axes.imshow(shades, cmap="Greys", vmin=0, extent=box, origin="lower")
        rings = losses(self._grid.expand(len(self.optima), *self._grid.shape), self.hessians, self.optima)
        for shade, optimum, ring, way in zip(TASKS, self.optima, rings.numpy(), ways.numpy(), strict=False):
            axes.contour(*self._grid.numpy().T.swapaxes(1, 2), ring, levels=[0.1, 0.4, 0.9], colors=shade)
            axes.plot(*optimum.tolist(), "o", color=shade, ms=10, mfc="none", mew=2)
            axes.plot(*way.T, "-o", color=shade, ms=4, lw=1.8)
        axes.plot(*ways[0, 0].tolist(), "*", color=style.colour("MZSR"), ms=19, mec="white", zorder=5)
        axes.set_title(title, fontsize=10.5)
        axes.set(xlabel=r"$\theta_1$", ylabel=r"$\theta_2$", aspect="equal", xlim=ACROSS, ylim=DOWN)

    def _carry(self, moved: Any) -> None:
        """Leave the other sliders where they are."""
