"""Stage 1, large-scale training: one network learns from many pairs (paper, Section 4.1)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch.nn import functional as F

from mzsr_lib import inputs, metrics, weights
from mzsr_lib.adaptation import super_resolve
from mzsr_lib.data import PatchSource, Pictures, draw_degradation, generator_for, read_pictures
from mzsr_lib.degradation import Degradation, DegradationPrior
from mzsr_lib.distributed import Group
from mzsr_lib.files import InputError
from mzsr_lib.images import centre_crop
from mzsr_lib.loop import Loop, Params
from mzsr_lib.networks import SRNetwork
from mzsr_lib.schedule import TrainConfig
from mzsr_lib.shapes import Images, OtherImages, Tensor


@dataclass(frozen=True)
class PretrainConfig(TrainConfig):
    """Settings of stage 1; the defaults are the paper's: bicubic pairs only. The other attributes are `TrainConfig`'s.

    Attributes
    ----------
    batch
        Patches an update, each with a kernel of its own.
    patch
        Side of the high-resolution patches, px.
    channels
        Feature maps of the network's hidden layers.
    layers
        Convolutions of the network; the paper's 8 of 64 channels have 225,091 parameters.
    """

    steps: int = 800_000
    learning_rate: float = 4e-4
    decay: str = "halving"
    floor: float = 1e-4
    validate_every: int = 5_000
    bicubic_share: float = 1.0
    plain_share: float = 1.0
    batch: int = 32
    patch: int = 96
    channels: int = 64
    layers: int = 8

    def __post_init__(self):
        super().__post_init__()
        least = 1 if self.bicubic_share == self.plain_share == 1 else self.kernel_size
        for scale in self.scales:
            if self.patch % scale or self.patch < least:
                raise InputError(
                    f"Patches of {self.patch} px must be a positive multiple of scale {scale}, "
                    "and no smaller than the kernels."
                )
        if min(self.batch, self.channels) < 1 or self.layers < 2:
            raise InputError("batch and channels must be at least 1, and layers at least 2.")

    @classmethod
    def cpu(cls) -> "PretrainConfig":
        """Return settings for about an hour on one or two CPU cores: smaller batches, a higher rate, a cosine decay.

        They count on a processor that multiplies bfloat16; on others ``precision="float32"`` is faster.
        """
        return cls(
            steps=18_000,
            learning_rate=1e-3,
            decay="cosine",
            floor=1e-6,
            warm_up=100,
            clip=1.0,
            ema=0.999,
            validate_every=500,
            batch=8,
            patch=64,
            precision="bfloat16",
        )

    @classmethod
    def quick(cls) -> "PretrainConfig":
        """Return settings for seconds: enough to see the loss fall, in a lesson or a test."""
        return cls(
            steps=60,
            learning_rate=1e-3,
            decay="cosine",
            ema=0.9,
            log_every=5,
            validate_every=30,
            batch=4,
            patch=32,
            channels=16,
            layers=4,
        )

    @classmethod
    def plus(cls) -> "PretrainConfig":
        """Return settings for the kernel-aware network: a wide prior, both ways of sampling, two passes.

        About an hour and a half on one CPU core that multiplies bfloat16.
        """
        return replace(
            cls.cpu(),
            learning_rate=8e-4,
            prior_low=0.2,
            prior_spacing="log",
            bicubic_share=0.4,
            plain_share=0.4,
            network_input="restored",
            passes=2,
            batch=4,
            patch=96,
        )


def pretrain_gradient(
    network: SRNetwork, source: PatchSource, config: PretrainConfig, group: Group, step: int
) -> dict[str, Tensor]:
    """Leave the gradient of the mean absolute error of one batch in the network's parameters.

    With several passes, the error is the mean over all of them. Every process draws the whole batch and
    works on its share, so their number does not matter.
    """
    generator = generator_for(config.seed, step, device=source.device)
    hr = source.sample(config.batch, config.patch, generator)
    degradation = draw_degradation(config.degradations(), config.batch, (config.seed, step), generator)
    mine = slice(group.rank, None, group.world)
    hr, degradation = hr[mine], degradation.part(mine)
    lr = degradation(hr)

    def run(given: Images) -> Images:
        with config.autocast(given.device):
            return network(given.contiguous(memory_format=torch.channels_last)).float()

    outputs = [output for _, output in inputs.run_passes(run, lr, degradation, config.upscaler())]
    losses = torch.stack([F.l1_loss(output, hr) for output in outputs]) * (len(hr) / config.batch)
    network.zero_grad(set_to_none=True)
    losses.mean().backward()
    group.sum_([*(p.grad for p in network.parameters()), total := losses.detach()])
    return {"loss": total.mean(), "last_loss": total[-1]}


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
    network: SRNetwork,
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


def initial_network(init: str | Path | None, random: SRNetwork, group: Group) -> SRNetwork:
    """Return the network to train, on the device of the group: weights by name or file, or the random one."""
    if init is not None:
        return weights.load(init, group.device).network
    return random.to(group.device, memory_format=torch.channels_last)


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
    pictures = pictures or read_pictures(folders)
    source = PatchSource(pictures.training, group.device)
    held_out = [centre_crop(p, 192, math.lcm(*config.scales)).to(group.device) for p in pictures.held_out]
    tests = validation_degradations(config.degradations(), len(held_out), group.device)
    random = SRNetwork(config.channels, config.layers, generator_for(config.seed, "weights"))
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
