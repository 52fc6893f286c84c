"""What each choice of meta-training brings, on one budget: a reduced network, three seeds, held-out photographs.

    python benchmarks/ablations.py results/ablations.csv --runs RUNS --data bsds500-train bsds500-test --extra set14
    python benchmarks/ablations.py results/ablations.csv --table --figures figures

One budget is the same number of operations in the convolutions, as torch counts them: a variant whose update
costs more takes fewer updates. Each variant changes one thing of `BASE`. A pair (variant, seed) that is already
in the output is skipped, and each is added as soon as it is done, so a run that was interrupted goes on.
"""

import argparse
import datetime
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from mzsr_lib import files, runtime
from mzsr_lib.benchmark import datasets
from mzsr_lib.drawing import style
from mzsr_lib.imaging import images, kernels, photographs, picture_files
from mzsr_lib.imaging.degradation import Degradation, from_setting
from mzsr_lib.lessons import ablations
from mzsr_lib.models import weights
from mzsr_lib.mzsr import adaptation, meta_training, pretraining, tasks
from mzsr_lib.mzsr.meta_training import MetaTrainConfig
from mzsr_lib.mzsr.networks import SRNetwork, parameter_count
from mzsr_lib.mzsr.pretraining import PretrainConfig
from mzsr_lib.shapes import OtherImages
from mzsr_lib.training import logs, presets, stages

CHANNELS, LAYERS = 32, 6
UPDATES = 400  # of the base, by default; what they cost is the budget of every variant, and of the pre-training
SIDE = 160  # px: the middle of each photograph is scored, as the training loop does
BASE = replace(presets.meta_train_first_order(), patch=64, warm_up=50, ema=0.99)
PRETRAIN = replace(presets.pretrain_cpu(), network={"channels": CHANNELS, "layers": LAYERS}, warm_up=50, ema=0.99)

Score = tuple[list[OtherImages], list[Degradation]]


@dataclass(frozen=True)
class Variant:
    """What differs from the base.

    Attributes
    ----------
    change
        Settings of meta-training.
    start
        ``"pretrained"`` or ``"random"`` weights.
    budgets
        How many budgets of meta-training; with 0 the start itself is scored.
    anneal
        Share of the updates in which the annealed weights would reach zero.
    """

    change: Mapping[str, object] = field(default_factory=dict)
    start: str = "pretrained"
    budgets: float = 1
    anneal: float = 0.8


VARIANTS = {
    "base": Variant(),
    "pretrained": Variant(budgets=0),
    "random": Variant(start="random"),
    "random-double": Variant(start="random", budgets=2),
    "fewer-updates": Variant(budgets=0.6),  # as many as second order, uniform and annealed can afford
    "second-order": Variant({"first_order": False}),
    "uniform": Variant({"query_weights": "uniform"}),
    "annealed": Variant({"query_weights": "annealed"}),
    "one-step": Variant({"inner_steps": 1}),
    "five-steps": Variant({"inner_steps": 5}),
    "two-sets": Variant({"episode": "two-sets"}),
    "restored": Variant({"network_input": "restored"}),
    "pretrained-restored": Variant({"network_input": "restored"}, budgets=0),
}


