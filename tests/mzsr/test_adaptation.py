"""The inner loop: against torch's own optimizers, against finite differences, and on a picture."""

import pytest
import torch
from helpers import close, picture

from mzsr_lib.files import InputError
from mzsr_lib.imaging import kernels
from mzsr_lib.imaging.degradation import Degradation
from mzsr_lib.mzsr import adaptation
from mzsr_lib.mzsr.adaptation import SGD, Adam, Guarded, adapt, inner_loop, loss_of, starting_point, super_resolve
from mzsr_lib.mzsr.networks import SRNetwork
from mzsr_lib.runtime import generator_for


def small_network(dtype=torch.float32, device="cpu") -> SRNetwork:
    return SRNetwork(4, 3, generator_for("network")).to(device, dtype)


def small_pair(seed=0, dtype=torch.float32, device="cpu"):
    return picture(9, 7, 2, seed, dtype, device), picture(9, 7, 2, seed + 100, dtype, device)


def last(iterator):
    *_, final = iterator
    return final


@pytest.mark.parametrize(
    ("rule", "optimizer"),
    [
        (SGD([0.3]), lambda p: torch.optim.SGD(p, lr=0.3)),
        (Adam(0.02), lambda p: torch.optim.Adam(p, lr=0.02)),
    ],
)
def test_steps_equal_those_of_torchs_optimizer(rule, optimizer, device):
    network, pair = small_network(torch.float64, device), small_pair(dtype=torch.float64, device=device)
    adapted, _ = last(inner_loop(network, starting_point(network), lambda step: pair, rule, 4))
    torchs = optimizer(network.parameters())
    for _ in range(4):
        torchs.zero_grad()
        torch.nn.functional.l1_loss(network(pair[0]), pair[1]).backward()
        torchs.step()
    for name, parameter in network.named_parameters():
        close(adapted[name], parameter, 1e-12)


def test_sgd_takes_its_rates_in_turn_and_then_the_last():
    one = {"w": torch.zeros(())}
    rule = SGD([4.0, 2.0, 1.0])
    taken = [-float(rule(step, one, [torch.ones(())])["w"]) for step in range(5)]
    assert taken == [4.0, 2.0, 1.0, 1.0, 1.0]
    with pytest.raises(InputError, match="at least one rate"):
        SGD([])


@pytest.mark.parametrize("order", [0, 1, 2])
def test_the_order_decides_what_can_be_differentiated_but_not_the_steps(order):
    network = small_network()
    start = dict(network.named_parameters())
    adapted, loss = last(inner_loop(network, start, lambda step: small_pair(), SGD([0.1]), 2, order))
    reference, _ = last(inner_loop(network, start, lambda step: small_pair(), SGD([0.1]), 2))
    for name in start:
        close(adapted[name], reference[name], 1e-9)
    grads = torch.autograd.grad(loss_of(network, adapted, small_pair(1)), list(start.values()), allow_unused=True)
    assert all((grad is None) == (order == 0) for grad in grads)
    assert not loss.requires_grad


def test_the_starting_point_is_left_as_it_was():
    network = small_network()
    before = {name: p.clone() for name, p in starting_point(network).items()}
    last(inner_loop(network, starting_point(network), lambda step: small_pair(), SGD([0.1]), 3))
    for name, parameter in network.named_parameters():
        close(parameter, before[name], 0)


def test_an_unknown_order_is_refused():
    network = small_network()
    with pytest.raises(InputError, match="order is 3"):
        next(inner_loop(network, starting_point(network), lambda step: small_pair(), SGD([0.1]), 1, 3))


def test_losses_fall_when_a_network_learns_from_a_picture():
    degradation = Degradation(kernels.named()["g2.0d"].kernel)
    lr = degradation(picture(96, 90))
    network = small_network()
    losses = [float(loss) for _, loss in adaptation.adapt(network, starting_point(network), lr, degradation, 12)]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("mode", ["direct", "bicubic"])
def test_adaptation_and_output_work_for_sizes_that_are_no_multiple(scale, mode, device):
    degradation = Degradation(kernels.gaussian_kernel(torch.eye(2), 5), scale, mode).to(device)
    lr, network = picture(23, 29, device=device), small_network(device=device)
    params, _ = last(adaptation.adapt(network, starting_point(network), lr, degradation, 2))
    sr = adaptation.super_resolve(network, params, lr, degradation)
    assert sr.shape == (1, 3, 23 * scale, 29 * scale)
    assert 0 <= float(sr.min()) <= float(sr.max()) <= 1
    assert not sr.requires_grad


def test_a_picture_smaller_than_the_kernel_cannot_be_degraded_once_more():
    degradation = Degradation(kernels.named()["g2.0d"].kernel)
    network = small_network()
    with pytest.raises(InputError, match="smaller than the 21 x 21 kernel"):
        adaptation.adapt(network, starting_point(network), picture(20, 40), degradation, 1)


def test_rates_are_those_of_the_authors_program():
    kernel = torch.ones(1, 1)
    assert adaptation.meta_test_rates(Degradation(kernel, 2, "direct"))[:2] == [2e-2, 1e-2]
    assert adaptation.meta_test_rates(Degradation(kernel, 2, "direct"))[-1] == 5e-3
    assert adaptation.meta_test_rates(Degradation(kernel, 2, "bicubic")) == [1e-2, 1e-2, 1e-2, 1e-3]
    assert adaptation.meta_test_rates(Degradation(kernel, 4, "direct"))[-1] == 1e-3


def test_the_precision_of_a_network_is_that_of_its_convolutions_alone():
    network, lr = SRNetwork(generator=generator_for("net")), picture(24, 24)
    camera = Degradation(torch.ones(1, 1))
    exact = super_resolve(network, starting_point(network), lr, camera)
    network.precision = "bfloat16"
    *_, (params, loss) = adapt(network, starting_point(network), lr, camera, 2)
    assert loss.dtype == torch.float32
    assert all(value.dtype == torch.float32 for value in params.values())
    fast = super_resolve(network, starting_point(network), lr, camera)
    assert fast.dtype == torch.float32
    assert 0 < (fast - exact).abs().max() < 0.01


def test_a_guarded_rule_takes_back_half_of_a_step_that_raised_the_loss():
    # f(w) = w^2 from w = 1 with a rate of 1.2: every plain step overshoots, and the loss grows without end.
    def path(rule, count=12):
        w, losses = torch.tensor(1.0), []
        for step in range(count):
            losses.append(float(w * w))
            w = rule(step, {"w": w}, [2 * w], w * w)["w"]
        return w, losses

    plain, grown = path(SGD([1.2]))
    assert grown == sorted(grown) and abs(plain) > 10
    held, losses = path(Guarded(SGD([1.2])))
    assert losses[1] > losses[0] and losses[2] < losses[0]  # taken back half-way
    assert abs(held) < 1e-2
    same = [path(rule)[1] for rule in (SGD([0.3]), Guarded(SGD([0.3])))]  # nothing rises: nothing is changed
    assert same[0] == pytest.approx(same[1], rel=1e-6)


def test_a_guarded_rule_returns_to_the_last_finite_point():
    rule = Guarded(SGD([1.0]))
    start = {"w": torch.tensor(1.0)}
    rule(0, start, [torch.tensor(1.0)], torch.tensor(1.0))
    back = rule(1, {"w": torch.tensor(float("nan"))}, [torch.tensor(float("nan"))], torch.tensor(float("nan")))
    assert float(back["w"]) == 1.0
    again = rule(2, back, [torch.tensor(1.0)], torch.tensor(1.0))
    assert float(again["w"]) == 0.5  # half as long
