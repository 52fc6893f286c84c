"""Photographs as they come: any blur, the usual programs that shrink, noise, sharpening, JPEG, and a rough idea of it.

What is told of most such pictures is not the truth: the Gaussian nearest to the blur, or something between it and the
blur, with a wrong width and a word of how wrong it may be, and one number for all that disturbs. A network that learns
from it need not be told the truth.
"""

import io
import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

from mzsr_lib import fields
from mzsr_lib.fields import NotNegative, Scale
from mzsr_lib.imaging import restoration
from mzsr_lib.imaging.blurs import AnyShape, followed, shrinking
from mzsr_lib.imaging.degradation import Degradation
from mzsr_lib.imaging.images import from_array, luma, round_to_8_bits, to_bytes
from mzsr_lib.imaging.kernels import gaussian_kernel, moments, of_symmetric, resampled
from mzsr_lib.imaging.resize import pad_symmetric
from mzsr_lib.runtime import generator_for
from mzsr_lib.shapes import Covariances, Float, Images, Kernels, OtherImages, Tensor

PROGRAMS = ("none", "bicubic", "area", "lanczos")
# What the antialiased bicubic that is told blurs as much as, by (scale / 2)^2 px^2: a camera without a shrinking
# program is told so much less.
SHRINKING = 0.5
NARROWEST = 0.05  # px^2: a Gaussian as narrow as this is none
WRONG_NOISE = 0.4  # standard deviation of the logarithm of what is told of the noise, around the truth
SHARES = {"register": 0.8, "sharp": 0.3, "clean": 0.4, "sharpened": 0.15, "jpeg": 0.45, "known": 0.4, "shaped": 0.6}
LARGEST_DOUBT = 0.35


def jpeg(image: Images, quality: int, subsampled: bool = True) -> Images:
    """Return pictures (B, 3, h, w) as JPEG stores them, at a quality from 1 to 100, with halved chroma or without."""
    read = []
    for picture in to_bytes(image).permute(0, 2, 3, 1).cpu().numpy():
        with io.BytesIO() as file:
            Image.fromarray(picture).save(file, "JPEG", quality=quality, subsampling=2 if subsampled else 0)
            read.append(from_array(np.array(Image.open(file))))
    return torch.cat(read).to(image)


