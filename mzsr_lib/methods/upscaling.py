"""One call from a picture and its kernel to the super-resolved picture: what ``mzsr upscale`` does."""

import math
import re
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from tqdm import tqdm

from mzsr_lib import fields
from mzsr_lib.files import InputError
from mzsr_lib.imaging import (
    estimation,
    images,
    kernel_files,
    picture_files,
    resize,
    restoration,
    tiling,
    transparency,
)
from mzsr_lib.imaging.decoding import MAX_PIXELS, check_pixels
from mzsr_lib.imaging.degradation import OFF_CENTRE, Degradation, from_setting, remarks
from mzsr_lib.imaging.kernel_files import Convention
from mzsr_lib.imaging.kernels import Mode, Setting
from mzsr_lib.imaging.picture_files import Picture
from mzsr_lib.methods import catalogue, guesses, registry
from mzsr_lib.methods.catalogue import Choice
from mzsr_lib.methods.registry import Method, Options
from mzsr_lib.runtime import Precision, pick_device
from mzsr_lib.shapes import Images, Kernel, OtherImages, OtherPlanes, Planes

ESTIMATE = "estimate"
KNOWN, UNKNOWN = "mzsr", "photo"  # the methods for a kernel that is known, and for one that is not
Register = Literal["sampling", "input"]
GivenKernel = str | Path | Setting | Kernel | np.ndarray | None

# A part of a picture that is timed when the whole is so many times as much work, or is learned from at length.
PART = 96
WORTH = 16
LONG = 60  # seconds from which on the time is said
_warn = partial(warnings.warn, stacklevel=3)  # at the line that calls `upscale`


def upscale(
    picture: str | Path | Picture | Images | np.ndarray,
    kernel: GivenKernel = None,
    scale: int = 2,
    method: str | None = None,
    steps: int | None = None,
    agree: bool | None = None,
    weights: str | Path | None = None,
    mode: Mode | None = None,
    ensemble: bool = False,
    seed: int = 0,
    device: torch.device | str = "auto",
    precision: Precision | Literal["auto"] = "auto",
    progress: bool = False,
    say: Callable[[str], None] = _warn,
    convention: Convention = "correlate",
    register: Register = "sampling",
    size: str | None = None,
    tile: int | None = None,
    max_pixels: int = MAX_PIXELS,
    noise: float | None = None,
) -> Picture | OtherImages | np.ndarray:
    """Return a picture `scale` times as large, with its blur undone.

    Parameters
    ----------
    picture
        A file, a `Picture`, a tensor (1, 3, h, w) in [0, 1], or an array (h, w, 3) or (h, w) of 8-bit integers or of
        numbers in [0, 1].
    kernel
        The blur on the high-resolution grid: what `kernel_files.parse` reads, such as ``"g2.0d"`` or
        ``"4.0,1.0,-0.5"``; ``"estimate"``, a Gaussian that fits the picture; or a kernel (k, k). It may be left out
        for a method that is told none, and for photo, which then estimates it.
    scale
        2, 3 or 4; 1 undoes a blur alone, by methods without trained weights.
    method
        What `catalogue.parse` reads, such as ``"mzsr"`` or ``"mzsr:1"``; by default mzsr when the kernel is known, and
        photo when it is not.
    steps
        Gradient updates on the picture, by default the method's own: 10 for mzsr, 0 for mzsr-plus.
    agree
        Whether to end with `registry.agreed`; by default where the method can, if the kernel is known and not
        estimated.
    weights
        A shipped name or a file, by default the shipped weights of the method for the scale.
    mode
        ``"direct"`` or ``"bicubic"``: how pixels are dropped after the blur, by default as the kernel has it.
    ensemble
        Average over turned pictures (mzsr-plus, unfolded, photo).
    seed
        For the random start and crops of zssr.
    device
        Where to compute; ``"auto"`` takes a GPU when there is one.
    precision
        Of the networks' convolutions, ``"float32"`` or ``"bfloat16"``; ``"auto"`` is `runtime.fast_precision`.
    progress
        Show bars for the updates and the pieces of the picture.
    say
        Is told the estimated blur, how a kernel was read, why it is to be doubted, and, with `progress`, the time that
        minutes of work will take; by default these are warnings.
    convention
        Of a kernel that is a file or an array, see `kernel_files.parse`.
    register
        ``"sampling"``: with direct sampling, pixel i of the picture becomes pixel scale * i, (scale - 1) / 2 px to the
        left and above of where an ordinary enlargement has it. ``"input"``: the result is moved there, between
        pixels with a cubic.
    size
        ``"1920x1080"``: the result is made smaller at the end, the largest that fits into it with its proportions kept;
        ``"1920x"`` or ``"x1080"``, one side alone.
    tile
        Side of the pieces of a large picture, px of the result; see `tiling.planned`.
    max_pixels
        The most that are read, and made.
    noise
        Standard deviation of what disturbs the picture, in grey levels of 255, for unfolded and photo; by default it is
        estimated.

    Returns
    -------
    Picture, tensor or array
        What was given, larger: a tensor for a tensor, an array of the same number type for an array, and a
        `Picture` with its transparency for a file or a `Picture`.

    Raises
    ------
    InputError
        If something of it cannot be used, or the picture is too small for its kernel.

    Examples
    --------
    >>> upscale(torch.rand(1, 3, 48, 40), method="bicubic").shape
    torch.Size([1, 3, 96, 80])
    """
    given = _read(picture, max_pixels)
    options = Options(weights, pick_device(str(device)), scale, precision, seed, progress, ensemble)
    choice = chosen(method, kernel, steps, agree)
    work = Upscaling(choice, kernel, options, mode, register, size, tile, max_pixels, convention, noise)
    result = work(given, say)
    if isinstance(picture, np.ndarray):
        return images.to_array(result.image, picture)
    return result.image if isinstance(picture, torch.Tensor) else result


