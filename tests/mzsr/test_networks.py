"""The network is the paper's: its size, what it sees, and the identity it starts from."""

import math

import pytest
import torch
from helpers import close, picture
from torch import nn

from mzsr_lib.mzsr.networks import SRNetwork, parameter_count
from mzsr_lib.runtime import generator_for


def network(channels: int = 64, layers: int = 8, seed: int = 0) -> SRNetwork:
    return SRNetwork(channels, layers, generator_for(seed))


def test_the_paper_s_network_has_225091_parameters():
    # 3 * 64 * 9 + 64, six times 64 * 64 * 9 + 64, 64 * 3 * 9 + 3 (paper: "225K").
    assert parameter_count(SRNetwork()) == 1_792 + 6 * 36_928 + 1_731 == 225_091


@pytest.mark.parametrize(("channels", "layers", "expected"), [(4, 2, 112 + 111), (5, 3, 140 + 230 + 138)])
def test_other_sizes_by_hand(channels, layers, expected):
    assert parameter_count(SRNetwork(channels, layers)) == expected
    assert SRNetwork(channels, layers).settings == {"channels": channels, "layers": layers}


def test_without_a_generator_it_is_the_identity(device):
    assert torch.equal(SRNetwork().to(device)(picture(device=device)), picture(device=device))


def test_it_is_the_picture_plus_the_body(device):
    net = network().to(device)
    image = picture(batch=2, device=device)
    assert torch.equal(net(image), image + net.body(image))
    assert (net(image) - image).abs().max() > 1e-3


def test_convolutions_alternate_with_relu():
    kinds = [type(layer) for layer in network().body]
    assert kinds == [nn.Conv2d, nn.ReLU] * 7 + [nn.Conv2d]


def sensitivity(net: SRNetwork, size: int = 41) -> torch.Tensor:
    """How the middle pixel of the body's output answers to every pixel of its input."""
    image = picture(size, size).requires_grad_()
    net.body(image)[0, :, size // 2, size // 2].sum().backward()
    return image.grad.abs().sum((0, 1))


def test_a_pixel_sees_17_pixels():
    with torch.no_grad():
        net = network(8)
        for parameter in net.parameters():
            parameter.abs_()  # so that no ReLU closes and nothing cancels
    seen = sensitivity(net) > 0
    rows, columns = seen.any(1).nonzero().flatten(), seen.any(0).nonzero().flatten()
    assert rows.tolist() == columns.tolist() == list(range(20 - 8, 20 + 8 + 1))


def test_borders_are_zeros():
    net = network(4, 2).body
    padded = nn.functional.pad(picture(), (2, 2, 2, 2))
    # Zeros around the picture change its border only through the biases, which start at zero.
    close(net(padded)[..., 2:-2, 2:-2][..., 1:-1, 1:-1], net(picture())[..., 1:-1, 1:-1], 1e-5)
    close(net(padded)[..., 2, 2], net(picture())[..., 0, 0] + leaked(net, padded), 1e-5)


def leaked(net: nn.Sequential, padded: torch.Tensor) -> torch.Tensor:
    """What the hidden pixels outside the picture add to its corner when zeros surround it."""
    hidden = net[1](net[0](padded))
    hidden[..., 2:-2, 2:-2] = 0
    return net[2](hidden)[..., 2, 2]


def test_the_first_weights_follow_he_and_the_last_are_small():
    net = network(64, 4)
    deviations = [float(layer.weight.detach().std()) for layer in net.body if isinstance(layer, nn.Conv2d)]
    # He et al., ICCV 2015: sqrt(2 / inputs), inputs = 9 * channels; the last layer has a tenth of it.
    expected = [math.sqrt(2 / 27), math.sqrt(2 / 576), math.sqrt(2 / 576), math.sqrt(2 / 576) / 10]
    assert deviations == pytest.approx(expected, rel=0.05)
    assert not any(layer.bias.any() for layer in net.body if isinstance(layer, nn.Conv2d))


def test_the_generator_decides_the_weights():
    first, again, other = (torch.cat([p.flatten() for p in network(seed=s).parameters()]) for s in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
