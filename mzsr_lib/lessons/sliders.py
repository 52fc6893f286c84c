"""What the explorers share: sliders, one figure that is kept and changed, and a line that says what it shows.

No output widget and no `interact` is used: they hang a notebook that is run without a browser.
"""

import html
import math
from collections.abc import Mapping
from typing import Any

import ipywidgets as widgets

from mzsr_lib.drawing import style
from mzsr_lib.drawing.style import Drawing
from mzsr_lib.files import Failure, InputError
from mzsr_lib.imaging import kernels
from mzsr_lib.imaging.degradation import Degradation
from mzsr_lib.imaging.images import centre_crop, crop_to_multiple
from mzsr_lib.lessons.live import LARGEST_KERNEL
from mzsr_lib.shapes import Images, Kernel, OtherImages

HALF, LABEL = 372, 120  # px: width of a slider, of which two stand side by side, and of its label


class Explorer(widgets.VBox):
    """Sliders, a line of text, and a picture; both follow the sliders.

    A subclass draws into `figure` in `update`. Where no kernel runs, on a page for instance, the last
    picture is shown instead of the live view.

    Attributes
    ----------
    controls
        The sliders by name: ``explorer.controls["theta"].value = 0.5`` does what moving it does.
    figure
        What is drawn, always the same object.
    degradation
        What the sliders ask for now; a subclass sets it in `update`.
    message
        The line between sliders and picture, as plain text.
    """

    side_by_side = ("lambda1", "lambda2")
    degradation: Degradation

    def __init__(self, controls: Mapping[str, widgets.ValueWidget], figure: Drawing):
        self.controls, self.figure = dict(controls), figure
        self._moving = False
        self._image = widgets.Image(format="png", layout=widgets.Layout(max_width="100%", object_fit="contain"))
        self._line = widgets.HTML(layout=widgets.Layout(min_height="28px", margin="4px 0 0 12px"))
        width = f"{2 * HALF + 30}px"
        pair = [self.controls[name] for name in self.side_by_side]  # and the first two to reach
        order = pair + [control for control in self.controls.values() if control not in pair]
        rows = widgets.Box(order, layout=widgets.Layout(flex_flow="row wrap", max_width=width))
        super().__init__([rows, self._line, self._image], layout=widgets.Layout(align_items="flex-start"))
        self._draw(self.update())
        for control in self.controls.values():
            control.observe(self._moved, "value")

    def update(self) -> str:
        """Compute and draw what the sliders ask for, and return the line of text."""
        raise NotImplementedError

    @property
    def state(self) -> dict[str, Any]:
        """The values of the sliders by name."""
        return {name: control.value for name, control in self.controls.items()}

    @property
    def kernel(self) -> Kernel:
        """The kernel that the sliders ask for now, with sum 1."""
        return self.degradation.kernel

    def say(self, sentence: str, weight: str = "normal") -> None:
        """Show a sentence at once, in the theme's colour for text; a screen reader reads it out."""
        self.message = sentence
        look = f"color: var(--jp-content-font-color1, inherit); font-weight: {weight}"
        self._line.value = f'<div role="status" style="{look}">{html.escape(sentence)}</div>'

    def _moved(self, change: Mapping[str, Any]) -> None:
        """Follow a slider. Whatever goes wrong is said in one sentence, since nobody sees a traceback here."""
        if self._moving:
            return
        self._moving = True
        try:
            self._carry(change["owner"])
            self._draw(self.update())
        except (InputError, Failure) as error:
            self.say(str(error), "bold")
        except Exception as error:
            self.say(f"This could not be drawn ({type(error).__name__}: {error}).", "bold")
        finally:
            self._moving = False

    def _carry(self, moved: widgets.ValueWidget) -> None:
        """Keep lambda1 >= lambda2: the one that is moved takes the other along."""
        large, small = self.controls["lambda1"], self.controls["lambda2"]
        if moved is large:
            small.value = min(small.value, large.value)
        elif moved is small:
            large.value = max(small.value, large.value)

    def _draw(self, sentence: str) -> None:
        self._image.value = style.png(self.figure)
        self.say(sentence)

    def __repr__(self) -> str:
        values = (repr(round(v, 4) if isinstance(v, float) else v) for v in self.state.values())
        return f"{type(self).__name__}({', '.join(map('='.join, zip(self.state, values, strict=True)))})"

    def _repr_mimebundle_(self, **kwargs: object) -> dict[str, object]:
        """Add to the live view a picture and a text for readers without a kernel."""
        live = super()._repr_mimebundle_(**kwargs) or {}
        return {**live, "image/png": bytes(self._image.value), "text/plain": repr(self)}


def slider(kind: type, label: str, hint: str, low: float, high: float, step: float, value: float, **more: object):
    """Return a slider of the common width, with its unit in the label.

    Raises
    ------
    InputError
        If the value is outside the range.
    """
    if not low <= value <= high:
        raise InputError(f"{label} is {value:g}: it must be between {low:g} and {high:g}.")
    look_of = {"layout": widgets.Layout(width=f"{HALF}px"), "style": {"description_width": f"{LABEL}px"}}
    return kind(value=value, min=low, max=high, step=step, description=label, tooltip=hint, **look_of, **more)


def kernel_sliders(theta: float, lambda1: float, lambda2: float, **more: object) -> dict[str, widgets.FloatSlider]:
    """Return the sliders of a Gaussian kernel by name: theta, lambda1, lambda2 (see `kernels.covariance`)."""
    if lambda1 < lambda2:
        raise InputError(f"lambda1 is {lambda1:g} and lambda2 is {lambda2:g}: lambda1 must be the larger one.")
    angle, along, across = "angle of the long axis, from x, y down", "variance along the axis", "variance across it"
    real, variance = widgets.FloatSlider, {"readout_format": ".1f", **more}
    return {
        "theta": slider(real, "theta (rad)", angle, 0.0, 3.15, 0.05, theta % math.pi, readout_format=".2f", **more),
        "lambda1": slider(real, "lambda1 (px²)", along, 0.2, 8.0, 0.1, lambda1, **variance),
        "lambda2": slider(real, "lambda2 (px²)", across, 0.2, 8.0, 0.1, lambda2, **variance),
    }


def size_slider(size: int) -> widgets.IntSlider:
    """Return the slider of a kernel's side: odd numbers of pixels."""
    if size % 2 == 0:
        raise InputError(f"The size of a kernel is {size}: it must be odd, so that there is a centre pixel.")
    return slider(widgets.IntSlider, "kernel side (px)", "width and height", 3, LARGEST_KERNEL, 2, size)


def gaussian(state: Mapping[str, Any]) -> Kernel:
    """Return the kernel that sliders ask for; without a slider for its size, of the paper's 21 x 21 px."""
    cov = kernels.covariance(state["lambda1"], state["lambda2"], state["theta"])
    return kernels.gaussian_kernel(cov, state.get("size", kernels.TEST_SIZE))


def middle(hr: Images, side: int, scale: int) -> OtherImages:
    """Return the square in the middle of one picture, at most `side` px a side and a multiple of the scale.

    Raises
    ------
    InputError
        If its low-resolution picture, cropped to a multiple of the scale, would be smaller than the largest kernel.
    """
    (height, width), least = hr.shape[-2:], scale * (LARGEST_KERNEL + scale - 1)
    if len(hr) != 1 or min(height, width) < least:
        raise InputError(f"An explorer takes one picture of at least {least} x {least} px: this is {tuple(hr.shape)}.")
    return crop_to_multiple(centre_crop(hr, min(side, height, width), 1), scale)
