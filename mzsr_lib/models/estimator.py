"""A network that looks at a low-resolution picture and says how it was blurred, how noisy it is, and how sure it is.

Four numbers, each with the error to be expected of it: the logarithm of the covariance of the blur and the shrinking,
a symmetric matrix with three of them, in px^2 of the low-resolution grid, and the logarithm of the noise. They are
learned by the likelihood of the truth (Nix and Weigend, ICNN 1994): to be sure and wrong costs most. And the shape of
the blur, a kernel of half-pixel taps, learned by its divergence from the true one: where several kernels are likely,
what comes out is their mean, which is wider and does less harm than a wrong one.
"""

import itertools
import math
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from mzsr_lib.imaging.cameras import Taken, stretched
from mzsr_lib.imaging.compression import BLOCK
from mzsr_lib.imaging.images import is_flat, luma
from mzsr_lib.imaging.kernels import of_symmetric
from mzsr_lib.mzsr.networks import Network, Width, convolution, initialise
from mzsr_lib.runtime import autocast
from mzsr_lib.shapes import Covariances, Float, Images, Kernel, Tensor

PIECE = 128  # px of the low-resolution picture that are looked at together
# What shrinking itself blurs, px^2 of the low-resolution grid: on top of it small blurs hardly differ.
LEAST = 0.125
UNIT = 1 / 16  # by which grey levels are multiplied
MOST = 64  # pieces of one picture that are looked at, at most
SPREADS = (-3.5, 1.5)  # the logarithm of a spread is kept between them, softly
LAGS = 8  # px of the low-resolution picture over which slopes are compared with themselves
FINE = 2  # taps of a kernel for each pixel of the low-resolution picture, along a side

QUANTILES = (0.05, 0.2, 0.5)
# What is left of a picture without its brightness, slopes and the curvature of each axis.
MASK = torch.tensor([[[[1.0, -2.0, 1.0], [-2.0, 4.0, -2.0], [1.0, -2.0, 1.0]]]])

Values = Float[Tensor, "b 4"]
Found = Float[Tensor, "b n"]


class Finding(NamedTuple):
    """What a picture seems to have gone through.

    Attributes
    ----------
    covariance
        Of the blur, (2, 2), px^2 of the low-resolution grid.
    kernel
        Its shape, (k, k), two taps for each pixel of the low-resolution picture along a side; it sums to 1.
    noise
        Standard deviation of all that disturbs, in [0, 1].
    width_spread, noise_spread
        Errors that are expected, mean and absolute, of the logarithms of the blur's width and of the noise.
    """

    covariance: Float[Tensor, "2 2"]
    kernel: Kernel
    noise: float
    width_spread: float
    noise_spread: float


