"""Training the network that looks at a photograph and says what it went through."""

from collections.abc import Sequence

import torch
from torch.func import functional_call

from mzsr_lib.models.estimator import Estimator, estimation_loss
from mzsr_lib.mzsr.pretraining import PretrainConfig
from mzsr_lib.mzsr.tasks import PatchSource
from mzsr_lib.runtime import Group, generator_for
from mzsr_lib.shapes import OtherImages, Tensor
from mzsr_lib.training.loop import Params

CROPS = 4  # of each held-out picture, every time taken otherwise


def estimate_gradient(
    network: Estimator, source: PatchSource, config: PretrainConfig, group: Group, step: int
) -> dict[str, Tensor]:
    """Leave the gradient of the likelihood of one batch in the network's parameters; see `pretrain_gradient`."""
    key = (config.seed, step)
    hr = source.sample(config.batch, config.patch, generator_for(*key, device=source.device))
    prior = config.photographs_of(key)
    mine = slice(group.rank, None, group.world)
    taken = prior.taken(hr, key)
    part = type(taken)(*(tensor[mine] for tensor in taken))
    network.precision = config.precision
    loss = estimation_loss(network(part.lr), part, prior.scale) * (len(part.lr) / config.batch)
    network.zero_grad(set_to_none=True)
    loss.backward()
    total = loss.detach()
    group.sum_([*(p.grad for p in network.parameters() if p.grad is not None), total])
    return {"loss": total}


def held_out_likelihood(
    network: Estimator, params: Params, held_out: Sequence[OtherImages], config: PretrainConfig
) -> dict[str, float]:
    """Return the mean log-likelihood of the truth about held-out pictures, as the score, always of the same ones."""
    losses = []
    with torch.no_grad():
        for number, hr in enumerate(held_out):
            for crop in range(CROPS):
                key = ("validation", number, crop)
                prior = config.photographs_of(key)
                taken = prior.taken(hr, key)
                found = functional_call(network, params, (taken.lr,))
                losses.append(estimation_loss(found, taken, prior.scale))
    return {"score": -float(torch.stack(losses).mean())}
