"""The log of a run: one JSON object a line, written while it goes, and read by one checking reader."""

import json
from pathlib import Path
from typing import Any, Required, TypedDict

from mzsr_lib import files
from mzsr_lib.fields import NotNegative, Whole, problem
from mzsr_lib.files import InputError


class Line(TypedDict, total=False):
    """What every line has; there is more, numbers all of it but for ``changed``, see `loop.Loop`."""

    step: Required[Whole]
    seconds: Required[NotNegative]
    changed: dict


def read(path: str | Path) -> list[dict[str, Any]]:
    """Return the lines of a log; a last one that was cut short is passed over.

    Raises
    ------
    InputError
        If the file cannot be read, or a line is not one of a log.
    """
    lines = files.read_records(path)
    for number, line in enumerate(lines, 1):
        found = problem(line, Line, f"line {number}")
        words = [key for key, value in line.items() if key != "changed" and not isinstance(value, (int, float))]
        if found or words:
            reason = found or f"line {number}.{words[0]} is no number."
            raise InputError(f"The log {path} is damaged, {reason.rstrip('.')}: restore it, or move it away.")
    return lines


def write(path: str | Path, line: dict[str, Any]) -> None:
    """Add a line to a log."""
    with Path(path).open("a", **files.TEXT) as handle:
        handle.write(json.dumps(line) + "\n")


def trim(path: str | Path, step: int) -> None:
    """Forget the lines of a log that were written after `step`, and one that a crash cut short."""
    if not Path(path).exists():
        return
    kept = [line for line in read(path) if line["step"] <= step]
    with files.atomic_path(path) as temporary:
        temporary.write_text("".join(json.dumps(line) + "\n" for line in kept), **files.TEXT)
