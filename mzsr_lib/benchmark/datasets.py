"""The data sets: which files they consist of, where they lie, a download that checks every byte; and examples."""

import functools
import hashlib
import os
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from mzsr_lib.files import InputError, check_writable, nearest, read_rows
from mzsr_lib.imaging.images import from_array
from mzsr_lib.imaging.picture_files import paths_in
from mzsr_lib.shapes import Images

MANIFEST = Path(__file__).parent / "manifest.csv"
TRIES = 3
TIMEOUT = 30  # seconds without an answer


@dataclass(frozen=True)
class Entry:
    """One file of a data set: its name, its address, and what it must be like."""

    file: str
    url: str
    sha256: str
    bytes: int


@functools.cache
def manifest(path: Path = MANIFEST) -> dict[str, tuple[Entry, ...]]:
    """Return the files of every data set, by the name of the data set."""
    sets: dict[str, list[Entry]] = {}
    for row in read_rows(path):
        entry = Entry(row["file"], row["url"], row["sha256"], int(row["bytes"]))
        sets.setdefault(row["dataset"], []).append(entry)
    return {name: tuple(entries) for name, entries in sets.items()}


def data_root() -> Path:
    """Return the folder of the data sets: the environment variable MZSR_DATA, or a folder in the user's cache."""
    named = os.environ.get("MZSR_DATA")
    if named:
        return Path(named).expanduser()
    import pooch  # here, because only whoever downloads needs it

    return Path(pooch.os_cache("mzsr")) / "data"


def entries_of(name: str) -> tuple[Entry, ...]:
    """Return the files of a data set.

    Raises
    ------
    InputError
        If there is no such data set.
    """
    if name not in manifest():
        near, known = nearest(name, manifest()), ", ".join(manifest())
        raise InputError(f"There is no data set '{name}'{near}: choose from {known}.")
    return manifest()[name]


def present(name: str, root: str | Path | None = None) -> list[Entry]:
    """Return those files of a data set that exist and have the right size; their content is not looked at."""
    place = _place(name, root)
    paths = ((entry, place / entry.file) for entry in entries_of(name))
    return [entry for entry, path in paths if path.is_file() and path.stat().st_size == entry.bytes]


def folder(name: str, root: str | Path | None = None) -> Path:
    """Return the folder of a data set that is complete.

    Raises
    ------
    InputError
        If the name is unknown, or files are missing.
    """
    found, wanted = len(present(name, root)), len(entries_of(name))
    if found < wanted:
        place = _place(name, root)
        command = f"mzsr data fetch {name} --data {shlex.quote(str(place.parent))}"
        raise InputError(
            f"{place} holds {found} of the {wanted} files of {name}: run "
            f"'{command}', or name the folder that holds them (--data)."
        )
    return _place(name, root)


def check(name: str, root: str | Path | None = None) -> list[str]:
    """Return the names of the files that are there and differ from the manifest (SHA-256); none is good."""
    place = _place(name, root)
    there = ((entry, place / entry.file) for entry in entries_of(name))
    return [entry.file for entry, path in there if path.is_file() and fingerprint(path) != entry.sha256]


def datasets(root: str | Path | None = None, verify: bool = True) -> list[dict[str, object]]:
    """Describe every data set: name, files, megabytes, files present, and whether those are right.

    ``verified`` is ``"yes"``, ``"no"``, or ``"-"`` when nothing is there or `verify` is False.
    """
    rows = []
    for name, entries in manifest().items():
        place = _place(name, root)
        there = sum((place / entry.file).is_file() for entry in entries)
        verified = ("no" if check(name, root) else "yes") if there and verify else "-"
        size = round(sum(entry.bytes for entry in entries) / 1e6, 1)
        rows.append({"dataset": name, "files": len(entries), "MB": size, "present": there, "verified": verified})
    return rows


