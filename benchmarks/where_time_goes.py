"""Where the time of a training step goes: drawing and degrading, the network's input, convolutions, the rest.

    python benchmarks/where_time_goes.py [--threads 1]

Each line is one kind of step on random pictures; the shares are of the same run, by torch's profiler.
"""

import argparse
import contextlib
import dataclasses
from collections.abc import Callable
from unittest.mock import patch

import torch
from tabulate import tabulate
from torch.profiler import ProfilerActivity, profile, record_function

from mzsr_lib.imaging.degradation import Degradation
from mzsr_lib.mzsr import meta_training, pretraining
from mzsr_lib.mzsr.inputs import Bicubic, Restored
from mzsr_lib.mzsr.networks import SRNetwork
from mzsr_lib.mzsr.tasks import PatchSource
from mzsr_lib.runtime import Group, generator_for
from mzsr_lib.training import presets, stages

# What is timed as a whole, with everything below it.
PARTS = {
    "patches": (PatchSource, "sample"),
    "degradation": (Degradation, "__call__"),
    "bicubic input": (Bicubic, "__call__"),
    "restored input": (Restored, "__call__"),
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--only", nargs="+", help="names of steps, by default all")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with contextlib.ExitStack() as stack:
        for name, (kind, method) in PARTS.items():
            stack.enter_context(patch.object(kind, method, named(name, getattr(kind, method))))
        chosen = {name: step for name, step in steps().items() if name in (arguments.only or [name])}
        rows = [{"step": name, **shares(step, arguments.repeat)} for name, step in chosen.items()]
    print(tabulate(rows, headers="keys", tablefmt="pipe", floatfmt=".1f"))


def named(name: str, function: Callable) -> Callable:
    """Return the function with its name in the profile."""

    def run(*args: object, **options: object) -> object:
        with record_function(name):
            return function(*args, **options)

    return run


def steps() -> dict[str, Callable[[int], object]]:
    """Return the kinds of steps, by name."""
    pictures = [torch.rand(1, 3, 240, 260, generator=generator_for(i)) for i in range(4)]
    source, network = PatchSource(pictures), SRNetwork(generator=generator_for("network"))
    network = network.to(memory_format=torch.channels_last)
    plus, second = presets.pretrain_plus(), presets.meta_train_cpu()

    def stage1(config: pretraining.PretrainConfig) -> Callable[[int], object]:
        return lambda step: pretraining.pretrain_gradient(network, source, config, Group(), step)

    def stage2(config: meta_training.MetaTrainConfig) -> Callable[[int], object]:
        tasks, learned = config.distribution(), stages.learned_step(config, network, None)
        return lambda step: meta_training.meta_gradient(network, source, config, tasks, Group(), step, learned)

    return {
        "stage 1, cpu": stage1(presets.pretrain_cpu()),
        "kernel-aware, two passes": stage1(plus),
        "stage 2, cpu": stage2(second),
        "stage 2, cpu, first order": stage2(dataclasses.replace(second, first_order=True)),
        "stage 2, cpu, plain steps": stage2(presets.meta_train_plain()),
    }


def shares(step: Callable[[int], object], repeat: int = 3) -> dict[str, float]:
    """Return the milliseconds of a step, and the share of its parts in per cent."""
    step(0)
    with profile(activities=[ProfilerActivity.CPU]) as found:
        for number in range(repeat):
            step(number)
    events = {event.key: event for event in found.key_averages()}
    total = sum(event.self_cpu_time_total for event in events.values())
    convolutions = sum(e.self_cpu_time_total for key, e in events.items() if "convolution" in key)
    parts = {name: events[name].cpu_time_total if name in events else 0.0 for name in PARTS}
    return {
        "ms": total / repeat / 1000,
        "convolutions, all (%)": 100 * convolutions / total,
        **{f"{name} (%)": 100 * value / total for name, value in parts.items()},
    }


if __name__ == "__main__":
    main()
