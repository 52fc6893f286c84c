"""Weights come back as they were saved, with where they come from; anything else is one sentence."""

import json
import math

import pytest
import torch
from helpers import picture
from safetensors.torch import save_file

from mzsr_lib.files import InputError
from mzsr_lib.models import weights
from mzsr_lib.mzsr.curvature import Curvature
from mzsr_lib.mzsr.networks import SRNetwork
from mzsr_lib.runtime import generator_for

PROVENANCE = {"scales": [3], "stage": "test", "settings": {"steps": 7}, "held_out": {"score": 31.25}}


@pytest.fixture
def network():
    return SRNetwork(5, 3, generator_for("weights")).to(memory_format=torch.channels_last)


@pytest.fixture
def path(tmp_path, network):
    weights.save(tmp_path / "mine.safetensors", network, dict(network.named_parameters()), PROVENANCE)
    return tmp_path / "mine.safetensors"


def test_weights_come_back_with_their_provenance(path, network, device):
    loaded = weights.load(path, device)
    assert loaded.provenance == {"network": {"channels": 5, "layers": 3}, **PROVENANCE}
    assert (loaded.scales, loaded.name) == ((3,), str(path))
    assert not loaded.network.training
    for ours, theirs in zip(loaded.network.parameters(), network.parameters(), strict=True):
        assert ours.device.type == device.type
        assert torch.equal(ours.cpu(), theirs)
    torch.testing.assert_close(loaded.network(picture(device=device)).cpu(), network(picture()), atol=1e-3, rtol=0)


def test_provenance_is_read_without_the_weights(path):
    assert weights.read_provenance(path)["held_out"] == {"score": 31.25}


def test_the_values_given_are_saved_not_the_network_s(tmp_path, network):
    average = {name: torch.full_like(value, 0.5) for name, value in network.named_parameters()}
    weights.save(tmp_path / "a.safetensors", network, average, {})
    loaded = weights.load(tmp_path / "a.safetensors")
    assert all((p == 0.5).all() for p in loaded.network.parameters())
    assert loaded.scales == (2,)  # the paper's main table, when nothing is said


def test_a_failed_save_leaves_the_old_file(path, network):
    old = path.read_bytes()
    with pytest.raises(TypeError):
        weights.save(path, network, {}, {"unknown to JSON": object()})
    assert path.read_bytes() == old
    assert list(path.parent.iterdir()) == [path]


