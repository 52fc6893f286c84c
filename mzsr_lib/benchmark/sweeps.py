"""A sweep over data sets, kernels, scales, methods and pictures that several processes share and that can be continued.

Every finished job is a line in a file of its own process, so an interruption costs the job in hand. What is
finished is known by what was measured, and with which weights: a second call does what is missing.
"""

import json
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import torch
from tqdm import tqdm

from mzsr_lib.benchmark import datasets, evaluation, selfcheck
from mzsr_lib.benchmark.evaluation import COLUMNS, GROUP, Row
from mzsr_lib.files import InputError, check_writable, existing_folder, git_commit, write_rows
from mzsr_lib.imaging import images, picture_files
from mzsr_lib.imaging.degradation import Degradation, from_setting
from mzsr_lib.imaging.kernels import Setting
from mzsr_lib.methods import registry
from mzsr_lib.methods.registry import Method
from mzsr_lib.runtime import Group

# A measured row with the same values is the same job, finished.
IDENTITY = ("dataset", "image", "kernel", "mode", "scale", "method", "steps", "weights", "weights_hash", "seed")
# The paper shows these numbers of updates; all other methods take their own.
UPDATES = {"mzsr": (1, 10)}

Key = tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Job:
    """One picture in one setting by one method: what is measured at a time."""

    dataset: str
    path: Path
    setting: Setting
    scale: int
    method: Method
    seed: int = 0

    @property
    def facts(self) -> Row:
        """The columns of the row that are known before the work."""
        place = {"dataset": self.dataset, "image": self.path.name, "kernel": self.setting.name}
        place |= {"mode": self.setting.mode, "scale": self.scale, "seed": self.seed}
        return place | evaluation.described(self.method)

    @property
    def key(self) -> Key:
        """What tells whether it is finished, see `IDENTITY`."""
        return key_of(self.facts)

    @property
    def cell(self) -> tuple[Path, str, int]:
        """The setting: folder, kernel and scale."""
        return self.path.parent, self.setting.name, self.scale


def key_of(row: Mapping, columns: Sequence[str] = IDENTITY) -> Key:
    """Return the values of a row in some columns as text, the same from memory and from a file."""
    return tuple(str(row.get(column, "")) for column in columns)


def methods_for(
    names: Sequence[str],
    scale: int,
    steps: Sequence[int] = (),
    weights_name: str | Path | None = None,
    seed: int = 0,
    device: torch.device | str = "cpu",
    say: Callable[[str], None] = lambda sentence: None,
) -> list[Method]:
    """Build the methods of one scale; one that has no weights for it is left out, and that is said.

    Parameters
    ----------
    names
        Of `registry.METHODS`.
    scale
        2, 3 or 4.
    steps
        Updates of the methods that begin with trained weights; zssr, which does not, takes them when it is the
        only one named. By default `UPDATES`, and for others their own.
    weights_name, seed, device
        See `registry.sweep`.
    say
        Is told why a method is left out.

    Raises
    ------
    InputError
        If the scale or a number of updates cannot be, the weights do not fit, or nothing is left.
    """
    images.check_scale(scale)
    if min(steps, default=0) < 0:
        raise InputError(f"The number of steps is {min(steps)}: it cannot be negative.")
    if len(names) == 1 or weights_name is not None:
        registry.sweep(names, steps if len(names) == 1 else None, weights_name, device=device, scale=scale)
    built, reasons = [], []
    for name in dict.fromkeys(names):
        entry = registry.entry_of(name)
        ours = entry.updates is not None and (entry.has_weights or len(names) == 1)
        counts = (steps if ours else ()) or UPDATES.get(name, ())
        chosen = weights_name if entry.has_weights else None
        try:
            built += registry.sweep([name], counts, chosen, seed, device, scale)
        except InputError as error:
            reasons.append(f"{name} is left out: {error}")
            say(reasons[-1])
    if not built:
        raise InputError(reasons[0] if len(reasons) == 1 else f"No method is left for scale {scale}: choose others.")
    return built


def folders(names: Iterable[str], root: str | Path | None = None) -> dict[str, Path]:
    """Return the folders of data sets, or of one's own pictures, below `root` (default: `datasets.data_root`)."""
    root, found = Path(root or datasets.data_root()).expanduser(), {}
    for name in names:
        known = name in datasets.manifest()
        found[name] = datasets.folder(name, root) if known else existing_folder(root / name)
    return found


def check_count(count: int | None) -> None:
    """Raise `InputError` for a number of pictures that leaves nothing to do."""
    if count is not None and count < 1:
        raise InputError(f"The number of pictures is {count}: it must be positive.")


def plan(
    places: Mapping[str, Path],
    settings: Iterable[Setting],
    methods: Mapping[int, Sequence[Method]],
    seed: int = 0,
    count: int | None = None,
) -> list[Job]:
    """Return all jobs, those with few updates first, so that most of the tables is there early.

    Parameters
    ----------
    places
        Folders by the name of the data set.
    settings
        Kernels with their sampling.
    methods
        By scale.
    seed
        What the methods were built with.
    count
        Only so many pictures of each data set, the first.
    """
    jobs = [
        Job(name, path, setting, scale, method, seed)
        for (name, folder), setting, (scale, built) in product(places.items(), settings, methods.items())
        for method in built
        for path in picture_files.paths_in(folder)[:count]
    ]
    return sorted(jobs, key=lambda job: job.method.steps)


JOURNALS = "jobs"
POLL = 0.5  # seconds between two looks at what the other processes have finished


