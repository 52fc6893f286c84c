"""One picture in one setting by one method is a job; measured, it is a row. Rows are kept in tables of pandas."""

import csv
import datetime
import functools
import hashlib
import reprlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pandas as pd
import torch

from mzsr_lib.benchmark import datasets
from mzsr_lib.fields import Range
from mzsr_lib.files import InputError, atomic_path, git_commit, printable, room_for
from mzsr_lib.imaging import images, kernel_files, kernels, metrics, picture_files
from mzsr_lib.imaging.decoding import MAX_PIXELS
from mzsr_lib.imaging.degradation import MODES, Degradation, from_setting
from mzsr_lib.imaging.kernels import Mode, Setting
from mzsr_lib.methods.catalogue import ENTRIES
from mzsr_lib.methods.registry import Method
from mzsr_lib.models import weights
from mzsr_lib.runtime import PRECISIONS, generator_for
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
    "dataset", "image", "image_hash", "kernel", "kernel_hash", "mode", "scale", "method", "steps", "agree",
    "psnr", "ssim", "seconds", "device", "precision", "weights", "weights_hash", "commit", "date", "seed", "selfcheck",
)
# fmt: on
NUMBERS = {"scale": int, "steps": int, "psnr": float, "ssim": float, "seconds": float}
OUTCOMES = ("passed", "exception", "failed", "not-applicable")
# What may stand in a column: numbers in a range, or one of some words.
RANGES = {"scale": Range(1, 4), "steps": Range(0), "psnr": Range(), "ssim": Range(-1, 1.001), "seconds": Range(0)}
WORDS = {"mode": MODES, "agree": ("yes", "no"), "precision": tuple(PRECISIONS), "selfcheck": OUTCOMES}

AUTO = "auto"  # a precision that is left to the device: rows in any finish the job

# What rows that were written before there was such a column mean; see `completed`.
MEANT = {"agree": "no", "precision": "float32"}

# Rows that agree in these are averaged.
GROUP = ("dataset", "kernel", "mode", "scale", "method", "steps", "agree", "weights")
# What tells one version of what has a name from another: pictures, and how it was computed: weights, chance, precision.
COMPUTED = ("weights_hash", "seed", "precision")
VERSIONS = ("image_hash", *COMPUTED)
# A measured row with the same values is the same job, finished. Every input counts by its content, not by its name.
IDENTITY = (*GROUP, "image", "kernel_hash", *VERSIONS)
PLACE = tuple(name for name in IDENTITY if name not in (*VERSIONS, "weights"))


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
    image_hash
        Twelve characters that tell the content of the picture, and of `given`.
    given
        Returns the low-resolution picture, if it is not made here.
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
    image_hash: str = ""
    given: Callable[[], Images] | None = None
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
        if self.given is not None:
            return self.given().to(hr.device)
        noisy = replace(self.camera, noise=self.noise)
        return noisy(hr, generator_for("noise", self.image, device=hr.device))

    @property
    def facts(self) -> Row:
        """The columns of the row that are known before the work."""
        place = {"dataset": self.dataset, "image": self.image, "image_hash": self.image_hash}
        camera = {"kernel": self.setting.name, "kernel_hash": self.setting.fingerprint, "mode": self.setting.mode}
        return place | camera | {"scale": self.scale} | described(self.method) | self.more

    @property
    def key(self) -> Key:
        """What tells whether it is finished, see `IDENTITY`: one of `keys_of` its row."""
        any_precision = {"precision": AUTO} if self.method.options.precision == AUTO else {}
        return key_of(self.facts | any_precision, (*IDENTITY, *self.more))

    @property
    def cell(self) -> tuple[Path | None, str, Mode, int]:
        """The setting: folder, kernel by its fingerprint, sampling and scale."""
        return self.folder, self.setting.fingerprint, self.setting.mode, self.scale

    def sharp(self) -> OtherImages:
        """Return the sharp picture, cut to a multiple of the scale, or to what a given low-resolution one covers.

        Raises
        ------
        InputError
            If nothing is left, or the given picture is not that of the sharp one.
        """
        hr = images.crop_to_multiple(self.load(), self.scale)
        if self.given is None:
            return hr
        (height, width), (rows, columns) = self.given().shape[-2:], hr.shape[-2:]
        rest = (rows - self.scale * height, columns - self.scale * width)
        if not all(0 <= length < self.scale for length in rest):
            raise InputError(
                f"at scale {self.scale} the low-resolution picture of {columns} x {rows} px should have "
                f"{columns // self.scale} x {rows // self.scale} px, and it has {width} x {height}."
            )
        return hr

    def check(self) -> None:
        """Raise `InputError` when the picture, or its low-resolution version, is too small for the kernel."""
        camera = from_setting(self.setting, self.scale)
        try:
            hr = self.sharp()
            camera.check(hr)
            metrics.protocol_luma(hr, self.scale)
            if self.method.steps > 0:
                camera.check(images.crop_to_multiple(hr[..., :: self.scale, :: self.scale], self.scale))
        except InputError as error:
            said = str(error)
            raise InputError(said if self.image in said else f"{self.image} cannot be used: {said}") from None

    @property
    def course(self) -> tuple:
        """The same for jobs that differ only in where one course of updates stops, and in the agreement."""
        columns = [name for name in IDENTITY if name not in ("steps", "agree")]
        told = None if self.told is None else (self.told.fingerprint, self.told.mode)
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
        made = {"device": hr.device.type, "commit": _commit(), "date": today}
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
    hr = first.sharp().to(camera.kernel.device)
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
    """Return the columns that tell methods apart: name, updates, agreement, seed, precision, weights and their hash."""
    digest = weights.fingerprint(method.weights) if method.weights else ""
    facts = {"method": method.name, "steps": method.steps, "agree": "yes" if method.agree else "no"}
    facts |= {"seed": method.options.seed, "precision": method.precision}
    return facts | {"weights": printable(method.weights), "weights_hash": digest}


