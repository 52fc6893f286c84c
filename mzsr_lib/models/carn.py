"""CARN, a cascading residual network, and its smaller CARN-M (Ahn, Kang and Sohn, ECCV 2018), to be compared with."""

import copy
from collections.abc import Iterable, Sequence
from typing import Annotated

import torch
from torch import nn
from torch.nn import functional as F

from mzsr_lib.fields import Range, Scale
from mzsr_lib.files import InputError
from mzsr_lib.models.layers import DIV2K_MEAN, ColourShift, upsampler
from mzsr_lib.mzsr.networks import Network, Width, convolution, initialise
from mzsr_lib.shapes import Images, OtherImages, Planes


class Residual(nn.Module):
    """Two 3 x 3 convolutions, and a ReLU after the sum with what was given.

    Parameters
    ----------
    channels
        Feature maps.
    groups
        For CARN-M: of channels, which the two do not mix; a 1 x 1 convolution after them does.
    """

    def __init__(self, channels: int, groups: int | None = None):
        super().__init__()
        first, second = (nn.Conv2d(channels, channels, 3, padding=1, groups=groups or 1) for _ in range(2))
        mixed = [] if groups is None else [nn.ReLU(), nn.Conv2d(channels, channels, 1)]
        self.body = nn.Sequential(first, nn.ReLU(), second, *mixed)

    def forward(self, features: Planes) -> Planes:
        """Return features of the same shape."""
        return F.relu(features + self.body(features))


class Cascade(nn.Module):
    """Parts in a row, each of which is given a mixture of all that came before it.

    After each part, a 1 x 1 convolution joins its output with the outputs of all earlier parts and with
    what the cascade was given.

    Parameters
    ----------
    parts
        One for each place, or one alone, which stands in all of them.
    channels
        Feature maps.
    places
        How many.
    """

    def __init__(self, parts: Iterable[nn.Module], channels: int, places: int):
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self.joins = nn.ModuleList(nn.Conv2d(channels * n, channels, 1) for n in range(2, 2 + places))

    def forward(self, features: Planes) -> Planes:
        """Return features of the same shape."""
        seen = out = features
        for place, join in enumerate(self.joins):
            seen = torch.cat([seen, self.parts[place % len(self.parts)](out)], dim=1)
            out = F.relu(join(seen))
        return out


class CARN(Network):
    """A cascade of cascades of residual blocks, and an up-sampler for each scale.

    With the default arguments it has 1,591,939 parameters (paper: "1,592K"); CARN-M, with ``groups=4``, has
    414,787, of which 2,755 are biases (paper: "412K"). It takes the low-resolution picture and enlarges it itself.

    Parameters
    ----------
    channels
        Feature maps.
    blocks
        Cascades in the outer cascade, and residual blocks in each of them.
    scales
        For which there are up-samplers; the first is chosen until `at` chooses another.
    groups
        For CARN-M: its 3 x 3 convolutions have so many groups of channels, and each cascade one block alone,
        run `blocks` times.
    generator
        Draws the initial weights; without one they are zero, to be loaded.
    """

    def __init__(
        self,
        channels: Width = 64,
        blocks: Annotated[int, Range(1, 16)] = 3,
        scales: Sequence[Scale] = (2, 3, 4),
        groups: Width | None = None,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        self.settings = {"architecture": "carn", "channels": channels, "blocks": blocks, "scales": list(scales)}
        self.settings |= {} if groups is None else {"groups": groups}
        self.factor = scales[0]  # output pixels for each input pixel
        self.shift = ColourShift([-c for c in DIV2K_MEAN])
        self.entry = convolution(3, channels)
        own = blocks if groups is None else 1
        inner = [Cascade((Residual(channels, groups) for _ in range(own)), channels, blocks) for _ in range(blocks)]
        self.body = Cascade(inner, channels, blocks)
        ups = {str(scale): upsampler(channels, scale, activation=True, groups=groups or 1) for scale in scales}
        self.upsamplers = nn.ModuleDict(ups)
        self.exit = convolution(channels, 3)
        self.unshift = ColourShift(DIV2K_MEAN)
        initialise(self, generator)

    @property
    def reach(self) -> int:
        """How far an output pixel looks to each side, px of the input: one for each 3 x 3 convolution."""
        return 1 + 2 * self.settings["blocks"] ** 2 + 2

    def at(self, scale: int) -> "CARN":
        """Return this network, weights shared, with the up-sampler for a scale."""
        if str(scale) not in self.upsamplers:
            able = ", ".join(self.upsamplers)
            raise InputError(f"This CARN has no up-sampler for scale {scale}, only for {able}: choose another scale.")
        chosen = copy.copy(self)
        chosen.factor = scale
        return chosen

    def forward(self, image: Images) -> OtherImages:
        """Return the picture (B, 3, factor * h, factor * w) of a low-resolution one (B, 3, h, w) in [0, 1]."""
        features = self.body(self.entry(self.shift(image)))
        return self.unshift(self.exit(self.upsamplers[str(self.factor)](features)))
