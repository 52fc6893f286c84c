"""Measure jobs, after the checks that go before them; the means of the rows, and their table."""

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

from mzsr_lib.benchmark import measuring, published, selfcheck
from mzsr_lib.benchmark.measuring import COLUMNS, GROUP, Job, Key, Row, Rows
from mzsr_lib.files import Failure
from mzsr_lib.imaging import kernels
from mzsr_lib.imaging.kernels import Setting
from mzsr_lib.methods.catalogue import ENTRIES
from mzsr_lib.methods.registry import Method

MEASURES = ("psnr", "ssim", "seconds")


def measure(
    jobs: Sequence[Job],
    keep: Callable[[Row], None] = lambda row: None,
    deadline: float = float("inf"),
    progress: bool = False,
) -> Rows:
    """Measure jobs, and return their rows in the order of the jobs.

    Those that differ only in updates and agreement are measured in one go, see `measuring.together`.

    Before any work every picture is looked at, and in the settings for which the paper prints a score of plain
    bicubic it is measured and compared (see `selfcheck`).

    Parameters
    ----------
    jobs
        See `measuring.in_folder`.
    keep
        Is given every row as soon as it is measured.
    deadline
        No picture is super-resolved after this value of ``time.monotonic()``.
    progress
        Show a bar.

    Returns
    -------
    DataFrame
        Rows with `measuring.COLUMNS` and those of `Job.more`; psnr in dB, seconds of the method alone.

    Raises
    ------
    InputError
        If a picture is too small.
    selfcheck.SelfCheckFailed
        If plain bicubic does not give what the paper prints.
    """
    looks = {(job.image_hash or job.image, *job.cell, job.method.steps > 0): job for job in jobs}
    for job in looks.values():
        job.check()
    outcomes, known = selfcheck.outcomes(jobs, progress)
    checked = [(job, known[job.key]) for job in jobs if job.key in known]
    left = measuring.courses(job for job in jobs if job.key not in known)
    measured = itertools.chain(checked, *map(measuring.together, left))
    found: dict[Job, Row] = {}
    with tqdm(total=len(jobs), unit="picture", disable=None if progress else True) as bar:
        while time.monotonic() < deadline and (done := next(measured, None)):
            job, row = done
            row |= {"selfcheck": outcomes[job.cell]}
            found[job] = {column: row[column] for column in (*COLUMNS, *job.more)}
            keep(found[job])
            bar.update()
    return measuring.table_of(found[job] for job in jobs if job in found)


def evaluate(folder: str | Path, setting: Setting, methods: Sequence[Method], progress: bool = False) -> Rows:
    """Degrade the pictures of a folder, super-resolve them with each method, and score (the paper's protocol).

    Parameters
    ----------
    folder
        High-resolution pictures; they are cropped to a multiple of the scale.
    setting
        The kernel and the sampling, see `kernel_files.parse`.
    methods
        See `registry.build`; they know their scale and device.
    progress
        Show a bar.

    Returns
    -------
    DataFrame
        See `measure`, also for what is raised.
    """
    folder = Path(folder)
    return measure(measuring.in_folder(folder.resolve().name, folder, [setting], methods), progress=progress)


def continued(
    jobs: Sequence[Job],
    path: str | Path | None,
    progress: bool = False,
    show: Callable[[Rows], None] = lambda rows: None,
) -> Rows:
    """Measure what a file of rows lacks, write the file after every job, and return the rows of the jobs.

    Rows of other jobs stay; those of the same place with other weights, pictures, seed or precision
    are replaced.

    Parameters
    ----------
    jobs
        All with the same further columns.
    path
        A CSV file, or where it is to be; None for no file.
    progress
        Show a bar.
    show
        Is given the rows of the jobs when they are measured, also when there is no room for the file, and what there is
        of them when the work is interrupted.

    Raises
    ------
    Failure
        If the file cannot be written any more; the work goes on to its end nevertheless.
    """
    columns = next((tuple(job.more) for job in jobs), ())
    identity = (*measuring.IDENTITY, *columns)
    rows = _kept(jobs, path, columns)
    failed: list[Failure] = []

    def keep(row: Row) -> None:
        rows[measuring.key_of(row, identity)] = row
        try:
            if path:  # with what others have written meanwhile
                measuring.write(path, measuring.table_of((_kept(jobs, path, columns) | rows).values()))
            failed.clear()
        except Failure as error:
            failed.append(error)

    def found() -> Rows:
        known = measuring.finishing(rows.values(), identity)
        return measuring.table_of(known[key] for key in dict.fromkeys(job.key for job in jobs) if key in known)

    try:
        known = measuring.finishing(rows.values(), identity)
        measure([job for job in jobs if job.key not in known], keep, progress=progress)
    except KeyboardInterrupt:
        show(found())
        raise
    show(found())
    if failed:
        raise failed[-1]
    return found()


