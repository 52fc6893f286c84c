"""What every command does with files that a user names to be written: nothing is lost; and with large pictures."""

import os
from typing import Annotated, Any

from tyro import conf

from mzsr_lib import files
from mzsr_lib.files import InputError

STREAM = "-"  # the standard input or output


def arg(**told: Any) -> Any:
    """Return tyro's `arg` with a help that names the default only where there is one; the others are told in words."""
    return conf.arg(**told, help_behavior_hint=lambda found: f"(default: {found})" if found not in ("", "None") else "")


Overwrite = Annotated[
    bool,
    arg(help="Replace what is there, but no picture by its own result; otherwise it stays, and is refused or skipped."),
]
MOST = 100_000_000  # decoding.MAX_PIXELS
MaxPixels = Annotated[
    int, arg(metavar="N", help="Refuse pictures, and results, of more pixels: they may take more memory than there is.")
]


def same(source: str, target: str) -> bool:
    """Say whether two names are those of one file."""
    try:
        return os.path.samefile(source, target)  # noqa: PTH121 (a Path raises for names that cannot be)
    except (OSError, ValueError):
        return False


def writable(target: str, source: str, overwrite: bool, otherwise: str = "give another name, or --overwrite") -> str:
    """Return the picture file to write; raise `InputError` when something is there that nobody asked to be replaced.

    With `overwrite` a link stays, and the file that it leads to is replaced. `otherwise` is what to do otherwise.
    """
    from mzsr_lib.imaging import picture_files

    if target == STREAM:
        return target
    path = picture_files.check_suffix(target)
    if same(source, target):
        raise InputError(f"{target} is the input itself, and is never replaced by its result: give another name.")
    if os.path.lexists(path) and not path.is_dir() and not overwrite:
        what = "a link" if path.is_symlink() else "there already"
        raise InputError(f"{target} is {what}, and is not replaced unasked: {otherwise}.")
    files.destination(path)
    return target