def in_folder(
    name: str,
    folder: Path,
    settings: Iterable[Setting],
    methods: Sequence[Method],
    count: int | None = None,
    max_pixels: int = MAX_PIXELS,
) -> list[Job]:
    """Return the jobs of a folder of pictures: settings x methods x pictures, `count` of these at most.

    The name is that of the data set whose pictures these are, whatever the folder is called, or the one given. Pictures
    of more than `max_pixels` are not read.
    """
    name = datasets.recognise(folder) or printable(name)
    paths = {path: datasets.fingerprint(path)[:12] for path in picture_files.paths_in(folder)[:count]}
    loads = {path: functools.partial(picture_files.load, path, max_pixels) for path in paths}
    return [
        Job(name, printable(path.name), loads[path], setting, method, folder, digest)
        for setting in settings
        for method in methods
        for path, digest in paths.items()
    ]


def of_pictures(
    name: str, pictures: Mapping[str, Images], setting: Setting, method: Method, **changes: Any
) -> list[Job]:
    """Return a job for each of some pictures, by their names; `changes` are further fields of `Job`."""
    return [
        Job(
            name,
            image,
            functools.partial(_same, picture),
            setting,
            method,
            **{"image_hash": digest(picture), **changes},
        )
        for image, picture in pictures.items()
    ]


def _same(picture: Images) -> Images:
    return picture


def digest(picture: Images) -> str:
    """Return twelve characters that tell the content of a picture in memory."""
    return hashlib.sha256(repr(tuple(picture.shape)).encode() + picture.cpu().numpy().tobytes()).hexdigest()[:12]


def completed(row: Mapping) -> Row:
    """Return a row with what was not written before there was a column for it.

    No agreement, single precision; and what is known of a kernel that is spelled out, and of a picture of a known data
    set. Of other kernels and pictures nothing is known: they are measured again.
    """
    row = {**row, **{name: value for name, value in MEANT.items() if not row.get(name)}}
    for kernel, column in (("kernel", "kernel_hash"), ("told", "told_hash")):
        if kernel in row and not row.get(column):
            row[column] = _kernel_hash(str(row[kernel]))
    if "image" in row and not row.get("image_hash"):
        row["image_hash"] = _known_pictures().get((str(row.get("dataset")), str(row["image"])), "")
    return row


@functools.cache
def _kernel_hash(name: str) -> str:
    try:
        setting = kernel_files.spelled(name)
    except InputError:
        return ""
    return setting.fingerprint if setting else ""


def _known_pictures() -> dict[tuple[str, str], str]:
    manifest = datasets.manifest()
    return {(name, entry.file): entry.sha256[:12] for name, entries in manifest.items() for entry in entries}


def key_of(row: Mapping, columns: Sequence[str] = IDENTITY) -> Key:
    """Return the values of a row in some columns as text, the same from memory and from a file."""
    return tuple(str(row.get(column, "")) for column in columns)


def keys_of(row: Mapping, columns: Sequence[str] = IDENTITY) -> tuple[Key, Key]:
    """Return the keys of the jobs that a row finishes: one for its own precision, and one for any."""
    return key_of(row, columns), key_of({**row, "precision": AUTO}, columns)


def finishing(rows: Iterable[Row], columns: Sequence[str] = IDENTITY) -> dict[Key, Row]:
    """Return rows by `keys_of` them; of several that finish a job the first."""
    found: dict[Key, Row] = {}
    for row in rows:
        for key in keys_of(row, columns):
            found.setdefault(key, row)
    return found


