"""What happens to ordinary photographs, as named rows of a benchmark, and a score that alignment does not change."""

import itertools
import math
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from mzsr_lib.imaging import blurs, cameras, kernels, resize
from mzsr_lib.imaging.images import luma, round_to_8_bits
from mzsr_lib.shapes import Images, Kernel, OtherImages

SIZE = 21
BORDER = 8  # px that do not count
SHIFTS = (-1.0, -0.5, 0.0, 0.5, 1.0)


@dataclass(frozen=True)
class Treatment:
    """One way in which a sharp picture became a small one.

    Attributes
    ----------
    name
        Of the row.
    blur
        Of the lens or the hand, ``"gaussian V"`` (variance, px^2), ``"disk R"``, ``"motion L"`` (at 30 degrees),
        ``"shake L"``, ``"cross R"``, ``"ring R"`` (px of the high-resolution grid), or empty.
    program
        That made it smaller, of `cameras.PROGRAMS`; ``"none"`` keeps every scale-th pixel.
    noise
        Standard deviation, grey levels of 255.
    quality
        Of JPEG, or None.
    sharpened
        Amount of an unsharp mask of 1 px, before JPEG.
    trained
        Whether networks for photographs may have learned from such pictures.
    """

    name: str
    blur: str = ""
    program: str = "none"
    noise: float = 0.0
    quality: int | None = None
    sharpened: float = 0.0
    trained: bool = True

    def __call__(self, hr: Images, generator: torch.Generator, scale: int = 2) -> OtherImages:
        """Return what became of high-resolution pictures (B, 3, H, W)."""
        kernel = kernel_of(self.blur)[None].to(hr)
        if self.program != "none":
            kernel = blurs.followed(kernel, blurs.shrinking(self.program, scale)[None].to(hr))
        lr = cameras.seen(hr, kernel, scale)
        lr = lr + self.noise / 255 * torch.randn(lr.shape, generator=generator, device=lr.device)
        if self.sharpened:
            lr = cameras.sharpen(lr, self.sharpened, 1.0)
        lr = round_to_8_bits(lr)
        return lr if self.quality is None else cameras.jpeg(lr, self.quality)


def kernel_of(blur: str) -> Kernel:
    """Return the kernel (21, 21) of a `Treatment.blur`."""
    if not blur:
        return F.pad(torch.ones(1, 1), (SIZE // 2,) * 4)
    kind, number = blur.split()
    extent = torch.tensor([float(number)])
    axis = torch.arange(SIZE) - SIZE // 2
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    if kind == "gaussian":
        return kernels.gaussian_kernel(torch.eye(2) * extent, SIZE)
    if kind == "disk":
        return blurs.disk(extent, SIZE)[0]
    if kind == "motion":
        return blurs.motion(extent, torch.tensor([math.pi / 6]), SIZE)[0]
    if kind == "shake":
        return blurs.shake(extent, torch.Generator().manual_seed(3), SIZE)[0]
    if kind == "cross":
        drawn = ((x == 0) & (y.abs() <= extent)) | ((y == 0) & (x.abs() <= extent))
    else:
        drawn = (torch.hypot(x.float(), y.float()) - extent).abs() < 0.6
    return drawn / drawn.sum()


ROWS = (
    Treatment("g2.0d", "gaussian 2.0"),
    Treatment("Lanczos", program="lanczos"),
    Treatment("area", program="area"),
    *(Treatment(f"disk {radius}", f"disk {radius}") for radius in (2, 3, 5)),
    *(Treatment(f"motion {length}", f"motion {length}") for length in (7, 13)),
    Treatment("shake 15", "shake 15"),
    *(Treatment(f"g2.0d, noise {noise}", "gaussian 2.0", noise=noise) for noise in (2, 5, 10)),
    *(Treatment(f"g2.0d, JPEG {quality}", "gaussian 2.0", quality=quality) for quality in (90, 75, 60)),
    Treatment("Lanczos, JPEG 75", program="lanczos", quality=75),
    Treatment("a phone", program="area", noise=4, sharpened=0.8, quality=85),
    Treatment("an old phone", "disk 2", noise=6, quality=70),
    Treatment("cross 3", "cross 3", trained=False),
    Treatment("ring 3", "ring 3", trained=False),
    Treatment("g2.0d, noise 20", "gaussian 2.0", noise=20, trained=False),
    Treatment("g2.0d, JPEG 30", "gaussian 2.0", quality=30, trained=False),
)


def aligned_psnr(sr: Images, hr: Images) -> float:
    """Return the PSNR (dB) of the luma, without 8 px at each side, best over shifts of up to one pixel by halves."""
    given, wanted = luma(sr), luma(hr)[..., BORDER:-BORDER, BORDER:-BORDER]
    errors = [
        (resize.shift(given, across, down)[..., BORDER:-BORDER, BORDER:-BORDER] - wanted).square().mean()
        for across, down in itertools.product(SHIFTS, SHIFTS)
    ]
    return 10 * math.log10(255**2 / max(float(min(errors)), 1e-6))
