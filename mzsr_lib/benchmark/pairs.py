"""Pictures that others degraded: low-resolution ones, and kernels, that belong to sharp ones by their names."""

import functools
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from mzsr_lib.benchmark import datasets
from mzsr_lib.benchmark.measuring import Job
from mzsr_lib.files import InputError, existing_folder, printable
from mzsr_lib.imaging import kernel_files, picture_files
from mzsr_lib.imaging.decoding import MAX_PIXELS
from mzsr_lib.imaging.kernel_files import Convention
from mzsr_lib.imaging.kernels import Mode, Setting
from mzsr_lib.methods.registry import Method

# What names may have besides: DIV2KRK's are img_1_gt.png, im_1.png and kernel_1.mat, DIV2K's 0801.png and 0801x2.png.
WORDS = ("x2", "x3", "x4", "x8", "lr", "hr", "gt", "kernel", "ker", "k", "img", "im", "image")
RULE = f"names belong together that are the same, or the same without {', '.join(WORDS)}"


def key(stem: str) -> tuple[str, ...]:
    """Return the parts of a name that tell one picture from another, see `RULE`.

    Examples
    --------
    >>> key("img_1_gt"), key("kernel_1"), key("0801x2"), key("baby_LR")
    (('1',), ('1',), ('0801',), ('baby',))
    """
    parts = [re.sub(r"(?<=.)x[2348]$", "", part) for part in re.findall(r"[^\W_]+", stem.lower())]
    return tuple(part for part in parts if part not in WORDS) or (stem,)


def matched(sharp: Sequence[Path], others: Sequence[Path], what: str) -> list[Path]:
    """Return the one of the others that belongs to each sharp picture.

    Raises
    ------
    InputError
        If none does, or several.
    """
    found = []
    for path in sharp:
        able = [other for other in others if other.stem == path.stem]
        able = able or [other for other in others if key(other.stem) == key(path.stem)]
        if len(able) != 1:
            there = " and ".join(other.name for other in able) or "none"
            raise InputError(f"{path.name} should have one {what}, and there is {there}: {RULE}.")
        found += able
    return found


def kernels_in(folder: str | Path) -> list[Path]:
    """Return the kernel files of a folder, sorted by name."""
    suffixes = kernel_files.FILE_SUFFIXES
    return sorted(path for path in existing_folder(folder).iterdir() if path.suffix.lower() in suffixes)


def settings_of(sharp: Sequence[Path], folder: str | Path, mode: Mode | None, convention: Convention) -> list[Setting]:
    """Return the kernel of each sharp picture, out of a folder; all are called as the folder is."""
    name, settings = printable(existing_folder(folder).resolve().name), []
    for path in matched(sharp, kernels_in(folder), f"kernel in {folder}"):
        setting = kernel_files.parse(str(path), convention)
        settings.append(setting._replace(name=name, mode=mode or setting.mode))
    return settings


def jobs(
    folder: str | Path,
    settings: Sequence[Setting],
    methods: Sequence[Method],
    lr: str | Path | None = None,
    max_pixels: int = MAX_PIXELS,
) -> list[Job]:
    """Return the jobs of a folder of sharp pictures, each with its kernel and, if given, its low-resolution picture.

    Nothing of them is compared with the paper.

    Parameters
    ----------
    folder
        Sharp pictures.
    settings
        The kernel of each.
    methods
        See `registry.build`.
    lr
        Folder of the low-resolution pictures; without one they are made here.
    max_pixels
        Pictures of more are not read.
    """
    sharp = picture_files.paths_in(folder)
    small = matched(sharp, picture_files.paths_in(lr), f"low-resolution picture in {lr}") if lr else [None] * len(sharp)
    name = printable(Path(folder).resolve().name)
    return [
        Job(
            name,
            printable(path.name),
            functools.partial(picture_files.load, path, max_pixels),
            setting,
            method,
            image_hash=_digest(path, *([other] if other else [])),
            given=functools.partial(picture_files.load, other, max_pixels) if other else None,
        )
        for method in methods
        for path, other, setting in zip(sharp, small, settings, strict=True)
    ]


def _digest(*paths: Path) -> str:
    """Return what tells the content of files, of one as `datasets.fingerprint` does."""
    prints = [datasets.fingerprint(path) for path in paths]
    return (prints[0] if len(prints) == 1 else hashlib.sha256("".join(prints).encode()).hexdigest())[:12]
