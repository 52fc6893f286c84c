"""CARN and CARN-M are the published networks, in size, cascade and sight; released weights land where they belong."""

import pytest
import torch
from helpers import close, picture
from torch.nn import functional as F

from mzsr_lib.files import InputError
from mzsr_lib.models import layers, released
from mzsr_lib.models.carn import CARN, Cascade
from mzsr_lib.mzsr.networks import parameter_count
from mzsr_lib.runtime import generator_for

SCALES = (2, 3, 4)


def small(**changes) -> CARN:
    return CARN(**{"channels": 4, "blocks": 2, "generator": generator_for("carn")} | changes)


def test_it_has_the_published_parameters():
    with torch.device("meta"):
        full, single = CARN(), CARN(scales=(2,))
    # Entry, three cascades of three residual blocks and 1 x 1 joins, the outer joins, three up-samplers, exit.
    cascade = 3 * 2 * 36_928 + (128 + 192 + 256) * 64 + 3 * 64
    by_hand = 1_792 + 3 * cascade + 37_056 + 147_712 + 332_352 + 2 * 147_712 + 1_731
    assert parameter_count(full) == by_hand == 1_591_939  # paper: 1,592K
    assert parameter_count(single) == by_hand - 332_352 - 2 * 147_712 == 964_163


def test_the_mobile_one_has_the_published_parameters():
    with torch.device("meta"):
        network = CARN(groups=4)
    # A block: two convolutions of 4 groups of 16 channels, and a 1 x 1; one block in each of three cascades.
    joins = (128 + 192 + 256) * 64 + 3 * 64
    cascade = 2 * 9_280 + 4_160 + joins
    assert parameter_count(network) == 1_792 + 3 * cascade + joins + 37_120 + 83_520 + 2 * 37_120 + 1_731 == 414_787
    biases = sum(value.numel() for name, value in network.named_parameters() if name.endswith("bias"))
    assert parameter_count(network) - biases == 412_032  # paper: 412K


@pytest.mark.parametrize("scale", SCALES)
def test_it_enlarges_by_the_scale_that_is_chosen(scale, device):
    network = small().to(device)
    assert network.at(scale)(picture(7, 5, 2, device=device)).shape == (2, 3, 7 * scale, 5 * scale)
    assert network.factor == 2  # choosing makes a second view of the same weights
    assert network.at(scale).entry.weight is network.entry.weight


def test_a_scale_without_up_sampler_is_refused():
    with pytest.raises(InputError, match="no up-sampler for scale 4, only for 2, 3"):
        small(scales=(2, 3)).at(4)


def test_without_a_generator_it_gives_the_mean_colour():
    mean = torch.tensor(layers.DIV2K_MEAN)[:, None, None].expand(1, 3, 14, 10)
    close(small(generator=None)(picture(7, 5)), mean, 1e-6)


def test_a_cascade_mixes_all_that_came_before():
    cascade = Cascade([torch.nn.Identity()], 1, 2)
    with torch.no_grad():
        for join, weights in zip(cascade.joins, ([1.0, 1.0], [1.0, -1.0, 2.0]), strict=True):
            join.weight.copy_(torch.tensor(weights)[None, :, None, None])
            join.bias.zero_()
    # First join: 3 + 3 = 6. Second: given 3, the first part's output 3, the second part's output 6.
    assert cascade(torch.full((1, 1, 1, 1), 3.0)).item() == 3 - 3 + 2 * 6


def test_a_pixel_sees_as_far_as_reach_says():
    network = small(channels=2, blocks=2)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_()  # so that nothing cancels
    size, middle = 41, 20
    image = torch.full((1, 3, size, size), 2.0, requires_grad=True)
    for scale in SCALES:
        image.grad = None
        network.at(scale)(image)[..., scale * middle, scale * middle].sum().backward()
        rows = (image.grad.abs().sum((0, 1, 3)) > 0).nonzero().flatten()
        assert middle - network.reach <= rows.min()
        assert rows.max() <= middle + network.reach
        assert rows.max() - rows.min() >= 2 * (network.reach - 3)


