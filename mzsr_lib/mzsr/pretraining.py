"""Stage 1, large-scale training: its settings, and the gradient of one batch (paper, Section 4.1)."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch.nn import functional as F

from mzsr_lib.fields import Count, NotNegative, Positive, Share
from mzsr_lib.files import InputError
from mzsr_lib.mzsr import inputs
from mzsr_lib.mzsr.networks import Network
from mzsr_lib.mzsr.settings import Decay, TrainConfig
from mzsr_lib.mzsr.tasks import PatchSource, draw_degradation
from mzsr_lib.runtime import Group, autocast, generator_for
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
    network
        Arguments of the network: by default the paper's 8 convolutions of 64 channels, 225,091 parameters.
    """

    steps: Count = 800_000
    learning_rate: Positive = 4e-4
    decay: Decay = "halving"
    floor: NotNegative = 1e-4
    validate_every: Count = 5_000
    bicubic_share: Share = 1.0
    plain_share: Share = 1.0
    batch: Count = 32
    patch: Count = 96
    network: Mapping[str, int] = field(default_factory=lambda: {"channels": 64, "layers": 8})

    def __post_init__(self):
        super().__post_init__()
        plain = self.kernel is None and self.bicubic_share == self.plain_share == 1
        least = 1 if plain else max(prior.kernels.size for prior in self.degradations())
        for scale in self.scales:
            if self.patch % scale or self.patch < least:
                raise InputError(
                    f"Patches of {self.patch} px must be a positive multiple of scale {scale}, "
                    "and no smaller than the kernels."
                )


def pretrain_gradient(
    network: Network, source: PatchSource, config: PretrainConfig, group: Group, step: int
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

    def run(given: Images) -> OtherImages:
        with autocast(given.device, config.precision):
            return network(given.contiguous(memory_format=torch.channels_last)).float()

    outputs = [output for _, output in inputs.run_passes(run, lr, degradation, config.upscaler())]
    losses = torch.stack([F.l1_loss(output, hr) for output in outputs]) * (len(hr) / config.batch)
    network.zero_grad(set_to_none=True)
    losses.mean().backward()
    total, grads = losses.detach(), [p.grad for p in network.parameters() if p.grad is not None]
    group.sum_([*grads, total])
    return {"loss": total.mean(), "last_loss": total[-1]}
