"""How much the agreement at the end should trust the network: PSNR for several mu, on held-out photographs.

    python benchmarks/agreement.py results/lessons/agreement.csv --data bsds500-train bsds500-test

`registry.AGREEMENT_MU` is chosen by this table, never by a test set. A method is run once a photograph, kernel
and level of noise, and its picture is then made to agree with every mu.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace

import pandas as pd
from tqdm import tqdm

from mzsr_lib.benchmark import measuring, studies
from mzsr_lib.benchmark.measuring import Job
from mzsr_lib.imaging import kernel_files, kernels
from mzsr_lib.methods import catalogue, registry

MUS = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 1e-1)
NONE = "none"  # in the place of mu: without agreement


def measure(jobs: Sequence[Job], mus: Sequence[float]) -> pd.DataFrame:
    """Return a row for every job and mu: each method is run once, and then made to agree with all of them."""
    rows = []
    for job in tqdm(jobs, unit="picture"):
        sr, _ = job.method.run(job.low(job.load()), job.camera)
        ends: dict[str, Callable] = {NONE: lambda lr, camera, sr=sr: sr}
        ends |= {f"{mu:g}": functools.partial(registry.agreed, sr, mu=mu) for mu in mus}
        for mu, end in ends.items():
            method = replace(job.method, course=registry.at_once(end))
            rows.append(replace(job, method=method, more={**job.more, "mu": mu}).measure())
    return measuring.table_of(rows).drop(columns="seconds")


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the mean PSNR (dB) over the kernels: a row a standard deviation of noise and a mu, a column a method."""
    rows = rows.assign(method=[catalogue.title(*pair) for pair in zip(rows["method"], rows["steps"], strict=True)])
    return rows.pivot_table(values="psnr", index=["noise", "mu"], columns="method", sort=False)


def main(words: Sequence[str] | None = None) -> None:
    """Measure, write, and print the table."""
    parser = studies.parser(__doc__, ["mzsr:1", "mzsr:10", "blind"])
    parser.add_argument("--kernels", nargs="+", default=list(kernels.named()))
    parser.add_argument("--mus", nargs="+", type=float, default=MUS)
    parser.add_argument("--noises", nargs="+", type=float, default=(0.0, 0.004), help="standard deviations, of [0, 1]")
    arguments = studies.begin(parser, words)
    built = studies.methods(arguments.methods, arguments.weights)
    pictures = studies.held_out(arguments.folders, arguments.size, arguments.count)
    jobs = [
        job
        for method in built
        for noise in arguments.noises
        for setting in map(kernel_files.parse, arguments.kernels)
        for job in measuring.of_pictures(
            "held-out", pictures, setting, method, noise=noise, more={"noise": f"{noise:g}"}
        )
    ]
    rows = measure(jobs, arguments.mus)
    measuring.write(arguments.output, rows)
    print(table(rows).to_markdown(floatfmt=".2f"))


if __name__ == "__main__":
    main()
