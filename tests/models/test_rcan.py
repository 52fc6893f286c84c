"""RCAN is the published network: its size and its attention; its released weights land where they belong."""

import pytest
import torch
from helpers import close, picture
from torch.nn import functional as F

from mzsr_lib.files import InputError
from mzsr_lib.models import layers, released
from mzsr_lib.models.rcan import RCAN, Attention
from mzsr_lib.mzsr.networks import parameter_count
from mzsr_lib.runtime import generator_for

SIZES = {"channels": 4, "groups": 2, "blocks": 3, "reduction": 2}


def small(scale: int = 2) -> RCAN:
    return RCAN(**SIZES, scale=scale, generator=generator_for("rcan"))


# Entry 1,792; 10 groups of 20 blocks of 74,436 and a convolution of 36,928; another; the exit.
TRUNK = 1_792 + 10 * (20 * 74_436 + 36_928) + 36_928 + 1_731


@pytest.mark.parametrize(("scale", "upsampler"), [(2, 147_712), (3, 332_352), (4, 2 * 147_712)])
def test_it_has_the_published_parameters(scale, upsampler):
    with torch.device("meta"):
        assert parameter_count(RCAN(scale=scale)) == TRUNK + upsampler
    assert round((TRUNK + 147_712) / 1e6, 2) == 15.44
    assert round((TRUNK + 2 * 147_712) / 1e6, 2) == 15.59


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_it_enlarges_by_its_scale(scale, device):
    network = small(scale).to(device)
    assert network.at(scale) is network
    assert network(picture(7, 5, 2, device=device)).shape == (2, 3, 7 * scale, 5 * scale)


def test_another_scale_is_refused():
    with pytest.raises(InputError, match="enlarges by 3, not by 2"):
        small(3).at(2)


def test_attention_weighs_by_the_means():
    attention = Attention(2, 1)
    with torch.no_grad():
        for layer, matrix in ((attention.weigh[0], [[1.0, 0], [0, 1]]), (attention.weigh[2], [[0.0, 1], [1, 0]])):
            layer.weight.copy_(torch.tensor(matrix)[:, :, None, None])
            layer.bias.zero_()
    features = torch.tensor([[1.0, 3.0], [-4.0, 2.0]])[None, :, None, :]
    # Means 2 and -1; after the ReLU 2 and 0; crossed, so the first map is weighed by s(0) and the second by s(2).
    expected = features * torch.tensor([0.5, 1 / (1 + torch.e**-2)])[None, :, None, None]
    close(attention(features), expected, 1e-6)


def test_without_a_generator_it_gives_the_mean_colour():
    network = RCAN(**SIZES)
    close(network(picture(7, 5)), torch.tensor(layers.DIV2K_MEAN)[:, None, None].expand(1, 3, 14, 10), 1e-6)


def released_state(scale: int) -> dict[str, torch.Tensor]:
    """Random weights of a small network under the names of the authors' files."""
    c, draw = SIZES["channels"], generator_for("released")
    shapes = {"head.0": (c, 3, 3), "body.2": (c, c, 3), "tail.1": (3, c, 3)}
    for g in range(SIZES["groups"]):
        shapes[f"body.{g}.body.3"] = (c, c, 3)
        for b in range(SIZES["blocks"]):
            shapes |= {f"body.{g}.body.{b}.body.{k}": (c, c, 3) for k in (0, 2)}
            shapes |= {
                f"body.{g}.body.{b}.body.3.conv_du.0": (2, c, 1),
                f"body.{g}.body.{b}.body.3.conv_du.2": (c, 2, 1),
            }
    for k, step in enumerate({2: [2], 3: [3], 4: [2, 2]}[scale]):
        shapes[f"tail.0.{2 * k}"] = (step**2 * c, c, 3)
    state = {}
    for name, (out, into, size) in shapes.items():
        state[f"{name}.weight"] = torch.randn(out, into, size, size, generator=draw) / (into * size**2) ** 0.5
        state[f"{name}.bias"] = torch.randn(out, generator=draw)
    for name, sign in (("sub_mean", -1), ("add_mean", 1)):
        state[f"{name}.weight"] = torch.eye(3)[:, :, None, None] + torch.randn(3, 3, 1, 1, generator=draw) / 10
        state[f"{name}.bias"] = sign * 255 * torch.tensor(layers.DIV2K_MEAN) + torch.randn(3, generator=draw)
    return state


def by_hand(state: dict[str, torch.Tensor], image: torch.Tensor, scale: int) -> torch.Tensor:
    """RCAN written once more, out of the released names alone, on 0 to 255."""

    def conv(name, x):
        weight = state[f"{name}.weight"]
        return F.conv2d(x, weight, state[f"{name}.bias"], padding=weight.shape[-1] // 2)

    head = x = conv("head.0", conv("sub_mean", 255 * image))
    for g in range(SIZES["groups"]):
        start = x
        for b in range(SIZES["blocks"]):
            block = f"body.{g}.body.{b}.body"
            y = conv(f"{block}.2", conv(f"{block}.0", x).relu())
            means = y.flatten(2).mean(2)[:, :, None, None]
            x = x + y * conv(f"{block}.3.conv_du.2", conv(f"{block}.3.conv_du.0", means).relu()).sigmoid()
        x = start + conv(f"body.{g}.body.3", x)
    x = head + conv("body.2", x)
    for k, step in enumerate({2: [2], 3: [3], 4: [2, 2]}[scale]):
        x = F.pixel_shuffle(conv(f"tail.0.{2 * k}", x), step)
    return conv("add_mean", conv("tail.1", x)) / 255


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_released_weights_land_where_they_belong(tmp_path, scale):
    state, path = released_state(scale), tmp_path / f"RCAN_BIX{scale}.pt"
    torch.save(state, path)
    network, provenance = released.read(path)
    assert network.settings == {"architecture": "rcan", **SIZES, "scale": scale}
    assert (provenance["scales"], provenance["input"]) == ([scale], {"kind": "none"})
    name_in_file = released.rcan_name(SIZES["groups"], SIZES["blocks"])
    assert {name_in_file(name) for name in network.state_dict()} == set(state)
    for name, value in network.state_dict().items():
        assert torch.equal(value, state[name_in_file(name)])
    close(network(picture(7, 5)), by_hand(state, picture(7, 5), scale), 1e-4)


def test_the_full_network_s_names_are_the_released_ones():
    with torch.device("meta"):
        names = list(RCAN().state_dict())
    theirs = {released.rcan_name(10, 20)(name) for name in names}
    assert len(theirs) == len(names)
    examples = "head.0.weight body.9.body.19.body.3.conv_du.2.bias body.9.body.20.weight body.10.bias tail.0.0.weight"
    assert set(examples.split()) | {"tail.1.weight", "sub_mean.weight", "add_mean.bias"} <= theirs
