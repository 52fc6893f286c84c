"""Every kind of network is made, saved and used by the same few functions."""

import pytest
import torch
from helpers import close, picture, small_config, small_pictures

from mzsr_lib.files import InputError
from mzsr_lib.imaging.degradation import from_setting
from mzsr_lib.imaging.kernel_files import parse
from mzsr_lib.models import registry, weights
from mzsr_lib.mzsr import inputs, networks
from mzsr_lib.mzsr.adaptation import starting_point, super_resolve
from mzsr_lib.mzsr.networks import SRNetwork
from mzsr_lib.runtime import generator_for
from mzsr_lib.training.stages import pretrain

CARN = {"architecture": "carn", "channels": 4, "blocks": 2, "scales": [2, 3]}
CARN_M = CARN | {"groups": 2}
RCAN = {"architecture": "rcan", "channels": 4, "groups": 2, "blocks": 1, "reduction": 2, "scale": 2}
EACH = {"mzsr": {"channels": 4, "layers": 3}, "carn": CARN, "carn-m": CARN_M, "rcan": RCAN}


def small(kind: str) -> networks.Network:
    return registry.build(EACH[kind], generator_for(kind))


@pytest.mark.parametrize("kind", EACH)
def test_a_network_is_made_from_the_settings_it_tells(kind):
    network = small(kind)
    assert isinstance(network, registry.CLASSES[kind.removesuffix("-m")])
    assert network.settings == EACH[kind]
    registry.check(network.settings)
    again, other = small(kind), registry.build(EACH[kind], generator_for("other"))
    same = [torch.equal(a, b) for a, b in zip(network.parameters(), again.parameters(), strict=True)]
    assert all(same)
    assert not torch.equal(next(network.parameters()), next(other.parameters()))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "network has no 'channels'"),
        ({"architecture": "vdsr"}, "architecture 'vdsr': choose one of mzsr, carn, rcan"),
        ({"architecture": ["mzsr"]}, "choose one of mzsr, carn, rcan"),
        (EACH["mzsr"] | {"depth": 1}, "network has 'depth': it may have channels, layers"),
        ({"architecture": "carn"}, "network has no 'channels'"),
    ],
)
def test_unknown_settings_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        registry.build(settings)


@pytest.mark.parametrize("kind", EACH)
def test_weights_of_every_kind_come_back(tmp_path, kind):
    network = small(kind)
    weights.save(tmp_path / "w.safetensors", network, dict(network.named_parameters()), {})
    loaded = weights.load(tmp_path / "w.safetensors").network
    assert loaded.settings == EACH[kind]
    close(loaded(picture(8, 6)), network(picture(8, 6)), 1e-5)


def test_the_comparisons_are_not_trained(tmp_path):
    network, path = small("rcan"), tmp_path / "w.safetensors"
    weights.save(path, network, dict(network.named_parameters()), {})
    with pytest.raises(InputError, match="of the kind rcan, and here mzsr is trained"):
        pretrain(small_config(), [], tmp_path / "other", init=path, pictures=small_pictures())


@pytest.mark.parametrize(("kind", "scale"), [("mzsr", 3), ("carn", 2), ("carn-m", 3)])
def test_a_picture_in_pieces_is_the_picture_in_one_go(kind, scale):
    network, lr = small(kind).double(), picture(37, 31, dtype=torch.float64)
    upscaler = inputs.bicubic_input if kind == "mzsr" else inputs.unchanged_input
    degradation = from_setting(parse("bicubic"), scale)
    whole = super_resolve(network, starting_point(network), lr, degradation, upscaler)
    assert whole.shape == (1, 3, 37 * scale, 31 * scale)
    close(super_resolve(network, starting_point(network), lr, degradation, upscaler, size=8), whole, 1e-9)


IMPOSSIBLE = [
    (EACH["rcan"] | {"reduction": 65}, "between 1 and its channels"),
    (EACH["carn"] | {"blocks": 0}, "network.blocks is 0"),
    (EACH["carn"] | {"scales": [5]}, r"network.scales is \[5\]"),
    (EACH["carn-m"] | {"groups": 3}, "multiple of its groups"),
    (EACH["mzsr"] | {"channels": 0}, "network.channels is 0: it must be a whole number from 1 to 4096"),
    (EACH["mzsr"] | {"channels": "x"}, "network.channels is 'x'"),
    (EACH["mzsr"] | {"layers": 1}, "network.layers is 1"),
    (EACH["mzsr"] | {"layers": 10**6}, "network.layers is 1000000"),
    (EACH["mzsr"] | {"layers": True}, "network.layers is True"),
]


@pytest.mark.parametrize(("settings", "message"), IMPOSSIBLE)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        registry.build(settings)


def test_the_paper_s_network_serves_every_scale():
    network = SRNetwork(4, 3)
    assert network.at(2) is network.at(4) is network
    assert network.factor == 1
