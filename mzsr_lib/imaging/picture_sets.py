"""The photographs of a training: those that are learned from, and those that are held out to watch it."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mzsr_lib.files import InputError
from mzsr_lib.imaging import images, picture_files
from mzsr_lib.imaging.decoding import MAX_PIXELS
from mzsr_lib.shapes import OtherImages


@dataclass(frozen=True)
class Pictures:
    """The pictures of a run: those trained on, and those held out to watch it."""

    training: list[OtherImages]
    held_out: list[OtherImages]

    def fingerprint(self) -> str:
        """Return twelve hexadecimal digits (of SHA-256) that tell these pictures from others: sizes, colours, order."""
        digest = hashlib.sha256()
        for name, pictures in (("training", self.training), ("held out", self.held_out)):
            for picture in pictures:
                digest.update(f"{name} {tuple(picture.shape)}".encode())
                digest.update(images.to_bytes(picture).cpu().numpy().tobytes())
        return digest.hexdigest()[:12]


def read_pictures(folders: Sequence[str | Path], hold_out: int = 8, max_pixels: int = MAX_PIXELS) -> Pictures:
    """Read every picture of the folders, and hold out some of them at even distances in the sorted list.

    Parameters
    ----------
    folders
        Folders with picture files.
    hold_out
        How many to keep for validation: the choice depends on the file names alone.
    max_pixels
        Pictures of more are refused.

    Raises
    ------
    InputError
        If a folder is missing or empty, or fewer pictures than `hold_out` + 1 are there.
    """
    paths = [path for folder in folders for path in picture_files.paths_in(folder)]
    if len(paths) <= hold_out:
        raise InputError(
            f"The number of pictures is {len(paths)}: give at least {hold_out + 1}, since {hold_out} are held out."
        )
    chosen = {i * len(paths) // hold_out for i in range(hold_out)}
    pictures = [picture_files.load(path, max_pixels) for path in paths]
    return Pictures(
        [p for i, p in enumerate(pictures) if i not in chosen],
        [p for i, p in enumerate(pictures) if i in chosen],
    )
