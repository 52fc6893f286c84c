"""The same small part of a picture by every method: drawn from small files that benchmarks/comparison.py makes."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from mzsr_lib.benchmark import datasets, measuring
from mzsr_lib.drawing.charts import method_title
from mzsr_lib.drawing.panels import draw
from mzsr_lib.drawing.plotting import Crop, draw_kernel
from mzsr_lib.drawing.style import (
    BELOW,
    DPI,
    FONT_SIZE,
    GAP,
    INK,
    LINE,
    MARK,
    Drawing,
    colour,
    frame,
    heading,
    sheet,
    text,
)
from mzsr_lib.files import InputError
from mzsr_lib.imaging import kernel_files, picture_files
from mzsr_lib.shapes import Images, OtherImages

SCORES, SCALE = "scores.csv", 2
WIDE, TILE, KERNEL, SPACE = 162, 120, 42, 8  # px: a whole picture, a crop, the inset, between crops


class Scene(NamedTuple):
    """A picture of `datasets.EXAMPLES`, a kernel of `kernels.named`, and the part (top, left, size) to look at, px."""

    picture: str
    kernel: str
    crop: Crop


SCENES = (
    Scene("astronaut", "g2.0d", (380, 160, 40)),
    Scene("chelsea", "gani_d", (95, 140, 40)),
    Scene("rocket", "g0.2d", (230, 15, 40)),
)


def cut(image: Images, crop: Crop) -> OtherImages:
    """Return the part (top, left, size) of a picture.

    Raises
    ------
    InputError
        If it does not lie inside.
    """
    (top, left, size), (height, width) = crop, image.shape[-2:]
    if min(top, left) < 0 or size < 1 or top + size > height or left + size > width:
        raise InputError(f"The crop {crop} (top, left, size) does not lie inside the picture of {width} x {height} px.")
    return image[..., top : top + size, left : left + size]


def comparison(folder: str | Path) -> Drawing:
    """Draw what benchmarks/comparison.py measured: a row a scene, a column a method, the original first.

    Raises
    ------
    InputError
        If the folder holds no scores.
    """
    folder = Path(folder)
    if not (folder / SCORES).is_file():
        raise InputError(f"There is no {SCORES} in {folder}: measure first, see results/README.md.")
    scenes: dict[Scene, dict[str, dict]] = {}
    shades: dict[str, str] = {}
    rows = measuring.ordered(measuring.read(folder / SCORES, ("picture", "kernel", "file")), by=["method"])
    for row in rows.to_dict("records"):
        crop = (int(row["top"]), int(row["left"]), int(row["size"]))
        title = method_title(row["method"], row["steps"], row["weights"], row["agree"])
        scenes.setdefault(Scene(row["picture"], row["kernel"], crop), {})[title] = row
        shades[title] = colour(row["method"])
    titles = list(shades)
    cell, top = TILE + LINE + GAP, GAP + 2 * LINE + 14
    first = top + BELOW + LINE
    figure = sheet(GAP + WIDE + GAP + (1 + len(titles)) * (TILE + SPACE) + GAP - SPACE, first + len(scenes) * cell)
    text(figure, GAP, GAP, "The same crop by every method, scale 2", weight="bold", fontsize=FONT_SIZE + 1)
    note = "crops enlarged pixel by pixel; PSNR of the whole picture; inset: the blur kernel"
    text(figure, GAP, GAP + LINE + 2, note, color="#555555")
    for number, title in enumerate(["original", *titles]):
        heading(figure, _left(number), top, title, shades.get(title, INK), TILE)
    for number, (scene, found) in enumerate(scenes.items()):
        _row(figure, folder, scene, {title: found.get(title) for title in titles}, first + 4 + number * cell)
    return figure


def _left(column: int) -> int:
    """Return where a column of crops begins, px."""
    return 2 * GAP + WIDE + column * (TILE + SPACE)


def _row(figure: Drawing, folder: Path, scene: Scene, found: dict[str, dict | None], top: int) -> None:
    """Draw one scene: the picture with its crop marked and the kernel inset, then the crops."""
    hr = datasets.example(scene.picture)
    _whole(figure, hr, scene, top)
    tile = scene.crop[2] * max(1, TILE // scene.crop[2])
    draw(frame(figure, (_left(0), top, tile, tile)), cut(hr, scene.crop))
    best = max((float(row["psnr"]) for row in found.values() if row), default=0.0)
    for column, row in enumerate(found.values(), start=1):
        if row is not None:
            draw(frame(figure, (_left(column), top, tile, tile)), picture_files.load(folder / row["file"]))
            weight = "bold" if float(row["psnr"]) == best else "normal"
            text(figure, _left(column), top + tile + 2, f"{float(row['psnr']):.2f} dB", weight=weight)


def _whole(figure: Drawing, hr: Images, scene: Scene, top: int) -> None:
    height, width = hr.shape[-2:]
    factor = min(WIDE / width, TILE / height)
    wide, tall = round(width * factor), round(height * factor)
    axes = frame(figure, (GAP, top, wide, tall))
    draw(axes, hr)
    _mark(axes, scene.crop, ((4, INK), (2, MARK)))
    kernel = kernel_files.parse(scene.kernel).kernel
    inset = frame(figure, (GAP + wide - KERNEL, top + tall - KERNEL, KERNEL, KERNEL))
    draw_kernel(inset, kernel)
    _mark(inset, (0, 0, kernel.shape[-1]), ((2, "white"),))
    text(figure, GAP, top + tall + 2, f"{scene.picture}, kernel {scene.kernel}")


def _mark(axes: Axes, crop: Crop, edges: Sequence[tuple[int, str]]) -> None:
    """Draw a square around a part, in lines of (px, colour)."""
    top, left, size = crop
    for width, edge in edges:
        look = {"fill": False, "edgecolor": edge, "linewidth": width * 72 / DPI}
        axes.add_patch(Rectangle((left - 0.5, top - 0.5), size, size, **look))
