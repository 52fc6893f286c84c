"""The inner loop: a few gradient steps for one task. Meta-training, meta-test and ZSSR all run this one."""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch
from torch.func import functional_call, grad_and_value
from torch.nn import functional as F

from mzsr_lib.files import InputError
from mzsr_lib.imaging import images, tiling
from mzsr_lib.imaging.degradation import Degradation
from mzsr_lib.imaging.tiling import SIZE, Tile, tiles
from mzsr_lib.mzsr.inputs import Upscaler, bicubic_input, run_passes
from mzsr_lib.mzsr.networks import Network
from mzsr_lib.runtime import autocast
from mzsr_lib.shapes import Images, OtherImages, Tensor

Params = dict[str, Tensor]
Pair = tuple[Images, OtherImages]
# How a step changes the parameters: rule(step, params, grads, loss) -> params, with nothing changed in place.
Rule = Callable[[int, Params, Sequence[Tensor], Tensor], Params]


class SGD:
    """Plain gradient descent with a rate for each step; after the last rate it stays the same."""

    def __init__(self, rates: Sequence[float]):
        if not rates:
            raise InputError("Gradient descent needs at least one rate.")
        self.rates = list(rates)

    def __call__(self, step: int, params: Params, grads: Sequence[Tensor], loss: Tensor | None = None) -> Params:
        """Return ``params - rate * grads``."""
        rate = self.rates[min(step, len(self.rates) - 1)]
        return dict(zip(params, torch._foreach_add(list(params.values()), list(grads), alpha=-rate), strict=True))


class Adam:
    """Adam (Kingma and Ba, ICLR 2015) as a rule; `rate` may be changed between steps."""

    def __init__(self, rate: float, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8):
        self.rate, self.betas, self.eps = rate, betas, eps
        self.first: list[Tensor] = []
        self.second: list[Tensor] = []

    def __call__(self, step: int, params: Params, grads: Sequence[Tensor], loss: Tensor | None = None) -> Params:
        """Return the parameters after Adam's step; its moments are kept here."""
        if step == 0:
            self.first = [torch.zeros_like(g) for g in grads]
            self.second = [torch.zeros_like(g) for g in grads]
        b1, b2 = self.betas
        self.first = [b1 * m + (1 - b1) * g for m, g in zip(self.first, grads, strict=True)]
        self.second = [b2 * v + (1 - b2) * g * g for v, g in zip(self.second, grads, strict=True)]
        size, root = self.rate / (1 - b1 ** (step + 1)), (1 - b2 ** (step + 1)) ** 0.5
        moments = zip(params.items(), self.first, self.second, strict=True)
        return {name: p - size * m / (v.sqrt() / root + self.eps) for (name, p), m, v in moments}


class Guarded:
    """Another rule, whose steps are taken back half-way when they raise the loss; later ones are then half as long.

    Rates that were learned on many pictures can be too large for one with uncommonly strong edges. A step taken
    back counts as one: the number of gradients stays what was asked for.
    """

    def __init__(self, rule: Rule):
        self.rule, self.factor, self.taken = rule, 1.0, 0
        self.kept: tuple[Params, float] = ({}, math.inf)

    def __call__(self, step: int, params: Params, grads: Sequence[Tensor], loss: Tensor) -> Params:
        """Return the parameters after the step of the rule, or half-way back to the best ones so far."""
        (best, least), value = self.kept, float(loss)
        if not value <= least and best:
            self.factor /= 2
            return {name: p.lerp(params[name], 0.5) for name, p in best.items()} if math.isfinite(value) else best
        self.kept = (params, value)
        proposed = self.rule(self.taken, params, grads, loss)
        self.taken += 1
        return {name: p.lerp(proposed[name], self.factor) for name, p in params.items()}


def output_of(network: Network, params: Params, inputs: Images) -> OtherImages:
    """Return what the network with these parameters makes of its input."""
    with autocast(inputs.device, network.precision):
        return functional_call(network, params, (inputs,))


def loss_of(network: Network, params: Params, pair: Pair, border: int = 0) -> Tensor:
    """Return the mean absolute error of the network with these parameters on (input, target).

    `border` output pixels on each side are left out: those that see the zeros around a piece of a picture.
    """
    inputs, targets = pair
    inner = slice(border, -border or None)
    output = output_of(network, params, inputs)[..., inner, inner]
    wanted = targets[..., inner, inner]
    return F.l1_loss(output.to(wanted), wanted)


