"""The eight ways to look at a picture, and which of them leave a blur or a sampling as it is."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch

from mzsr_lib.imaging.degradation import Degradation
from mzsr_lib.mzsr.adaptation import Params, super_resolve
from mzsr_lib.mzsr.inputs import Upscaler, bicubic_input
from mzsr_lib.mzsr.networks import Network
from mzsr_lib.shapes import Images, OtherImages, Tensor


class View(NamedTuple):
    """One of the eight ways to look at a picture: flips of rows and columns, then a transposition."""

    flip_rows: bool
    flip_columns: bool
    swap: bool

    def look(self, image: Tensor) -> Tensor:
        """Return the picture (or kernel) seen this way."""
        image = self._flipped(image)
        return image.mT if self.swap else image

    def undo(self, image: Tensor) -> Tensor:
        """Return the picture of which this is the view."""
        return self._flipped(image.mT if self.swap else image)

    def _flipped(self, image: Tensor) -> Tensor:
        axes = [axis for axis, flip in ((-2, self.flip_rows), (-1, self.flip_columns)) if flip]
        return image.flip(axes) if axes else image


VIEWS = tuple(View(*bits) for bits in itertools.product((False, True), repeat=3))


def symmetries(degradation: Degradation) -> list[View]:
    """Return the views under which a degradation stays itself: a network that undoes it may average over these.

    The kernel must look the same, and direct sampling, which starts at pixel 0, allows no flip.
    """
    allowed = samplings(degradation)
    return [view for view in turnings(degradation) if view in allowed]


def turnings(degradation: Degradation) -> list[View]:
    """Return the views under which the kernel stays itself: a picture may be so turned before it is degraded."""
    kernel = degradation.kernel
    return [view for view in VIEWS if torch.allclose(view.look(kernel), kernel, atol=1e-6)]


def samplings(degradation: Degradation) -> list[View]:
    """Return the views under which the sampling stays itself; the kernel may turn with the picture."""
    return [v for v in VIEWS if degradation.mode == "bicubic" or not (v.flip_rows or v.flip_columns)]


def ensemble(
    network: Network,
    params: Params,
    lr: Images,
    degradation: Degradation,
    views: Sequence[View],
    upscaler: Upscaler = bicubic_input,
) -> OtherImages:
    """Return the mean of the network's pictures over views of the low-resolution one (geometric self-ensemble)."""
    # One after the other: a large picture is in memory twice, not eight times.
    outputs = view_outputs(network, params, lr, degradation, views, upscaler)
    total = next(outputs).clone()
    for output in outputs:
        total += output
    return total / len(views)


def view_outputs(
    network: Network,
    params: Params,
    lr: Images,
    degradation: Degradation,
    views: Sequence[View],
    upscaler: Upscaler = bicubic_input,
) -> Iterator[OtherImages]:
    """Yield the network's picture for every view of the low-resolution one, turned back.

    The kernel is seen the same way as the picture: a network that is given it may use all `samplings`, one
    that has learned it only the `symmetries`.
    """

    def seen(view: View) -> OtherImages:
        turned = replace(degradation, kernel=view.look(degradation.kernel))
        return view.undo(super_resolve(network, params, view.look(lr), turned, upscaler))

    return map(seen, views)