def _kept(jobs: Sequence[Job], path: str | Path | None, columns: tuple[str, ...]) -> dict[Key, Row]:
    """Return the rows of a file, if there is one, that the jobs do not replace, by what identifies them."""
    if path is None or not Path(path).exists():
        return {}
    identity, place = (*measuring.IDENTITY, *columns), (*measuring.PLACE, *columns)
    wanted, places = {job.key for job in jobs}, {measuring.key_of(job.facts, place) for job in jobs}
    rows: dict[Key, Row] = {}
    for row in measuring.read(path, (*COLUMNS, *columns)).to_dict("records"):
        keys = measuring.keys_of(row, identity)
        if not wanted.isdisjoint(keys) or measuring.key_of(row, place) not in places:
            rows[keys[0]] = row
    return rows


def means(rows: Rows) -> Rows:
    """Average rows over the pictures.

    The columns are those of `GROUP`, then images (their number), psnr, ssim, seconds, the paper's psnr and ssim
    (published_psnr, published_ssim: NaN unless the self-check says that they can be compared), selfcheck, and what the
    paper calls the kernel (paper). Several kernels of one name are told apart, see `measuring.labelled`.
    """
    rows = measuring.labelled(rows)
    groups = rows.assign(paper=_paper_kernels(rows)).groupby([*GROUP, "paper", "selfcheck"], sort=False)
    averages = groups.agg(images=("image", "size"), **{name: (name, "mean") for name in MEASURES}).reset_index()
    printed = [_published(row) for row in averages.to_dict("records")]
    for measure in ("psnr", "ssim"):
        averages[f"published_{measure}"] = [getattr(value, measure, float("nan")) for value in printed]
    return averages


def _paper_kernels(rows: Rows) -> list[str]:
    """Return what the paper calls the kernel of each row, or an empty text."""
    return [kernels.paper_name(*kernel) or "" for kernel in zip(rows["kernel_hash"], rows["mode"], strict=True)]


def _published(row: Mapping) -> published.Value | None:
    if row["selfcheck"] not in (selfcheck.PASSED, selfcheck.EXCEPTION) or row["agree"] == "yes":
        return None
    steps = row["steps"]
    # The paper gives no number of steps for ZSSR: it is the method with its authors' settings.
    if row["method"] == "zssr":
        steps = None if steps == ENTRIES["zssr"].updates else steps
    return published.lookup(row["dataset"], row["paper"], row["scale"], row["method"], steps)


def table(averages: Rows) -> str:
    """Return `means` as a Markdown table: PSNR in dB, SSIM, the paper's PSNR / SSIM, and seconds a picture.

    A sentence below names the known exceptions of the self-check that are among the settings.
    """
    shown = averages[[*GROUP, "images"]].assign(weights=averages["weights"].replace("", "-"))
    for column in ("dataset", "kernel", "weights"):
        shown[column] = shown[column].map(measuring.in_a_table)
    shown["PSNR (dB)"], shown["SSIM"] = averages["psnr"].map("{:.2f}".format), averages["ssim"].map("{:.3f}".format)
    printed = zip(averages["published_psnr"], averages["published_ssim"], strict=True)
    shown["published"] = ["-" if psnr != psnr else f"{psnr:.2f} / {ssim:.3f}" for psnr, ssim in printed]
    shown["s / image"] = averages["seconds"].map("{:.3g}".format)
    right = ("scale", "steps", "images", *shown.columns[-4:])
    sides = ["right" if column in right else "left" for column in shown]
    text = shown.to_markdown(index=False, disable_numparse=True, colalign=sides)
    return "\n\n".join([text, *exceptions(averages)])


def exceptions(rows: Rows) -> list[str]:
    """Return a sentence for each setting among rows or means in which plain bicubic is known not to agree."""
    known = rows[rows["selfcheck"] == selfcheck.EXCEPTION]
    known = known if "paper" in known else known.assign(paper=_paper_kernels(known))
    known = known[["dataset", "paper", "scale"]].drop_duplicates()
    return [selfcheck.exception_note(*cell) for cell in known.itertuples(index=False, name=None)]