def chosen(method: str | None, kernel: GivenKernel, steps: int | None = None, agree: bool | None = None) -> Choice:
    """Return the method that is named; by default it ends with agreement where it can and the kernel is known.

    Without a name it is photo when the kernel is not known, and else mzsr.

    Raises
    ------
    InputError
        If there is none, or it must be told a kernel and there is no kernel.
    """
    fields.require(method, str | None, "method")
    known = kernel is not None and not _is_estimate(kernel)
    choice = catalogue.parse((KNOWN if known else UNKNOWN) if method is None else method, steps, agree)
    entry = catalogue.entry_of(choice.method)
    if kernel is None and (entry.needs_kernel or choice.agree) and not entry.rough:
        raise InputError(
            f"The method {choice.words} has to be told the blur: give it (--kernel), or take a method that needs none, "
            f"such as --method {UNKNOWN}."
        )
    return replace(choice, agree=True) if agree is None and entry.agrees and known else choice


@dataclass
class Upscaling:
    """What is done to one picture or many: see `upscale` for what the fields mean."""

    choice: Choice
    kernel: GivenKernel
    options: Options
    mode: Mode | None = None
    register: Register = "sampling"
    size: str | None = None
    tile: int | None = None
    max_pixels: int = MAX_PIXELS
    convention: Convention = "correlate"
    noise: fields.GreyLevels | None = None
    method: Method = field(init=False)
    setting: Setting | None = field(init=False)
    rough: bool = field(init=False)
    told_noise: bool = field(init=False)

    def __post_init__(self):
        fields.check(self)
        if self.size is not None:
            _sides(self.size)
        entry = catalogue.entry_of(self.choice.method)
        self.rough, self.told_noise = entry.rough, entry.told_noise
        if self.rough and self.kernel is None:
            self.kernel = ESTIMATE
        if self.noise is not None and not self.told_noise:
            able = " or ".join(catalogue.names(lambda other: other.told_noise))
            raise InputError(f"{entry.name} is told no noise: take --method {able}, or leave the noise out.")
        if _is_estimate(self.kernel):
            check_estimable(self.options.scale, self.mode, self.rough)
        with tiling.planned(self.tile):
            self.method = registry.build(self.choice, self.options)
        self.setting = None if _is_estimate(self.kernel) else _setting(self.kernel, self.convention)

    def __call__(
        self, given: Picture, say: Callable[[str], None], say_of_it: Callable[[str], None] | None = None
    ) -> Picture:
        """Return the larger picture; `say_of_it` hears what was found in this picture, and `say` what holds for all."""
        self.final_size(given)
        degradation, same, seen = self._told(given)
        degradation = degradation.to(self.options.device)
        self._check_learnable(given, degradation)
        for sentence in same:
            say(sentence)
        for sentence in seen:
            (say_of_it or say)(sentence)
        with torch.no_grad(), tiling.planned(self.tile, self._watch if self.options.progress else None):
            if self.options.progress and (seconds := self.expected(given, degradation)) > LONG:
                say(f"This takes about {_duration(seconds)}.")
            result = picture_files.upscale(given, self.method, degradation, self.method.enlarge)
            return self._placed(result, degradation)

    def _told(self, given: Picture) -> tuple[Degradation, list[str], list[str]]:
        """Return what the method is told of a picture, and what a user should read of all pictures, and of this one."""
        scale, same, seen = self.options.scale, [], []
        if self.rough:
            degradation = None if self.setting is None else from_setting(self.setting, scale, self.mode)
            if degradation and min(given.image.shape[-2:]) < estimation.LEAST_SIDE:
                return replace(degradation, noise=(self.noise or 0) / 255), same, seen  # nothing to be found there
            found = guesses.guess(given.image, scale)
            if self.noise is not None:
                found = found.told(self.noise / 255)
            told = guesses.reconciled(degradation, found) if degradation else (found.degradation, found.sentence)
            return replace(told[0], noise=found.finding.noise), same, [told[1]]
        entry = catalogue.entry_of(self.choice.method)
        agree = "" if self.choice.agree or not entry.agrees else " --no-agree"
        setting = self.setting or estimated(given, scale, self.mode, seen.append, agree)
        degradation = from_setting(setting, scale, self.mode)
        if self.kernel is not None:
            doubted = registry.doubt(self.method, degradation) or doubt(self.kernel, self.choice.method)
            of_kernel = seen if self.setting is None else same
            of_kernel += remarks(setting, degradation) + ([doubted] if doubted else [])
            if self.choice.agree and not entry.needs_kernel:
                same.append(
                    f"The method {entry.name} takes no kernel: yours serves the agreement at the end alone (--no-agree "
                    "leaves that out)."
                )
        if self.told_noise:
            noise, found = (self.noise / 255, []) if self.noise is not None else guesses.noise(given.image)
            return replace(degradation, noise=noise), same, seen + found
        if self.kernel is not None and (entry.needs_kernel or entry.prior or self.choice.agree):
            seen += guesses.not_told(given.image, self.choice.method)
        return degradation, same, seen

    def final_size(self, given: Picture) -> tuple[int, int]:
        """Return height and width of the result of a picture; raise `InputError` when they cannot be."""
        height, width = (self.options.scale * side for side in given.image.shape[-2:])
        check_pixels("The result", width, height, self.max_pixels)
        return fitted(height, width, self.size) if self.size is not None else (height, width)

    def off(self) -> str | None:
        """Say where the result lies beside an ordinary enlargement, or return None when it lies there."""
        setting = self.setting or Setting("estimate", torch.ones(1, 1), "bicubic" if self.rough else "direct")
        across, down = self._offset(from_setting(setting, self.options.scale, self.mode))
        if self.register == "input" or max(abs(across), abs(down)) < OFF_CENTRE:
            return None
        return (
            f"The result lies {images.beside(-across, -down)} an ordinary enlargement, since pixels were kept as they "
            "were sampled: --register input moves it there."
        )

    def _offset(self, degradation: Degradation) -> tuple[float, float]:
        return restoration.offset(degradation) if self.method.follows_sampling else (0.0, 0.0)

    def expected(self, given: Picture, degradation: Degradation) -> float:
        """Return about how many seconds a picture will take: a part of it is timed. Small work is not, and takes 0."""
        zero_shot, steps = self.method.name == "zssr", self.choice.steps
        side = max(PART, self.options.scale * degradation.kernel.shape[-1])  # an update needs the kernel's size
        part = images.centre_crop(given.image, side, self.options.scale).to(self.options.device)
        few = min(steps, 20 if zero_shot else 1)
        # An update costs about three times what the network alone does, on a picture that is not enlarged.
        network = self.options.scale**2
        larger = given.image[0, 0].numel() / max(part[0, 0].numel(), 1)
        times_as_much = (3 * steps + network) / (3 * few + network) * larger
        if not part.numel() or (times_as_much < WORTH and not zero_shot):
            return 0
        with tiling.planned(watch=lambda tiles, what: tiles):
            times = {count: self._seconds(part, degradation, count) for count in sorted({min(few, 1), few})}
        each = (times[few] - times[min(few, 1)]) / max(few - 1, 1) if zero_shot else times[few]
        if zero_shot:
            return steps * each + times[1] * larger
        return times[few] * times_as_much

    def _seconds(self, part: Images, degradation: Degradation, steps: int) -> float:
        quiet = replace(self.method, steps=steps, options=replace(self.options, progress=False))
        began = time.perf_counter()
        quiet(part, degradation)
        return time.perf_counter() - began

    def _watch(self, tiles: list, what: str) -> tqdm | list:
        return tqdm(tiles, what, unit="tile", leave=False, disable=None) if len(tiles) > 1 else tiles

    def _check_learnable(self, given: Picture, degradation: Degradation) -> None:
        """Raise `InputError` when a method that learns from the picture made smaller once more cannot."""
        if not self.choice.steps:
            return
        try:
            picture_files.check_size(given, degradation)
        except InputError as error:
            raise InputError(
                f"{str(error).partition(':')[0]}, and {self.choice.method} learns from it made smaller once more: give "
                "a larger picture, or take a method without updates, such as --method mzsr-plus."
            ) from None

    def _placed(self, picture: Picture, degradation: Degradation) -> Picture:
        """Return the result where it is wanted, and as large."""
        offset = self._offset(degradation)
        if self.register == "input" and any(offset):
            picture = _mapped(picture, partial(_moved, offset=offset))
        if self.size is not None:
            height, width = fitted(picture.image.shape[-2], picture.image.shape[-1], self.size)
            picture = _mapped(picture, lambda planes: resize.fit(planes, height, width))
        return picture


