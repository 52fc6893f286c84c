"""A recipe runs its stages one after the other, each from the weights before, and goes on where it stopped."""

from dataclasses import replace

import pytest
import torch
from helpers import picture

from mzsr_lib.files import InputError
from mzsr_lib.imaging import kernels, picture_files
from mzsr_lib.models import weights
from mzsr_lib.mzsr.meta_training import MetaTrainConfig
from mzsr_lib.mzsr.pretraining import PretrainConfig
from mzsr_lib.training import presets, recipes


@pytest.fixture
def folder(tmp_path):
    for number in range(9):
        picture_files.save(tmp_path / "photos" / f"{number}.png", picture(200, 200, seed=number))
    return tmp_path / "photos"


@pytest.mark.parametrize("model", recipes.MODELS)
@pytest.mark.parametrize("budget", recipes.BUDGETS)
def test_every_recipe_begins_with_stage_1(model, budget):
    plan = recipes.recipe(model, budget)
    assert isinstance(plan.stages[0].config, PretrainConfig)
    assert plan.stages[0].config.network_input == "bicubic"
    last = plan.stages[-1].config
    assert last.network_input == ("restored" if model.startswith("mzsr-plus") else "bicubic")
    assert isinstance(last, MetaTrainConfig if model in ("mzsr", "mzsr-x3", "mzsr-x4") else PretrainConfig)
    assert (
        last.photographs == (model in ("photo", "photo-multi", "estimator"))
        if isinstance(last, PretrainConfig)
        else True
    )
    scales = {"mzsr-x3": (3,), "unfolded-x3": (3,), "mzsr-plus-multi": (2, 3, 4), "photo-multi": (3, 4)}
    assert last.scales == scales.get(model, (4,) if "x4" in model else (2,))
    assert plan.expect.endswith(".")


@pytest.mark.parametrize(("model", "budget"), [("usrnet", "cpu"), ("mzsr", "tpu")])
def test_other_recipes_are_refused(model, budget):
    with pytest.raises(InputError, match=f"no recipe for {model} on a {budget}: choose mzsr, .*; cpu or gpu"):
        recipes.recipe(model, budget)


def test_stages_follow_each_other_and_a_finished_one_is_not_repeated(tmp_path, folder):
    output = tmp_path / "run"
    path = recipes.train_all("mzsr-plus", "cpu", [folder], output, max_steps=1)
    assert path == output / "plus" / "weights.safetensors"
    loaded = weights.load(path)
    assert loaded.provenance["init"] == "weights.safetensors"
    # What was chosen after training is that of the shipped weights; what they were trained with is kept.
    shipped = weights.read_provenance(weights.locate("mzsr-plus-x2"))
    assert {name: loaded.provenance[name] for name in ("input", "trained_input")} == {
        "input": shipped["input"],
        "trained_input": shipped["trained_input"] | {"final_mu": 0.0},
    }
    before = [(output / stage / "log.jsonl").read_text() for stage in ("pretrain", "plus")]
    assert recipes.train_all("mzsr-plus", "cpu", [folder], output, max_steps=1) == path
    assert [(output / stage / "log.jsonl").read_text() for stage in ("pretrain", "plus")] == before
    assert weights.load(path).provenance == loaded.provenance


def test_a_recipe_says_when_time_was_up(tmp_path, folder):
    output = tmp_path / "run"
    assert recipes.train_all("mzsr-plus", "cpu", [folder], output, max_minutes=1e-9, max_steps=1) is None
    assert not (output / "plus").exists()


@pytest.mark.parametrize(("kernel", "mode", "size"), [("g2.0d", "direct", 21), ("g1.3b", "bicubic", 21)])
def test_a_specialist_draws_its_kernel_alone(kernel, mode, size):
    config = replace(presets.pretrain_specialist(), kernel=kernel)
    [prior] = config.degradations()
    for chance in (0.0, 0.99):
        drawn = prior.sample(2, chance, torch.Generator().manual_seed(0))
        assert drawn.mode == mode and drawn.kernel.shape == (2, size, size)
        assert torch.equal(drawn.kernel[1], kernels.named()[kernel].kernel)
    with pytest.raises(InputError, match="no kernel 'g9'"):
        replace(config, kernel="g9")
