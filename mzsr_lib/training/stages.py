"""The two stages of training as runs: their pictures, what is validated, and where weights come from."""

import contextlib
import functools
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from mzsr_lib import files
from mzsr_lib.files import InputError
from mzsr_lib.imaging import metrics
from mzsr_lib.imaging.decoding import MAX_PIXELS
from mzsr_lib.imaging.degradation import Degradation, DegradationPrior
from mzsr_lib.imaging.images import centre_crop
from mzsr_lib.imaging.picture_sets import Pictures, read_pictures
from mzsr_lib.models import registry, weights
from mzsr_lib.models.estimator import Estimator
from mzsr_lib.mzsr import curvature, inputs
from mzsr_lib.mzsr.adaptation import Rule, adapt, starting_point, super_resolve
from mzsr_lib.mzsr.curvature import Curvature, LearnedStep
from mzsr_lib.mzsr.meta_training import MetaTrainConfig, meta_gradient
from mzsr_lib.mzsr.networks import Network, SRNetwork
from mzsr_lib.mzsr.pretraining import PretrainConfig, pretrain_gradient
from mzsr_lib.mzsr.settings import TrainConfig
from mzsr_lib.mzsr.tasks import PatchSource, Shots, Teacher
from mzsr_lib.runtime import Group, generator_for
from mzsr_lib.shapes import OtherImages, Tensor
from mzsr_lib.training import checkpoints, estimating
from mzsr_lib.training.loop import Loop, Params, Part


def validation_degradations(
    degradations: Sequence[DegradationPrior], count: int, device: torch.device
) -> list[Degradation]:
    """Return a degradation for each of `count` held-out pictures: always the same, in the shares of the priors."""
    drawn = []
    for number in range(count):
        prior = degradations[number % len(degradations)]
        drawn.append(prior.sample(1, number / count, generator_for("validation", number)).shared().to(device))
    return drawn


def watched(
    pictures: Pictures, config: TrainConfig, size: int, multiple: int, device: torch.device
) -> tuple[list[OtherImages], list[Degradation]]:
    """Return the middle, at most `size` px a side and a multiple, of each held-out picture, and its degradation."""
    held_out = [centre_crop(picture, size, multiple).to(device) for picture in pictures.held_out]
    return held_out, validation_degradations(config.degradations(), len(held_out), device)


def watched_shots(
    pictures: Pictures, config: PretrainConfig, size: int, multiple: int, device: torch.device
) -> list[Shots]:
    """Return the middle of each held-out picture as `watched` gives them, taken as the settings say."""
    held_out, degradations = watched(pictures, config, size, multiple, device)
    taken = []
    for number, (hr, degradation) in enumerate(zip(held_out, degradations, strict=True)):
        key, generator = ("validation", number), generator_for("validation", number, "noise", device=device)
        if config.photographs:
            taken.append(config.shots(hr, key, generator))
        else:
            taken.append(Shots(hr, degradation(hr, generator), degradation))
    return taken


def held_out_psnr(
    network: Network, params: Params, shots: Sequence[Shots], upscaler: inputs.Upscaler = inputs.bicubic_input
) -> float:
    """Return the mean PSNR (dB, the paper's protocol) of the network on low-resolution pictures."""
    scores = []
    for shot in shots:
        sr = super_resolve(network, params, shot.lr, shot.degradation, upscaler)
        scores.append(metrics.protocol_psnr(sr, shot.hr, shot.degradation.scale))
    return sum(scores) / len(scores)


VALIDATION_STEPS = (0, 1, 3, 10)
SCORED_STEPS = (1, 10)


def held_out_psnr_by_updates(
    network: Network,
    params: Params,
    held_out: Sequence[OtherImages],
    degradations: Sequence[Degradation],
    upscaler: inputs.Upscaler = inputs.bicubic_input,
    rule: Rule | None = None,
) -> dict[str, float]:
    """Return the mean PSNR (dB) on held-out pictures after `VALIDATION_STEPS` updates.

    Each picture has a degradation of its own. The updates are those of `rule`, by default plain ones. The score is
    the mean of those of `SCORED_STEPS`.
    """
    totals = dict.fromkeys(VALIDATION_STEPS, 0.0)
    for hr, degradation in zip(held_out, degradations, strict=True):
        lr = degradation(hr)
        point = params
        steps = adapt(network, params, lr, degradation, max(VALIDATION_STEPS), rule, upscaler)
        for step in range(max(VALIDATION_STEPS) + 1):
            if step > 0:
                point, _ = next(steps)
            if step in totals:
                sr = super_resolve(network, point, lr, degradation, upscaler)
                totals[step] += metrics.protocol_psnr(sr, hr, degradation.scale) / len(held_out)
    score = sum(totals[step] for step in SCORED_STEPS) / len(SCORED_STEPS)
    return {f"psnr_{step}": value for step, value in totals.items()} | {"score": score}


