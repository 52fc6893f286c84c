"""What a wrong blur kernel costs: PSNR of each method when it is told a kernel that is not the true one.

    python benchmarks/kernel_error.py results/curves/kernel_error.csv [--data set14] [--every 2] [--size 192]

Two sweeps: the true kernel g2.0d, told with a standard deviation that is wrong by -50 to 50 per cent, and
gani_d, told as turned by up to 90 degrees. The pictures are the middle of every second one of a data set
in MZSR_DATA, and the low-resolution pictures are made with the true kernel. Finished cells (sweep, error,
method) are not measured again.
"""

import argparse
import datetime
import itertools
import math
from collections.abc import Iterator
from pathlib import Path

import torch
from tqdm import tqdm

from mzsr_lib import files
from mzsr_lib.benchmark import evaluation, sweeps
from mzsr_lib.imaging import images, kernel_files, kernels, metrics, picture_files
from mzsr_lib.imaging.degradation import Degradation, from_setting
from mzsr_lib.methods import registry
from mzsr_lib.methods.registry import Method
from mzsr_lib.shapes import OtherImages

# By sweep: the true kernel (lambda1, lambda2, theta), the unit of the error, and the errors.
SWEEPS = {
    "width": ((2.0, 2.0, 0.0), "per cent", tuple(range(-50, 51, 10))),
    "angle": ((4.0, 1.0, -0.5), "degrees", tuple(range(0, 91, 15))),
}
UNTOLD = ""  # the error of a method that is not told the kernel at all
UNAWARE, TOLD = ("bicubic", "pretrained"), ("tikhonov", "mzsr", "mzsr-plus")


def told(sweep: str, error: float) -> kernels.Setting:
    """Return the kernel that a method is told: the true one, wider or turned by the error."""
    (lambda1, lambda2, theta), _, _ = SWEEPS[sweep]
    if sweep == "width":
        wider = (1 + error / 100) ** 2  # lambda is a variance
        lambda1, lambda2 = lambda1 * wider, lambda2 * wider
    else:
        theta += math.radians(error)
    return kernel_files.parse(f"{lambda1},{lambda2},{theta}")


def methods() -> dict[str, Method]:
    """Return the methods by name: two that take no kernel, and three that believe the one they are told."""
    found = [registry.build("bicubic"), registry.build("pretrained"), registry.build("tikhonov")]
    found += [registry.build("mzsr", 10), registry.build("mzsr-plus", 0)]
    return {method.name: method for method in found}


def cells() -> Iterator[tuple[str, object, str]]:
    """Yield (sweep, error, method)."""
    for sweep, (_, _, errors) in SWEEPS.items():
        yield from itertools.product([sweep], [UNTOLD], UNAWARE)
        yield from itertools.product([sweep], errors, TOLD)


def scored(method: Method, true: Degradation, believed: Degradation, pictures: dict) -> Iterator[dict]:
    """Yield the PSNR of every picture: degraded by the one kernel, restored by the other."""
    for name, hr in pictures.items():
        sr = method(true(hr), believed)
        yield {"image": name, "psnr": round(metrics.protocol_psnr(sr, hr, true.scale), 4)}


def chosen(folder: Path, every: int, size: int) -> dict[str, OtherImages]:
    """Return the middle of every so many pictures of a folder, by name."""
    return {
        path.name: images.centre_crop(picture_files.load(path), size, 4)
        for path in picture_files.paths_in(folder)[::every]
    }


def main() -> None:
    """Measure what is missing, and write after every cell."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--data", default="set14")
    parser.add_argument("--every", type=int, default=2, help="take every so many pictures")
    parser.add_argument("--size", type=int, default=192, help="middle of each picture, px")
    parser.add_argument("--methods", nargs="+", default=[*UNAWARE, *TOLD])
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    files.check_writable(arguments.output)
    pictures = chosen(sweeps.folders([arguments.data])[arguments.data], arguments.every, arguments.size)
    built = methods()
    for sweep, error, name in tqdm([cell for cell in cells() if cell[2] in arguments.methods]):
        _, unit, _ = SWEEPS[sweep]
        cell = {"dataset": arguments.data, "size": arguments.size, "sweep": sweep, "error": error, "unit": unit}
        cell = {key: str(value) for key, value in (cell | evaluation.described(built[name])).items()}
        rows = files.read_rows(arguments.output) if arguments.output.exists() else []
        if sum(cell.items() <= row.items() for row in rows) == len(pictures):
            continue
        true = from_setting(told(sweep, 0))
        believed = true if error == UNTOLD else from_setting(told(sweep, error))
        facts = {"device": "cpu", "commit": files.git_commit(), "seed": 0, "date": datetime.date.today().isoformat()}
        place = {key: cell[key] for key in ("dataset", "size", "sweep", "error", "method", "steps")}
        rows = [row for row in rows if not place.items() <= row.items()]
        rows += [{**cell, **score, **facts} for score in scored(built[name], true, believed, pictures)]
        files.write_rows(arguments.output, rows)


if __name__ == "__main__":
    main()
