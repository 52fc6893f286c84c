"""Every method behind one signature, one registry, and sweeps."""

import functools

import pytest
import torch
from helpers import close, picture

from mzsr_lib.files import InputError
from mzsr_lib.imaging import kernels, resize
from mzsr_lib.imaging.degradation import MODES, Degradation
from mzsr_lib.methods import classical, registry, zero_shot
from mzsr_lib.models import weights
from mzsr_lib.models.registry import build as build_network
from mzsr_lib.runtime import generator_for

BLUR = kernels.gaussian_kernel(torch.eye(2), 5)
NETWORKS = {
    "bicubic": {"channels": 4, "layers": 3},
    "restored": {"channels": 4, "layers": 3},
    "carn": {"architecture": "carn", "channels": 4, "blocks": 1, "scales": [2, 3, 4]},
    "rcan": {"architecture": "rcan", "channels": 4, "groups": 1, "blocks": 1, "reduction": 2, "scale": 2},
}


@pytest.fixture
def save(tmp_path):
    """Call with a kind of weights to have a tiny network of it in a file."""

    def saved(kind, scales=(2,)):
        settings = NETWORKS[kind] | ({"scale": scales[0]} if kind == "rcan" else {})
        network, path = build_network(settings, generator_for("stored")), tmp_path / f"{kind}.safetensors"
        takes = kind if kind in ("bicubic", "restored") else "none"
        facts = {"scales": list(scales), "input": {"kind": takes}}
        weights.save(path, network, dict(network.named_parameters()), facts)
        return path

    return saved


@pytest.fixture
def stored(save):
    """A tiny network for the bicubic input."""
    return save("bicubic")


def test_the_registry_is_in_the_order_of_the_tables():
    classical_ones, learned = ["nearest", "bilinear", "bicubic", "aligned", "landweber", "tikhonov"], list(NETWORKS)
    assert list(registry.METHODS) == [*classical_ones, "pretrained", "mzsr", "mzsr-plus", "zssr", "carn", "rcan"]
    for name, entry in registry.REGISTRY.items():
        assert entry.name == name and entry.title
        assert entry.has_weights == (name not in classical_ones and name != "zssr")
        assert not entry.takes or entry.takes in learned
    updates = {name: entry.updates for name, entry in registry.REGISTRY.items() if entry.updates is not None}
    assert updates == {"mzsr": 10, "mzsr-plus": 0, "zssr": 3000}


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", registry.METHODS)
def test_every_method_has_the_same_signature(name, scale, mode, save, device):
    entry, degradation = registry.REGISTRY[name], Degradation(BLUR, scale, mode)
    lr = picture(21, 17, device=device)
    chosen = save(entry.takes, (scale,)) if entry.has_weights else None
    steps = 0 if entry.updates is None else 2
    method = registry.build(name, steps, chosen, device=device, scale=scale)
    sr = method(lr, degradation)
    assert sr.shape == (1, 3, 21 * scale, 17 * scale) and sr.device == lr.device
    assert sr.min() >= 0 and sr.max() <= 1
    again, taken = method.counted(lr, degradation)
    assert taken == method.steps == steps
    close(again, sr, 1e-6 if device.type == "cuda" else 0)


@pytest.mark.parametrize("name", registry.METHODS)
def test_the_kernel_matters_where_the_registry_says_so(name, save):
    entry, lr = registry.REGISTRY[name], picture(21, 17)
    chosen = save(entry.takes) if entry.has_weights else None
    method = registry.build(name, 0 if entry.updates is None else 2, chosen)
    same = torch.equal(method(lr, Degradation(BLUR)), method(lr, Degradation(torch.ones(1, 1))))
    assert same != entry.needs_kernel


def test_what_makes_no_updates(stored):
    degradation, lr = Degradation(torch.ones(1, 1)), picture(9, 11)
    close(registry.build("bicubic")(lr, degradation), resize.upscale(lr, 2).clamp(0, 1), 0)
    close(registry.build("tikhonov")(lr, degradation), classical.tikhonov(lr, degradation), 0)
    zero = registry.build("mzsr", 0, stored)(lr, degradation)
    close(registry.build("pretrained", 0, stored)(lr, degradation), zero, 0)
    assert not torch.equal(registry.build("mzsr", 1, stored)(lr, degradation), zero)