def _moved(planes: Planes, offset: tuple[float, float]) -> Planes:
    halo = math.ceil(max(map(abs, offset))) + 3
    return tiling.by_tiles(lambda piece: resize.shift(piece, offset[0], offset[1]), planes, 1, halo, "move")


def _mapped(picture: Picture, linear: Callable[[Planes], OtherPlanes]) -> Picture:
    """Return a picture of which colours and transparency went through a linear map together."""
    if picture.alpha is None:
        return replace(picture, image=images.clip(linear(picture.image)))
    image, alpha = transparency.premultiplied(picture.image, picture.alpha, picture.image, linear)
    return replace(picture, image=images.clip(image) * (alpha > 0), alpha=alpha.clamp(0, 1))


def fitted(height: int, width: int, size: str) -> tuple[int, int]:
    """Return (height, width) of the largest that fits into a size, of a picture with its proportions kept.

    One that is smaller stays as it is.

    Raises
    ------
    InputError
        If the text is no size.

    Examples
    --------
    >>> fitted(2000, 3000, "1920x"), fitted(2000, 3000, "x1000"), fitted(2000, 3000, "1920x1080")
    ((1280, 1920), (1000, 1500), (1080, 1620))
    >>> fitted(60, 60, "50x30")
    (30, 30)
    >>> fitted(60, 60, "1920x")
    (60, 60)
    """
    across, down = _sides(size)
    ratio = min(1.0, across / width if across else 1.0, down / height if down else 1.0)
    return max(round(height * ratio), 1), max(round(width * ratio), 1)


