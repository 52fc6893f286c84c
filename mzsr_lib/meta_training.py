"""Stage 2, meta-transfer learning: a starting point from which a few steps suffice (paper, Algorithm 1)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from mzsr_lib import curvature, metrics, weights
from mzsr_lib.adaptation import SGD, Params, Rule, adapt, super_resolve
from mzsr_lib.curvature import Curvature
from mzsr_lib.data import PatchSource, Pictures, Task, TaskDistribution, generator_for, read_pictures
from mzsr_lib.degradation import Degradation
from mzsr_lib.distributed import Group
from mzsr_lib.files import InputError
from mzsr_lib.images import centre_crop
from mzsr_lib.inputs import Upscaler, bicubic_input
from mzsr_lib.loop import Loop, Part
from mzsr_lib.meta_learning import QUERY_WEIGHTS, meta_loss, meta_losses, step_weights
from mzsr_lib.networks import SRNetwork
from mzsr_lib.schedule import TrainConfig
from mzsr_lib.shapes import OtherImages, Tensor
from mzsr_lib.training import initial_network, provenance, validation_degradations

VALIDATION_STEPS = (0, 1, 3, 10)
SCORED_STEPS = (1, 10)


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
        In half of the outer updates the tasks first take steps that are not differentiated, from 1 to so many, all
        equally likely; see `meta_learning.meta_loss`.
    vmap
        Tasks that are computed in one `torch.func.vmap`; 1 takes one after the other. Less time on a GPU, whose
        time goes into starting operations, and as many times the memory; more time on a CPU.
    query_weights
        Of the query losses after each inner step: ``"annealed"`` (uniform at first, the last step
        alone in the end; MAML++, Antoniou et al., ICLR 2019), ``"uniform"`` or ``"last"``.
    anneal_steps
        Outer updates until the annealing would reach zero; it stops at 0.03 / inner_steps.
    episode
        ``"two-sets"`` or ``"image"``; see `data.TaskDistribution`.
    patch
        Side of the high-resolution patches, px.
    patches
        High-resolution patches in the support, and as many in the query.
    query_patch, border
        The part of the query that is computed, and what does not count of it; see `data.TaskDistribution`.
    """

    steps: int = 100_000
    learning_rate: float = 1e-4
    validate_every: int = 1_000
    task_lr: float = 0.01
    inner_steps: int = 5
    tasks: int = 5
    first_order: bool = False
    curvature: str = "none"
    curvature_sets: int = 1
    curvature_speed: float = 8.0
    rates_speed: float = 30.0
    steps_before: int = 0
    vmap: int = 1
    query_weights: str = "annealed"
    anneal_steps: int = 3_333
    episode: str = "two-sets"
    patch: int = 64
    patches: int = 8
    query_patch: int | None = None
    border: int = 0

    def __post_init__(self):
        super().__post_init__()
        if self.query_weights not in QUERY_WEIGHTS:
            raise InputError(f"There are no query weights '{self.query_weights}': choose {', '.join(QUERY_WEIGHTS)}.")
        if min(self.inner_steps, self.tasks, self.patches, self.anneal_steps) < 1 or self.task_lr <= 0:
            raise InputError("inner_steps, tasks, patches, anneal_steps and task_lr must be positive.")
        if self.curvature not in curvature.KINDS:
            raise InputError(f"There is no curvature '{self.curvature}': choose {', '.join(curvature.KINDS)}.")
        if min(self.curvature_sets, self.vmap, self.curvature_speed, self.rates_speed) <= 0 or self.steps_before < 0:
            raise InputError(
                "curvature_sets, vmap, curvature_speed and rates_speed must be positive, and steps_before not negative."
            )
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
        chance = float(torch.rand((), generator=generator_for(self.seed, step, "before")))
        return math.ceil((2 * chance - 1) * self.steps_before) if chance > 0.5 else 0

    @classmethod
    def cpu(cls) -> "MetaTrainConfig":
        """Return settings for about an hour on one or two CPU cores: first order, small episodes of the meta-test kind.

        They count on a processor that multiplies bfloat16; on others ``precision="float32"`` is faster.
        """
        return cls(
            steps=14_000,
            learning_rate=8e-4,
            decay="cosine",
            floor=1e-6,
            warm_up=100,
            clip=1.0,
            ema=0.998,
            log_every=25,
            validate_every=250,
            inner_steps=2,
            tasks=4,
            first_order=True,
            query_weights="last",
            episode="image",
            patch=96,
            patches=1,
            precision="bfloat16",
        )

    @classmethod
    def quick(cls) -> "MetaTrainConfig":
        """Return settings for seconds: enough to see the losses move, in a lesson or a test."""
        return cls(
            steps=20,
            learning_rate=1e-3,
            ema=0.9,
            log_every=5,
            validate_every=10,
            inner_steps=2,
            tasks=2,
            patch=32,
            patches=2,
        )


