"""Every method behind one signature, ``method(lr, degradation) -> sr``, and how each kind is built."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from tqdm import tqdm

from mzsr_lib import fields
from mzsr_lib.files import InputError
from mzsr_lib.imaging import images, resize, restoration
from mzsr_lib.imaging.degradation import Degradation
from mzsr_lib.imaging.images import check_scale
from mzsr_lib.methods import catalogue, classical, self_ensemble, zero_shot
from mzsr_lib.methods.catalogue import ENTRIES, METHODS, PLAIN, Choice, Entry, entry_of
from mzsr_lib.methods.zero_shot import ZeroShotConfig
from mzsr_lib.models import weights
from mzsr_lib.models.registry import CLASSES, PAPER, kind_of
from mzsr_lib.mzsr import inputs
from mzsr_lib.mzsr.adaptation import Params, adapt, starting_point, super_resolve
from mzsr_lib.runtime import fast_precision
from mzsr_lib.shapes import Images, OtherImages, OtherPlanes, Planes

# Trust of the agreement in the network's picture against the low-resolution one, chosen by benchmarks/agreement.py on
# eight held-out photographs and the paper's five kernels. PSNR (dB), the mean of one and ten updates and of the blind
# network: without 31.00, mu 1e-4 31.81, 3e-4 31.85, 1e-3 31.84, 3e-3 31.78, 1e-2 31.66, 1e-1 31.37. Without noise the
# first three are equal; with that of one grey level (0.004) 1e-3 is 0.35 dB above 3e-4 and above none, too.
AGREEMENT_MU = 1e-3


class Stop(NamedTuple):
    """Where a method may end: the updates taken so far, and what makes the picture that they lead to."""

    taken: int
    picture: Callable[[], OtherImages]


# From a low-resolution picture, its camera and rising numbers of updates to a stop after each of these numbers.
Course = Callable[[Images, Degradation, Sequence[int]], Iterator[Stop]]


@dataclass(frozen=True)
class Options:
    """What a method is built with, beside its updates.

    Attributes
    ----------
    weights
        A shipped name or a file; by default the shipped weights of the method for the scale.
    device
        Where the network is put.
    scale
        2, 3 or 4; must be one the weights were trained for. 1, a blur alone, is for methods without.
    precision
        Of the convolutions of trained networks, one of `runtime.PRECISIONS`; ``"auto"`` is `runtime.fast_precision`.
    seed
        For the random start and crops of zssr.
    progress
        Show a bar for the updates on one picture.
    ensemble
        For methods that tell their network the kernel (mzsr-plus, unfolded, photo): average over turned pictures, 2
        for direct sampling and 8 for bicubic, which takes so many times longer; zssr does so always.
    """

    weights: str | Path | None = None
    device: torch.device | str = "cpu"
    scale: int = 2
    precision: Literal["auto", "float32", "bfloat16"] = "float32"
    seed: int = 0
    progress: bool = False
    ensemble: bool = False

    def __post_init__(self):
        check_scale(self.scale, least=1)
        fields.check(self)


@dataclass(frozen=True)
class Method:
    """A way to super-resolve, ready to be called with (lr, degradation).

    Attributes
    ----------
    name
        Such as ``mzsr``; see `catalogue.METHODS`.
    course
        What it does, see `Course`: several numbers of updates are taken on one way. Methods that have the same one
        differ in where they stop, and in the agreement.
    steps
        Gradient updates at test time, at most: zssr may stop before.
    agree
        Whether the picture is made to agree with the low-resolution one at the end.
    weights
        Name of the weights, or an empty string.
    precision
        In which its convolutions are computed.
    options
        What it was built with.
    """

    name: str
    course: Course
    steps: int = 0
    agree: bool = False
    weights: str = ""
    precision: str = "float32"
    options: Options = field(default_factory=Options)

    def __call__(self, lr: Images, degradation: Degradation) -> OtherImages:
        """Return the super-resolved picture (1, 3, scale * h, scale * w) of (1, 3, h, w)."""
        return self.run(lr, degradation.to(lr.device))[0]

    @property
    def follows_sampling(self) -> bool:
        """Whether its picture is in register with the sampling, and not with an ordinary enlargement."""
        return self.agree or self.name not in METHODS or not ENTRIES[self.name].centred

    def enlarge(self, planes: Planes, degradation: Degradation) -> OtherPlanes:
        """Enlarge with a plain cubic, in register with its pictures: what goes along with colours."""
        if self.follows_sampling:
            return restoration.enlarge(planes, degradation)
        return resize.upscale(planes, degradation.scale)

    def run(self, lr: Images, degradation: Degradation) -> tuple[OtherImages, int]:
        """Return the picture, and the updates taken; the kernel lies on the device of the picture."""
        *_, stop = self.course(lr, degradation, (self.steps,))
        return self.ended(stop.picture(), lr, degradation), stop.taken

    def ended(self, sr: OtherImages, lr: Images, degradation: Degradation) -> OtherImages:
        """Return what the method makes of the picture of a stop: the same, or one that agrees with `lr`."""
        return agreed(sr, lr, degradation) if self.agree else sr


class NoWeights(InputError):
    """No weights of a method are shipped for a scale."""


def at_once(function: Callable[[Images, Degradation], OtherImages]) -> Course:
    """Return the course of a method that makes no updates."""

    def course(lr: Images, degradation: Degradation, counts: Sequence[int]) -> Iterator[Stop]:
        return (Stop(0, partial(function, lr, degradation)) for _ in counts)

    return course


def along(start: Params, updates: Iterator[Params], counts: Sequence[int]) -> Iterator[tuple[int, Params]]:
    """Yield the updates taken and the parameters after each of some rising numbers of updates.

    Updates may end before the last number is reached; from then on nothing changes. None is taken before it is needed.
    """
    taken, params, numbered = 0, start, enumerate(updates, 1)
    for count in counts:
        for update in itertools.islice(numbered, count - taken):
            taken, params = update
        yield taken, params


def _classical(choice: Choice, options: Options) -> Method:
    """Return a method of `classical`, which has its name."""
    if options.scale == 1 and not entry_of(choice.method).needs_kernel:
        raise NoWeights(_blur_alone(choice.method))
    return Method(choice.method, at_once(getattr(classical, choice.method)))


def _zero_shot(choice: Choice, options: Options) -> Method:
    """Return ZSSR, which learns from every picture anew."""

    def course(lr: Images, degradation: Degradation, counts: Sequence[int]) -> Iterator[Stop]:
        config = ZeroShotConfig(steps=counts[-1], seed=options.seed)
        network = zero_shot.start(config, lr.device)
        updates = zero_shot.learn(network, lr, degradation, config)
        with tqdm(updates, choice.method, config.steps, **_bar(options.progress)) as bar:
            for taken, params in along(starting_point(network), (update.params for update in bar), counts):
                yield Stop(taken, partial(zero_shot.finish, network, params, lr, degradation, config))

    return Method(choice.method, course)


def _trained(choice: Choice, options: Options) -> Method:
    """Return a method that starts from weights, and adapts them when there are steps."""
    loaded = _load(entry_of(choice.method), options)
    network, start, upscaler = loaded.network, starting_point(loaded.network), loaded.upscaler
    rule = None if choice.method == PLAIN else loaded.rule

    def updates(lr: Images, degradation: Degradation, steps: int) -> Iterator[Params]:
        # A generator: without updates there is nothing to learn from, no LR-son is made, no picture too small for one.
        for params, _ in adapt(network, start, lr, degradation, steps, rule, upscaler):
            yield params

    def picture(lr: Images, degradation: Degradation, params: Params) -> OtherImages:
        if options.ensemble:
            views = self_ensemble.samplings(degradation)
            return self_ensemble.ensemble(network, params, lr, degradation, views, upscaler)
        return super_resolve(network, params, lr, degradation, upscaler)

    def course(lr: Images, degradation: Degradation, counts: Sequence[int]) -> Iterator[Stop]:
        steps = counts[-1]
        with tqdm(updates(lr, degradation, steps), choice.method, steps, **_bar(options.progress and steps)) as bar:
            for taken, params in along(start, iter(bar), counts):
                yield Stop(taken, partial(picture, lr, degradation, params))

    entry = entry_of(choice.method)
    # A restored input is in register whatever the kernel, and what was trained on plain bicubic pairs knows no other.
    whole = recentred(course) if entry.prior and entry.takes == "bicubic" else course
    return Method(choice.method, whole, weights=loaded.name, precision=network.precision)


def recentred(course: Course) -> Course:
    """Return the course of a network that was trained with centred kernels, for kernels whose mass lies off the centre.

    It is told the centred kernel, and its picture is moved back by as much: see `Degradation.centred`. PSNR (dB), ten
    updates on the middle of four pictures of Set5, degraded with kernels as KernelGAN makes them: x4 25.92 as they are,
    28.03 recentred, 28.02 with the same kernel centred from the beginning; x2 36.18, 36.17, 36.10.
    """

    def moved(stop: Stop, offset: tuple[float, float]) -> Stop:
        return Stop(stop.taken, lambda: resize.shift(stop.picture(), *offset).clamp(0, 1))

    def around(lr: Images, degradation: Degradation, counts: Sequence[int]) -> Iterator[Stop]:
        offset = degradation.offset
        for stop in course(lr, degradation.centred(), counts):
            yield moved(stop, offset) if any(offset) else stop

    return around


def _bar(shown: object) -> dict[str, Any]:
    return {"unit": "update", "leave": False, "disable": None if shown else True}


MAKERS = {"classical": _classical, "zero-shot": _zero_shot, "trained": _trained}


def _load(entry: Entry, options: Options) -> weights.Weights:
    """Return the weights that were asked for, or the shipped ones, if they fit the method and the scale."""
    name, scale = entry.name, options.scale
    chosen = options.weights or weights.default(name, scale)
    if chosen is None:
        if scale == 1:
            raise NoWeights(_blur_alone(name))
        scales = [str(other) for other in (2, 3, 4) if weights.default(name, other)]
        there = f"only for {' and '.join(scales)}" if scales else "nor for another"
        others = [other for other in METHODS if weights.default(other, scale)] + _untrained()
        raise NoWeights(
            f"No weights for {name} at scale {scale} are shipped ({there}): give a file as weights, or take another "
            f"method ({', '.join(others)})."
        )
    wanted = options.precision
    precision = fast_precision(torch.device(options.device)) if wanted == "auto" else wanted
    loaded = weights.load(chosen, options.device, precision)
    if scale not in loaded.scales:
        found = " and ".join(map(str, loaded.scales))
        raise InputError(f"The weights '{loaded.name}' are for scale {found}, not {scale}: choose others.")
    kind = _kind(loaded)
    if kind != entry.takes:
        what = f"those of {kind}" if kind in CLASSES else f"trained for a {kind} input"
        fitting, own = catalogue.names(lambda other: other.takes == kind), loaded.provenance.get("method")
        able = own if own in fitting else " or ".join(fitting)
        raise InputError(f"The weights '{loaded.name}' are {what}, not for {name}: take the method {able}.")
    return loaded


def _untrained() -> list[str]:
    """Return the methods that are told the kernel and need no weights."""
    return catalogue.names(lambda entry: entry.needs_kernel and entry.kind in ("classical", "zero-shot"))


def _blur_alone(name: str) -> str:
    return (
        f"{name} enlarges, and at scale 1 there is a blur alone to undo: take --method {' or '.join(_untrained())}, "
        "and tell the blur, such as --kernel 2.0,2.0,0."
    )


def _kind(loaded: weights.Weights) -> str:
    architecture = kind_of(loaded.network.settings)
    if architecture != PAPER:
        return architecture
    return str(inputs.described(loaded.upscaler)["kind"])


def build(method: str | Choice, options: Options | None = None) -> Method:
    """Return a method.

    Parameters
    ----------
    method
        ``nearest``, ``bilinear``, ``bicubic``, ``aligned`` (bicubic in register with direct sampling),
        ``landweber`` and ``tikhonov``: see `classical`. Networks that are told no kernel: ``pretrained``, the one
        of stage 1, ``blind``, trained on many kernels, ``carn`` and ``rcan``. ``mzsr``, adapted to the picture by
        updates with a learned step; ``mzsr-plain``, the same with plain steps; ``mzsr-plus``, with a kernel-aware
        input; ``zssr``, from random weights. Updates and agreement are said as `catalogue.parse` reads them.
    options
        By default the shipped weights, scale 2, on the CPU.

    Raises
    ------
    InputError
        If the method cannot be, the weights have another scale or input, or weights or an ensemble are given to a
        method that has none.
    """
    choice, options = method if isinstance(method, Choice) else catalogue.parse(method), options or Options()
    if options.ensemble and not entry_of(choice.method).told_kernel:
        able = ", ".join(catalogue.names(lambda entry: entry.told_kernel))
        raise InputError(f"An ensemble is an option of {able}, not of {choice.method}: leave it out.")
    if options.weights is not None and not entry_of(choice.method).takes:
        able = ", ".join(catalogue.names(lambda entry: entry.takes))
        raise InputError(f"Weights are for {able}, and {choice.method} has none: leave them out, or name the method.")
    made = MAKERS[entry_of(choice.method).kind](choice, options)
    return replace(made, steps=choice.steps, agree=choice.agree, options=options)


def agreed(sr: OtherImages, lr: Images, degradation: Degradation, mu: float = AGREEMENT_MU) -> OtherImages:
    """Return the picture nearest to that of a method that agrees with the low-resolution one.

    This is data consistency, or back-projection, in closed form.
    It tells the kernel to anybody: a network that was never told one gains by it too. Noise is part of what it agrees
    with: a blind network gains 1.8 dB by it without noise, 1.0 with a standard deviation of 0.004, and loses 1.3 with
    0.01 (held-out photographs, g2.0d and g1.3b).

    Parameters
    ----------
    sr
        The method's picture (1, 3, scale * h, scale * w).
    lr
        (1, 3, h, w).
    degradation
        What made it.
    mu
        Trust in the method's picture; see `restoration.restore`.
    """
    return images.clip(restoration.restore(lr, degradation, mu, sr))


def build_all(
    chosen: Sequence[Choice], options: Options | None = None, say: Callable[[str], None] | None = None
) -> list[Method]:
    """Return several methods of one scale; those of one name have the same weights in memory and the same course.

    Parameters
    ----------
    chosen
        See `catalogue.choices`.
    options
        Weights are those of the one method that takes any.
    say
        Is told why a method is left out that has no weights for the scale; by default it is not left out.

    Raises
    ------
    InputError
        If a method cannot be built, weights are given for two methods, or nothing is left.
    """
    options = options or Options()
    weighted = list(dict.fromkeys(choice.method for choice in chosen if entry_of(choice.method).takes))
    if options.weights is not None and len(weighted) != 1:
        found, able = " and ".join(weighted) or "none", ", ".join(catalogue.names(lambda entry: entry.takes))
        raise InputError(f"Weights are for one method ({able}), and here is {found}: take them one by one.")
    made: dict[str, Method] = {}
    reasons: dict[str, str] = {}
    for choice in {choice.method: choice for choice in chosen}.values():
        own = options if entry_of(choice.method).takes else replace(options, weights=None)
        try:
            made[choice.method] = build(choice, own)
        except NoWeights as error:
            if say is None:
                raise
            reasons[choice.method] = str(error)
    built = [
        replace(made[choice.method], steps=choice.steps, agree=choice.agree)
        for choice in chosen
        if choice.method in made
    ]
    if not built:
        alone = f"No method is left for scale {options.scale}: choose others."
        raise InputError(*reasons.values() if len(reasons) == 1 else [alone])
    if say is not None:
        for name, reason in reasons.items():
            say(f"{name} is left out: {reason}")
    return built


def sweep(texts: Sequence[str], options: Sequence[Options], say: Callable[[str], None]) -> list[Method]:
    """Return the methods that texts name, by default `catalogue.standard`, once with each of the options (scales)."""
    chosen = catalogue.choices(texts) if texts else catalogue.standard()
    return [method for each in options for method in build_all(chosen, each, say)]


def doubt(method: Method, degradation: Degradation) -> str | None:
    """Say in one sentence why a kernel is outside what weights were trained for, or return None."""
    if method.name not in METHODS or not ENTRIES[method.name].prior:
        return None
    return weights.doubt(weights.read_provenance(weights.locate(method.weights)), degradation.centred())
