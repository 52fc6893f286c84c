"""PSNR after each update at test time, for several starting points: the rows behind the paper's Figure 3.

    python benchmarks/updates_curve.py results/curves/updates_set5.csv --start "MZSR=mzsr-x2" [--start ...] [--zssr]

The data set is taken from MZSR_DATA. One adaptation a picture is scored after every update; ZSSR's random
start goes its own way (Adam on random crops) and is scored without self-ensemble and back-projection.
A cell (data set, kernel, start) that is finished with the same pictures, kernel, weights and precision is not measured
again: they count by their content.
"""

import argparse
import datetime
import itertools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import torch
from tqdm import tqdm

from mzsr_lib import files, runtime
from mzsr_lib.benchmark import datasets, measuring, sweeps
from mzsr_lib.imaging import images, kernel_files, metrics, picture_files
from mzsr_lib.imaging.degradation import Degradation, from_setting
from mzsr_lib.methods import zero_shot
from mzsr_lib.models import weights
from mzsr_lib.mzsr import adaptation
from mzsr_lib.shapes import Images, OtherImages

ZSSR = "ZSSR"
# Yields (updates, super-resolved picture) of a low-resolution picture.
Start = Callable[[Images, Degradation], Iterable[tuple[int, OtherImages]]]


def adapted(loaded: weights.Weights, updates: int) -> Start:
    """Return the start at trained weights: the picture after 0, 1, ... updates of one adaptation."""
    network, begin = loaded.network, adaptation.starting_point(loaded.network)

    def run(lr: Images, camera: Degradation) -> Iterator[tuple[int, OtherImages]]:
        later = adaptation.adapt(network, begin, lr, camera, updates, loaded.rule, loaded.upscaler)
        for step, params in enumerate(itertools.chain([begin], (params for params, _ in later))):
            yield step, adaptation.super_resolve(network, params, lr, camera, loaded.upscaler)

    return run


def zssr(updates: int, seed: int) -> Start:
    """Return ZSSR's random start: the picture after 0, 1, ... of its own updates, as the network gives it."""
    config = zero_shot.ZeroShotConfig(steps=updates, seed=seed)

    def run(lr: Images, camera: Degradation) -> Iterator[tuple[int, OtherImages]]:
        network = zero_shot.start(config)
        yield 0, adaptation.super_resolve(network, adaptation.starting_point(network), lr, camera)
        for update in zero_shot.learn(network, lr, camera, config):
            yield update.step, adaptation.super_resolve(network, update.params, lr, camera)

    return run


def scored(folder: Path, camera: Degradation, start: Start) -> Iterator[dict]:
    """Yield the PSNR of every picture of a folder after every update that the start yields."""
    for path in picture_files.paths_in(folder):
        hr = images.crop_to_multiple(picture_files.load(path), camera.scale)
        for steps, sr in start(camera(hr), camera):
            yield {"image": path.name, "steps": steps, "psnr": round(metrics.protocol_psnr(sr, hr, camera.scale), 4)}


def main() -> None:
    """Measure what is missing, and write after every cell."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--data", default="set5")
    parser.add_argument("--kernels", nargs="+", default=["g0.2d", "g2.0d", "gani_d"])
    parser.add_argument("--start", action="append", default=[], metavar="TITLE=WEIGHTS", help="may be repeated")
    parser.add_argument("--zssr", action="store_true", help="ZSSR's random start as well")
    parser.add_argument("--updates", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0, help="of ZSSR's start and crops")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", choices=(measuring.AUTO, *runtime.PRECISIONS), default=measuring.AUTO)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    auto = arguments.precision == measuring.AUTO
    precision = runtime.fast_precision(torch.device("cpu")) if auto else arguments.precision
    files.check_writable(arguments.output)
    starts = {}
    for title, separator, name in (start.partition("=") for start in arguments.start):
        if not separator:
            parser.error(f"--start {title} should be TITLE=WEIGHTS")
        loaded = weights.load(name, precision=precision)
        starts[title] = (loaded.name, weights.fingerprint(name), adapted(loaded, arguments.updates))
    if arguments.zssr:
        starts[ZSSR] = ("", "", zssr(arguments.updates, arguments.seed))
    folder, jobs = (
        sweeps.folders([arguments.data])[arguments.data],
        itertools.product(arguments.kernels, starts.items()),
    )
    hashes = {path.name: datasets.fingerprint(path)[:12] for path in picture_files.paths_in(folder)}
    for kernel, (title, (name, digest, start)) in tqdm(list(jobs)):
        setting = kernel_files.parse(kernel)
        cell = {"dataset": arguments.data, "kernel": setting.name, "kernel_hash": setting.fingerprint, "start": title}
        made = {"weights": Path(name).name, "weights_hash": digest, "updates": str(arguments.updates)}
        asked = {} if auto else {"precision": precision}
        done = [row for row in present(arguments.output) if (cell | made | asked).items() <= row.items()]
        if {(row["image"], row["image_hash"]) for row in done} == hashes.items():
            continue
        facts = {
            "precision": precision,
            "device": "cpu",
            "commit": files.git_commit(),
            "seed": arguments.seed,
        }
        facts["date"] = datetime.date.today().isoformat()
        rows = [
            {**cell, **score, "image_hash": hashes[score["image"]], **made, **facts}
            for score in scored(folder, from_setting(setting), start)
        ]
        # Read again: another run may have written in the meantime.
        others = [row for row in present(arguments.output) if not cell.items() <= row.items()]
        files.write_rows(arguments.output, others + rows)


def present(output: Path) -> list[dict]:
    """Return the rows that are there already."""
    # Rows of earlier versions have no date and no hashes, and were measured in float32.
    known = files.read_rows(output) if output.exists() else []
    whole = [{"date": ""} | measuring.completed(row) for row in known]
    return [{name: value for name, value in row.items() if name != "agree"} for row in whole]


if __name__ == "__main__":
    main()
