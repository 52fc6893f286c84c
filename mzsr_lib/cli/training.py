"""The commands ``mzsr pretrain`` and ``mzsr meta-train``: every setting of their configs is a flag.

Each has a command for every preset, which gives the defaults of the flags.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import OmitArgPrefixes

from mzsr_lib.cli.commands import Device, note
from mzsr_lib.cli.targets import MOST, MaxPixels, arg
from mzsr_lib.files import InputError, check_writable

if TYPE_CHECKING:
    from mzsr_lib.mzsr.settings import LoopConfig

DEFAULT = "paper"  # the preset when none is named

Folders = Annotated[tuple[Path, ...], arg(metavar="DIR", help="One or more folders of high-resolution pictures.")]
Output = Annotated[
    Path,
    arg(
        metavar="DIR",
        help="Folder of the run: checkpoint, log, curve and weights. A run found there is continued; weights without "
        "one are not replaced.",
    ),
]
Init = Annotated[
    str | None,
    arg(metavar="NAME|FILE|none", help="Weights to start from: shipped ones, a file, a checkpoint, or none (random)."),
]
Model = Annotated[
    Literal[
        "mzsr",
        "mzsr-plus",
        "mzsr-x3",
        "mzsr-x4",
        "mzsr-plus-multi",
        "unfolded",
        "unfolded-x3",
        "unfolded-x4",
        "photo",
        "photo-multi",
        "estimator",
    ],
    arg(help="The paper's model or a kernel-aware one, for scale 2, 3, 4 or several; or what photographs need."),
]
Budget = Annotated[
    Literal["cpu", "gpu"],
    arg(help="The settings of the shipped weights, or longer ones for a GPU, not run on one yet."),
]
MaxMinutes = Annotated[
    float | None, arg(metavar="N", help="Stop cleanly after so many minutes; the same command continues.")
]


def pretrain_presets() -> dict[str, Callable[..., None]]:
    """Return the commands below ``mzsr pretrain``, by preset."""
    from mzsr_lib.models import weights
    from mzsr_lib.mzsr.pretraining import PretrainConfig
    from mzsr_lib.training import presets, stages

    def command(name: str, default: PretrainConfig) -> Callable[..., None]:
        def pretrain(
            data: Folders,
            output: Output,
            init: Init = None,
            max_minutes: MaxMinutes = None,
            max_pixels: MaxPixels = MOST,
            device: Device = "auto",
            config: OmitArgPrefixes[PretrainConfig] = default,
        ) -> None:
            start = None if init in (None, "none") else init
            if start:
                weights.locate(start)
            _run(stages.pretrain, config, data, output, max_minutes, device, init=start, max_pixels=max_pixels)

        words = f"pretrain {name} --data .data/bsds500-train .data/bsds500-test --output training-runs/{name}"
        return _described(pretrain, presets.PRETRAIN[name], words)

    return {name: command(name, preset()) for name, preset in presets.PRETRAIN.items()}


def meta_train_presets() -> dict[str, Callable[..., None]]:
    """Return the commands below ``mzsr meta-train``, by preset."""
    from mzsr_lib.models import weights
    from mzsr_lib.mzsr.meta_training import MetaTrainConfig
    from mzsr_lib.training import presets, stages

    def command(name: str, default: MetaTrainConfig) -> Callable[..., None]:
        def meta_train(
            data: Folders,
            output: Output,
            init: Annotated[
                str | None,
                arg(
                    metavar="NAME|FILE|none",
                    help="Weights to start from, as for pretrain; by default shipped ones of stage 1 for the scale.",
                ),
            ] = None,
            max_minutes: MaxMinutes = None,
            max_pixels: MaxPixels = MOST,
            device: Device = "auto",
            config: OmitArgPrefixes[MetaTrainConfig] = default,
        ) -> None:
            scale = config.scales[0]
            start = None if init == "none" else init or weights.default("pretrained", scale)
            if start:
                weights.locate(start)
            elif init is None:
                raise InputError(
                    f"No weights of stage 1 are shipped for scale {scale}: give some of your own, --init FILE, or "
                    "begin with random ones, --init none."
                )
            _run(stages.meta_train, config, data, output, max_minutes, device, init=start, max_pixels=max_pixels)

        words = f"meta-train {name} --data .data/bsds500-train .data/bsds500-test --output training-runs/{name}"
        return _described(meta_train, presets.META_TRAIN[name], words)

    return {name: command(name, preset()) for name, preset in presets.META_TRAIN.items()}


def _described(command: Callable[..., None], preset: Callable[[], object], words: str) -> Callable[..., None]:
    """Give a command the first sentence of its preset, and an example, as its help."""
    sentence = (preset.__doc__ or "").partition("\n")[0].removeprefix("Return ")
    command.__doc__ = f"{sentence[:1].upper()}{sentence[1:]}\n\nExample: mzsr {words}"
    return command


def train_all(
    *,
    model: Model,
    output: Annotated[Path, arg(metavar="DIR", help="Folder of the runs. What is found there is continued.")],
    budget: Budget = "cpu",
    data: Annotated[
        tuple[Path, ...],
        arg(metavar="DIR", help="Folders of pictures; by default bsds500-train and bsds500-test, see mzsr data."),
    ] = (),
    max_minutes: MaxMinutes = None,
    max_steps: Annotated[
        int | None, arg(metavar="N", help="At most so many steps of each stage: a rehearsal of the whole recipe.")
    ] = None,
    max_pixels: MaxPixels = MOST,
    device: Device = "auto",
) -> None:
    """Train a model from random weights as the shipped one was: every stage, one after the other.

    Example: mzsr train-all --model mzsr-plus --budget cpu --output training-runs/plus
    """
    from mzsr_lib import runtime
    from mzsr_lib.benchmark import datasets
    from mzsr_lib.imaging import picture_files
    from mzsr_lib.training import recipes

    plan = recipes.recipe(model, budget)
    check_limits(max_minutes, max_steps)
    folders = data or tuple(datasets.folder(name) for name in recipes.DATA)
    for folder in folders:
        picture_files.paths_in(folder)
    group = runtime.join(device)
    try:
        check_writable(output / "log.jsonl")
        if group.leads:
            print(f"{', then '.join(stage.name for stage in plan.stages)}. {plan.expect}", flush=True)
        path = recipes.train_all(model, budget, folders, output, group, max_minutes, max_steps, max_pixels)
        if group.leads:
            for stage in plan.stages:
                _draw(output / stage.name)
            print(f"The weights are in {path}." if path else "Time is up: the same command goes on from here.")
    finally:
        runtime.leave()


def check_limits(max_minutes: float | None, max_steps: int | None = None) -> None:
    """Raise `InputError` for a limit that leaves nothing to do."""
    if max_minutes is not None and max_minutes <= 0:
        raise InputError(f"The time limit is {max_minutes:g} minutes: it must be positive.")
    if max_steps is not None and max_steps <= 0:
        raise InputError(f"The limit is {max_steps} steps: it must be positive.")


def _run(
    train: Callable[..., Path],
    config: "LoopConfig",
    data: Sequence[Path],
    output: Path,
    max_minutes: float | None,
    device: str,
    **more: object,
) -> None:
    """Check what was given, train in the group of processes, draw the curve, and say where the weights are."""
    from mzsr_lib import runtime
    from mzsr_lib.imaging import picture_files

    check_limits(max_minutes)
    for folder in data:
        picture_files.paths_in(folder)
    group = runtime.join(device)
    try:
        check_writable(output / "log.jsonl")
        for sentence in picture_files.passed_over(data) if group.leads else ():
            note(sentence)
        path = train(config, data, output, group, max_minutes, **more)
        if group.leads:
            _draw(output)
            print(_summary(path, output, config.steps))
    finally:
        runtime.leave()


def _summary(path: Path, output: Path, steps: int) -> str:
    """Say where the weights are, and whether the run is done."""
    from mzsr_lib.training import checkpoints

    step = checkpoints.step_of(output / "checkpoint.pt")
    if step >= steps:
        return f"The weights are in {path}."
    return f"Time is up at step {step} of {steps}: the same command continues. The weights so far are in {path}."


def _draw(output: Path) -> None:
    """Draw the log of a run, if it has one yet, and if figures can be drawn here."""
    try:
        from mzsr_lib.drawing import plotting
    except ModuleNotFoundError:
        return note("Without matplotlib no curve is drawn.")
    if (output / "log.jsonl").exists():
        plotting.save(plotting.training_curve(output / "log.jsonl"), output / "curve.png")