def test_the_updates_that_zssr_takes_can_be_seen(monkeypatch):
    hasty = functools.partial(zero_shot.ZeroShotConfig, check_every=2, window=4, learning_rate=1e-5)
    monkeypatch.setattr(registry, "ZeroShotConfig", hasty)
    method = registry.build("zssr", 3000)
    sr, taken = method.counted(torch.full((1, 3, 12, 12), 0.5), Degradation(torch.ones(1, 1)))
    assert sr.shape == (1, 3, 24, 24) and 0 < taken < 3000 == method.steps


@pytest.mark.parametrize("name", [name for name, entry in registry.REGISTRY.items() if entry.updates is None])
def test_steps_for_a_method_without_updates_are_refused(name):
    with pytest.raises(InputError, match=f"{name} makes no updates, and here are 7: leave the steps out"):
        registry.build(name, 7)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"name": "best"}, "no method 'best': choose one of nearest, bilinear, bicubic, .*, carn, rcan"),
        ({"name": "mzsr", "steps": -1}, "steps is -1"),
        ({"name": "zssr"}, "give it steps"),
        ({"name": "mzsr", "weights_name": "no-such"}, "no weights 'no-such'"),
    ],
)
def test_what_cannot_be_built_is_refused_in_a_sentence(arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        registry.build(**arguments)


@pytest.mark.parametrize("name", ["mzsr", "mzsr-plus", "pretrained", "carn", "rcan"])
@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("bicubic", "trained for a bicubic input, not for {}: take the method mzsr"),
        ("restored", "trained for a restored input, not for {}: take the method mzsr-plus"),
        ("carn", "those of carn, not for {}: take the method carn"),
        ("rcan", "those of rcan, not for {}: take the method rcan"),
    ],
)
def test_weights_of_another_kind_are_refused(name, kind, sentence, save):
    if kind == registry.REGISTRY[name].takes:
        assert registry.build(name, 0, save(kind)).weights
        return
    with pytest.raises(InputError, match=sentence.format(name)):
        registry.build(name, 0, save(kind))


@pytest.mark.parametrize("name", ["carn", "rcan"])
def test_a_method_whose_weights_are_not_shipped_says_so(name, monkeypatch):
    monkeypatch.setattr(weights, "FOLDER", weights.FOLDER / "none")
    with pytest.raises(InputError, match=rf"No weights for {name} at scale 4 are shipped .* give a file \(--weights\)"):
        registry.build(name, scale=4)


def test_the_shipped_weights_of_the_scale_are_found(monkeypatch, save, tmp_path):
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    save("bicubic", (3, 4)).rename(tmp_path / "mzsr-many.safetensors")
    assert registry.build("mzsr", scale=4).weights == "mzsr-many"
    with pytest.raises(InputError, match="No weights for mzsr at scale 2 are shipped"):
        registry.build("mzsr", scale=2)


def test_weights_of_another_scale_are_refused(stored):
    with pytest.raises(InputError, match="for scale 2, not 3"):
        registry.build("mzsr", 1, stored, scale=3)


def test_a_sweep_has_each_method_once_per_number_of_steps(stored):
    built = registry.sweep(["bicubic", "mzsr", "zssr", "bicubic"], [1, 10, 1], stored)
    assert [(m.name, m.steps) for m in built] == [("bicubic", 0), ("mzsr", 1), ("mzsr", 10), ("zssr", 1), ("zssr", 10)]
    assert [m.steps for m in registry.sweep(["mzsr", "zssr"], (), stored)] == [10, 3000]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((["mzsr", "pretrained"], [1], "w"), "here is mzsr and pretrained"),
        ((["bicubic"], [1], "w"), "here is none"),
        (([],), "No method is named"),
        ((["best"],), "no method 'best'"),
        ((["mzsr"], [-1]), "steps is -1"),
    ],
)
def test_sweeps_that_cannot_be(arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        registry.sweep(*arguments)


def test_methods_without_updates_come_once_and_say_so_when_alone(stored):
    counts = [(m.name, m.steps) for m in registry.sweep(["nearest", "mzsr", "tikhonov"], [1, 2], stored)]
    assert counts == [("nearest", 0), ("mzsr", 1), ("mzsr", 2), ("tikhonov", 0)]
    assert [m.steps for m in registry.sweep(["landweber"], [0, 1, 10])] == [0]
    with pytest.raises(InputError, match="landweber makes no updates, and here are 10"):
        registry.sweep(["landweber"], [10, 20])
