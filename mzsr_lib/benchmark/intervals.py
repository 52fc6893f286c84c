"""How sure a mean over pictures is, and on how many pictures which method wins."""

import functools
from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from mzsr_lib.files import InputError

Name = TypeVar("Name", bound=Hashable)

RESAMPLES = 10_000
LEVEL = 0.95


@functools.cache
def _shares(count: int, resamples: int, seed: int) -> np.ndarray:
    """Return how much each of `count` values weighs in each resampling: (resamples, count), rows that sum to 1."""
    return np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=resamples) / count


def interval(
    values: Sequence[float], level: float = LEVEL, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float]:
    """Return the percentile bootstrap interval of a mean (Efron, Annals of Statistics 7, 1979).

    Values are drawn again with replacement, as many as there are; the interval holds the middle of the
    means. The same number of values is always drawn the same way, so intervals can be compared.

    Parameters
    ----------
    values
        At least one, such as PSNR in dB, one a picture.
    level
        Share of the means that the interval holds, between 0 and 1.
    resamples
        How often.
    seed
        Of the draws.

    Raises
    ------
    InputError
        If there is no value.
    """
    if not len(values):
        raise InputError("A mean needs at least one value.")
    means = _shares(len(values), resamples, seed) @ np.asarray(values, dtype=float)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def wins(scores: Mapping[Name, Sequence[float]]) -> dict[Name, float]:
    """Return the share of pictures on which each method has the highest score; who ties shares the picture.

    Examples
    --------
    >>> wins({"a": [30, 31, 29], "b": [30, 30, 28]})
    {'a': 0.8333333333333334, 'b': 0.16666666666666666}
    """
    if not scores:
        return {}
    table = np.array(list(scores.values()), dtype=float)
    best = table == table.max(axis=0)
    return dict(zip(scores, (best / best.sum(axis=0)).mean(axis=1).tolist(), strict=True))
