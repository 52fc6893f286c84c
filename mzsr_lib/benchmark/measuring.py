"""One picture in one setting by one method is a job; measured, it is a row. Rows are kept in tables of pandas."""

import datetime
import functools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pandas as pd
import torch

from mzsr_lib.benchmark import datasets
from mzsr_lib.files import InputError, atomic_path, git_commit
from mzsr_lib.imaging import images, kernels, metrics, picture_files
from mzsr_lib.imaging.degradation import Degradation, from_setting
from mzsr_lib.imaging.kernels import Setting
from mzsr_lib.methods.catalogue import ENTRIES
from mzsr_lib.methods.registry import Method
from mzsr_lib.models import weights
from mzsr_lib.runtime import generator_for
from mzsr_lib.shapes import Images, OtherImages

# What pandas says of the columns of a table is a union of everything: for the types it may be anything, and the tests
# look whether it is a table.
if TYPE_CHECKING:
    Rows: TypeAlias = Any
else:
    Rows = pd.DataFrame
Row = dict[str, Any]
Key = tuple[str, ...]

# fmt: off
COLUMNS = (
    "dataset", "image", "kernel", "mode", "scale", "method", "steps", "agree", "psnr", "ssim",
    "seconds", "device", "precision", "weights", "weights_hash", "commit", "date", "seed", "selfcheck",
)
# fmt: on
NUMBERS = {"scale": int, "steps": int, "psnr": float, "ssim": float, "seconds": float}
# What rows that were written before there was such a column mean.
MEANT = {"agree": "no", "precision": "float32"}

# Rows that agree in these are averaged.
GROUP = ("dataset", "kernel", "mode", "scale", "method", "steps", "agree", "weights")
# A measured row with the same values is the same job, finished.
IDENTITY = (*GROUP, "image", "weights_hash", "seed")


@dataclass(frozen=True, eq=False)
class Job:
    """One picture in one setting by one method: what is measured at a time.

    Attributes
    ----------
    dataset, image
        Names of the pictures and of this one.
    load
        Returns the sharp picture (1, 3, H, W).
    setting
        The kernel and sampling that make the low-resolution picture.
    method
        See `registry.build`; its scale is that of the job.
    folder
        Where the pictures lie, if the self-check is to look whether they are the paper's.
    told
        What the method is told, if it is not the truth.
    noise
        Standard deviation, in [0, 1], of white noise in the low-resolution picture, of which the method is not told.
    more
        Further columns of the row.
    """

    dataset: str
    image: str
    load: Callable[[], Images]
    setting: Setting
    method: Method
    folder: Path | None = None
    told: Setting | None = None
    noise: float = 0.0
    more: Row = field(default_factory=dict)

    @property
    def scale(self) -> int:
        """High resolution / low resolution."""
        return self.method.options.scale

    @property
    def camera(self) -> Degradation:
        """What makes the low-resolution picture, where the method computes; the method is told of no noise."""
        return from_setting(self.setting, self.scale).to(self.method.options.device)

    def low(self, hr: Images) -> OtherImages:
        """Return the low-resolution picture of a sharp one, the same every time."""
        noisy = replace(self.camera, noise=self.noise)
        return noisy(hr, generator_for("noise", self.image, device=hr.device))

    @property
    def facts(self) -> Row:
        """The columns of the row that are known before the work."""
        place = {"dataset": self.dataset, "image": self.image, "kernel": self.setting.name}
        return place | {"mode": self.setting.mode, "scale": self.scale} | described(self.method) | self.more

    @property
    def key(self) -> Key:
        """What tells whether it is finished, see `IDENTITY`."""
        return key_of(self.facts, (*IDENTITY, *self.more))

    @property
    def cell(self) -> tuple[Path | None, str, str, int]:
        """The setting: folder, kernel, sampling and scale."""
        return self.folder, self.setting.name, self.setting.mode, self.scale

    def check(self) -> None:
        """Raise `InputError` when the picture, or its low-resolution version, is too small for the kernel."""
        camera = from_setting(self.setting, self.scale)
        try:
            hr = images.crop_to_multiple(self.load(), self.scale)
            camera.check(hr)
            metrics.protocol_luma(hr, self.scale)
            if self.method.steps > 0:
                camera.check(images.crop_to_multiple(hr[..., :: self.scale, :: self.scale], self.scale))
        except InputError as error:
            raise InputError(f"{self.image} cannot be used: {error}") from None

    @property
    def course(self) -> tuple:
        """The same for jobs that differ only in where one course of updates stops, and in the agreement."""
        columns = [name for name in IDENTITY if name not in ("steps", "agree")]
        told = None if self.told is None else (self.told.name, id(self.told.kernel))
        return key_of(self.facts, columns), self.method.course, self.folder, told, self.noise

    def measure(self) -> Row:
        """Degrade the picture, run the method on it, and return the row: PSNR in dB, seconds of the method alone."""
        [(_, row)] = together([self])
        return row

    def row(self, hr: Images, sr: OtherImages, seconds: float) -> Row:
        """Return the row of a picture that the method made of the low-resolution version of `hr` in so many seconds."""
        psnr, ssim = metrics.score(sr, hr, self.scale)
        scores = {"psnr": round(psnr, 4), "ssim": round(ssim, 5), "seconds": round(seconds, 4)}
        today = datetime.datetime.now(datetime.UTC).date().isoformat()
        made = {"device": hr.device.type, "precision": self.method.precision, "commit": _commit(), "date": today}
        return self.facts | scores | made


def courses(jobs: Iterable[Job]) -> list[list[Job]]:
    """Return jobs in groups that `together` measures at once, in the order of the first of each."""
    found: dict[tuple, list[Job]] = {}
    for job in jobs:
        found.setdefault(job.course, []).append(job)
    return list(found.values())


