"""A run continues bit for bit, stops cleanly, survives what is not finite, and does not mind its fellows."""

import json
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from helpers import checkpoint, close, log, picture, small_config, small_pictures

from mzsr_lib import files, runtime
from mzsr_lib.files import InputError
from mzsr_lib.imaging import images, kernels, metrics
from mzsr_lib.imaging.degradation import from_setting
from mzsr_lib.imaging.picture_sets import Pictures
from mzsr_lib.models import weights
from mzsr_lib.mzsr import pretraining
from mzsr_lib.mzsr.inputs import bicubic_input
from mzsr_lib.mzsr.networks import SRNetwork
from mzsr_lib.mzsr.pretraining import PretrainConfig
from mzsr_lib.mzsr.settings import LoopConfig
from mzsr_lib.mzsr.tasks import PatchSource, Shots
from mzsr_lib.runtime import Group, generator_for
from mzsr_lib.training import checkpoints, presets, stages
from mzsr_lib.training.loop import Loop, Params, TrainingFailed
from mzsr_lib.training.stages import pretrain

HERE = Path(__file__).parents[1]


# The schedule


@pytest.mark.parametrize(("step", "expected"), [(0, 8), (9, 8), (10, 4), (19, 4), (20, 2), (30, 1.5), (1000, 1.5)])
def test_halving_by_hand(step, expected):
    assert LoopConfig(learning_rate=8, decay="halving", halve_every=10, floor=1.5).rate(step) == expected


@pytest.mark.parametrize(("step", "expected"), [(0, 9), (25, 5 + 4 * math.sqrt(0.5)), (50, 5), (100, 1)])
def test_cosine_by_hand(step, expected):
    config = LoopConfig(steps=100, learning_rate=9, decay="cosine", floor=1)
    assert config.rate(step) == pytest.approx(expected)


def test_cosine_falls_to_the_floor():
    rates = [LoopConfig(steps=100, learning_rate=9, decay="cosine", floor=1).rate(step) for step in range(100)]
    assert rates == sorted(rates, reverse=True)
    assert 1 <= rates[-1] < 1.01


@pytest.mark.parametrize("step", [0, 7, 99])
def test_constant_is_constant(step):
    assert LoopConfig(learning_rate=3).rate(step) == 3


@pytest.mark.parametrize(("step", "expected"), [(0, 2), (1, 4), (3, 8), (4, 8), (50, 8)])
def test_warm_up_by_hand(step, expected):
    assert LoopConfig(learning_rate=8, warm_up=4).rate(step) == expected


def test_warm_up_multiplies_the_decay():
    config = {"learning_rate": 8, "decay": "halving", "halve_every": 2}
    assert LoopConfig(**config, warm_up=4).rate(2) == LoopConfig(**config).rate(2) * 0.75


def test_the_paper_s_rate_is_the_default_of_stage_1():
    # Paper, Section 5.1: 4e-4, halved every 100k steps, not below 1e-4.
    rates = [PretrainConfig().rate(step) for step in (0, 99_999, 100_000, 200_000, 700_000)]
    assert rates == [4e-4, 4e-4, 2e-4, 1e-4, 1e-4]


IMPOSSIBLE = {
    "steps": 0,
    "halve_every": 0,
    "ema": 1.0,
    "learning_rate": 0.0,
    "patience": 0,
}
IMPOSSIBLE_STAGE_1 = {"scales": (2, 2), "patch": 15, "batch": 0}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_impossible_settings_are_refused(name):
    with pytest.raises(InputError, match=name.removeprefix("learning_")):
        LoopConfig(**{name: IMPOSSIBLE[name]})


@pytest.mark.parametrize("name", IMPOSSIBLE_STAGE_1)
def test_impossible_settings_of_stage_1_are_refused(name):
    with pytest.raises(InputError, match=rf"(?i){name}"):
        PretrainConfig(**{name: IMPOSSIBLE_STAGE_1[name]})


@pytest.mark.parametrize("preset", [PretrainConfig, presets.pretrain_cpu, presets.pretrain_quick])
def test_presets_can_be_built(preset):
    assert preset().steps >= 1


# The loop, with gradients made by hand


