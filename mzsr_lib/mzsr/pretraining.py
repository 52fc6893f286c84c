"""Stage 1, large-scale training: its settings, and the gradient of one batch (paper, Section 4.1)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated

import torch
from torch.nn import functional as F

from mzsr_lib.fields import Count, GreyLevels, NotNegative, Positive, Range, Share
from mzsr_lib.files import InputError
from mzsr_lib.imaging.blurs import AnyShape
from mzsr_lib.imaging.cameras import PhotographPrior
from mzsr_lib.imaging.degradation import DegradationPrior, Prior
from mzsr_lib.imaging.kernels import KernelPrior
from mzsr_lib.mzsr import inputs
from mzsr_lib.mzsr.networks import Network
from mzsr_lib.mzsr.settings import Decay, TrainConfig
from mzsr_lib.mzsr.tasks import PatchSource, Shots, draw_degradation, one_of
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
    shapes_share
        Share of the kernels that are no Gaussians but disks, motions and shakes; see `blurs.AnyShape`.
    largest
        Radius of the largest of these disks, px at scale 2, and a third of the longest motion; it grows with the scale.
    noise
        Largest standard deviation of the noise, in grey levels of 255; half of the pictures have none.
    photographs
        Draw pictures as they come, of which the truth is not told: see `cameras.PhotographPrior`.
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
    network: Mapping[str, int | str] = field(default_factory=lambda: {"channels": 64, "layers": 8})
    shapes_share: Share = 0.0
    largest: Annotated[float, Range(0.5, 20)] = 3.0
    noise: GreyLevels = 0.0
    photographs: bool = False

    def __post_init__(self):
        super().__post_init__()
        if self.photographs and not (self.shapes_share and self.kernel is None):
            raise InputError("Photographs have blurs of every shape: give a share of other shapes, and no kernel.")
        plain = self.kernel is None and self.bicubic_share == self.plain_share == 1
        least = 1 if plain else max(prior.kernels.size for prior in self.degradations())
        for scale in self.scales:
            if self.patch % scale or self.patch < least:
                raise InputError(
                    f"patch is {self.patch}: it must be a positive multiple of scale {scale}"
                    f"{'' if plain else f', and at least {least}, the size of the kernels'}."
                )

    def degradations(self) -> tuple[DegradationPrior, ...]:
        """Return the distributions of degradations, with blurs of other shapes and with noise."""
        return tuple(
            replace(prior, kernels=self._shapes(prior), noise=self.noise / 255) for prior in super().degradations()
        )

    def _shapes(self, prior: DegradationPrior) -> Prior:
        gaussians = prior.kernels
        if not self.shapes_share or not isinstance(gaussians, KernelPrior):
            return gaussians
        return AnyShape(gaussians, self.shapes_share, self.largest * prior.scale / 2)

    def shots(self, hr: Images, key: tuple[int | str, ...], generator: torch.Generator) -> Shots:
        """Return low-resolution pictures of high-resolution ones, and what is told of them."""
        if self.photographs:
            return Shots(hr, *self.photographs_of(key).take(hr, key))
        degradation = draw_degradation(self.degradations(), len(hr), key, generator)
        return Shots(hr, degradation(hr, generator), degradation)

    def photographs_of(self, key: tuple[int | str, ...]) -> PhotographPrior:
        """Return the photographs of one of the scales, by the key."""
        prior = one_of(self.degradations(), key)
        assert isinstance(prior.kernels, AnyShape)  # see __post_init__
        return PhotographPrior(prior.scale, prior.kernels, self.noise)


def pretrain_gradient(
    network: Network, source: PatchSource, config: PretrainConfig, group: Group, step: int
) -> dict[str, Tensor]:
    """Leave the gradient of the mean absolute error of one batch in the network's parameters.

    With several passes, the error is the mean over all of them. Every process draws the whole batch and
    works on its share, so their number does not matter.
    """
    generator = generator_for(config.seed, step, device=source.device)
    hr = source.sample(config.batch, config.patch, generator)
    shots = config.shots(hr, (config.seed, step), generator).part(slice(group.rank, None, group.world))

    def run(given: Images) -> OtherImages:
        with autocast(given.device, config.precision):
            return network(given.contiguous(memory_format=torch.channels_last)).float()

    if network.takes_kernel:
        network.precision = config.precision
        outputs = [network(shots.lr, shots.degradation)]
    else:
        passes = inputs.run_passes(run, shots.lr, shots.degradation, config.upscaler())
        outputs = [output for _, output in passes]
    losses = torch.stack([F.l1_loss(output, shots.hr) for output in outputs]) * (len(shots.hr) / config.batch)
    network.zero_grad(set_to_none=True)
    losses.mean().backward()
    total, grads = losses.detach(), [p.grad for p in network.parameters() if p.grad is not None]
    group.sum_([*grads, total])
    return {"loss": total.mean(), "last_loss": total[-1]}