def _tiles(network: Network, height: int, width: int, size: int | None) -> Iterator[Tile]:
    return tiles(height, width, network.reach, size or max(tiling.side(SIZE) // network.factor, 1))


def _piece(tile: Tile, inputs: Images) -> OtherImages:
    """Return the window of a tile, in the layout in which convolutions are fastest."""
    return tile.cut(inputs).contiguous(memory_format=torch.channels_last)


def loss_and_gradient(
    network: Network, params: Params, pair: Pair, size: int | None = None
) -> tuple[Tensor, list[Tensor]]:
    """Return `loss_of` and its gradient by `params`, in tiles of `size` px, by default 512: memory stays bounded."""
    inputs, targets = pair
    total, grads = targets.new_zeros(()), [torch.zeros_like(p) for p in params.values()]
    height, width = inputs.shape[-2:]
    for tile in tiling.watched(_tiles(network, height, width, size), "learn"):
        large = tile.enlarged(network.factor)
        wanted = large.target(targets)
        output = large.trim(output_of(network, params, _piece(tile, inputs)))
        loss = F.l1_loss(output.to(wanted), wanted) * (wanted.numel() / targets.numel())
        torch._foreach_add_(grads, torch.autograd.grad(loss, list(params.values()), materialize_grads=True))
        total += loss.detach()
    return total, grads


def inner_loop(
    network: Network,
    params: Params,
    pair: Callable[[int], Pair],
    rule: Rule,
    steps: int,
    order: int = 0,
    first: int = 0,
) -> Iterator[tuple[Params, Tensor]]:
    """Take gradient steps from `params`, and yield after each (parameters, loss before the step).

    Parameters
    ----------
    network
        Its own parameters are neither used nor changed.
    params
        The starting point theta.
    pair
        ``pair(step)`` returns (network input, target).
    rule
        How a gradient changes the parameters, for instance `SGD`.
    steps
        How many.
    order
        What a later loss can be differentiated by: 0, nothing, for test time; 1, the starting point
        with the inner gradients held constant (first-order MAML); 2, the starting point through the
        inner gradients (MAML: Finn et al., ICML 2017, Equation 1).
    """
    if order not in (0, 1, 2):
        raise InputError(f"The order is {order}: it must be 0, 1 or 2.")
    for step in range(first, first + steps):
        if order == 0:
            params = {name: p.detach().requires_grad_() for name, p in params.items()}
        with torch.enable_grad():
            if order == 0:
                loss, grads = loss_and_gradient(network, params, pair(step))
            else:
                # Not autograd.grad: this one may stand in a vmap, and a later loss is differentiated through it.
                found, loss = grad_and_value(partial(loss_of, network))(params, pair(step))
                grads = [g if order == 2 else g.detach() for g in found.values()]
            params = rule(step, params, grads, loss)
        yield params, loss.detach()


def meta_test_rates(degradation: Degradation) -> list[float]:
    """Return the learning rates of the meta-test, step by step (the authors' program; the last one repeats).

    Scale 3 is not in the paper and takes those of scale 2.
    """
    if degradation.scale == 4:
        return [1e-2, 5e-3, 5e-3, 5e-3, 5e-3, 1e-3]
    if degradation.mode == "bicubic":
        return [1e-2, 1e-2, 1e-2, 1e-3]
    return [2e-2, 1e-2, 1e-2, 1e-2, 5e-3]


def starting_point(network: Network) -> Params:
    """Return a network's parameters by name, detached from it."""
    return {name: p.detach() for name, p in network.named_parameters()}


def adapt(
    network: Network,
    params: Params,
    lr: Images,
    degradation: Degradation,
    steps: int,
    rule: Rule | None = None,
    upscaler: Upscaler = bicubic_input,
    guard: bool = True,
) -> Iterator[tuple[Params, Tensor]]:
    """Learn from one low-resolution picture alone (paper, Algorithm 2), and yield as `inner_loop` does.

    Parameters
    ----------
    network, params
        The architecture, and the starting point.
    lr
        (1, 3, h, w), the picture; at least `scale` times the kernel's size, since it is degraded once more.
    degradation
        The known blur and scale.
    steps
        Gradient steps.
    rule
        How a gradient changes the parameters, by default plain steps with `meta_test_rates`; the step that was
        learned with weights is `weights.Weights.rule`.
    upscaler
        What makes the network's input.
    guard
        Take steps back that raise the loss, see `Guarded`; the paper's algorithm does not.
    """
    target, son = degradation.with_son(lr)
    network = network.at(degradation.scale)
    with torch.no_grad():
        # What each pass is given with the weights of the starting point: together, the batch to learn from.
        given = [inputs for inputs, _ in run_passes(_whole(network, params), son, degradation, upscaler)]
    pair = (torch.cat(given), target.expand(len(given), -1, -1, -1))
    rule = rule or SGD(meta_test_rates(degradation))
    return inner_loop(network, params, lambda step: pair, Guarded(rule) if guard else rule, steps)


def super_resolve(
    network: Network,
    params: Params,
    lr: Images,
    degradation: Degradation,
    upscaler: Upscaler = bicubic_input,
    size: int | None = None,
) -> OtherImages:
    """Return the network's picture (1, 3, scale * h, scale * w) after its last pass, finished and clipped to [0, 1].

    It is computed in tiles of `size` px of the input a side, by default those that make 512. What is not finite
    becomes NaN.
    """
    with torch.no_grad():
        if network.takes_kernel:
            return images.clip(functional_call(network.at(degradation.scale), params, (lr, degradation)))
        *_, (_, sr) = run_passes(_whole(network.at(degradation.scale), params, size), lr, degradation, upscaler)
        return images.clip(upscaler.finish(lr, degradation, sr))


def _whole(network: Network, params: Params, size: int | None = None) -> Callable[[Images], Images]:
    """Return the network with these parameters as a function of whole pictures of any size."""

    def run(inputs: Images) -> OtherImages:
        height, width = inputs.shape[-2:]
        output = inputs.new_empty(*inputs.shape[:-2], network.factor * height, network.factor * width)
        for tile in tiling.watched(_tiles(network, height, width, size), "network"):
            large = tile.enlarged(network.factor)
            large.target(output).copy_(large.trim(output_of(network, params, _piece(tile, inputs))))
        return output

    return run
