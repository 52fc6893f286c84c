"""A network told kernel, noise and doubt: the closed-form restoration and a small network, in turn, several times.

Minimising ``|A x - y|^2 / sigma^2 + prior(x)`` by half-quadratic splitting alternates between two simple problems
(USRNet: Zhang, Van Gool and Timofte, CVPR 2020): the picture nearest to the last one that agrees with the
low-resolution one, which has a closed form (`imaging.restoration`), and the removal of what disturbs it, which is
learned. Here the learned part works on the low-resolution grid, where it has a quarter of the pixels or fewer.
"""

from typing import Annotated

import torch
from torch import nn
from torch.nn import functional as F

from mzsr_lib.fields import Range
from mzsr_lib.imaging import restoration, tiling
from mzsr_lib.imaging.degradation import Degradation
from mzsr_lib.mzsr.networks import Network, Width, convolution, initialise
from mzsr_lib.runtime import autocast
from mzsr_lib.shapes import AnyPlanes, Images, OtherImages, Planes, Tensor

SCALES = (2, 3, 4)
ROUNDING = 1 / 255 / 12**0.5  # standard deviation of what rounding to 8 bits adds: no picture has less
NOISE_UNIT = 10 / 255  # by which the noise is divided before a convolution sees it
DOUBT_UNIT = 0.2  # the same for the doubt
FIRST_MU = (1e-3, 100.0, 0.1)


class Block(nn.Module):
    """Two convolutions, around which the features also go unchanged."""

    def __init__(self, channels: int):
        super().__init__()
        self.body = nn.Sequential(convolution(channels, channels), nn.ReLU(), convolution(channels, channels))

    def forward(self, features: Planes) -> Planes:
        """Return features of the same shape."""
        return features + self.body(features)


class Unfolded(Network):
    """Several stages, each a closed-form restoration with a weight of its own and a few residual blocks.

    Parameters
    ----------
    channels
        Feature maps.
    stages
        How often the picture is restored and repaired.
    blocks
        Residual blocks a stage; each stage has its own, while all share what packs and unpacks pixels.
    packed
        Pixels of each axis of the result that are packed into one of the grid the blocks work on, at most: the largest
        divisor of the scale. Without it the grid is that of the low-resolution picture; with 3 that of scale 4 is twice
        as fine, and its network may begin with the weights for scale 2.
    generator
        Draws the initial weights; without one they are zero, to be loaded.
    """

    takes_kernel = True
    factor = 1

    def __init__(
        self,
        channels: Width = 64,
        stages: Annotated[int, Range(1, 16)] = 3,
        blocks: Annotated[int, Range(1, 64)] = 2,
        packed: Annotated[int, Range(2, 4)] | None = None,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        self.settings = {"architecture": "unfolded", "channels": channels, "stages": stages, "blocks": blocks}
        self.settings |= {} if packed is None else {"packed": packed}
        self.packed = packed or max(SCALES)
        sides = sorted({self.side(scale) for scale in SCALES})
        # A pixel of the grid: those of the restored picture in it, the low-resolution colour, noise and doubt.
        self.pack = nn.ModuleDict({str(s): convolution(3 * s * s + 5, channels) for s in sides})
        self.bodies = nn.ModuleList(nn.Sequential(*(Block(channels) for _ in range(blocks))) for _ in range(stages))
        self.unpack = nn.ModuleDict({str(s): convolution(channels, 3 * s * s) for s in sides})
        # Logarithms of mu without noise and doubt, and of what the squares of noise and doubt are multiplied by.
        self.mu = nn.Parameter(torch.zeros(stages, 3))
        ends = {block.body[-1] for block in self.modules() if isinstance(block, Block)} | set(self.unpack.values())
        initialise(self, generator, small=ends)
        if generator is not None:
            with torch.no_grad():
                self.mu.copy_(torch.tensor(FIRST_MU).log())

    def side(self, scale: int) -> int:
        """Return how many pixels of each axis are packed into one: the largest divisor of the scale that is allowed."""
        return max(side for side in range(1, self.packed + 1) if scale % side == 0)

    @property
    def reach(self) -> int:
        """How far a stage looks to each side beside its restoration, px of the grid the blocks work on."""
        return 2 * self.settings["blocks"] + 2

    def at(self, scale: int) -> "Unfolded":
        """Return this network, which serves every scale."""
        return self

    def trust(self, stage: int, noise: Tensor, doubt: Tensor) -> Tensor:
        """Return mu of a stage, (B, 1, 1, 1), for noises and doubts (B,) as `Degradation` has them."""
        least, by_noise, by_doubt = self.mu[stage].exp()
        return (least + by_noise * noise**2 + by_doubt * doubt**2).view(-1, 1, 1, 1)

    def forward(self, lr: Images, degradation: Degradation) -> OtherImages:
        """Return the picture (B, 3, scale * h, scale * w) of a low-resolution one, of its degradation and noise."""
        noise, doubt = (
            torch.as_tensor(value, device=lr.device, dtype=lr.dtype).expand(len(lr))
            for value in (degradation.noise, degradation.doubt)
        )
        noise = noise.clamp(min=ROUNDING)
        levels = torch.stack([noise / NOISE_UNIT, doubt / DOUBT_UNIT], dim=1)[..., None, None]
        about = torch.cat([lr, levels.expand(-1, -1, *lr.shape[-2:])], dim=1)
        side = self.side(degradation.scale)
        about = F.interpolate(about, scale_factor=degradation.scale // side)
        sr = None
        for stage in range(self.settings["stages"]):
            sr = restoration.restore(lr, degradation, self.trust(stage, noise, doubt), sr)
            # Packed into a new name, so that a large picture is in memory only as what is still needed of it.
            packed = torch.cat([F.pixel_unshuffle(sr, side), about], dim=1)
            sr = None
            sr = self._repaired(stage, packed, side)
        assert sr is not None
        return sr

    def _repaired(self, stage: int, packed: AnyPlanes, side: int) -> Images:
        """Return the restored picture of a stage, repaired, of its pixels packed with what is known of them."""

        def repair(given: Planes) -> OtherImages:
            features = self.pack[str(side)](given.contiguous(memory_format=torch.channels_last))
            missing = self.unpack[str(side)](self.bodies[stage](features)).float()
            return F.pixel_shuffle(given[:, : missing.shape[1]] + missing, side)

        with autocast(packed.device, self.precision):
            return tiling.by_tiles(repair, packed, side, self.reach, "network")