def table_of(rows: Iterable[Mapping], head: Iterable[str] = COLUMNS) -> Rows:
    """Return rows, from `Job.measure` or read as text, as a table: numbers are numbers, and the rest is text.

    Without any row it has the columns of `head`.
    """
    whole = [completed(row) for row in rows]
    table = pd.DataFrame(whole, columns=None if whole else list(completed(dict.fromkeys(head, ""))))
    return table.astype({name: NUMBERS.get(name, str) for name in table})


def problem(row: Mapping) -> str | None:
    """Say in a few words what is wrong with a measured row, of numbers or of texts, or return None."""
    for name, value in row.items():
        if name in NUMBERS and not _is_number(value, NUMBERS[name], RANGES[name]):
            return f"{name} is {reprlib.repr(value)}"
        if name in COLUMNS and name not in NUMBERS:
            able = (*WORDS.get(name, (value,)), *([""] if name in MEANT else []))
            text = isinstance(value, str) and "\0" not in value and value in able
            if not text and not (name == "seed" and isinstance(value, int)):
                return f"{name} is {reprlib.repr(value)}"
    return None


def _is_number(value: object, kind: type, limits: Range) -> bool:
    if not isinstance(value, (str, int, kind)) or isinstance(value, bool):
        return False
    try:
        number = kind(value)
    except ValueError:
        return False
    return number in limits


def read(path: str | Path, needed: Sequence[str] = COLUMNS) -> Rows:
    """Read measured rows back from their file; lines before the head that start with ``#`` are comments.

    This is the one place where rows are checked: what it returns is a valid table.

    Raises
    ------
    InputError
        If the file cannot be read or holds something else, or a line is cut, too long or has other values than its
        columns can have: which line is told.
    """
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as handle:
            reader = csv.reader(handle, strict=True)
            lines = [(reader.line_num, line) for line in reader if line]
    except (OSError, ValueError, csv.Error) as error:
        reason = "it is no text" if isinstance(error, UnicodeError) else error
        raise InputError(f"The rows {path} cannot be read ({reason}): give another file, or mend it.") from None
    while lines and lines[0][1][0].startswith("#"):
        del lines[0]
    if not lines:
        raise InputError(f"The rows {path} cannot be read (there are none).")
    (_, head), *rest = lines
    missing = set(needed) - set(head) - completed(dict.fromkeys(head, "")).keys()
    if missing or len(set(head)) < len(head):
        why = f"it has no {', '.join(sorted(missing))}" if missing else "it has a column twice"
        raise InputError(f"{path} holds other rows than measured ones ({why}): move it away, or mend it.")
    rows = []
    for number, line in rest:
        rows.append(dict(zip(head, line, strict=False)))
        wrong = problem(rows[-1]) if len(line) == len(head) else f"it has {len(line)} values for {len(head)} columns"
        if wrong:
            raise InputError(f"{path} is damaged in line {number} ({wrong}): mend or delete that line.")
    return table_of(rows, head)


def write(path: str | Path, table: Rows) -> None:
    """Write rows as a CSV file in UTF-8, whole or not at all.

    Raises
    ------
    Failure
        If there is no room for it, or the place cannot be written.
    """
    with room_for(f"The table {path}"), atomic_path(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n", encoding="utf-8")


def in_a_table(text: str) -> str:
    """Return a text that may stand in a cell of a Markdown table."""
    return text.replace("|", "\\|")


def labelled(rows: Rows) -> Rows:
    """Return rows in which a kernel's name stands for one kernel: of several with one name it has the fingerprint, too.

    They are others where the same picture was measured with both; kernels of their own for each picture are not.
    """
    columns = ["dataset", "image", "kernel", "mode", "scale"]
    if "kernel_hash" not in rows or rows.empty:
        return rows
    doubled = rows.groupby(columns)["kernel_hash"].transform("nunique") > 1
    names = set(zip(rows.loc[doubled, "dataset"], rows.loc[doubled, "kernel"], strict=True))
    places = zip(rows["dataset"], rows["kernel"], rows["kernel_hash"], strict=True)
    labels = [
        f"{kernel} ({digest[:6] or 'unknown'})" if (name, kernel) in names else kernel
        for name, kernel, digest in places
    ]
    return rows.assign(kernel=pd.Series(labels, rows.index, dtype=rows["kernel"].dtype))


@functools.cache
def _kernels() -> tuple[str, ...]:
    return tuple(kernels.named())


ORDER = ("dataset", "scale", "kernel", "kernel_hash", "method", "weights", "steps", "agree", "image")


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
