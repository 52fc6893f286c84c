"""What each command of ``mzsr`` does. The signatures are the flags and the docstrings the help; see `main`.

The library is imported inside the functions, so that help comes at once.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional

from mzsr_lib import fields
from mzsr_lib.cli.targets import MOST, MaxPixels, Overwrite, arg, writable
from mzsr_lib.files import InputError
from mzsr_lib.methods import catalogue

if TYPE_CHECKING:
    from mzsr_lib.imaging.picture_files import Picture

KERNELS = (
    "g0.2d, g2.0d, gani_d, g1.3b or bicubic; or three numbers such as 4.0,1.0,-0.5 (two variances in px^2, the larger "
    "first, and an angle in radians); or a .mat, .npy or .png file, of which FILE:NAME is one array and FILE:3 one "
    "entry, counted from 0."
)
KERNEL = arg(metavar="KERNEL", help=f"Blur kernel on the high-resolution grid: {KERNELS}")
Kernel = Annotated[str, KERNEL]
Convention = Annotated[
    Literal["correlate", "convolve"],
    arg(
        help="How the kernel of a file is laid on the picture: as it is (scipy's correlate, ZSSR, KernelGAN, MZSR), or "
        "turned by 180 degrees first (scipy's convolve, KAIR, USRNet)."
    ),
]
Scale = Annotated[Literal[2, 3, 4], arg(help="Size of the high resolution / size of the low resolution.")]
Mode = Annotated[
    Literal["direct", "bicubic"] | None,
    arg(
        metavar="{direct,bicubic}",
        help="How pixels are dropped after the blur; by default as the kernel's name says.",
    ),
]
METHODS = ", ".join(catalogue.METHODS)
Seed = Annotated[int, arg(help="Everything random follows from it.")]
Device = Annotated[str, arg(metavar="auto|cpu|cuda", help="Where to compute; auto takes a GPU when there is one.")]
Weights = Annotated[
    str | None,
    arg(
        metavar="NAME|FILE",
        help="Shipped weights, a .safetensors file, or CARN's or RCAN's own .pt; by default shipped ones that fit.",
    ),
]
Methods = Annotated[
    tuple[str, ...],
    arg(
        metavar="NAME[:N][+agree]",
        help=f"One or more of {METHODS}; with :N the gradient updates, otherwise 10 for mzsr, at most 3000 for zssr; "
        "with +agree a learned method ends with the picture that agrees with the low-resolution one.",
    ),
]
Precision = Annotated[
    Literal["auto", "float32", "bfloat16"],
    arg(help="Of the networks' convolutions: auto takes bfloat16 where the device multiplies it."),
]
DataRoot = Annotated[
    Path | None,
    arg(
        metavar="DIR",
        help="Parent folder of the data sets; by default what the environment variable MZSR_DATA names, or a cache, "
        "see mzsr data list.",
    ),
]


def degrade(
    hr: Annotated[Positional[Path], arg(metavar="HR", help="The high-resolution picture.")],
    lr: Annotated[Positional[Path], arg(metavar="LR", help="The file to write; its ending names the format.")],
    *,
    kernel: Kernel,
    kernel_convention: Convention = "correlate",
    scale: Scale = 2,
    mode: Mode = None,
    noise: Annotated[float, arg(help="Standard deviation of white Gaussian noise, in grey levels of 255.")] = 0.0,
    overwrite: Overwrite = False,
    max_pixels: MaxPixels = MOST,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Make a low-resolution picture: blur, keep every scale-th pixel, round to 8 bits. Nothing is replaced unasked.

    Example: mzsr degrade HR.png LR.png --kernel g2.0d --scale 2
    """
    from mzsr_lib import runtime
    from mzsr_lib.imaging import kernel_files, picture_files
    from mzsr_lib.imaging.degradation import from_setting, remarks

    if hr.is_dir():
        raise InputError(f"{hr} is a folder, and mzsr degrade takes one picture: name a file.")
    writable(str(lr), str(hr), overwrite)
    fields.require(noise, fields.GreyLevels, "noise")
    where = runtime.pick_device(device)
    setting = kernel_files.parse(kernel, kernel_convention)
    degradation = from_setting(setting, scale, mode, noise / 255).to(where)
    picture, cut = picture_files.crop(picture_files.read(hr, max_pixels), scale)
    degradation.check(picture.image)
    picture_files.check_output(lr, picture)
    said = (*picture.notes, *picture_files.lost(lr, picture), *remarks(setting, degradation))
    for sentence in (*said, *([cut] if cut else [])):
        note(sentence)
    _write(lr, picture_files.degrade(picture, degradation, seed))