def sharpen(image: Images, amount: float, radius: float) -> Images:
    """Return pictures after an unsharp mask: `amount` times what a Gaussian of `radius` px takes away is added."""
    side = 2 * math.ceil(2 * radius) + 1
    kernel = gaussian_kernel(torch.eye(2).to(image) * radius**2, side).expand(3, 1, -1, -1)
    return image + amount * (image - F.conv2d(pad_symmetric(image, side // 2), kernel, groups=3))


def seen(hr: Images, kernels: Kernels, scale: int) -> OtherImages:
    """Return every scale-th pixel of pictures (B, 3, H, W) blurred by (B, k, k): `degradation.blur` for wide ones."""
    edge = kernels.shape[-1] // 2
    padded = pad_symmetric(hr, edge)
    size = padded.shape[-2:]
    transfer = restoration.transfer_function(kernels, *size).conj().unsqueeze(-3)
    blurred = torch.fft.irfft2(torch.fft.rfft2(padded) * transfer, size)
    return blurred[..., edge : size[0] - edge : scale, edge : size[1] - edge : scale].contiguous()


def disturbance(lr: Images, clean: Images) -> Float[Tensor, "b"]:
    """Return the standard deviation of the white noise, in [0, 1], that disturbs the luma of pictures as much.

    Only the luma counts: JPEG costs colours more than all else, and that says little about the picture.
    """
    white = luma(torch.eye(3)[..., None, None].to(lr)) - 16  # what each colour adds to the luma
    error = (luma(lr) - luma(clean)).square().mean(dim=(1, 2, 3)).sqrt()
    return error / white.square().sum().sqrt()


def covariances(kernels: Kernels) -> Covariances:
    """Return the second moments (B, 2, 2) of kernels (B, k, k), px^2."""
    return torch.stack([moments(kernel)[1] for kernel in kernels])


def wrong(spread: Float[Tensor, "b"], generator: torch.Generator) -> Covariances:
    """Return maps (B, 2, 2) that make blurs wrong: in the logarithm of the width by `spread` (B,), and in shape."""
    drawn = torch.randn(len(spread), 3, generator=generator, device=spread.device).clamp(-2, 2)
    width, stretch, turn = (drawn * spread[:, None]).unbind(-1)
    change = torch.stack([torch.stack([stretch, turn], -1), torch.stack([turn, -stretch], -1)], -2) / 2
    return torch.eye(2).to(spread) * torch.exp(width)[:, None, None] + change


def stretched(kernels: Kernels, cov: Covariances, size: int) -> Kernels:
    """Return kernels (B, size, size) of the shapes of others (B, k, k), with second moments `cov` (B, 2, 2), px^2."""
    have, want = (of_symmetric(positive(each), torch.sqrt) for each in (covariances(kernels), cov))
    return resampled(kernels, have @ torch.linalg.inv(want), size)


def positive(cov: Covariances) -> Covariances:
    """Return covariances (B, 2, 2) whose eigenvalues are at least 0.05 px^2."""
    return of_symmetric(cov, lambda values: values.clamp(min=NARROWEST))


class Taken(NamedTuple):
    """Low-resolution pictures and the truth about them.

    Attributes
    ----------
    lr
        (B, 3, h, w).
    covariances
        Of the Gaussians nearest to the blurs before the pixels were kept, (B, 2, 2), px^2 of the high-resolution grid.
    noise
        Standard deviation (B,) of what disturbs the pictures, noise, JPEG and rounding: see `disturbance`.
    blurs
        The blurs themselves, (B, k, k).
    nameable
        Of which pictures the blur and the mode of sampling are the whole truth, (B,).
    """

    lr: OtherImages
    covariances: Covariances
    noise: Float[Tensor, "b"]
    blurs: Kernels
    nameable: Tensor


@dataclass(frozen=True)
class PhotographPrior:
    """The distribution of photographs: how they are taken, and what is told of it.

    Attributes
    ----------
    scale
        2, 3 or 4.
    blurs
        Of the lens and the hand, px of the high-resolution grid.
    noise
        Largest standard deviation of the noise, in grey levels of 255.
    """

    scale: Scale
    blurs: AnyShape
    noise: NotNegative = 15.0

    def __post_init__(self):
        fields.check(self)

    def take(self, hr: Images, key: tuple[int | str, ...]) -> tuple[OtherImages, Degradation]:
        """Return low-resolution pictures (B, 3, h, w) of (B, 3, H, W), and what is told of how they were taken.

        Everything follows from the key. Most lie as an ordinary enlargement does, and are told to have been shrunk by
        bicubic after a Gaussian blur; the others are told to have been sampled directly.
        """
        register = float(torch.rand((), generator=generator_for(*key, "register")))
        centred = register < SHARES["register"]
        taken = self.taken(hr, key, centred)
        generator = generator_for(*key, "told", device=hr.device)
        u = torch.rand(4, len(hr), generator=generator, device=hr.device)
        doubt = LARGEST_DOUBT * u[0]
        told = self._told(taken, doubt, u[2:], generator)
        # Some are told the truth, where the library has a word for it.
        known = taken.nameable & (u[1] < SHARES["known"])
        kernels = torch.where(known[:, None, None], taken.blurs, told)
        wrong = torch.exp(WRONG_NOISE * torch.randn(len(hr), generator=generator, device=hr.device) * ~known)
        mode = "bicubic" if centred else "direct"
        return taken.lr, Degradation(kernels, self.scale, mode, taken.noise * wrong, doubt * ~known)

    def _told(
        self, taken: "Taken", doubt: Float[Tensor, "b"], u: Float[Tensor, "2 b"], generator: torch.Generator
    ) -> Kernels:
        """Return the kernels (B, k, k) that are told: wrong ones, Gaussian or partly of the blur's own shape."""
        change = wrong(doubt, generator)
        gaussians = gaussian_kernel(positive(change @ taken.covariances @ change.mT), self.blurs.size)
        shapes = stretched(taken.blurs, taken.covariances, self.blurs.size)
        shapes = resampled(shapes, torch.linalg.inv(change), self.blurs.size)
        return gaussians.lerp(shapes, (u[0] * (u[1] < SHARES["shaped"]))[:, None, None])

    def taken(self, hr: Images, key: tuple[int | str, ...], centred: bool = True) -> "Taken":
        """Return low-resolution pictures and the truth; `centred` ones lie as an ordinary enlargement does."""
        generator = generator_for(*key, "photograph", device=hr.device)
        u = torch.rand(8, len(hr), generator=generator, device=hr.device)
        place = float(torch.rand((), generator=generator_for(*key, "place")) - 0.5) / 2
        program = (len(PROGRAMS) * u[0]).long() * centred
        whole, blurs = self._blurs(u, program, place * centred + centred * (self.scale - 1) / 2, key)
        clean = seen(hr, whole, self.scale)
        lr, sharpened = self._disturbed(clean, u, generator)
        less = SHRINKING * (self.scale / 2) ** 2 * (program == 0) * centred
        cov = positive(covariances(blurs) - less[:, None, None] * torch.eye(2).to(u))
        nameable = (program == PROGRAMS.index("bicubic")) | (not centred)
        return Taken(lr, cov, disturbance(lr, sharpened), blurs, nameable)

    def _blurs(
        self, u: Float[Tensor, "n b"], program: Tensor, place: float, key: tuple[int | str, ...]
    ) -> tuple[Float[Tensor, "b m m"], Kernels]:
        """Return the kernels of all that happens before pixels are kept, and those of the blurs alone."""

        def lens(middle: float) -> Kernels:
            drawn = generator_for(*key, "lens", device=u.device)
            return self.blurs.sample(u.shape[1], drawn, u.device, middle)

        alone = (program == 0)[:, None, None]
        none = F.pad(torch.ones(1, 1, 1).to(u), (self.blurs.size // 2,) * 4).expand(u.shape[1], -1, -1)
        sharp = (u[1] < SHARES["sharp"])[:, None, None]
        blurs = torch.where(sharp & ~alone, none, lens(0.0))
        taps = [shrinking(name, self.scale) for name in PROGRAMS[1:]]
        taps = torch.stack([F.one_hot(torch.tensor(len(taps[0]) // 2), len(taps[0])).float(), *taps]).to(u)
        return followed(torch.where(alone, lens(place), blurs), taps[program]), blurs

    def _disturbed(
        self, clean: OtherImages, u: Float[Tensor, "n b"], generator: torch.Generator
    ) -> tuple[OtherImages, OtherImages]:
        """Return pictures after noise, sharpening and JPEG, each of them or not, in 8 bits; and only sharpened ones."""
        noisy = u[2] > SHARES["clean"]
        deviation = (self.noise / 255 * u[3] ** 2 * noisy).view(-1, 1, 1, 1)
        by_signal = u[4].view(-1, 1, 1, 1)  # share of the variance that grows with the light
        variance = deviation**2 * (1 - by_signal + 2 * by_signal * clean.clamp(0, 1))
        disturbed = clean + variance.sqrt() * torch.randn(clean.shape, generator=generator, device=clean.device)
        done = []
        for pair, (sharpened, compressed, strength) in zip(
            torch.stack([disturbed, clean], 1), u[5:].T.tolist(), strict=True
        ):
            if sharpened < SHARES["sharpened"]:
                pair = sharpen(pair, 0.3 + strength, 0.6 + strength)
            picture = round_to_8_bits(pair[:1])
            if compressed < SHARES["jpeg"]:
                picture = jpeg(picture, round(40 + 60 * strength), compressed < 2 / 3 * SHARES["jpeg"])
            done.append((picture, pair[1:].clamp(0, 1)))
        lr, sharp = map(torch.cat, zip(*done, strict=True))
        return lr, sharp
