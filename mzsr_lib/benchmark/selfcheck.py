"""The check before anything is scored: plain bicubic must give the numbers that the paper prints.

If it does, the pictures, the degradation and the metric are the paper's. If it does not, no other
number can be compared with the paper's either.
"""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import pandas as pd
import torch
from tqdm import tqdm

from mzsr_lib.benchmark import datasets, measuring, published
from mzsr_lib.benchmark.measuring import Job, Key, Row, Rows
from mzsr_lib.files import Failure, InputError, existing_folder
from mzsr_lib.imaging import kernels
from mzsr_lib.imaging.kernels import Setting
from mzsr_lib.methods import registry

DATASETS = ("set5", "bsd100", "urban100")
TOLERANCE = 0.02  # dB; the paper prints two decimals

# Cells that do not reproduce although all others of the same pictures do, with what plain bicubic
# gives in their place (dB). Anything else, in these cells too, fails.
EXCEPTIONS = {("bsd100", "gani_d", 2): 26.23}

PASSED, EXCEPTION, FAILED, NOT_APPLICABLE = measuring.OUTCOMES


class SelfCheckFailed(Failure):
    """Plain bicubic does not give what the paper prints; the message says where and by how much."""


def expected(folder: str | Path | None, setting: Setting, scale: int) -> float | None:
    """Return the PSNR (dB) that the paper prints for plain bicubic in this setting, or None if it prints none.

    Parameters
    ----------
    folder
        Of pictures; they are known by their content.
    setting
        A kernel, known by its content; only the paper's with their own sampling are in the paper.
    scale
        2 or 4 in the paper.
    """
    name, kernel = folder and datasets.recognise(folder), kernels.paper_name(setting.fingerprint, setting.mode)
    if name is None or kernel is None:
        return None
    value = published.lookup(name, kernel, scale, "bicubic", 0)
    return None if value is None else value.psnr


def verdict(dataset: str, kernel: str, scale: int, psnr: float, printed: float) -> str:
    """Return ``"passed"``, ``"exception"`` (a cell of `EXCEPTIONS`, with the value known for it) or ``"failed"``."""
    if abs(psnr - printed) <= TOLERANCE:
        return PASSED
    known = EXCEPTIONS.get((dataset, kernel, scale))
    return EXCEPTION if known is not None and abs(psnr - known) <= TOLERANCE else FAILED


def require(dataset: str, kernel: str, scale: int, psnr: float, printed: float) -> str:
    """Return the verdict, or raise `SelfCheckFailed` when it is ``"failed"``."""
    found = verdict(dataset, kernel, scale, psnr, printed)
    if found == FAILED:
        raise SelfCheckFailed(
            f"The self-check failed: plain bicubic gives {psnr:.2f} dB on {dataset} with {kernel} x{scale}, and the "
            f"paper prints {printed:.2f}; the pictures or this program differ from the paper's, so no score is given."
        )
    return found


def outcomes(jobs: Sequence[Job], progress: bool = False) -> tuple[dict[tuple, str], dict[Key, Row]]:
    """Check plain bicubic in the settings of jobs, on all pictures of their folders.

    Returns
    -------
    dict, dict
        The outcome of each setting by `Job.cell`, ``"not-applicable"`` where the paper prints nothing; and the
        rows of plain bicubic, by `Job.key`.

    Raises
    ------
    SelfCheckFailed
        At the first that is neither right nor a known exception.
    """
    cells = {job.cell: job for job in jobs}
    known = {cell: expected(job.folder, job.setting, job.scale) for cell, job in cells.items()}
    printed = {cell: psnr for cell, psnr in known.items() if psnr is not None}
    checks = [check for cell in printed for check in bicubic_jobs(cells[cell])]
    rows = [check.measure() for check in tqdm(checks, "self-check", disable=None if progress and checks else True)]
    found = dict.fromkeys(cells, NOT_APPLICABLE)
    for cell, psnr in printed.items():
        mean = fmean(row["psnr"] for row, check in zip(rows, checks, strict=True) if check.cell == cell)
        folder, kernel, mode, scale = cell
        name = str(folder and datasets.recognise(folder))
        found[cell] = require(name, str(kernels.paper_name(kernel, mode)), scale, mean, psnr)
    return found, {check.key: row for check, row in zip(checks, rows, strict=True)}


