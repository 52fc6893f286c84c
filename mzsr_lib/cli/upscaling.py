"""The command ``mzsr upscale``: one picture, several, a folder or a pattern; nothing is lost on the way."""

import contextlib
import glob
import json as json_text
import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tqdm import tqdm
from tyro.conf import Positional

from mzsr_lib.cli.commands import KERNELS, METHODS, Convention, Device, Mode, Precision, Seed, Weights
from mzsr_lib.cli.targets import MOST, STREAM, MaxPixels, Overwrite, arg, same, writable
from mzsr_lib.files import Failure, InputError, is_address, printable

if TYPE_CHECKING:
    from mzsr_lib.imaging.picture_files import Picture
    from mzsr_lib.methods.upscaling import Upscaling

Pictures = Annotated[
    Positional[tuple[str, ...]],
    arg(
        metavar="LR [LR ...] [SR]",
        help="Low-resolution pictures: files, folders, patterns such as '*.png' in quotes, or - for the standard "
        "input. Without --output these are two: a picture, and the file to write.",
    ),
]
Output = Annotated[
    str | None,
    arg(
        metavar="DIR|FILE|-",
        help="Folder for the results, which keep their names (.png where a format cannot be written); for one picture "
        "also a file, or - for the standard output, as PNG.",
    ),
]
Kernel = Annotated[
    str | None,
    arg(
        metavar="KERNEL",
        help=f"Blur kernel on the high-resolution grid: {KERNELS} Or 'estimate': a Gaussian that fits the edges, at "
        "scale 2; for photo, as when the kernel is left out, what a network sees, noise too.",
    ),
]
Scale = Annotated[
    Literal[1, 2, 3, 4],
    arg(help="Size of the result / size of the picture; 1 undoes a blur alone (tikhonov, landweber, zssr)."),
]
Steps = Annotated[
    int | None,
    arg(
        metavar="N",
        help="Gradient updates on the picture; by default 10 for mzsr, 0 for mzsr-plus, at most 3000 for zssr.",
    ),
]
Method = Annotated[
    str | None,
    arg(
        metavar="NAME",
        help=f"How to super-resolve: {METHODS}. By default mzsr with a kernel that is known, and photo without. With a "
        "known kernel, blind is the network that is told none, followed by agreement; photo takes a width between the "
        "one that you tell and the one that it sees in the picture.",
    ),
]
Noise = Annotated[
    float | None,
    arg(
        metavar="N",
        help="Standard deviation of what disturbs the picture, in grey levels of 255, for unfolded and photo; else it "
        "is estimated.",
    ),
]
Agree = Annotated[
    bool,
    arg(
        help="End, where the method can, with the picture that agrees with the low-resolution one: better, unless "
        "it has noise of more than one or two grey levels. Never with an estimated kernel, unless named: "
        "--method mzsr+agree."
    ),
]
Ensemble = Annotated[
    bool, arg(help="Average over turned pictures (mzsr-plus, unfolded, photo): better, and 2 or 8 times slower.")
]
Register = Annotated[
    Literal["sampling", "input"],
    arg(
        help="Where the result lies: with direct sampling pixel i becomes pixel SCALE * i, (SCALE - 1) / 2 px to the "
        "left and above of an ordinary enlargement; input moves it there."
    ),
]
Size = Annotated[
    str | None,
    arg(
        metavar="WxH",
        help="Make the result smaller at the end: the largest that fits into WxH px with its proportions kept, so that "
        "50x30 makes a square picture 30 x 30; one that fits already stays as it is. Wx or xH bounds one side alone.",
    ),
]
Quality = Annotated[
    int | None, arg(metavar="1-100", help="Of JPEG, by default 95, and of WebP, by default without loss.")
]
Tile = Annotated[
    int | None,
    arg(
        metavar="PX",
        help="Side of the pieces in which a large picture is computed, px of the result: smaller ones need less "
        "memory. By default 512 for networks, and 2048 for unfolded, photo and what is no network.",
    ),
]

TWO = "give another name, --overwrite, or, if it is one of the pictures, --output DIR"