class Estimator(Network):
    """Convolutions, of whose features the mean, the spread and the peaks over the picture go into three plain layers.

    Beside them go what the slopes of the picture have in common with themselves some pixels away: a motion or a disk
    leaves its trace there (Goldstein and Fattal, ECCV 2012).

    Parameters
    ----------
    channels
        Feature maps; twice as many on the coarser grid.
    side
        Taps a side of the kernel, odd.
    width
        Numbers between the plain layers.
    generator
        Draws the initial weights; without one they are zero, to be loaded.
    """

    factor = 1

    def __init__(
        self, channels: Width = 32, side: Width = 15, width: Width = 384, generator: torch.Generator | None = None
    ):
        super().__init__()
        self.settings = {"architecture": "estimator", "channels": channels, "side": side, "width": width}
        wide = 2 * channels
        self.fine = nn.Sequential(convolution(4, channels), nn.ReLU(), convolution(channels, channels), nn.ReLU())
        self.coarse = nn.Sequential(convolution(channels, wide), nn.ReLU(), convolution(wide, wide), nn.ReLU())
        seen = 3 * (channels + wide) + len(QUANTILES) + 2 + 2 * (LAGS + 1) * (2 * LAGS + 1)
        self.hidden = nn.Sequential(nn.Linear(seen, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        self.last = nn.Linear(width, 8 + side**2)
        initialise(self, generator)
        for layer in (layer for layer in (*self.hidden, self.last) if isinstance(layer, nn.Linear)):
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

    def forward(self, lr: Images) -> Found:
        """Return the four numbers, the logarithms of the errors expected of them, and those of the kernel's taps.

        The errors are mean absolute ones; the taps may be multiplied by a constant.
        """
        # Differences of neighbours: brightness says nothing, and in bfloat16 would drown a grey level of noise.
        plane = luma(lr) * UNIT
        here, right, below, slant = plane[..., :-1, :-1], plane[..., :-1, 1:], plane[..., 1:, :-1], plane[..., 1:, 1:]
        slopes = torch.cat([right - here, below - here, slant - here, right - below], dim=1)
        with autocast(lr.device, self.precision):
            fine = self.fine(slopes.contiguous(memory_format=torch.channels_last))
            coarse = self.coarse(F.avg_pool2d(fine, 2))
        found = [_pooled(features.float()) for features in (fine, coarse)]
        pooled = torch.cat([*found, _calm(plane), _blocks(plane), _echoes(plane)], dim=1)
        values, spreads, shape = self.last(self.hidden(pooled)).split([4, 4, self.settings["side"] ** 2], dim=1)
        low, high = SPREADS
        return torch.cat([values, low + (high - low) * torch.sigmoid(spreads), shape], dim=1)


def _pooled(features: Tensor) -> Tensor:
    flat = features.flatten(2)
    peaks = (flat**4).mean(dim=-1).clamp(min=1e-12) ** 0.25
    return torch.cat([flat.mean(dim=-1), flat.std(dim=-1), peaks], dim=1).add(1e-3).log()


def _calm(plane: Tensor) -> Tensor:
    """Return how rough a picture (B, 1, h, w) is where it is calmest: there noise is all there is (Immerkaer, 1996)."""
    rough = F.conv2d(plane, MASK.to(plane)).abs()
    around = F.avg_pool2d(rough, 5, 1).flatten(1)
    return torch.quantile(around, torch.tensor(QUANTILES).to(plane), dim=1).T.add(1e-2).log()


def _blocks(plane: Tensor) -> Tensor:
    """Return how much larger steps are between the blocks of 8 x 8 px that JPEG makes than within them, by axis."""
    found = []
    for turned in (plane, plane.mT):
        steps = turned.diff(dim=-1).abs().mean(dim=(1, 2))
        between = torch.arange(steps.shape[1], device=plane.device) % BLOCK == BLOCK - 1
        found.append((steps[:, between].mean(dim=1) + 1e-2).log() - (steps[:, ~between].mean(dim=1) + 1e-2).log())
    return torch.stack(found, dim=1)


def _echoes(plane: Tensor) -> Tensor:
    """Return the autocorrelation of the slopes along each axis, over up to 8 px, as shares of their variance."""
    found = []
    for axis in (-1, -2):
        slopes = plane.diff(dim=axis).squeeze(1)
        height, width = slopes.shape[-2:]
        padded = (height + LAGS, width + LAGS)
        power = torch.fft.rfft2(slopes - slopes.mean(dim=(-2, -1), keepdim=True), padded).abs().square()
        both = torch.fft.irfft2(power, padded).roll(LAGS, dims=-1)[..., : LAGS + 1, : 2 * LAGS + 1]
        down, across = torch.arange(LAGS + 1).to(both), torch.arange(-LAGS, LAGS + 1).to(both).abs()
        both = both / ((height - down)[:, None] * (width - across))
        found.append((both / (both[:, :1, LAGS : LAGS + 1] + 1e-4)).flatten(1))
    return torch.cat(found, dim=1)


def described(covariances: Covariances, noise: Float[Tensor, "b"]) -> Values:
    """Return the four numbers of blurs (B, 2, 2), px^2 of the low-resolution grid, and noises (B,)."""
    logarithm = of_symmetric(covariances + LEAST * torch.eye(2).to(covariances), torch.log)
    xx, yy, xy = logarithm[:, 0, 0], logarithm[:, 1, 1], logarithm[:, 0, 1]
    return torch.stack([(xx + yy) / 2, (xx - yy) / 2, xy, noise.log()], dim=1)


def covariance_of(values: Float[Tensor, "4"]) -> Float[Tensor, "2 2"]:
    """Return the covariance that the first three numbers describe; it may be that of no blur, or of less."""
    mean, across, slant = values[:3]
    logarithm = torch.stack([torch.stack([mean + across, slant]), torch.stack([slant, mean - across])])
    return torch.linalg.matrix_exp(logarithm) - LEAST * torch.eye(2).to(values)


def estimation_loss(found: Found, taken: Taken, scale: int) -> Tensor:
    """Return how wrong it is what the network says of pictures.

    It is the mean negative log-likelihood of the truth (Laplace's, whose tails are heavy), and the divergence of the
    kernels from the true ones (Kullback and Leibler).
    """
    wanted = described(taken.covariances / scale**2, taken.noise)
    values, spread, shape = found.split([4, 4, found.shape[1] - 8], dim=1)
    side = math.isqrt(shape.shape[1])
    kernels = stretched(taken.blurs, taken.covariances * (FINE / scale) ** 2, side).clamp(min=0)
    divergence = F.kl_div(shape.log_softmax(dim=1), kernels.flatten(1), reduction="batchmean")
    return ((wanted - values).abs() * (-spread).exp() + spread).mean() + divergence


def _parts(length: int) -> list[slice]:
    """Return parts of one length that cover a side of a picture but for up to 7 px: they begin with a JPEG's blocks."""
    side, count = min(length, PIECE), -(-length // PIECE)
    starts = [(length - side) * part // max(count - 1, 1) // BLOCK * BLOCK for part in range(count)]
    return [slice(start, start + side) for start in starts]


def look(network: Estimator, lr: Images) -> Finding:
    """Return what a picture (1, 3, h, w) seems to have gone through, from pieces weighed by how sure each is.

    The network never saw a picture without texture, and does not doubt what it says of one: of its blur nothing is
    known.
    """
    pieces = list(itertools.product(*map(_parts, lr.shape[-2:])))
    pieces = pieces[:: -(-len(pieces) // MOST)]
    with torch.no_grad():
        found = torch.cat([network(lr[..., rows, columns]) for rows, columns in pieces])
    mean, spread, shape = found.double().split([4, 4, found.shape[1] - 8], dim=1)
    spread = spread.exp()
    weight = spread**-2 / (spread**-2).sum(dim=0)
    together = (weight * mean).sum(dim=0)
    # What pieces of one picture agree on may still be wrong: they share the scene.
    doubt = (weight * spread).sum(dim=0)
    noise = min(float(together[3].exp()), 1.0)
    width_spread = math.exp(SPREADS[1]) if is_flat(lr) else float(doubt[0] / 2)
    side = network.settings["side"]
    kernel = (weight[:, :1] * shape).sum(dim=0).softmax(dim=0).float().view(side, side)
    return Finding(covariance_of(together), kernel, noise, width_spread, float(doubt[3]))
