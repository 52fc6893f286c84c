"""Large pictures in pieces: the same values as in one go, in a memory that does not grow with the picture."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass

from mzsr_lib.files import InputError
from mzsr_lib.shapes import AnyPlanes, OtherPlanes, Planes

# Pixels a side. A step on such a piece takes about 1 GB with the paper's network.
SIZE = 512
# The same for the closed form, and for what works on the low-resolution grid, in px of the larger picture; a
# restoration of such a piece takes 0.5 GB.
LARGE = 2048

Watch = Callable[[list, str], Iterable]


@dataclass(frozen=True)
class Plan:
    """How the pieces of this run are: their side in px, if not the usual one, and who watches them being done."""

    side: int | None = None
    watch: Watch = lambda tiles, what: tiles


USUAL = Plan()
_plan: ContextVar[Plan] = ContextVar("plan", default=USUAL)


@contextlib.contextmanager
def planned(side: int | None = None, watch: Watch | None = None) -> Iterator[None]:
    """Compute in pieces of another side, in px of the larger picture, and let somebody watch them.

    Parameters
    ----------
    side
        Memory goes with its square; at least 32.
    watch
        Is given the tiles and a word for what is done with them, and gives them back one by one.

    Raises
    ------
    InputError
        If the side is too small.
    """
    if side is not None and side < 32:
        raise InputError(f"A tile of {side} px is too small: it must have at least 32.")
    token = _plan.set(Plan(side, watch or _plan.get().watch))
    try:
        yield
    finally:
        _plan.reset(token)


def side(usual: int) -> int:
    """Return the side of a piece, px: the usual one if this run has no other."""
    return _plan.get().side or usual


@dataclass(frozen=True)
class Tile:
    """A piece of a picture, and the wider window that is needed to compute it.

    Attributes
    ----------
    core
        Rows and columns of the piece in the picture; the cores of all tiles cover it once.
    window
        Rows and columns of the core and of up to `halo` px around it, cut at the picture's border.
    """

    core: tuple[slice, slice]
    window: tuple[slice, slice]

    def cut(self, image: Planes) -> OtherPlanes:
        """Return the window of a picture: what to compute on."""
        return image[..., self.window[0], self.window[1]]

    def target(self, image: Planes) -> OtherPlanes:
        """Return the core of a picture: what to compare with, or to write to."""
        return image[..., self.core[0], self.core[1]]

    def trim(self, computed: Planes) -> OtherPlanes:
        """Return the core of what was computed on the window."""
        rows, columns = (
            slice(core.start - window.start, core.stop - window.start)
            for core, window in zip(self.core, self.window, strict=True)
        )
        return computed[..., rows, columns]

    def enlarged(self, factor: int) -> "Tile":
        """Return the same piece of the picture that a network makes, `factor` times as large as its input."""

        def larger(parts: tuple[slice, slice]) -> tuple[slice, slice]:
            rows, columns = (slice(factor * part.start, factor * part.stop) for part in parts)
            return rows, columns

        return Tile(larger(self.core), larger(self.window))


def tiles(height: int, width: int, halo: int, size: int = SIZE) -> Iterator[Tile]:
    """Divide a picture into tiles of at most `size` px a side, row by row.

    Parameters
    ----------
    height, width
        Of the picture, px.
    halo
        How far a computed pixel looks, px of the input: a network's `reach`. At the picture's border there
        is no halo, so that a network pads there as it pads the whole picture.
    size
        Largest side of a core, px.
    """
    for top in range(0, height, size):
        for left in range(0, width, size):
            core = (slice(top, min(top + size, height)), slice(left, min(left + size, width)))
            rows, columns = (
                slice(max(part.start - halo, 0), min(part.stop + halo, end))
                for part, end in zip(core, (height, width), strict=True)
            )
            yield Tile(core, (rows, columns))


def watched(pieces: Iterable[Tile], what: str) -> Iterable[Tile]:
    """Return the tiles for whoever does `what` with them; who watches this run sees them go."""
    return _plan.get().watch(list(pieces), what)


def by_tiles(
    function: Callable[[Planes], AnyPlanes], image: Planes, scale: int, halo: int, what: str = "enlarge"
) -> AnyPlanes:
    """Return what a function makes of a picture, from pieces of it if it is large.

    Parameters
    ----------
    function
        Enlarges a picture (B, C, h, w) by `scale`, and looks no further than `halo` px for a pixel.
    image
        (B, C, h, w). With as many pixels as one piece has, or fewer, it is done as a whole.
    scale
        Of the function.
    halo
        See `tiles`.
    what
        A word for it.
    """
    height, width = image.shape[-2:]
    size = max(side(LARGE) // scale, 1)
    if height * width <= size**2:
        return function(image)
    output = None
    for tile in watched(tiles(height, width, halo, size), what):
        piece = tile.enlarged(scale)
        done = piece.trim(function(tile.cut(image)))
        if output is None:
            output = done.new_empty(*done.shape[:-2], scale * height, scale * width)
        output[..., piece.core[0], piece.core[1]] = done
    assert output is not None  # a picture has pixels
    return output