def initial_network(init: str | Path | None, random: Network, group: Group) -> tuple[Network, LearnedStep | None]:
    """Return the network to train, on the device of the group, and the step that was learned with its weights.

    The weights are those of a shipped name, a file or a checkpoint, or without any the random ones.

    Raises
    ------
    InputError
        If the weights are of another kind of network than the random one.
    """
    if init is None:
        return random.to(group.device, memory_format=torch.channels_last), None  # pyright: ignore[reportCallIssue]
    if checkpoints.holds_one(path := weights.locate(init)):
        found = checkpoints.weights_in(path, random.settings, group.device)
    else:
        found = weights.load(init, group.device)
    if type(found.network) is not type(random):
        kind, needed = (registry.kind_of(n.settings) for n in (found.network, random))
        raise InputError(f"{init} is a network of the kind {kind}, and here {needed} is trained: give other weights.")
    return found.network, found.rule


def as_set(found: Network, wanted: Network, init: str | Path | None) -> Network:
    """Return a network of other settings with the values of the one that was found, which must have all of them."""
    if found.settings == wanted.settings:
        return found
    values, named = dict(found.named_parameters()), dict(wanted.named_parameters())
    if any(name not in values or values[name].shape != value.shape for name, value in named.items()):
        raise InputError(f"{init} is a network with {found.settings}: give these settings, not {wanted.settings}.")
    wanted.load_state_dict({name: values[name] for name in named}, strict=False)
    return wanted.to(next(iter(values.values())).device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def provenance(
    stage: str,
    config: TrainConfig,
    init: str | Path | None,
    folders: Sequence[str | Path],
    pictures: Pictures,
) -> dict:
    """Return what the weights of a run say of where they come from, beside what `loop.Loop` adds."""
    return {
        "stage": stage,
        "scales": list(config.scales),
        "input": inputs.described(config.upscaler()),
        "init": str(Path(init).name) if init else None,
        "data": [Path(folder).name for folder in folders],
        "pictures": {"training": len(pictures.training), "held_out": len(pictures.held_out)},
        # By the names a user has for them.
        "fingerprints": {
            "pictures (--data)": pictures.fingerprint(),
            "first weights (--init)": weights.fingerprint(init) if init else "random",
        },
    }


def train(
    output: str | Path,
    group: Group,
    loop: Callable[[], Loop],
    max_minutes: float | None = None,
    max_steps: int | None = None,
) -> Path:
    """Make a loop in its folder and run it, and have the folder to oneself meanwhile."""
    with files.locked(output) if group.leads else contextlib.nullcontext():
        return loop().run(max_minutes, max_steps)


def supervised(
    network: Network, source: PatchSource, config: PretrainConfig, pictures: Pictures, group: Group
) -> tuple[Callable[[int], dict[str, Tensor]], Callable[[Params], dict[str, float]]]:
    """Return the gradient and the validation of stage 1: of a network that enlarges, or of the one that estimates."""
    size, multiple = 192, math.lcm(*config.scales)
    if isinstance(network, Estimator):
        held_out, _ = watched(pictures, config, size, multiple, group.device)
        return (
            functools.partial(estimating.estimate_gradient, network, source, config, group),
            functools.partial(estimating.held_out_likelihood, network, held_out=held_out, config=config),
        )
    shots = watched_shots(pictures, config, size, multiple, group.device)

    def validate(params: Params) -> dict[str, float]:
        return {"score": held_out_psnr(network, params, shots, config.upscaler())}

    return functools.partial(pretrain_gradient, network, source, config, group), validate


def pretrain(
    config: PretrainConfig,
    folders: Sequence[str | Path],
    output: str | Path,
    group: Group | None = None,
    max_minutes: float | None = None,
    max_steps: int | None = None,
    init: str | Path | None = None,
    pictures: Pictures | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Path:
    """Run stage 1, or continue it, and return the weights file.

    Parameters
    ----------
    config
        The settings.
    folders
        Folders of high-resolution pictures; 8 are held out.
    output
        Folder of the run: checkpoint, log and weights.
    group
        The processes that work together; by default this one on the CPU.
    max_minutes, max_steps
        Limits of this call.
    init
        Weights to start from, by shipped name, file or checkpoint, of the same architecture; by default random ones.
    pictures
        Instead of `folders`, pictures in memory.
    max_pixels
        Pictures of more are refused.
    """
    group = group or Group()
    if config.batch < group.world:
        raise InputError(f"{group.world} processes cannot share a batch of {config.batch}: start fewer.")
    random = registry.build(config.network, generator_for(config.seed, "weights"))
    pictures = pictures or read_pictures(folders, max_pixels=max_pixels)
    source = PatchSource(pictures.training, group.device)
    network = as_set(initial_network(init, random, group)[0], random, init)
    gradient, validate = supervised(network, source, config, pictures, group)
    loop = functools.partial(
        Loop,
        network,
        config,
        gradient,
        validate,
        output,
        group,
        provenance("pretrain", config, init, folders, pictures)
        | ({"input": inputs.described(inputs.unchanged_input)} if network.takes_kernel else {}),
    )
    return train(output, group, loop, max_minutes, max_steps)


def learned_step(config: MetaTrainConfig, network: Network, known: LearnedStep | None) -> Curvature | None:
    """Return the inner step that is learned beside the network's weights, or None when the settings ask for none.

    It goes on from a known one, that of the weights to start from.
    """
    if config.curvature == "none":
        return None
    count = config.inner_steps + config.steps_before
    learned = Curvature(network, config.curvature, count, config.task_lr, config.curvature_sets)
    if known is not None:
        learned.begin(known)
    return learned


def teacher(config: MetaTrainConfig, group: Group) -> Teacher | None:
    """Return what makes the targets of the queries, with the weights that the settings name; None for the originals.

    Raises
    ------
    InputError
        If the weights are told no kernel, or are for other scales.
    """
    if config.teacher is None:
        return None
    loaded = weights.load(config.teacher, group.device, config.precision)
    if inputs.described(loaded.upscaler)["kind"] != "restored" or not {*config.scales} <= {*loaded.scales}:
        scales = " and ".join(map(str, config.scales))
        raise InputError(f"{config.teacher} cannot teach at scale {scales}: give kernel-aware weights for it.")
    point = starting_point(loaded.network)
    return lambda lr, degradation: super_resolve(loaded.network, point, lr, degradation, loaded.upscaler)


def parts_of(learned: Curvature, config: MetaTrainConfig) -> list[Part]:
    """Return the parts of a learned step, each with its own share of the learning rate."""
    named = learned.named()
    rates = {"log_rates": named.pop("log_rates")}
    parts = [Part(part, speed) for part, speed in ((named, config.curvature_speed), (rates, config.rates_speed))]
    return [part for part in parts if part.named]


def meta_train(
    config: MetaTrainConfig,
    folders: Sequence[str | Path],
    output: str | Path,
    group: Group | None = None,
    max_minutes: float | None = None,
    max_steps: int | None = None,
    init: str | Path | None = "pretrained-x2",
    pictures: Pictures | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Path:
    """Run stage 2, or continue it, and return the weights file.

    Parameters
    ----------
    config, folders, output, group, max_minutes, max_steps, pictures, max_pixels
        As for stage 1: see `pretrain`.
    init
        Weights of stage 1, by shipped name, file or checkpoint; None starts from random weights.
    """
    group = group or Group()
    if config.tasks < group.world:
        raise InputError(
            f"{group.world} processes cannot share {config.tasks} task(s) an update: start fewer, or draw more tasks."
        )
    pictures = pictures or read_pictures(folders, max_pixels=max_pixels)
    source, distribution = PatchSource(pictures.training, group.device), config.distribution()
    held_out, tests = watched(pictures, config, 160, math.lcm(*config.scales) ** 2, group.device)
    network, known = initial_network(init, SRNetwork(generator=generator_for(config.seed, "weights")), group)
    learned, taught_by = learned_step(config, network, known), teacher(config, group)

    def validate(values: Params) -> dict[str, float]:
        params = {name: value for name, value in values.items() if not curvature.belongs(name)}
        rule = curvature.from_tensors(params, values) if learned else None
        return held_out_psnr_by_updates(network, params, held_out, tests, config.upscaler(), rule)

    loop = functools.partial(
        Loop,
        network,
        config,
        lambda step: meta_gradient(network, source, config, distribution, group, step, learned, taught_by),
        validate,
        output,
        group,
        provenance("meta-train", config, init, folders, pictures),
        parts_of(learned, config) if learned else (),
        curvature.finished if learned else dict,
    )
    return train(output, group, loop, max_minutes, max_steps)
