"""The meta-objective: how good a starting point is after its inner steps (paper, Algorithm 1, lines 5 to 9)."""

from collections.abc import Sequence

import torch
from torch.func import vmap

from mzsr_lib.files import InputError
from mzsr_lib.mzsr.adaptation import Params, Rule, inner_loop, loss_of
from mzsr_lib.mzsr.networks import SRNetwork
from mzsr_lib.mzsr.tasks import Task
from mzsr_lib.shapes import Scalar, Tensor

QUERY_WEIGHTS = ("annealed", "uniform", "last")


def step_weights(step: int, inner_steps: int, kind: str = "annealed", anneal_steps: int = 3_333) -> list[float]:
    """Return the weight of the query loss after each inner step; they sum to 1.

    Parameters
    ----------
    step
        Outer update, counted from 0.
    inner_steps
        Gradient steps of a task, n.
    kind
        ``"uniform"``: 1/n each. ``"last"``: the last step alone. ``"annealed"`` goes from the one
        towards the other (MAML++, Antoniou et al., ICLR 2019): all but the last fall linearly to
        0.03/n and the last takes what they leave. With n = 5, 0.006 and 0.976 from step 3,233 on.
    anneal_steps
        Outer updates in which the annealed weights would reach zero.

    Raises
    ------
    InputError
        If the kind is unknown.
    """
    if kind not in QUERY_WEIGHTS:
        raise InputError(f"There are no query weights '{kind}': choose {', '.join(QUERY_WEIGHTS)}.")
    share = 0.0 if kind == "last" else 1 / inner_steps
    if kind == "annealed":
        share = max(share * (1 - step / anneal_steps), 0.03 * share)
    return [share] * (inner_steps - 1) + [1 - (inner_steps - 1) * share]


def meta_loss(
    network: SRNetwork,
    params: Params,
    task: Task,
    rule: Rule,
    weighting: Sequence[float],
    order: int = 2,
    before: int = 0,
) -> tuple[Scalar, Scalar, Scalar]:
    """Return a task's weighted query loss, its support loss before adaptation, and its last query loss.

    The first can be differentiated by `params`, and by what `rule` was made of, through the inner loop.

    Parameters
    ----------
    network, params
        The architecture, and the starting point theta.
    task
        Support and query pairs of one kernel.
    rule
        How an inner step uses a gradient: `adaptation.SGD` with alpha, or a `curvature.LearnedStep`.
    weighting
        Weight of the query loss after each inner step; as many as there are inner steps, the last not zero.
    order
        2 for the exact meta-gradient, 1 for first order; see `adaptation.inner_loop`.
    before
        Steps that are taken first and not differentiated: the way they move the parameters is held constant
        (a truncated derivative), so that late steps can be learned without the memory of all.
    """
    support, query = (task.support_input, task.support_target), (task.query_input, task.query_target)
    if before:
        *_, (moved, _) = inner_loop(network, params, lambda step: support, rule, before, order=1)
        params = {name: p + (moved[name] - p).detach() for name, p in params.items()}
    steps = inner_loop(network, params, lambda step: support, rule, len(weighting), order, before)
    query_losses, support_losses = [], []
    for weight, (adapted, support_loss) in zip(weighting, steps, strict=True):
        support_losses.append(support_loss)
        if weight > 0:
            query_losses.append(weight * loss_of(network, adapted, query, task.border))
    last = query_losses[-1].detach() / weighting[-1]
    return torch.stack(query_losses).sum(), support_losses[0], last


def meta_losses(
    network: SRNetwork,
    params: Params,
    tasks: Sequence[Task],
    rule: Rule,
    weighting: Sequence[float],
    order: int = 2,
    before: int = 0,
) -> tuple[Scalar, Scalar, Scalar]:
    """Return the sums over several tasks of what `meta_loss` returns, from one `torch.func.vmap`.

    The tasks must have tensors of the same shapes. Fewer and larger operations than one task after the other,
    and the memory of all their graphs at once.
    """
    stacked = [torch.stack(parts) for parts in zip(*(task.tensors for task in tasks), strict=True)]

    def one(*tensors: Tensor) -> tuple[Scalar, Scalar, Scalar]:
        task = Task(*tensors, tasks[0].degradation, tasks[0].border)
        return meta_loss(network, params, task, rule, weighting, order, before)

    return tuple(values.sum() for values in vmap(one)(*stacked))
