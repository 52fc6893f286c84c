"""Whether updates learn the kernel: PSNR for every pair of a true camera and one that is told, on held-out photographs.

    python benchmarks/wrong_kernel.py results/curves/wrong_kernel.csv --data bsds500-train bsds500-test

A row of the printed table is a true camera, a column one that is told. Where updates learn the kernel, the
diagonal wins in every row. What is finished is not measured again.
"""

import itertools
from collections.abc import Sequence

import pandas as pd

from mzsr_lib.benchmark import evaluation, measuring, studies
from mzsr_lib.imaging import kernel_files
from mzsr_lib.methods import catalogue

# Widths, a direction and the one across it, and the other way of sampling: names of the tables, or three numbers.
CAMERAS = ("g0.2d", "g2.0d", "gani_d", "4.0,1.0,1.07", "3.5,3.5,0.0", "bicubic")


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the mean PSNR (dB): a row a true camera, a column a told one, in the order of `CAMERAS`."""
    means = rows.pivot_table(values="psnr", index="kernel", columns="told", sort=False)
    return means.loc[:, list(means.index)]


def main(words: Sequence[str] | None = None) -> None:
    """Measure what is missing, and print the table of each method."""
    parser = studies.parser(__doc__, ["mzsr:10"])
    parser.add_argument("--cameras", nargs="+", default=CAMERAS)
    arguments = studies.begin(parser, words)
    built = studies.methods(arguments.methods, arguments.weights)
    pictures = studies.held_out(arguments.folders, arguments.size, arguments.count)
    cameras = [kernel_files.parse(text) for text in arguments.cameras]
    jobs = []
    for method, true, told in itertools.product(built, cameras, cameras):
        more = {"told": told.name, "told_hash": told.fingerprint}
        jobs += measuring.of_pictures("held-out", pictures, true, method, told=told, more=more)
    rows = evaluation.continued(jobs, arguments.output, progress=True)
    for (name, steps, agree), members in rows.groupby(["method", "steps", "agree"], sort=False):
        print(f"\n{catalogue.title(name, steps, agree == 'yes')}: true camera / told\n")
        print(table(members).to_markdown(floatfmt=".2f"))


if __name__ == "__main__":
    main()
