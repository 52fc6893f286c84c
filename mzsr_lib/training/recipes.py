"""How the shipped weights are made: the stages of each model, one after the other, as one command.

Each stage is a run of its own folder, so that a recipe that was stopped goes on where it was.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic

from mzsr_lib.files import InputError
from mzsr_lib.imaging.decoding import MAX_PIXELS
from mzsr_lib.models import weights
from mzsr_lib.mzsr import inputs
from mzsr_lib.mzsr.meta_training import MetaTrainConfig
from mzsr_lib.mzsr.pretraining import PretrainConfig
from mzsr_lib.runtime import Group
from mzsr_lib.training import checkpoints, presets
from mzsr_lib.training.stages import meta_train, pretrain

DATA = ("bsds500-train", "bsds500-test")
MODELS = (
    *("mzsr", "mzsr-plus", "mzsr-x3", "mzsr-x4", "mzsr-plus-multi"),
    *("unfolded", "unfolded-x3", "unfolded-x4", "photo", "photo-multi", "estimator"),
)
BUDGETS = ("cpu", "gpu")


@dataclass(frozen=True)
class Stage:
    """One run of a recipe.

    Attributes
    ----------
    name
        Of its folder.
    config
        Its settings; their class says which of the two stages of training it is.
    """

    name: str
    config: PretrainConfig | MetaTrainConfig


@dataclass(frozen=True)
class Recipe:
    """The runs that make a model, in order, each from the weights of the one before.

    Attributes
    ----------
    stages
        The first starts from random weights.
    expect
        What was measured: time and held-out score, or that nothing was.
    settled
        The network's input as it was chosen after training, on held-out photographs (benchmarks/plus_options.py),
        or None to leave it as it was trained.
    """

    stages: tuple[Stage, ...]
    expect: str
    settled: inputs.Upscaler | None = None


def recipe(model: str, budget: str) -> Recipe:
    """Return how a model is made.

    Parameters
    ----------
    model
        ``"mzsr"``, the paper's, or ``"mzsr-plus"``, with the kernel-aware input, both for scale 2; ``"mzsr-x3"`` and
        ``"mzsr-x4"``, the paper's for scales 3 and 4; ``"mzsr-plus-multi"``, kernel-aware for scales 2 to 4;
        ``"unfolded"``, ``"unfolded-x3"`` and ``"unfolded-x4"``, told a kernel of any shape and the noise;
        ``"photo"`` and ``"photo-multi"``, for photographs of which nothing is known, at scale 2 and at 3 and 4;
        ``"estimator"``, which guesses what these are told.
    budget
        ``"cpu"``, that of the shipped weights: one or two cores that multiply bfloat16; or ``"gpu"``.

    Raises
    ------
    InputError
        If there is no such model or budget.
    """
    if model not in MODELS or budget not in BUDGETS:
        raise InputError(
            f"There is no recipe for {model} on a {budget}: choose {', '.join(MODELS)}; {' or '.join(BUDGETS)}."
        )
    return _RECIPES[model, budget]


def _gpu_pretrain(config: PretrainConfig, batch: int, patch: int) -> PretrainConfig:
    return replace(config, steps=200_000, batch=batch, patch=patch, warm_up=500, ema=0.9995, validate_every=2_500)


_FIRST = Stage("pretrain", presets.pretrain_cpu())
_GPU_FIRST = Stage("pretrain", _gpu_pretrain(presets.pretrain_cpu(), 32, 96))
_GPU_PLUS = Stage("plus", _gpu_pretrain(presets.pretrain_plus(), 16, 128))
_GPU_KNOWN = Stage("known", _gpu_pretrain(presets.pretrain_known(), 32, 128))
_PHOTO = Stage("photo", presets.pretrain_photo())
_PHOTO_SEVERAL = Stage("photo-multi", presets.pretrain_photo_several())
_KNOWN = Stage("known", presets.pretrain_known())
_GPU_PHOTO = Stage("photo", _gpu_pretrain(presets.pretrain_photo(), 32, 128))
_GPU_PHOTO_SEVERAL = Stage("photo-multi", _gpu_pretrain(presets.pretrain_photo_several(), 32, 192))
_GPU_META = MetaTrainConfig(decay="cosine", ema=0.999, warm_up=100)
_NOT_RUN = "Not measured: nobody has run it yet."
_MZSR = (
    _FIRST,
    Stage("blind", presets.pretrain_blind()),
    Stage("meta-train-begin", presets.meta_train_begin()),
    Stage("meta-train", presets.meta_train_cpu()),
)
_RECIPES = {
    ("mzsr", "cpu"): Recipe(
        _MZSR,
        "About 41 + 17 + 12 + 110 minutes of one CPU core. Not measured as one run: the shipped weights were "
        "trained in more parts, see the model card. Other seeds: three short runs differ by 0.03 dB held-out after ten "
        "updates (results/ablations.csv).",
    ),
    ("mzsr-plus", "cpu"): Recipe(
        (_FIRST, Stage("plus", presets.pretrain_plus())),
        "Measured on the CPU: 41 + 96 minutes on one core; held-out 32.66 dB.",
        inputs.Restored(mu=5e-4, next_mu=1e-3, passes=2, final_mu=3e-3),
    ),
    ("mzsr-x3", "cpu"): Recipe(
        (*_MZSR, Stage("meta-train-x3", presets.meta_train_x3())),
        "The last stage, from the shipped weights for scale 2, was measured: 49 minutes, half a core; held-out after "
        "0 / 1 / 10 updates 19.8 / 28.0 / 28.3 dB.",
    ),
    ("mzsr-x4", "cpu"): Recipe(
        (_FIRST, Stage("meta-train-x4", presets.meta_train_x4())),
        "Measured on the CPU: 41 + 45 minutes, half a core; held-out after 0 / 1 / 10 updates 26.9 / 27.1 / 27.2 dB.",
    ),
    ("mzsr-plus-multi", "cpu"): Recipe(
        (_FIRST, Stage("plus", presets.pretrain_plus()), Stage("several", presets.pretrain_plus_multi())),
        "Measured on the CPU: 41 + 96 + 76 minutes, the last on half a core; held-out, all three scales, 30.10 dB.",
        inputs.Restored(mu=5e-4, next_mu=1e-3, passes=2, final_mu=3e-3),
    ),
    ("photo", "cpu"): Recipe(
        (_PHOTO,),
        "The shipped weights were trained in four parts, two and a half hours of one core in all: see the model card.",
    ),
    ("photo-multi", "cpu"): Recipe(
        (_PHOTO, _PHOTO_SEVERAL),
        "The shipped weights: those for scale 2, then 80 minutes of half a core: see the model card.",
    ),
    ("estimator", "cpu"): Recipe(
        (Stage("estimator", presets.pretrain_estimator()),),
        "The shipped weights: an hour of one core that multiplies bfloat16.",
    ),
    ("unfolded", "cpu"): Recipe(
        (_PHOTO, _KNOWN),
        "The shipped weights: 76 and 255 minutes of one core, in more parts: see the model card.",
    ),
    ("unfolded-x4", "cpu"): Recipe(
        (
            _PHOTO,
            _KNOWN,
            Stage("fine", presets.pretrain_fine()),
        ),
        "The shipped weights: those for scale 2, then 66 and 106 minutes of one core, in parts: see the model card.",
    ),
    ("unfolded-x3", "cpu"): Recipe(
        (
            _PHOTO,
            _PHOTO_SEVERAL,
            Stage("fine", presets.pretrain_fine_x3()),
        ),
        "The shipped weights: those of photo-multi, then 129 minutes of one core in float32: see the model card.",
    ),
    ("unfolded", "gpu"): Recipe((_GPU_KNOWN,), _NOT_RUN),
    ("unfolded-x4", "gpu"): Recipe(
        (_GPU_KNOWN, Stage("fine", _gpu_pretrain(presets.pretrain_fine(), 32, 192))), _NOT_RUN
    ),
    ("unfolded-x3", "gpu"): Recipe(
        (
            _GPU_PHOTO,
            _GPU_PHOTO_SEVERAL,
            Stage("fine", _gpu_pretrain(presets.pretrain_fine_x3(), 32, 192)),
        ),
        _NOT_RUN,
    ),
    ("photo", "gpu"): Recipe((_GPU_PHOTO,), _NOT_RUN),
    ("photo-multi", "gpu"): Recipe(
        (
            _GPU_PHOTO,
            _GPU_PHOTO_SEVERAL,
        ),
        _NOT_RUN,
    ),
    ("estimator", "gpu"): Recipe((Stage("estimator", _gpu_pretrain(presets.pretrain_estimator(), 32, 256)),), _NOT_RUN),
    ("mzsr", "gpu"): Recipe(
        (_GPU_FIRST, Stage("meta-train", _GPU_META)),
        _NOT_RUN,
    ),
    ("mzsr-plus", "gpu"): Recipe((_GPU_FIRST, _GPU_PLUS), _NOT_RUN),
    ("mzsr-x3", "gpu"): Recipe(
        (_GPU_FIRST, Stage("meta-train-x3", replace(_GPU_META, scales=(3,), kernel_size=21, patch=96))), _NOT_RUN
    ),
    ("mzsr-x4", "gpu"): Recipe(
        (_GPU_FIRST, Stage("meta-train-x4", replace(_GPU_META, scales=(4,), kernel_size=21, patch=96))), _NOT_RUN
    ),
    ("mzsr-plus-multi", "gpu"): Recipe(
        (_GPU_FIRST, _GPU_PLUS, Stage("several", _gpu_pretrain(presets.pretrain_plus_multi(), 16, 144))), _NOT_RUN
    ),
}


def train_all(
    model: str,
    budget: str,
    folders: Sequence[str | Path],
    output: str | Path,
    group: Group | None = None,
    max_minutes: float | None = None,
    max_steps: int | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Path | None:
    """Run the stages of a recipe, or go on with them, and return the weights file; None when time was up before.

    Parameters
    ----------
    model, budget
        See `recipe`.
    folders
        Folders of high-resolution pictures.
    output
        Each stage gets a folder in it.
    group, max_minutes
        As for `stages.pretrain`; the minutes are those of all stages together.
    max_steps
        At most so many steps of each stage: a rehearsal.
    max_pixels
        Pictures of more are refused.

    Raises
    ------
    InputError
        If there is no such recipe, or a run in `output` has other settings.
    """
    plan, began, group = recipe(model, budget), monotonic(), group or Group()
    init: Path | None = None
    for stage in plan.stages:
        left = None if max_minutes is None else max_minutes - (monotonic() - began) / 60
        if left is not None and left <= 0:
            return None
        config = stage.config if max_steps is None else rehearsal(stage.config, max_steps)
        place = Path(output) / stage.name
        if isinstance(config, PretrainConfig):
            init = pretrain(config, folders, place, group, left, init=init, max_pixels=max_pixels)
        else:
            init = meta_train(config, folders, place, group, left, init=init, max_pixels=max_pixels)
        # Asking the group is also waiting for the process that writes.
        done = group.leads and checkpoints.step_of(place / "checkpoint.pt") >= config.steps
        if not group.any(done):
            return None
    if plan.settled and init and group.leads:
        settle(init, plan.settled)
    return init


def settle(path: Path, upscaler: inputs.Upscaler) -> None:
    """Write the input chosen after training into a weights file, beside the one of the training."""
    trained = weights.read_provenance(path)
    facts = {"input": inputs.described(upscaler), "trained_input": trained.get("trained_input", trained["input"])}
    weights.annotate(path, facts)


def rehearsal(config: PretrainConfig | MetaTrainConfig, steps: int) -> PretrainConfig | MetaTrainConfig:
    """Return the same settings for a run of a few steps, to see that everything is in place."""
    return replace(config, steps=min(steps, config.steps), validate_every=steps, log_every=steps)
