"""A sweep over data sets, kernels, scales, methods and pictures that several processes share and that can be continued.

Every finished job is a line in a file of its own process, so an interruption costs the job in hand. What is
finished is known by what was measured, and with which weights: a second call does what is missing.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from mzsr_lib.benchmark import datasets, evaluation, journals, measuring
from mzsr_lib.benchmark.measuring import COLUMNS, COMPUTED, GROUP, PLACE, Job, Key, Row, Rows, finishing, key_of
from mzsr_lib.files import InputError, check_writable, existing_folder
from mzsr_lib.imaging.decoding import MAX_PIXELS
from mzsr_lib.imaging.kernels import Setting
from mzsr_lib.methods.registry import Method
from mzsr_lib.runtime import Group


def folders(names: Iterable[str], root: str | Path | None = None) -> dict[str, Path]:
    """Return the folders of data sets, or of one's own pictures, below `root` (default: `datasets.data_root`)."""
    root, found = Path(root or datasets.data_root()).expanduser(), {}
    if not (names := list(names)):
        raise InputError(f"No data set is named: give one or more of {', '.join(datasets.manifest())}, or folders.")
    for name in names:
        if not (known := name in datasets.manifest()) and not (root / name).exists():
            raise InputError(
                f"'{name}' is no data set ({', '.join(datasets.manifest())}), and {root} has no folder of that name."
            )
        found[name] = datasets.folder(name, root) if known else existing_folder(root / name)
    return found


def check_count(count: int | None) -> None:
    """Raise `InputError` for a number of pictures that leaves nothing to do."""
    if count is not None and count < 1:
        raise InputError(f"The number of pictures is {count}: it must be positive.")


def plan(
    places: Mapping[str, Path],
    settings: Sequence[Setting],
    methods: Sequence[Method],
    count: int | None = None,
    max_pixels: int = MAX_PIXELS,
) -> list[Job]:
    """Return all jobs, those with few updates first, so that most of the tables is there early.

    Parameters
    ----------
    places
        Folders by the name of the data set.
    settings
        Kernels with their sampling.
    methods
        Of any scales.
    count
        Only so many pictures of each data set, the first.
    max_pixels
        Pictures of more are not read.
    """
    jobs = [
        job
        for name, folder in places.items()
        for job in measuring.in_folder(name, folder, settings, methods, count, max_pixels)
    ]
    return sorted(jobs, key=lambda job: job.method.steps)


JOURNALS = "jobs"
POLL = 0.5  # seconds between two looks at what the other processes have finished


def finished(output: str | Path) -> dict[Key, Row]:
    """Return the rows that are measured, by `IDENTITY`: those of ``rows.csv``, then those of all journals."""
    rows = _merged(output).to_dict("records")
    for journal in _journals(output):
        rows += journals.read(journal)[0]
    found: dict[Key, Row] = {}
    for row in rows:
        found.setdefault(key_of(row), row)
    return found


def _finishing(output: str | Path) -> dict[Key, Row]:
    """Return the rows that are measured by the keys of the jobs that they finish."""
    return finishing(finished(output).values())


def _journals(output: str | Path) -> list[Path]:
    return sorted((Path(output) / JOURNALS).glob("*.jsonl"))


def _merged(output: str | Path) -> Rows:
    path = Path(output) / "rows.csv"
    return measuring.read(path) if path.is_file() else measuring.table_of([])


def run(
    jobs: Sequence[Job],
    output: str | Path,
    group: Group,
    minutes: float | None = None,
    progress: bool = False,
    say: Callable[[str], None] = lambda sentence: None,
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
    say
        Is told when a journal has lines that cannot be used.

    Returns
    -------
    int
        Jobs that are not finished: 0, unless time is up.
    """
    deadline = float("inf") if minutes is None else time.monotonic() + 60 * minutes
    check_writable(Path(output) / "rows.csv")
    for journal in _journals(output) if group.leads else ():
        if damaged := journals.read(journal)[1]:
            say(f"{journal}: {damaged} of its lines are damaged, and what they held is measured again.")
    work(share(jobs, group), output, group, deadline, progress)
    if not group.leads:
        return 0
    keys = {job.key for job in jobs}
    while (missing := len(keys - _finishing(output).keys())) and group.world > 1 and time.monotonic() < deadline:
        time.sleep(POLL)
    merge(jobs, output)
    return missing


def share(jobs: Sequence[Job], group: Group) -> list[Job]:
    """Return this process's part of the jobs; those that are measured in one go stay together."""
    return [job for course in group.share(measuring.courses(jobs)) for job in course]


def work(
    jobs: Sequence[Job],
    output: str | Path,
    group: Group | None = None,
    deadline: float = float("inf"),
    progress: bool = False,
) -> None:
    """Do those of the jobs that are not finished, after the guards of their settings, a line in the journal each."""
    group = group or Group()
    done = _finishing(output)
    left = [job for job in jobs if job.key not in done]
    journal = Path(output) / JOURNALS / f"jobs-rank{group.rank}.jsonl"
    evaluation.measure(left, lambda row: journals.append(journal, row), deadline, progress and group.leads)


def merge(jobs: Sequence[Job], output: str | Path) -> None:
    """Put what the jobs have measured into ``rows.csv``, in a fixed order; rows of other jobs stay.

    Only whole means go in: a data set, kernel, scale, method and number of updates of which every picture is
    finished. They replace rows of other weights, pictures, seed or precision in the same place.
    """
    done, means = _finishing(output), {}
    mean = (*GROUP, "kernel_hash")
    for job in jobs:
        means.setdefault(key_of(job.facts, mean), []).append(job)
    whole = {key: members for key, members in means.items() if all(job.key in done for job in members)}
    rows = [done[job.key] for members in whole.values() for job in members]
    fresh = {key_of(row): row for row in rows}
    versions = {key: key_of(done[members[0].key], COMPUTED) for key, members in whole.items()}
    taken = {key_of(row, (*PLACE, "weights")) for row in fresh.values()}
    kept = {}
    for row in _merged(output).to_dict("records"):
        version = key_of(row, COMPUTED)
        same = key_of(row) in fresh or key_of(row, (*PLACE, "weights")) not in taken
        if same and versions.get(key_of(row, mean), version) == version:
            kept[key_of(row)] = row
    if rows := fresh | kept:
        table = measuring.ordered(measuring.table_of(rows.values()))
        measuring.write(Path(output) / "rows.csv", table[list(COLUMNS)])
