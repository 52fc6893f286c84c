"""Photographs as they come, of which nothing is told: each method and what was done to them, against bicubic.

    python benchmarks/photos.py results/photos.csv --data bsd100

The pictures are sharp; each row of `mzsr_lib.benchmark.treatments` blurs, shrinks and disturbs them in its way, and
every method enlarges them as ``mzsr upscale`` does without a kernel: with the one that it estimates, if it is told one.
What is finished is not measured again.
"""

import argparse
import datetime
import warnings
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch
from tqdm import tqdm

import mzsr_lib
from mzsr_lib import files
from mzsr_lib.benchmark import datasets
from mzsr_lib.benchmark.treatments import ROWS, Treatment, aligned_psnr
from mzsr_lib.imaging import images, picture_files
from mzsr_lib.methods import catalogue
from mzsr_lib.methods.upscaling import ESTIMATE
from mzsr_lib.models import weights
from mzsr_lib.runtime import generator_for
from mzsr_lib.shapes import Images

METHODS = ("bicubic", "blind", "tikhonov", "mzsr", "mzsr-plus", "photo")
KEY = ["treatment", "image", "method", "weights_hash"]


def measure(hr: Images, treatment: Treatment, name: str, method: str, file: str | None, scale: int) -> dict:
    """Return one row: the PSNR (dB) of a method on a picture after a treatment."""
    lr = treatment(hr, generator_for(treatment.name, name), scale)
    told = ESTIMATE if catalogue.entry_of(method).needs_kernel else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # doubts: here they are measured
        sr = mzsr_lib.upscale(lr, told, scale, method, agree=False, weights=file, register="input", device="cpu")
    return {"treatment": treatment.name, "image": name, "method": method, "psnr": f"{aligned_psnr(sr, hr):.3f}"}


def fingerprint(method: str, file: str | None, scale: int) -> str:
    """Return what tells the weights of a method from others; empty for one without."""
    named = file or weights.default(method, scale)
    return weights.fingerprint(named) if named else ""


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the mean PSNR (dB) of every method by treatment, those that photographs are trained on first."""
    means = rows.pivot_table(values="psnr", index="treatment", columns="method", sort=False)
    known = [row.name for row in ROWS if row.trained and row.name in means.index]
    return pd.concat([means, means.loc[known].mean().to_frame(f"mean of {len(known)}").T])


def main(words: Sequence[str] | None = None) -> None:
    """Measure what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--data", required=True, help="data set, or folder of sharp pictures")
    parser.add_argument("--scale", type=int, default=2, help="a file of rows has one scale")
    parser.add_argument("--methods", nargs="+", default=METHODS)
    parser.add_argument("--weights", nargs="+", default=[], metavar="METHOD=FILE", help="instead of the shipped ones")
    parser.add_argument("--treatments", nargs="+", default=[row.name for row in ROWS])
    parser.add_argument("--every", type=int, default=10, help="take every so many-th picture")
    parser.add_argument("--size", type=int, default=256, help="middle of each picture, px")
    arguments = parser.parse_args(words)
    torch.set_num_threads(1)
    scale = arguments.scale
    given = dict(pair.split("=", 1) for pair in arguments.weights)
    known = pd.read_csv(arguments.output, keep_default_na=False) if arguments.output.exists() else pd.DataFrame()
    done = set(known[KEY].itertuples(index=False, name=None)) if len(known) else set()
    rows = known.to_dict("records")
    facts = {"commit": files.git_commit(), "date": datetime.date.today().isoformat()}
    folder = Path(arguments.data) if Path(arguments.data).is_dir() else datasets.folder(arguments.data)
    for path in tqdm(list(picture_files.paths_in(folder))[:: arguments.every], unit="picture"):
        hr = images.centre_crop(picture_files.load(path), arguments.size, scale)
        for treatment in (row for row in ROWS if row.name in arguments.treatments):
            for method in arguments.methods:
                file = given.get(method)
                hashed = fingerprint(method, file, scale)
                if (treatment.name, path.stem, method, hashed) not in done:
                    rows.append(
                        measure(hr, treatment, path.stem, method, file, scale) | {"weights_hash": hashed} | facts
                    )
        files.write_rows(arguments.output, rows)
    found = pd.DataFrame(rows).astype({"psnr": float})
    print(table(found[found["treatment"].isin(arguments.treatments)]).to_markdown(floatfmt=".2f"))


if __name__ == "__main__":
    main()