def _sides(size: str) -> tuple[int | None, int | None]:
    """Return the width and the height that a text names."""
    found = re.fullmatch(r"([1-9]\d*)?x([1-9]\d*)?", size)
    if not found or not any(found.groups()):
        raise InputError(f"The size is '{size}': write for instance 1920x1080, 1920x or x1080.")
    across, down = (int(side) if side else None for side in found.groups())
    return across, down


def _duration(seconds: float) -> str:
    """Return a time of a minute or more in words, in the largest unit of which it has two."""
    units = {"day": 86_400, "hour": 3_600, "minute": 60}
    unit = next((name for name, size in units.items() if seconds >= 2 * size), "minute")
    count = round(seconds / units[unit])
    return f"{count} {unit}{'s' * (count != 1)}"


def _is_estimate(kernel: object) -> bool:
    return isinstance(kernel, str) and kernel == ESTIMATE


def _read(picture: str | Path | Picture | Images | np.ndarray, max_pixels: int) -> Picture:
    if isinstance(picture, np.ndarray):
        return Picture(images.from_array(picture), grey=picture.ndim == 2)
    if isinstance(picture, torch.Tensor):
        return Picture(images.from_tensor(picture))
    if isinstance(picture, str | Path):
        return picture_files.read(picture, max_pixels)
    if isinstance(picture, Picture):
        return picture
    raise InputError(
        f"A picture is the name of a file, an array (H, W, 3), a tensor (1, 3, H, W) or a Picture, and this is of type "
        f"{type(picture).__name__}."
    )


