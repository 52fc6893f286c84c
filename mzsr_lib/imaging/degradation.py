"""What the camera does: blur, subsample, add noise, round to 8 bits (paper, Equation 1)."""

import math
from dataclasses import dataclass, replace
from typing import Protocol, get_args, runtime_checkable

import torch
from torch.nn import functional as F

from mzsr_lib import fields
from mzsr_lib.files import InputError
from mzsr_lib.imaging import images, resize
from mzsr_lib.imaging.images import check_scale, crop_to_multiple, round_to_8_bits
from mzsr_lib.imaging.kernels import Mode, Setting, moments
from mzsr_lib.imaging.resize import downscale, pad_symmetric
from mzsr_lib.shapes import Kernels, OtherPlanes, Planes, Tensor

MODES = get_args(Mode)
OFF_CENTRE = 0.1  # px: from here on the mass of a kernel lies off its centre


def blur(image: Planes, kernel: Kernels, stride: int = 1) -> OtherPlanes:
    """Correlate every channel with the kernel; beyond the border the picture is mirrored, its edge repeated.

    Parameters
    ----------
    image
        (B, C, H, W).
    kernel
        (k, k) for all pictures, or (B, k, k), one each.
    stride
        Keep only pixels 0, stride, 2 stride, ... of both axes: blur and subsampling in one pass.
    """
    count, channels = image.shape[:2]
    size = kernel.shape[-1]
    padded = pad_symmetric(image, size // 2)
    weights = kernel.to(image).expand(count, size, size).repeat_interleave(channels, dim=0)[:, None]
    flat = padded.reshape(1, count * channels, *padded.shape[-2:])
    blurred = F.conv2d(flat, weights, stride=stride, groups=count * channels)
    return blurred.reshape(count, channels, *blurred.shape[-2:])


def subsample(image: Planes, scale: int) -> OtherPlanes:
    """Keep pixels 0, scale, 2 scale, ... of both axes, without any shift ("direct" in the paper)."""
    return image[..., ::scale, ::scale]


@dataclass(frozen=True)
class Degradation:
    """``LR = (HR (*) kernel) subsampled by scale + noise``, clipped and rounded to 8 bits.

    Attributes
    ----------
    kernel
        (k, k), or (B, k, k) with one kernel for each picture of the batch.
    scale
        2, 3 or 4; 1 is a blur alone.
    mode
        ``"direct"`` keeps every scale-th pixel, so that HR pixel (0, 0) is LR pixel (0, 0);
        ``"bicubic"`` shrinks with the antialiased bicubic, whose pixel centres are aligned.
    noise
        Standard deviation of white Gaussian noise, in the image's units [0, 1]; of each picture its own with (B,).
    doubt
        How wrong the kernel may be: the standard deviation of the logarithm of its width, as `noise`; 0 for one that
        is known. Nothing changes by it but what a network for photographs makes of it.
    """

    kernel: Kernels
    scale: int = 2
    mode: Mode = "direct"
    noise: fields.Share | Tensor = 0.0
    doubt: fields.NotNegative | Tensor = 0.0

    def __post_init__(self):
        check_scale(self.scale, least=1)
        fields.check(self)
        height, width = self.kernel.shape[-2:]
        if height != width or width % 2 == 0:
            raise InputError(
                f"The kernel has {height} x {width} taps: it must be a square of odd size, as kernel_files.normalise "
                "makes any."
            )
        if not torch.is_tensor(self.noise) and not fields.fits(self.noise, fields.Share):
            raise InputError(
                f"noise is {self.noise!r}: it must be a number from 0 to 1, or one for each picture. White is 1, and a "
                "grey level 1 / 255."
            )

    def to(self, device: torch.device | str) -> "Degradation":
        """Return the same degradation with its kernel on `device`."""
        return replace(self, kernel=self.kernel.to(device))

    @property
    def offset(self) -> tuple[float, float]:
        """How many px right of and below its centre pixel the mass of the one kernel lies; less than 0.1 px is none.

        Files of ZSSR and KernelGAN have (scale - 1) / 2 on purpose: with it, low-resolution pixel i lies in the middle
        of the high-resolution pixels that it covers, although every scale-th one is kept.
        """
        if self.kernel.ndim == 3:  # those of trainings, which are centred
            return 0.0, 0.0
        x, y = moments(self.kernel)[0].tolist()
        return (x, y) if max(abs(x), abs(y)) > OFF_CENTRE else (0.0, 0.0)

    def centred(self) -> "Degradation":
        """Return the same degradation with its one kernel moved so that its mass lies at its centre.

        A picture degraded by it is that of the other kernel, of a scene moved by `offset`. By half pixels the kernel is
        moved with Keys' cubic, which leaves its width as it is.
        """
        x, y = self.offset
        if (x, y) == (0.0, 0.0):
            return self
        edge = math.ceil(max(abs(x), abs(y))) + 3
        moved = resize.shift(F.pad(self.kernel, (edge,) * 4)[None, None], -x, -y)[0, 0]
        inner = moved[edge:-edge, edge:-edge]
        kept = inner if (moved.abs().sum() - inner.abs().sum()) < 1e-3 else moved
        return replace(self, kernel=kept / kept.sum())

    def remark(self) -> str | None:
        """Say in one sentence that the kernel's mass lies off its centre, and what follows; None when it does not."""
        x, y = self.offset
        if (x, y) == (0.0, 0.0):
            return None
        wanted = (self.scale - 1) / 2
        if max(abs(x - wanted), abs(y - wanted)) < OFF_CENTRE and self.mode == "direct":
            return (
                f"The kernel's mass lies {wanted:g} px, (scale - 1) / 2, right of and below its centre, as in files of "
                "ZSSR and KernelGAN: networks trained with centred kernels are told it centred, and their pictures are "
                "moved back to where it says."
            )
        return (
            f"The kernel's mass lies {images.beside(x, y)} its centre: networks trained with "
            "centred kernels are told it centred, and their pictures are moved back to where it says."
        )

    def part(self, which: slice) -> "Degradation":
        """Return the degradation of some pictures of the batch."""
        noise, doubt = (value[which] if torch.is_tensor(value) else value for value in (self.noise, self.doubt))
        kernel = self.kernel[which] if self.kernel.ndim == 3 else self.kernel
        return replace(self, kernel=kernel, noise=noise, doubt=doubt)

    def shared(self) -> "Degradation":
        """Return the same degradation with its first kernel for all pictures."""
        return replace(self, kernel=self.kernel.reshape(-1, *self.kernel.shape[-2:])[0])

    def linear(self, image: Planes) -> OtherPlanes:
        """Blur and subsample only: the linear part, without noise, clipping or rounding."""
        if self.mode == "direct":
            return blur(image, self.kernel, stride=self.scale)
        return downscale(blur(image, self.kernel), self.scale)

    def __call__(self, image: Planes, generator: torch.Generator | None = None) -> OtherPlanes:
        """Degrade pictures (B, C, H, W) with sides that are multiples of the scale.

        Raises
        ------
        InputError
            If a picture is smaller than the kernel or no multiple of the scale, or if there is
            noise and no generator to draw it from.
        """
        self.check(image)
        lr = self.linear(image)
        if torch.is_tensor(self.noise) or self.noise > 0:
            if generator is None:
                raise InputError("Noise needs a torch.Generator to be drawn from.")
            deviation = torch.as_tensor(self.noise, device=lr.device).view(-1, 1, 1, 1)
            lr = lr + deviation * torch.randn(lr.shape, generator=generator, device=lr.device)
        return round_to_8_bits(lr)

    def check(self, image: Planes) -> None:
        """Raise `InputError` when a picture cannot be degraded: too small, or no multiple of the scale."""
        height, width = image.shape[-2:]
        size = self.kernel.shape[-1]
        if min(height, width) < size:
            raise InputError(
                f"The picture, {width} x {height} px{f' in multiples of {self.scale}' if self.scale > 1 else ''}, is "
                f"smaller than the {size} x {size} kernel: give a larger picture."
            )
        if height % self.scale or width % self.scale:
            raise InputError(f"A picture of {width} x {height} px is no multiple of scale {self.scale}: crop it first.")

    def with_son(self, lr: Planes) -> tuple[OtherPlanes, OtherPlanes]:
        """Return a low-resolution picture, cropped to a multiple of the scale, with its LR-son.

        The son is the picture degraded once more by the same kernel; the pair (son, picture) is
        what test-time learning learns from (paper, Algorithm 2). Noise is not added once more.
        """
        cropped = crop_to_multiple(lr, self.scale)
        return cropped, replace(self, noise=0.0)(cropped)


@runtime_checkable
class Prior(Protocol):
    """A distribution of kernels."""

    @property
    def size(self) -> int:
        """Pixels a side."""
        ...

    def sample(self, count: int, generator: torch.Generator, device: torch.device | str = "cpu") -> Kernels:
        """Draw `count` kernels: (count, size, size), each with sum 1."""
        ...


@dataclass(frozen=True)
class DegradationPrior:
    """The distribution over degradations that training draws from: p(k), and how pixels are dropped.

    Attributes
    ----------
    scale
        2, 3 or 4.
    kernels
        Distribution of the blur kernel; of one kernel alone for a specialist.
    bicubic_share
        Probability of sampling with the antialiased bicubic instead of directly.
    plain_share
        Probability, among those with bicubic sampling, of no blur before it (the paper's "bicubic").
    noise
        Largest standard deviation of the noise, in [0, 1]; half of the pictures have none.
    """

    scale: int
    kernels: "Prior"
    bicubic_share: float = 0.0
    plain_share: float = 0.0
    noise: float = 0.0

    def __post_init__(self):
        check_scale(self.scale)
        for name, share in (("bicubic", self.bicubic_share), ("plain", self.plain_share)):
            if not 0 <= share <= 1:
                raise InputError(f"The share of {name} tasks is {share}: it must be between 0 and 1.")

    def sample(self, count: int, chance: float, generator: torch.Generator) -> Degradation:
        """Draw a degradation with `count` kernels, on the generator's device.

        `chance`, in [0, 1), decides on the sampling mode: a number of the host, where nothing waits
        for the device.
        """
        kernels = self.kernels.sample(count, generator, generator.device)
        noise = self._noise(count, generator)
        if chance >= self.bicubic_share:
            return Degradation(kernels, self.scale, "direct", noise)
        if self.plain_share == 1:
            return Degradation(kernels.new_ones(1, 1), self.scale, "bicubic", noise)
        if self.plain_share > 0:
            plain = torch.rand(count, 1, 1, generator=generator, device=generator.device) < self.plain_share
            none = torch.zeros_like(kernels)
            none[:, self.kernels.size // 2, self.kernels.size // 2] = 1
            kernels = torch.where(plain, none, kernels)
        return Degradation(kernels, self.scale, "bicubic", noise)

    def _noise(self, count: int, generator: torch.Generator) -> float | Tensor:
        if not self.noise:
            return 0.0
        drawn = torch.rand(count, generator=generator, device=generator.device)
        return self.noise * (2 * drawn - 1).clamp(min=0)


def from_setting(setting: Setting, scale: int = 2, mode: Mode | None = None, noise: float = 0.0) -> Degradation:
    """Return the degradation of a kernel setting; `mode` overrides the setting's own."""
    return Degradation(setting.kernel, scale, mode or setting.mode, noise)


def remarks(setting: Setting, degradation: Degradation) -> list[str]:
    """Return the sentences that a user should read of a kernel: how it was read, and where its mass lies."""
    return [sentence for sentence in (setting.note, degradation.remark()) if sentence]
