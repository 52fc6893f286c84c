"""Stage 1, large-scale training: its settings, and the gradient of one batch (paper, Section 4.1)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch.nn import functional as F

from mzsr_lib.files import InputError
from mzsr_lib.mzsr import inputs
from mzsr_lib.mzsr.networks import Network
from mzsr_lib.mzsr.settings import TrainConfig
from mzsr_lib.mzsr.tasks import PatchSource, draw_degradation
from mzsr_lib.runtime import Group, generator_for
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
        Arguments of the network: by default the paper's 8 convolutions of 64 channels, 225,091 parameters. Of another
        network also its ``"architecture"``, see `registry.build`; its scales are those above.
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
    network: Mapping[str, int | str] = field(default_factory=lambda: {"channels": 64, "layers": 8})

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
        if self.batch < 1:
            raise InputError(f"The batch is {self.batch}: it must be at least 1.")

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
            network={"channels": 16, "layers": 4},
        )

    @classmethod
    def blind(cls) -> "PretrainConfig":
        """Return settings for the blind network: every kernel, both ways of sampling, and none of them told.

        It is where stage 2 starts, and its fair rival. About twelve minutes on two CPU cores.
        """
        return replace(
            cls.cpu(),
            steps=9_000,
            learning_rate=5e-4,
            validate_every=1_000,
            prior_low=0.2,
            prior_high=5.0,
            prior_spacing="log",
            bicubic_share=0.4,
            plain_share=0.4,
            batch=6,
            patch=96,
        )

    @classmethod
    def specialist(cls) -> "PretrainConfig":
        """Return settings for a network of one kernel, to be named: the ceiling of what adapting to it can reach.

        Six minutes on one CPU core, from the blind network.
        """
        return replace(cls.blind(), kernel="g2.0d", steps=2_800, learning_rate=4e-4, validate_every=400)

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

    @classmethod
    def carn(cls) -> "PretrainConfig":
        """Return settings for CARN with all its channels and blocks, for x2 alone.

        About ten minutes on one CPU core: 4,000 of its 6,000 steps took seven. The authors train
        600,000 steps of 64 patches of 64 x 64 low-resolution px, for x2, x3 and x4 at once.
        """
        network = {"architecture": "carn", "channels": 64, "blocks": 3}
        return replace(cls.cpu(), network=network, network_input="none", steps=6_000, patch=32)

    @classmethod
    def rcan_small(cls) -> "PretrainConfig":
        """Return settings for a small RCAN (301,203 parameters, not 15.4 M).

        Under ten minutes on one CPU core: 3,500 of its 6,500 steps took four.
        """
        network = {"architecture": "rcan", "channels": 32, "groups": 3, "blocks": 4, "reduction": 8}
        return replace(cls.carn(), network=network, steps=6_500, precision="float32")


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
    lr, chosen = degradation(hr), network.at(degradation.scale)

    def run(given: Images) -> OtherImages:
        with config.autocast(given.device):
            return chosen(given.contiguous(memory_format=torch.channels_last)).float()

    outputs = [output for _, output in inputs.run_passes(run, lr, degradation, config.upscaler())]
    losses = torch.stack([F.l1_loss(output, hr) for output in outputs]) * (len(hr) / config.batch)
    network.zero_grad(set_to_none=True)
    losses.mean().backward()
    for unused in (p for p in network.parameters() if p.grad is None):  # the up-samplers of other scales
        unused.grad = torch.zeros_like(unused)
    group.sum_([*(p.grad for p in network.parameters()), total := losses.detach()])
    return {"loss": total.mean(), "last_loss": total[-1]}