def damage(path, case: str) -> None:
    """Make a good weights file into a bad one."""
    whole = path.read_bytes()
    contents = {"half": whole[: len(whole) // 2], "text": b"no weights at all", "empty": b""}
    if case in contents:
        path.write_bytes(contents[case])
        return
    described = {"network": {"channels": 5, "layers": 3}}
    metadata = {
        "foreign": None,
        "not json": {"mzsr": "{"},
        "a list": {"mzsr": "[1]"},
        "no network": {"mzsr": "{}"},
        "odd network": {"mzsr": json.dumps({"network": {"depth": 3}})},
        "other network": {"mzsr": json.dumps(described)},
    }
    save_file({"w": torch.zeros(2)}, path, metadata=metadata[case])


CASES = [
    "half",
    "text",
    "empty",
    "foreign",
    "not json",
    "a list",
    "no network",
    "odd network",
    "other network",
]


# What a file says of itself, and what is found wrong with it.
SAID = [
    ({"network": {"channels": "x", "layers": 3}}, "network.channels is 'x'"),
    ({"network": {"channels": 10**9, "layers": 3}}, "network.channels is 1000000000"),
    ({"network": {"channels": 5, "layers": 10**6}}, "network.layers is 1000000"),
    ({"network": {"channels": 4096, "layers": 256}}, "do not fit the network"),
    ({"network": [5, 3]}, r"network is \[5, 3\]"),
    ({"input": {"kind": "restored", "passes": 10**7}}, "passes is 10000000: it must be a whole number from 1 to 100"),
    ({"input": {"kind": "restored", "mu": "x"}}, "input.mu is 'x'"),
    ({"input": {"kind": "restored", "mu": float("nan")}}, "input.mu is nan"),
    ({"input": {"kind": "bicubic", "bogus": 1}}, "input has 'bogus'"),
    ({"input": {"kind": "cubic"}}, "no network input 'cubic'"),
    ({"input": None}, "input is None"),
    ({"trained_input": {"kind": 3}}, "trained_input.kind is 3"),
    ({"scales": 2}, "scales is 2"),
    ({"scales": [0]}, r"scales is \[0\]"),
    ({"scale": 10**6}, "scale is 1000000"),
    ({"settings": [2]}, r"settings is \[2\]"),
    ({"settings": {"prior_low": "wide"}}, "settings.prior_low is 'wide'"),
    ({"settings": {"plain_share": -1}}, "settings.plain_share is -1"),
    ({"held_out": 3}, "held_out is 3"),
    ({"method": ["mzsr"]}, r"method is \['mzsr'\]"),
]


@pytest.mark.parametrize(("facts", "message"), SAID, ids=[message for _, message in SAID])
def test_what_a_file_says_of_itself_is_checked_when_it_is_read(path, network, facts, message):
    described = {"mzsr": json.dumps({"network": network.settings, **facts})}
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, path, metadata=described)
    with pytest.raises(InputError, match=message) as caught:
        weights.load(path)
    assert str(path) in str(caught.value)


def test_json_without_end_is_one_sentence(path):
    save_file({"w": torch.zeros(2)}, path, metadata={"mzsr": "[" * 200_000})
    with pytest.raises(InputError, match="not a weights file"):
        weights.load(path)


BAD_VALUES = [
    *((place, value) for place in ("one", "all") for value in (math.nan, math.inf, 1e30)),
    ("all", 1e5),  # finite, but not what it makes of a picture
]


@pytest.mark.parametrize(("place", "value"), BAD_VALUES)
def test_weights_nothing_can_be_computed_with_are_refused(tmp_path, place, value):
    network = SRNetwork(5, 3, generator_for("weights"))
    params = {name: p.detach().clone() for name, p in network.named_parameters()}
    for parameter in params.values() if place == "all" else [params["body.2.bias"][3:4]]:
        parameter.fill_(value)
    weights.save(tmp_path / "bad.safetensors", network, params, {})
    with pytest.raises(InputError, match="numbers that are not finite, or above"):
        weights.load(tmp_path / "bad.safetensors")


def learned(network) -> dict[str, torch.Tensor]:
    return Curvature(network, "full", 2, 0.1).rule().tensors()


AXIS = "curvature.body.0.weight.1"
STEPS = {
    "a rate is NaN": (lambda t: t["rates"][1, 2].fill_(math.nan), "rates of its learned step"),
    "a rate is 0": (lambda t: t["rates"][0, 0].fill_(0.0), "positive"),
    "a rate is infinite": (lambda t: t["rates"][0, 0].fill_(math.inf), "rates has numbers that are not finite"),
    "rates are missing": (lambda t: t.pop("rates"), "rates of its learned step"),
    "rates of others": (lambda t: t.update(rates=torch.ones(2, 3)), r"\(2, 3\), must be \(steps, 6\)"),
    "a matrix is missing": (lambda t: t.pop(AXIS), f"lacks '{AXIS}'"),
    "a matrix too many": (lambda t: t.update({"curvature.other.0": torch.ones(1, 2, 2)}), "curvature.other.0"),
    "another shape": (lambda t: t.update({AXIS: torch.ones(1, 4, 4)}), rf"'{AXIS}' .* must be \(sets, 3, 3\)"),
    "no sets": (lambda t: t.update({AXIS: torch.ones(0, 3, 3)}), rf"'{AXIS}'"),
    "NaN in a matrix": (lambda t: t[AXIS][0, 1, 1].fill_(math.nan), f"{AXIS} has numbers that are not finite"),
}


@pytest.mark.parametrize("case", STEPS)
def test_a_learned_step_that_cannot_be_is_refused(tmp_path, case):
    change, message = STEPS[case]
    network = SRNetwork(5, 3, generator_for("weights"))
    step = {key: value.detach().clone() for key, value in learned(network).items()}
    path = tmp_path / "step.safetensors"
    weights.save(path, network, dict(network.named_parameters()) | step, {})
    assert weights.load(path).rule is not None
    change(step)
    weights.save(path, network, dict(network.named_parameters()) | step, {})
    with pytest.raises(InputError, match=message):
        weights.load(path)


@pytest.mark.parametrize("case", CASES)
def test_a_broken_file_is_one_sentence(path, case):
    damage(path, case)
    with pytest.raises(InputError, match=r"not a weights file|do not fit") as caught:
        weights.load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_wrong_name_lists_the_shipped(monkeypatch, path):
    monkeypatch.setattr(weights, "FOLDER", path.parent)
    assert weights.shipped() == {"mine": path}
    with pytest.raises(InputError, match=r"no weights 'yours'.*\(mine\)"):
        weights.load("yours")


def test_shipped_weights_are_loaded_by_name(monkeypatch, path):
    monkeypatch.setattr(weights, "FOLDER", path.parent)
    assert weights.load("mine").name == "mine"
    assert weights.load("mine").provenance["stage"] == "test"


@pytest.mark.parametrize("name", weights.shipped() or ["none yet"])
def test_shipped_weights_say_where_they_come_from(name):
    if not weights.shipped():
        pytest.skip("no weights are shipped yet")
    loaded = weights.load(name)
    if name.startswith(("pretrained", "mzsr")):  # the paper's network
        assert loaded.network.settings == {"channels": 64, "layers": 8}
    assert set(loaded.scales) <= {2, 3, 4}
    method = loaded.provenance["method"]  # it is found by this, not by its name
    assert all(weights.default(method, scale) is not None for scale in loaded.scales)
    assert {"stage", "data", "settings", "step", "commit", "date", "device", "seed"} <= set(loaded.provenance)
    assert all(p.isfinite().all() for p in loaded.network.parameters())


def test_facts_can_be_added_without_touching_the_weights(path):
    before = weights.load(path)
    weights.annotate(path, {"scores": {"set5 g2.0d": 35.0}})
    after = weights.load(path)
    assert after.provenance == before.provenance | {"scores": {"set5 g2.0d": 35.0}}
    for name, value in before.network.state_dict().items():
        assert torch.equal(after.network.state_dict()[name], value)


@pytest.mark.parametrize("fact", weights.ADDED)
def test_what_is_added_when_weights_are_shipped_does_not_change_their_hash(path, fact):
    before = weights.fingerprint(path)
    weights.annotate(path, {fact: "something"})
    assert weights.fingerprint(path) == before
    weights.annotate(path, {"stage": "another"})
    assert weights.fingerprint(path) != before
