"""The command ``mzsr evaluate``: methods scored on a folder of pictures, or on pairs that others made."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional

from mzsr_lib.cli.commands import KERNEL, Convention, Device, Methods, Mode, Precision, Scale, Seed, Weights, note
from mzsr_lib.cli.targets import MOST, MaxPixels, arg
from mzsr_lib.files import InputError
from mzsr_lib.methods import catalogue

if TYPE_CHECKING:
    from mzsr_lib.benchmark.measuring import Job, Rows
    from mzsr_lib.imaging.kernels import Setting
    from mzsr_lib.methods.registry import Method

SAID = 3  # sentences about the kernels of a folder

Sharp = Annotated[Positional[Path], arg(metavar="DIR", help="Folder of high-resolution pictures.")]
Kernels = Annotated[
    Path | None, arg(metavar="DIR", help="Folder with a kernel file for each picture, instead of one --kernel for all.")
]
Given = Annotated[
    Path | None,
    arg(
        metavar="DIR",
        help="Folder of the low-resolution pictures; by default they are made here. Files of two folders belong "
        "together when their names are the same, or the same without words such as x2, LR, HR, GT, kernel and img.",
    ),
]
Steps = Annotated[
    tuple[int, ...],
    arg(metavar="N", help="Gradient updates of the only method, one or more numbers, instead of :N at its name."),
]
Agree = Annotated[bool, arg(help="The same as +agree at the name of the only method.")]
Output = Annotated[
    Path | None,
    arg(
        metavar="ROWS.csv",
        help="File for one row a picture, written while they are measured; what it holds is not measured again, if it "
        "has the precision that is asked for, or auto, and other rows in it stay. A file of something else is refused.",
    ),
]


def evaluate(
    folder: Sharp,
    *,
    kernel: Annotated[str | None, KERNEL] = None,
    kernels: Kernels = None,
    kernel_convention: Convention = "correlate",
    lr: Given = None,
    scale: Scale = 2,
    method: Methods = ("mzsr",),
    steps: Steps = (),
    agree: Agree = False,
    output: Output = None,
    weights: Weights = None,
    mode: Mode = None,
    max_pixels: MaxPixels = MOST,
    seed: Seed = 0,
    device: Device = "auto",
    precision: Precision = "auto",
) -> None:
    """Score methods on a folder of sharp pictures, and print mean PSNR (dB) and SSIM as a Markdown table.

    The low-resolution pictures are made with the kernel, or given (--lr). Settings that the paper prints are preceded
    by the self-check; see mzsr selfcheck --help.

    Example: mzsr evaluate DIR --kernel g2.0d --scale 2 --method bicubic mzsr:1 mzsr:10+agree --output rows.csv

    Example: mzsr evaluate DIV2KRK/gt --lr DIV2KRK/lr_x2 --kernels DIV2KRK/gt_k_x2 --method mzsr-plus
    """
    from mzsr_lib import files, runtime
    from mzsr_lib.benchmark import evaluation
    from mzsr_lib.methods import registry

    settings = _settings(folder, kernel, kernels, mode, kernel_convention)
    chosen = catalogue.choices(method, steps, agree or None)
    options = registry.Options(weights, runtime.pick_device(device), scale, precision, seed)
    methods = registry.build_all(chosen, options)
    if output:
        files.check_writable(output)
    jobs = _jobs(folder, settings, methods, lr, kernels, max_pixels)
    for sentence in _sentences(settings, methods):
        note(sentence)
    evaluation.continued(jobs, output, progress=True, show=_print_means)


def _settings(
    folder: Path, kernel: str | None, kernels: Path | None, mode: Mode, convention: Convention
) -> "list[Setting]":
    """Return the one kernel, or that of each picture."""
    from mzsr_lib.benchmark import pairs
    from mzsr_lib.imaging import kernel_files, picture_files

    sharp = picture_files.paths_in(folder)
    if kernels is not None and kernel is None:
        return pairs.settings_of(sharp, kernels, mode, convention)
    if kernel is None or kernels is not None:
        raise InputError("Give one kernel for all pictures (--kernel), or a folder with one for each (--kernels).")
    one = kernel_files.parse(kernel, convention)
    return [one._replace(mode=mode or one.mode)]


def _jobs(
    folder: Path,
    settings: "Sequence[Setting]",
    methods: "Sequence[Method]",
    lr: Path | None,
    kernels: Path | None,
    max_pixels: int,
) -> "list[Job]":
    from mzsr_lib.benchmark import measuring, pairs
    from mzsr_lib.imaging import picture_files

    if lr is None and kernels is None:
        return measuring.in_folder(folder.resolve().name, folder, settings, methods, max_pixels=max_pixels)
    each = settings if kernels else list(settings) * len(picture_files.paths_in(folder))
    return pairs.jobs(folder, each, methods, lr, max_pixels)


def _sentences(settings: "Iterable[Setting]", methods: "Sequence[Method]") -> list[str]:
    """Return what a user should read about the kernels: of many that say the same in other numbers only some."""
    from mzsr_lib.imaging.degradation import from_setting, remarks
    from mzsr_lib.methods import registry

    found: dict[str | None, None] = {}
    for setting in settings:
        camera = from_setting(setting, methods[0].options.scale)
        found |= dict.fromkeys([*remarks(setting, camera), *(registry.doubt(method, camera) for method in methods)])
    sentences = [sentence for sentence in found if sentence]
    more = len(sentences) - SAID
    return sentences if more <= 0 else [*sentences[:SAID], f"There are {more} more such sentences about the kernels."]


def _print_means(rows: "Rows") -> None:
    """Print the means of the rows that there are."""
    from mzsr_lib.benchmark import evaluation

    if len(rows):
        print(evaluation.table(evaluation.means(rows)), flush=True)
