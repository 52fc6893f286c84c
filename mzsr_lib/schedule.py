"""The settings every training run has, and the learning rate that follows from them."""

import math
from dataclasses import dataclass

from mzsr_lib.files import InputError


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

    steps: int = 1000
    learning_rate: float = 1e-4
    decay: str = "constant"
    halve_every: int = 100_000
    floor: float = 0.0
    warm_up: int = 0
    clip: float = 0.0
    ema: float = 0.0
    patience: int = 5
    log_every: int = 50
    validate_every: int = 500
    checkpoint_minutes: float = 3.0
    seed: int = 0

    def __post_init__(self):
        if self.decay not in ("halving", "cosine", "constant"):
            raise InputError(f"There is no decay '{self.decay}': choose halving, cosine or constant.")
        if min(self.steps, self.halve_every, self.log_every, self.validate_every, self.patience) < 1:
            raise InputError("steps, halve_every, log_every, validate_every and patience must be at least 1.")
        if self.learning_rate <= 0 or not 0 <= self.ema < 1:
            raise InputError(f"The rate ({self.learning_rate}) must be positive and ema ({self.ema}) in [0, 1).")

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
