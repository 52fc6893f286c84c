"""Score methods on a folder of pictures: one row a picture with its provenance, and a table of means."""

import datetime
import functools
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean

import torch
from tabulate import tabulate
from tqdm import tqdm

from mzsr_lib.benchmark import datasets, published, selfcheck
from mzsr_lib.files import InputError, git_commit, read_rows
from mzsr_lib.imaging import images, kernels, metrics, picture_files
from mzsr_lib.imaging.degradation import Degradation, from_setting
from mzsr_lib.imaging.kernels import Setting
from mzsr_lib.methods import registry
from mzsr_lib.methods.registry import Method
from mzsr_lib.models import weights
from mzsr_lib.shapes import Images, OtherImages

Row = dict[str, object]

# fmt: off
COLUMNS = (
    "dataset", "image", "kernel", "mode", "scale", "method", "steps", "psnr", "ssim",
    "seconds", "device", "weights", "weights_hash", "commit", "date", "seed", "selfcheck",
)
# fmt: on

# Rows that agree in these are averaged.
GROUP = ("dataset", "kernel", "mode", "scale", "method", "steps", "weights")


def evaluate(
    folder: str | Path,
    setting: Setting,
    scale: int,
    methods: Sequence[Method],
    mode: str | None = None,
    seed: int = 0,
    device: torch.device | str = "cpu",
    progress: bool = False,
) -> list[Row]:
    """Degrade the pictures of a folder, super-resolve them with each method, and score (the paper's protocol).

    When the paper prints a bicubic score for the setting, plain bicubic is compared with it first.

    Parameters
    ----------
    folder
        High-resolution pictures; they are cropped to a multiple of the scale.
    setting
        The kernel, see `kernel_files.parse`.
    scale
        2, 3 or 4.
    methods
        See `registry.sweep`.
    mode
        ``"direct"`` or ``"bicubic"`` instead of the setting's own sampling.
    seed
        What the methods were built with; kept in the rows.
    device
        Where the methods were put.
    progress
        Show a bar.

    Returns
    -------
    list
        Rows with `COLUMNS`; psnr in dB, seconds of the method alone.

    Raises
    ------
    InputError
        If a picture is too small, before any work.
    selfcheck.SelfCheckFailed
        If plain bicubic does not give what the paper prints.
    """
    degradation = from_setting(setting, scale, mode).to(device)
    paths = picture_files.paths_in(folder)
    for path in paths:
        check_picture(path, degradation, any(method.steps for method in methods))
    name = datasets.recognise(folder) or Path(folder).resolve().name
    facts = {"dataset": name, "kernel": setting.name, "mode": degradation.mode, "scale": scale}
    origin = {"device": str(device), "commit": git_commit(), "seed": seed}
    rows, outcome = [], None
    with tqdm(total=len(methods) * len(paths), unit="picture", disable=None if progress else True) as bar:
        for method in sorted(methods, key=lambda method: method.name != "bicubic"):
            if method.name != "bicubic" and outcome is None:
                outcome = _check_pipeline(folder, setting, degradation, mode, rows)
            for path in paths:
                rows.append({**facts, "image": path.name, **scored(path, method, degradation), **origin})
                bar.update()
    outcome = outcome or _check_pipeline(folder, setting, degradation, mode, rows)
    return [{column: (row | {"selfcheck": outcome})[column] for column in COLUMNS} for row in rows]


def check_picture(path: Path, degradation: Degradation, adapts: bool) -> None:
    """Raise `InputError` when a picture, or its low-resolution version, is too small for the kernel."""
    try:
        hr = images.crop_to_multiple(picture_files.load(path), degradation.scale)
        degradation.check(hr)
        metrics.protocol_luma(hr, degradation.scale)
        if adapts:
            degradation.check(
                images.crop_to_multiple(hr[..., :: degradation.scale, :: degradation.scale], degradation.scale)
            )
    except InputError as error:
        raise InputError(f"{path.name} cannot be used: {error}") from None


def _check_pipeline(
    folder: str | Path, setting: Setting, degradation: Degradation, mode: str | None, rows: Sequence[Row]
) -> str:
    """Return the outcome of the self-check of this setting; the bicubic rows, if there are any, are its scores."""
    printed = selfcheck.expected(folder, setting, degradation.scale, mode)
    if printed is None:
        return selfcheck.NOT_APPLICABLE
    scores = [row["psnr"] for row in rows if row["method"] == "bicubic"]
    psnr = fmean(scores) if scores else selfcheck.bicubic_psnr(folder, [degradation])[0]
    return selfcheck.require(datasets.recognise(folder), setting.name, degradation.scale, psnr, printed)


def scored(path: Path, method: Method, degradation: Degradation) -> Row:
    """Degrade one picture, run the method on it, and return what is to be noted: scores, method, weights and day."""
    hr = images.crop_to_multiple(picture_files.load(path), degradation.scale).to(degradation.kernel.device)
    sr, seconds = _timed(method, degradation(hr), degradation)
    psnr, ssim = metrics.score(sr, hr, degradation.scale)
    scores = {"psnr": round(psnr, 4), "ssim": round(ssim, 5), "seconds": round(seconds, 4)}
    origin = {"date": datetime.datetime.now(datetime.UTC).date().isoformat(), **described(method)}
    return scores | origin


