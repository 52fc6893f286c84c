"""Follow one run of ZSSR: its PSNR against updates, which `zero_shot.zero_shot` cannot know, without the original.

    python benchmarks/zssr_curve.py results/lessons/zssr_curve.csv [--steps 1500]

The run is the one of `zero_shot.zero_shot` with smaller crops, on a part of an embedded picture. The rows
are the network's PSNR, the error on (son, picture) and the rate, and at the end what the self-ensemble
and back-projection add.
"""

import argparse
import datetime
import math
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from mzsr_lib import adaptation, data, degradation, files, images, inverse, kernels, metrics, networks, zero_shot
from mzsr_lib.inputs import bicubic_input

WATCHED = (0, 1, 2, 3, 5, 7, 10, 15, 20, 30, 40, 60, 80, 100, 125, 150, 175, 200, 250, 300, 350, 400, 450, 500)
CHECK_EVERY, WINDOW = 50, 6  # as in zero_shot.ZeroShotConfig


def watched(step: int, steps: int) -> bool:
    """Say whether the PSNR is taken after this step: often at first, then every hundred updates."""
    return step in WATCHED or step % 100 == 0 or step == steps


def run(hr: torch.Tensor, camera: degradation.Degradation, steps: int, crop: int, seed: int) -> Iterator[dict]:
    """Train from random weights on the low-resolution picture alone, and yield rows."""
    lr = camera(hr)
    network = networks.SRNetwork(generator=data.generator_for(seed, "weights"))
    network = network.to(memory_format=torch.channels_last)
    source = data.PatchSource([lr])
    rule, recent = adaptation.Adam(1e-3), []
    target, son = camera.son(lr)
    whole = (bicubic_input(son, camera), target)

    def pair(step: int) -> adaptation.Pair:
        father = source.sample(1, crop, data.generator_for(seed, step + 1))
        return bicubic_input(camera(father), camera), father

    def row(step: int, sr: torch.Tensor, error: float, picture: str = "network") -> dict:
        psnr = round(metrics.protocol_psnr(sr, hr, camera.scale), 3)
        return {"step": step, "picture": picture, "psnr": psnr, "error": error, "rate": f"{rule.rate:.0e}"}

    params = adaptation.starting_point(network)
    loop = adaptation.inner_loop(network, params, pair, rule, steps)
    yield row(0, adaptation.super_resolve(network, params, lr, camera), math.nan)
    for step, (params, _) in enumerate(loop, start=1):
        error = math.nan
        if step % CHECK_EVERY == 0:
            with torch.no_grad():
                error = round(float(adaptation.loss_of(network, params, whole)), 6)
            recent.append((step, error))
        if watched(step, steps) or step % CHECK_EVERY == 0:
            yield row(step, adaptation.super_resolve(network, params, lr, camera), error)
        if len(recent) >= WINDOW and zero_shot.stopped_falling(recent[-WINDOW:]):
            rule.rate, recent = rule.rate / 10, []
        if rule.rate < 9e-6:
            break
    mean = zero_shot.ensemble(network, params, lr, camera, zero_shot.symmetries(camera))
    yield row(step, mean, math.nan, "self-ensemble")
    for count in (1, 4, 16):
        sr = inverse.back_project(mean, lr, camera, count).clamp(0, 1)
        yield row(step, sr, math.nan, f"self-ensemble, back-projected {count} times")


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--picture", default="astronaut")
    parser.add_argument("--window", type=int, nargs=3, default=(0, 100, 256), help="top, left, size in px")
    parser.add_argument("--crop", type=int, default=64)
    parser.add_argument("--kernel", default="g2.0d")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    files.check_writable(arguments.output)
    top, left, size = arguments.window
    hr = images.example(arguments.picture)[..., top : top + size, left : left + size]
    camera = degradation.from_setting(kernels.parse(arguments.kernel))
    start, rows = time.perf_counter(), []
    for row in run(hr, camera, arguments.steps, arguments.crop, arguments.seed):
        rows.append(row)
        print(f"{time.perf_counter() - start:7.0f} s", row, flush=True)
    settings = {name: value for name, value in vars(arguments).items() if name != "output"}
    about = f"{settings}, 64 channels, 8 layers, Adam 1e-3 with slope-driven decay, look every {CHECK_EVERY} updates"
    where = f"commit {files.git_commit()}, {datetime.date.today().isoformat()}, device cpu, torch {torch.__version__}"
    files.write_rows(arguments.output, rows)
    text = arguments.output.read_text()
    arguments.output.write_text(f"# ZSSR on one picture, benchmarks/zssr_curve.py: {about}\n# {where}\n{text}")


if __name__ == "__main__":
    main()
