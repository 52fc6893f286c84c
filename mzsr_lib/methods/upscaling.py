"""One call from a picture and its kernel to the super-resolved picture: what ``mzsr upscale`` does."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from mzsr_lib.files import InputError
from mzsr_lib.imaging import estimation, images, kernel_files, picture_files
from mzsr_lib.imaging.degradation import from_setting, remarks
from mzsr_lib.imaging.kernel_files import Convention
from mzsr_lib.imaging.kernels import Mode, Setting
from mzsr_lib.imaging.picture_files import Picture
from mzsr_lib.methods import catalogue, registry
from mzsr_lib.methods.registry import Options
from mzsr_lib.runtime import Precision, pick_device
from mzsr_lib.shapes import Images, Kernel, OtherImages

ESTIMATE = "estimate"


def upscale(
    picture: str | Path | Picture | Images | np.ndarray,
    kernel: str | Path | Setting | Kernel | np.ndarray,
    scale: int = 2,
    method: str = "mzsr",
    steps: int | None = None,
    agree: bool | None = None,
    weights: str | Path | None = None,
    mode: Mode | None = None,
    ensemble: bool = False,
    seed: int = 0,
    device: torch.device | str = "auto",
    precision: Precision | Literal["auto"] = "auto",
    progress: bool = False,
    say: Callable[[str], None] = warnings.warn,
    convention: Convention = "correlate",
) -> Picture | OtherImages | np.ndarray:
    """Return a picture `scale` times as large, with the blur of its kernel undone.

    Parameters
    ----------
    picture
        A file, a `Picture`, a tensor (1, 3, h, w) in [0, 1], or an array (h, w, 3) or (h, w) of 8-bit integers or of
        numbers in [0, 1].
    kernel
        The blur on the high-resolution grid: what `kernel_files.parse` reads, such as ``"g2.0d"`` or
        ``"4.0,1.0,-0.5"``; ``"estimate"``, a Gaussian that fits the edges of the picture; or a kernel (k, k).
    scale
        2, 3 or 4.
    method
        What `catalogue.parse` reads, such as ``"mzsr"`` or ``"mzsr:1"``.
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
        Average over turned pictures (mzsr-plus).
    seed
        For the random start and crops of zssr.
    device
        Where to compute; ``"auto"`` takes a GPU when there is one.
    precision
        Of the networks' convolutions, ``"float32"`` or ``"bfloat16"``; ``"auto"`` is `runtime.fast_precision`.
    progress
        Show a bar for the updates.
    say
        Is told the estimated blur, how a kernel was read, and why it is to be doubted; by default these are warnings.
    convention
        Of a kernel that is a file or an array, see `kernel_files.parse`.

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
    >>> upscale(torch.rand(1, 3, 48, 40), "g2.0d", method="bicubic").shape
    torch.Size([1, 3, 96, 80])
    """
    given, where = _read(picture), pick_device(str(device))
    setting = estimated(given, scale, mode, say) if _is_estimate(kernel) else _setting(kernel, convention)
    degradation = from_setting(setting, scale, mode).to(where)
    choice = catalogue.parse(method, steps, agree)
    if agree is None and catalogue.entry_of(choice.method).agrees and not _is_estimate(kernel):
        choice = replace(choice, agree=True)
    built = registry.build(choice, Options(weights, where, scale, precision, seed, progress, ensemble))
    picture_files.check_size(given, degradation)
    for sentence in remarks(setting, degradation):
        say(sentence)
    if sentence := registry.doubt(built, degradation) or doubt(kernel, choice.method):
        say(sentence)
    result = picture_files.upscale(given, built, degradation)
    if isinstance(picture, np.ndarray):
        return images.to_array(result.image, picture)
    return result.image if isinstance(picture, torch.Tensor) else result


def _is_estimate(kernel: object) -> bool:
    return isinstance(kernel, str) and kernel == ESTIMATE


def _read(picture: str | Path | Picture | Images | np.ndarray) -> Picture:
    if isinstance(picture, np.ndarray):
        return Picture(images.from_array(picture), grey=picture.ndim == 2)
    if isinstance(picture, torch.Tensor):
        return Picture(picture)
    return picture if isinstance(picture, Picture) else picture_files.read(picture)


def _setting(kernel: str | Path | Setting | Kernel | np.ndarray, convention: Convention) -> Setting:
    if isinstance(kernel, Setting):
        return kernel
    if isinstance(kernel, str | Path):
        return kernel_files.parse(str(kernel), convention)
    values = kernel.detach().cpu().numpy() if isinstance(kernel, torch.Tensor) else kernel
    notes: list[str] = []
    given = kernel_files.turned(kernel_files.normalise(values, notes=notes), convention)
    return Setting("given", given, "direct", note=" ".join(notes))


def estimated(picture: Picture, scale: int, mode: Mode | None, say: Callable[[str], None]) -> Setting:
    """Return the Gaussian blur that a low-resolution picture seems to have, and say which.

    Raises
    ------
    InputError
        If the scale is not 2, the sampling not direct, or the picture shows no edges; see `estimation.estimate`.
    """
    if mode not in (None, "direct"):
        raise InputError(f"A kernel is estimated for direct sampling only, not {mode}: give the kernel.")
    if scale != 2:
        raise InputError(f"A kernel is estimated for scale 2 only, not {scale}: give the kernel.")
    found = estimation.estimate(picture.image)
    say(f"The blur is estimated: lambda1 {found.lambda1:.2f}, lambda2 {found.lambda2:.2f} px^2, {found.theta:.2f} rad.")
    return found.setting


def doubt(kernel: object, method: str) -> str | None:
    """Say in one sentence why a method should not be trusted with a kernel that was only estimated, or return None."""
    if _is_estimate(kernel) and method == "mzsr-plus":
        return "With an estimated kernel the method mzsr is the safer one: look for halos, and compare."
    return None
