"""Transparent pictures: what is hidden must not bleed into what is seen.

A pixel shows its colour as far as it is opaque, so means are taken of *premultiplied* colours, colour times alpha,
and divided by the mean of the alphas afterwards (Porter and Duff, "Compositing digital images", 1984).
"""

from collections.abc import Callable

import torch
from torch.nn import functional as F

from mzsr_lib.shapes import Images, Luma, OtherImages, OtherLuma, Planes

# Share of the spread colours where nothing is seen; a quotient of two zeros is none.
LEAST = 1e-6

Linear = Callable[[Planes], Planes]


def spread(image: Images, alpha: Luma) -> Images:
    """Return the colours with those of hidden pixels replaced by what is seen around them.

    From the whole picture down to single pixels: each level is a mean, weighted by alpha, of the one below, and fills
    what that cannot see (pull and push). A pixel that is as opaque as its neighbours keeps its colour.
    """
    if max(alpha.shape[-2:]) == 1:
        return image
    size = alpha.shape[-2:]
    pooled = F.avg_pool2d(torch.cat([image * alpha, alpha], dim=1), 2, ceil_mode=True)
    colours, seen = pooled[:, :-1], pooled[:, -1:]
    coarse = spread(colours / seen.clamp(min=1e-12), seen)
    pushed = F.interpolate(coarse, size, mode="bilinear", align_corners=False)
    around = F.avg_pool2d(alpha, 3, stride=1, padding=1, count_include_pad=False)
    return pushed.lerp(image, (alpha / around.clamp(min=1e-12)).clamp(max=1))


def premultiplied(image: Images, alpha: Luma, filled: Images, linear: Linear) -> tuple[OtherImages, OtherLuma]:
    """Return what a linear map makes of a picture's colours and of its alpha, not clipped.

    Parameters
    ----------
    image, alpha
        (B, 3, H, W) and (B, 1, H, W).
    filled
        See `spread`: the colours where the map makes everything invisible.
    linear
        The same for every channel, such as an enlargement or a blur.
    """
    mapped = linear(torch.cat([image * alpha, alpha, filled], dim=1))
    colours, seen, hidden = mapped[:, :3], mapped[:, 3:4], mapped[:, 4:]
    return (colours + LEAST * hidden) / (seen.clamp(min=0) + LEAST), seen


def enlarged(
    image: Images, alpha: Luma, filled: Images, method: Callable[[Images], OtherImages], linear: Linear
) -> tuple[OtherImages, OtherLuma]:
    """Return colours and alpha enlarged, both in [0, 1]; nothing hidden is seen, and nothing invisible has a colour.

    The colours are a premultiplied enlargement, and what `method` adds to an enlargement of the filled colours: where
    one colour alone is seen that is nothing, so no rim can appear.

    Parameters
    ----------
    image, alpha, filled
        See `premultiplied`.
    method
        Super-resolves colours.
    linear
        Enlarges, in register with the method.
    """
    colours, seen = premultiplied(image, alpha, filled, linear)
    added = method(filled) - linear(filled)
    return (colours + added).clamp(0, 1) * (seen > 0), seen.clamp(0, 1)
