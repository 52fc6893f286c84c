"""RCAN, a residual network with channel attention (Zhang et al., ECCV 2018), to be compared with."""

import torch
from torch import nn

from mzsr_lib.fields import Scale
from mzsr_lib.files import InputError
from mzsr_lib.models.layers import DIV2K_MEAN, ColourShift, upsampler
from mzsr_lib.mzsr.networks import Depth, Network, Width, convolution, initialise
from mzsr_lib.shapes import Images, OtherImages, Planes

# The released weights know pictures in [0, 255]: their biases are in this unit.
RANGE = 255.0


class Attention(nn.Module):
    """Weigh every feature map by a number in (0, 1) that is found from the means of all maps."""

    def __init__(self, channels: int, reduction: int):
        super().__init__()
        self.weigh = nn.Sequential(
            nn.Conv2d(channels, channels // reduction, 1),
            nn.ReLU(),
            nn.Conv2d(channels // reduction, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, features: Planes) -> Planes:
        """Return features of the same shape."""
        return features * self.weigh(features.mean(dim=(-2, -1), keepdim=True))


class Block(nn.Module):
    """Two convolutions and attention, around which the features also go unchanged."""

    def __init__(self, channels: int, reduction: int):
        super().__init__()
        self.body = nn.Sequential(convolution(channels, channels), nn.ReLU(), convolution(channels, channels))
        self.attention = Attention(channels, reduction)

    def forward(self, features: Planes) -> Planes:
        """Return features of the same shape."""
        return features + self.attention(self.body(features))


class Group(nn.Module):
    """Blocks and a convolution, around which the features also go unchanged."""

    def __init__(self, channels: int, blocks: int, reduction: int):
        super().__init__()
        self.blocks = nn.Sequential(*(Block(channels, reduction) for _ in range(blocks)))
        self.end = convolution(channels, channels)

    def forward(self, features: Planes) -> Planes:
        """Return features of the same shape."""
        return features + self.end(self.blocks(features))


class RCAN(Network):
    """Groups of residual blocks with channel attention, and an up-sampler for one scale.

    With the default arguments it has 15,444,643 parameters at x2, 15,629,283 at x3 and 15,592,355 at x4.
    It takes the low-resolution picture and enlarges it itself.

    Parameters
    ----------
    channels
        Feature maps.
    groups, blocks
        Residual groups, and blocks in each.
    reduction
        Feature maps for each number between the two layers of the attention.
    scale
        2, 3 or 4.
    generator
        Draws the initial weights; without one they are zero, to be loaded.
    """

    def __init__(
        self,
        channels: Width = 64,
        groups: Depth = 10,
        blocks: Depth = 20,
        reduction: Width = 16,
        scale: Scale = 2,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        sizes = {"channels": channels, "groups": groups, "blocks": blocks, "reduction": reduction}
        self.settings = {"architecture": "rcan", **sizes, "scale": scale}
        self.factor = scale  # output pixels for each input pixel
        self.shift = ColourShift([-RANGE * c for c in DIV2K_MEAN])
        self.entry = convolution(3, channels)
        self.groups = nn.Sequential(*(Group(channels, blocks, reduction) for _ in range(groups)))
        self.end = convolution(channels, channels)
        self.upsampler = upsampler(channels, scale)
        self.exit = convolution(channels, 3)
        self.unshift = ColourShift([RANGE * c for c in DIV2K_MEAN])
        initialise(self, generator)

    @property
    def reach(self) -> int:
        """How far the convolutions look to each side, px of the input.

        The attention looks at the whole picture, so a picture computed in pieces is weighed piece by piece.
        """
        return 1 + self.settings["groups"] * (2 * self.settings["blocks"] + 1) + 1 + 2

    def at(self, scale: int) -> "RCAN":
        """Return this network, whose scale must be the one asked for."""
        if scale != self.factor:
            raise InputError(f"This RCAN enlarges by {self.factor}, not by {scale}: choose other weights.")
        return self

    def forward(self, image: Images) -> OtherImages:
        """Return the picture (B, 3, factor * h, factor * w) of a low-resolution one (B, 3, h, w) in [0, 1]."""
        features = self.entry(self.shift(RANGE * image))
        features = features + self.end(self.groups(features))
        return self.unshift(self.exit(self.upsampler(features))) / RANGE
