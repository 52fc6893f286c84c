"""The settings every training run has, and what follows from them: the learning rate, what is drawn, the precision."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Annotated, Literal

from mzsr_lib import fields
from mzsr_lib.fields import Count, NotNegative, Positive, Range, Scale, Share, Whole
from mzsr_lib.files import InputError
from mzsr_lib.imaging.degradation import DegradationPrior
from mzsr_lib.imaging.kernel_files import parse
from mzsr_lib.imaging.kernels import KernelPrior, OneKernel, Spacing
from mzsr_lib.mzsr import inputs
from mzsr_lib.runtime import Precision

Decay = Literal["halving", "cosine", "constant"]
KernelSize = Annotated[int, Range(1, 101)]


@dataclass(frozen=True)
class LoopConfig:
    """What any training run needs, whatever it learns.

    Attributes
    ----------
    steps
        Updates of the weights in the whole run.
    learning_rate
        Of Adam, at the start.
    decay
        ``"halving"`` every `halve_every` steps, ``"cosine"`` to the floor at the last step, or ``"constant"``.
    halve_every
        Steps between halvings.
    floor
        The rate never falls below this.
    warm_up
        Steps in which the rate rises from zero.
    clip
        Largest norm of the gradient; 0 leaves it as it is.
    ema
        Decay of the moving average of the weights that is validated and saved; 0 turns averaging off.
    patience
        Non-finite steps in a row after which the run is given up.
    log_every
        Steps between lines of the log.
    validate_every
        Steps between validations on held-out pictures.
    checkpoint_minutes
        Minutes between checkpoints.
    seed
        Everything random follows from it.
    """

    steps: Count = 1000
    learning_rate: Positive = 1e-4
    decay: Decay = "constant"
    halve_every: Count = 100_000
    floor: NotNegative = 0.0
    warm_up: Whole = 0
    clip: NotNegative = 0.0
    ema: Annotated[float, Range(0, 1, without=1)] = 0.0
    patience: Count = 5
    log_every: Count = 50
    validate_every: Count = 500
    checkpoint_minutes: NotNegative = 3.0
    seed: int = 0

    def __post_init__(self):
        fields.check(self)

    @staticmethod
    def may_change() -> set[str]:
        """Return the names of the settings that may be others when a run is continued: those of how it is run.

        What it learns from, the seed and all settings of `TrainConfig`, stays as it was.
        """
        return {field.name for field in dataclasses.fields(LoopConfig)} - {"seed"}

    def rate(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0."""
        warm = min(1.0, (step + 1) / self.warm_up) if self.warm_up else 1.0
        if self.decay == "halving":
            rate = self.learning_rate * 0.5 ** (step // self.halve_every)
        elif self.decay == "cosine":
            rate = self.floor + (self.learning_rate - self.floor) * (1 + math.cos(math.pi * step / self.steps)) / 2
        else:
            rate = self.learning_rate
        return warm * max(rate, min(self.floor, self.learning_rate))


@dataclass(frozen=True)
class TrainConfig(LoopConfig):
    """What both stages of training also need: the degradations they draw, and the network's input.

    Attributes
    ----------
    scales
        One or more of 2, 3 and 4; with several, each step (or task) draws one of them.
    kernel
        One kernel for everything, spelled as for ``mzsr degrade``, instead of the prior: that of a specialist. None
        for the prior.
    prior_low
        Smallest eigenvalue of the kernels, px^2.
    prior_high
        Largest eigenvalue of the kernels, px^2. None for 2.5 times the scale that is drawn.
    prior_spacing
        ``"linear"``, the paper's, or ``"log"``; see `kernels.KernelPrior`.
    kernel_size
        Pixels a side of the kernels, odd.
    bicubic_share
        Share of the degradations that are sampled with the antialiased bicubic.
    plain_share
        Share, among these, without any blur before it.
    network_input
        ``"bicubic"``, the paper's, or ``"restored"``, with the known kernel; see `inputs`.
    mu
        Trust in the prior of the restoration; see `restoration.restore`.
    next_mu
        The same for the passes after the first.
    passes
        How often the network runs over a picture; more than once only with a restored input.
    precision
        ``"float32"`` or ``"bfloat16"`` for the convolutions; weights and sums stay in float32.
    """

    scales: tuple[Scale, ...] = (2,)
    kernel: str | None = None
    prior_low: Positive = 1.0
    prior_high: Positive | None = None
    prior_spacing: Spacing = "linear"
    kernel_size: KernelSize = 15
    bicubic_share: Share = 0.0
    plain_share: Share = 0.0
    network_input: inputs.Enlarged = "bicubic"
    mu: inputs.Trust = inputs.Restored.mu
    next_mu: inputs.Trust = inputs.Restored.next_mu
    passes: inputs.Passes = 1
    precision: Precision = "float32"

    def __post_init__(self):
        super().__post_init__()
        if not self.scales or len(set(self.scales)) < len(self.scales):
            raise InputError(f"The scales are {list(self.scales)}: give one or more of 2, 3 and 4, each once.")
        self.degradations()
        self.upscaler()

    def degradations(self) -> tuple[DegradationPrior, ...]:
        """Return the distributions of degradations that these settings describe, one for each scale."""
        return tuple(self._degradations(scale) for scale in self.scales)

    def _degradations(self, scale: int) -> DegradationPrior:
        if self.kernel is not None:
            setting = parse(self.kernel)
            return DegradationPrior(scale, OneKernel(setting.kernel), float(setting.mode == "bicubic"))
        high = 2.5 * scale if self.prior_high is None else self.prior_high
        kernels = KernelPrior(self.prior_low, high, self.kernel_size, self.prior_spacing)
        return DegradationPrior(scale, kernels, self.bicubic_share, self.plain_share)

    def upscaler(self) -> inputs.Upscaler:
        """Return what makes the network's input."""
        return inputs.named(self.network_input, self.mu, self.next_mu, self.passes)
