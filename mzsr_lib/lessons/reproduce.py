"""Run the notebooks in order, keep what they show, and stop with a sentence at the first that fails."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
import papermill
from jupyter_client.kernelspec import NoSuchKernel
from nbclient.exceptions import CellTimeoutError
from papermill.exceptions import PapermillExecutionError
from tabulate import tabulate

from mzsr_lib.files import Failure, InputError, atomic_path, existing_folder
from mzsr_lib.lessons import reading

# Seconds one cell may take. The paper's scale takes hours on a GPU, and days without one.
CELL_TIMEOUT = {"quick": 600, "full": 7 * 24 * 3600}

NUMBERED = "[0-9][0-9]_*.ipynb"

# What differs between two runs although nothing has changed.
VOLATILE = (
    "metadata.papermill",
    "metadata.widgets",
    "metadata.language_info.version",
    "cell.metadata.papermill",
    "cell.metadata.execution",
)
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"

# nbclient raises a RuntimeError when a kernel dies or falls silent.
FAILURES = (PapermillExecutionError, CellTimeoutError, RuntimeError, NoSuchKernel)


class NotebookFailed(Failure):
    """A notebook stopped; the message names it, its cell, and the copy that was kept."""


def notebooks(folder: str | Path) -> list[Path]:
    """Return the notebooks ``NN_name.ipynb`` of a folder, in the order of their numbers.

    Raises
    ------
    InputError
        If there is none.
    """
    found = sorted(existing_folder(folder).glob(NUMBERED))
    if not found:
        raise InputError(f"{folder} holds no notebook with a number, such as 00_start_here.ipynb.")
    return found


def find_root(start: str | Path | None = None) -> Path:
    """Return the folder that holds ``notebooks/``: `start` (default: where we are) or the nearest above it.

    Raises
    ------
    InputError
        If there is none: we are not inside a clone of the project.
    """
    start = Path(start or Path.cwd()).expanduser().resolve()
    for folder in (start, *start.parents):
        if any((folder / "notebooks").glob(NUMBERED)):
            return folder
    raise InputError(f"There are no notebooks in {start} or above it: run this inside a clone of the project.")


def select(paths: list[Path], only: str | int | None = None, start: str | int | None = None) -> list[Path]:
    """Return the notebook with the number `only`, or those from the number `start` on, or all.

    Raises
    ------
    InputError
        If both are given, or no notebook has that number.
    """
    if only is not None and start is not None:
        raise InputError("Give --only or --from, not both.")
    if only is None and start is None:
        return paths
    wanted = str(start if only is None else only).zfill(2)
    numbers = [path.name[:2] for path in paths]
    if wanted not in numbers:
        raise InputError(f"No notebook has the number {wanted}: there are {', '.join(numbers)}.")
    first = numbers.index(wanted)
    return paths[first:] if only is None else paths[first : first + 1]


def run(
    profile: str = "quick",
    only: str | int | None = None,
    start: str | int | None = None,
    root: str | Path | None = None,
    data: str | Path | None = None,
) -> Path:
    """Run the notebooks in order; print how long each took and where the results are.

    Executed notebooks go to ``runs/<profile>/``, whose path is returned. The notebooks themselves
    write ``results/<profile>/`` and ``figures/``. A second run replaces the first.

    Parameters
    ----------
    profile
        ``"quick"`` (embedded pictures and weights, minutes on two CPU cores, no download) or
        ``"full"`` (the paper's scale).
    only, start
        Number of the one notebook to run, or of the first.
    root
        A clone of the project, or a folder inside one. Default: where we are.
    data
        Folder of the data sets, which the notebooks get as ``MZSR_DATA``. Default: as it is set.

    Raises
    ------
    InputError
        If the profile, a number or a folder is wrong. Nothing has been run then.
    NotebookFailed
        If a notebook fails. What it had shown by then is kept.
    """
    if profile not in CELL_TIMEOUT:
        raise InputError(f"Unknown profile {profile!r}: choose {' or '.join(CELL_TIMEOUT)}.")
    root = find_root(root)
    paths = select(notebooks(root / "notebooks"), only, start)
    parameters: dict[str, object] = {"profile": profile}
    for path in paths:
        check_parameters(path, parameters)
    settings = {} if data is None else {"MZSR_DATA": str(existing_folder(data).resolve())}
    output, seconds = root / "runs" / profile, {}
    with _environment(settings):
        for path in paths:
            began = time.monotonic()
            execute(path, output / path.name, parameters, CELL_TIMEOUT[profile])
            seconds[path.name] = time.monotonic() - began
    _report(seconds, root, profile)
    return output


def check_parameters(path: Path, parameters: dict[str, object]) -> None:
    """Raise `InputError` for a parameter the notebook does not have; papermill would only warn."""
    known = papermill.inspect_notebook(path)
    unknown = [name for name in parameters if name not in known]
    if unknown:
        names = ", ".join(known) or "none"
        raise InputError(f"{path.name} has no parameter {', '.join(unknown)}; those it has: {names}.")


def execute(path: Path, output: Path, parameters: dict[str, object], cell_timeout: float) -> None:
    """Run one notebook in its own folder, under a progress bar with its name, and write it to `output`.

    Raises
    ------
    NotebookFailed
        If a cell raises, takes longer than `cell_timeout` seconds, or the kernel dies.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    output.unlink(missing_ok=True)
    try:
        papermill.execute_notebook(
            path,
            output,
            parameters=parameters,
            kernel_name="python3",
            cwd=path.parent,
            progress_bar={"desc": path.stem},  # pyright: ignore[reportArgumentType] (tqdm's arguments, as documented)
            execution_timeout=cell_timeout,
            iopub_timeout=60,
            coalesce_streams=True,
            extra_arguments=["--log-level=ERROR"],
        )
    except FAILURES as error:
        raise NotebookFailed(_explain(path, output, error, cell_timeout)) from None


def refresh(root: str | Path | None = None, only: str | int | None = None) -> None:
    """Run the notebooks in the quick profile and store in each what it shows.

    What changes from run to run for no reason is removed, so two refreshes differ only where something
    real has changed. A notebook is replaced whole, and only after all of it has run.

    A notebook that fails is left as it was, and `NotebookFailed` says where. The tables in the README
    and in results/ are written anew as well.
    """
    from mzsr_lib.benchmark import report  # here, because running notebooks needs no torch in this process

    root = find_root(root)
    # The tests that compare stored outputs run without progress bars, so they are stored without.
    with _environment({"TQDM_DISABLE": "1"}):
        for path in select(notebooks(root / "notebooks"), only):
            executed = root / "runs" / "refresh" / path.name
            execute(path, executed, {}, CELL_TIMEOUT["quick"])
            normalise(executed)
            with atomic_path(path) as temporary:
                temporary.write_bytes(executed.read_bytes())
    report.refresh(root)


def normalise(path: Path) -> None:
    """Remove from an executed notebook what would differ next time, and add what its readers are told: see `reading`.

    What differs is times, ids, live views, empty tags.
    """
    options = ["--keep-output", "--keep-count", "--extra-keys", " ".join(VOLATILE)]
    subprocess.run([sys.executable, "-m", "nbstripout", *options, str(path)], check=True)
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.metadata.get("tags") == []:
            del cell.metadata["tags"]
        for output in cell.get("outputs", []):
            output.get("data", {}).pop(WIDGET_VIEW, None)
    reading.prepare(notebook)
    nbformat.write(notebook, path)


@contextlib.contextmanager
def _environment(settings: dict[str, str]) -> Iterator[None]:
    """Set environment variables for the kernels, then put the old ones back."""
    before = dict(os.environ)
    # Otherwise an old kernel named `python3` in the user's home folder is preferred to ours.
    os.environ.update(settings, JUPYTER_PREFER_ENV_PATH="1")
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _explain(path: Path, output: Path, error: Exception, cell_timeout: float) -> str:
    """Say what failed, in which cell, and where the notebook is kept."""
    reason = f"{type(error).__name__}: {error}"
    if isinstance(error, PapermillExecutionError):
        reason = f"{error.ename}: {error.evalue}"
    elif isinstance(error, CellTimeoutError):
        reason = f"it took longer than {cell_timeout:g} s"
    reason = reason.strip().splitlines()[0][:300]
    if not output.exists():
        return f"{path.name} could not be started: {reason}"
    index, line = _last_started(output)
    return f"{path.name} failed in cell {index} (`{line}`): {reason}\nIt is kept, up to there, in {output}"


def _last_started(output: Path) -> tuple[int, str]:
    """Return the index in the kept notebook, from 0, and the first line of the last cell that was started."""
    cells = nbformat.read(output, as_version=4).cells
    index = max(i for i, cell in enumerate(cells) if cell.metadata.get("papermill", {}).get("start_time"))
    return index, cells[index].source.strip().partition("\n")[0]


def _report(seconds: dict[str, float], root: Path, profile: str) -> None:
    rows = [*seconds.items(), ("together", sum(seconds.values()))]
    print(tabulate(rows, headers=["notebook", "seconds"], floatfmt=".1f"))
    print(f"Executed notebooks: {root / 'runs' / profile}; tables: results/{profile}; figures: figures")