def described(method: Method) -> Row:
    """Return the columns that tell methods apart: name, updates, weights, and the hash of the weights' content."""
    digest = weights.fingerprint(method.weights) if method.weights else ""
    return {"method": method.name, "steps": method.steps, "weights": method.weights, "weights_hash": digest}


def _timed(method: Method, lr: Images, degradation: Degradation) -> tuple[OtherImages, float]:
    """Return the picture and the seconds it took; a GPU works on its own clock, so it is waited for."""
    wait = torch.cuda.synchronize if lr.is_cuda else lambda: None
    wait()
    began = time.perf_counter()
    sr = method(lr, degradation)
    wait()
    return sr, time.perf_counter() - began


@functools.cache
def _kernels() -> tuple[str, ...]:
    return tuple(kernels.named())


def place(row: Row) -> tuple:
    """Return what sorts rows and means: data set, scale, kernel, method, weights, updates, picture.

    Names come in the order of the manifest, the paper's kernels and `registry.METHODS`; others after them.
    """
    orders = {"dataset": datasets.manifest(), "kernel": _kernels(), "method": registry.METHODS}
    rank = {column: ([*order, row[column]].index(row[column]), row[column]) for column, order in orders.items()}
    place = (rank["dataset"], int(row["scale"]), rank["kernel"], rank["method"], row["weights"], int(row["steps"]))
    return (*place, row.get("image", ""))


def read(path: str | Path) -> list[Row]:
    """Read measured rows back from their file.

    Raises
    ------
    InputError
        If the file holds something else, or a line without its numbers: which line is told.
    """
    rows = read_rows(path)
    for number, row in enumerate(rows, start=2):
        if missing := set(COLUMNS) - {name for name, value in row.items() if value is not None}:
            what = f"has no {', '.join(sorted(missing))}"
            raise InputError(
                f"{path} holds other rows than measured ones (line {number} {what}): move it away, or mend it."
            )
        try:
            [float(row[name]) for name in ("scale", "steps", "psnr", "ssim", "seconds")]
        except ValueError as error:
            raise InputError(f"{path} is damaged in line {number} ({error}): mend or delete that line.") from None
    return rows


def means(rows: Iterable[Row]) -> list[Row]:
    """Average rows (from `evaluate`, or read back from its file) over the pictures.

    The columns are those of `GROUP`, then images (their number), psnr, ssim, seconds, published (what
    the paper prints, where the self-check says that it can be compared) and selfcheck (its outcome).
    """
    groups: dict[tuple, list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(str(row[column]) for column in (*GROUP, "selfcheck")), []).append(row)
    return [_mean(members) for members in groups.values()]


def _mean(rows: Sequence[Row]) -> Row:
    first = rows[0]
    averages = {column: fmean(float(row[column]) for row in rows) for column in ("psnr", "ssim", "seconds")}
    compared = {"published": _published(first), "selfcheck": first["selfcheck"]}
    return {**{column: first[column] for column in GROUP}, "images": len(rows), **averages, **compared}


def _published(row: Row) -> published.Value | None:
    if row["selfcheck"] not in (selfcheck.PASSED, selfcheck.EXCEPTION):
        return None
    steps = int(row["steps"])
    # The paper gives no number of steps for ZSSR: it is the method with its authors' settings.
    if row["method"] == "zssr":
        steps = None if steps == registry.REGISTRY["zssr"].updates else steps
    return published.lookup(row["dataset"], row["kernel"], int(row["scale"]), row["method"], steps)


def table(averages: Sequence[Row]) -> str:
    """Return `means` as a Markdown table: PSNR in dB, SSIM, the paper's PSNR / SSIM, and seconds a picture.

    A sentence below names the known exceptions of the self-check that are among the settings.
    """
    shown, notes = [], {}
    for row in averages:
        value = row["published"]
        printed = "-" if value is None else f"{value.psnr:.2f} / {value.ssim:.3f}"
        cells = {column: row[column] for column in (*GROUP, "images")} | {"weights": row["weights"] or "-"}
        numbers = {"PSNR (dB)": f"{row['psnr']:.2f}", "SSIM": f"{row['ssim']:.3f}", "published": printed}
        shown.append({**cells, **numbers, "s / image": f"{row['seconds']:.3g}"})
        if row["selfcheck"] == selfcheck.EXCEPTION:
            notes[selfcheck.exception_note(row["dataset"], row["kernel"], int(row["scale"]))] = None
    aligned = ["right" if column in ("scale", "steps", "images") else "left" for column in (*GROUP, "images")]
    text = tabulate(shown, headers="keys", tablefmt="pipe", disable_numparse=True, colalign=(*aligned, *["right"] * 4))
    return "\n\n".join([text, *notes])
