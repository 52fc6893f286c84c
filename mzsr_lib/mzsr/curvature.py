"""A learned inner step: what a gradient is multiplied by before it changes the weights (meta-curvature).

Plain gradient descent is slow where the loss is steep in one direction and flat in another. Park and Oliva
("Meta-Curvature", NeurIPS 2019) learn, together with the starting point, matrices that turn every gradient
into a better direction. A gradient G (out, in, 9) of a 3 x 3 convolution becomes

    M(G) = G x_1 (I + A_out) x_2 (I + A_in) x_3 (I + A_tap)

where ``x_n`` multiplies along axis n, and that of a bias is multiplied by one matrix. A step is
``W - rate * M(G)`` with a learned rate for each step and tensor. All A are zero at first: plain gradient descent.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import torch
from torch import nn

from mzsr_lib.files import InputError
from mzsr_lib.shapes import Tensor

Kind = Literal["none", "rates", "full"]
RATES = "rates"
PREFIX = "curvature"


class LearnedStep:
    """A rule of `adaptation.inner_loop` whose rates and matrices were learned with the starting point.

    Parameters
    ----------
    names
        Of the parameters it changes, in the order of the columns of `rates`.
    rates
        (steps, parameters), positive; after the last step they stay the same.
    matrices
        For each parameter, the A of each axis of its gradient, (sets, n, n); for a convolution those of its
        outputs, its inputs and its taps. Step i takes set i, and those after the last set take the last. A
        parameter that is not named keeps its gradient.
    """

    def __init__(self, names: Sequence[str], rates: Tensor, matrices: Mapping[str, Sequence[Tensor]] | None = None):
        if rates.ndim != 2 or rates.shape[1] != len(names) or not len(rates):
            raise InputError(
                f"The rates have the shape {tuple(rates.shape)}: one row a step is needed, and {len(names)} columns."
            )
        self.names, self.rates, self.matrices = tuple(names), rates, dict(matrices or {})

    def __call__(
        self, step: int, params: dict[str, Tensor], grads: Sequence[Tensor], loss: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Return ``params - rate * M(grad)``, in the precision of the parameters."""
        rates = dict(zip(self.names, self.rates[min(step, len(self.rates) - 1)].unbind(), strict=True))
        changed = {}
        # Autocast would round the products, and with them the step, to bfloat16.
        with torch.autocast(self.rates.device.type, enabled=False):
            for (name, value), grad in zip(params.items(), grads, strict=True):
                stack = [axis[min(step, len(axis) - 1)] for axis in self.matrices.get(name, ())]
                changed[name] = value - rates[name] * transformed(grad.to(value), stack)
        return changed

    def tensors(self) -> dict[str, Tensor]:
        """Return what a weights file keeps, by name: `from_tensors` gives the rule back."""
        axes = {f"{PREFIX}.{name}.{i}": a for name, stack in self.matrices.items() for i, a in enumerate(stack)}
        return {RATES: self.rates, **axes}


def transformed(grad: Tensor, matrices: Sequence[Tensor]) -> Tensor:
    """Return M(grad): the gradient, its axes after the second taken as one, multiplied by ``I + A`` along each.

    Parameters
    ----------
    grad
        (out, in, 3, 3) of a convolution or (out,) of a bias.
    matrices
        One (n, n) for each axis, in order; none leaves the gradient as it is.
    """
    if not matrices:
        return grad
    flat = grad.flatten(2) if grad.ndim > 2 else grad
    for axis, matrix in enumerate(matrices):
        flat = flat + torch.tensordot(matrix, flat.movedim(axis, 0), 1).movedim(0, axis)
    return flat.reshape(grad.shape)


def axes_of(parameter: Tensor) -> list[int]:
    """Return the lengths of the axes along which a parameter's gradient is multiplied."""
    return list(parameter.flatten(2).shape) if parameter.ndim > 2 else [*parameter.shape]


