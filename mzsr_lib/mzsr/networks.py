"""The network of the paper: eight convolutions that repair an interpolated picture."""

import itertools

import torch
from torch import nn

from mzsr_lib.layers import convolution, initialise
from mzsr_lib.shapes import Images


class SRNetwork(nn.Module):
    """Eight 3 x 3 convolutions with ReLU between them and a global residual (paper, Section 4.1).

    With the default arguments it has 225,091 parameters. The input is a picture that was already
    enlarged to the size of the output; the network adds what is missing. Borders are padded with zeros.

    Parameters
    ----------
    channels
        Feature maps of the hidden layers.
    layers
        Number of convolutions, at least 2.
    generator
        Draws the initial weights (He et al., ICCV 2015); without one they are zero, to be loaded.
    """

    factor = 1  # output pixels for each input pixel: the input was enlarged before

    def __init__(self, channels: int = 64, layers: int = 8, generator: torch.Generator | None = None):
        super().__init__()
        self.settings = {"channels": channels, "layers": layers}
        widths = [3, *[channels] * (layers - 1), 3]
        convolutions = [convolution(a, b) for a, b in itertools.pairwise(widths)]
        self.body = nn.Sequential()
        for layer in convolutions[:-1]:
            self.body.extend([layer, nn.ReLU()])
        self.body.append(convolutions[-1])
        # A small last layer starts training next to the interpolated picture instead of next to noise.
        initialise(self, generator, small={convolutions[-1]})

    @property
    def reach(self) -> int:
        """How far an output pixel looks to each side, px: one for each 3 x 3 convolution."""
        return self.settings["layers"]

    def at(self, scale: int) -> "SRNetwork":
        """Return this network, which serves every scale."""
        return self

    def forward(self, image: Images) -> Images:
        """Return the repaired picture, of the same shape as the enlarged one given."""
        return image + self.body(image)


def parameter_count(network: nn.Module) -> int:
    """Return the number of numbers that are learned."""
    return sum(p.numel() for p in network.parameters())
