"""The meta-gradient against finite differences and hand-made first order; the loop resumed and shared out."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers import checkpoint, close, log, picture, small_pictures

from mzsr_lib.files import InputError
from mzsr_lib.imaging.degradation import Degradation
from mzsr_lib.imaging.images import centre_crop
from mzsr_lib.models import weights
from mzsr_lib.mzsr.adaptation import SGD, inner_loop, loss_of
from mzsr_lib.mzsr.meta_training import MetaTrainConfig, meta_gradient, meta_loss, step_weights
from mzsr_lib.mzsr.networks import SRNetwork
from mzsr_lib.mzsr.tasks import PatchSource, Task
from mzsr_lib.runtime import Group, generator_for
from mzsr_lib.training import presets, stages
from mzsr_lib.training.stages import meta_train


def smooth_network(dtype=torch.float64) -> SRNetwork:
    """A network without kinks, so that finite differences are exact to their order."""
    network = SRNetwork(3, 3, generator_for("smooth")).to(dtype)
    for i, layer in enumerate(network.body):
        if isinstance(layer, torch.nn.ReLU):
            network.body[i] = torch.nn.Softplus()
    return network


def task(seed: int = 0) -> Task:
    """Targets far above anything the network gives: the absolute error has no kink nearby."""
    parts = [picture(7, 5, 2, seed + i, torch.float64) for i in range(4)]
    return Task(parts[0], parts[1] + 3, parts[2], parts[3] + 3, Degradation(torch.ones(1, 1)))


@pytest.mark.parametrize("weighting", [[1.0], [0.2, 0.3, 0.5]])
def test_second_order_meta_gradient_agrees_with_finite_differences(weighting):
    network = smooth_network()
    start = {name: p.detach().clone().requires_grad_() for name, p in network.named_parameters()}

    def value(params):
        return meta_loss(network, params, task(), SGD([0.5]), weighting, order=2)[0]

    grads = torch.autograd.grad(value(start), list(start.values()))
    direction = {name: torch.randn(p.shape, generator=generator_for(name), dtype=p.dtype) for name, p in start.items()}
    h = 1e-5
    up, down = ({n: (p.detach() + s * h * direction[n]).requires_grad_() for n, p in start.items()} for s in (1, -1))
    expected = float((value(up) - value(down)).detach()) / (2 * h)
    found = float(sum((g * d).sum() for g, d in zip(grads, direction.values(), strict=True)))
    assert found == pytest.approx(expected, rel=1e-6)
    first = torch.autograd.grad(
        meta_loss(network, start, task(), SGD([0.5]), weighting, order=1)[0], list(start.values())
    )
    first = float(sum((g * d).sum() for g, d in zip(first, direction.values(), strict=True)))
    assert abs(first - expected) > 1e-4 * abs(expected), "the second-order term should matter in this test"


def test_first_order_equals_the_query_gradient_at_the_adapted_point():
    network = smooth_network()
    start = dict(network.named_parameters())
    loss, *_ = meta_loss(network, start, task(), SGD([0.5]), [0.0, 1.0], order=1)
    found = torch.autograd.grad(loss, list(start.values()))
    support = (task().support_input, task().support_target)
    *_, (adapted, _) = inner_loop(network, start, lambda step: support, SGD([0.5]), 2)
    adapted = {name: p.detach().requires_grad_() for name, p in adapted.items()}
    query = loss_of(network, adapted, (task().query_input, task().query_target))
    for mine, expected in zip(found, torch.autograd.grad(query, list(adapted.values())), strict=True):
        close(mine, expected, 1e-14)


def test_query_weights_start_uniform_and_end_on_the_last_step():
    assert step_weights(0, 5) == pytest.approx([0.2] * 5)
    # Five inner steps: 0.006 and 0.976 from about outer step 3,233 on (MAML++, as the authors' program has it).
    assert step_weights(3_200, 5)[0] > 0.006 + 1e-4
    for late in (3_234, 50_000):
        assert step_weights(late, 5) == pytest.approx([0.006] * 4 + [0.976])
    assert step_weights(9_999, 4, "uniform") == pytest.approx([0.25] * 4)
    assert step_weights(0, 3, "last") == [0.0, 0.0, 1.0]
    assert step_weights(7, 1) == [1.0]


@pytest.mark.parametrize("kind", ["annealed", "uniform", "last"])
def test_query_weights_sum_to_one(kind):
    for step in (0, 1_000, 5_000):
        assert sum(step_weights(step, 4, kind)) == pytest.approx(1)


def small_config(**changes) -> MetaTrainConfig:
    settings = {
        "steps": 6,
        "tasks": 2,
        "inner_steps": 2,
        "patch": 14,
        "patches": 2,
        "kernel_size": 5,
        "ema": 0.8,
    }
    return MetaTrainConfig(**(settings | {"log_every": 2, "validate_every": 4} | changes))


@pytest.fixture
def init(tmp_path):
    """Weights of a tiny network to start from."""
    network = SRNetwork(4, 3, generator_for("init"))
    path = tmp_path / "init.safetensors"
    weights.save(path, network, dict(network.named_parameters()), {"scale": 2})
    return path


def train(config, output, init, **limits):
    return meta_train(config, [], output, init=init, pictures=small_pictures(), **limits)


@pytest.mark.parametrize("changes", [{}, {"first_order": True, "episode": "image", "bicubic_share": 0.5}])
def test_interrupted_meta_training_continues_bit_for_bit(changes, tmp_path, init):
    config = small_config(**changes)
    train(config, tmp_path / "whole", init)
    train(config, tmp_path / "parts", init, max_steps=3)
    train(config, tmp_path / "parts", init)
    whole, parts = checkpoint(tmp_path / "whole"), checkpoint(tmp_path / "parts")
    assert whole["step"] == parts["step"] == 6
    for a, b in zip(whole["average"], parts["average"], strict=True):
        close(a, b, 0)
    assert log(tmp_path / "whole") == log(tmp_path / "parts")


def test_the_log_tells_losses_before_and_after_and_the_held_out_psnr(tmp_path, init):
    path = train(small_config(), tmp_path / "run", init)
    lines = log(tmp_path / "run")
    assert {"support_loss", "query_loss", "loss", "rate", "skipped"} <= lines[0].keys()
    assert {"psnr_0", "psnr_1", "psnr_10", "score"} <= lines[-1].keys()
    provenance = weights.read_provenance(path)
    assert provenance["stage"] == "meta-train" and provenance["settings"]["inner_steps"] == 2
    assert provenance["held_out"]["score"] == max(line.get("score", 0) for line in lines)


def test_query_loss_after_adaptation_falls_in_training(tmp_path, init):
    config = small_config(steps=60, learning_rate=3e-3, task_lr=0.05, log_every=10, validate_every=60)
    train(config, tmp_path / "run", init)
    losses = [line["query_loss"] for line in log(tmp_path / "run")]
    assert losses[-1] < 0.9 * losses[0]


def test_validation_counts_updates_from_the_given_point(init):
    network = weights.load(init).network
    config = small_config()
    held_out = [centre_crop(p, 40, 4) for p in small_pictures().held_out]
    tests = stages.validation_degradations(config.degradations(), len(held_out), torch.device("cpu"))
    scores = stages.held_out_psnr_by_updates(network, dict(network.named_parameters()), held_out, tests)
    assert len({scores["psnr_0"], scores["psnr_1"], scores["psnr_10"]}) == 3
    assert scores["score"] == pytest.approx((scores["psnr_1"] + scores["psnr_10"]) / 2)


def test_two_processes_learn_what_one_learns(tmp_path, init):
    config = small_config(tasks=3, steps=4, validate_every=4)
    train(config, tmp_path / "one", init)
    script = tmp_path / "worker.py"
    script.write_text(
        "from helpers import small_pictures\n"
        "from mzsr_lib import runtime\n"
        "from mzsr_lib.mzsr.meta_training import MetaTrainConfig\n"
        "from mzsr_lib.training.stages import meta_train\n"
        f"config = MetaTrainConfig(**{dataclasses.asdict(config)!r})\n"
        "group = runtime.join('cpu')\n"
        f"meta_train(config, [], {str(tmp_path / 'two')!r}, group, init={str(init)!r}, pictures=small_pictures())\n"
        "runtime.leave()\n"
    )
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        str(script),
    ]
    run_beside_tests(command)
    one, two = checkpoint(tmp_path / "one"), checkpoint(tmp_path / "two")
    for a, b in zip(one["average"], two["average"], strict=True):
        close(a, b, 1e-6)
    assert weights.read_provenance(tmp_path / "two" / "weights.safetensors")["processes"] == 2


def run_beside_tests(command: list[str]) -> None:
    """Run a command that can import the tests' helpers and the library."""
    here = Path(__file__).parents[1]
    environment = os.environ | {"PYTHONPATH": f"{here}{os.pathsep}{here.parent}", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"patch": 15}, "15 px do not suit scale 2"),
        ({"tasks": 0}, "tasks is 0: it must be a whole number of at least 1"),
        ({"network_input": "restored", "passes": 2}, "takes one pass, not 2"),
        ({"bicubic_share": 1.5}, "bicubic_share is 1.5: it must be a number from 0 to 1"),
        ({"prior_low": 6.0}, "are no prior"),
    ],
)
def test_settings_that_cannot_work_are_refused_with_the_value_found(changes, sentence):
    with pytest.raises(InputError, match=sentence):
        small_config(**changes)


