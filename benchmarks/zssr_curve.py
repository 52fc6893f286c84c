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

from mzsr_lib import files
from mzsr_lib.benchmark import datasets
from mzsr_lib.imaging import degradation, kernel_files, metrics, restoration
from mzsr_lib.methods import self_ensemble, zero_shot
from mzsr_lib.mzsr import adaptation

WATCHED = (0, 1, 2, 3, 5, 7, 10, 15, 20, 30, 40, 60, 80, 100, 125, 150, 175, 200, 250, 300, 350, 400, 450, 500)


def watched(step: int, steps: int) -> bool:
    """Say whether the PSNR is taken after this step: often at first, then every hundred updates."""
    return step in WATCHED or step % 100 == 0 or step == steps


def run(hr: torch.Tensor, camera: degradation.Degradation, config: zero_shot.ZeroShotConfig) -> Iterator[dict]:
    """Train from random weights on the low-resolution picture alone, and yield rows."""
    lr, network = camera(hr), zero_shot.start(config)

    def row(update: zero_shot.Update, sr: torch.Tensor, picture: str = "network") -> dict:
        psnr = round(metrics.protocol_psnr(sr, hr, camera.scale), 3)
        error = math.nan if update.error is None else round(update.error, 6)
        return {"step": update.step, "picture": picture, "psnr": psnr, "error": error, "rate": f"{update.rate:.0e}"}

    update = zero_shot.Update(0, adaptation.starting_point(network), config.learning_rate, None)
    yield row(update, adaptation.super_resolve(network, update.params, lr, camera))
    for update in zero_shot.learn(network, lr, camera, config):
        if watched(update.step, config.steps) or update.error is not None:
            yield row(update, adaptation.super_resolve(network, update.params, lr, camera))
    last = update._replace(error=None)
    mean = self_ensemble.ensemble(network, last.params, lr, camera, self_ensemble.symmetries(camera))
    yield row(last, mean, "self-ensemble")
    for count in (1, 4, 16):
        sr = restoration.back_project(mean, lr, camera, count).clamp(0, 1)
        yield row(last, sr, f"self-ensemble, back-projected {count} times")


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
    hr = datasets.example(arguments.picture)[..., top : top + size, left : left + size]
    camera = degradation.from_setting(kernel_files.parse(arguments.kernel))
    config = zero_shot.ZeroShotConfig(steps=arguments.steps, crop=arguments.crop, seed=arguments.seed)
    start, rows = time.perf_counter(), []
    for row in run(hr, camera, config):
        rows.append(row)
        print(f"{time.perf_counter() - start:7.0f} s", row, flush=True)
    settings = {name: value for name, value in vars(arguments).items() if name != "output"}
    about = (
        f"{settings}, 64 channels, 8 layers, Adam 1e-3 with slope-driven decay, look every {config.check_every} updates"
    )
    where = f"commit {files.git_commit()}, {datetime.date.today().isoformat()}, device cpu, torch {torch.__version__}"
    files.write_rows(arguments.output, rows)
    text = arguments.output.read_text(encoding="utf-8")
    arguments.output.write_text(
        f"# ZSSR on one picture, benchmarks/zssr_curve.py: {about}\n# {where}\n{text}", encoding="utf-8"
    )


if __name__ == "__main__":
    main()
