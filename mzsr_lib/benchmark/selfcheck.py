"""The check before anything is scored: plain bicubic must give the numbers that the paper prints.

If it does, the pictures, the degradation and the metric are the paper's. If it does not, no other
number can be compared with the paper's either.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from tabulate import tabulate
from tqdm import tqdm

from mzsr_lib.benchmark import datasets, published
from mzsr_lib.files import Failure, InputError, existing_folder
from mzsr_lib.imaging import images, kernels, metrics, picture_files
from mzsr_lib.imaging.degradation import Degradation, from_setting
from mzsr_lib.imaging.kernels import Setting
from mzsr_lib.mzsr.inputs import bicubic_input

DATASETS = ("set5", "bsd100", "urban100")
TOLERANCE = 0.02  # dB; the paper prints two decimals

# Cells that do not reproduce although all others of the same pictures do, with what plain bicubic
# gives in their place (dB). Anything else, in these cells too, fails.
EXCEPTIONS = {("bsd100", "gani_d", 2): 26.23}

PASSED, EXCEPTION, FAILED, NOT_APPLICABLE = "passed", "exception", "failed", "not-applicable"


class SelfCheckFailed(Failure):
    """Plain bicubic does not give what the paper prints; the message says where and by how much."""


def expected(directory: str | Path, setting: Setting, scale: int, mode: str | None = None) -> float | None:
    """Return the PSNR (dB) that the paper prints for plain bicubic in this setting, or None if it prints none.

    Parameters
    ----------
    directory
        A folder of pictures; it is known by their number and names.
    setting
        A kernel; only the named ones with their own sampling are in the paper.
    scale
        2 or 4 in the paper.
    mode
        The sampling, if it is not the setting's own.
    """
    name = datasets.recognise(directory)
    if name is None or setting.name not in kernels.named() or (mode or setting.mode) != setting.mode:
        return None
    value = published.lookup(name, setting.name, scale, "bicubic", 0)
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


def outcomes(
    directory: str | Path,
    cells: Sequence[tuple[Setting, int]],
    device: torch.device | str = "cpu",
    progress: bool = False,
) -> list[str]:
    """Check plain bicubic in settings (kernel, scale) of one data set, and return the outcome of each.

    It is ``"not-applicable"`` where the paper prints nothing.

    Raises
    ------
    SelfCheckFailed
        At the first that is neither right nor a known exception.
    """
    printed = [expected(directory, *cell) for cell in cells]
    known = [(cell, value) for cell, value in zip(cells, printed, strict=True) if value is not None]
    scores = []
    if known:
        scores = bicubic_psnr(directory, [from_setting(*cell).to(device) for cell, _ in known], progress)
    found = {}
    for ((setting, scale), value), psnr in zip(known, scores, strict=True):
        found[setting.name, scale] = require(datasets.recognise(directory), setting.name, scale, psnr, value)
    return [found.get((setting.name, scale), NOT_APPLICABLE) for setting, scale in cells]


def exception_note(dataset: str, kernel: str, scale: int) -> str:
    """Return the sentence that names a cell of `EXCEPTIONS` beside a table."""
    printed = published.lookup(dataset, kernel, scale, "bicubic", 0).psnr
    return (
        f"Known exception: on {dataset} with {kernel} x{scale} plain bicubic gives "
        f"{EXCEPTIONS[dataset, kernel, scale]:.2f} dB, and the paper prints {printed:.2f}; "
        "every other bicubic cell of these pictures agrees."
    )


def bicubic_psnr(directory: str | Path, degradations: Sequence[Degradation], progress: bool = False) -> list[float]:
    """Return the mean PSNR (dB) of plain bicubic over the pictures of a folder, for each degradation."""
    totals = torch.zeros(len(degradations), dtype=torch.float64)
    paths = picture_files.paths_in(directory)
    for path in tqdm(paths, Path(directory).name, unit="picture", disable=None if progress else True):
        picture = picture_files.load(path)
        scores = []
        for degradation in degradations:
            hr = images.crop_to_multiple(picture, degradation.scale).to(degradation.kernel.device)
            scores.append(metrics.protocol_psnr(bicubic_input(degradation(hr), degradation), hr, degradation.scale))
        totals += torch.tensor(scores, dtype=torch.float64)
    return (totals / len(paths)).tolist()


def selfcheck(
    root: str | Path | None = None, device: torch.device | str = "cpu", progress: bool = False
) -> list[dict[str, object]]:
    """Score plain bicubic on those of the paper's data sets that are there, beside the printed values.

    Parameters
    ----------
    root
        Parent of the folders ``set5``, ``bsd100`` and ``urban100``; by default `datasets.data_root`.

    Returns
    -------
    list
        A row a cell: dataset, kernel, scale, psnr, published, difference (dB), outcome.

    Raises
    ------
    InputError
        If none of the data sets is there as a whole.
    """
    root = existing_folder(root or datasets.data_root())
    complete = [name for name in DATASETS if datasets.recognise(root / name) == name]
    if not complete:
        names = ", ".join(DATASETS)
        raise InputError(f"{root} holds none of {names} as a whole: fetch one with 'mzsr data fetch {DATASETS[0]}'.")
    return [row for name in complete for row in _check_dataset(root / name, name, device, progress)]


def _check_dataset(directory: Path, name: str, device: torch.device | str, progress: bool) -> list[dict[str, object]]:
    cells = [(s, scale, expected(directory, s, scale)) for scale in (2, 4) for s in kernels.named().values()]
    cells = [cell for cell in cells if cell[2] is not None]
    degradations = [from_setting(setting, scale).to(device) for setting, scale, _ in cells]
    rows = []
    for (setting, scale, printed), psnr in zip(cells, bicubic_psnr(directory, degradations, progress), strict=True):
        row = {"dataset": name, "kernel": setting.name, "scale": scale, "psnr": psnr, "published": printed}
        outcome = verdict(name, setting.name, scale, psnr, printed)
        rows.append({**row, "difference": psnr - printed, "outcome": outcome})
    return rows


def table(rows: Sequence[dict[str, object]]) -> str:
    """Return the rows of `selfcheck` as a Markdown table, with a sentence for each known exception in it."""
    text = tabulate(rows, headers="keys", tablefmt="pipe", floatfmt=("", "", "", ".2f", ".2f", "+.3f", ""))
    cells = [(row["dataset"], row["kernel"], row["scale"]) for row in rows if row["outcome"] == EXCEPTION]
    return "\n\n".join([text, *(exception_note(*cell) for cell in cells)])


def summary(rows: Sequence[dict[str, object]]) -> str:
    """Return one sentence about the rows of `selfcheck`.

    Raises
    ------
    SelfCheckFailed
        If a cell failed; the sentence names the worst.
    """
    failed = [row for row in rows if row["outcome"] == FAILED]
    if failed:
        worst = max(failed, key=lambda row: abs(row["difference"]))
        require(*(worst[key] for key in ("dataset", "kernel", "scale", "psnr", "published")))
    exceptions = sum(row["outcome"] == EXCEPTION for row in rows)
    missing = [name for name in DATASETS if name not in {row["dataset"] for row in rows}]
    text = f"{len(rows) - exceptions} of {len(rows)} cells agree within {TOLERANCE} dB; known exceptions: {exceptions}."
    return text + (f" Not there as a whole: {', '.join(missing)}." if missing else "")