def recognise(directory: str | Path) -> str | None:
    """Return the data set whose pictures a folder holds, by their content (SHA-256) and names, or None."""
    name, directory = named_like(directory), Path(directory)
    if name and all(fingerprint(directory / entry.file) == entry.sha256 for entry in manifest()[name]):
        return name
    return None


def named_like(directory: str | Path) -> str | None:
    """Return the data set whose files have the number and names of those in a folder, whatever they hold, or None."""
    try:
        names = {path.name for path in paths_in(directory)}
    except InputError:  # no folder, or no picture in it
        return None
    matches = (name for name, entries in manifest().items() if names == {entry.file for entry in entries})
    return next(matches, None)


def fetch(names: Sequence[str], root: str | Path | None = None, progress: bool = True) -> list[Path]:
    """Download data sets, each file whole and with the right SHA-256 or not at all, and return their folders.

    Files that are there and right are not fetched again, so an interrupted download is continued.

    Parameters
    ----------
    names
        Such as ``["set5", "bsd100"]``.
    root
        Parent of the data sets' folders, by default `data_root`.
    progress
        Show a bar.

    Raises
    ------
    InputError
        If a name is unknown, the folder cannot be written, a server cannot be reached, or a file
        there is not the one of the manifest.
    """
    if not names:
        raise InputError(f"No data set is named: choose from {', '.join(manifest())}.")
    wanted = {name: entries_of(name) for name in names}
    for name, entries in wanted.items():
        check_writable(_place(name, root) / entries[0].file)
    count = sum(map(len, wanted.values()))
    with tqdm(total=count, unit="file", disable=None if progress else True) as bar:
        for name, entries in wanted.items():
            bar.set_description(name)
            _fetch_files(entries, _place(name, root), bar)
    return [_place(name, root) for name in wanted]


def _fetch_files(entries: Iterable[Entry], place: Path, bar: tqdm) -> None:
    import pooch

    pooch.get_logger().setLevel("ERROR")
    entries = list(entries)
    registry = {entry.file: f"sha256:{entry.sha256}" for entry in entries}
    urls = {entry.file: entry.url for entry in entries}
    collection = pooch.create(path=place, base_url="", registry=registry, urls=urls, retry_if_failed=TRIES - 1)
    for entry in entries:
        _fetch_one(collection, entry)
        bar.update()


def _fetch_one(collection: Any, entry: Entry) -> None:
    import pooch
    import requests

    try:
        collection.fetch(entry.file, downloader=pooch.HTTPDownloader(timeout=TIMEOUT))
    except requests.HTTPError as error:
        status = getattr(error.response, "status_code", "unknown")
        raise InputError(f"The server refused {entry.url} (status {status}): try again later.") from None
    except requests.RequestException:
        raise InputError(
            f"{entry.url} cannot be reached: check the network and run the same command again; what is there is kept."
        ) from None
    except ValueError:  # pooch's way to say that the hash is another
        raise InputError(
            f"What lies at {entry.url} is not the file of the manifest (SHA-256): it was not kept."
        ) from None


def _place(name: str, root: str | Path | None) -> Path:
    return Path(root or data_root()).expanduser() / name


def fingerprint(path: Path) -> str:
    """Return the SHA-256 of a file; it is computed again when the file has changed.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    try:
        state = path.stat()
        return _sha256(path, state.st_size, state.st_mtime_ns)
    except OSError as error:
        raise InputError(f"Cannot read {path} ({error.strerror or error}).") from None


@functools.cache
def _sha256(path: Path, size: int, changed: int) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


# Pictures that come with scikit-image, so that nothing has to be fetched; all are free to use.
EXAMPLES = ("astronaut", "coffee", "chelsea", "rocket")


def example(name: str) -> Images:
    """Return one of scikit-image's colour pictures (`EXAMPLES`) as (1, 3, H, W); nothing is fetched."""
    if name not in EXAMPLES:
        raise InputError(f"There is no example picture '{name}': choose one of {', '.join(EXAMPLES)}.")
    from skimage import data  # here, because only whoever asks for one needs it

    return from_array(getattr(data, name)())
