"""Fit the kernel estimator to half of a folder of photographs and measure it on the other half.

    python benchmarks/estimation.py FOLDER results/lessons/kernel_estimation.csv [--pictures 200]

Use photographs that no test set contains, such as BSDS500 train. The coefficients that are printed are
those of `mzsr_lib.imaging.estimation.SHIPPED`; the rows say how far the widths are off, beside three other rules,
and what the error costs in PSNR.
"""

import argparse
import datetime
import io
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

from mzsr_lib import files
from mzsr_lib.imaging import estimation, images, kernels, metrics, picture_files, restoration
from mzsr_lib.imaging.degradation import Degradation
from mzsr_lib.imaging.estimation import Coefficients, Estimate
from mzsr_lib.methods import registry
from mzsr_lib.runtime import generator_for

CANDIDATES = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0)  # px^2, for rules that search
DAMAGES = ("none", "noise 2/255", "noise 5/255", "JPEG 95", "JPEG 90", "JPEG 75")


class Sample(NamedTuple):
    """A low-resolution picture and the true blur."""

    hr: torch.Tensor
    lr: torch.Tensor
    truth: Estimate
    isotropic: bool

    @property
    def cov(self) -> torch.Tensor:
        """The covariance (2, 2)."""
        return kernels.covariance(self.truth.lambda1, self.truth.lambda2, self.truth.theta)


def samples(paths: list[Path], seed: int) -> Iterator[Sample]:
    """Blur each picture three times: by a round kernel of any width, by a wide round one, and by a slanted one."""
    for path in paths:
        hr = images.crop_to_multiple(picture_files.load(path), 4)
        for number in range(3):
            u, v, w = torch.rand(3, generator=generator_for(seed, path.stem, number)).tolist()
            lambda1 = 1 + 4 * u if number == 1 else 0.5 * 10**u
            lambda2 = 0.5 * (lambda1 / 0.5) ** v if number == 2 else lambda1
            truth = Estimate(lambda1, lambda2, math.pi * w)
            lr = Degradation(truth.kernel, 2)(hr)
            yield Sample(hr, lr, truth, number < 2)


def damaged(lr: torch.Tensor, damage: str, number: int) -> torch.Tensor:
    """Add white noise, or write as JPEG and read again."""
    kind, _, amount = damage.partition(" ")
    if kind == "noise":
        sigma = int(amount.partition("/")[0]) / 255
        noise = torch.randn(lr.shape, generator=generator_for(number, damage))
        return images.round_to_8_bits(lr + sigma * noise)
    if kind == "JPEG":
        buffer = io.BytesIO()
        array = images.to_bytes(lr)[0].permute(1, 2, 0).numpy()
        Image.fromarray(array).save(buffer, "JPEG", quality=int(amount))
        return torch.from_numpy(np.array(Image.open(buffer), dtype=np.float32) / 255).permute(2, 0, 1)[None]
    return lr


def fitted(members: list[Sample]) -> Coefficients:
    """Fit to the clean pictures, to slightly noisy ones and to well compressed ones."""
    measured, covs = [], []
    for damage in ("none", "noise 2/255", "JPEG 95"):
        for number, sample in enumerate(members):
            measured.append(estimation.steepness(damaged(sample.lr, damage, number)))
            covs.append(sample.cov)
    return fit(torch.stack(measured), torch.stack(covs))


def fit(measured: torch.Tensor, covs: torch.Tensor, ridge: float = 1e-6) -> Coefficients:
    """Return the coefficients that fit pictures with known blurs best, by least squares.

    Parameters
    ----------
    measured
        (n, 4, 3), `estimation.steepness` of each picture.
    covs
        (n, 2, 2), the covariances of their kernels in px^2.
    ridge
        Weight of the squared coefficients.
    """
    measured, covs = measured.double(), covs.double()
    mean, axes, diagonals = estimation.features(measured)
    # The square root of a 2 x 2 matrix: (C + sqrt(det C)) / sqrt(trace C + 2 sqrt(det C)).
    det = torch.linalg.det(covs).sqrt()
    scale = (covs[:, 0, 0] + covs[:, 1, 1] + 2 * det).sqrt()
    a = scale / 2
    b, c = (covs[:, 0, 0] - covs[:, 1, 1]) / 2 / scale, covs[:, 0, 1] / scale
    pairs = ((estimation.products(mean), torch.log(a)), (axes, b / a), (diagonals, c / a))
    return Coefficients(*(_least_squares(matrix, wanted, ridge) for matrix, wanted in pairs))


def _least_squares(matrix: torch.Tensor, wanted: torch.Tensor, ridge: float) -> tuple[float, ...]:
    square = matrix.T @ matrix + ridge * len(matrix) * torch.eye(matrix.shape[1], dtype=matrix.dtype)
    return tuple(round(float(value), 3) for value in torch.linalg.solve(square, matrix.T @ wanted))


def searched(lr: torch.Tensor, cost: Callable[[torch.Tensor, Degradation], float]) -> Estimate:
    """Return the round candidate with the smallest cost."""
    camera = {value: Degradation(Estimate(value, value, 0.0).kernel, 2) for value in CANDIDATES}
    best = min(CANDIDATES, key=lambda value: cost(lr, camera[value]))
    return Estimate(best, best, 0.0)


def son_error(lr: torch.Tensor, camera: Degradation) -> float:
    """Return how well the picture is restored from its own son: the loss that the updates minimise."""
    target, son = camera.with_son(lr)
    return float((restoration.restore(son, camera) - target).abs().mean())


