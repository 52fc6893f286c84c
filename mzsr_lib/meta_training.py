"""Stage 2, meta-transfer learning: a starting point from which a few steps suffice (paper, Algorithm 1)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from mzsr_lib import metrics, weights
from mzsr_lib.adaptation import Params, adapt, super_resolve
from mzsr_lib.data import PatchSource, Pictures, TaskDistribution, generator_for, read_pictures
from mzsr_lib.distributed import Group
from mzsr_lib.files import InputError
from mzsr_lib.kernels import KernelPrior
from mzsr_lib.loop import Loop
from mzsr_lib.meta_learning import QUERY_WEIGHTS, meta_loss, step_weights
from mzsr_lib.networks import SRNetwork
from mzsr_lib.schedule import LoopConfig
from mzsr_lib.shapes import OtherImages, Tensor
from mzsr_lib.training import PRECISIONS, centre_crop

VALIDATION_STEPS = (0, 1, 10)


@dataclass(frozen=True)
class MetaTrainConfig(LoopConfig):
    """Settings of stage 2; the defaults are the paper's. The other attributes are `LoopConfig`'s.

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
    scale
        2, 3 or 4.
    prior_low
        Smallest eigenvalue of the kernels, px^2.
    prior_high
        Largest eigenvalue of the kernels, px^2; by default 2.5 * scale.
    kernel_size
        Pixels a side of the kernels, odd.
    bicubic_share
        Share of the tasks that are sampled with the antialiased bicubic.
    precision
        ``"float32"`` or ``"bfloat16"`` for the convolutions; weights and sums stay in float32.
    """

    steps: int = 100_000
    learning_rate: float = 1e-4
    validate_every: int = 1_000
    task_lr: float = 0.01
    inner_steps: int = 5
    tasks: int = 5
    first_order: bool = False
    query_weights: str = "annealed"
    anneal_steps: int = 3_333
    episode: str = "two-sets"
    patch: int = 64
    patches: int = 8
    scale: int = 2
    prior_low: float = 1.0
    prior_high: float | None = None
    kernel_size: int = 15
    bicubic_share: float = 0.0
    precision: str = "float32"

    def __post_init__(self):
        super().__post_init__()
        if self.query_weights not in QUERY_WEIGHTS:
            raise InputError(f"There are no query weights '{self.query_weights}': choose {', '.join(QUERY_WEIGHTS)}.")
        if self.precision not in PRECISIONS:
            raise InputError(f"There is no precision '{self.precision}': choose {' or '.join(PRECISIONS)}.")
        if min(self.inner_steps, self.tasks, self.patches, self.anneal_steps) < 1 or self.task_lr <= 0:
            raise InputError("inner_steps, tasks, patches, anneal_steps and task_lr must be positive.")
        self.distribution()

    def distribution(self) -> TaskDistribution:
        """Return the distribution of tasks that these settings describe."""
        high = 2.5 * self.scale if self.prior_high is None else self.prior_high
        prior = KernelPrior(self.prior_low, high, self.kernel_size)
        return TaskDistribution(self.scale, prior, self.bicubic_share, self.episode, self.patch, self.patches)

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
) -> dict[str, Tensor]:
    """Leave the meta-gradient of one outer update in the network's parameters; each process works on its tasks."""
    network.zero_grad(set_to_none=True)
    params = dict(network.named_parameters())
    weighting = step_weights(step, config.inner_steps, config.query_weights, config.anneal_steps)
    order = 1 if config.first_order else 2
    grads = [torch.zeros_like(p) for p in params.values()]
    sums = torch.zeros(3, device=source.device)
    precision = PRECISIONS[config.precision]
    for task_number in group.share(range(config.tasks)):
        task = distribution.sample(source, (config.seed, step, task_number))
        with torch.autocast(source.device.type, dtype=precision, enabled=precision is not None):
            loss, before, after = meta_loss(network, params, task, config.task_lr, weighting, order)
        # One task at a time: the graph of the inner loop is the memory of this method.
        torch._foreach_add_(grads, torch.autograd.grad(loss / config.tasks, list(params.values())))
        sums += torch.stack([loss.detach(), before, after]) / config.tasks
    group.sum_([*grads, sums])
    for parameter, grad in zip(params.values(), grads, strict=True):
        parameter.grad = grad
    return {"loss": sums[0], "support_loss": sums[1], "query_loss": sums[2]}


def held_out_psnr(
    network: SRNetwork, params: Params, held_out: Sequence[OtherImages], distribution: TaskDistribution
) -> dict[str, float]:
    """Return the mean PSNR (dB) on held-out pictures after 0, 1 and 10 updates, each with a kernel of the prior.

    The score is the mean of those after 1 and 10 updates.
    """
    totals = dict.fromkeys(VALIDATION_STEPS, 0.0)
    for number, hr in enumerate(held_out):
        generator = generator_for("validation", number)
        kernel = distribution.prior.sample(1, generator)[0].to(hr.device)
        degradation = distribution.degradation(kernel, number / len(held_out))
        lr = degradation(hr)
        point = params
        steps = adapt(network, params, lr, degradation, max(VALIDATION_STEPS))
        for step in range(max(VALIDATION_STEPS) + 1):
            if step > 0:
                point, _ = next(steps)
            if step in totals:
                sr = super_resolve(network, point, lr, degradation)
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
        As for stage 1: see `training.pretrain`.
    init
        Weights of stage 1, by shipped name or file; None starts from random weights.
    """
    group = group or Group()
    pictures = pictures or read_pictures(folders)
    source = PatchSource(pictures.training, group.device)
    distribution = config.distribution()
    held_out = [centre_crop(p, 160, config.scale**2).to(group.device) for p in pictures.held_out]
    network = _initial_network(init, config.seed, group)
    provenance = {
        "stage": "meta-train",
        "scale": config.scale,
        "init": str(Path(init).name) if init else None,
        "data": [Path(folder).name for folder in folders],
        "pictures": {"training": len(pictures.training), "held_out": len(pictures.held_out)},
    }
    loop = Loop(
        network,
        config,
        lambda step: meta_gradient(network, source, config, distribution, group, step),
        lambda params: held_out_psnr(network, params, held_out, distribution),
        output,
        group,
        provenance,
    )
    return loop.run(max_minutes, max_steps)


def _initial_network(init: str | Path | None, seed: int, group: Group) -> SRNetwork:
    if init is None:
        network = SRNetwork(generator=generator_for(seed, "weights"))
        return network.to(group.device, memory_format=torch.channels_last)
    return weights.load(init, group.device).network