def _write(path: Path, picture: "Picture") -> None:
    """Write a picture and say so."""
    from mzsr_lib.imaging import picture_files

    picture_files.write(path, picture)
    height, width = picture.image.shape[-2:]
    print(f"{path}: {width} x {height} px")


def methods() -> None:
    """List the methods: their updates, whether they are told the kernel and may agree, and their shipped weights.

    Example: mzsr methods
    """
    from tabulate import tabulate

    from mzsr_lib.models import weights

    shipped = {name: weights.read_provenance(path).get("method") for name, path in weights.shipped().items()}
    rows = []
    for entry in map(catalogue.entry_of, catalogue.METHODS):
        row = {"method": entry.name, "title": entry.title, "updates": "-" if entry.updates is None else entry.updates}
        row |= {"told the kernel": "yes" if entry.needs_kernel else "no", "+agree": "yes" if entry.agrees else "no"}
        rows.append(row | {"weights": ", ".join(name for name, method in shipped.items() if method == entry.name)})
    print(tabulate(rows, headers="keys", tablefmt="pipe"))


def selfcheck(data: DataRoot = None, device: Device = "auto") -> None:
    """Check that plain bicubic gives the PSNR (dB) that the paper prints, on those of its data sets that are there.

    The exit code is 1 when a cell is off by more than 0.02 dB.

    Example: mzsr selfcheck --data DIR
    """
    from mzsr_lib import runtime
    from mzsr_lib.benchmark import selfcheck

    rows = selfcheck.selfcheck(data, runtime.pick_device(device), progress=True)
    print(selfcheck.table(rows), end="\n\n")
    print(selfcheck.summary(rows))


def data_list(data: DataRoot = None) -> None:
    """List the data sets: files, size in MB, how many files are present, and whether those are right (SHA-256).

    Example: mzsr data list
    """
    from tabulate import tabulate

    from mzsr_lib.benchmark import datasets

    print(tabulate(datasets.datasets(data), headers="keys", tablefmt="pipe"))
    print(f"\nThey lie in {data or datasets.data_root()}.")


def data_fetch(
    names: Annotated[
        Positional[tuple[str, ...]], arg(metavar="NAME [NAME ...]", help="One or more data sets; see mzsr data list.")
    ],
    data: DataRoot = None,
) -> None:
    """Download data sets; files that are there and right (SHA-256) are kept, damaged ones fetched anew.

    Example: mzsr data fetch set5 bsd100
    """
    from mzsr_lib.benchmark import datasets

    for folder in datasets.fetch(names, data):
        print(folder)


def weights_list() -> None:
    """List the shipped weights, and what they say of themselves (held-out PSNR in dB; a likelihood of estimators).

    Example: mzsr weights list
    """
    from tabulate import tabulate

    from mzsr_lib.models import weights

    shown = ("method", "stage", "step", "minutes", "device", "commit", "date", "held_out")
    rows = []
    for name, path in weights.shipped().items():
        facts = weights.read_provenance(path)
        scales = {"scales": " ".join(map(str, weights.scales_of(facts)))}
        row = {"name": name} | scales | {key: facts.get(key, "-") for key in shown}
        rows.append(row | {"held_out": ", ".join(f"{key} {value}" for key, value in facts.get("held_out", {}).items())})
    print(tabulate(rows, headers="keys", tablefmt="pipe") if rows else "No weights come with this package.")


def reproduce(
    profile: Annotated[
        Literal["quick", "full"], arg(help="quick: minutes, no download; full: the paper's scale.")
    ] = "quick",
    only: Annotated[str | None, arg(metavar="NN", help="Run this notebook alone.")] = None,
    start: Annotated[str | None, arg(name="from", metavar="NN", help="Run from this notebook on.")] = None,
) -> None:
    """Run the notebooks in order, and keep what they show in runs/, results/ and figures/.

    Example: mzsr reproduce --profile quick --from 03
    """
    from mzsr_lib.lessons import reproduce

    reproduce.run(profile, only, start)


def note(sentence: str) -> None:
    """Say something beside the result."""
    print(sentence, file=sys.stderr)