def patch_distance(lr: torch.Tensor, camera: Degradation) -> float:
    """Return how far patches of the picture are from their nearest ones in its son (after Michaeli and Irani)."""
    target, son = camera.with_son(lr)
    wanted, given = (F.unfold(images.luma(x) / 219, 5)[0].T for x in (target, son))
    wanted = wanted[wanted.std(dim=1).argsort(descending=True)[:800]]
    wanted, given = (x - x.mean(dim=1, keepdim=True) for x in (wanted, given))
    return float(torch.cdist(wanted, given).min(dim=1).values.square().mean())


def row(what: str, kind: str, damage: str, size: str, values: list[float], unit: str) -> dict[str, object]:
    """Summarise values as a row."""
    array = np.array(values)
    numbers = {"count": len(array), "median": round(float(np.median(array)), 3)}
    numbers |= {"mean": round(float(array.mean()), 3), "p90": round(float(np.quantile(array, 0.9)), 3)}
    return {"what": what, "kernels": kind, "damage": damage, "lr_px": size} | numbers | {"unit": unit}


def errors(members: list[Sample], rule: Callable[[torch.Tensor], Estimate], damage: str, side: int) -> list[float]:
    """Return the error of a rule on damaged pictures, or on the middle `side` px of them."""
    found = []
    for number, sample in enumerate(members):
        y, x = ((size - side) // 2 if side else 0 for size in sample.lr.shape[-2:])
        lr = sample.lr[..., y : y + side, x : x + side] if side else sample.lr
        guess = rule(damaged(lr, damage, number))
        found.append(estimation.width_error(guess, sample.truth.lambda1, sample.truth.lambda2))
    return found


def score(sample: Sample, method: registry.Method, told: Estimate, part: int) -> float:
    """Return the PSNR (dB) of a method that is told a blur, on the middle of a picture."""
    y, x = (2 * ((size - part) // 4) for size in sample.hr.shape[-2:])
    hr = sample.hr[..., y : y + part, x : x + part]
    lr = sample.lr[..., y // 2 : (y + part) // 2, x // 2 : (x + part) // 2]
    return metrics.protocol_psnr(method(lr, Degradation(told.kernel, 2)), hr, 2)


def lost(
    members: list[Sample], rules: dict[str, Callable], method: registry.Method, part: int
) -> dict[str, list[float]]:
    """Return the PSNR lost with each rule's kernel instead of the true one, dB, on the middle of the pictures.

    Beside them what is lost with the blind network instead of the method: it is told no kernel.
    """
    blind = registry.build("blind")
    found: dict[str, list[float]] = {name: [] for name in (*rules, "blind network")}
    for sample in members:
        best = score(sample, method, sample.truth, part)
        for name, rule in rules.items():
            found[name].append(best - score(sample, method, rule(sample.lr), part))
        found["blind network"].append(best - score(sample, blind, sample.truth, part))
    return found


def main() -> None:
    """Fit, measure, write the rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--searched", type=int, default=40, help="pictures for the rules that search")
    parser.add_argument("--scored", type=int, default=24, help="pictures on which PSNR is taken")
    parser.add_argument("--part", type=int, default=160, help="middle of the picture on which PSNR is taken, px")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    files.check_writable(arguments.output)
    paths = picture_files.paths_in(arguments.folder)[: arguments.pictures]
    coefficients = fitted(list(samples(paths[::2], arguments.seed)))
    print(coefficients)
    test = list(samples(paths[1::2], arguments.seed))
    rows = measure(test, coefficients, arguments.searched, arguments.scored, arguments.part)
    provenance = {"folder": arguments.folder.name, "seed": arguments.seed, "device": "cpu"}
    provenance |= {"commit": files.git_commit(), "date": datetime.date.today().isoformat()}
    files.write_rows(arguments.output, [line | provenance for line in rows])


def closed_form() -> registry.Method:
    """Return the restoration without learning, at its own trust in the enlarged picture."""
    return registry.Method("restore", registry.at_once(restoration.restore))


def measure(
    test: list[Sample], coefficients: Coefficients, few: int, scored: int, part: int
) -> list[dict[str, object]]:
    """Return all rows."""
    middle = Estimate(1.8, 1.8, 0.0)  # the middle of the widths that are drawn
    rules = {
        "estimate": lambda lr: estimation.estimate(lr, coefficients),
        "always 1.8 px^2": lambda lr: middle,
        "smallest son error": lambda lr: searched(lr, son_error),
        "nearest patches": lambda lr: searched(lr, patch_distance),
    }
    rounds, slanted = [s for s in test if s.isotropic], [s for s in test if not s.isotropic]
    rows = []
    for kind, members in (("round", rounds), ("slanted", slanted)):
        for damage in DAMAGES:
            rows.append(row("estimate", kind, damage, "240 x 160", errors(members, rules["estimate"], damage, 0), "px"))
        for side in (128, 64):
            found = errors(members, rules["estimate"], "none", side)
            rows.append(row("estimate", kind, "none", f"{side} x {side}", found, "px"))
    for name in list(rules)[1:]:
        for kind, members in (("round", rounds), ("slanted", slanted)):
            chosen = members[:few] if name != "always 1.8 px^2" else members
            rows.append(row(name, kind, "none", "240 x 160", errors(chosen, rules[name], "none", 0), "px"))
    mzsr, closed = registry.build("mzsr:10"), closed_form()
    for kind, members in (("round", rounds[::2]), ("slanted", slanted)):
        for method in (mzsr, closed):
            for name, values in lost(members[:scored], {k: rules[k] for k in list(rules)[:3]}, method, part).items():
                title = f"{name}, PSNR lost by {method.name}"
                rows.append(row(title, kind, "none", f"{part // 2} x {part // 2}", values, "dB"))
    return rows


if __name__ == "__main__":
    main()
