"""What a width told wrongly costs the method for photographs: believed, or reconciled with what the picture shows.

    python benchmarks/told_wrong.py results/curves/told_wrong.csv --data set14

Sharp pictures are blurred by round Gaussians, of which every second pixel is kept. `photo` is told the standard
deviation times a factor: as it is, and as ``mzsr upscale --method photo --kernel`` tells it (`guesses.reconciled`).
Choose by the data set that is given, never by a test set.
"""

import argparse
import datetime
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch
from tqdm import tqdm

from mzsr_lib import files
from mzsr_lib.benchmark import datasets
from mzsr_lib.imaging import images, picture_files
from mzsr_lib.imaging.degradation import Degradation
from mzsr_lib.imaging.kernels import TEST_SIZE, covariance, gaussian_kernel
from mzsr_lib.imaging.metrics import protocol_psnr
from mzsr_lib.methods import guesses, registry
from mzsr_lib.models import weights

SCALE = 2
VARIANCES, FACTORS = (1.0, 2.0, 3.5), (0.8, 0.9, 1.0, 1.1, 1.2)


def camera(variance: float) -> Degradation:
    """Return a round Gaussian blur of which every second pixel is kept."""
    return Degradation(gaussian_kernel(covariance(variance, variance, 0.0), TEST_SIZE), SCALE)


def scores(hr: torch.Tensor, variance: float, method: registry.Method) -> list[dict[str, object]]:
    """Return the rows of one picture and blur: PSNR (dB) by the factor and by what is made of it."""
    lr, rows = camera(variance)(hr), []
    found = guesses.guess(lr, SCALE)
    for factor in FACTORS:
        told = camera(variance * factor**2)
        for way, taken in {"believed": told, "reconciled": guesses.reconciled(told, found)[0]}.items():
            psnr = protocol_psnr(method(lr, replace(taken, noise=found.finding.noise)), hr, SCALE)
            rows.append({"variance": variance, "factor": factor, "way": way, "psnr": round(psnr, 3)})
    return rows


def main(words: Sequence[str] | None = None) -> None:
    """Measure, write a row for each picture, and print the means."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--data", default="set14", help="data set, or folder of sharp pictures")
    parser.add_argument("--images", type=int, help="only the first so many")
    parser.add_argument("--size", type=int, default=256, help="middle of each picture, px; smaller ones are left out")
    arguments = parser.parse_args(words)
    torch.set_num_threads(1)
    method = registry.build("photo")
    folder = Path(arguments.data) if Path(arguments.data).is_dir() else datasets.folder(arguments.data)
    facts = {"weights_hash": weights.fingerprint(method.weights), "commit": files.git_commit()}
    facts["date"] = datetime.date.today().isoformat()
    rows = []
    for path in tqdm(list(picture_files.paths_in(folder))[: arguments.images], unit="picture"):
        hr = picture_files.load(path)
        if min(hr.shape[-2:]) < arguments.size:
            continue
        hr = images.centre_crop(hr, arguments.size, SCALE)
        for variance in VARIANCES:
            rows += [{"image": path.name} | row | facts for row in scores(hr, variance, method)]
    files.write_rows(arguments.output, rows)
    means = pd.DataFrame(rows).pivot_table(values="psnr", index=["variance", "way"], columns="factor")
    print(means.to_markdown(floatfmt=".2f"))


if __name__ == "__main__":
    main()