def test_defaults_are_the_papers():
    config = MetaTrainConfig()
    assert (config.task_lr, config.learning_rate, config.tasks, config.inner_steps) == (0.01, 1e-4, 5, 5)
    assert (config.patches, config.patch, config.steps, config.first_order) == (8, 64, 100_000, False)
    prior = config.distribution().degradations[0].kernels
    assert (prior.low, prior.high, prior.size) == (1.0, 5.0, 15)
    assert presets.meta_train_first_order().first_order and presets.meta_train_quick().steps < 100


def test_gradients_of_all_tasks_are_averaged(init):
    network = weights.load(init).network
    source, config = PatchSource(small_pictures().training), small_config(tasks=2)
    distribution = config.distribution()

    def gradient(group):
        meta_gradient(network, source, config, distribution, group, step=0)
        return torch.cat([p.grad.flatten() for p in network.parameters()])

    alone = gradient(Group())
    halves = [gradient(_Silent(rank, 2)) for rank in range(2)]
    close(halves[0] + halves[1], alone, 1e-7)


class _Silent(Group):
    """One of several processes, that keeps its sum to itself."""

    def sum_(self, tensors):
        """Add nothing."""


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here to wait for")
@pytest.mark.parametrize("changes", [{}, {"first_order": True, "episode": "image"}])
def test_no_step_waits_for_the_gpu(changes, init):
    group = Group(device=torch.device("cuda"))
    network = weights.load(init, "cuda").network
    source, config = PatchSource(small_pictures().training, "cuda"), small_config(**changes)
    meta_gradient(network, source, config, config.distribution(), group, 0)
    torch.cuda.set_sync_debug_mode("error")
    try:
        meta_gradient(network, source, config, config.distribution(), group, 1)
    finally:
        torch.cuda.set_sync_debug_mode("default")
