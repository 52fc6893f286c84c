"""Score the shipped weights on the paper's data sets: the rows behind the README's table.

    python benchmarks/measure.py results/rows.csv [--datasets set5 bsd100] [--threads N]

The data sets are taken from MZSR_DATA. One part a data set and kernel is kept beside the output until
all are there, so that a run that was interrupted goes on where it stopped.
"""

import argparse
from itertools import product
from pathlib import Path

import torch

from mzsr_lib import distributed, downloads, evaluation, files, kernels


def main() -> None:
    """Write the rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--datasets", nargs="+", default=["set5", "bsd100"])
    parser.add_argument("--steps", nargs="+", type=int, default=[0, 1, 10])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = distributed.pick_device(arguments.device)
    methods = evaluation.sweep(["bicubic", "pretrained", "mzsr"], arguments.steps, device=device)
    parts, rows = arguments.output.parent / "parts", []
    for dataset, setting in product(arguments.datasets, kernels.named().values()):
        part = parts / f"{dataset}-{setting.name}.csv"
        if not part.exists():
            folder = downloads.folder(dataset)
            found = evaluation.evaluate(folder, setting, 2, methods, device=device, progress=True)
            files.write_rows(part, found)
        rows += files.read_rows(part)
    files.write_rows(arguments.output, rows)
    for part in parts.glob("*.csv"):
        part.unlink()
    parts.rmdir()


if __name__ == "__main__":
    main()
