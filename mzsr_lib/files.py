"""What the user gave, and what we write: one error type, whole files only, and where results came from."""

import contextlib
import csv
import difflib
import hashlib
import json
import os
import re
import stat
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # on Windows: nothing is locked there, and no leftovers are removed
    fcntl = None

# How every text file is opened, whatever the locale: a name that is no UTF-8 comes back as it was.
TEXT: dict[str, Any] = {"encoding": "utf-8", "errors": "surrogateescape"}


class Sentence(Exception):
    """An exception whose message says all: in a notebook it is shown without a traceback."""

    def _render_traceback_(self) -> list[str]:  # asked for by IPython
        return [str(self)]


class InputError(Sentence, ValueError):
    """What the user gave cannot be used. The message is one sentence: what, what was found, what to do."""


class Failure(Sentence, RuntimeError):
    """The work could not be finished although what was given is fine. The message is one sentence.

    Attributes
    ----------
    code
        The exit code of a command that ends with it.
    """

    code: int = 1


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a temporary file beside `path`; rename it to `path` on success, remove it on failure.

    A reader of `path` therefore sees the old file or the new one, never half of one. A link stays a link.

    Parameters
    ----------
    path
        The file to write, see `destination`. Its folder is made when it is missing.

    Raises
    ------
    InputError
        If the folder cannot be made or written, or what is there may not be replaced.
    """
    path = check_writable(path)
    _make(path.parent)
    # Not the name itself: with it and more, the name of the temporary file could be too long.
    start = f".mzsr-{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:12]}-"
    _remove_leftovers(path.parent, start)
    handle, name = tempfile.mkstemp(prefix=start, suffix=path.suffix, dir=path.parent)
    temporary = Path(name)
    with os.fdopen(handle) as held:
        if not _lock(held.fileno()):
            held.close()
        try:
            yield temporary
            # mkstemp makes private files; a result should have the permissions of any other new file.
            umask = os.umask(0)
            os.umask(umask)
            temporary.chmod(0o666 & ~umask)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def room_for(what: str) -> Iterator[None]:
    """Raise `Failure` when the system refuses what is written inside: the disk is full, or cannot be written.

    `what` begins the sentence. Errors without a number, which are a library's own, pass through.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise Failure(f"{what} cannot be written ({error.strerror or error}): make room for it.") from None


def _remove_leftovers(folder: Path, start: str) -> None:
    """Remove temporary files of killed processes: a living one holds the lock of its own."""
    for leftover in folder.glob(f"{start}*"):
        with contextlib.suppress(OSError), leftover.open("rb") as opened:
            if _lock(opened.fileno()):
                leftover.unlink()


def _lock(descriptor: int) -> bool | None:
    """Lock an open file or folder for this process, until it closes it or ends in whatever way.

    Returns False when another has it, and None where there are no locks.
    """
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # some file systems of networks have none
        return None
    return True


@contextlib.contextmanager
def locked(folder: str | Path) -> Iterator[None]:
    """Have a folder to oneself: make it when it is missing, and lock it as long as the context lasts.

    A process that is killed leaves no lock behind.

    Raises
    ------
    InputError
        If another process, or another context of this one, has it, or if it cannot be made.
    """
    folder = Path(folder)
    check_writable(folder / "file")
    _make(folder)
    if fcntl is None:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if _lock(descriptor) is False:
            raise InputError(f"Another process is at work in {folder}: wait until it is done, or give another folder.")
        yield
    finally:
        os.close(descriptor)


def destination(path: str | Path) -> Path:
    """Return the file that is written under a name: where a link leads, if it is one.

    Raises
    ------
    InputError
        If what is there is a folder, a pipe or a device, or read-only, or the name cannot be one.
    """
    try:
        real = Path(os.path.realpath(path))  # a Path raises for links that lead to themselves
        mode = real.stat().st_mode
    except FileNotFoundError:
        return real
    except (OSError, ValueError) as error:
        raise _not_writable(path, error) from None
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "no ordinary file"
        raise InputError(f"{path} is {kind}: give the name of a file to write.")
    if not mode & stat.S_IWUSR:
        raise InputError(f"{path} is read-only, and stays: give another name, or change its permissions.")
    return real


def check_writable(path: str | Path) -> Path:
    """Return the `destination` of a file; raise `InputError` when it, or its folder, cannot be written there.

    Commands call this before long work, so that an hour is not spent on a result with no place to go. Nothing is made.
    """
    real = destination(path)
    try:
        with tempfile.TemporaryFile(dir=folder_of(real)):
            return real
    except (OSError, ValueError) as error:
        raise _not_writable(path, error) from None


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _not_writable(folder, error) from None


def is_address(text: str) -> bool:
    """Say whether a text is an address of the web rather than the name of a file."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", text) is not None


def folder_of(path: Path) -> Path:
    """Return the innermost folder of a path that exists."""
    return next(folder for folder in path.parents if folder.is_dir())


def _not_writable(path: str | Path, error: Exception) -> InputError:
    reason = getattr(error, "strerror", None) or error
    return InputError(f"Cannot write {path} ({reason}): choose another place for the output.")


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
    with atomic_path(path) as temporary, temporary.open("w", newline="", **TEXT) as handle:
        writer = csv.DictWriter(handle, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read_rows(path: str | Path) -> list[dict[str, str]]:
    """Read a CSV file into dictionaries of strings; lines that start with ``#`` are comments.

    Raises
    ------
    InputError
        If it cannot be read, or a line has more or fewer values than the first one has names.
    """
    try:
        with Path(path).open(newline="", **TEXT) as handle:
            rows = list(csv.DictReader((line for line in handle if not line.startswith("#")), strict=True))
    except (OSError, csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"The table {path} cannot be read ({error}): mend it, or move it away.") from None
    for number, row in enumerate(rows, 1):
        if None in row or None in row.values():
            raise InputError(f"Row {number} of the table {path} has not as many values as there are columns: mend it.")
    return rows


def read_records(path: str | Path) -> list[dict[str, Any]]:
    """Read a file with one JSON object a line; a last line that was cut short is passed over.

    Raises
    ------
    InputError
        If the file cannot be read, or any other line is no JSON object.
    """
    try:
        *whole, last = Path(path).read_text(**TEXT).split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({error}).") from None
    records = [_record(line) for line in whole]
    if None in records:
        number = records.index(None) + 1
        raise InputError(f"Line {number} of {path} is damaged: restore the file, or move it away.")
    return [record for record in (*records, _record(last)) if record is not None]


def _record(line: str) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def nearest(word: str, names: Iterable[str]) -> str:
    """Return which of some names may be meant by a mistyped one, in brackets after a space; empty if none is near.

    Examples
    --------
    >>> nearest("mszr", ["bicubic", "mzsr"])
    " (perhaps 'mzsr' is meant)"
    """
    return "".join(f" (perhaps '{name}' is meant)" for name in difflib.get_close_matches(word, list(names), 1))


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
