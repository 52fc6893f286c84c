"""How close two pictures are: PSNR, SSIM, and the protocol that the paper's tables use."""

from typing import Any, NamedTuple

import torch

from mzsr_lib.files import InputError
from mzsr_lib.imaging.images import luma, round_to_8_bits
from mzsr_lib.shapes import Images, Luma, OtherImages, OtherLuma, OtherPlanes, Planes


class Score(NamedTuple):
    """PSNR in dB and SSIM (at most 1) of one picture."""

    psnr: float
    ssim: float


def psnr(image: Planes, reference: OtherPlanes, data_range: float = 1.0) -> float:
    """Return the peak signal-to-noise ratio ``10 log10(data_range^2 / mean squared error)`` in dB.

    Two identical pictures have an infinite PSNR. An error of a tenth of the range everywhere is 20 dB.

    Raises
    ------
    InputError
        If the shapes differ.
    """
    _check_same_shape(image, reference)
    error = (image.double() - reference.double()).square().mean()
    return float(10 * torch.log10(data_range**2 / error))


def ssim(image: Luma, reference: OtherLuma, data_range: float = 1.0) -> float:
    """Return the structural similarity (Wang et al., TIP 2004) of two single-channel pictures.

    Window 11 x 11, Gaussian with sigma 1.5, no sample covariance: the arguments with which
    scikit-image gives the values of Wang's own program.

    Raises
    ------
    InputError
        If the shapes differ, there are several pictures, or a side is shorter than the window of 11 px.
    """
    from skimage.metrics import structural_similarity

    _check_same_shape(image, reference)
    if min(image.shape[-2:]) < 11:
        raise InputError(f"SSIM needs at least 11 x 11 px and got {image.shape[-1]} x {image.shape[-2]} px.")
    if len(image) != 1:
        raise InputError(f"SSIM is that of one picture, and {len(image)} were given: take them one by one.")
    a, b = (x[0, 0].detach().cpu().double().numpy() for x in (image, reference))
    arguments = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    found: Any = structural_similarity(a, b, data_range=data_range, **arguments)
    return float(found)


def protocol_luma(image: Images, border: int) -> OtherLuma:
    """Return what the paper's tables compare: 8-bit RGB, its luma as integers, without a border (there `scale` px)."""
    y = luma(round_to_8_bits(image)).round()
    if min(y.shape[-2:]) <= 2 * border:
        raise InputError(f"A picture of {y.shape[-1]} x {y.shape[-2]} px has nothing inside a border of {border} px.")
    inner = slice(border, -border or None)
    return y[..., inner, inner]


def protocol_psnr(sr: Images, hr: OtherImages, border: int) -> float:
    """Return the PSNR in dB as the paper measures it (Y, 8 bits, a border left out: `scale` px)."""
    return psnr(protocol_luma(sr, border), protocol_luma(hr, border), data_range=255)


def score(sr: Images, hr: OtherImages, border: int) -> Score:
    """Return PSNR and SSIM of one super-resolved picture as the paper measures them (Y, peak 255).

    Parameters
    ----------
    sr, hr
        (1, 3, H, W), RGB in [0, 1].
    border
        Width of what is left out at each side, px; in the paper's tables the scale.
    """
    structure = ssim(protocol_luma(sr, border), protocol_luma(hr, border), data_range=255)
    return Score(protocol_psnr(sr, hr, border), structure)


def _check_same_shape(a: Planes, b: OtherPlanes) -> None:
    if a.shape != b.shape:
        raise InputError(f"The pictures differ in shape: {tuple(a.shape)} and {tuple(b.shape)}.")
