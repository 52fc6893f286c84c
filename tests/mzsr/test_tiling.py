"""A picture in pieces gives what the whole gives."""

import pytest
import torch
from helpers import close, picture

from mzsr_lib.imaging.degradation import Degradation
from mzsr_lib.mzsr import adaptation, tiling
from mzsr_lib.mzsr.adaptation import loss_and_gradient, loss_of, starting_point, super_resolve
from mzsr_lib.mzsr.networks import SRNetwork
from mzsr_lib.runtime import generator_for


@pytest.mark.parametrize(("height", "width", "size"), [(37, 31, 10), (5, 64, 16), (16, 16, 16), (3, 2, 50)])
def test_cores_cover_every_pixel_once_and_windows_stay_inside(height, width, size):
    counts = torch.zeros(1, 1, height, width)
    for tile in tiling.tiles(height, width, 4, size):
        tile.target(counts).add_(1)
        assert tile.trim(tile.cut(counts)).shape == tile.target(counts).shape
        assert max(tile.target(counts).shape[-2:]) <= size
    close(counts, torch.ones_like(counts), 0)


def network(layers: int = 4) -> SRNetwork:
    return SRNetwork(5, layers, generator_for("tiles")).double()


def test_loss_and_gradient_of_the_pieces_are_those_of_the_whole():
    net, pair = network(), (picture(37, 31, dtype=torch.float64), picture(37, 31, seed=1, dtype=torch.float64))
    params = {name: p.requires_grad_() for name, p in starting_point(net).items()}
    loss, grads = loss_and_gradient(net, params, pair, 9)
    whole = loss_of(net, params, pair)
    close(loss, whole, 1e-12)
    for ours, expected in zip(grads, torch.autograd.grad(whole, list(params.values())), strict=True):
        close(ours, expected, 1e-12)


def test_the_picture_from_pieces_is_that_of_the_whole():
    net, lr = network(), picture(19, 16, dtype=torch.float64)
    degradation = Degradation(torch.ones(1, 1))
    sr = super_resolve(net, starting_point(net), lr, degradation, size=9)
    with torch.no_grad():
        whole = net(adaptation.bicubic_input(lr, degradation)).clamp(0, 1)
    close(sr, whole, 1e-12)


class Shortsighted(SRNetwork):
    """Claims to look less far than it does."""

    reach = 3


def test_a_halo_that_is_too_small_would_show():
    lr, degradation = picture(19, 16, dtype=torch.float64), Degradation(torch.ones(1, 1))
    right, wrong = (
        super_resolve(net, starting_point(net), lr, degradation, size=9)
        for net in (network(), Shortsighted(5, 4, generator_for("tiles")).double())
    )
    assert float((right - wrong).abs().max()) > 1e-6
