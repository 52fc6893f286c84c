"""Super-resolve a few pictures by every method, and keep one small crop of each: what the visual comparison shows.

    python benchmarks/comparison.py results/comparison [--zssr 500]

The pictures are those of scikit-image, so that their crops may be kept with the project. What is finished
is not measured again. ZSSR learns from crops of 64 px here, a quarter of its authors' area,
and convolves in bfloat16.
"""

import argparse
from pathlib import Path

import torch

from mzsr_lib import baselines, files, showcase, zero_shot
from mzsr_lib.degradation import Degradation
from mzsr_lib.methods import Method

CROP = 64


def methods(updates: int) -> list[Method]:
    """Return the methods in the order of the columns."""
    config = zero_shot.ZeroShotConfig(steps=updates, crop=CROP, precision="bfloat16")

    def zssr(lr: torch.Tensor, camera: Degradation) -> torch.Tensor:
        return zero_shot.zero_shot(lr, camera, config, progress=True).sr

    found = [baselines.build("bicubic"), baselines.build("tikhonov"), baselines.build("pretrained")]
    return [*found, Method("zssr", updates, "", zssr), baselines.build("mzsr", 10), baselines.build("mzsr-plus", 0)]


def main() -> None:
    """Measure what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--zssr", type=int, default=500, help="updates of ZSSR")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    files.check_writable(arguments.output / showcase.SCORES)
    showcase.measure(arguments.output, methods(arguments.zssr))


if __name__ == "__main__":
    main()
