"""What the programs in ``benchmarks/`` that score methods share: their flags, their methods, their pictures."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from mzsr_lib import files
from mzsr_lib.imaging import images, picture_sets
from mzsr_lib.methods import catalogue, registry
from mzsr_lib.methods.registry import Method, Options
from mzsr_lib.shapes import OtherImages


def parser(description: str, methods: Sequence[str], folders: str = "--data") -> argparse.ArgumentParser:
    """Return a parser for the file of rows, the methods with their weights, and the held-out photographs.

    Parameters
    ----------
    description
        The docstring of the program, of which the first line is shown.
    methods
        By default, see `catalogue.parse`.
    folders
        The flag of the folders of photographs; required if it is ``--data``.
    """
    found = argparse.ArgumentParser(description=description.splitlines()[0])
    found.add_argument("output", type=Path)
    kind = "folders of training photographs, of which the held-out ones are taken"
    found.add_argument(folders, nargs="+", type=Path, required=folders == "--data", dest="folders", help=kind)
    found.add_argument("--methods", nargs="+", default=list(methods))
    found.add_argument("--weights", nargs="+", default=[], metavar="METHOD=FILE", help="instead of the shipped ones")
    found.add_argument("--size", type=int, default=192, help="middle of each photograph, px")
    found.add_argument("--count", type=int, default=8, help="photographs that are held out")
    found.add_argument("--threads", type=int, default=1)
    return found


def begin(parser: argparse.ArgumentParser, words: Sequence[str] | None) -> argparse.Namespace:
    """Return the flags, after the number of threads is set and it is sure that the rows can be written."""
    arguments = parser.parse_args(words)
    torch.set_num_threads(arguments.threads)
    files.check_writable(arguments.output)
    return arguments


def methods(texts: Sequence[str], weights: Sequence[str]) -> list[Method]:
    """Return the methods that texts name, with weights as ``METHOD=FILE``; those of one name share their course."""
    given, chosen = dict(pair.split("=", 1) for pair in weights), catalogue.choices(texts)
    return [
        method
        for name in dict.fromkeys(choice.method for choice in chosen)
        for method in registry.build_all([c for c in chosen if c.method == name], Options(given.get(name)))
    ]


def held_out(folders: Sequence[str | Path], size: int = 192, count: int = 8) -> dict[str, OtherImages]:
    """Return the middle of the photographs that trainings on these folders hold out, by name.

    Parameters
    ----------
    folders
        See `picture_sets.read_pictures`, also for what is raised.
    size
        At most so many px a side, a multiple of 12.
    count
        How many are held out.
    """
    found = picture_sets.read_pictures(folders, count).held_out
    return {f"held-out-{number}": images.centre_crop(picture, size, 12) for number, picture in enumerate(found)}
