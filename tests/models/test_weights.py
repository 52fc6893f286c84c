"""Weights come back as they were saved, with where they come from; anything else is one sentence."""

import json

import pytest
import torch
from helpers import picture
from safetensors.torch import save_file

from mzsr_lib.files import InputError
from mzsr_lib.models import weights
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
