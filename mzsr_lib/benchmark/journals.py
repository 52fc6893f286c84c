"""Rows while they are measured: each is a line of a journal, on the disk before the next is begun, with a checksum."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from mzsr_lib.benchmark import measuring
from mzsr_lib.benchmark.measuring import COLUMNS, Row
from mzsr_lib.files import Failure

CHECKSUM = "checksum"


def append(journal: Path, row: Row) -> None:
    """Add a row to a journal and wait until it is on the disk; half a line of a killed process is closed first.

    Raises
    ------
    Failure
        If it cannot be written: the lines before it stay.
    """
    line = json.dumps(row | {CHECKSUM: _checksum(row)}).encode()
    try:
        journal.parent.mkdir(parents=True, exist_ok=True)
        with journal.open("ab+") as handle:
            torn = handle.tell() > 0 and (handle.seek(-1, os.SEEK_END), handle.read(1))[1] != b"\n"
            handle.write((b"\n" if torn else b"") + line + b"\n")
            handle.flush()
            os.fsync(handle.fileno())
    except OSError as error:
        reason = error.strerror or error
        raise Failure(
            f"{journal} cannot be written ({reason}): make room; the same command goes on from what is there."
        ) from None


def read(journal: Path) -> tuple[list[Row], int]:
    """Return the rows of a journal, and how many of its lines are damaged: cut, changed, or no measured row.

    A line from before there were checksums has no hash of its kernel either, and is looked at like ``rows.csv``.
    """
    try:
        lines = journal.read_bytes().split(b"\n")
    except OSError:
        return [], 1
    found = [_row(line) for line in lines if line.strip()]
    return [row for row in found if row], found.count(None)


def _row(line: bytes) -> Row | None:
    try:
        row = json.loads(line.decode())
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict):
        return None
    checksum = row.pop(CHECKSUM, None)
    if checksum != _checksum(row) and not (checksum is None and "kernel_hash" not in row):
        return None
    row = measuring.completed(row)
    if set(COLUMNS) - set(row) or measuring.problem(row):
        return None
    return row


def _checksum(row: Mapping) -> str:
    """Return twelve characters that another row does not have."""
    return hashlib.sha256(json.dumps(row, sort_keys=True).encode()).hexdigest()[:12]
