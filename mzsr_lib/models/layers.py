"""Parts that CARN and RCAN share: the up-sampler and the colour shift."""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from mzsr_lib.shapes import Images, Tensor

# Mean colour (R, G, B) of DIV2K, on which the networks of 2018 were trained; part of their released programs.
DIV2K_MEAN = (0.4488, 0.4371, 0.4040)

# How an up-sampler reaches each scale: one pixel shuffle, or two after one another.
SHUFFLES = {2: (2,), 3: (3,), 4: (2, 2)}


def upsampler(channels: int, scale: int, activation: bool = False, groups: int = 1) -> nn.Sequential:
    """Return what enlarges feature maps: convolutions to ``channels * step^2`` maps, each with a pixel shuffle.

    Parameters
    ----------
    channels
        Feature maps before and after.
    scale
        2, 3 or 4; 4 is two steps of 2 (Shi et al., CVPR 2016).
    activation
        Whether a ReLU stands before each shuffle.
    groups
        Of channels, which the convolutions do not mix.
    """
    layers: list[nn.Module] = []
    for step in SHUFFLES[scale]:
        layers.append(nn.Conv2d(channels, channels * step**2, 3, padding=1, groups=groups))
        layers += [nn.ReLU()] if activation else []
        layers.append(nn.PixelShuffle(step))
    return nn.Sequential(*layers)


class ColourShift(nn.Module):
    """Mix the three colours of every pixel and add one: fixed, but released weights bring their own.

    Parameters
    ----------
    colour
        (R, G, B), in the unit of the picture.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, colour: Sequence[float]):
        super().__init__()
        self.register_buffer("weight", torch.eye(3)[:, :, None, None])
        self.register_buffer("bias", torch.tensor(colour))

    def forward(self, image: Images) -> Images:
        """Return the shifted picture, of the same shape."""
        return F.conv2d(image, self.weight, self.bias)
