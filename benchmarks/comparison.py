"""Super-resolve a few pictures by every method, and keep one small crop of each: what the visual comparison shows.

    python benchmarks/comparison.py results/comparison [--zssr 500]

The pictures are those of scikit-image, so that their crops may be kept with the project. What is finished
is not measured again. ZSSR learns from crops of 64 px here, a quarter of its authors' area,
and convolves in bfloat16.
"""

import argparse
import datetime
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch

from mzsr_lib import files
from mzsr_lib.benchmark import datasets, measuring
from mzsr_lib.drawing import showcase
from mzsr_lib.imaging import images, kernel_files, metrics, picture_files
from mzsr_lib.imaging.degradation import Degradation, from_setting
from mzsr_lib.methods import registry, zero_shot
from mzsr_lib.methods.registry import Method

CROP = 64


def methods(updates: int) -> list[Method]:
    """Return the methods in the order of the columns."""
    config = zero_shot.ZeroShotConfig(steps=updates, crop=CROP, precision="bfloat16")

    def zssr(lr: torch.Tensor, camera: Degradation) -> torch.Tensor:
        return zero_shot.zero_shot(lr, camera, config, progress=True).sr

    first, last = ("bicubic", "tikhonov", "pretrained", "blind"), ("mzsr", "mzsr-plus")
    shorter = Method("zssr", registry.at_once(zssr), steps=updates)
    return [*map(registry.build, first), shorter, *map(registry.build, last)]


def measure(folder: str | Path, methods: Iterable[Method], scenes: Sequence[showcase.Scene] = showcase.SCENES) -> None:
    """Run methods on scenes, and write each crop as PNG and the PSNR of the whole picture into ``scores.csv``.

    Parameters
    ----------
    folder
        Where to; what it holds of the same scene, method and weights is not measured again.
    methods
        See `registry.build`.
    scenes
        Pictures that come with the package, so that their crops may be passed on.
    """
    folder = Path(folder)
    rows = files.read_rows(folder / showcase.SCORES) if (folder / showcase.SCORES).exists() else []
    rows = [measuring.completed(row) for row in rows]
    for method in methods:
        for scene in scenes:
            cell = _cell(scene, method)
            if not any(cell.items() <= row.items() for row in rows):
                new = cell | _measured(folder, scene, method)
                rows = [row for row in rows if row["file"] != new["file"]] + [new]
                files.write_rows(folder / showcase.SCORES, rows)


def _cell(scene: showcase.Scene, method: Method) -> dict[str, str]:
    """Return what tells one result from the others, as it stands in the file."""
    place = dict(zip(("top", "left", "size"), scene.crop, strict=True))
    cell = {"picture": scene.picture, "kernel": scene.kernel, **place, **measuring.described(method)}
    return {key: str(value) for key, value in cell.items()}


def _measured(folder: Path, scene: showcase.Scene, method: Method) -> dict[str, object]:
    """Super-resolve a picture, write its crop, and return what is to be noted."""
    hr = images.crop_to_multiple(datasets.example(scene.picture), showcase.SCALE)
    camera = from_setting(kernel_files.parse(scene.kernel), showcase.SCALE)
    sr = method(camera(hr), camera)
    file = f"{scene.picture}-{scene.kernel}-{method.name}-{method.steps}{'-agree' * method.agree}.png"
    picture_files.save(folder / file, showcase.cut(sr, scene.crop))
    scores = {"psnr": round(metrics.protocol_psnr(sr, hr, showcase.SCALE), 3), "file": file}
    return {**scores, "device": str(sr.device), "commit": files.git_commit(), "date": datetime.date.today().isoformat()}


def main() -> None:
    """Measure what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--zssr", type=int, default=500, help="updates of ZSSR")
    parser.add_argument("--methods", nargs="+", help="by default all")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    files.check_writable(arguments.output / showcase.SCORES)
    chosen = arguments.methods or [method.name for method in methods(arguments.zssr)]
    measure(arguments.output, [method for method in methods(arguments.zssr) if method.name in chosen])


if __name__ == "__main__":
    main()
