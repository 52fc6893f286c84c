"""The unfolded network: its data step, its trust, its pieces, and that noise and kernel reach it."""

import pytest
import torch
from helpers import close, picture

from mzsr_lib.imaging import kernels, restoration, tiling
from mzsr_lib.imaging.degradation import Degradation
from mzsr_lib.models.unfolded import FIRST_MU, ROUNDING, Unfolded
from mzsr_lib.mzsr.adaptation import starting_point, super_resolve
from mzsr_lib.mzsr.networks import parameter_count
from mzsr_lib.runtime import generator_for

KERNEL = kernels.gaussian_kernel(kernels.covariance(2.0, 0.8, 0.4), 9)


def test_the_shipped_size_has_fewer_than_600_000_parameters():
    # Each stage: 2 blocks of two 64 x 64 x 9 convolutions. Shared: 3 s^2 + 5 channels in and 3 s^2 out, s = 2, 3, 4.
    convolutions = 3 * 4 * (64 * 64 * 9 + 64)
    ends = sum((3 * s * s + 5) * 64 * 9 + 64 + 64 * 3 * s * s * 9 + 3 * s * s for s in (2, 3, 4))
    assert parameter_count(Unfolded()) == convolutions + ends + 9 == 552_288


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("mode", ["direct", "bicubic"])
@pytest.mark.parametrize("packed", [None, 2, 3])
def test_without_learned_parts_it_is_the_restoration_repeated(device, scale, mode, packed):
    network = Unfolded(4, 2, 1, packed, generator_for(0)).to(device)
    with torch.no_grad():
        for end in network.unpack.values():
            end.weight.zero_()
            end.bias.zero_()
    camera = Degradation(KERNEL, scale, mode).to(device)
    lr = picture(13, 11, device=device)
    mu = FIRST_MU[0] + FIRST_MU[1] * ROUNDING**2
    wanted = restoration.restore(lr, camera, mu, restoration.restore(lr, camera, mu))
    close(network(lr, camera), wanted, 1e-4)


def test_on_the_fine_grid_scale_4_has_the_weights_and_the_cost_of_scale_2():
    fine = Unfolded(4, 2, 1, 3, generator_for(0))
    assert {scale: fine.side(scale) for scale in (2, 3, 4)} == {2: 2, 3: 3, 4: 2}
    coarse = Unfolded(4, 2, 1, generator=generator_for(0))
    assert fine.pack.keys() < coarse.pack.keys()
    coarse.load_state_dict(fine.state_dict(), strict=False)
    lr, camera = picture(12, 10), Degradation(KERNEL, 2, "direct")
    close(fine(lr, camera), coarse(lr, camera), 1e-6)


def test_noise_raises_the_trust_in_the_prior_for_each_picture_alone():
    network = Unfolded(4, 2, 1, generator=generator_for(0))
    levels = torch.tensor([ROUNDING, 0.02, 0.05])
    assert (network.trust(0, levels, torch.zeros(3)).flatten().diff() > 0).all()
    assert (network.trust(0, torch.zeros(3), levels).flatten().diff() > 0).all()
    lr = picture(12, 12, batch=2)
    both = network(lr, Degradation(KERNEL.expand(2, -1, -1), 2, "direct", torch.tensor([0.0, 0.05])))
    for i, noise in enumerate((0.0, 0.05)):
        close(network(lr[i : i + 1], Degradation(KERNEL, 2, "direct", noise)), both[i : i + 1], 1e-4)


def test_everything_it_learns_has_a_gradient():
    network = Unfolded(4, 2, 1, generator=generator_for(0))
    lr = picture(12, 10)
    for scale in (2, 3, 4):
        network(lr, Degradation(KERNEL, scale, "direct", 0.01)).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_in_pieces_it_is_what_it_is_as_a_whole():
    network = Unfolded(4, 2, 1, generator=generator_for(0)).eval()
    lr, camera = picture(90, 70), Degradation(KERNEL, 2, "bicubic", 0.01)
    whole = super_resolve(network, starting_point(network), lr, camera)
    with tiling.planned(64):
        pieces = super_resolve(network, starting_point(network), lr, camera)
    assert (whole - pieces).abs().max() < 0.5 / 255