def upscale(
    pictures: Pictures,
    *,
    output: Output = None,
    kernel: Kernel = None,
    kernel_convention: Convention = "correlate",
    scale: Scale = 2,
    steps: Steps = None,
    method: Method = None,
    noise: Noise = None,
    agree: Agree = True,
    ensemble: Ensemble = False,
    weights: Weights = None,
    mode: Mode = None,
    register: Register = "sampling",
    size: Size = None,
    overwrite: Overwrite = False,
    quality: Quality = None,
    tile: Tile = None,
    max_pixels: MaxPixels = MOST,
    quiet: Annotated[bool, arg(help="Say nothing but what went wrong.")] = False,
    json: Annotated[bool, arg(help="Print one line of JSON a picture, for scripts.")] = False,
    seed: Seed = 0,
    device: Device = "auto",
    precision: Precision = "auto",
) -> None:
    """Super-resolve pictures, whether their blur kernel is known or not.

    Without a kernel, the blur and the noise are estimated, and doubted. Of several pictures those that cannot be done
    are listed at the end, and the exit code is 1; what is there already is skipped.

    Example: mzsr upscale photo.jpg photo-x2.png

    Example: mzsr upscale LR.png SR.png --kernel g2.0d --scale 2 --steps 10

    Example: mzsr upscale photos --output large
    """
    from mzsr_lib import runtime
    from mzsr_lib.imaging.encoding import check_quality
    from mzsr_lib.methods import upscaling
    from mzsr_lib.methods.registry import Options

    jobs = planned(pictures, output, overwrite)
    if quality is not None:
        check_quality(Path("a.jpg"), quality)
    options = Options(weights, runtime.pick_device(device), scale, precision, seed, not quiet, ensemble)
    choice = upscaling.chosen(method, kernel, steps, None if agree else False)
    given = (mode, register, size, tile, max_pixels, kernel_convention, noise)
    run = Run(upscaling.Upscaling(choice, kernel, options, *given), overwrite, quality, quiet, json)
    run.passed_over(pictures, output)
    run.all(jobs)


@dataclass(frozen=True)
class Job:
    """A picture, and the file that its result goes to: paths, or `STREAM`."""

    source: str
    target: str
    alone: bool


def planned(given: tuple[str, ...], output: str | None, overwrite: bool = False) -> list[Job]:
    """Return what is to be done, or raise `InputError` when that is not clear or would destroy something."""
    _check_local(output or "".join(given[1:2]))
    if output is None:
        if not given:
            raise InputError("No picture is given: write for instance mzsr upscale photo.jpg photo-x2.png.")
        if len(given) != 2 or any(map(_is_folder, given)):
            found = " and ".join(given) if len(given) < 3 else f"{len(given)} names"
            raise InputError(
                f"It is not clear where the results go ({found}): give one picture and one file to write, or, for "
                "several pictures or a folder, --output DIR."
            )
        return [Job(given[0], writable(given[1], given[0], overwrite, TWO), alone=True)]
    sources = list(dict.fromkeys(path for text in given for path in expanded(text)))
    if not sources:
        raise InputError("No picture is given: name files, folders or patterns.")
    if output == STREAM or _names_a_file(output, len(sources)):
        if len(sources) > 1:
            raise InputError(f"{len(sources)} pictures cannot go into the one file {output}: give a folder.")
        return [Job(sources[0], writable(output, sources[0], overwrite), alone=True)]
    if STREAM in sources:
        raise InputError("What comes from the standard input has no name: give a file to write, or - for --output.")
    names = {source: _named(source) for source in sources}
    taken = Counter(names.values())
    for source in sources:  # beside same.png, same.gif becomes same.gif.png
        if Path(source).name != names[source] and taken[names[source]] > 1:
            names[source] = f"{Path(source).name}.png"
    jobs = [Job(source, str(Path(output) / name), alone=False) for source, name in names.items()]
    _check_apart(jobs)
    return jobs


def _check_local(where: str) -> None:
    """Raise `InputError` when results should go to an address."""
    if is_address(where):
        raise InputError(f"{where} is an address, and results are written to files: give the name of a file or folder.")


def expanded(text: str) -> list[str]:
    """Return the pictures that a text names: a file, `STREAM`, all of a folder, or those that fit a pattern.

    Raises
    ------
    InputError
        If a folder holds no pictures, or a pattern fits none.
    """
    from mzsr_lib.imaging import picture_files

    if _is_folder(text):
        return list(map(str, picture_files.paths_in(text)))
    if not any(sign in text for sign in "*?[") or os.path.lexists(text):
        return [text]
    found = [path for path in sorted(glob.glob(text, recursive=True)) if not _is_folder(path)]  # noqa: PTH207
    if found:
        return found
    raise InputError(f"No file fits the pattern '{text}': look at the folder, and at the ending.")


def _is_folder(text: str) -> bool:
    return os.path.isdir(text)  # noqa: PTH112 (a Path raises for names that cannot be)


def _names_a_file(output: str, count: int) -> bool:
    """Say whether a text is meant as a file: it ends like a picture, or, for one picture alone, like any file."""
    from mzsr_lib.imaging.encoding import FORMATS

    suffix = Path(output).suffix.lower()
    if _is_folder(output) or output.endswith(("/", os.sep)):
        return False
    return suffix in FORMATS or (count == 1 and bool(suffix))


def _named(source: str) -> str:
    """Return the file name of a result."""
    from mzsr_lib.imaging.encoding import FORMATS

    path = Path(source)
    return path.name if path.suffix.lower() in FORMATS else f"{path.stem}.png"


