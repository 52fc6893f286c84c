"""The three explorers of the tutorial: what a kernel looks like, what it does to a picture, how MZSR adapts to it."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ipywidgets as widgets

from mzsr_lib.drawing import style
from mzsr_lib.drawing.style import GAP
from mzsr_lib.imaging.degradation import MODES, Degradation, blur
from mzsr_lib.imaging.kernels import Mode
from mzsr_lib.imaging.metrics import protocol_psnr
from mzsr_lib.imaging.resize import upscale
from mzsr_lib.imaging.restoration import enlarge
from mzsr_lib.lessons import sliders
from mzsr_lib.lessons.live import BELOW, FIVE, LARGEST_KERNEL, Curve, FivePanels, KernelPanel, Panel, five_panels
from mzsr_lib.lessons.sliders import Explorer, gaussian, kernel_sliders, middle, size_slider, slider
from mzsr_lib.methods.catalogue import ENTRIES
from mzsr_lib.models import weights
from mzsr_lib.mzsr.adaptation import adapt, starting_point, super_resolve
from mzsr_lib.runtime import generator_for
from mzsr_lib.shapes import Images, OtherImages

SCALE = 2
MOST_UPDATES, KEPT = 10, 12  # gradient steps; kernels whose results are kept
SIDE, LARGE = 126, 252  # px: side of the first explorer's picture, and of its panels
SMALL_SIDE = 96  # px: side of the picture of the other two


class KernelExplorer(Explorer):
    """Kernel -> blurred picture -> low-resolution picture (direct sampling, scale 2), live.

    Parameters
    ----------
    hr
        (1, 3, H, W) in [0, 1], at least 44 px a side; of a larger one the middle 126 x 126 px are taken.
    theta, lambda1, lambda2
        Where the sliders start, see `kernels.covariance`: radians, px^2, px^2; lambda1 >= lambda2.
    size
        Odd side of the kernel, 3 to 21 px.

    Attributes
    ----------
    kernel, degradation
        What the sliders ask for now.
    blurred, lr
        The picture blurred by the kernel, and every second pixel of that, rounded to 8 bits.
    """

    def __init__(self, hr: Images, theta: float = 0.8, lambda1: float = 4.0, lambda2: float = 1.0, size: int = 15):
        self.hr = middle(hr, SIDE, SCALE)
        figure = style.sheet(3 * LARGE + 4 * GAP, GAP + LARGE + BELOW)
        boxes = [(GAP + i * (LARGE + GAP), GAP, LARGE, LARGE) for i in range(3)]
        titles = ("blurred", "low resolution")
        self._panels = KernelPanel(figure, boxes[0]), *map(Panel, [figure] * 2, boxes[1:], titles)
        super().__init__({**kernel_sliders(theta, lambda1, lambda2), "size": size_slider(size)}, figure)

    def update(self) -> str:
        """Blur, subsample and draw."""
        state, (kernel, blurred, small) = self.state, self._panels
        self.degradation = Degradation(gaussian(state), SCALE)
        self.blurred: OtherImages = blur(self.hr, self.kernel)
        self.lr: OtherImages = self.degradation(self.hr)
        kernel.show_kernel(self.kernel, state, "ellipses: 1 and 2 standard deviations")
        blurred.show(self.blurred, _size(self.blurred))
        small.show(self.lr, f"{_size(self.lr)}, every second pixel")
        along, across = state["lambda1"] ** 0.5, state["lambda2"] ** 0.5
        return (
            f"Standard deviation {along:.2f} px along the axis and {across:.2f} px across. "
            f"The {state['size']} x {state['size']} px hold {100 * _share(state):.1f} % of the Gaussian."
        )


class DegradationExplorer(Explorer):
    """Kernel, sampling and noise -> low-resolution picture -> two ways to enlarge it, with their PSNR, live.

    Parameters
    ----------
    hr
        (1, 3, H, W) in [0, 1], at least 44 px a side; of a larger one the middle 96 x 96 px are taken.
    theta, lambda1, lambda2, size
        Where the sliders start, as in `KernelExplorer`.
    mode
        ``"direct"`` or ``"bicubic"`` sampling.
    noise
        Standard deviation, 0 to 0.1, where white is 1. It is drawn with a fixed seed.

    Attributes
    ----------
    kernel, degradation
        What the sliders ask for now.
    lr, bicubic, aligned
        The low-resolution picture, enlarged by `resize.upscale` and by `restoration.enlarge`.
    psnr
        By name, ``"bicubic"`` and ``"aligned"``, in dB (`metrics.protocol_psnr`).
    """

    def __init__(
        self,
        hr: Images,
        theta: float = 0.8,
        lambda1: float = 4.0,
        lambda2: float = 1.0,
        size: int = 15,
        mode: Mode = "direct",
        noise: float = 0.0,
    ):
        self.hr = middle(hr, SMALL_SIDE, SCALE)
        figure = style.sheet(*FIVE)
        self._panels = five_panels(figure, "phase-aligned")
        description = {"description_width": f"{sliders.LABEL}px"}
        choice = widgets.Dropdown(options=MODES, value=mode, description="sampling", style=description)
        choice.layout.width = f"{sliders.HALF}px"
        hint = "standard deviation, where white is 1"
        grain = slider(widgets.FloatSlider, "noise (white = 1)", hint, 0.0, 0.1, 0.005, noise, readout_format=".3f")
        controls = {**kernel_sliders(theta, lambda1, lambda2), "size": size_slider(size)}
        super().__init__({**controls, "mode": choice, "noise": grain}, figure)

    def update(self) -> str:
        """Degrade, enlarge and draw."""
        state = self.state
        self.degradation = Degradation(gaussian(state), SCALE, state["mode"], state["noise"])
        self.lr: OtherImages = self.degradation(self.hr, generator_for(0, "noise"))
        self.bicubic, self.aligned = upscale(self.lr, SCALE), enlarge(self.lr, self.degradation)
        bicubic, aligned = (protocol_psnr(sr, self.hr, SCALE) for sr in (self.bicubic, self.aligned))
        self.psnr = {"bicubic": bicubic, "aligned": aligned}
        _show(self._panels, self, self.aligned, aligned)
        if state["mode"] == "bicubic":
            return "Bicubic sampling keeps the picture's middle in place: both ways to enlarge are the same."
        return f"Direct sampling starts at pixel 0. Enlarged in register with that: {aligned - bicubic:+.2f} dB."


class AdaptationExplorer(Explorer):
    """Kernel and number of updates -> what MZSR makes of the picture; the network runs when a slider is released.

    Parameters
    ----------
    hr
        (1, 3, H, W) in [0, 1], at least 44 px a side; of a larger one the middle 96 x 96 px are taken.
    weights_name
        The starting point: shipped weights, or a file.
    theta, lambda1, lambda2
        Where the sliders start, as in `KernelExplorer`. The kernel has 21 x 21 px; sampling is direct.
    updates
        0 to 10 gradient steps.

    Attributes
    ----------
    kernel, degradation
        What the sliders ask for now.
    lr, bicubic, sr
        The low-resolution picture, enlarged by plain bicubic, and by the network after the updates.
    psnr
        By name, ``"bicubic"`` and ``"mzsr"``, in dB (`metrics.protocol_psnr`).
    scores
        PSNR in dB after 0, 1, 2, ... updates, as far as they were taken for this kernel.
    """

    def __init__(
        self,
        hr: Images,
        weights_name: str | Path = "mzsr-x2",
        theta: float = 0.8,
        lambda1: float = 4.0,
        lambda2: float = 1.0,
        updates: int = 1,
    ):
        self._weights = weights.load(weights_name)
        self._scale = self._weights.scales[0]
        self.hr = middle(hr, SMALL_SIDE, self._scale)
        self._runs: dict[tuple[float, ...], _Run] = {}
        self._name = ENTRIES[self._weights.provenance.get("method", "mzsr")].title
        figure = style.sheet(FIVE[0], FIVE[1] + Curve.HEIGHT)
        self._panels, self._curve = five_panels(figure, self._name), Curve(figure, MOST_UPDATES, self._name)
        late, hint = {"continuous_update": False}, "gradient steps on this one picture"
        count = slider(widgets.IntSlider, "updates", hint, 0, MOST_UPDATES, 1, updates, **late)
        super().__init__({**kernel_sliders(theta, lambda1, lambda2, **late), "updates": count}, figure)

    def update(self) -> str:
        """Degrade, adapt as far as asked for, and draw; updates already taken for this kernel are not repeated."""
        updates = self.state["updates"]
        self.degradation = Degradation(gaussian(self.state), self._scale)
        run = self._run()
        while len(run.pictures) <= updates:
            self.say(f"computing update {len(run.pictures)} of {updates} ..." if run.pictures else "computing ...")
            run.advance()
        self.lr, self.bicubic, self.sr, self.scores = run.lr, run.bicubic, run.pictures[updates], run.scores
        bicubic = protocol_psnr(self.bicubic, self.hr, self._scale)
        self.psnr = {"bicubic": bicubic, "mzsr": self.scores[updates]}
        many = f"{updates} update{'s' * (updates != 1)}"
        self._panels[-1].title.set_text(f"{self._name}, {many}")
        _show(self._panels, self, self.sr, self.psnr["mzsr"])
        self._curve.show(bicubic, self.scores, updates)
        doubt = weights.doubt(self._weights.provenance, self.degradation) or ""
        return f"After {many}, {self.psnr['mzsr'] - bicubic:+.2f} dB against bicubic. {doubt}".strip()

    def _run(self) -> "_Run":
        """Return what was computed for the kernel of the sliders, or begin it."""
        key = tuple(self.state[name] for name in ("theta", "lambda1", "lambda2"))
        if key not in self._runs or self._runs[key].broken:
            self._runs[key] = _Run(self.hr, self.degradation, self._weights)
            self._runs = dict(list(self._runs.items())[-KEPT:])
        return self._runs[key]


class _Run:
    """The adaptation to one picture, taken as far as it was asked for; every step's picture and PSNR are kept."""

    def __init__(self, hr: Images, degradation: Degradation, loaded: weights.Weights):
        self.lr = degradation(hr)
        self.bicubic = upscale(self.lr, degradation.scale)
        self.pictures: list[OtherImages] = []
        self.scores: list[float] = []
        self.broken = False
        self._steps = self._take(hr, degradation, loaded)

    def _take(self, hr: Images, degradation: Degradation, loaded: weights.Weights) -> Iterator[None]:
        network, start, upscaler = loaded.network, starting_point(loaded.network), loaded.upscaler
        updates = adapt(network, start, self.lr, degradation, MOST_UPDATES, loaded.rule, upscaler)
        for params in itertools.chain([start], (adapted for adapted, _ in updates)):
            self.pictures.append(super_resolve(network, params, self.lr, degradation, upscaler))
            self.scores.append(protocol_psnr(self.pictures[-1], hr, degradation.scale))
            yield

    def advance(self) -> None:
        """Take one more update; the first call takes the starting point as it is."""
        self.broken = True  # until it is done: an error or an interruption ends the generator
        next(self._steps)
        self.broken = False


def _show(
    panels: FivePanels, shown: DegradationExplorer | AdaptationExplorer, result: OtherImages, psnr: float
) -> None:
    """Draw an explorer's pictures into its five panels."""
    original, kernel, lr, bicubic, last = panels
    original.show(shown.hr, _size(shown.hr))
    kernel.show_kernel(shown.kernel, shown.state)
    lr.show(shown.lr, _size(shown.lr))
    bicubic.show(shown.bicubic, f"{shown.psnr['bicubic']:.2f} dB")
    last.show(result, f"{psnr:.2f} dB")


def _size(picture: Images) -> str:
    return f"{picture.shape[-1]} x {picture.shape[-2]} px"


def _share(state: dict[str, Any]) -> float:
    """Return the share of a Gaussian that lies inside its window."""
    whole = gaussian({**state, "size": 3 * LARGEST_KERNEL})
    edge = (len(whole) - state["size"]) // 2
    return float(whole[edge:-edge, edge:-edge].sum())
