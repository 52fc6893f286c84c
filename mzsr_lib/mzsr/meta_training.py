"""Stage 2, meta-transfer learning: how good a starting point is after its inner steps, and the meta-gradient.

The lines of the paper's Algorithm 1: `meta_gradient` is one outer update without Adam's step (3 to 9), `meta_loss`
what one task adds to it (5 to 9).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch.func import vmap

from mzsr_lib.fields import Count, Positive, Share, Whole
from mzsr_lib.files import InputError
from mzsr_lib.mzsr.adaptation import SGD, Params, Rule, inner_loop, loss_of
from mzsr_lib.mzsr.curvature import Curvature, Kind
from mzsr_lib.mzsr.networks import Network
from mzsr_lib.mzsr.settings import TrainConfig
from mzsr_lib.mzsr.tasks import Episode, PatchSource, Task, TaskDistribution, Teacher
from mzsr_lib.runtime import Group, autocast, generator_for
from mzsr_lib.shapes import Scalar, Tensor

QueryWeights = Literal["annealed", "uniform", "last"]


@dataclass(frozen=True)
class MetaTrainConfig(TrainConfig):
    """Settings of stage 2; the defaults are the paper's. The other attributes are `TrainConfig`'s.

    Attributes
    ----------
    steps
        Outer updates.
    learning_rate
        beta, of Adam in the outer loop.
    task_lr
        alpha, of plain gradient descent in the inner loop.
    inner_steps
        Gradient steps of each task.
    tasks
        Kernels an outer update.
    first_order
        Hold the inner gradients constant: faster, smaller, and no longer the exact meta-gradient.
    curvature
        What is learned about the inner step together with the starting point: ``"none"``, ``"rates"`` or
        ``"full"``; see `curvature.Curvature`. With one of the last two, `task_lr` is where the rates begin.
    curvature_sets
        Sets of matrices of a full curvature; with several, the first steps have one each.
    curvature_speed
        Learning rate of the matrices, as a multiple of that of the weights.
    rates_speed
        The same for the logarithms of the rates.
    steps_before
        In some outer updates the tasks first take steps that are not differentiated, from 1 to so many, all
        equally likely; see `meta_loss`.
    before_share
        The share of these updates. The larger it is, the less the first update counts.
    vmap
        Tasks that are computed in one `torch.func.vmap`; 1 takes one after the other. Less time on a GPU, whose
        time goes into starting operations, and as many times the memory; more time on a CPU.
    query_weights
        Of the query losses after each inner step: ``"annealed"`` (uniform at first, the last step
        alone in the end; MAML++, Antoniou et al., ICLR 2019), ``"uniform"`` or ``"last"``.
    anneal_steps
        Outer updates until the annealing would reach zero; it stops at 0.03 / inner_steps.
    episode
        ``"two-sets"`` or ``"image"``; see `tasks.TaskDistribution`.
    patch
        Side of the high-resolution patches, px.
    patches
        High-resolution patches in the support, and as many in the query.
    query_patch
        Side of the part of the query that is computed, px; see `tasks.TaskDistribution`. None for all of it.
    border
        Pixels at its edges that do not count.
    teacher
        Weights of a kernel-aware network, by shipped name or file, whose picture is the query's target instead of
        the original (distillation; image episodes only). None for the original.
    """

    steps: Count = 100_000
    learning_rate: Positive = 1e-4
    validate_every: Count = 1_000
    task_lr: Positive = 0.01
    inner_steps: Count = 5
    tasks: Count = 5
    first_order: bool = False
    curvature: Kind = "none"
    curvature_sets: Count = 1
    curvature_speed: Positive = 8.0
    rates_speed: Positive = 30.0
    steps_before: Whole = 0
    before_share: Share = 0.25
    vmap: Count = 1
    query_weights: QueryWeights = "annealed"
    anneal_steps: Count = 3_333
    episode: Episode = "two-sets"
    patch: Count = 64
    patches: Count = 8
    query_patch: Count | None = None
    border: Whole = 0
    teacher: str | None = None

    def __post_init__(self):
        super().__post_init__()
        if self.teacher and self.episode != "image":
            raise InputError(f"A teacher is for image episodes, not for {self.episode}: leave one of the two out.")
        if self.passes != 1:
            raise InputError(
                f"Meta-training takes one pass, not {self.passes}: tasks are made before the network runs."
            )
        self.distribution()

    def distribution(self) -> TaskDistribution:
        """Return the distribution of tasks that these settings describe."""
        return TaskDistribution(
            self.degradations(), self.episode, self.patch, self.patches, self.query_patch, self.border
        )

    def before(self, step: int) -> int:
        """Return how many steps the tasks of an outer update take first, not differentiated."""
        chance = float(torch.rand((), generator=generator_for(self.seed, step, "before"))) / (self.before_share or 1)
        return math.ceil((1 - chance) * self.steps_before) if chance < 1 and self.before_share else 0


def step_weights(
    step: int, inner_steps: int, kind: QueryWeights = "annealed", anneal_steps: int = 3_333
) -> list[float]:
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
    """
    share = 0.0 if kind == "last" else 1 / inner_steps
    if kind == "annealed":
        share = max(share * (1 - step / anneal_steps), 0.03 * share)
    return [share] * (inner_steps - 1) + [1 - (inner_steps - 1) * share]


