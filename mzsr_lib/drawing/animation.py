"""A picture that follows the updates: a frame for each, written as an animated PNG that plays for ever."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from mzsr_lib.drawing.panels import draw
from mzsr_lib.drawing.plotting import Crop
from mzsr_lib.drawing.showcase import cut
from mzsr_lib.drawing.style import GAP, LINE, Drawing, colour, frame, heading, sharp, sheet
from mzsr_lib.files import InputError, atomic_path
from mzsr_lib.imaging import metrics
from mzsr_lib.imaging.degradation import Degradation
from mzsr_lib.methods.catalogue import entry_of
from mzsr_lib.methods.registry import Method
from mzsr_lib.shapes import Images, Tensor

SIDE = 240  # px, about the side of a picture in a frame
FIRST, NEXT, LAST = 1600, 500, 2600  # ms that a frame is shown: before any update, after each, and the final one


def updates(hr: Images, camera: Degradation, method: Method, beside: Method, part: Crop) -> list[Drawing]:
    """Draw a frame for each number of updates: the low resolution, another method, the updates, the original.

    Parameters
    ----------
    hr
        (1, 3, H, W), the sharp picture; its sides are multiples of the scale.
    camera
        What makes the low-resolution picture; both methods are told it.
    method
        One that makes updates; a frame after 0, 1, ... of them.
    beside
        A method that stays as it is.
    part
        Top, left and size, px of `hr`, of what is shown; multiples of the scale.
    """
    lr, counts = camera(hr), range(method.steps + 1)
    still = beside(lr, camera)
    frames = []
    for count, stop in zip(counts, method.course(lr, camera, counts), strict=True):
        sr = method.ended(stop.picture(), lr, camera)
        top, left, size = (number // camera.scale for number in part)
        pictures = {
            "low resolution": (cut(lr, (top, left, size)), "", ""),
            entry_of(beside.name).title: (cut(still, part), _score(still, hr, camera), beside.name),
            f"{entry_of(method.name).title}, {count} update{'s' * (count != 1)}": (
                cut(sr, part),
                _score(sr, hr, camera),
                method.name,
            ),
            "original": (cut(hr, part), "", ""),
        }
        frames.append(_drawn(pictures))
    return frames


def _score(sr: Tensor, hr: Images, camera: Degradation) -> str:
    return f"{metrics.protocol_psnr(sr, hr, camera.scale):.1f} dB"


def _drawn(pictures: dict[str, tuple[Tensor, str, str]]) -> Drawing:
    figure = sheet(GAP + len(pictures) * (SIDE + GAP), SIDE + 2 * LINE + 2 * GAP)
    for place, (title, (picture, caption, name)) in enumerate(pictures.items()):
        left = GAP + place * (SIDE + GAP)
        draw(frame(figure, (left, GAP, SIDE, SIDE)), picture)
        heading(figure, left, GAP + SIDE, title, colour(name), SIDE, caption)
    return figure


def save(frames: Sequence[Figure], path: str | Path) -> None:
    """Write frames of one size as an animated PNG that plays for ever, whole or not at all; see `style.SHARP`.

    Raises
    ------
    InputError
        If there are fewer than two frames.
    """
    if len(frames) < 2:
        raise InputError(f"An animation needs two frames or more, and {len(frames)} were given: draw more.")
    pictures = [sharp(figure) for figure in frames]
    durations = [FIRST, *[NEXT] * (len(frames) - 2), LAST]
    with atomic_path(path) as temporary:
        pictures[0].save(
            temporary,
            format="PNG",
            save_all=True,
            append_images=pictures[1:],
            duration=durations,
            loop=0,
            optimize=True,
        )
