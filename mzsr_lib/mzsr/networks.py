"""The network of the paper, eight convolutions that repair an interpolated picture, and what any network offers."""

import itertools
from collections.abc import Container
from typing import Annotated

import torch
from torch import nn

from mzsr_lib.fields import Range
from mzsr_lib.runtime import Precision
from mzsr_lib.shapes import Images

# Wider or deeper than any network of this field, and still made in no time.
Width = Annotated[int, Range(1, 4096)]
Depth = Annotated[int, Range(1, 256)]
Layers = Annotated[int, Range(2, 256)]


class Network(nn.Module):
    """What the inner loop, the trainings and the weights files ask of a network, whichever it is.

    Attributes
    ----------
    settings
        The arguments that make the network again, without weights: what a weights file keeps.
    factor
        Output pixels for each input pixel, along a side.
    takes_kernel
        Whether it is called with the low-resolution picture and its degradation, and does the rest itself.
    precision
        Of its convolutions when it adapts or super-resolves, one of `runtime.PRECISIONS`; weights, losses and
        the steps stay in float32.
    """

    settings: dict
    factor: int
    takes_kernel: bool = False
    precision: Precision = "float32"

    @property
    def reach(self) -> int:
        """How far an output pixel looks to each side, px of the input."""
        raise NotImplementedError

    def at(self, scale: int) -> "Network":
        """Return this network, weights shared, for a scale; raise `InputError` when it cannot enlarge by it."""
        raise NotImplementedError


def convolution(channels: int, out: int) -> nn.Conv2d:
    """Return a 3 x 3 convolution that keeps the size, with zeros around the picture."""
    return nn.Conv2d(channels, out, 3, padding=1)


def initialise(
    network: nn.Module, generator: torch.Generator | None, small: Container[nn.Module] = (), factor: float = 0.1
) -> None:
    """Give every convolution its first weights, in the order of the network.

    Parameters
    ----------
    network
        Its biases become zero.
    generator
        Draws the weights (He et al., ICCV 2015); without one they are zero, to be loaded.
    small
        Convolutions that get `factor` of it, such as the last of a residual branch: the sum then starts
        next to the branch that goes around.
    """
    for layer in network.modules():
        if not isinstance(layer, nn.Conv2d):
            continue
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
        if generator is None:
            nn.init.zeros_(layer.weight)
            continue
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
        if layer in small:
            with torch.no_grad():
                layer.weight.mul_(factor)


class SRNetwork(Network):
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

    def __init__(self, channels: Width = 64, layers: Layers = 8, generator: torch.Generator | None = None):
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
