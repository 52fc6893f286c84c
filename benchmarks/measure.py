"""Score the shipped weights on the paper's data sets: the rows behind the README's table.

    python benchmarks/measure.py results/rows.csv [--datasets set5 bsd100] [--methods mzsr-plus] [--steps 0 1 10]

The data sets are taken from MZSR_DATA. One part a data set, kernel, method and number of updates is kept
beside the output, so that a run that was interrupted goes on where it stopped, and several can share the
work (--share 0/2 and --share 1/2). The last one puts the parts into the table; rows of the same cells are
replaced, all others stay.
"""

import argparse
from itertools import product
from pathlib import Path

import torch

from mzsr_lib import distributed, downloads, evaluation, files, kernels

CELL = ("dataset", "kernel", "mode", "scale", "method", "steps")
ALL = ("bicubic", "pretrained", "mzsr", "mzsr-plus")


def main() -> None:
    """Write the rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--datasets", nargs="+", default=["set5", "bsd100"])
    parser.add_argument("--kernels", nargs="+", default=list(kernels.named()))
    parser.add_argument("--methods", nargs="+", default=ALL)
    parser.add_argument("--steps", nargs="+", type=int, default=[0, 1, 10])
    parser.add_argument("--share", default="0/1", help="which part of the work, of how many: 0/2")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = distributed.pick_device(arguments.device)
    methods = evaluation.sweep(arguments.methods, arguments.steps, device=device)
    jobs = list(product(arguments.datasets, arguments.kernels, methods))
    parts = arguments.output.parent / "parts"
    number, count = map(int, arguments.share.split("/"))
    for dataset, setting, method in jobs[number::count]:
        if not (part := _part(parts, dataset, setting, method)).exists():
            folder, kernel = downloads.folder(dataset), kernels.named()[setting]
            files.write_rows(part, evaluation.evaluate(folder, kernel, 2, [method], device=device, progress=True))
    if all(_part(parts, *job).exists() for job in jobs):
        merge(arguments.output, parts)


def _part(parts: Path, dataset: str, setting: str, method: evaluation.Method) -> Path:
    return parts / f"{dataset}-{setting}-{method.name}-{method.steps}.csv"


def merge(output: Path, parts: Path) -> None:
    """Put the parts into the table, in a fixed order, and remove them."""
    found = [row for part in sorted(parts.glob("*.csv")) for row in files.read_rows(part)]
    new = {tuple(row[name] for name in CELL) for row in found}
    kept = list(files.read_rows(output)) if output.exists() else []
    rows = [row for row in kept if tuple(row[name] for name in CELL) not in new] + found
    files.write_rows(output, sorted(rows, key=_place))
    for part in parts.glob("*.csv"):
        part.unlink()
    parts.rmdir()


def _place(row: dict) -> tuple:
    methods, settings = list(ALL), list(kernels.named())
    return (
        list(downloads.manifest()).index(row["dataset"]),
        settings.index(row["kernel"]),
        methods.index(row["method"]),
        int(row["steps"]),
        row["image"],
    )


if __name__ == "__main__":
    main()
