"""How much the agreement at the end should trust the network: PSNR for several mu, on held-out photographs.

    python benchmarks/agreement.py results/lessons/agreement.csv --data bsds500-train bsds500-test

`registry.AGREEMENT_MU` is chosen by this table, never by a test set. A method is run once a photograph and
kernel, and its picture is then made to agree with every mu.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch
from tqdm import tqdm

from mzsr_lib import files
from mzsr_lib.benchmark import measuring
from mzsr_lib.imaging import kernel_files, kernels
from mzsr_lib.methods import catalogue, registry
from mzsr_lib.methods.registry import Method
from mzsr_lib.shapes import OtherImages

MUS = (1e-4, 3e-4, 1e-3, 2e-3, 3e-3, 5e-3, 1e-2, 2e-2, 3e-2, 1e-1)
NONE = "none"  # in the place of mu: without agreement


def measure(
    pictures: Mapping[str, OtherImages],
    settings: Sequence[kernels.Setting],
    methods: Sequence[Method],
    mus: Sequence[float],
) -> pd.DataFrame:
    """Return a row for every method, kernel, picture and mu."""
    rows = []
    for method in methods:
        for setting in tqdm(settings, method.name, unit="kernel"):
            for job in measuring.of_pictures("held-out", pictures, setting, method):
                found = method.run(job.camera(job.load()), job.camera)
                runs = {NONE: lambda lr, camera, found=found: found}
                runs |= {f"{mu:g}": registry.agreeing(runs[NONE], mu) for mu in mus}
                rows += [
                    replace(job, method=replace(method, run=run), more={"mu": mu}).measure() for mu, run in runs.items()
                ]
    return measuring.table_of(rows).drop(columns="seconds")


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the mean PSNR (dB): a row a mu, a column a method, then each with every kernel."""
    rows = rows.assign(method=[catalogue.title(*pair) for pair in zip(rows["method"], rows["steps"], strict=True)])
    means = rows.pivot_table(values="psnr", index="mu", columns="method", sort=False)
    each = rows.assign(method=rows["method"] + ", " + rows["kernel"])
    return means.join(each.pivot_table(values="psnr", index="mu", columns="method", sort=False))


def main(words: Sequence[str] | None = None) -> None:
    """Measure, write, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--data", nargs="+", type=Path, required=True, help="folders of training photographs")
    parser.add_argument("--methods", nargs="+", default=["mzsr:1", "mzsr:10", "blind"])
    parser.add_argument("--weights", nargs="+", default=[], metavar="METHOD=FILE", help="instead of the shipped ones")
    parser.add_argument("--kernels", nargs="+", default=list(kernels.named()))
    parser.add_argument("--mus", nargs="+", type=float, default=MUS)
    parser.add_argument("--size", type=int, default=192, help="middle of each photograph, px")
    parser.add_argument("--count", type=int, default=8, help="photographs that are held out")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args(words)
    torch.set_num_threads(arguments.threads)
    files.check_writable(arguments.output)
    given = dict(pair.split("=", 1) for pair in arguments.weights)
    built = [registry.build(c, registry.Options(given.get(c.method))) for c in catalogue.choices(arguments.methods)]
    pictures = measuring.held_out(arguments.data, arguments.size, arguments.count)
    rows = measure(pictures, [kernel_files.parse(kernel) for kernel in arguments.kernels], built, arguments.mus)
    measuring.write(arguments.output, rows)
    print(table(rows).to_markdown(floatfmt=".2f"))


if __name__ == "__main__":
    main()
