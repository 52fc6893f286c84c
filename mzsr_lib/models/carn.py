"""CARN, a cascading residual network (Ahn, Kang and Sohn, ECCV 2018), as a baseline."""

import copy
from collections.abc import Iterable, Sequence

import torch
from torch import nn
from torch.nn import functional as F

from mzsr_lib.files import InputError
from mzsr_lib.models.layers import DIV2K_MEAN, ColourShift, exactly, upsampler
from mzsr_lib.mzsr.networks import Network, convolution, initialise
from mzsr_lib.shapes import Images, OtherImages, Planes


class Residual(nn.Module):
    """Two 3 x 3 convolutions, and a ReLU after the sum with what was given."""

    def __init__(self, channels: int):
        super().__init__()
        self.body = nn.Sequential(convolution(channels, channels), nn.ReLU(), convolution(channels, channels))

    def forward(self, features: Planes) -> Planes:
        """Return features of the same shape."""
        return F.relu(features + self.body(features))


class Cascade(nn.Module):
    """Parts in a row, each of which is given a mixture of all that came before it.

    After each part, a 1 x 1 convolution joins its output with the outputs of all earlier parts and with
    what the cascade was given.
    """

    def __init__(self, parts: Iterable[nn.Module], channels: int):
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self.joins = nn.ModuleList(nn.Conv2d(channels * n, channels, 1) for n in range(2, 2 + len(self.parts)))

    def forward(self, features: Planes) -> Planes:
        """Return features of the same shape."""
        seen = out = features
        for part, join in zip(self.parts, self.joins, strict=True):
            seen = torch.cat([seen, part(out)], dim=1)
            out = F.relu(join(seen))
        return out


class CARN(Network):
    """A cascade of cascades of residual blocks, and an up-sampler for each scale.

    With the default arguments it has 1,591,939 parameters (paper: "1,592K"); 964,163 with one up-sampler
    for x2. It takes the low-resolution picture and enlarges it itself.

    Parameters
    ----------
    channels
        Feature maps.
    blocks
        Cascades in the outer cascade, and residual blocks in each of them.
    scales
        For which there are up-samplers; the first is chosen until `at` chooses another.
    generator
        Draws the initial weights; without one they are zero, to be loaded.
    """

    def __init__(
        self,
        channels: int = 64,
        blocks: int = 3,
        scales: Sequence[int] = (2, 3, 4),
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        self.settings = {"architecture": "carn", "channels": channels, "blocks": blocks, "scales": list(scales)}
        self.factor = scales[0]  # output pixels for each input pixel
        self.shift = ColourShift(tuple(-c for c in DIV2K_MEAN))
        self.entry = convolution(3, channels)
        cascades = [Cascade((Residual(channels) for _ in range(blocks)), channels) for _ in range(blocks)]
        self.body = Cascade(cascades, channels)
        self.upsamplers = nn.ModuleDict({str(scale): upsampler(channels, scale, activation=True) for scale in scales})
        self.exit = convolution(channels, 3)
        self.unshift = ColourShift(DIV2K_MEAN)
        ends = {module.body[-1] for module in self.modules() if isinstance(module, Residual)}
        initialise(self, generator, small={*ends, self.exit})

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
        return self.unshift(exactly(self.exit, self.upsamplers[str(self.factor)](features)))