class Handmade:
    """A loop over a tiny network; `gradients[step]` fills every gradient, or one place if not finite."""

    def __init__(self, folder, device, gradients=None, scores=None, **settings):
        self.network = SRNetwork(2, 2, generator_for("start")).to(device)
        self.gradients, self.scores = gradients or {}, scores or {}
        defaults = {"steps": 12, "learning_rate": 0.1, "log_every": 1, "validate_every": 100}
        config = LoopConfig(**(defaults | settings))
        self.loop = Loop(self.network, config, self.gradient, self.validate, folder, Group(device=device))

    def gradient(self, step: int) -> dict[str, torch.Tensor]:
        value = self.gradients.get(step, step % 3 - 1.5)
        for parameter in self.network.parameters():
            parameter.grad = torch.full_like(parameter, value if math.isfinite(value) else 1.0)
        next(self.network.parameters()).grad[0, 0, 0, 0] = value
        # The loss may be finite where its gradient is not.
        loss = 7.0 if value == -math.inf else float(value)
        return {"loss": torch.tensor(loss, device=parameter.device)}

    def validate(self, params: Params) -> dict[str, float]:
        self.validated = {name: value.clone() for name, value in params.items()}
        return {"score": float(self.scores.get(self.loop.step, 0.0))}

    def flat(self) -> torch.Tensor:
        return torch.cat([p.detach().flatten() for p in self.network.parameters()])

    def moments(self) -> list[torch.Tensor]:
        states = self.loop.optimizer.state_dict()["state"].values()
        return [value.clone() for state in states for value in state.values()]


BAD = [math.nan, math.inf, -math.inf]


@pytest.mark.parametrize("clip", [0.0, 1.0])
@pytest.mark.parametrize("bad", BAD)
def test_a_step_that_is_not_finite_changes_nothing(tmp_path, device, bad, clip):
    made = Handmade(tmp_path, device, {2: bad}, clip=clip)
    made.loop.run(max_steps=2)
    parameters, moments = made.flat(), made.moments()
    made.loop.run(max_steps=1)
    assert made.loop.step == 3
    assert torch.equal(made.flat(), parameters)
    assert len(moments) == 3 * 4
    assert all(torch.equal(a, b) for a, b in zip(made.moments(), moments, strict=True))
    assert log(tmp_path)[-1]["skipped"] == 1
    made.loop.run(max_steps=1)
    assert not torch.equal(made.flat(), parameters)
    assert made.flat().isfinite().all()
    assert log(tmp_path)[-1]["skipped"] == checkpoint(tmp_path)["skipped"] == 1


@pytest.mark.parametrize("bad", BAD)
def test_a_skipped_step_is_not_in_the_means(tmp_path, device, bad):
    Handmade(tmp_path, device, {0: 1.0, 1: bad, 2: 4.0}, log_every=3, steps=3).loop.run()
    assert [line["loss"] for line in log(tmp_path)] == [2.5]


def test_five_in_a_row_end_the_run_and_say_how_to_go_on(tmp_path, device):
    made = Handmade(tmp_path, device, dict.fromkeys(range(3, 12), math.nan))
    start = made.flat()
    with pytest.raises(
        TrainingFailed, match=r"5 times in a row up to step 8.*than 0\.1\..*of step 0, the start"
    ) as caught:
        made.loop.run()
    assert str(tmp_path / "checkpoint.pt") in str(caught.value)
    assert torch.equal(Handmade(tmp_path, device).flat(), start)


def test_a_failed_run_goes_on_from_the_best_score_with_a_lower_rate(tmp_path, device):
    # It is validated at steps 2, 4 and 6, and its gradients are no numbers from step 8 on: the best score was at 4.
    broken, settings = (
        dict.fromkeys(range(8, 30), math.nan),
        {"steps": 30, "validate_every": 2, "checkpoint_minutes": 0.0},
    )
    made = Handmade(tmp_path, device, broken, {2: 1.0, 4: 3.0, 6: 2.0}, **settings)
    with pytest.raises(TrainingFailed, match="of step 4, the best score"):
        made.loop.run()
    reference = Handmade(tmp_path / "reference", device)
    reference.loop.run(max_steps=4)
    again = Handmade(tmp_path, device, **settings, learning_rate=0.01)
    assert (again.loop.step, again.loop.best) == (4, 3.0)
    assert torch.equal(again.flat(), reference.flat())
    again.loop.run()
    assert [line["step"] for line in log(tmp_path)] == list(range(1, 31))
    assert log(tmp_path)[4]["changed"] == {"learning_rate": [0.1, 0.01]}
    assert [line["rate"] for line in log(tmp_path)][3:5] == [0.1, 0.01]


@pytest.mark.parametrize("score", [math.nan, math.inf])
def test_a_score_that_is_not_finite_is_not_the_best(tmp_path, device, score):
    made = Handmade(tmp_path, device, scores={2: 1.0, 4: score}, steps=4, validate_every=2)
    made.loop.run()
    assert (made.loop.best, made.loop.best_step) == (1.0, 2)


@pytest.mark.parametrize("patience", [5, 2])
def test_fewer_in_a_row_are_survived(tmp_path, device, patience):
    most = patience - 1
    rows = [*range(1, 1 + most), *range(2 + most, 2 + 2 * most)]
    Handmade(tmp_path, device, dict.fromkeys(rows, math.nan), patience=patience).loop.run()
    assert log(tmp_path)[-1]["skipped"] == 2 * most


def test_a_row_between_two_lines_of_the_log_counts(tmp_path, device):
    made = Handmade(tmp_path, device, dict.fromkeys(range(2, 7), math.nan), log_every=10)
    with pytest.raises(TrainingFailed, match="5 times in a row"):
        made.loop.run()


