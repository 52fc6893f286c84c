"""The learned inner step: plain gradient descent at first, differentiated exactly, kept with the weights."""

import pytest
import torch
from helpers import close, picture, small_pictures
from test_meta_training import init, small_config, smooth_network, task, train  # noqa: F401 (init is a fixture)

from mzsr_lib.files import InputError
from mzsr_lib.imaging.degradation import Degradation
from mzsr_lib.models import weights
from mzsr_lib.mzsr import curvature
from mzsr_lib.mzsr.adaptation import SGD, adapt, inner_loop, loss_of
from mzsr_lib.mzsr.curvature import Curvature, LearnedStep
from mzsr_lib.mzsr.meta_training import meta_gradient, meta_loss
from mzsr_lib.mzsr.tasks import PatchSource
from mzsr_lib.runtime import Group, generator_for
from mzsr_lib.training.stages import meta_train


def drawn(network, kind="full", steps=3, sets=2) -> Curvature:
    """A curvature in float64 whose matrices are not zero."""
    learned = Curvature(network, kind, steps, 0.5, sets).double()
    with torch.no_grad():
        for name, value in learned.named().items():
            value.add_(0.05 * torch.randn(value.shape, generator=generator_for(name), dtype=value.dtype))
    return learned


@pytest.mark.parametrize("kind", ["rates", "full"])
def test_without_training_it_is_plain_gradient_descent(kind):
    network = smooth_network()
    params, pair = dict(network.named_parameters()), (task().support_input, task().support_target)
    rule = Curvature(network, kind, 2, 0.05).double().rule()
    mine = list(inner_loop(network, params, lambda step: pair, rule, 4))
    plain = list(inner_loop(network, params, lambda step: pair, SGD([0.05]), 4))
    for (found, _), (expected, _) in zip(mine, plain, strict=True):
        for name in params:
            close(found[name], expected[name], 1e-8)


def test_the_matrices_multiply_along_the_axes_of_the_gradient():
    grad = torch.randn(5, 4, 3, 3, generator=generator_for("grad"), dtype=torch.float64)
    stack = [torch.randn(n, n, generator=generator_for(n), dtype=torch.float64) for n in curvature.axes_of(grad)]
    assert [len(matrix) for matrix in stack] == [5, 4, 9]
    out, inner, tap = (torch.eye(len(matrix)) + matrix for matrix in stack)
    expected = torch.einsum("ao,bi,ct,oit->abc", out, inner, tap, grad.flatten(2)).reshape(grad.shape)
    close(curvature.transformed(grad, stack), expected, 1e-12)
    bias, matrix = torch.arange(3.0), torch.tensor([[0.0, 1, 0], [0, 0, 0], [2, 0, 0]])
    close(curvature.transformed(bias, [matrix]), torch.tensor([1.0, 1, 2]), 1e-7)


@pytest.mark.parametrize("weighting", [[1.0], [0.2, 0.3, 0.5]])
@pytest.mark.parametrize("part", ["weights", "rates", "matrices"])
def test_second_order_gradient_agrees_with_finite_differences(part, weighting):
    network = smooth_network()
    learned = drawn(network)
    start = {name: p.detach().clone().requires_grad_() for name, p in network.named_parameters()}
    named = learned.named()
    rates = [named.pop("log_rates")]
    moved = {"weights": list(start.values()), "rates": rates, "matrices": list(named.values())}[part]

    def value():
        return meta_loss(network, start, task(), learned.rule(), weighting)[0]

    grads = torch.autograd.grad(value(), moved, materialize_grads=True)
    directions = [torch.randn(p.shape, generator=generator_for(i), dtype=p.dtype) for i, p in enumerate(moved)]

    def at(change: float) -> float:
        with torch.no_grad():
            torch._foreach_add_(moved, directions, alpha=change)
        result = value().item()
        with torch.no_grad():
            torch._foreach_add_(moved, directions, alpha=-change)
        return result

    expected = (at(1e-5) - at(-1e-5)) / 2e-5
    found = sum((g * d).sum().item() for g, d in zip(grads, directions, strict=True))
    assert found == pytest.approx(expected, rel=1e-6)


def test_steps_before_move_the_point_and_are_held_constant():
    network = smooth_network()
    params = {name: p.detach().clone().requires_grad_() for name, p in network.named_parameters()}
    rule, support = drawn(network, steps=4).rule(), (task().support_input, task().support_target)
    loss, before, _ = meta_loss(network, params, task(), rule, [0.0, 1.0], before=2)
    points = [point for point, _ in inner_loop(network, params, lambda step: support, rule, 4)]
    close(before, loss_of(network, points[1], support), 1e-12)
    close(loss, loss_of(network, points[3], (task().query_input, task().query_target)), 1e-12)
    # The derivative is that of the last two steps alone, at the point where they begin.
    begin = {name: p.detach().requires_grad_() for name, p in points[1].items()}
    *_, (end, _) = inner_loop(network, begin, lambda step: support, rule, 2, order=2, first=2)
    query = loss_of(network, end, (task().query_input, task().query_target))
    expected = torch.autograd.grad(query, list(begin.values()), retain_graph=True)
    for mine, other in zip(torch.autograd.grad(loss, list(params.values())), expected, strict=True):
        close(mine, other, 1e-12)


