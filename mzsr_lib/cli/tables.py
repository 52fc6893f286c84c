"""The command ``mzsr tables``: the paper's tables, measured."""

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from mzsr_lib.cli.commands import Convention, DataRoot, Device, Methods, Precision, Seed, Weights, note
from mzsr_lib.cli.targets import MOST, MaxPixels, arg
from mzsr_lib.cli.training import MaxMinutes, check_limits

if TYPE_CHECKING:
    from mzsr_lib.imaging.kernels import Setting

Output = Annotated[
    Path,
    arg(
        metavar="DIR",
        help="Folder of rows.csv and the tables. What is found in the rows is not measured again, if it has the "
        "precision that is asked for, or auto; tables.md and tables.tex are written anew.",
    ),
]
DataSets = Annotated[tuple[str, ...], arg(metavar="NAME", help="Data sets, or folders of sharp pictures beside them.")]
Kernels = Annotated[
    tuple[str, ...], arg(metavar="KERNEL", help="By default the paper's five; see mzsr evaluate --help.")
]
Scales = Annotated[tuple[Literal[2, 3, 4], ...], arg(help="Sizes of the high resolution / the low one.")]
Images = Annotated[int | None, arg(metavar="N", help="Only the first so many pictures of each data set: a rehearsal.")]


def tables(
    *,
    data: DataRoot = None,
    output: Output = Path("results"),
    datasets: DataSets = ("set5", "bsd100"),
    kernels: Kernels = (),
    kernel_convention: Convention = "correlate",
    scales: Scales = (2,),
    methods: Methods = (),
    weights: Weights = None,
    images: Images = None,
    max_minutes: MaxMinutes = None,
    max_pixels: MaxPixels = MOST,
    seed: Seed = 0,
    device: Device = "auto",
    precision: Precision = "auto",
) -> None:
    """Measure data sets, kernels, scales and methods, and write the paper's tables with our numbers in them.

    The same command continues after an interruption, and several processes share the work:
    torchrun --nproc-per-node 4 -m mzsr_lib.cli tables ...

    By default every method that can be built, mzsr with 1 and with 10 updates.

    Example: mzsr tables --data DIR --datasets set5 bsd100 --methods bicubic mzsr:1 mzsr:10+agree --output results
    """
    import torch

    from mzsr_lib import runtime
    from mzsr_lib.benchmark import sweeps
    from mzsr_lib.methods import registry

    check_limits(max_minutes)
    sweeps.check_count(images)
    settings = _settings(kernels, kernel_convention)
    places = sweeps.folders(datasets, data)
    group = runtime.join(device)
    # Pictures come in many sizes: looking for the fastest convolution of each would cost more than it saves.
    torch.backends.cudnn.benchmark = False
    try:
        say = note if group.leads else lambda sentence: None
        options = [registry.Options(weights, group.device, scale, precision, seed) for scale in scales]
        _remark(settings, scales, say)
        planned = sweeps.plan(places, settings, registry.sweep(methods, options, say), images, max_pixels)
        missing = sweeps.run(planned, output, group, max_minutes, progress=True, say=say)
        if group.leads:
            _report(len(planned), missing, output)
    finally:
        runtime.leave()


def _settings(texts: Sequence[str], convention: Convention) -> "list[Setting]":
    """Return the kernels that are named, by default the paper's."""
    from mzsr_lib.imaging import kernel_files, kernels

    return [kernel_files.parse(text, convention) for text in texts or kernels.named()]


def _remark(settings: "Sequence[Setting]", scales: Sequence[int], say: Callable[[str], None]) -> None:
    """Say what a user should know of the kernels."""
    from mzsr_lib.imaging.degradation import from_setting, remarks

    for setting, scale in itertools.product(settings, scales):
        for sentence in remarks(setting, from_setting(setting, scale)):
            say(sentence)


def _report(count: int, missing: int, output: Path) -> None:
    """Write the tables, and say what is there."""
    from mzsr_lib.benchmark import tables

    if missing:
        print(f"Time is up, {count - missing} of {count} jobs are done: the same command goes on from here.")
    if (output / "rows.csv").exists():
        print("\n".join(map(str, [output / "rows.csv", *tables.write(output)])))