def together(jobs: Sequence[Job]) -> Iterator[tuple[Job, Row]]:
    """Measure jobs of one course: the updates are taken once, and each job and its row come on the way.

    The values are those of `Job.measure`. The seconds are those of all updates up to the job's own number, and of
    its own picture.
    """
    first, camera = jobs[0], jobs[0].camera
    believed = camera if first.told is None else from_setting(first.told, first.scale).to(camera.kernel.device)
    hr = images.crop_to_multiple(first.load(), first.scale).to(camera.kernel.device)
    lr, learning = first.low(hr), 0.0
    counts = sorted({job.method.steps for job in jobs})
    stops = first.method.course(lr, believed, counts)
    for count in counts:
        stop, updating = _timed(lr, next, stops)
        learning += updating
        sr, finishing = _timed(lr, stop.picture)
        for job in jobs:
            if job.method.steps == count:
                ended, agreeing = _timed(lr, job.method.ended, sr, lr, believed)
                yield job, job.row(hr, ended, learning + finishing + agreeing)


@functools.cache
def _commit() -> str:
    return git_commit()


def _timed(lr: Images, work: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
    """Return what some work returns, and the seconds it took; a GPU works on its own clock, so it is waited for."""
    wait = torch.cuda.synchronize if lr.is_cuda else lambda: None
    wait()
    began = time.perf_counter()
    result = work(*arguments)
    wait()
    return result, time.perf_counter() - began


def described(method: Method) -> Row:
    """Return the columns that tell methods apart: name, updates, agreement, seed, weights and their hash."""
    digest = weights.fingerprint(method.weights) if method.weights else ""
    facts = {"method": method.name, "steps": method.steps, "agree": "yes" if method.agree else "no"}
    return facts | {"seed": method.options.seed, "weights": method.weights, "weights_hash": digest}


def in_folder(
    name: str, folder: Path, settings: Iterable[Setting], methods: Sequence[Method], count: int | None = None
) -> list[Job]:
    """Return the jobs of a folder of pictures: settings x methods x pictures, `count` of these at most."""
    paths = picture_files.paths_in(folder)[:count]
    return [
        Job(name, path.name, functools.partial(picture_files.load, path), setting, method, folder)
        for setting in settings
        for method in methods
        for path in paths
    ]


def of_pictures(
    name: str, pictures: Mapping[str, Images], setting: Setting, method: Method, **changes: Any
) -> list[Job]:
    """Return a job for each of some pictures, by their names; `changes` are further fields of `Job`."""
    return [
        Job(name, image, functools.partial(_same, picture), setting, method, **changes)
        for image, picture in pictures.items()
    ]


def _same(picture: Images) -> Images:
    return picture


def key_of(row: Mapping, columns: Sequence[str] = IDENTITY) -> Key:
    """Return the values of a row in some columns as text, the same from memory and from a file."""
    return tuple(str(row.get(column, MEANT.get(column, ""))) for column in columns)


def table_of(rows: Iterable[Mapping]) -> Rows:
    """Return rows, from `Job.measure` or read as text, as a table: numbers are numbers, and the rest is text."""
    whole = [{**row, **{name: value for name, value in MEANT.items() if name not in row}} for row in rows]
    table = pd.DataFrame(whole, columns=None if whole else COLUMNS)
    return table.astype({name: NUMBERS.get(name, str) for name in table})


def read(path: str | Path, needed: Sequence[str] = COLUMNS) -> Rows:
    """Read measured rows back from their file; lines that start with ``#`` are comments.

    Raises
    ------
    InputError
        If the file cannot be read or holds something else, or a line is without its numbers: which line is told.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, comment="#")
    except (OSError, ValueError) as error:
        raise InputError(f"The rows {path} cannot be read ({error}).") from None
    if missing := set(needed) - set(table) - set(MEANT):
        raise InputError(
            f"{path} holds other rows than measured ones (it has no {', '.join(sorted(missing))}): "
            "move it away, or mend it."
        )
    numbers: Rows = table[[name for name in NUMBERS if name in table]].apply(pd.to_numeric, errors="coerce")
    whole = [name for name in numbers if NUMBERS[name] is int]
    damaged = numbers.isna().to_numpy().any(axis=1) | (numbers[whole].to_numpy() % 1 != 0).any(axis=1)
    if damaged.any():
        raise InputError(f"{path} is damaged in line {damaged.argmax() + 2}: mend or delete that line.")
    return table_of(table.to_dict("records"))


def write(path: str | Path, table: Rows) -> None:
    """Write rows as a CSV file, whole or not at all."""
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")


@functools.cache
def _kernels() -> tuple[str, ...]:
    return tuple(kernels.named())


ORDER = ("dataset", "scale", "kernel", "method", "weights", "steps", "agree", "image")


def ordered(table: Rows, by: Sequence[str] = ORDER) -> Rows:
    """Return rows or means in order: data set, scale, kernel, method, weights, updates, agreement, picture.

    Names come in the order of the manifest, the paper's kernels and `catalogue.ENTRIES`; others after them.
    """
    orders = {"dataset": tuple(datasets.manifest()), "kernel": _kernels(), "method": tuple(ENTRIES)}

    def rank(column: pd.Series) -> pd.Series:
        known = orders.get(str(column.name))
        if known is None:
            return column
        later = sorted(set(column) - set(known))
        return column.map({name: place for place, name in enumerate((*known, *later))})

    present = [column for column in by if column in table]
    return table.sort_values(present, key=rank, kind="stable", ignore_index=True)
