"""Pieces of a figure that is kept while what it shows is replaced: a picture, a kernel, a curve of scores."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.patches import Ellipse
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from mzsr_lib.drawing import style
from mzsr_lib.drawing.style import GAP, INK, LINE, MARK, PALE, Drawing
from mzsr_lib.shapes import Images, Kernel

Box = tuple[int, int, int, int]  # left, top, width, height in px of the figure
BELOW = 2 * LINE + GAP + 4  # px: the two lines of text under a panel, and the gap
LARGEST_KERNEL = 21  # px a side
SIDE, COLUMN = 192, 112  # px: a picture of `five_panels`, and the column between the original and the results
FIVE = (3 * SIDE + COLUMN + 5 * GAP, GAP + SIDE + BELOW)  # px: width and height they take


class Panel:
    """A picture in a figure, with a title and a line below it; all three can be replaced.

    Parameters
    ----------
    figure
        The figure it is added to.
    box
        (left, top, width, height) of the picture in px of the figure; the two lines stand below.
    title
        Of a method: a line in its colour joins it to the picture, see `style.colour`.
    shade
        Another colour of that line.
    """

    def __init__(self, figure: Drawing, box: Box, title: str, shade: str | None = None):
        left, top, _, height = box
        self.axes = style.frame(figure, box)
        style.heading(figure, left, top + height + 2, title, shade or style.colour(title), box[2])
        self.title, self.line = figure.texts[-2:]
        place = {"extent": (0, 1, 1, 0), "aspect": "auto", "interpolation": "nearest"}
        self.image = self.axes.imshow(np.zeros((1, 1, 3)), vmin=0, vmax=1, **place)

    def show(self, picture: Images, line: str = "") -> None:
        """Replace the picture, (1, 3, H, W) with 0 as black and 1 as white, and the line."""
        self.image.set_data(picture[0].detach().clamp(0, 1).permute(1, 2, 0).cpu().numpy())
        self.line.set_text(line)


class KernelPanel(Panel):
    """A kernel on a grid of `LARGEST_KERNEL` pixels, so that a larger one looks larger.

    With `ellipses`, the Gaussian's one and two standard deviations are drawn over it.
    """

    def __init__(self, figure: Drawing, box: Box, title: str = "kernel", ellipses: bool = True):
        super().__init__(figure, box, title)
        reach = LARGEST_KERNEL / 2
        self.axes.set_axis_on()
        self.axes.set(xlim=(-reach, reach), ylim=(reach, -reach), xticks=[], yticks=[], facecolor=PALE)
        self.axes.spines[:].set_visible(False)
        self.image.set_cmap("gray")
        edge = {"fill": False, "edgecolor": MARK, "linewidth": 1.3, "visible": ellipses}
        outline = [withStroke(linewidth=2.4, foreground=INK)]
        styles = ("-", (0, (5, 3)))
        self.ellipses = [Ellipse((0, 0), 1, 1, linestyle=style, path_effects=outline, **edge) for style in styles]
        for ellipse in self.ellipses:
            self.axes.add_patch(ellipse)

    def show_kernel(self, kernel: Kernel, state: Mapping[str, Any], line: str = "") -> None:
        """Replace the kernel, drawn from black for 0 to white for its largest value.

        `state` holds its theta, lambda1 and lambda2, for the ellipses.
        """
        half = kernel.shape[-1] / 2
        self.image.set_data(kernel.numpy())
        self.image.set(extent=(-half, half, half, -half), clim=(0, float(kernel.max())))
        for deviations, ellipse in zip((1, 2), self.ellipses, strict=True):
            ellipse.width = 2 * deviations * math.sqrt(state["lambda1"])
            ellipse.height = 2 * deviations * math.sqrt(state["lambda2"])
            ellipse.angle = math.degrees(state["theta"])
        self.line.set_text(line)


class Curve:
    """PSNR against updates at the foot of a figure, with a ring around the number of updates that is shown.

    Parameters
    ----------
    figure
        The figure it is added to; the lowest `HEIGHT` px are used.
    most
        The largest number of updates.
    title
        Of the method that learns, in whose colour its scores are drawn.
    """

    HEIGHT = 156  # px

    def __init__(self, figure: Drawing, most: int, title: str):
        width, height = figure.get_size_inches() * style.DPI
        self.axes = figure.add_axes((70 / width, 46 / height, 1 - 82 / width, (self.HEIGHT - 60) / height))
        style.tidy(self.axes)
        self.axes.set(xlim=(-0.3, most + 0.3), xticks=range(most + 1))
        self.axes.set_xlabel("updates", color=INK)
        self.axes.set_ylabel("PSNR (dB)", color=INK)
        self.axes.tick_params(labelcolor=INK)
        self.axes.yaxis.set_major_locator(MaxNLocator(3))
        shade = style.colour(title)
        self.bicubic = self.axes.axhline(0, color=style.colour("bicubic"), linewidth=1.5, label="bicubic")
        (self.scores,) = self.axes.plot([], [], "o-", color=shade, ms=4, label=title)
        (self.ring,) = self.axes.plot([], [], "o", color=shade, ms=10, fillstyle="none", mew=1.6)
        style.legend(self.axes, loc="center right", ncols=2)

    def show(self, bicubic: float, scores: Sequence[float], updates: int) -> None:
        """Draw the scores in dB after 0, 1, 2, ... updates, as far as they are known."""
        self.bicubic.set_ydata([bicubic] * 2)
        self.scores.set_data(range(len(scores)), scores)
        self.ring.set_data([updates], [scores[updates]])
        low, high = min(bicubic, *scores), max(bicubic, *scores)
        room = 0.15 * max(high - low, 1.0)
        self.axes.set_ylim(low - room, high + room)


FivePanels = tuple[Panel, KernelPanel, Panel, Panel, Panel]


def five_panels(figure: Drawing, result: str) -> FivePanels:
    """Return the original, the kernel above the low-resolution picture in a narrow column, bicubic and a result.

    All pictures have pixels of the same size, so that the low-resolution one is half as wide as the others.
    """
    half, thumb = SIDE // 2, 3 * LARGEST_KERNEL
    column, fourth = GAP + SIDE + GAP, GAP + SIDE + GAP + COLUMN + GAP
    return (
        Panel(figure, (GAP, GAP, SIDE, SIDE), "original"),
        KernelPanel(figure, (column, GAP, thumb, thumb), ellipses=False),
        Panel(figure, (column, GAP + half, half, half), "low resolution"),
        Panel(figure, (fourth, GAP, SIDE, SIDE), "bicubic"),
        Panel(figure, (fourth + SIDE + GAP, GAP, SIDE, SIDE), result),
    )