def main() -> None:
    """Train, score and write what is missing; or show what is there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--table", action="store_true", help="print the results that are there, and train nothing")
    parser.add_argument("--figures", type=Path, help="with --table: write ablations.png and .svg to this folder")
    parser.add_argument("--runs", type=Path, help="folder of the pre-trained starts")
    parser.add_argument("--data", nargs="+", type=Path, default=[], help="folders of training photographs")
    parser.add_argument("--extra", type=Path, help="a folder to be scored with g2.0d as well, such as set14")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--updates", type=int, default=UPDATES, help="of the base: the budget")
    arguments = parser.parse_args()
    if arguments.table:
        return show(files.read_rows(arguments.output), arguments.figures)
    if arguments.runs is None or not arguments.data:
        parser.error("to train, give --runs and --data; to see what is there, --table")
    torch.set_num_threads(1)
    pictures = photographs.read_pictures(arguments.data)
    sets = scored_sets(pictures, arguments.extra)
    for seed in arguments.seeds:
        for name in arguments.variants:
            rows = files.read_rows(arguments.output) if arguments.output.exists() else []
            if not any((row["variant"], row["seed"]) == (name, str(seed)) for row in rows):
                new = measure(name, seed, pictures, arguments.data, arguments.runs, sets, arguments.updates)
                files.write_rows(arguments.output, rows + new)


def show(rows: Sequence[Mapping], folder: Path | None) -> None:
    """Print a table for each set of photographs, and draw the held-out ones."""
    for pictures in dict.fromkeys(row["set"] for row in rows):
        print(f"{pictures}\n\n{ablations.table(rows, pictures=pictures)}\n")
    for suffix in style.SUFFIXES if folder else ():
        style.save(ablations.figure(rows), folder / f"ablations{suffix}")


def scored_sets(pictures: photographs.Pictures, extra: Path | None) -> dict[str, Score]:
    """Return the photographs to score, with their degradations: by default those that the training loop watches."""
    held_out = [images.centre_crop(picture, SIDE, 4) for picture in pictures.held_out]
    drawn = stages.validation_degradations(BASE.degradations(), len(held_out), torch.device("cpu"))
    sets = {"held-out": (held_out, drawn)}
    if extra is not None:
        crops = [images.centre_crop(picture_files.load(path), SIDE, 4) for path in picture_files.paths_in(extra)]
        sets[f"{extra.name}-g2.0d"] = (crops, [from_setting(kernels.named()["g2.0d"])] * len(crops))
    return sets


def measure(
    name: str,
    seed: int,
    pictures: photographs.Pictures,
    folders: Sequence[Path],
    runs: Path,
    sets: Mapping[str, Score],
    updates: int = UPDATES,
) -> list[dict]:
    """Return the rows of one variant and seed: one a set of photographs."""
    variant = VARIANTS[name]
    config = replace(BASE, seed=seed, **variant.change)
    work = work_of(config)
    steps = round(variant.budgets * updates * work_of(BASE) / work)
    start = starting_weights(variant.start, seed, pictures, folders, runs, updates)
    seconds, spent = 0.0, 0.0
    with tempfile.TemporaryDirectory() as folder:
        if steps:
            anneal = max(1, round(variant.anneal * steps))
            config = replace(config, steps=steps, validate_every=steps, anneal_steps=anneal)
            began = time.process_time()
            start = stages.meta_train(config, folders, folder, init=start, pictures=pictures)
            _require_all(start, steps)
            spent, seconds = time.process_time() - began, _log(folder)[-1]["seconds"]
        loaded = weights.load(start)
    facts = {"variant": name, "seed": seed, "updates": steps, "tflop": f"{steps * work / 1e12:.3f}"}
    facts |= {"seconds": f"{seconds:.0f}", "cpu_seconds": f"{spent:.0f}"}
    today = datetime.date.today().isoformat()
    where = {
        "parameters": parameter_count(loaded.network),
        "commit": files.git_commit(),
        "device": "cpu",
        "date": today,
    }
    # The loop has scored the held-out photographs already.
    known = {"held-out": loaded.provenance["held_out"]} if steps else {}
    found = {key: known.get(key) or _scores(loaded.network, config, *chosen) for key, chosen in sets.items()}
    return [{**facts, "set": key, **_shown(scores), **where} for key, scores in found.items()]


def _log(folder: str | Path) -> list[dict]:
    return logs.read(Path(folder) / "log.jsonl")


def _scores(network: SRNetwork, config: MetaTrainConfig, pictures: list, degradations: list) -> dict[str, float]:
    start, upscaler = adaptation.starting_point(network), config.upscaler()
    return stages.held_out_psnr_by_updates(network, start, pictures, degradations, upscaler)


def _shown(scores: Mapping[str, float]) -> dict[str, str]:
    return {f"psnr_{steps}": f"{scores[f'psnr_{steps}']:.4f}" for steps in stages.VALIDATION_STEPS}


def starting_weights(
    kind: str, seed: int, pictures: photographs.Pictures, folders: Sequence[Path], runs: Path, updates: int
) -> Path:
    """Return the weights file of a start, made with this seed when it is not there yet."""
    if kind == "random":
        path = runs / f"random-{seed}.safetensors"
        network = SRNetwork(CHANNELS, LAYERS, runtime.generator_for(seed, "weights"))
        weights.save(path, network, adaptation.starting_point(network), {"stage": "random", "seed": seed})
        return path
    steps = round(updates * work_of(BASE) / work_of(PRETRAIN))
    config = replace(PRETRAIN, seed=seed, steps=steps, validate_every=steps)
    return _require_all(stages.pretrain(config, folders, runs / f"pretrained-{seed}", pictures=pictures), steps)


def _require_all(path: Path, steps: int) -> Path:
    """Stop here when a signal has ended the training that wrote these weights before its last update."""
    if (reached := weights.read_provenance(path)["step"]) < steps:
        raise SystemExit(f"Stopped after {reached} of {steps} updates: start again to go on.")
    return path


def work_of(config: MetaTrainConfig | PretrainConfig) -> int:
    """Return the operations of one update in the convolutions, as torch counts them."""
    network, group = SRNetwork(CHANNELS, LAYERS, runtime.generator_for("work")), runtime.Group()
    source = tasks.PatchSource([datasets.example(datasets.EXAMPLES[0])])
    with FlopCounterMode(display=False) as counter:
        if isinstance(config, PretrainConfig):
            pretraining.pretrain_gradient(network, source, config, group, 0)
        else:
            # The first update stands for all: annealed weights change, and are never zero.
            meta_training.meta_gradient(network, source, config, config.distribution(), group, 0)
    return counter.get_total_flops()


if __name__ == "__main__":
    main()