def meta_loss(
    network: Network,
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
    network: Network,
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
        a, b, c, d = tensors
        task = Task(a, b, c, d, tasks[0].degradation, tasks[0].border)
        return meta_loss(network, params, task, rule, weighting, order, before)

    losses, support_losses, last = vmap(one)(*stacked)
    return losses.sum(), support_losses.sum(), last.sum()


def meta_gradient(
    network: Network,
    source: PatchSource,
    config: MetaTrainConfig,
    distribution: TaskDistribution,
    group: Group,
    step: int,
    learned_step: Curvature | None = None,
    teacher: Teacher | None = None,
) -> dict[str, Tensor]:
    """Leave the meta-gradient of one outer update in the network's parameters; each process works on its tasks.

    The same for those of `learned_step`, the rule of the inner loop that is trained; without it, plain steps. For
    `teacher` see `tasks.TaskDistribution.sample`.
    """
    params: Params = dict(network.named_parameters())
    learned = [*params.values(), *(learned_step.parameters() if learned_step else ())]
    weighting = step_weights(step, config.inner_steps, config.query_weights, config.anneal_steps)
    order, upscaler, before = 1 if config.first_order else 2, config.upscaler(), config.before(step)
    tasks = [
        distribution.sample(source, (config.seed, step, number), upscaler, teacher)
        for number in group.share(range(config.tasks))
    ]
    grads = [torch.zeros_like(p) for p in learned]
    sums = torch.zeros(3, device=source.device)
    for some in together(tasks, config.vmap):
        rule = learned_step.rule() if learned_step else SGD([config.task_lr])
        with autocast(source.device, config.precision):
            how = (rule, weighting, order, before)
            several = len(some) > 1
            found = meta_losses(network, params, some, *how) if several else meta_loss(network, params, some[0], *how)
        loss, *others = found
        # The graph of the inner loop is the memory of this method: it ends here.
        torch._foreach_add_(grads, torch.autograd.grad(loss / config.tasks, learned, materialize_grads=True))
        sums += torch.stack([loss.detach(), *others]) / config.tasks
    group.sum_([*grads, sums])
    for parameter, grad in zip(learned, grads, strict=True):
        parameter.grad = grad
    return {"loss": sums[0], "support_loss": sums[1], "query_loss": sums[2]}


def together(tasks: Sequence[Task], most: int) -> list[list[Task]]:
    """Divide tasks into groups of at most `most` with tensors of the same shapes: those of one scale."""
    alike: dict[tuple, list[Task]] = {}
    for task in tasks:
        alike.setdefault(tuple(tensor.shape for tensor in task.tensors), []).append(task)
    return [some[i : i + most] for some in alike.values() for i in range(0, len(some), most)]
