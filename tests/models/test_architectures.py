"""Every kind of network is made, trained, saved, continued and used by the same few functions."""

from dataclasses import replace

import pytest
import torch
from helpers import close, log, picture, small_config, small_pictures

from mzsr_lib.cli import main
from mzsr_lib.files import InputError
from mzsr_lib.imaging import picture_files
from mzsr_lib.imaging.degradation import from_setting
from mzsr_lib.imaging.kernel_files import parse
from mzsr_lib.models import registry, weights
from mzsr_lib.mzsr import inputs, networks, tiling
from mzsr_lib.mzsr.adaptation import SGD, adapt, starting_point, super_resolve
from mzsr_lib.mzsr.networks import SRNetwork, parameter_count
from mzsr_lib.mzsr.pretraining import PretrainConfig
from mzsr_lib.runtime import Group, generator_for
from mzsr_lib.training import presets
from mzsr_lib.training.stages import initial_network, pretrain

CARN = {"architecture": "carn", "channels": 4, "blocks": 2, "scales": [2, 3]}
RCAN = {"architecture": "rcan", "channels": 4, "groups": 2, "blocks": 1, "reduction": 2, "scale": 2}
EACH = {"mzsr": {"channels": 4, "layers": 3}, "carn": CARN, "rcan": RCAN}


def small(kind: str) -> networks.Network:
    return registry.build(EACH[kind], generator_for(kind))


@pytest.mark.parametrize("kind", EACH)
def test_a_network_is_made_from_the_settings_it_tells(kind):
    network = small(kind)
    assert isinstance(network, registry.CLASSES[kind])
    assert network.settings == EACH[kind]
    assert network.settings.keys() == registry.SETTINGS[kind]
    again, other = small(kind), registry.build(EACH[kind], generator_for("other"))
    same = [torch.equal(a, b) for a, b in zip(network.parameters(), again.parameters(), strict=True)]
    assert all(same)
    assert not torch.equal(next(network.parameters()), next(other.parameters()))


@pytest.mark.parametrize(
    "settings", [{}, {"architecture": "vdsr"}, EACH["mzsr"] | {"depth": 1}, {"architecture": "carn"}]
)
def test_unknown_settings_are_refused(settings):
    assert not registry.known(settings)
    with pytest.raises(InputError, match="architectures are mzsr, carn, rcan"):
        registry.build(settings)


@pytest.mark.parametrize("kind", EACH)
def test_weights_of_every_kind_come_back(tmp_path, kind):
    network = small(kind)
    weights.save(tmp_path / "w.safetensors", network, dict(network.named_parameters()), {})
    loaded = weights.load(tmp_path / "w.safetensors").network
    assert loaded.settings == EACH[kind]
    close(loaded(picture(8, 6)), network(picture(8, 6)), 1e-6)


def config(kind: str, **changes) -> PretrainConfig:
    network = {name: value for name, value in EACH[kind].items() if name not in ("scale", "scales")}
    scales = tuple(EACH[kind].get("scales", (2,)))
    given = {"network": network, "network_input": "none", "scales": scales, "patch": 12, "steps": 8, "log_every": 2}
    return small_config(**given | changes)


@pytest.mark.parametrize("kind", ["carn", "rcan"])
def test_a_baseline_is_trained_and_continued(tmp_path, kind):
    path = pretrain(config(kind), ["train"], tmp_path / "once", pictures=small_pictures())
    assert pretrain(config(kind), ["train"], tmp_path / "twice", max_steps=3, pictures=small_pictures()).exists()
    pretrain(config(kind), ["train"], tmp_path / "twice", pictures=small_pictures())
    assert log(tmp_path / "once")[-1] == log(tmp_path / "twice")[-1]
    loaded = weights.load(path)
    assert loaded.network.settings == EACH[kind]
    assert loaded.upscaler is inputs.unchanged_input
    assert loaded.scales == config(kind).scales
    start = registry.build(EACH[kind], generator_for(0, "weights"))
    changed = [not torch.equal(a, b) for a, b in zip(start.parameters(), loaded.network.parameters(), strict=True)]
    assert all(changed)