def released_state(channels: int = 4, single: int | None = None, groups: int | None = None) -> dict[str, torch.Tensor]:
    """Random weights under the names of the authors' files: of CARN, or with groups of CARN-M."""
    draw, each = generator_for("released"), channels // (groups or 1)
    shapes = {"entry": (channels, 3, 3), "exit": (3, channels, 3)}
    for i in (1, 2, 3):
        shapes[f"c{i}.body.0"] = (channels, (i + 1) * channels, 1)
        for j in (1, 2, 3):
            shapes[f"b{i}.c{j}.body.0"] = (channels, (j + 1) * channels, 1)
        for j in (1,) if groups else (1, 2, 3):
            shapes |= {f"b{i}.b{j}.body.{k}": (channels, each, 3) for k in (0, 2)}
            shapes |= {f"b{i}.b{j}.body.4": (channels, channels, 1)} if groups else {}
    for scale, name in [(single, "up")] if single else [(s, f"up{s}") for s in SCALES]:
        for k, step in enumerate({2: [2], 3: [3], 4: [2, 2]}[scale]):
            shapes[f"upsample.{name}.body.{3 * k}"] = (step**2 * channels, each, 3)
    state = {}
    for name, (out, into, size) in shapes.items():
        state[f"{name}.weight"] = torch.randn(out, into, size, size, generator=draw) / (into * size**2) ** 0.5
        state[f"{name}.bias"] = torch.randn(out, generator=draw) / 10
    for name in ("sub_mean", "add_mean"):
        state[f"{name}.shifter.weight"] = torch.eye(3)[:, :, None, None] + torch.randn(3, 3, 1, 1, generator=draw) / 10
        state[f"{name}.shifter.bias"] = torch.randn(3, generator=draw)
    return state


def by_hand(state: dict[str, torch.Tensor], image: torch.Tensor, scale: int, up: str) -> torch.Tensor:
    """CARN or CARN-M written once more, out of the released names alone."""
    mobile = "b1.b2.body.0.weight" not in state

    def conv(name, x):
        weight = state[f"{name}.weight"]
        groups = x.shape[1] // weight.shape[1]
        return F.conv2d(x, weight, state[f"{name}.bias"], padding=weight.shape[-1] // 2, groups=groups)

    def cascade(prefix, x, part):
        kept, out = [x], x
        for i in (1, 2, 3):
            kept.append(part(f"{prefix}b{i}", out))
            out = conv(f"{prefix}c{i}.body.0", torch.cat(kept, 1)).relu()
        return out

    def residual(name, x):
        name = name.rpartition(".")[0] + ".b1" if mobile else name
        y = conv(f"{name}.body.2", conv(f"{name}.body.0", x).relu())
        return ((conv(f"{name}.body.4", y.relu()) if mobile else y) + x).relu()

    x = conv("entry", conv("sub_mean.shifter", image))
    x = cascade("", x, lambda name, y: cascade(f"{name}.", y, residual))
    for k, step in enumerate({2: [2], 3: [3], 4: [2, 2]}[scale]):
        x = F.pixel_shuffle(conv(f"upsample.{up}.body.{3 * k}", x).relu(), step)
    return conv("add_mean.shifter", conv("exit", x))


@pytest.mark.parametrize("groups", [None, 2])
def test_released_weights_land_where_they_belong(tmp_path, groups):
    state = released_state(groups=groups)
    torch.save(state, tmp_path / "carn.pth")
    network, provenance = released.read(tmp_path / "carn.pth")
    more = {"groups": groups} if groups else {}
    assert network.settings == {"architecture": "carn", "channels": 4, "blocks": 3, "scales": [2, 3, 4]} | more
    assert (provenance["scales"], provenance["input"], provenance["stage"]) == ([2, 3, 4], {"kind": "none"}, "released")
    assert "carn.pth" in provenance["source"]
    name_in_file = released.carn_name()
    assert {name_in_file(name) for name in network.state_dict()} == set(state)
    for name, value in network.state_dict().items():
        assert torch.equal(value, state[name_in_file(name)])
    for scale in SCALES:
        close(network.at(scale)(picture(7, 5)), by_hand(state, picture(7, 5), scale, f"up{scale}"), 1e-4)


@pytest.mark.parametrize("scale", SCALES)
def test_released_weights_for_one_scale(tmp_path, scale):
    state = released_state(single=scale)
    torch.save({"state_dict": {f"module.{name}": value for name, value in state.items()}}, tmp_path / "carn.pt")
    network, provenance = released.read(tmp_path / "carn.pt")
    assert (network.factor, provenance["scales"]) == (scale, [scale])
    close(network(picture(7, 5)), by_hand(state, picture(7, 5), scale, "up"), 1e-4)


def test_the_colour_shift_may_be_missing(tmp_path):
    state = {name: value for name, value in released_state().items() if "mean" not in name}
    torch.save(state, tmp_path / "carn.pth")
    network, _ = released.read(tmp_path / "carn.pth")
    close(network.shift.bias, -torch.tensor(layers.DIV2K_MEAN), 0)


def test_the_full_networks_names_are_the_released_ones():
    ends = [f".{kind}" for kind in ("weight", "bias")]
    for groups, there, missing in ((None, "b3.b3.body.2", "b1.b1.body.4"), (4, "b3.b1.body.4", "b1.b2.body.0")):
        with torch.device("meta"):
            names = list(CARN(groups=groups).state_dict())
        theirs = {released.carn_name()(name) for name in names}
        assert len(theirs) == len(names)
        examples = f"entry b1.c3.body.0 c1.body.0 upsample.up4.body.3 exit sub_mean.shifter add_mean.shifter {there}"
        assert {name + end for name in examples.split() for end in ends} <= theirs
        assert not {missing + end for end in ends} & theirs
