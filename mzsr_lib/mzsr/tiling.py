"""Large pictures in pieces: the same values as in one go, in a memory that does not grow with the picture."""

from collections.abc import Iterator
from dataclasses import dataclass

from mzsr_lib.shapes import OtherPlanes, Planes

# Pixels a side. A step on such a piece takes about 1 GB with the paper's network.
SIZE = 512


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
