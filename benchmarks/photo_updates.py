"""Whether updates on the photograph itself help the network for photographs: PSNR against none, by treatment.

    python benchmarks/photo_updates.py results/curves/photo_updates.csv --data set14

The photograph is made smaller once more by what the estimator found, and gets the noise and the JPEG that were found:
from this LR-son the network learns the photograph, as ZSSR does. Then it enlarges the photograph. The quality of a
JPEG is taken as known, since a file's own tables tell it. Choose by the data set that is given, never by a test set.
"""

import argparse
import datetime
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd
import torch
from torch.func import functional_call
from torch.nn import functional as F
from tqdm import tqdm

from mzsr_lib import files
from mzsr_lib.benchmark import datasets
from mzsr_lib.benchmark.treatments import ROWS, Treatment, aligned_psnr
from mzsr_lib.imaging import cameras, images, picture_files
from mzsr_lib.imaging.degradation import Degradation
from mzsr_lib.methods import guesses
from mzsr_lib.models import weights
from mzsr_lib.mzsr import adaptation
from mzsr_lib.mzsr.networks import Network
from mzsr_lib.runtime import generator_for
from mzsr_lib.shapes import Images, OtherImages

SCALE = 2
RATE = 1e-4  # of Adam
KEPT = (3, 10)  # updates after which it is measured


def son_of(lr: Images, told: Degradation, quality: int | None, generator: torch.Generator) -> OtherImages:
    """Return the LR-son of a photograph: blurred, made smaller and disturbed as it was itself, by what was found."""
    son = images.round_to_8_bits(told(lr, generator))
    return son if quality is None else cameras.jpeg(son, quality)


def learned(network: Network, son: Images, lr: Images, told: Degradation, steps: int) -> Iterator[adaptation.Params]:
    """Yield the network's parameters after each update that brings its enlarged LR-son nearer to the photograph."""
    target = lr[..., : SCALE * son.shape[-2], : SCALE * son.shape[-1]]
    params, rule = adaptation.starting_point(network), adaptation.Adam(RATE)
    for step in range(steps):
        params = {name: value.detach().requires_grad_() for name, value in params.items()}
        loss = F.l1_loss(functional_call(network, params, (son, told)), target)
        params = rule(step, params, torch.autograd.grad(loss, list(params.values()), materialize_grads=True), loss)
        yield params


def measure(network: Network, hr: Images, treatment: Treatment, name: str) -> list[dict[str, object]]:
    """Return the rows of one picture and treatment: PSNR (dB) by the number of updates."""
    lr = treatment(hr, generator_for(treatment.name, name))
    told = guesses.guess(lr, SCALE).degradation
    son = son_of(lr, told, treatment.quality, generator_for("son", treatment.name, name))

    def row(updates: int, params: adaptation.Params) -> dict[str, object]:
        psnr = aligned_psnr(adaptation.super_resolve(network, params, lr, told), hr)
        return {"treatment": treatment.name, "updates": updates, "psnr": round(psnr, 3)}

    rows = [row(0, adaptation.starting_point(network))]
    for updates, params in enumerate(learned(network, son, lr, told, max(KEPT)), start=1):
        rows += [row(updates, params)] if updates in KEPT else []
    return rows


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Return what updates add to the mean PSNR (dB) of each treatment, by the number of updates."""
    means = rows.pivot_table(values="psnr", index="treatment", columns="updates", sort=False)
    gain = means.sub(means.pop(0), axis=0)
    return pd.concat([gain, gain.mean().to_frame("mean").T])


def main(words: Sequence[str] | None = None) -> None:
    """Measure, write a row for each picture, and print what updates add."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--data", default="set14", help="data set, or folder of sharp pictures")
    parser.add_argument("--every", type=int, default=5, help="take every so many-th picture")
    parser.add_argument("--treatments", nargs="+", default=[row.name for row in ROWS])
    parser.add_argument("--size", type=int, default=256, help="middle of each picture, px; smaller ones are left out")
    arguments = parser.parse_args(words)
    torch.set_num_threads(1)
    file = weights.default("photo", SCALE)
    assert file is not None
    network = weights.load(file).network
    folder = Path(arguments.data) if Path(arguments.data).is_dir() else datasets.folder(arguments.data)
    facts = {"weights_hash": weights.fingerprint(file), "commit": files.git_commit()}
    facts["date"] = datetime.date.today().isoformat()
    rows = []
    for path in tqdm(list(picture_files.paths_in(folder))[:: arguments.every], unit="picture"):
        hr = picture_files.load(path)
        if min(hr.shape[-2:]) < arguments.size:
            continue
        hr = images.centre_crop(hr, arguments.size, SCALE)
        for treatment in (row for row in ROWS if row.name in arguments.treatments):
            rows += [{"image": path.name} | row | facts for row in measure(network, hr, treatment, path.stem)]
        files.write_rows(arguments.output, rows)
    print(table(pd.DataFrame(rows)).to_markdown(floatfmt="+.2f"))


if __name__ == "__main__":
    main()