def _setting(kernel: GivenKernel, convention: Convention) -> Setting:
    if kernel is None:
        return Setting("none", torch.ones(1, 1), "direct")
    if isinstance(kernel, Setting):
        return kernel
    if isinstance(kernel, str | Path):
        return kernel_files.parse(str(kernel), convention, (ESTIMATE,))
    if not isinstance(kernel, torch.Tensor | np.ndarray):
        raise InputError(
            "A kernel is text such as '2.0,2.0,0', the name of a file, an array or a tensor, and this is of type "
            f"{type(kernel).__name__}."
        )
    values = kernel.detach().cpu().double().numpy() if isinstance(kernel, torch.Tensor) else kernel
    notes: list[str] = []
    given = kernel_files.turned(kernel_files.normalise(values, notes=notes), convention)
    return Setting("given", given, "direct", note=" ".join(notes))


def check_estimable(scale: int, mode: Mode | None, rough: bool = False) -> None:
    """Raise `InputError` when no kernel can be estimated for such a scale or sampling.

    A method for what is roughly known (`catalogue.Entry.rough`) has an estimator of its own, which asks for no mode.
    """
    if rough:
        if mode is not None:
            raise InputError(
                "The method photo guesses how pixels were dropped: leave the mode out, or give the kernel."
            )
        return
    if mode not in (None, "direct"):
        raise InputError(f"A kernel is estimated for direct sampling only, not {mode}: give the kernel.")
    if scale != 2:
        raise InputError(
            f"A kernel is estimated for scale 2 only, not {scale}: give the kernel, or leave it out for photo."
        )


def estimated(picture: Picture, scale: int, mode: Mode | None, say: Callable[[str], None], more: str = "") -> Setting:
    """Return the Gaussian blur that a low-resolution picture seems to have, and say what to write for the same.

    `more` is what else has to be written.

    Raises
    ------
    InputError
        If the scale is not 2, the sampling not direct, or the picture shows no edges; see `estimation.estimate`.
    """
    check_estimable(scale, mode)
    found = estimation.estimate(picture.image)
    say(
        f"The blur is estimated; the same would be --kernel {found.text}{more} (two variances in px^2, an angle in "
        "radians)."
    )
    return found.setting


def doubt(kernel: object, method: str) -> str | None:
    """Say in one sentence why a method should not be trusted with a kernel that was only estimated, or return None."""
    if _is_estimate(kernel) and method == "mzsr-plus":
        return "With an estimated kernel the method photo is the safer one: look for halos, and compare."
    return None
