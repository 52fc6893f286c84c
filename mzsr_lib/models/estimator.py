"""A network that looks at a low-resolution picture and says how it was blurred, how noisy it is, and how sure it is.

Four numbers, each with the error to be expected of it: the logarithm of the covariance of the blur and the shrinking,
a symmetric matrix with three of them, in px^2 of the low-resolution grid, and the logarithm of the noise. Both are
learned by the likelihood of the truth (Nix and Weigend, ICNN 1994): to be sure and wrong costs most.
"""

import math
from typing import NamedTuple

import torch
from torch import nn

from mzsr_lib.imaging.cameras import Taken
from mzsr_lib.imaging.images import is_flat, luma
from mzsr_lib.imaging.tiling import tiles
from mzsr_lib.mzsr.networks import Network, Width, convolution, initialise
from mzsr_lib.runtime import autocast
from mzsr_lib.shapes import Covariances, Float, Images, Tensor

PIECE = 128  # px of the low-resolution picture that are looked at together
# What shrinking itself blurs, px^2 of the low-resolution grid: on top of it small blurs hardly differ.
LEAST = 0.125
UNIT = 1 / 16  # by which grey levels are multiplied
MOST = 64  # pieces of one picture that are looked at, at most
SPREADS = (-3.5, 1.5)  # the logarithm of a spread is kept between them, softly

QUANTILES = (0.05, 0.2, 0.5)
# What is left of a picture without its brightness, slopes and the curvature of each axis.
MASK = torch.tensor([[[[1.0, -2.0, 1.0], [-2.0, 4.0, -2.0], [1.0, -2.0, 1.0]]]])

Values = Float[Tensor, "b 4"]


class Finding(NamedTuple):
    """What a picture seems to have gone through.

    Attributes
    ----------
    covariance
        Of the blur, (2, 2), px^2 of the low-resolution grid.
    noise
        Standard deviation of all that disturbs, in [0, 1].
    width_spread, noise_spread
        Errors that are expected, mean and absolute, of the logarithms of the blur's width and of the noise.
    """

    covariance: Float[Tensor, "2 2"]
    noise: float
    width_spread: float
    noise_spread: float


class Estimator(Network):
    """Convolutions, of whose features the mean, the spread and the peaks over the picture go into two plain layers.

    Parameters
    ----------
    channels
        Feature maps; twice as many on the coarser grid.
    generator
        Draws the initial weights; without one they are zero, to be loaded.
    """

    factor = 1

    def __init__(self, channels: Width = 32, generator: torch.Generator | None = None):
        super().__init__()
        self.settings = {"architecture": "estimator", "channels": channels}
        wide = 2 * channels
        self.fine = nn.Sequential(convolution(4, channels), nn.ReLU(), convolution(channels, channels), nn.ReLU())
        self.coarse = nn.Sequential(convolution(channels, wide), nn.ReLU(), convolution(wide, wide), nn.ReLU())
        self.hidden = nn.Linear(3 * (channels + wide) + len(QUANTILES) + 2, wide)
        self.last = nn.Linear(wide, 8)
        initialise(self, generator)
        for layer in (self.hidden, self.last):
            nn.init.zeros_(layer.bias)
            if generator is None:
                nn.init.zeros_(layer.weight)
            else:
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
        with torch.no_grad():
            self.last.weight.mul_(0.01)

    def at(self, scale: int) -> "Estimator":
        """Return this network, which sees no scale."""
        return self

    def forward(self, lr: Images) -> Float[Tensor, "b 8"]:
        """Return the four numbers and the logarithms of their spreads, the mean absolute errors that are expected."""
        # Differences of neighbours: brightness says nothing, and in bfloat16 would drown a grey level of noise.
        plane = luma(lr) * UNIT
        here, right, below, slant = plane[..., :-1, :-1], plane[..., :-1, 1:], plane[..., 1:, :-1], plane[..., 1:, 1:]
        slopes = torch.cat([right - here, below - here, slant - here, right - below], dim=1)
        with autocast(lr.device, self.precision):
            fine = self.fine(slopes.contiguous(memory_format=torch.channels_last))
            coarse = self.coarse(nn.functional.avg_pool2d(fine, 2))
        found = [_pooled(features.float()) for features in (fine, coarse)]
        pooled = torch.cat([*found, _calm(plane), _blocks(plane)], dim=1)
        values, spreads = self.last(torch.relu(self.hidden(pooled))).split(4, dim=1)
        low, high = SPREADS
        return torch.cat([values, low + (high - low) * torch.sigmoid(spreads)], dim=1)