def test_the_first_step_is_adam_s(tmp_path, device):
    # Adam's first step is rate * sign(gradient); the rate is the schedule's.
    made = Handmade(tmp_path, device, {0: -3.0}, warm_up=4)
    before = made.flat()
    made.loop.run(max_steps=1)
    close(made.flat() - before, torch.full(before.shape, 0.1 / 4), 1e-6)


@pytest.mark.parametrize(("value", "clip", "expected"), [(3.0, 2.0, 2.0), (3.0, 0.0, None), (0.01, 2.0, None)])
def test_clipping_limits_the_norm(tmp_path, device, value, clip, expected):
    made = Handmade(tmp_path, device, {0: value}, clip=clip)
    made.loop.run(max_steps=1)
    whole = value * math.sqrt(made.flat().numel())
    # After one step Adam's first moment is a tenth of the gradient it saw.
    firsts = [state["exp_avg"].flatten() for state in made.loop.optimizer.state_dict()["state"].values()]
    assert float(torch.cat(firsts).norm()) * 10 == pytest.approx(expected or whole, rel=1e-4)
    assert log(tmp_path)[0]["gradient_norm"] == pytest.approx(whole, rel=1e-4)


def test_the_average_by_hand(tmp_path, device):
    # Decay min(ema, (1 + t) / (10 + t)) after t steps: 2/11, then 3/12.
    made = Handmade(tmp_path, device, ema=0.999)
    p0, _ = made.flat(), made.loop.run(max_steps=1)
    p1, _ = made.flat(), made.loop.run(max_steps=1)
    p2 = made.flat()
    first = p0 * 2 / 11 + p1 * 9 / 11
    close(torch.cat([a.flatten() for a in made.loop.average]), first * 3 / 12 + p2 * 9 / 12, 1e-6)


def test_without_averaging_the_weights_themselves_are_validated(tmp_path, device):
    made = Handmade(tmp_path, device, ema=0.0, steps=3)
    made.loop.run()
    close(torch.cat([v.flatten() for v in made.validated.values()]), made.flat(), 0)


def test_the_best_weights_are_kept(tmp_path, device):
    made = Handmade(tmp_path, device, scores={2: 1.0, 4: 3.0, 6: 2.0}, steps=6, validate_every=2, ema=0.0)
    path = made.loop.run(max_steps=4)
    best = made.flat()
    made.loop.run()
    kept = weights.load(path)
    assert kept.provenance["held_out"] == {"score": 3.0}
    assert kept.provenance["step"] == 4
    close(torch.cat([p.flatten() for p in kept.network.parameters()]), best, 0)
    assert [line.get("score") for line in log(tmp_path)] == [None, 1.0, None, 3.0, None, 2.0]


def test_the_log_has_the_rate_that_was_used(tmp_path, device):
    made = Handmade(tmp_path, device, decay="halving", halve_every=2, steps=5)
    made.loop.run()
    assert [line["rate"] for line in log(tmp_path)] == [0.1, 0.1, 0.05, 0.05, 0.025]
    assert [line["step"] for line in log(tmp_path)] == [1, 2, 3, 4, 5]


def test_checkpoints_are_written_on_the_way(tmp_path, device):
    made = Handmade(tmp_path, device, checkpoint_minutes=0.0)
    found = []
    plain = made.gradient
    made.loop.gradient = lambda step: (found.append(checkpoint(tmp_path)["step"]), plain(step))[1]
    made.loop.run(max_steps=3)
    assert found == [0, 1, 2]


@pytest.mark.parametrize(("limit", "value"), [("max_minutes", 0), ("max_steps", 0)])
def test_a_limit_of_nothing_stops_at_once_and_cleanly(tmp_path, device, limit, value):
    made = Handmade(tmp_path, device)
    start = made.flat()
    path = made.loop.run(**{limit: value})
    assert checkpoint(tmp_path)["step"] == 0
    assert torch.equal(torch.cat([p.flatten() for p in weights.load(path, device).network.parameters()]), start)
    again = Handmade(tmp_path, device)
    again.loop.run()
    assert again.loop.step == 12


# Stopping and going on


