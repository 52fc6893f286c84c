"""Stage 1, large-scale training: one network learns from many pairs (paper, Section 4.1)."""

import math
from collections.abc import Sequence
from pathlib import Path

import torch

from mzsr_lib.files import InputError
from mzsr_lib.imaging import metrics
from mzsr_lib.imaging.degradation import Degradation, DegradationPrior
from mzsr_lib.imaging.images import centre_crop
from mzsr_lib.models import registry, weights
from mzsr_lib.mzsr import inputs
from mzsr_lib.mzsr.adaptation import super_resolve
from mzsr_lib.mzsr.networks import Network
from mzsr_lib.mzsr.pretraining import PretrainConfig, pretrain_gradient
from mzsr_lib.mzsr.settings import TrainConfig
from mzsr_lib.mzsr.tasks import PatchSource, Pictures, read_pictures
from mzsr_lib.runtime import Group, generator_for
from mzsr_lib.shapes import OtherImages
from mzsr_lib.training.loop import Loop, Params


def validation_degradations(
    degradations: Sequence[DegradationPrior], count: int, device: torch.device
) -> list[Degradation]:
    """Return a degradation for each of `count` held-out pictures: always the same, in the shares of the priors."""
    drawn = []
    for number in range(count):
        prior = degradations[number % len(degradations)]
        drawn.append(prior.sample(1, number / count, generator_for("validation", number)).shared().to(device))
    return drawn


def held_out_psnr(
    network: Network,
    params: Params,
    held_out: Sequence[OtherImages],
    degradations: Sequence[Degradation],
    upscaler: inputs.Upscaler = inputs.bicubic_input,
) -> float:
    """Return the mean PSNR (dB, the paper's protocol) of the network on high-resolution pictures, degraded here.

    Each picture has a degradation of its own, as `validation_degradations` gives them.
    """
    scores = []
    for hr, degradation in zip(held_out, degradations, strict=True):
        sr = super_resolve(network, params, degradation(hr), degradation, upscaler)
        scores.append(metrics.protocol_psnr(sr, hr, degradation.scale))
    return sum(scores) / len(scores)


def check_input(network: Network, config: TrainConfig) -> None:
    """Raise `InputError` unless an enlarging network is given the picture as it is, and any other an enlarged one."""
    if (network.factor == 1) == (config.network_input == inputs.NONE):
        wanted = "none" if network.factor > 1 else " or ".join(inputs.INPUTS)
        raise InputError(f"The network input is {config.network_input}, and this network takes {wanted}.")


def initial_network(init: str | Path | None, random: Network, group: Group) -> Network:
    """Return the network to train, on the device of the group: weights by name or file, or the random one.

    Raises
    ------
    InputError
        If the weights are of another kind of network than the random one.
    """
    if init is None:
        return random.to(group.device, memory_format=torch.channels_last)
    network = weights.load(init, group.device).network
    if type(network) is not type(random):
        kind, needed = (registry.kind_of(n.settings) for n in (network, random))
        raise InputError(f"{init} is a network of the kind {kind}, and here {needed} is trained: give other weights.")
    return network


def pretrain(
    config: PretrainConfig,
    folders: Sequence[str | Path],
    output: str | Path,
    group: Group | None = None,
    max_minutes: float | None = None,
    max_steps: int | None = None,
    init: str | Path | None = None,
    pictures: Pictures | None = None,
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
        Weights to start from, by shipped name or file, of the same architecture; by default random ones.
    pictures
        Instead of `folders`, pictures in memory.
    """
    group = group or Group()
    if config.batch < group.world:
        raise InputError(f"{group.world} processes cannot share a batch of {config.batch}: start fewer.")
    settings = registry.settings_for(config.network, config.scales)
    random = registry.build(settings, generator_for(config.seed, "weights"))
    check_input(random, config)
    pictures = pictures or read_pictures(folders)
    source = PatchSource(pictures.training, group.device)
    held_out = [centre_crop(p, 192, math.lcm(*config.scales)).to(group.device) for p in pictures.held_out]
    tests = validation_degradations(config.degradations(), len(held_out), group.device)
    network = initial_network(init, random, group)
    if network.settings != random.settings:
        raise InputError(f"{init} is a network with {network.settings}: give these settings, not {random.settings}.")
    loop = Loop(
        network,
        config,
        lambda step: pretrain_gradient(network, source, config, group, step),
        lambda params: {"score": held_out_psnr(network, params, held_out, tests, config.upscaler())},
        output,
        group,
        provenance("pretrain", config, init, folders, pictures),
    )
    return loop.run(max_minutes, max_steps)


def provenance(
    stage: str, config: TrainConfig, init: str | Path | None, folders: Sequence[str | Path], pictures: Pictures
) -> dict:
    """Return what the weights of a run say of where they come from, beside what `loop.Loop` adds."""
    return {
        "stage": stage,
        "scales": list(config.scales),
        "input": inputs.described(config.upscaler()),
        "init": str(Path(init).name) if init else None,
        "data": [Path(folder).name for folder in folders],
        "pictures": {"training": len(pictures.training), "held_out": len(pictures.held_out)},
    }
