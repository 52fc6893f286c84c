"""What each choice of meta-training brings, on one budget: the network of the paper, three seeds, held-out photographs.

    python benchmarks/ablations.py results/ablations.csv --data bsds500-train bsds500-test --extra set14
    python benchmarks/ablations.py results/ablations.csv --table --figures figures

One budget is the same number of operations, as torch counts them: a variant whose update
costs more takes fewer updates. Each variant changes one thing of `BASE`, the run of page 07 made shorter, and starts
from shipped weights or from random ones. A pair (variant, seed) that is already in the output is skipped, and each is
added as soon as it is done, so a run that was interrupted goes on.
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
from mzsr_lib.imaging import images, kernels, picture_files, picture_sets
from mzsr_lib.imaging.degradation import Degradation, from_setting
from mzsr_lib.lessons import ablations
from mzsr_lib.models import weights
from mzsr_lib.mzsr import adaptation, meta_training, tasks
from mzsr_lib.mzsr.meta_training import MetaTrainConfig
from mzsr_lib.mzsr.networks import SRNetwork, parameter_count
from mzsr_lib.shapes import OtherImages
from mzsr_lib.training import checkpoints, logs, presets, stages

UPDATES = 200  # of the base, by default; what they cost is the budget of every variant
SIDE = 160  # px: the middle of each photograph is scored, as the training loop does
BASE = replace(
    presets.meta_train_begin(),
    clip=1.0,
    warm_up=50,
    inner_steps=4,
    curvature_sets=1,
    patches=2,
)

Score = tuple[list[OtherImages], list[Degradation]]


@dataclass(frozen=True)
class Variant:
    """What differs from the base.

    Attributes
    ----------
    change
        Settings of meta-training.
    start
        Shipped weights, or ``"random"``.
    trained
        Whether there is any meta-training; without, the start itself is scored.
    """

    change: Mapping[str, object] = field(default_factory=dict)
    start: str = "blind-x2"
    trained: bool = True


VARIANTS = {
    "base": Variant(),
    "blind": Variant(trained=False),
    "plain": Variant({"curvature": "none"}),
    "rates": Variant({"curvature": "rates"}),
    "first-order": Variant({"first_order": True}),
    "bicubic-start": Variant(start="pretrained-x2"),
    "random-start": Variant(start="random"),
    "last": Variant({"query_weights": "last"}),
    # What the network sees of the support is as large as in an image episode, where the picture is shrunk once more.
    "two-sets": Variant({"episode": "two-sets", "patch": 64}),
    "restored": Variant({"network_input": "restored"}),
}


def main() -> None:
    """Train, score and write what is missing; or show what is there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--table", action="store_true", help="print the results that are there, and train nothing")
    parser.add_argument("--figures", type=Path, help="with --table: write ablations.png and .svg to this folder")
    parser.add_argument("--data", nargs="+", type=Path, default=[], help="folders of training photographs")
    parser.add_argument("--extra", type=Path, help="a folder to be scored with g2.0d as well, such as set14")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--updates", type=int, default=UPDATES, help="of the base: the budget")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default=BASE.precision)
    parser.add_argument("--patch", type=int, default=BASE.patch, help="side of the patches, px: smaller for a trial")
    arguments = parser.parse_args()
    if arguments.table:
        return show(files.read_rows(arguments.output), arguments.figures)
    if not arguments.data:
        parser.error("to train, give --data; to see what is there, --table")
    torch.set_num_threads(1)
    pictures = picture_sets.read_pictures(arguments.data)
    sets = scored_sets(pictures, arguments.extra)
    sides = {"patch": arguments.patch, "query_patch": arguments.patch // 2}
    base = replace(BASE, precision=arguments.precision, **sides)
    for seed in arguments.seeds:
        for name in arguments.variants:
            rows = files.read_rows(arguments.output) if arguments.output.exists() else []
            if not any((row["variant"], row["seed"]) == (name, str(seed)) for row in rows):
                new = measure(name, replace(base, seed=seed), pictures, sets, arguments.updates)
                files.write_rows(arguments.output, rows + new)


def show(rows: Sequence[Mapping], folder: Path | None) -> None:
    """Print a table for each set of photographs, and draw the held-out ones."""
    for pictures in dict.fromkeys(row["set"] for row in rows):
        print(f"{pictures}\n\n{ablations.table(rows, pictures=pictures)}\n")
    for suffix in style.SUFFIXES if folder else ():
        style.save(ablations.figure(rows), folder / f"ablations{suffix}")


def scored_sets(pictures: picture_sets.Pictures, extra: Path | None) -> dict[str, Score]:
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
    base: MetaTrainConfig,
    pictures: picture_sets.Pictures,
    sets: Mapping[str, Score],
    updates: int = UPDATES,
) -> list[dict]:
    """Return the rows of one variant of a base, which has the seed: one a set of photographs."""
    variant = VARIANTS[name]
    config = replace(base, **variant.change)
    work = work_of(config)
    steps = round(updates * work_of(base) / work) if variant.trained else 0
    seconds, spent = 0.0, 0.0
    with tempfile.TemporaryDirectory() as folder:
        start = starting_weights(variant.start, base.seed, Path(folder))
        if steps:
            config = replace(config, steps=steps, validate_every=steps)
            began = time.process_time()
            start = stages.meta_train(config, [], folder, init=start, pictures=pictures)
            if (reached := checkpoints.step_of(Path(folder) / "checkpoint.pt")) < steps:
                raise SystemExit(f"Stopped after {reached} of {steps} updates: start again to go on.")
            spent, seconds = time.process_time() - began, logs.read(Path(folder) / "log.jsonl")[-1]["seconds"]
        loaded = weights.load(start)
    facts = {"variant": name, "seed": base.seed, "updates": steps, "tflop": f"{steps * work / 1e12:.2f}"}
    facts |= {"seconds": f"{seconds:.0f}", "cpu_seconds": f"{spent:.0f}", "precision": base.precision}
    where = {
        "parameters": parameter_count(loaded.network),
        "commit": files.git_commit(),
        "device": "cpu",
        "date": datetime.date.today().isoformat(),
    }
    # The loop has scored the held-out photographs already.
    known = {"held-out": loaded.provenance["held_out"]} if steps else {}
    found = {key: known.get(key) or _scores(loaded, config, *chosen) for key, chosen in sets.items()}
    return [{**facts, "set": key, **_shown(scores), **where} for key, scores in found.items()]