class Curvature(nn.Module):
    """The rates and matrices of `LearnedStep` as parameters to be trained; at first plain gradient descent.

    Parameters
    ----------
    network
        Whose parameters the rule changes.
    kind
        ``"rates"``, a rate for each step and tensor alone (Meta-SGD, Li et al., 2017; MAML++), or ``"full"``.
    steps
        Rows of rates.
    rate
        What every rate is at first.
    sets
        Sets of matrices: the first steps have one each, the last set serves all later steps.
    """

    def __init__(self, network: nn.Module, kind: Kind, steps: int, rate: float, sets: int = 1):
        super().__init__()
        named = dict(network.named_parameters())
        self.names = tuple(named)
        device = next(iter(named.values())).device
        # The logarithm is learned, so that a rate stays positive and moves by a share of itself.
        self.log_rates = nn.Parameter(torch.full((steps, len(named)), rate, device=device).log())
        self.matrices = nn.ParameterDict()
        if kind == "full":
            for name, parameter in named.items():
                for axis, length in enumerate(axes_of(parameter)):
                    key = f"{name}.{axis}".replace(".", "/")  # a dot would be a module of its own
                    self.matrices[key] = nn.Parameter(torch.zeros(sets, length, length, device=device))

    def begin(self, rule: LearnedStep) -> None:
        """Go on from a step that was learned before: its last rates and matrices serve the steps it does not have."""
        with torch.no_grad():
            rows = [rule.rates[min(step, len(rule.rates) - 1)] for step in range(len(self.log_rates))]
            self.log_rates.copy_(torch.stack(rows).log())
            for name, stack in rule.matrices.items():
                for axis, known in enumerate(stack):
                    for number, target in enumerate(self.matrices.get(f"{name}.{axis}".replace(".", "/"), ())):
                        target.copy_(known[min(number, len(known) - 1)])

    def named(self) -> dict[str, nn.Parameter]:
        """Return what is trained, by name."""
        axes = {f"{PREFIX}.{key.replace('/', '.')}": value for key, value in self.matrices.items()}
        return {"log_rates": self.log_rates, **axes}

    def rule(self) -> LearnedStep:
        """Return the step with the values of now, through which a loss can be differentiated."""
        return from_tensors(self.names, finished(self.named()))


def finished(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return `Curvature.named`, or its average, as a weights file keeps it: rates instead of their logarithms."""
    values = dict(tensors)
    return {RATES: values.pop("log_rates").exp(), **values}


def from_tensors(names: Iterable[str], tensors: Mapping[str, Tensor]) -> LearnedStep:
    """Return the rule that a weights file holds, see `LearnedStep.tensors`."""
    matrices: dict[str, list[Tensor]] = {}
    for key in sorted(key for key in tensors if key.startswith(f"{PREFIX}.")):
        matrices.setdefault(key.removeprefix(f"{PREFIX}.").rpartition(".")[0], []).append(tensors[key])
    return LearnedStep(tuple(names), tensors[RATES], matrices)


def check(parameters: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> None:
    """Raise `InputError` when the tensors of a weights file are no step for these parameters of a network.

    No tensors are a step, too: the plain one.
    """
    if not tensors:
        return
    rates = tensors.get(RATES, torch.empty(0))
    if rates.ndim != 2 or rates.shape[1] != len(parameters) or not len(rates) or not bool((rates > 0).all()):
        raise InputError(
            f"the rates of its learned step, {tuple(rates.shape)}, must be (steps, {len(parameters)}) and positive."
        )
    found = tensors.keys() - {RATES}
    sides = {f"{PREFIX}.{name}.{i}": n for name, p in parameters.items() for i, n in enumerate(axes_of(p))}
    whole = {key for key in sides if any(key.rpartition(".")[0] == other.rpartition(".")[0] for other in found)}
    if odd := found ^ whole:
        raise InputError(f"its learned step lacks '{min(odd)}', or has it without need.")
    for key in sorted(found):
        shape, side = tuple(tensors[key].shape), sides[key]
        if len(shape) != 3 or not shape[0] or shape[1:] != (side, side):
            raise InputError(f"'{key}' of its learned step is {shape}; it must be (sets, {side}, {side}).")


def belongs(key: str) -> bool:
    """Tell whether a tensor of a weights file is part of the learned step, and not of the network."""
    return key == RATES or key.startswith(f"{PREFIX}.")