def identical(a, b) -> bool:
    """Whether two nested states are the same to the last bit."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(identical(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(identical, a, b))
    return a == b


def timeless(folder: Path) -> dict:
    return {name: value for name, value in checkpoint(folder).items() if name != "seconds"}


def train(folder, max_steps=None, **changes) -> Path:
    return pretrain(small_config(**changes), [], folder, max_steps=max_steps, pictures=small_pictures())


@pytest.mark.parametrize("changes", [{}, {"ema": 0.9, "clip": 0.1}, {"precision": "bfloat16"}], ids=str)
def test_twenty_steps_are_ten_and_ten(tmp_path, changes):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(whole, **changes)
    train(parts, max_steps=10, **changes)
    assert checkpoint(parts)["step"] == 10
    train(parts, **changes)
    assert {"step", "network", "average", "optimizer", "best", "skipped", "totals"} <= timeless(whole).keys()
    assert timeless(whole)["step"] == 20
    assert identical(timeless(whole), timeless(parts))
    assert log(whole) == log(parts)
    kept = [weights.load(folder / "weights.safetensors").network.state_dict() for folder in (whole, parts)]
    assert identical(*kept)


def test_resuming_on_a_device_continues(tmp_path, device):
    group, settings = Group(device=device), small_config()
    for folder, limits in (("whole", [None]), ("parts", [10, None])):
        for limit in limits:
            pretrain(settings, [], tmp_path / folder, group, max_steps=limit, pictures=small_pictures())
    for a, b in zip(*(checkpoint(tmp_path / f)["network"].values() for f in ("whole", "parts")), strict=True):
        close(a, b, 0 if device.type == "cpu" else 1e-4)


def test_a_finished_run_is_left_alone(tmp_path):
    train(tmp_path)
    before = timeless(tmp_path)
    train(tmp_path)
    assert identical(before, timeless(tmp_path))
    assert [line["step"] for line in log(tmp_path)] == [4, 8, 12, 16, 20]


CHANGES = {"seed": (0, 1), "batch": (3, 2), "patch": (8, 10), "prior_low": (1.0, 0.5)}


@pytest.mark.parametrize("name", CHANGES)
def test_other_settings_are_named_on_resume(tmp_path, name):
    there, here = CHANGES[name]
    train(tmp_path, max_steps=1)
    with pytest.raises(InputError, match=rf"other settings \({name} {there}, here {here}\)"):
        train(tmp_path, **{name: here})
    assert checkpoint(tmp_path)["step"] == 1


def test_a_run_that_could_not_take_its_first_step_leaves_the_folder_to_another(tmp_path):
    with pytest.raises(InputError, match="do not fit"):
        train(tmp_path, patch=5000)
    train(tmp_path)
    whole = tmp_path / "whole"
    train(whole)
    assert identical(checkpoint(whole)["network"], checkpoint(tmp_path)["network"])


def test_settings_that_come_too_late_are_said_to_change_nothing(tmp_path, capsys):
    path = train(tmp_path)
    kept, state = path.read_bytes(), checkpoint(tmp_path)
    assert train(tmp_path, learning_rate=0.5) == path and train(tmp_path, steps=10) == path
    err = capsys.readouterr().err
    assert "All 20 steps were taken before: learning_rate 0.5 changes nothing." in err and "steps 10 changes" in err
    assert path.read_bytes() == kept and checkpoint(tmp_path)["changes"] == state["changes"] == []


def test_a_finished_run_takes_more_steps_and_says_so(tmp_path):
    train(tmp_path, decay="constant", validate_every=10)
    path = train(tmp_path, decay="constant", validate_every=10, steps=30, ema=0.5)
    assert checkpoint(tmp_path)["step"] == 30
    assert [line["step"] for line in log(tmp_path)] == [4, 8, 12, 16, 20, 24, 28, 30]
    changed = {"steps": [20, 30], "ema": [0.0, 0.5]}
    assert [line.get("changed") for line in log(tmp_path)][4:6] == [None, changed]
    assert checkpoint(tmp_path)["changes"] == [{"step": 20, **changed}]
    if weights.read_provenance(path)["step"] > 20:
        assert weights.read_provenance(path)["changes"] == [{"step": 20, **changed}]
    whole = tmp_path / "whole"
    train(whole, decay="constant", steps=30, max_steps=20)
    train(whole, decay="constant", steps=30, ema=0.5)
    assert identical(checkpoint(whole)["network"], checkpoint(tmp_path)["network"])


def start_of(folder: Path, seed: int = 0) -> Path:
    network = SRNetwork(4, 3, generator_for("start", seed))
    weights.save(folder / f"{seed}.safetensors", network, dict(network.named_parameters()), {})
    return folder / f"{seed}.safetensors"


def test_other_pictures_or_first_weights_are_another_run(tmp_path):
    first, second = start_of(tmp_path), start_of(tmp_path, 1)
    folder, pictures = tmp_path / "run", small_pictures()
    path = pretrain(small_config(), [], folder, max_steps=2, pictures=pictures, init=first)
    fingerprints = weights.read_provenance(path)["fingerprints"]
    assert set(fingerprints.values()) == {pictures.fingerprint(), weights.fingerprint(first)}
    others = Pictures([*pictures.training[:-1], 1 - pictures.training[-1]], pictures.held_out)
    swapped = Pictures(pictures.training[::-1], pictures.held_out)
    for init, given, message in (
        (second, pictures, "with other first weights"),
        (None, pictures, "with other first weights"),
        (first, others, "with other pictures"),
        (first, swapped, "with other pictures"),
        (second, others, "with other pictures .* and first weights"),
    ):
        with pytest.raises(InputError, match=message):
            pretrain(small_config(), [], folder, pictures=given, init=init)
    shutil.copy(first, tmp_path / "renamed.safetensors")
    pretrain(small_config(), [], folder, pictures=pictures, init=tmp_path / "renamed.safetensors")
    assert checkpoint(folder)["step"] == 20


def as_of_today(folder: Path) -> None:
    """Turn a checkpoint into one of an earlier version: without a checksum and what came with it."""
    state = checkpoint(folder)
    for name in ("identity", "changes", "architecture"):
        del state[name]
    torch.save(state, folder / "checkpoint.pt")
    (folder / "best.pt").unlink()


def test_a_checkpoint_of_an_earlier_version_is_continued(tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(whole)
    train(parts, max_steps=10)
    as_of_today(parts)
    train(parts)
    assert identical(timeless(whole), timeless(parts)) and log(whole) == log(parts)


@pytest.mark.parametrize("earlier", [False, True])
def test_a_run_may_start_from_a_checkpoint(tmp_path, earlier):
    train(tmp_path / "first", ema=0.9)
    averaged = torch.cat([value.flatten() for value in checkpoint(tmp_path / "first")["average"]])
    if earlier:
        as_of_today(tmp_path / "first")
    start = tmp_path / "first" / "checkpoint.pt"
    path = pretrain(small_config(steps=1), [], tmp_path / "second", init=start, max_steps=0, pictures=small_pictures())
    network = weights.load(path).network
    assert torch.equal(torch.cat([p.detach().flatten() for p in network.parameters()]), averaged)


# What becomes of a checkpoint that is damaged


def test_a_changed_byte_is_noticed_wherever_it_is(tmp_path):
    train(tmp_path, max_steps=1)
    path, draw = tmp_path / "checkpoint.pt", torch.Generator().manual_seed(0)
    whole = path.read_bytes()
    for place in [0, 40, 103, len(whole) - 1, *torch.randint(len(whole), (60,), generator=draw).tolist()]:
        changed = bytearray(whole)
        changed[place] ^= 1 << (place % 8)
        path.write_bytes(changed)
        with pytest.raises(InputError, match=r"checkpoint\.pt is damaged"):
            checkpoints.read(path)


def test_a_changed_number_of_an_earlier_version_is_noticed(tmp_path):
    train(tmp_path, max_steps=1)
    as_of_today(tmp_path)
    path = tmp_path / "checkpoint.pt"
    value = checkpoint(tmp_path)["network"]["body.2.bias"].numpy().tobytes()
    whole = path.read_bytes()
    assert whole.count(value) >= 1
    path.write_bytes(whole.replace(value, bytes(reversed(value)), 1))
    with pytest.raises(InputError, match=r"checkpoint\.pt is damaged"):
        train(tmp_path)


WRONG_PARTS = {
    "another thing": lambda s: {"state_dict": s["network"]},
    "empty": lambda s: {},
    "no step": lambda s: {k: v for k, v in s.items() if k != "step"},
    "step is a text": lambda s: s | {"step": "ten"},
    "step is negative": lambda s: s | {"step": -1},
    "best is a text": lambda s: s | {"best": "x"},
    "weights are a list": lambda s: s | {"network": list(s["network"].values())},
    "weights are numbers": lambda s: s | {"network": dict.fromkeys(s["network"], 1.0)},
    "a weight is missing": lambda s: s | {"network": dict(list(s["network"].items())[1:])},
    "another shape": lambda s: s | {"network": s["network"] | {"body.0.bias": torch.zeros(9)}},
    "not finite": lambda s: s | {"network": s["network"] | {"body.0.bias": torch.full((4,), math.nan)}},
    "no average": lambda s: s | {"average": []},
    "an average of numbers": lambda s: s | {"average": [0.0] * len(s["average"])},
    "no moments": lambda s: s | {"optimizer": {}},
    "other moments": lambda s: s | {"optimizer": s["optimizer"] | {"state": {0: {"step": torch.zeros(())}}}},
    "totals are texts": lambda s: s | {"totals": {"loss": "x"}},
    "settings are none": lambda s: s | {"config": None},
}


@pytest.mark.parametrize("case", WRONG_PARTS)
def test_a_checkpoint_with_a_wrong_part_is_one_sentence(tmp_path, case):
    train(tmp_path, max_steps=1)
    path = tmp_path / "checkpoint.pt"
    checkpoints.write(path, WRONG_PARTS[case](checkpoint(tmp_path)))
    with pytest.raises(InputError, match=r"checkpoint\.pt is (damaged|one of another network)") as caught:
        train(tmp_path)
    assert "\n" not in str(caught.value)


DAMAGED_LOGS = {
    "null bytes": b"\0" * 40 + b"\n",
    "utf-16": '{"step": 1, "seconds": 1.0}\n'.encode("utf-16"),
    "a list": b"[1]\n",
    "no step": b'{"seconds": 1.0}\n',
    "a text": b'{"step": 1, "seconds": 0.1, "loss": "low"}\n',
    "half a line in the middle": b'{"step": 1, "sec\n{"step": 2, "seconds": 0.1}\n',
}


@pytest.mark.parametrize("case", DAMAGED_LOGS)
def test_a_damaged_log_is_one_sentence_and_nothing_is_lost(tmp_path, case):
    train(tmp_path, max_steps=1)
    path = tmp_path / "log.jsonl"
    path.write_bytes(DAMAGED_LOGS[case])
    with pytest.raises(InputError, match=r"log\.jsonl (is damaged|cannot be read)"):
        train(tmp_path)
    assert path.read_bytes() == DAMAGED_LOGS[case]
    path.unlink()
    train(tmp_path, max_steps=1)


def test_a_run_that_was_killed_early_does_not_add_to_the_old_log(tmp_path):
    # Killed before the first checkpoint on the way: what the log has of it is forgotten, and its settings are known.
    made = Handmade(tmp_path, torch.device("cpu"))
    plain = made.gradient
    made.loop.gradient = lambda step: plain(step) if step < 3 else 1 / 0
    with pytest.raises(ZeroDivisionError):
        made.loop.run()
    assert [line["step"] for line in log(tmp_path)] == [1, 2, 3]
    Handmade(tmp_path, torch.device("cpu")).loop.run()
    assert [line["step"] for line in log(tmp_path)] == list(range(1, 13))
    for name in ("checkpoint.pt", "weights.safetensors"):
        (tmp_path / name).unlink()
    Handmade(tmp_path, torch.device("cpu"), steps=2).loop.run()
    assert [line["step"] for line in log(tmp_path)] == [1, 2]


def test_weights_without_a_run_are_not_replaced(tmp_path):
    path = train(tmp_path / "run", max_steps=2)
    (tmp_path / "run" / "checkpoint.pt").unlink()
    before = {path: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    with pytest.raises(InputError, match=r"holds weights and no checkpoint .* or move weights.safetensors away"):
        train(tmp_path / "run", max_steps=2)
    assert {path: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before
    path.unlink()
    assert train(tmp_path / "run", max_steps=2) == path


def test_a_folder_has_one_run_at_a_time(tmp_path):
    with files.locked(tmp_path / "run"), pytest.raises(InputError, match="Another process is at work in"):
        train(tmp_path / "run")
    train(tmp_path / "run", max_steps=1)


@pytest.mark.parametrize("content", [b"", b"no checkpoint", None], ids=["empty", "text", "half"])
def test_a_damaged_checkpoint_is_one_sentence(tmp_path, content):
    train(tmp_path, max_steps=1)
    path = tmp_path / "checkpoint.pt"
    damaged = path.read_bytes()[: path.stat().st_size // 2] if content is None else content
    path.write_bytes(damaged)
    with pytest.raises(InputError, match=r"checkpoint\.pt is damaged"):
        train(tmp_path)
    assert path.read_bytes() == damaged


@pytest.mark.parametrize("tail", ["", '{"step": 13, "lo'], ids=["whole lines", "half a line"])
def test_log_lines_after_the_checkpoint_are_forgotten(tmp_path, tail):
    # As after a crash: the checkpoint is of step 10, the log went on.
    train(tmp_path, max_steps=10)
    shutil.copy(tmp_path / "checkpoint.pt", tmp_path / "old.pt")
    train(tmp_path, max_steps=6)
    shutil.move(tmp_path / "old.pt", tmp_path / "checkpoint.pt")
    with (tmp_path / "log.jsonl").open("a") as handle:
        handle.write(tail)
    train(tmp_path)
    assert [line["step"] for line in log(tmp_path)] == [4, 8, 12, 16, 20]


@pytest.mark.parametrize("stopped", [4, 5, 6])
def test_a_row_that_a_stop_divides_counts(tmp_path, device, stopped):
    settings = {"patience": 3, "log_every": 12}
    Handmade(tmp_path, device, dict.fromkeys((3, 4, 5), math.nan), **settings).loop.run(max_steps=stopped)
    with pytest.raises(TrainingFailed):
        Handmade(tmp_path, device, dict.fromkeys((3, 4, 5), math.nan), **settings).loop.run()


def test_a_run_of_another_kind_is_called_one(tmp_path):
    train(tmp_path, max_steps=1)
    with pytest.raises(InputError, match="holds a run of another kind of training: give another folder"):
        Handmade(tmp_path, Group().device)


def test_a_run_outside_the_main_thread_takes_no_signals(tmp_path, device):
    with ThreadPoolExecutor(1) as thread:
        thread.submit(Handmade(tmp_path, device).loop.run).result()
    assert checkpoint(tmp_path)["step"] == 12


def test_a_signal_is_noted_and_the_second_interrupts():
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), runtime.stop_on_signal() as stopped:
        assert not stopped()
        signal.raise_signal(signal.SIGTERM)
        assert stopped()
        signal.raise_signal(signal.SIGINT)
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_run_after_the_step_at_work(tmp_path, device, number):
    made = Handmade(tmp_path, device)
    plain = made.gradient
    made.loop.gradient = lambda step: (signal.raise_signal(number) if step == 4 else None, plain(step))[1]
    with pytest.raises(runtime.Stopped, match="Stopped at step 5 of 12: the same command continues") as caught:
        made.loop.run()
    assert caught.value.code == 128 + number
    assert made.loop.step == checkpoint(tmp_path)["step"] == 5


@pytest.fixture
def start():
    """Start tests/small_run.py; whatever still runs at the end of the test is killed."""
    processes = []

    def begin(*arguments, **variables: str) -> subprocess.Popen:
        processes.append(small_run(*arguments, **variables))
        return processes[-1]

    yield begin
    for process in processes:
        process.kill()
        process.communicate()


def small_run(folder: Path, steps: int, **variables: str) -> subprocess.Popen:
    path = os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])
    environment = {k: v for k, v in os.environ.items() if k not in ("RANK", "WORLD_SIZE")}
    environment |= {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", **variables}
    command = [sys.executable, str(HERE / "small_run.py"), str(folder), str(steps)]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def wait_for(condition, process: subprocess.Popen, seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_terminated_program_can_go_on(tmp_path, start):
    stopped, whole = tmp_path / "stopped", tmp_path / "whole"
    process = start(stopped, 5000)
    wait_for(lambda: (stopped / "log.jsonl").exists() and len((stopped / "log.jsonl").read_text()) > 500, process)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    steps = checkpoint(stopped)["step"]
    assert process.returncode == 1 and f"Stopped at step {steps} of 5000" in errors
    assert 1 <= steps < 5000
    train(stopped, max_steps=2, steps=5000, log_every=1)
    train(whole, max_steps=steps + 2, steps=5000, log_every=1)
    assert checkpoint(stopped)["step"] == steps + 2
    for a, b in zip(*(checkpoint(folder)["network"].values() for folder in (stopped, whole)), strict=True):
        close(a, b, 1e-4)
    assert [line["step"] for line in log(stopped)] == list(range(1, steps + 3))


# Several processes


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def test_two_processes_learn_what_one_learns(tmp_path, start):
    # Batches of three: one process has two patches, the other one.
    variables = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    ranks = [{"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(2)]
    processes = [start(tmp_path / "two", 12, **variables, **rank) for rank in ranks]
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    train(tmp_path / "one", steps=12, log_every=1)
    one, two = (checkpoint(tmp_path / folder) for folder in ("one", "two"))
    for a, b in zip(one["network"].values(), two["network"].values(), strict=True):
        close(a, b, 2e-5)  # twelve steps of 1e-3
    for a, b in zip(log(tmp_path / "one"), log(tmp_path / "two"), strict=True):
        assert a == pytest.approx(b, rel=1e-3)
    assert weights.load(tmp_path / "two" / "weights.safetensors").provenance["processes"] == 2


@pytest.mark.parametrize("world", [1, 2, 3, 5])
def test_every_item_is_somebody_s(world):
    shares = [Group(rank, world).share(range(7)) for rank in range(world)]
    assert sorted(item for share in shares for item in share) == list(range(7))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
    assert [Group(rank, world).leads for rank in range(world)] == [True] + [False] * (world - 1)


def test_alone_there_is_nothing_to_agree_on(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    group, tensors = runtime.join("cpu"), [torch.ones(2), torch.zeros(3)]
    group.sum_(tensors)
    assert [t.tolist() for t in tensors] == [[1, 1], [0, 0, 0]]
    assert (group.rank, group.world, group.any(True), group.any(False)) == (0, 1, True, False)
    runtime.leave()


def test_devices_by_name(device):
    assert runtime.pick_device(device.type).type == device.type
    assert runtime.pick_device().type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("name", ["tpu9000", "cuda:99", "", "meta", "cpu:x", "xla", "vulkan", "privateuseone", "7"])
def test_an_unknown_device_is_one_sentence(name):
    with pytest.raises(InputError, match=f"device '{name}' is not available"):
        runtime.pick_device(name)


# Stage 1


def test_the_gradient_of_stage_1_is_that_of_the_mean_absolute_error(device):
    config = small_config()
    source = PatchSource(small_pictures().training, device)
    network = SRNetwork(4, 3, generator_for("w")).to(device)
    degradation = from_setting(kernels.named()["bicubic"]).to(device)
    scalars = pretraining.pretrain_gradient(network, source, config, Group(device=device), 5)
    hr = source.sample(config.batch, config.patch, generator_for(config.seed, 5, device=device))
    loss = (network(bicubic_input(degradation(hr), degradation)) - hr).abs().mean()
    expected = torch.autograd.grad(loss, list(network.parameters()))
    close(scalars["loss"], loss, 1e-6)
    for parameter, gradient in zip(network.parameters(), expected, strict=True):
        close(parameter.grad, gradient, 1e-5)


class Alone(Group):
    """One of several processes, which keeps its share of a sum to itself."""

    def sum_(self, tensors: list[torch.Tensor]) -> None:
        pass


def test_a_batch_must_give_every_process_a_patch(tmp_path):
    with pytest.raises(InputError, match="4 processes cannot share a batch of 3"):
        pretrain(small_config(), [], tmp_path, Alone(0, 4), pictures=small_pictures())


@pytest.mark.parametrize("world", [2, 3])
def test_the_shares_of_all_processes_make_up_the_batch(device, world):
    # Three patches: unequal shares for two processes.
    source = PatchSource(small_pictures().training, device)
    network = SRNetwork(4, 3, generator_for("w")).to(device)

    def gradient(rank: int, world: int) -> torch.Tensor:
        group = Alone(rank, world, device)
        scalars = pretraining.pretrain_gradient(network, source, small_config(), group, 5)
        return torch.cat([scalars["loss"].flatten(), *(p.grad.flatten() for p in network.parameters())])

    close(sum(gradient(rank, world) for rank in range(world)), gradient(0, 1), 1e-5)


def test_stage_1_learns(tmp_path, device):
    config = small_config(steps=60, batch=8, patch=16, channels=8, learning_rate=5e-3, log_every=10)
    pictures = small_pictures()
    path = pretrain(config, ["somewhere/train"], tmp_path, Group(device=device), pictures=pictures)
    losses = [line["loss"] for line in log(tmp_path)]
    assert losses[-1] < 0.9 * losses[0]
    provenance = weights.load(path).provenance
    assert provenance["data"] == ["train"]
    assert provenance["pictures"] == {"training": 5, "held_out": 2}
    assert (provenance["stage"], provenance["scales"], provenance["seed"]) == ("pretrain", [2], 0)
    assert json.dumps(provenance["settings"])


@pytest.mark.parametrize("scale", [3, 4])
def test_stage_1_at_other_scales(tmp_path, scale):
    path = train(tmp_path, scales=(scale,), patch=12, steps=2)
    assert weights.load(path).scales == (scale,)


def test_stage_1_at_several_scales(tmp_path):
    path = train(tmp_path, scales=(2, 3, 4), patch=12, steps=3)
    assert weights.load(path).scales == (2, 3, 4)
    tests = stages.validation_degradations(PretrainConfig(scales=(2, 4)).degradations(), 4, torch.device("cpu"))
    assert [degradation.scale for degradation in tests] == [2, 4, 2, 4]


def test_the_prior_grows_with_the_scale_unless_it_is_given():
    highs = [prior.kernels.high for prior in PretrainConfig(scales=(2, 3, 4)).degradations()]
    assert highs == [5.0, 7.5, 10.0]
    assert PretrainConfig(scales=(4,), prior_high=3.0).degradations()[0].kernels.high == 3.0


@pytest.mark.parametrize(("size", "scale", "expected"), [(192, 2, (36, 30)), (16, 3, (15, 15)), (20, 4, (20, 20))])
def test_the_middle_is_cut_out(size, scale, expected):
    image = picture()
    crop = images.centre_crop(image, size, scale)
    assert crop.shape[-2:] == expected
    top, left = ((a - b) // 2 for a, b in zip(image.shape[-2:], expected, strict=True))
    assert torch.equal(crop, image[..., top : top + expected[0], left : left + expected[1]])


def test_the_held_out_score_of_the_identity_is_that_of_bicubic(device):
    degradation = from_setting(kernels.named()["g2.0d"], 2).to(device)
    pictures = [picture(36, 30, seed=s, device=device) for s in range(2)]
    network = SRNetwork(2, 2).to(device)
    bicubic = [metrics.protocol_psnr(bicubic_input(degradation(hr), degradation), hr, 2) for hr in pictures]
    shots = [Shots(hr, degradation(hr), degradation) for hr in pictures]
    score = stages.held_out_psnr(network, dict(network.named_parameters()), shots)
    assert score == pytest.approx(sum(bicubic) / 2)
    # The weights given count, not the network's own.
    grey = {name: torch.full_like(value, 0.3) for name, value in network.named_parameters()}
    assert stages.held_out_psnr(network, grey, shots) < score - 1


def test_pictures_may_differ_in_size_but_must_hold_a_patch(tmp_path):
    few = Pictures([picture(20, 30), picture(7, 30)], [picture(20, 30)])
    with pytest.raises(InputError, match="a side of 7 px: patches of 8 px do not fit"):
        pretrain(small_config(), [], tmp_path, pictures=few)


def test_other_weights_than_the_settings_say_are_refused(tmp_path):
    with pytest.raises(InputError, match="'channels': 64, 'layers': 8"):
        pretrain(small_config(), [], tmp_path, init="pretrained-x2", pictures=small_pictures())
