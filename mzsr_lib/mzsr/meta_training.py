"""Stage 2, meta-transfer learning: a starting point from which a few steps suffice (paper, Algorithm 1)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from mzsr_lib.files import InputError
from mzsr_lib.imaging import metrics
from mzsr_lib.imaging.degradation import Degradation
from mzsr_lib.imaging.images import centre_crop
from mzsr_lib.models import weights
from mzsr_lib.mzsr.adaptation import Params, adapt, super_resolve
from mzsr_lib.mzsr.inputs import Upscaler, bicubic_input
from mzsr_lib.mzsr.meta_learning import QUERY_WEIGHTS, meta_loss, step_weights
from mzsr_lib.mzsr.networks import SRNetwork
from mzsr_lib.mzsr.settings import TrainConfig
from mzsr_lib.mzsr.tasks import PatchSource, Pictures, TaskDistribution, read_pictures
from mzsr_lib.runtime import Group, generator_for
from mzsr_lib.shapes import OtherImages, Tensor
from mzsr_lib.training.loop import Loop
from mzsr_lib.training.stages import initial_network, provenance, validation_degradations

VALIDATION_STEPS = (0, 1, 10)
# Adam moves every number by about its rate; the logarithm of a learning rate may move so many times faster.
RATE_SPEED = 20.0


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
    learn_rates
        Learn a rate for each inner step and parameter together with the starting point; `task_lr` is where
        they begin (Meta-SGD, Li et al., 2017; LSLR of MAML++).
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
    """

    steps: int = 100_000
    learning_rate: float = 1e-4
    validate_every: int = 1_000
    task_lr: float = 0.01
    inner_steps: int = 5
    tasks: int = 5
    first_order: bool = False
    learn_rates: bool = False
    query_weights: str = "annealed"
    anneal_steps: int = 3_333
    episode: str = "two-sets"
    patch: int = 64
    patches: int = 8

    def __post_init__(self):
        super().__post_init__()
        if self.query_weights not in QUERY_WEIGHTS:
            raise InputError(f"There are no query weights '{self.query_weights}': choose {', '.join(QUERY_WEIGHTS)}.")
        if min(self.inner_steps, self.tasks, self.patches, self.anneal_steps) < 1 or self.task_lr <= 0:
            raise InputError("inner_steps, tasks, patches, anneal_steps and task_lr must be positive.")
        if self.passes != 1:
            raise InputError(
                f"Meta-training takes one pass, not {self.passes}: tasks are made before the network runs."
            )
        self.distribution()

    def distribution(self) -> TaskDistribution:
        """Return the distribution of tasks that these settings describe."""
        return TaskDistribution(self.degradations(), self.episode, self.patch, self.patches)

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
    log_rates: torch.nn.Parameter | None = None,
) -> dict[str, Tensor]:
    """Leave the meta-gradient of one outer update in the network's parameters; each process works on its tasks.

    With `log_rates` (inner steps, parameters) the rates of the inner loop are learned: see `rates_of`.
    """
    params = dict(network.named_parameters())
    learned = [*params.values(), *([] if log_rates is None else [log_rates])]
    weighting = step_weights(step, config.inner_steps, config.query_weights, config.anneal_steps)
    order, upscaler = 1 if config.first_order else 2, config.upscaler()
    grads = [torch.zeros_like(p) for p in learned]
    sums = torch.zeros(3, device=source.device)
    for task_number in group.share(range(config.tasks)):
        task = distribution.sample(source, (config.seed, step, task_number), upscaler)
        with config.autocast(source.device):
            rates = config.task_lr
            if log_rates is not None:
                rates = weights.named_rates(network, [step.unbind() for step in rates_of(log_rates, config)])
            loss, before, after = meta_loss(network, params, task, rates, weighting, order)
        # One task at a time: the graph of the inner loop is the memory of this method.
        torch._foreach_add_(grads, torch.autograd.grad(loss / config.tasks, learned))
        sums += torch.stack([loss.detach(), before, after]) / config.tasks
    group.sum_([*grads, sums])
    for parameter, grad in zip(learned, grads, strict=True):
        parameter.grad = grad
    return {"loss": sums[0], "support_loss": sums[1], "query_loss": sums[2]}


def rates_of(log_rates: Tensor, config: MetaTrainConfig) -> Tensor:
    """Return the learned rates of the inner steps: `task_lr` where `log_rates` is 0, and always positive."""
    return config.task_lr * torch.exp(RATE_SPEED * log_rates)


def held_out_psnr(
    network: SRNetwork,
    params: Params,
    held_out: Sequence[OtherImages],
    degradations: Sequence[Degradation],
    upscaler: Upscaler = bicubic_input,
) -> dict[str, float]:
    """Return the mean PSNR (dB) on held-out pictures after 0, 1 and 10 updates, each with a degradation of its own.

    `params` may hold learned rates under ``weights.RATES``. The score is the mean of those after 1 and 10 updates.
    """
    params = dict(params)
    learned = params.pop(weights.RATES, None)
    rates = None if learned is None else weights.named_rates(network, learned.tolist())
    totals = dict.fromkeys(VALIDATION_STEPS, 0.0)
    for hr, degradation in zip(held_out, degradations, strict=True):
        lr = degradation(hr)
        point = params
        steps = adapt(network, params, lr, degradation, max(VALIDATION_STEPS), rates, upscaler)
        for step in range(max(VALIDATION_STEPS) + 1):
            if step > 0:
                point, _ = next(steps)
            if step in totals:
                sr = super_resolve(network, point, lr, degradation, upscaler)
                totals[step] += metrics.protocol_psnr(sr, hr, degradation.scale) / len(held_out)
    return {f"psnr_{step}": value for step, value in totals.items()} | {"score": (totals[1] + totals[10]) / 2}


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
        As for stage 1: see `stages.pretrain`.
    init
        Weights of stage 1, by shipped name or file; None starts from random weights.
    """
    group = group or Group()
    pictures = pictures or read_pictures(folders)
    source = PatchSource(pictures.training, group.device)
    distribution = config.distribution()
    held_out = [centre_crop(p, 160, math.lcm(*config.scales) ** 2).to(group.device) for p in pictures.held_out]
    tests = validation_degradations(config.degradations(), len(held_out), group.device)
    network = initial_network(init, SRNetwork(generator=generator_for(config.seed, "weights")), group)
    shape = (config.inner_steps, len(list(network.parameters())))
    log_rates = torch.nn.Parameter(torch.zeros(shape, device=group.device)) if config.learn_rates else None

    def finish(params: Params) -> Params:
        if log_rates is None:
            return params
        return {**params, weights.RATES: rates_of(params[weights.RATES], config)}

    loop = Loop(
        network,
        config,
        lambda step: meta_gradient(network, source, config, distribution, group, step, log_rates),
        lambda params: held_out_psnr(network, params, held_out, tests, config.upscaler()),
        output,
        group,
        provenance("meta-train", config, init, folders, pictures),
        {} if log_rates is None else {weights.RATES: log_rates},
        finish,
    )
    return loop.run(max_minutes, max_steps)
