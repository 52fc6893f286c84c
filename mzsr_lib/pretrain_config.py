"""The settings of stage 1: what is trained, on what, and for how long."""

from dataclasses import dataclass, replace

from mzsr_lib import inputs
from mzsr_lib.architectures import CLASSES, PAPER
from mzsr_lib.files import InputError
from mzsr_lib.schedule import TrainConfig

# The residual blocks of the published CARN (in each of as many cascades) and RCAN (in each group).
BLOCKS = {"carn": 3, "rcan": 20}


@dataclass(frozen=True)
class PretrainConfig(TrainConfig):
    """Settings of stage 1; the defaults are the paper's: bicubic pairs only. The other attributes are `TrainConfig`'s.

    Attributes
    ----------
    batch
        Patches an update, each with a kernel of its own.
    patch
        Side of the high-resolution patches, px.
    architecture
        ``"mzsr"``, the paper's network, or one of the baselines ``"carn"`` and ``"rcan"``, which take the
        low-resolution picture itself.
    channels
        Feature maps of the network's hidden layers.
    layers
        Of mzsr: convolutions; the paper's 8 of 64 channels have 225,091 parameters.
    groups
        Of rcan: residual groups.
    blocks
        Of rcan: residual blocks in each group; of carn: cascades, and residual blocks in each. By default as
        published, 20 and 3.
    reduction
        Of rcan: channels for each hidden number of the attention.
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
    architecture: str = PAPER
    channels: int = 64
    layers: int = 8
    groups: int = 10
    blocks: int | None = None
    reduction: int = 16

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
        if min(self.batch, self.channels) < 1 or self.layers < 2:
            raise InputError("batch and channels must be at least 1, and layers at least 2.")
        self._check_architecture()

    def _check_architecture(self) -> None:
        if self.architecture not in CLASSES:
            known = " or ".join(CLASSES)
            raise InputError(f"There is no architecture '{self.architecture}': choose {known}.")
        if min(self.groups, 1 if self.blocks is None else self.blocks) < 1:
            raise InputError("groups and blocks must be at least 1.")
        if self.architecture == PAPER:
            return
        if self.network_input != "bicubic":
            raise InputError(f"{self.architecture} takes the low-resolution picture: leave the network input out.")
        if self.architecture == "rcan" and (len(self.scales) > 1 or not 1 <= self.reduction <= self.channels):
            raise InputError("rcan takes one scale, and a reduction between 1 and the channels.")

    def upscaler(self) -> inputs.Upscaler:
        """Return what makes the network's input: a baseline is given the low-resolution picture as it is."""
        return super().upscaler() if self.architecture == PAPER else inputs.unchanged_input

    def network_settings(self) -> dict:
        """Return the settings with which `architectures.build` makes the network."""
        if self.architecture == PAPER:
            return {"channels": self.channels, "layers": self.layers}
        blocks = BLOCKS[self.architecture] if self.blocks is None else self.blocks
        settings = {"architecture": self.architecture, "channels": self.channels, "blocks": blocks}
        if self.architecture == "carn":
            return settings | {"scales": list(self.scales)}
        return settings | {"groups": self.groups, "reduction": self.reduction, "scale": self.scales[0]}

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
        return replace(cls.cpu(), architecture="carn", steps=6_000, patch=32)

    @classmethod
    def rcan_small(cls) -> "PretrainConfig":
        """Return settings for a small RCAN (301,203 parameters, not 15.4 M).

        Under ten minutes on one CPU core: 3,500 of its 6,500 steps took four.
        """
        sizes = {"channels": 32, "groups": 3, "blocks": 4, "reduction": 8}
        return replace(cls.carn(), architecture="rcan", steps=6_500, precision="float32", **sizes)