def finished(output: str | Path) -> dict[Key, Row]:
    """Return the rows that are measured, by `IDENTITY`: those of ``rows.csv``, then those of all journals."""
    rows = list(_merged(output))
    for journal in sorted((Path(output) / JOURNALS).glob("*.jsonl")):
        for line in journal.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                rows.append(json.loads(line))
            except ValueError:  # the line that was being written when the process was killed
                continue
    found: dict[Key, Row] = {}
    for row in rows:
        found.setdefault(key_of(row), row)
    return found


def _merged(output: str | Path) -> list[Row]:
    path = Path(output) / "rows.csv"
    return evaluation.read(path) if path.is_file() else []


def run(
    jobs: Sequence[Job], output: str | Path, group: Group, minutes: float | None = None, progress: bool = False
) -> int:
    """Do this process's share of the jobs that are not finished; the first process then waits and merges.

    The folder must be the same for all processes. There is no message between them: one that takes
    an hour longer than the others makes nobody's connection time out.

    Parameters
    ----------
    jobs
        The same list for every process, see `plan`.
    output
        Where ``rows.csv`` and the journals lie.
    group
        See `runtime.join`.
    minutes
        Begin no job after so many.
    progress
        Show bars.

    Returns
    -------
    int
        Jobs that are not finished: 0, unless time is up.
    """
    deadline = float("inf") if minutes is None else time.monotonic() + 60 * minutes
    check_writable(Path(output) / "rows.csv")
    work(group.share(jobs), output, group, deadline, progress)
    if not group.leads:
        return 0
    keys = {job.key for job in jobs}
    while (missing := len(keys - finished(output).keys())) and group.world > 1 and time.monotonic() < deadline:
        time.sleep(POLL)
    merge(jobs, output)
    return missing


def work(
    jobs: Sequence[Job],
    output: str | Path,
    group: Group | None = None,
    deadline: float = float("inf"),
    progress: bool = False,
) -> None:
    """Do those of the jobs that are not finished, after the guards of their settings, a line in the journal each."""
    group = group or Group()
    done = finished(output)
    left = [job for job in jobs if job.key not in done]
    if not left:
        return
    outcomes = _guard(left, group.device, progress and group.leads)
    origin = {"device": group.device.type, "commit": git_commit()}
    journal = Path(output) / JOURNALS / f"jobs-rank{group.rank}.jsonl"
    for job in tqdm(left, unit="picture", disable=None if progress and group.leads else True):
        if time.monotonic() >= deadline:
            return
        degradation = from_setting(job.setting, job.scale).to(group.device)
        measured = evaluation.scored(job.path, job.method, degradation)
        row = job.facts | measured | origin | {"selfcheck": outcomes[job.cell]}
        _append(journal, {column: row[column] for column in COLUMNS})


def _append(journal: Path, row: Row) -> None:
    """Add a line to a journal and wait until it is on the disk; half a line of a killed process is closed first."""
    journal.parent.mkdir(parents=True, exist_ok=True)
    with journal.open("ab+") as handle:
        torn = handle.tell() > 0 and (handle.seek(-1, os.SEEK_END), handle.read(1))[1] != b"\n"
        handle.write((b"\n" if torn else b"") + json.dumps(row).encode() + b"\n")
        handle.flush()
        os.fsync(handle.fileno())


def _guard(jobs: Sequence[Job], device: torch.device, progress: bool) -> dict[tuple[Path, str, int], str]:
    """Check the pictures, and plain bicubic against the paper, for every setting of the jobs, before any work."""
    _check_pictures(jobs)
    outcomes, cells = {}, {job.cell: (job.setting, job.scale) for job in jobs}
    for folder in dict.fromkeys(folder for folder, *_ in cells):
        here = [cell for cell in cells if cell[0] == folder]
        found = selfcheck.outcomes(folder, [cells[cell] for cell in here], device, progress)
        outcomes |= dict(zip(here, found, strict=True))
    return outcomes


def _check_pictures(jobs: Sequence[Job]) -> None:
    """Raise `InputError` when a picture is too small; kernels of the same size need one look."""
    looks: dict[tuple, Degradation] = {}
    for job in jobs:
        look = (job.path, job.scale, job.setting.kernel.shape[-1], job.method.steps > 0)
        looks.setdefault(look, from_setting(job.setting, job.scale))
    for (path, *_, adapts), degradation in looks.items():
        evaluation.check_picture(path, degradation, adapts)


def merge(jobs: Sequence[Job], output: str | Path) -> None:
    """Put what the jobs have measured into ``rows.csv``, in a fixed order; rows of other jobs stay.

    Only whole means go in: a data set, kernel, scale, method and number of updates of which every picture is
    finished. They replace rows of other weights of the same name, or of another seed.
    """
    done, means = finished(output), {}
    for job in jobs:
        means.setdefault(key_of(job.facts, GROUP), []).append(job)
    whole = {mean: members for mean, members in means.items() if all(job.key in done for job in members)}
    fresh = {job.key: done[job.key] for members in whole.values() for job in members}
    versions = {mean: key_of(members[0].facts, ("weights_hash", "seed")) for mean, members in whole.items()}
    kept = {}
    for row in _merged(output):
        version = key_of(row, ("weights_hash", "seed"))
        if versions.get(key_of(row, GROUP), version) == version:
            kept[key_of(row)] = row
    rows = [{column: str(row.get(column, "")) for column in COLUMNS} for row in (fresh | kept).values()]
    if rows:
        write_rows(Path(output) / "rows.csv", sorted(rows, key=evaluation.place))