def _scores(
    loaded: weights.Weights, config: MetaTrainConfig, pictures: list[OtherImages], degradations: list[Degradation]
) -> dict[str, float]:
    start = adaptation.starting_point(loaded.network)
    return stages.held_out_psnr_by_updates(
        loaded.network, start, pictures, degradations, config.upscaler(), loaded.rule
    )


def _shown(scores: Mapping[str, float]) -> dict[str, str]:
    return {f"psnr_{steps}": f"{scores[f'psnr_{steps}']:.4f}" for steps in stages.VALIDATION_STEPS}


def starting_weights(kind: str, seed: int, folder: Path) -> str | Path:
    """Return the shipped weights of this name, or a file in the folder with random ones of this seed."""
    if kind != "random":
        return kind
    path = folder / "random.safetensors"
    network = SRNetwork(generator=runtime.generator_for(seed, "weights"))
    weights.save(path, network, adaptation.starting_point(network), {"stage": "random", "seed": seed})
    return path


def work_of(config: MetaTrainConfig) -> int:
    """Return the operations of one update in convolutions and products of matrices, as torch counts them."""
    network, group = SRNetwork(generator=runtime.generator_for("work")), runtime.Group()
    source = tasks.PatchSource([datasets.example(datasets.EXAMPLES[0])])
    with FlopCounterMode(display=False) as counter:
        learned = stages.learned_step(config, network, None)
        meta_training.meta_gradient(network, source, config, config.distribution(), group, 0, learned)
    return counter.get_total_flops()


if __name__ == "__main__":
    main()