def _pooled(features: Tensor) -> Tensor:
    flat = features.flatten(2)
    peaks = (flat**4).mean(dim=-1).clamp(min=1e-12) ** 0.25
    return torch.cat([flat.mean(dim=-1), flat.std(dim=-1), peaks], dim=1).add(1e-3).log()


def _calm(plane: Tensor) -> Tensor:
    """Return how rough a picture (B, 1, h, w) is where it is calmest: there noise is all there is (Immerkaer, 1996)."""
    rough = nn.functional.conv2d(plane, MASK.to(plane)).abs()
    around = nn.functional.avg_pool2d(rough, 5, 1).flatten(1)
    return torch.quantile(around, torch.tensor(QUANTILES).to(plane), dim=1).T.add(1e-2).log()


def _blocks(plane: Tensor) -> Tensor:
    """Return how much larger steps are between the blocks of 8 x 8 px that JPEG makes than within them, by axis."""
    found = []
    for turned in (plane, plane.mT):
        steps = turned.diff(dim=-1).abs().mean(dim=(1, 2))
        between = torch.arange(steps.shape[1], device=plane.device) % 8 == 7
        found.append((steps[:, between].mean(dim=1) + 1e-2).log() - (steps[:, ~between].mean(dim=1) + 1e-2).log())
    return torch.stack(found, dim=1)


def described(covariances: Covariances, noise: Float[Tensor, "b"]) -> Values:
    """Return the four numbers of blurs (B, 2, 2), px^2 of the low-resolution grid, and noises (B,)."""
    values, vectors = torch.linalg.eigh(covariances + LEAST * torch.eye(2).to(covariances))
    logarithm = vectors @ torch.diag_embed(values.log()) @ vectors.mT
    xx, yy, xy = logarithm[:, 0, 0], logarithm[:, 1, 1], logarithm[:, 0, 1]
    return torch.stack([(xx + yy) / 2, (xx - yy) / 2, xy, noise.log()], dim=1)


def covariance_of(values: Float[Tensor, "4"]) -> Float[Tensor, "2 2"]:
    """Return the covariance that the first three numbers describe; it may be that of no blur, or of less."""
    mean, across, slant = values[:3]
    logarithm = torch.stack([torch.stack([mean + across, slant]), torch.stack([slant, mean - across])])
    return torch.linalg.matrix_exp(logarithm) - LEAST * torch.eye(2).to(values)


def estimation_loss(found: Float[Tensor, "b 8"], taken: Taken, scale: int) -> Tensor:
    """Return the mean negative log-likelihood of the truth about pictures (Laplace's, whose tails are heavy).

    `found` is what the network says of them.
    """
    wanted = described(taken.covariances / scale**2, taken.noise)
    values, spread = found.split(4, dim=1)
    return ((wanted - values).abs() * (-spread).exp() + spread).mean()


def look(network: Estimator, lr: Images) -> Finding:
    """Return what a picture (1, 3, h, w) seems to have gone through, from pieces weighed by how sure each is.

    The network never saw a picture without texture, and does not doubt what it says of one: of its blur nothing is
    known.
    """
    height, width = lr.shape[-2:]
    pieces = list(tiles(height, width, 0, PIECE))
    whole = [piece for piece in pieces if all(part.stop - part.start == PIECE for part in piece.core)] or pieces
    whole = whole[:: -(-len(whole) // MOST)]
    with torch.no_grad():
        found = torch.cat([network(piece.cut(lr)) for piece in whole])
    mean, spread = found.double().split(4, dim=1)
    spread = spread.exp()
    weight = spread**-2 / (spread**-2).sum(dim=0)
    together = (weight * mean).sum(dim=0)
    # What pieces of one picture agree on may still be wrong: they share the scene.
    doubt = (weight * spread).sum(dim=0)
    noise = min(float(together[3].exp()), 1.0)
    width_spread = math.exp(SPREADS[1]) if is_flat(lr) else float(doubt[0] / 2)
    return Finding(covariance_of(together), noise, width_spread, float(doubt[3]))
