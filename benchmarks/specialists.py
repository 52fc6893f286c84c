"""How far updates go from one network for all kernels to one that was trained for the kernel alone.

    python benchmarks/specialists.py results/curves/specialists.csv --data bsds500-train bsds500-test \
        --specialists g0.2d=FILE g2.0d=FILE gani_d=FILE g1.3b=FILE

The share of the way is (MZSR after ten updates - blind) / (specialist - blind), in PSNR on held-out
photographs: 0 for updates that bring nothing, 1 for those that bring all there is. What is finished is not
measured again.
"""

from collections.abc import Sequence

import pandas as pd

from mzsr_lib.benchmark import evaluation, measuring, studies
from mzsr_lib.imaging import kernel_files
from mzsr_lib.methods import registry
from mzsr_lib.methods.catalogue import Choice

BLIND, SPECIALIST = "blind", "specialist"


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the mean PSNR (dB) of each role by kernel, and the share of the way of every one between the two ends."""
    means = rows.pivot_table(values="psnr", index="kernel", columns="role", sort=False)
    way = means[SPECIALIST] - means[BLIND]
    between = [role for role in means if role not in (BLIND, SPECIALIST)]
    return means.assign(**{f"share of {role}": (means[role] - means[BLIND]) / way for role in between})


def main(words: Sequence[str] | None = None) -> None:
    """Measure what is missing, and print the table."""
    parser = studies.parser(__doc__, ["mzsr:1", "mzsr:10"])
    parser.add_argument("--specialists", nargs="+", required=True, metavar="KERNEL=FILE")
    arguments = studies.begin(parser, words)
    built = studies.methods([BLIND, *arguments.methods], arguments.weights)
    named = {str(Choice(method.name, method.steps, method.agree)): method for method in built}
    pictures, jobs = studies.held_out(arguments.folders, arguments.size, arguments.count), []
    for kernel, _, file in (pair.partition("=") for pair in arguments.specialists):
        # One network that is told nothing, as the blind one is: only its weights are of one kernel.
        roles = named | {SPECIALIST: registry.build(BLIND, registry.Options(file))}
        for role, method in roles.items():
            setting = kernel_files.parse(kernel)
            jobs += measuring.of_pictures("held-out", pictures, setting, method, more={"role": role})
    print(table(evaluation.continued(jobs, arguments.output, progress=True)).to_markdown(floatfmt=".2f"))


if __name__ == "__main__":
    main()
