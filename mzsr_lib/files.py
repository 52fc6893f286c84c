"""What the user gave, and what we write: one error type, whole files only, and where results came from."""

import contextlib
import csv
import os
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path


class InputError(ValueError):
    """What the user gave cannot be used. The message is one sentence: what, what was found, what to do."""


class Failure(RuntimeError):
    """The work could not be finished although what was given is fine. The message is one sentence."""


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a temporary file beside `path`; rename it to `path` on success, remove it on failure.

    A reader of `path` therefore sees the old file or the new one, never half of one.

    Parameters
    ----------
    path
        The file to write. Its folder is made when it is missing.

    Raises
    ------
    InputError
        If the folder cannot be made or written.
    """
    path = Path(path)
    check_writable(path)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes private files; a result should have the permissions of any other new file.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def check_writable(path: str | Path) -> None:
    """Make the folder of `path` and raise `InputError` when a file cannot be written there.

    Commands call this before long work, so that an hour is not spent on a result with no place to go.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder: give the name of a file to write.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"Cannot write {path} ({reason}): choose another place for the output.") from None


def existing_folder(path: str | Path) -> Path:
    """Return `path` as a Path, or raise `InputError` when it is not a folder."""
    path = Path(path).expanduser()
    if not path.is_dir():
        found = "a file" if path.exists() else "nothing"
        raise InputError(f"{path} should be a folder, and there is {found} with that name.")
    return path


def write_rows(path: str | Path, rows: Iterable[dict]) -> None:
    """Write dictionaries with the same keys as a CSV file, whole or not at all."""
    rows = list(rows)
    if not rows:
        raise InputError(f"There are no rows to write to {path}.")
    with atomic_path(path) as temporary, temporary.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read_rows(path: str | Path) -> list[dict[str, str]]:
    """Read a CSV file into dictionaries of strings; lines that start with ``#`` are comments."""
    with Path(path).open(newline="") as handle:
        return list(csv.DictReader(line for line in handle if not line.startswith("#")))


def printable(name: str) -> str:
    """Return the name of a file as a text for rows and screens: UTF-8 whatever the locale says, and in one line."""
    return " ".join(name.encode("utf-8", "surrogateescape").decode("utf-8", "replace").split())


def git_commit() -> str:
    """Return the commit of the source tree this library runs from, or ``"unknown"`` outside one.

    ``+`` is appended when tracked files of the library differ from that commit.
    """
    package = Path(__file__).resolve().parent

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(package), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", "--", "*.py")
        return git("rev-parse", "--short=12", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.SubprocessError):
        return "unknown"
