"""What the options of the kernel-aware network bring, on held-out photographs, and what they cost.

    python benchmarks/plus_options.py results/lessons/plus_options.csv --weights mzsr-plus-x2 --data bsds500-train ...

The values of the shipped weights are chosen by this table: never by a test set.
"""

import argparse
import datetime
import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from tqdm import tqdm

from mzsr_lib import files
from mzsr_lib.imaging import images, kernels, metrics, picture_sets
from mzsr_lib.imaging.degradation import Degradation, from_setting
from mzsr_lib.methods import self_ensemble
from mzsr_lib.models import weights
from mzsr_lib.mzsr import adaptation
from mzsr_lib.shapes import Images, OtherImages

Option = Callable[[Images, Degradation], OtherImages]


def main() -> None:
    """Score and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--data", nargs="+", type=Path, required=True)
    parser.add_argument("--scales", nargs="+", type=int, default=[2])
    parser.add_argument("--only", nargs="+", help="names of options, by default all")
    parser.add_argument("--size", type=int, default=192, help="middle of each photograph, px")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    held_out = [images.centre_crop(p, arguments.size, 12) for p in picture_sets.read_pictures(arguments.data).held_out]
    loaded = weights.load(arguments.weights)
    facts = {"commit": loaded.provenance["commit"], "seed": loaded.provenance["seed"], "device": "cpu"}
    facts["date"] = datetime.date.today().isoformat()
    rows, chosen = [], {n: o for n, o in options(loaded).items() if n in (arguments.only or [n])}
    for (name, option), scale in tqdm(list(itertools.product(chosen.items(), arguments.scales))):
        for setting in kernels.named().values():
            psnr, seconds = score(option, from_setting(setting, scale), held_out)
            numbers = {"psnr": f"{psnr:.3f}", "seconds": f"{seconds:.2f}"}
            rows.append({"option": name, "setting": setting.name, "scale": scale, **numbers, **facts})
    files.write_rows(arguments.output, rows)


def options(loaded: weights.Weights) -> dict[str, Option]:
    """Return every option by name, ready to be called with (lr, degradation)."""
    network, start = loaded.network, adaptation.starting_point(loaded.network)
    base = replace(loaded.upscaler, final_mu=0.0)

    def with_input(**changes: float) -> Option:
        return lambda lr, camera: adaptation.super_resolve(network, start, lr, camera, replace(base, **changes))

    def updated(steps: int, rule: adaptation.Rule | None) -> Option:
        def run(lr: Images, camera: Degradation) -> OtherImages:
            *_, (params, _) = adaptation.adapt(network, start, lr, camera, steps, rule, base)
            return adaptation.super_resolve(network, params, lr, camera, base)

        return run

    def ensemble(lr: Images, camera: Degradation) -> OtherImages:
        return self_ensemble.ensemble(network, start, lr, camera, self_ensemble.samplings(camera), base)

    found = {"two passes": with_input(), "one pass": with_input(passes=1), "three passes": with_input(passes=3)}
    found |= {f"final_mu {mu:g}": with_input(final_mu=mu) for mu in (3e-3, 1e-2, 3e-2)}
    found |= {f"mu {mu:g}": with_input(mu=mu) for mu in (5e-4, 2e-3)}
    found |= {f"next_mu {mu:g}": with_input(next_mu=mu) for mu in (1e-3, 4e-3)}
    better = {"mu": 5e-4, "next_mu": 1e-3, "final_mu": 3e-3}
    found |= {
        "mu 0.0005, next 0.001, final 0.003": with_input(**better),
        "the same, mu 0.00025": with_input(**{**better, "mu": 2.5e-4}),
        "the same, three passes": with_input(**better, passes=3),
    }
    found |= {
        "ensemble": ensemble,
        "10 updates": updated(10, None),
        "10 updates at 0.1": updated(10, adaptation.SGD([0.1])),
    }
    return found


def score(option: Option, camera: Degradation, held_out: Sequence[OtherImages]) -> tuple[float, float]:
    """Return the mean PSNR (dB) and the seconds a picture."""
    total, began = 0.0, time.perf_counter()
    for hr in held_out:
        total += metrics.protocol_psnr(option(camera(hr), camera), hr, camera.scale)
    return total / len(held_out), (time.perf_counter() - began) / len(held_out)


if __name__ == "__main__":
    main()