def test_a_step_after_the_last_row_or_set_takes_the_last():
    rates = torch.tensor([[1.0], [0.5]])
    rule = LearnedStep(["w"], rates, {"w": [torch.stack([torch.zeros(2, 2), torch.eye(2)])]})
    moves = [float(rule(step, {"w": torch.zeros(2)}, [torch.ones(2)])["w"][0]) for step in range(4)]
    assert moves == [-1.0, -1.0, -1.0, -1.0]  # 1 x 1, then 0.5 x 2
    assert float(LearnedStep(["w"], rates)(7, {"w": torch.zeros(1)}, [torch.ones(1)])["w"]) == -0.5
    with pytest.raises(InputError, match="1 columns"):
        LearnedStep(["w"], torch.ones(2, 3))


def test_it_is_trained_kept_with_the_weights_and_used(tmp_path, init):  # noqa: F811
    config = small_config(curvature="full", curvature_sets=2, steps_before=2, steps=6, validate_every=6)
    whole = train(config, tmp_path / "whole", init)
    train(config, tmp_path / "parts", init, max_steps=3)
    parts = train(config, tmp_path / "parts", init)
    loaded = weights.load(whole)
    kept = loaded.rule.tensors()
    assert len(loaded.rule.rates) == config.inner_steps + config.steps_before
    assert (loaded.rule.rates > 0).all() and (loaded.rule.rates != config.task_lr).any()
    for name, parameter in loaded.network.named_parameters():
        assert [len(m[0]) for m in loaded.rule.matrices[name]] == curvature.axes_of(parameter)
    assert all((value != 0).any() for value in kept.values())
    weights.annotate(whole, {"remark": "kept"})
    for path in (parts, whole):
        again = weights.load(path).rule.tensors()
        assert all(torch.equal(again[key], value) for key, value in kept.items())
    lr, camera = picture(24, 24), Degradation(torch.ones(1, 1))
    start = dict(loaded.network.named_parameters())
    (own, _), (plain, _) = (next(adapt(loaded.network, start, lr, camera, 1, rule)) for rule in (loaded.rule, None))
    assert any((own[name] != plain[name]).any() for name in start)


def test_a_run_begins_where_the_step_of_its_first_weights_ended(tmp_path, init):  # noqa: F811
    first = train(small_config(curvature="full", steps=4, validate_every=4, ema=0.0), tmp_path / "first", init)
    network, rule = weights.load(first).network, weights.load(first).rule
    longer = Curvature(network, "full", 5, 0.1, 3)
    longer.begin(rule)
    assert torch.equal(longer.rule().matrices["body.0.weight"][1][2], rule.matrices["body.0.weight"][1][-1])
    close(longer.rule().rates[-1], rule.rates[-1], 1e-7)


def test_gradients_are_summed_over_tasks_for_the_step_too():
    config = small_config(curvature="full", tasks=3)
    network = smooth_network(torch.float32)
    learned = Curvature(network, "full", config.inner_steps, 0.05)
    source = PatchSource(small_pictures().training)
    total = [torch.zeros_like(p) for p in learned.parameters()]
    for rank in range(3):
        alone = Group(rank, 3)
        object.__setattr__(alone, "sum_", lambda tensors: None)
        meta_gradient(network, source, config, config.distribution(), alone, 3, learned)
        torch._foreach_add_(total, [p.grad for p in learned.parameters()])
    meta_gradient(network, source, config, config.distribution(), Group(), 3, learned)
    for mine, parts in zip(learned.parameters(), total, strict=True):
        close(mine.grad, parts, 1e-6)


def test_a_negative_number_of_steps_is_refused():
    with pytest.raises(InputError, match="steps_before is -1: it must be a whole number of at least 0"):
        small_config(steps_before=-1)


@pytest.mark.parametrize("changes", [{}, {"episode": "image", "scales": (2, 3), "patch": 18}, {"first_order": True}])
def test_tasks_in_one_vmap_have_the_same_gradient(changes):
    settings = {"curvature": "full", "tasks": 4, "steps_before": 2, "query_patch": 12, "border": 2} | changes
    network = smooth_network(torch.float32)
    source, found = PatchSource(small_pictures().training), []
    for width in (1, 3):
        config = small_config(**settings, vmap=width)
        learned = Curvature(network, "full", 4, 0.05)
        scalars = meta_gradient(network, source, config, config.distribution(), Group(), 3, learned)
        found.append([*(p.grad for p in [*network.parameters(), *learned.parameters()]), *scalars.values()])
    for alone, shared in zip(*found, strict=True):
        close(alone, shared, 2e-6)


def test_more_processes_than_tasks_are_refused(tmp_path, init):  # noqa: F811
    config = small_config(tasks=2)
    with pytest.raises(InputError, match="3 processes cannot share 2 task"):
        meta_train(config, [], tmp_path, Group(0, 3), init=init, pictures=small_pictures())


def test_steps_before_come_in_their_share_of_the_updates_all_equally_likely():
    config = small_config(steps_before=3, before_share=0.4)
    counts = [sum(config.before(step) == number for step in range(2_000)) for number in range(4)]
    assert sum(counts) == 2_000 and counts[0] == pytest.approx(1_200, abs=100)
    assert counts[1:] == pytest.approx([267] * 3, abs=70)
    for never in (small_config(), small_config(steps_before=3, before_share=0.0)):
        assert {never.before(step) for step in range(50)} == {0}
