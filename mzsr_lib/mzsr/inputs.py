"""What the network is given: a bicubic picture, as in the paper, one restored with the known kernel, or the LR one."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Annotated, Literal, Protocol, get_args, runtime_checkable

from mzsr_lib import fields
from mzsr_lib.fields import NotNegative, Positive, Range
from mzsr_lib.files import InputError
from mzsr_lib.imaging import resize, restoration
from mzsr_lib.imaging.degradation import Degradation
from mzsr_lib.shapes import Images, OtherImages

Trust = Positive
Passes = Annotated[int, Range(1, 100)]


@runtime_checkable
class Upscaler(Protocol):
    """Makes the network's input from the low-resolution picture (B, 3, h, w), mostly (B, 3, scale * h, scale * w)."""

    @property
    def passes(self) -> int:
        """How often the network runs; from the second time on, its last output goes into its input."""
        ...

    def __call__(self, lr: Images, degradation: Degradation, sr: OtherImages | None = None) -> OtherImages:
        """Return the input: of the first pass, or of the pass after the one that returned `sr`."""
        ...

    def finish(self, lr: Images, degradation: Degradation, sr: OtherImages) -> OtherImages:
        """Return the result, of the last output `sr`."""
        ...


@dataclass(frozen=True)
class Bicubic:
    """The paper's input: the low-resolution picture enlarged with plain bicubic, whatever the kernel."""

    passes = 1  # no field: the network's output cannot enter this input

    def __call__(self, lr: Images, degradation: Degradation, sr: OtherImages | None = None) -> OtherImages:
        """Return ``resize.upscale(lr, scale)``."""
        return resize.upscale(lr, degradation.scale)

    def finish(self, lr: Images, degradation: Degradation, sr: OtherImages) -> OtherImages:
        """Return the output as it is."""
        return sr


@dataclass(frozen=True)
class Restored:
    """The kernel-aware input: the closed-form restoration, see `restoration.restore`.

    Attributes
    ----------
    mu
        Trust in the prior of the restoration, which is the enlarged picture.
    next_mu
        The same for the passes after the first, whose prior is the network's last output.
    passes
        How often the network runs, with the same weights.
    final_mu
        The same once more after the last pass, so that the result agrees with the low-resolution picture
        (a back-projection in closed form); 0 leaves the last output as it is.
    """

    mu: Trust = restoration.MU
    next_mu: Trust = 2e-3
    passes: Passes = 1
    final_mu: NotNegative = 0.0

    def __post_init__(self):
        fields.check(self)

    def __call__(self, lr: Images, degradation: Degradation, sr: OtherImages | None = None) -> OtherImages:
        """Return the restored picture."""
        return restoration.restore(lr, degradation, self.mu if sr is None else self.next_mu, sr)

    def finish(self, lr: Images, degradation: Degradation, sr: OtherImages) -> OtherImages:
        """Return the output, brought into agreement with the low-resolution picture."""
        return restoration.restore(lr, degradation, self.final_mu, sr) if self.final_mu else sr


@dataclass(frozen=True)
class Unchanged:
    """No enlargement: the network takes the low-resolution picture itself, and enlarges it."""

    passes = 1  # no field: the network's output is larger than its input

    def __call__(self, lr: Images, degradation: Degradation, sr: OtherImages | None = None) -> OtherImages:
        """Return the low-resolution picture."""
        return lr

    def finish(self, lr: Images, degradation: Degradation, sr: OtherImages) -> OtherImages:
        """Return the output as it is."""
        return sr


bicubic_input = Bicubic()
unchanged_input = Unchanged()


def run_passes(
    run: Callable[[OtherImages], OtherImages], lr: Images, degradation: Degradation, upscaler: Upscaler
) -> Iterator[tuple[OtherImages, OtherImages]]:
    """Yield (input, output) of every pass of a network, ``run``, over low-resolution pictures."""
    sr = None
    for _ in range(upscaler.passes):
        inputs = upscaler(lr, degradation, sr)
        sr = run(inputs)
        yield inputs, sr


Enlarged = Literal["bicubic", "restored"]
INPUTS = get_args(Enlarged)
NONE = "none"


def named(
    kind: str,
    mu: Trust = Restored.mu,
    next_mu: Trust = Restored.next_mu,
    passes: Passes = Restored.passes,
    final_mu: NotNegative = Restored.final_mu,
) -> Upscaler:
    """Return the upscaler of a kind, as weights files name it: ``"bicubic"``, ``"restored"`` or ``"none"``.

    The last is for the networks that enlarge the picture themselves.

    Raises
    ------
    InputError
        If the kind is unknown, or a bicubic input should take several passes: it would be the same each time.
    """
    if kind == NONE:
        return unchanged_input
    if kind not in INPUTS:
        raise InputError(f"There is no network input '{kind}': choose {' or '.join(INPUTS)}.")
    if kind == "restored":
        return Restored(mu, next_mu, passes, final_mu)
    if passes != 1:
        raise InputError(f"A bicubic input takes one pass, not {passes}: the network's output cannot enter it.")
    return bicubic_input


def described(upscaler: Upscaler) -> dict[str, object]:
    """Return the arguments with which `named` gives this upscaler: what a weights file keeps."""
    if isinstance(upscaler, Restored):
        return {"kind": "restored", **asdict(upscaler)}
    return {"kind": NONE if isinstance(upscaler, Unchanged) else "bicubic"}