def _check_apart(jobs: list[Job]) -> None:
    """Raise `InputError` when two results have one file, or a result that of its input."""
    targets: dict[str, str] = {}
    for job in jobs:
        if (other := targets.setdefault(job.target, job.source)) != job.source:
            raise InputError(
                f"{other} and {job.source} would both go into {job.target}: take them in two "
                "calls, with another --output for one of them."
            )
        if same(job.source, job.target):
            raise InputError(f"{job.source} would be replaced by its result: give another folder.")


@dataclass
class Run:
    """How pictures are done, one after another, and what is said of them."""

    work: "Upscaling"
    overwrite: bool = False
    quality: int | None = None
    quiet: bool = False
    json: bool = False

    def __post_init__(self):
        self.said: set[str] = set()

    def passed_over(self, given: tuple[str, ...], output: str | None) -> None:
        """Say which folders within those that are given are left out."""
        from mzsr_lib.imaging import picture_files

        for sentence in picture_files.passed_over(list(filter(_is_folder, given)), [output] if output else []):
            self.note(sentence)

    def all(self, jobs: list[Job]) -> None:
        """Do every job; raise what went wrong with one alone, or a `Failure` after several that lists all."""
        failed: list[tuple[Job, str]] = []
        shown = None if len(jobs) > 1 and not self.quiet else True
        for job in tqdm(jobs, "pictures", unit="picture", disable=shown):
            try:
                self.report(job, self.one(job))
            except Exception as error:
                from mzsr_lib.cli.main import explain

                failed.append((job, explain(error)[0]))
                if self.json:
                    self.report(job, {"status": "failed", "error": failed[-1][1]})
                if job.alone:
                    raise
        if failed:
            for job, reason in failed:
                self.note(reason if job.source in reason else f"{job.source}: {reason}", always=True)
            raise Failure(f"{len(failed)} of {len(jobs)} pictures could not be done, and are listed above.")

    def one(self, job: Job) -> dict[str, Any]:
        """Do one job, and return what there is to say of it."""
        from mzsr_lib.imaging import picture_files

        if not job.alone and not self.overwrite and os.path.lexists(job.target):
            return {"status": "skipped"}
        began, notes = time.perf_counter(), []
        say = self._saying(notes)
        source = BytesIO(sys.stdin.buffer.read()) if job.source == STREAM else job.source
        picture = picture_files.read(source, self.work.max_pixels)
        target = job.target if job.alone else writable(job.target, job.source, self.overwrite)
        size = self.work.final_size(picture)
        if target != STREAM:
            picture_files.check_output(target, picture, size, self._quality(job))
        for sentence in (*picture.notes, *(picture_files.lost(target, picture) if target != STREAM else ())):
            say(sentence)
        larger = self.work(picture, say, None if job.alone else self._saying(notes, job))
        self._write(job, target, larger)
        if sentence := self.work.off():
            say(sentence)
        height, width = larger.image.shape[-2:]
        facts = {"status": "done", "width": width, "height": height, "method": str(self.work.choice)}
        return facts | {"seconds": round(time.perf_counter() - began, 3), "notes": notes}

    def _quality(self, job: Job) -> int | None:
        """Return the quality for a file; of several, only some may have a format that has any."""
        from mzsr_lib.imaging.encoding import FORMATS

        return self.quality if job.alone or FORMATS[Path(job.target).suffix.lower()].lossy else None

    def _write(self, job: Job, target: str, picture: "Picture") -> None:
        from mzsr_lib.imaging import encoding, picture_files

        if target != STREAM:
            picture_files.write(target, picture, self._quality(job))
            return
        values = picture_files.to_integers(picture.image, picture.alpha, picture.grey, picture.depth)
        buffer = BytesIO()
        encoding.encode(buffer, ".png", values, picture.origin)
        sys.stdout.buffer.write(buffer.getvalue())
        sys.stdout.buffer.flush()

    def _saying(self, notes: list[str], job: Job | None = None) -> Callable[[str], None]:
        """Return what hears sentences: they are kept, and said once, or with the name of the picture of a job."""

        def say(sentence: str) -> None:
            notes.append(sentence)
            if (job or sentence not in self.said) and not self.json:
                self.said.add(sentence)
                self.note(f"{job.source}: {sentence}" if job else sentence)

        return say

    def note(self, sentence: str, always: bool = False) -> None:
        """Say something beside the result."""
        if always or not self.quiet:
            tqdm.write(printable(sentence), file=sys.stderr)

    def report(self, job: Job, facts: dict[str, Any]) -> None:
        """Print the line of a picture; when nobody reads the lines any more, the pictures are still wanted."""
        stream = sys.stderr if job.target == STREAM else sys.stdout
        with contextlib.suppress(BrokenPipeError):
            if self.json:
                tqdm.write(json_text.dumps({"input": job.source, "output": job.target} | facts), file=stream)
            elif facts["status"] == "skipped":
                self.note(f"{job.target} is there already: skipped (--overwrite makes it anew).")
            elif not self.quiet:
                tqdm.write(f"{printable(job.target)}: {facts['width']} x {facts['height']} px", file=stream)
