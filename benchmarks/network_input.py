"""What the network is given, on one budget: a bicubic picture, a restored one, and a second pass.

    python benchmarks/network_input.py results/lessons/network_input.csv --runs RUNS --data bsds500-train bsds500-test

Three trainings from `pretrained-x2` over the same prior, in which the network runs equally often: half as
many steps for two passes. A training found in RUNS is continued. The scores are those of held-out
photographs, with each of the paper's settings.
"""

import argparse
import datetime
from dataclasses import replace
from pathlib import Path

import torch

from mzsr_lib import files
from mzsr_lib.imaging import images, kernels, metrics, picture_sets
from mzsr_lib.imaging.degradation import from_setting
from mzsr_lib.models import weights
from mzsr_lib.mzsr import adaptation
from mzsr_lib.training import logs, presets, stages

PLUS = presets.pretrain_plus()
KINDS = {
    "bicubic": replace(PLUS, network_input="bicubic", passes=1),
    "restored": replace(PLUS, passes=1),
    "two-passes": PLUS,
}


def main() -> None:
    """Train, score and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--data", nargs="+", type=Path, required=True)
    parser.add_argument("--times", type=int, default=2400, help="how often the network runs in each training")
    parser.add_argument("--patch", type=int, default=PLUS.patch, help="px")
    parser.add_argument("--kernels", nargs="+", default=list(kernels.named()), help="that are scored")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    pictures = picture_sets.read_pictures(arguments.data)
    rows = []
    for kind, config in KINDS.items():
        folder = arguments.runs / f"abl-{kind}"
        steps, patch = arguments.times // config.passes, arguments.patch
        config = replace(config, steps=steps, validate_every=max(steps // 12, 1), patch=patch)
        stages.pretrain(config, arguments.data, folder, init="pretrained-x2", pictures=pictures)
        rows += _curve(kind, folder) + _scores(kind, folder, pictures.held_out, arguments.kernels)
    files.write_rows(arguments.output, rows)


def _log(folder: Path) -> list[dict]:
    return logs.read(folder / "log.jsonl")


def _row(kind: str, setting: str, step: int, psnr: float, provenance: dict) -> dict:
    facts = {name: provenance[name] for name in ("seed", "device", "commit")}
    today = datetime.date.today().isoformat()
    shown = {"runs_of_the_network": step * KINDS[kind].passes, "psnr": f"{psnr:.3f}"}
    return {"input": kind, "setting": setting, **shown, **facts, "date": today}


def _curve(kind: str, folder: Path) -> list[dict]:
    """Return the held-out score along the training: kernels of the prior."""
    provenance = weights.read_provenance(folder / "weights.safetensors")
    return [_row(kind, "prior", line["step"], line["score"], provenance) for line in _log(folder) if "score" in line]


def _scores(kind: str, folder: Path, held_out: list, names: list[str]) -> list[dict]:
    """Return the held-out score of the best weights with each of some of the paper's settings."""
    loaded = weights.load(folder / "weights.safetensors")
    start, step = adaptation.starting_point(loaded.network), loaded.provenance["step"]
    rows = []
    for name in names:
        camera, scores = from_setting(kernels.named()[name]), []
        for picture in held_out:
            hr = images.crop_to_multiple(picture, 2)
            sr = adaptation.super_resolve(loaded.network, start, camera(hr), camera, loaded.upscaler)
            scores.append(metrics.protocol_psnr(sr, hr, 2))
        rows.append(_row(kind, name, step, sum(scores) / len(scores), loaded.provenance))
    return rows


if __name__ == "__main__":
    main()
