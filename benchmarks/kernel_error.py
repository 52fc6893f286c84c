"""What a wrong blur kernel costs: PSNR of each method when it is told a kernel that is not the true one.

    python benchmarks/kernel_error.py results/curves/kernel_error.csv [--data set14] [--every 2] [--size 192]
    python benchmarks/kernel_error.py results/curves/kernel_error_held_out.csv --held-out bsds500-train bsds500-test

Two sweeps: the true kernel g2.0d, told with a standard deviation that is wrong by -50 to 50 per cent, and
gani_d, told as turned by up to 90 degrees. The pictures are the middle of every second one of a data set
in MZSR_DATA, or of the photographs that trainings hold out, and the low-resolution pictures are made with the
true kernel. What is finished is not measured again.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mzsr_lib.benchmark import datasets, evaluation, measuring, studies, sweeps
from mzsr_lib.benchmark.measuring import Job
from mzsr_lib.imaging import images, kernel_files, kernels, picture_files
from mzsr_lib.methods import catalogue
from mzsr_lib.methods.registry import Method
from mzsr_lib.shapes import OtherImages

# By sweep: the true kernel (lambda1, lambda2, theta), the unit of the error, and the errors.
SWEEPS = {
    "width": ((2.0, 2.0, 0.0), "per cent", tuple(range(-50, 51, 10))),
    "angle": ((4.0, 1.0, -0.5), "degrees", tuple(range(0, 91, 15))),
}
METHODS = ("bicubic", "pretrained", "tikhonov", "blind", "blind+agree", "mzsr", "mzsr+agree", "mzsr-plus", "unfolded")
UNTOLD = ""  # the error of a method that is not told the kernel at all


def told(sweep: str, error: float) -> kernels.Setting:
    """Return the kernel that a method is told: the true one, wider or turned by the error."""
    (lambda1, lambda2, theta), _, _ = SWEEPS[sweep]
    if sweep == "width":
        wider = (1 + error / 100) ** 2  # lambda is a variance
        lambda1, lambda2 = lambda1 * wider, lambda2 * wider
    else:
        theta += math.radians(error)
    return kernel_files.parse(f"{lambda1},{lambda2},{theta}")


def jobs(name: str, pictures: Mapping[str, OtherImages], size: int, methods: Sequence[Method]) -> Iterator[Job]:
    """Yield what is to be measured; a method that is told no kernel has one line for all errors."""
    for sweep, (_, unit, errors) in SWEEPS.items():
        true = told(sweep, 0)
        for method in methods:
            listens = method.agree or catalogue.entry_of(method.name).needs_kernel
            for error in errors if listens else (UNTOLD,):
                believed = true if error == UNTOLD else told(sweep, error)
                more = {"size": str(size), "sweep": sweep, "error": str(error), "unit": unit}
                yield from measuring.of_pictures(name, pictures, true, method, told=believed, more=more)


def chosen(folder: Path, every: int, size: int) -> dict[str, OtherImages]:
    """Return the middle of every so many pictures of a folder, by name."""
    return {
        path.name: images.centre_crop(picture_files.load(path), size, 4)
        for path in picture_files.paths_in(folder)[::every]
    }


def main(words: Sequence[str] | None = None) -> None:
    """Measure what is missing."""
    parser = studies.parser(__doc__, METHODS, "--held-out")
    parser.add_argument("--data", default="set14")
    parser.add_argument("--every", type=int, default=2, help="take every so many pictures of --data")
    arguments = studies.begin(parser, words)
    built = studies.methods(arguments.methods, arguments.weights)
    if arguments.folders:
        pictures = studies.held_out(arguments.folders, arguments.size, arguments.count)
        planned = list(jobs("held-out", pictures, arguments.size, built))
    else:
        [folder] = sweeps.folders([arguments.data]).values()
        pictures = chosen(folder, arguments.every, arguments.size)
        planned = [
            replace(job, image_hash=datasets.fingerprint(folder / job.image)[:12])  # of the file: the size has a column
            for job in jobs(arguments.data, pictures, arguments.size, built)
        ]
    evaluation.continued(planned, arguments.output, progress=True)


if __name__ == "__main__":
    main()
