"""Stage 1, large-scale training: one network learns from many bicubic pairs (paper, Section 4.1)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.func import functional_call
from torch.nn import functional as F

from mzsr_lib import metrics
from mzsr_lib.data import PatchSource, Pictures, bicubic_input, degraded_pair, generator_for, read_pictures
from mzsr_lib.degradation import Degradation, from_setting
from mzsr_lib.distributed import Group
from mzsr_lib.files import InputError
from mzsr_lib.images import check_scale
from mzsr_lib.kernels import named
from mzsr_lib.loop import Loop, Params
from mzsr_lib.networks import SRNetwork
from mzsr_lib.schedule import LoopConfig
from mzsr_lib.shapes import Images, OtherImages, Tensor

PRECISIONS = {"float32": None, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class PretrainConfig(LoopConfig):
    """Settings of stage 1; the defaults are the paper's. The other attributes are `LoopConfig`'s.

    Attributes
    ----------
    scale
        2, 3 or 4.
    batch
        Patches an update.
    patch
        Side of the high-resolution patches, px.
    channels
        Feature maps of the network's hidden layers.
    layers
        Convolutions of the network; the paper's 8 of 64 channels have 225,091 parameters.
    precision
        ``"float32"`` or ``"bfloat16"`` for the convolutions; weights and sums stay in float32.
    """

    steps: int = 800_000
    learning_rate: float = 4e-4
    decay: str = "halving"
    floor: float = 1e-4
    validate_every: int = 5_000
    scale: int = 2
    batch: int = 32
    patch: int = 96
    channels: int = 64
    layers: int = 8
    precision: str = "float32"

    def __post_init__(self):
        super().__post_init__()
        check_scale(self.scale)
        if self.precision not in PRECISIONS:
            raise InputError(f"There is no precision '{self.precision}': choose {' or '.join(PRECISIONS)}.")
        if self.patch % self.scale or self.patch < 1:
            raise InputError(f"Patches of {self.patch} px must be a positive multiple of scale {self.scale}.")
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


def pretrain_gradient(
    network: SRNetwork,
    source: PatchSource,
    config: PretrainConfig,
    degradation: Degradation,
    group: Group,
    step: int,
) -> dict[str, Tensor]:
    """Leave the gradient of the mean absolute error of one batch in the network's parameters.

    Every process draws the whole batch and works on its share, so their number does not matter.
    """
    hr = source.sample(config.batch, config.patch, generator_for(config.seed, step, device=source.device))
    inputs, targets = degraded_pair(hr[group.rank :: group.world], degradation, bicubic_input)
    precision = PRECISIONS[config.precision]
    with torch.autocast(source.device.type, dtype=precision, enabled=precision is not None):
        output = network(inputs.contiguous(memory_format=torch.channels_last))
    loss = F.l1_loss(output.float(), targets) * (len(inputs) / config.batch)
    network.zero_grad(set_to_none=True)
    loss.backward()
    group.sum_([*(p.grad for p in network.parameters()), total := loss.detach()])
    return {"loss": total}


def centre_crop(image: Images, size: int, scale: int) -> OtherImages:
    """Cut the middle of a picture: at most `size` px a side, a multiple of `scale`."""
    height, width = (min(size, s) // scale * scale for s in image.shape[-2:])
    top, left = (image.shape[-2] - height) // 2, (image.shape[-1] - width) // 2
    return image[..., top : top + height, left : left + width]


def held_out_psnr(
    network: SRNetwork, params: Params, held_out: Sequence[OtherImages], degradation: Degradation
) -> float:
    """Return the mean PSNR (dB, the paper's protocol) of the network on high-resolution pictures, degraded here."""
    scores = []
    for hr in held_out:
        with torch.no_grad():
            sr = functional_call(network, params, (bicubic_input(degradation(hr), degradation),))
        scores.append(metrics.protocol_psnr(sr, hr, degradation.scale))
    return sum(scores) / len(scores)


def pretrain(
    config: PretrainConfig,
    folders: Sequence[str | Path],
    output: str | Path,
    group: Group | None = None,
    max_minutes: float | None = None,
    max_steps: int | None = None,
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
    pictures
        Instead of `folders`, pictures in memory.
    """
    group = group or Group()
    if config.batch < group.world:
        raise InputError(f"{group.world} processes cannot share a batch of {config.batch}: start fewer.")
    pictures = pictures or read_pictures(folders)
    source = PatchSource(pictures.training, group.device)
    degradation = from_setting(named()["bicubic"], config.scale).to(group.device)
    held_out = [centre_crop(p, 192, config.scale).to(group.device) for p in pictures.held_out]
    network = SRNetwork(config.channels, config.layers, generator_for(config.seed, "weights"))
    network = network.to(group.device, memory_format=torch.channels_last)
    provenance = {
        "stage": "pretrain",
        "scale": config.scale,
        "data": [Path(folder).name for folder in folders],
        "pictures": {"training": len(pictures.training), "held_out": len(pictures.held_out)},
    }
    loop = Loop(
        network,
        config,
        lambda step: pretrain_gradient(network, source, config, degradation, group, step),
        lambda params: {"score": held_out_psnr(network, params, held_out, degradation)},
        output,
        group,
        provenance,
    )
    return loop.run(max_minutes, max_steps)
