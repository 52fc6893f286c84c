"""What a training step costs: its operations, its time, and the share of this device's own ceiling it reaches.

    python benchmarks/training_step.py [--device auto] [--threads N]

The ceiling is measured in the same run: one large matrix product in the precision of the step. Rows
are the paper's settings and the presets for two cores; the last column extrapolates to the whole run.
"""

import argparse
import dataclasses
import time
from collections.abc import Callable

import torch
from torch.utils.flop_counter import FlopCounterMode

from mzsr_lib import runtime
from mzsr_lib.benchmark import datasets
from mzsr_lib.mzsr.meta_training import MetaTrainConfig, meta_gradient
from mzsr_lib.mzsr.networks import SRNetwork
from mzsr_lib.mzsr.pretraining import PretrainConfig, pretrain_gradient
from mzsr_lib.mzsr.tasks import PatchSource
from mzsr_lib.runtime import PRECISIONS, Precision, generator_for
from mzsr_lib.training import presets, stages


def seconds(work: Callable[[], object], device: torch.device, least: float) -> float:
    """Return the median time of a call, after one to warm up; the calls take at least so many seconds together."""
    times: list[float] = []
    work()
    while sum(times) < least or not times:
        if device.type == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return sorted(times)[len(times) // 2]


def ceiling(precision: Precision, device: torch.device, least: float) -> float:
    """Return the rate of a large matrix product, in FLOP/s."""
    size = 8192 if device.type == "cuda" else 2048
    dtype = PRECISIONS[precision] or torch.float32
    a = torch.randn(size, size, generator=generator_for("ceiling", device=device), device=device).to(dtype)
    return 2 * size**3 / seconds(lambda: a @ a, device, least)


def steps(device: torch.device) -> dict[str, tuple[Callable[[], object], object]]:
    """Return the steps to measure, by name, with their settings."""
    group = runtime.Group(device=device)
    source = PatchSource([datasets.example(name) for name in datasets.EXAMPLES], device)
    network = SRNetwork(generator=generator_for("benchmark")).to(device, memory_format=torch.channels_last)

    def stage1(config: PretrainConfig):
        return lambda: pretrain_gradient(network, source, config, group, 0), config

    def stage2(config: MetaTrainConfig):
        learned = stages.learned_step(config, network, None)
        return lambda: meta_gradient(network, source, config, config.distribution(), group, 0, learned), config

    paper2 = MetaTrainConfig()
    return {
        "pretrain, paper": stage1(PretrainConfig()),
        "pretrain, paper, bfloat16": stage1(PretrainConfig(precision="bfloat16")),
        "pretrain, cpu": stage1(presets.pretrain_cpu()),
        "pretrain, plus": stage1(presets.pretrain_plus()),
        "meta-train, paper": stage2(paper2),
        "meta-train, paper, bfloat16": stage2(dataclasses.replace(paper2, precision="bfloat16")),
        "meta-train, paper, first order": stage2(dataclasses.replace(paper2, first_order=True)),
        "meta-train, cpu": stage2(presets.meta_train_cpu()),
        "meta-train, cpu, float32": stage2(dataclasses.replace(presets.meta_train_cpu(), precision="float32")),
        "meta-train, cpu, plain steps": stage2(presets.meta_train_plain()),
        "meta-train, cpu, three tasks": stage2(dataclasses.replace(presets.meta_train_cpu(), tasks=3)),
        "meta-train, cpu, three tasks in one vmap": stage2(
            dataclasses.replace(presets.meta_train_cpu(), tasks=3, vmap=3)
        ),
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--least", type=float, default=2.0, help="seconds that each is measured")
    parser.add_argument("--only", nargs="+", help="names of steps, by default all")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = runtime.pick_device(arguments.device)
    tops = {precision: ceiling(precision, device, arguments.least) for precision in PRECISIONS}
    shown = ", ".join(f"{name} {top / 1e9:.0f} GFLOP/s" for name, top in tops.items())
    print(f"{device.type}, {arguments.threads} threads; ceiling: {shown}\n")
    print("| step | GFLOP | s / step | GFLOP/s | of the ceiling | whole run, FLOP | whole run, h |")
    print("|---|---|---|---|---|---|---|")
    for name, (work, config) in steps(device).items():
        if name not in (arguments.only or [name]):
            continue
        with FlopCounterMode(display=False) as counter:
            work()
        flops, spent = counter.get_total_flops(), seconds(work, device, arguments.least)
        rate, hours = flops / spent, spent * config.steps / 3600
        share = rate / tops[config.precision]
        print(
            f"| {name} | {flops / 1e9:.0f} | {spent:.3f} | {rate / 1e9:.0f} | {share:.0%} | "
            f"{flops * config.steps:.1e} | {hours:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