def meta_gradient(
    network: SRNetwork,
    source: PatchSource,
    config: MetaTrainConfig,
    distribution: TaskDistribution,
    group: Group,
    step: int,
    learned_step: Curvature | None = None,
) -> dict[str, Tensor]:
    """Leave the meta-gradient of one outer update in the network's parameters; each process works on its tasks.

    The same for those of `learned_step`, the rule of the inner loop that is trained; without it, plain steps.
    """
    params = dict(network.named_parameters())
    learned = [*params.values(), *(learned_step.parameters() if learned_step else ())]
    weighting = step_weights(step, config.inner_steps, config.query_weights, config.anneal_steps)
    order, upscaler, before = 1 if config.first_order else 2, config.upscaler(), config.before(step)
    tasks = [
        distribution.sample(source, (config.seed, step, number), upscaler)
        for number in group.share(range(config.tasks))
    ]
    grads = [torch.zeros_like(p) for p in learned]
    sums = torch.zeros(3, device=source.device)
    for some in together(tasks, config.vmap):
        rule = learned_step.rule() if learned_step else SGD([config.task_lr])
        with config.autocast(source.device):
            losses = meta_losses if len(some) > 1 else _alone
            loss, *others = losses(network, params, some, rule, weighting, order, before)
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


def _alone(network: SRNetwork, params: Params, tasks: Sequence[Task], *how: object) -> tuple[Tensor, Tensor, Tensor]:
    """Return the losses of the only task, without a vmap."""
    [task] = tasks
    return meta_loss(network, params, task, *how)


def held_out_psnr(
    network: SRNetwork,
    params: Params,
    held_out: Sequence[OtherImages],
    degradations: Sequence[Degradation],
    upscaler: Upscaler = bicubic_input,
    rule: Rule | None = None,
) -> dict[str, float]:
    """Return the mean PSNR (dB) on held-out pictures after `VALIDATION_STEPS` updates.

    Each picture has a degradation of its own. The updates are those of `rule`, by default plain ones. The score is
    the mean of those of `SCORED_STEPS`.
    """
    totals = dict.fromkeys(VALIDATION_STEPS, 0.0)
    for hr, degradation in zip(held_out, degradations, strict=True):
        lr = degradation(hr)
        point = params
        steps = adapt(network, params, lr, degradation, max(VALIDATION_STEPS), rule, upscaler)
        for step in range(max(VALIDATION_STEPS) + 1):
            if step > 0:
                point, _ = next(steps)
            if step in totals:
                sr = super_resolve(network, point, lr, degradation, upscaler)
                totals[step] += metrics.protocol_psnr(sr, hr, degradation.scale) / len(held_out)
    score = sum(totals[step] for step in SCORED_STEPS) / len(SCORED_STEPS)
    return {f"psnr_{step}": value for step, value in totals.items()} | {"score": score}


def meta_train(
    config: MetaTrainConfig,
    folders: Sequence[str | Path],
    output: str | Path,
    group: Group | None = None,
    max_minutes: float | None = None,
    max_steps: int | None = None,
    init: str | Path | None = "pretrained-x2",
    pictures: Pictures | None = None,
) -> Path:
    """Run stage 2, or continue it, and return the weights file.

    Parameters
    ----------
    config, folders, output, group, max_minutes, max_steps, pictures
        As for stage 1: see `training.pretrain`.
    init
        Weights of stage 1, by shipped name or file; None starts from random weights.
    """
    group = group or Group()
    if config.tasks < group.world:
        raise InputError(
            f"{group.world} processes cannot share {config.tasks} task(s) an update: start fewer, or draw more tasks."
        )
    pictures = pictures or read_pictures(folders)
    source = PatchSource(pictures.training, group.device)
    distribution = config.distribution()
    held_out = [centre_crop(p, 160, math.lcm(*config.scales) ** 2).to(group.device) for p in pictures.held_out]
    tests = validation_degradations(config.degradations(), len(held_out), group.device)
    network = initial_network(init, SRNetwork(generator=generator_for(config.seed, "weights")), group)
    learned, more, finish = None, [], dict
    if config.curvature != "none":
        count = config.inner_steps + config.steps_before
        learned = Curvature(network, config.curvature, count, config.task_lr, config.curvature_sets)
        if init is not None and (known := weights.load(init, group.device).rule) is not None:
            learned.begin(known)
        named = learned.named()
        rates = {"log_rates": named.pop("log_rates")}
        more = [Part(part, speed) for part, speed in ((named, config.curvature_speed), (rates, config.rates_speed))]
        more, finish = [part for part in more if part.named], curvature.finished

    def validate(values: Params) -> dict[str, float]:
        params = {name: value for name, value in values.items() if not curvature.belongs(name)}
        rule = curvature.from_tensors(params, values) if learned else None
        return held_out_psnr(network, params, held_out, tests, config.upscaler(), rule)

    loop = Loop(
        network,
        config,
        lambda step: meta_gradient(network, source, config, distribution, group, step, learned),
        validate,
        output,
        group,
        provenance("meta-train", config, init, folders, pictures),
        more,
        finish,
    )
    return loop.run(max_minutes, max_steps)