def test_training_continues_from_given_weights_of_the_same_kind_alone(tmp_path):
    network, path, pictures = small("rcan"), tmp_path / "w.safetensors", small_pictures()
    weights.save(path, network, dict(network.named_parameters()), {})
    pretrain(config("rcan"), [], tmp_path / "run", max_steps=1, init=path, pictures=pictures)
    with pytest.raises(InputError, match="of the kind rcan, and here mzsr is trained"):
        pretrain(small_config(), [], tmp_path / "other", init=path, pictures=pictures)
    with pytest.raises(InputError, match="of the kind rcan, and here mzsr is trained"):
        initial_network(path, SRNetwork(), Group())  # as meta-training asks for it


@pytest.mark.parametrize(("kind", "scale"), [("mzsr", 3), ("carn", 2), ("carn", 3)])
def test_a_picture_in_pieces_is_the_picture_in_one_go(kind, scale, monkeypatch):
    network, lr = small(kind).double(), picture(37, 31, dtype=torch.float64)
    upscaler = inputs.bicubic_input if kind == "mzsr" else inputs.unchanged_input
    degradation = from_setting(parse("bicubic"), scale)
    whole = super_resolve(network, starting_point(network), lr, degradation, upscaler)
    monkeypatch.setattr(tiling.tiles, "__defaults__", (8,))
    assert whole.shape == (1, 3, 37 * scale, 31 * scale)
    close(super_resolve(network, starting_point(network), lr, degradation, upscaler), whole, 1e-9)


@pytest.mark.parametrize("kind", EACH)
def test_every_kind_can_learn_from_one_picture(kind):
    network, lr = small(kind), picture(48, 46)
    upscaler = inputs.bicubic_input if kind == "mzsr" else inputs.unchanged_input
    updates = adapt(network, starting_point(network), lr, from_setting(parse("g0.2d"), 2), 4, SGD([0.01]), upscaler)
    losses = [float(loss) for _, loss in updates]
    assert losses[-1] < losses[0]


IMPOSSIBLE = [
    ("carn", {"architecture": "vdsr"}, {}, "architectures are mzsr, carn, rcan"),
    ("carn", {}, {"network_input": "restored"}, "input is restored, and this network takes none"),
    ("rcan", {}, {"scales": (2, 3), "patch": 12}, "rcan takes one scale, and here are 2"),
    ("rcan", {"reduction": 65}, {}, "a reduction between 1 and its channels"),
    ("carn", {"blocks": 0}, {}, "blocks of the network is 0"),
    ("carn", {"groups": 1}, {}, "no network with the settings"),
    ("mzsr", {"channels": 0}, {}, "channels of the network is 0"),
    ("mzsr", {"layers": 1}, {}, "at least 2 layers"),
    ("mzsr", {}, {}, "input is none, and this network takes bicubic or restored"),
]


@pytest.mark.parametrize(("kind", "network", "changes", "message"), IMPOSSIBLE)
def test_impossible_settings_are_refused(tmp_path, kind, network, changes, message):
    settings = config(kind)
    settings = replace(settings, network=dict(settings.network) | network, **changes)
    with pytest.raises(InputError, match=message):
        pretrain(settings, [], tmp_path, pictures=small_pictures())


def test_the_presets_are_what_they_say():
    full = {"architecture": "rcan", "channels": 64, "groups": 10, "blocks": 20, "reduction": 16}
    with torch.device("meta"):
        counts = [
            parameter_count(registry.build(registry.settings_for(settings.network, settings.scales)))
            for settings in (
                presets.pretrain_carn(),
                replace(presets.pretrain_carn(), scales=(2, 3, 4), patch=48),
                presets.pretrain_rcan_small(),
                PretrainConfig(network=full),
                PretrainConfig(),
            )
        ]
    assert counts == [964_163, 1_591_939, 301_203, 15_444_643, 225_091]
    assert presets.pretrain_carn().upscaler() is inputs.unchanged_input
    assert PretrainConfig().upscaler() is inputs.bicubic_input


def test_the_paper_s_network_serves_every_scale():
    network = SRNetwork(4, 3)
    assert network.at(2) is network.at(4) is network
    assert network.factor == 1


def test_the_command_line_trains_a_baseline(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for seed in range(9):
        picture_files.save(tmp_path / "many" / f"{seed}.png", picture(40 + seed, 41, seed=seed))
    line = "pretrain --data many --output run --preset carn --channels 4 --blocks 1 --steps 2 --batch 2 --log-every 1"
    assert main.main(line.split()) == 0
    assert capsys.readouterr().out == "The weights are in run/weights.safetensors.\n"
    wanted = {"architecture": "carn", "channels": 4, "blocks": 1, "scales": [2]}
    assert weights.load("run/weights.safetensors").network.settings == wanted