def bicubic_jobs(job: Job) -> list[Job]:
    """Return the jobs of plain bicubic on all pictures of the folder and in the setting of a job."""
    method = registry.build("bicubic", replace(job.method.options, weights=None, ensemble=False))
    return measuring.in_folder(job.dataset, job.folder, [job.setting], [method]) if job.folder else []


def exception_note(dataset: str, kernel: str, scale: int) -> str:
    """Return the sentence that names a cell of `EXCEPTIONS` beside a table."""
    printed = published.cells(dataset, kernel, scale)["bicubic", 0].psnr
    return (
        f"Known exception: on {dataset} with {kernel} x{scale} plain bicubic gives "
        f"{EXCEPTIONS[dataset, kernel, scale]:.2f} dB, and the paper prints {printed:.2f}; "
        "every other bicubic cell of these pictures agrees."
    )


def selfcheck(root: str | Path | None = None, device: torch.device | str = "cpu", progress: bool = False) -> Rows:
    """Score plain bicubic on those of the paper's data sets that are there, beside the printed values.

    Parameters
    ----------
    root
        Parent of the folders ``set5``, ``bsd100`` and ``urban100``; by default `datasets.data_root`.
    device
        Where to compute.
    progress
        Show bars.

    Returns
    -------
    DataFrame
        A row a cell: dataset, kernel, scale, psnr, published, difference (dB), outcome.

    Raises
    ------
    InputError
        If none of the data sets is there as a whole.
    """
    root = existing_folder(root or datasets.data_root())
    # By their names: that the content is the paper's is what is looked for.
    complete = [name for name in DATASETS if datasets.named_like(root / name) == name]
    if not complete:
        names = ", ".join(DATASETS)
        raise InputError(
            f"{root} holds none of {names} as a whole: fetch one with 'mzsr data fetch {DATASETS[0]} --data {root}'."
        )
    methods = [registry.build("bicubic", registry.Options(device=device, scale=scale)) for scale in (2, 4)]
    cells = []
    for name, method, setting in itertools.product(complete, methods, kernels.named().values()):
        cell = published.lookup(name, setting.name, method.options.scale, "bicubic", 0)
        if cell is not None:
            printed = cell.psnr
            jobs = measuring.in_folder(name, root / name, [setting], [method])
            bar = tqdm(jobs, f"{name} {setting.name}", unit="picture", disable=None if progress else True)
            psnr, cell = fmean(job.measure()["psnr"] for job in bar), (name, setting.name, method.options.scale)
            cells.append((*cell, psnr, printed, psnr - printed, verdict(*cell, psnr, printed)))
    return pd.DataFrame(cells, columns=["dataset", "kernel", "scale", "psnr", "published", "difference", "outcome"])


def table(cells: Rows) -> str:
    """Return the cells of `selfcheck` as a Markdown table, with a sentence for each known exception among them."""
    text = cells.to_markdown(index=False, floatfmt=("", "", "", ".2f", ".2f", "+.3f", ""))
    known = cells.loc[cells["outcome"] == EXCEPTION, ["dataset", "kernel", "scale"]]
    return "\n\n".join([text, *(exception_note(*cell) for cell in known.itertuples(index=False, name=None))])


def summary(cells: Rows) -> str:
    """Return one sentence about the cells of `selfcheck`.

    Raises
    ------
    SelfCheckFailed
        If a cell failed; the sentence names the worst.
    """
    failed = cells[cells["outcome"] == FAILED].to_dict("records")
    if failed:
        worst = max(failed, key=lambda cell: abs(cell["difference"]))
        require(*(worst[key] for key in ("dataset", "kernel", "scale", "psnr", "published")))
    exceptions = (cells["outcome"] == EXCEPTION).sum()
    missing = [name for name in DATASETS if name not in set(cells["dataset"])]
    text = (
        f"{len(cells) - exceptions} of {len(cells)} cells agree within {TOLERANCE} dB; known exceptions: {exceptions}."
    )
    return text + (f" Not there as a whole: {', '.join(missing)}." if missing else "")
