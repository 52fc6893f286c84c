"""What JPEG has done to a picture: its quality, told by the pixels alone, and how much it disturbs.

JPEG rounds each of the 64 cosine coefficients of a block of 8 x 8 px to multiples of a step. In a picture that was
compressed, and read and saved as something else since, the coefficients of the luma still lie near multiples of those
steps (Fan and de Queiroz, "Identification of bitmap compression history", IEEE TIP 2003). Which steps they are is asked
of the tables that libjpeg, and with it nearly every program, makes from a quality between 1 and 100, and of each
coefficient by itself, since some cameras and editors have tables of their own.
"""

import functools
import math
from typing import NamedTuple

import torch

from mzsr_lib.shapes import Float, Images, Tensor

BLOCK = 8
# The luma steps of quality 50: ITU-T T.81 (1992), table K.1.
STEPS = torch.tensor(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ],
    dtype=torch.float64,
)
LUMA = (0.299, 0.587, 0.114)  # JFIF's, of full range
QUALITIES = range(10, 100)
# Of a coefficient that lay on a step: what rounding the colours and the luma to 8 bits leaves, grey levels; and the
# share that lies elsewhere.
SMEARED, STRAY = 0.4, 0.02
NEAR_ZERO = 3 * SMEARED  # grey levels; a smaller coefficient may be zero whatever the steps, and says nothing
BINS, LARGEST = 8, 1024  # a grey level, in which coefficients are counted; and grey levels, up to which
# Numbers of the coefficients of lower frequencies, row + column: in the others hardly anything is left.
LOW = torch.tensor([i for i in range(1, BLOCK**2) if i // BLOCK + i % BLOCK <= 5])
EVERY_STEP = torch.arange(1, 256, dtype=torch.float64)
FEWEST, MOST = 16, 8192  # blocks that are looked at
FEW_BLOCKS, FEW_STEPS = 200, 64  # of them and of steps, to find where they begin
FEW = 0.05  # share of coefficients, below which their distribution is not trusted
NARROWEST = 1e-3  # grey levels; a distribution as narrow as this is none
SURE = 30.0  # logarithm of how much likelier the steps must be than none
WHITE = 219 / 146.42  # from an error of the full-range luma to the noise that disturbs as much: `cameras.disturbance`


class Compression(NamedTuple):
    """What was found.

    Attributes
    ----------
    quality
        From 10 to 99, as libjpeg counts it; of another table, that of the nearest of libjpeg's.
    disturbance
        Standard deviation, in [0, 1], of the white noise that disturbs the luma as much as the compression did.
    """

    quality: int
    disturbance: float


def steps(quality: int) -> Float[Tensor, "8 8"]:
    """Return the steps of the luma, in grey levels, that libjpeg makes from a quality from 1 to 100."""
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    return ((STEPS * percent + 50) / 100).floor().clamp(1, 255)


def compression(image: Images) -> Compression | None:
    """Return how a picture (1, 3, h, w) was compressed as JPEG, or None when it does not look so.

    The blocks may begin anywhere, as in a picture that was cropped or turned after it was compressed. One of the best
    qualities, whose steps are as small as the rounding to 8 bits, shows nothing.
    """
    if min(image.shape[-2:]) < 2 * BLOCK:
        return None
    top, left = _corner(image)
    coefficients = _coefficients(image[..., top:, left:], MOST)
    if len(coefficients) < FEWEST:
        return None
    found = _table(_counts(coefficients))
    return found and Compression(found[0], _disturbance(coefficients, found[1]))


def _table(counts: Float[Tensor, "64 bins"]) -> tuple[int, Float[Tensor, "8 8"]] | None:
    """Return the quality and the steps that explain the counts of coefficients, or None when none do.

    They are one of libjpeg's tables, or, where that explains more, of each coefficient the step that suits it best.
    """
    likelier, tables = counts @ _logarithms(0.5), torch.stack([steps(quality) for quality in QUALITIES]).flatten(1)
    by_quality = likelier.gather(1, tables.long().T - 1)[LOW].sum(0)
    best, sure = int(by_quality.argmax()), float(by_quality.max())
    most, which = (counts @ _logarithms()).max(1)
    price = math.log(len(EVERY_STEP))  # of choosing one of so many
    spoken, own = most > price, EVERY_STEP[which]
    by_itself = likelier.gather(1, which[:, None])[:, 0] - price
    if float(by_itself[LOW][spoken[LOW]].sum()) > max(sure, SURE):
        nearest = int((tables / own).log().square()[:, spoken].mean(1).argmin())
        return QUALITIES[nearest], torch.where(spoken, own, tables[nearest]).view(BLOCK, BLOCK)
    return (QUALITIES[best], tables[best].view(BLOCK, BLOCK)) if sure >= SURE else None


def _corner(image: Images) -> tuple[int, int]:
    """Return where the blocks seem to begin, (row, column), as a few of them tell."""
    logarithms, likeliest = _logarithms()[:, :FEW_STEPS], {}
    for top in range(BLOCK):
        for left in range(BLOCK):
            coefficients = _coefficients(image[..., top:, left:], FEW_BLOCKS)
            most = (_counts(coefficients)[LOW] @ logarithms).amax(1)
            likeliest[top, left] = float(most.clamp(min=0).sum())
    return max(likeliest, key=lambda corner: likeliest[corner])


def _coefficients(image: Images, most: int) -> Float[Tensor, "n 8 8"]:
    """Return the cosine coefficients of the luma of blocks, in grey levels; blocks with clipped values are left out."""
    blocks = image[0].unfold(1, BLOCK, BLOCK).unfold(2, BLOCK, BLOCK)  # (3, rows, columns, 8, 8), not a copy yet
    apart = math.ceil(math.sqrt(blocks.shape[1] * blocks.shape[2] / most))
    blocks = blocks[:, ::apart, ::apart].flatten(1, 2).cpu().double()
    blocks = blocks[:, ((blocks > 0) & (blocks < 1)).all(dim=(0, 2, 3))]
    luma = 255 * (torch.tensor(LUMA).to(blocks).view(3, 1, 1, 1) * blocks).sum(0) - 128
    number = torch.arange(BLOCK).to(blocks)
    cosines = torch.cos(math.pi * number[:, None] * (2 * number + 1) / (2 * BLOCK)) / 2
    cosines[0] /= math.sqrt(2)
    return cosines @ luma @ cosines.T


def _counts(coefficients: Float[Tensor, "n 8 8"]) -> Float[Tensor, "64 bins"]:
    """Return how many of each coefficient have which absolute value; that of the mean is not asked."""
    bins = (coefficients.flatten(1).abs() * BINS).round().long().clamp(max=LARGEST * BINS)
    counts = torch.zeros(BLOCK**2, LARGEST * BINS + 1, dtype=torch.float64)
    counts.scatter_add_(1, bins.T, torch.ones_like(bins.T, dtype=torch.float64))
    counts[0] = 0
    return counts


@functools.cache
def _logarithms(least: float = 0.0) -> Float[Tensor, "bins 255"]:
    """Return the logarithm of how much likelier a coefficient is with a step of 1, 2, ... 255 than spread evenly.

    The first axis are its absolute values in bins, of which the last takes all larger ones and says nothing. Neither
    does one near zero, since it may be what a blurred picture has there, or one of fewer than `least` steps. Steps of 1
    are none.
    """
    found = torch.arange(LARGEST * BINS + 1, dtype=torch.float64)[:, None] / BINS
    step = EVERY_STEP
    apart = found - (found / step).round() * step
    near = torch.exp(-((apart / SMEARED) ** 2) / 2) / (SMEARED * math.sqrt(2 * math.pi))
    speaks = (found > NEAR_ZERO) & (found > least * step) & (found < LARGEST) & (step > 1)
    return ((1 - STRAY) * near * step + STRAY).log() * speaks


def _disturbance(coefficients: Float[Tensor, "n 8 8"], table: Float[Tensor, "8 8"]) -> float:
    """Return how strong the noise is that disturbs as much as rounding to these steps.

    What was rounded to a multiple is off by the variance of a uniform error. What was rounded to zero is as large as
    Laplace's distribution says, whose width follows from how many were not; where hardly any were, it falls with the
    frequency as it did before.
    """
    count, widths, total = len(coefficients), torch.full((BLOCK, BLOCK), math.inf), 0.0
    for i in range(BLOCK):
        for j in range(BLOCK):
            step = float(table[i, j])
            lost = step**2 / 12
            spoken = int(((coefficients[:, i, j] / step).round() != 0).sum())
            share = (spoken + 0.5) / (count + 1)
            if i + j:
                width = step / (-2 * math.log(share))
                before = [w for w in (_next(widths[:i, j]), _next(widths[i, :j])) if math.isfinite(w)]
                widths[i, j] = width = min([width, *before]) if share < FEW else width
                lost = share * lost + (1 - share) * min(_below(step / 2, width), lost)
            total += lost
    # On top of it the luma is rounded to 8 bits, and then the colours.
    return WHITE * math.sqrt(total / BLOCK**2 + (1 + sum(w**2 for w in LUMA)) / 12) / 255


def _next(widths: Tensor) -> float:
    """Return what a sequence of widths goes on with, when it falls as it last did and never rises."""
    known = widths[widths.isfinite()].tolist()
    if len(known) < 2:
        return known[-1] if known else math.inf
    return max(known[-1] * min(known[-1] / known[-2], 1), NARROWEST)


def _below(most: float, width: float) -> float:
    """Return the mean square of numbers of Laplace's distribution of a width that are smaller than `most`."""
    rest = math.exp(-most / width)
    return (2 * width**2 - (most**2 + 2 * most * width + 2 * width**2) * rest) / (1 - rest)
