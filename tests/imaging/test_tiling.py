"""A picture in pieces gives what the whole gives."""

import pytest
import torch
from helpers import close, picture

from mzsr_lib.files import InputError
from mzsr_lib.imaging import kernels, restoration, tiling
from mzsr_lib.imaging.degradation import MODES, Degradation
from mzsr_lib.methods import registry
from mzsr_lib.mzsr import adaptation
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


def blurred(scale: int, mode: str, height: int = 96, width: int = 118) -> tuple[torch.Tensor, Degradation]:
    """A picture with edges, seen by a camera, and the camera."""
    blocks = picture(12, 15).repeat_interleave(scale * 8, -2).repeat_interleave(scale * 8, -1)
    camera = Degradation(kernels.gaussian_kernel(kernels.covariance(4.0, 1.0, -0.5), 21), scale, mode)
    return camera(blocks[..., : scale * height, : scale * width]), camera


@pytest.mark.parametrize("scale", [1, 2, 4])
@pytest.mark.parametrize("mode", MODES)
def test_a_restoration_in_pieces_is_that_of_the_whole(scale, mode):
    lr, camera = blurred(scale, mode)
    prior = restoration.enlarge(lr, camera).clamp(0, 1)
    kept = prior.clone()
    for given in (None, prior):
        whole = restoration.restore(lr, camera, 3e-4, given)
        with tiling.planned(40 * scale):
            pieces = restoration.restore(lr, camera, 3e-4, given)
        close(pieces, whole, 0.5 / 255)
        assert not torch.equal(pieces, whole)
    assert torch.equal(prior, kept)


@pytest.mark.parametrize(
    "token", ["nearest", "bicubic", "aligned", "landweber", "tikhonov", "mzsr-plus", "mzsr:1+agree"]
)
def test_every_method_gives_in_pieces_what_it_gives_as_a_whole(token):
    lr, camera = blurred(2, "direct", 60, 71)
    seen, method = [], registry.build(token)

    def watch(tiles, what):
        seen.extend([what] * len(tiles))
        return tiles

    whole = method(lr, camera)
    with tiling.planned(72, watch):
        close(method(lr, camera), whole, (1.0 if token == "landweber" else 0.5) / 255)
    assert len(seen) > 3 or token == "nearest"


@pytest.mark.parametrize(
    ("token", "ensemble", "tolerance"), [("mzsr-plus", True, 0.5), ("unfolded", True, 0.5), ("zssr:1", False, 2)]
)
def test_an_ensemble_in_pieces_is_that_of_the_whole_and_zssr_nearly(token, ensemble, tolerance):
    lr, camera = blurred(2, "direct", 60, 71)
    method = registry.build(token, registry.Options(ensemble=ensemble))
    whole = method(lr, camera)
    with tiling.planned(80):
        close(method(lr, camera), whole, tolerance / 255)


def test_gradients_go_through_the_pieces():
    lr, camera = blurred(2, "direct", 20, 22)
    found = []
    for side in (None, 32):
        leaf = lr.clone().requires_grad_()
        with tiling.planned(side):
            restoration.restore(leaf, camera, 1e-2).square().sum().backward()
        found.append(leaf.grad)
    close(found[1], found[0], 1e-3)


def test_a_tile_that_is_too_small_is_refused():
    with pytest.raises(InputError, match="31 px is too small"), tiling.planned(31):
        pass
