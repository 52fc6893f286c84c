"""Make the run of page 07 that learns the kernel, and keep what it looks like on the way: a curve, and pictures.

    python benchmarks/meta_run.py results/meta_run --run training-runs/meta-run --data bsds500-train bsds500-test

The run is stopped at each checkpoint and continued, which changes nothing of it; the checkpoints stay in `--run`, so
that what is there is not trained again, nor measured again. With the averaged weights of each, held-out photographs
are scored, and a picture of scikit-image is super-resolved, so that a part of it may be kept with the project.
"""

import argparse
import datetime
import itertools
import math
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from mzsr_lib import files
from mzsr_lib.benchmark import datasets, sweeps
from mzsr_lib.drawing import showcase
from mzsr_lib.imaging import images, kernel_files, metrics, picture_files, picture_sets
from mzsr_lib.imaging.degradation import Degradation, from_setting
from mzsr_lib.lessons import meta_run
from mzsr_lib.models import weights
from mzsr_lib.mzsr import adaptation
from mzsr_lib.mzsr.meta_training import MetaTrainConfig
from mzsr_lib.shapes import OtherImages
from mzsr_lib.training import checkpoints, presets, stages

RUN = replace(
    presets.meta_train_begin(), steps=700, learning_rate=3e-4, clip=1.0, inner_steps=4, curvature_sets=1, log_every=25
)
CHECKPOINTS = (0, 25, 50, 100, 150, 200, 300, 400, 550, 700)
PICTURE, WINDOW = "astronaut", (40, 120, 160)  # top, left, size in px: what is super-resolved of it
PART = (36, 50, 80)  # the same of what is kept and scored of that
SIDE = 160  # px: the middle of each held-out photograph, as the training loop takes it


def trained(
    config: MetaTrainConfig, steps: Sequence[int], folder: Path, pictures: picture_sets.Pictures, init: str
) -> Iterator[tuple[int, Path]]:
    """Train up to each step in turn, and yield it with a copy of the checkpoint there."""
    for step in steps:
        path = folder / f"at-{step:04d}.pt"
        if not path.exists():
            more = step - checkpoints.step_of(folder / "checkpoint.pt")
            stages.meta_train(config, [], folder, max_steps=more, init=init, pictures=pictures)
            with files.atomic_path(path) as temporary:
                shutil.copyfile(folder / "checkpoint.pt", temporary)
        yield step, path


def held_out(config: MetaTrainConfig, loaded: weights.Weights, pictures: picture_sets.Pictures) -> dict[str, float]:
    """Return the mean PSNR of the held-out photographs by updates, as the training loop scores it."""
    multiple = math.lcm(*config.scales) ** 2
    shown, cameras = stages.watched(pictures, config, SIDE, multiple, torch.device("cpu"))
    params = adaptation.starting_point(loaded.network)
    found = stages.held_out_psnr_by_updates(loaded.network, params, shown, cameras, config.upscaler(), loaded.rule)
    return {name: round(value, 3) for name, value in found.items() if name != "score"}


def pictures_of(loaded: weights.Weights, hr: OtherImages, camera: Degradation) -> dict[int, OtherImages]:
    """Return the part that is kept of a picture, by updates, as 8 bits hold it."""
    network, lr, start = loaded.network, camera(hr), adaptation.starting_point(loaded.network)
    later = adaptation.adapt(network, start, lr, camera, max(meta_run.UPDATES), loaded.rule, loaded.upscaler)
    points = dict(enumerate(itertools.chain([start], (params for params, _ in later))))
    sr = {n: adaptation.super_resolve(network, points[n], lr, camera, loaded.upscaler) for n in meta_run.UPDATES}
    return {n: images.round_to_8_bits(showcase.cut(picture, PART)) for n, picture in sr.items()}


def measured(
    output: Path, step: int, loaded: weights.Weights, hr: OtherImages, camera: Degradation
) -> dict[str, float]:
    """Write the pictures of a checkpoint, and return the PSNR of each."""
    truth, found = showcase.cut(hr, PART), {}
    for updates, picture in pictures_of(loaded, hr, camera).items():
        picture_files.save(output / meta_run.picture_name(step, updates), picture)
        found[f"picture_{updates}"] = round(metrics.protocol_psnr(picture, truth, camera.scale), 3)
    return found


def main() -> None:
    """Train what is missing, measure, and write."""
    parser = argparse.ArgumentParser(description="Keep what the run of page 07 looks like on the way.")
    parser.add_argument("output", type=Path, help="folder of the table and the pictures")
    parser.add_argument("--run", type=Path, required=True, help="folder of the run and its checkpoints")
    parser.add_argument("--data", nargs="+", required=True, help="folders of photographs, or names in MZSR_DATA")
    parser.add_argument("--checkpoints", type=int, nargs="+", default=CHECKPOINTS, help="outer steps")
    parser.add_argument("--init", default="blind-x2")
    parser.add_argument("--kernel", default="gani_d")
    parser.add_argument("--patch", type=int, default=RUN.patch, help="px: of an episode; the query has half of it")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    files.check_writable(arguments.output / meta_run.TABLE)
    config = replace(RUN, patch=arguments.patch, query_patch=arguments.patch // 2, validate_every=RUN.steps)
    pictures = picture_sets.read_pictures([sweeps.folders([name])[name] for name in arguments.data])
    camera, hr = from_setting(kernel_files.parse(arguments.kernel)), showcase.cut(datasets.example(PICTURE), WINDOW)
    picture_files.save(arguments.output / meta_run.TRUTH, showcase.cut(hr, PART))
    table, asked = arguments.output / meta_run.TABLE, {"picture": PICTURE, "kernel": arguments.kernel}
    rows = files.read_rows(table) if table.exists() else []
    for step, path in trained(config, arguments.checkpoints, arguments.run, pictures, arguments.init):
        cell = {"step": str(step), **asked, "checkpoint_hash": datasets.fingerprint(path)[:12]}
        if any(cell.items() <= row.items() for row in rows):
            continue
        loaded = checkpoints.weights_in(path, {})
        scores = held_out(config, loaded, pictures) | measured(arguments.output, step, loaded, hr, camera)
        facts = {"init": arguments.init, "seed": config.seed, "device": "cpu", "commit": files.git_commit()}
        row = cell | scores | facts | {"date": datetime.date.today().isoformat()}
        rows = sorted([*(old for old in rows if old["step"] != str(step)), row], key=lambda kept: int(kept["step"]))
        files.write_rows(table, rows)


if __name__ == "__main__":
    main()
