"""A picture of the reader's: chosen with a button, enlarged, and compared with bicubic by a divider that is moved."""

import base64
import html
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from io import BytesIO
from typing import Any

import ipywidgets as widgets
import numpy as np
import torch
from PIL import Image

from mzsr_lib.drawing import panels, style
from mzsr_lib.drawing.style import GAP, LINE, MARK, Drawing
from mzsr_lib.files import Failure, InputError
from mzsr_lib.imaging import encoding, picture_files
from mzsr_lib.imaging.decoding import NOWHERE
from mzsr_lib.imaging.images import centre_crop
from mzsr_lib.imaging.picture_files import Picture
from mzsr_lib.methods import catalogue
from mzsr_lib.methods.upscaling import upscale
from mzsr_lib.shapes import Images, OtherImages

BESIDE = "bicubic"  # what a result is compared with
SIDE = 160  # px: the square in the middle of a picture that is enlarged, a matter of seconds
SHOWN, STORED = 640, 360  # px: about the width at which pictures are shown live, and stored, their pixels as squares
QUALITY = 90  # of the stored picture
THEME = "color: var(--jp-content-font-color1, inherit)"
_numbers = itertools.count()


class Swipe(widgets.VBox):
    """Two pictures of one size on each other; the left one is seen as far as a divider, which a slider moves.

    Parameters
    ----------
    left, right
        Each (1, 3, H, W) in [0, 1].
    titles
        What they are called: below them, and for whoever does not see them.
    part
        Where the divider stands, 0 to 100 per cent of the width from the left.

    Attributes
    ----------
    divider
        The slider; the arrow keys move it, too.

    Raises
    ------
    InputError
        If the pictures have two sizes.
    """

    def __init__(self, left: Images, right: OtherImages, titles: Sequence[str], part: int = 50):
        # The pictures are sent once; what follows the slider is one line of style.
        self._name, self._frame, self._style = f"mzsr-swipe-{next(_numbers)}", widgets.HTML(), widgets.HTML()
        look = {"style": {"description_width": "60px"}, "layout": widgets.Layout(max_width="100%")}
        self.divider = widgets.IntSlider(part, 0, 100, 1, description="divider", readout=False, **look)
        self.divider.observe(self._moved, "value")
        self._style.layout.display = "none"
        super().__init__([self._frame, self.divider, self._style])
        self.show(left, right, titles)
        self._moved()

    def show(self, left: Images, right: OtherImages, titles: Sequence[str]) -> None:
        """Replace both pictures and their titles; the divider stays where it is."""
        if left.shape != right.shape:
            sizes = " and ".join(f"{x.shape[-1]} x {x.shape[-2]} px" for x in (left, right))
            raise InputError(
                f"A divider compares two pictures of one size, and these have {sizes}: cut the larger one."
            )
        self.pictures, self.titles = (left.detach().cpu(), right.detach().cpu()), tuple(titles)
        width = left.shape[-1] * max(1, SHOWN // left.shape[-1])
        self.divider.layout.width = f"{width}px"
        images = [_image(*shown) for shown in zip(self.pictures, self.titles, strict=True)]
        below = "".join(f"<span>{html.escape(title)}</span>" for title in self.titles)
        self._frame.value = (
            f'<div class="{self._name}" style="max-width: {width}px; {THEME}">'
            f'<div class="frame">{images[1]}<div class="left">{images[0]}</div></div>'
            f'<div class="words">{below}</div></div>'
        )

    def _moved(self, change: Mapping[str, Any] | None = None) -> None:
        """Let the left picture end, and the line stand, where the slider is."""
        here, part = f".{self._name}", self.divider.value
        self._style.value = (
            f"<style>{here} .frame {{ position: relative; line-height: 0 }}"
            f"{here} img {{ width: 100%; height: auto; margin: 0; image-rendering: pixelated }}"
            f"{here} .left {{ position: absolute; inset: 0; clip-path: inset(0 {100 - part}% 0 0) }}"
            f'{here} .frame::after {{ content: ""; position: absolute; inset: 0 auto 0 {part}%; width: 2px; '
            f"margin-left: -1px; background: {MARK} }}"
            f"{here} .words {{ display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 20px }}</style>"
        )

    def stored(self) -> bytes:
        """Return what is seen now as a JPEG file, for a page on which nothing runs: a photograph is large as PNG."""
        with Image.open(BytesIO(style.png(self.drawn()))) as opened:
            values = np.asarray(opened.convert("RGB"))
        buffer = BytesIO()
        encoding.encode(buffer, ".jpg", values, NOWHERE, QUALITY)
        return buffer.getvalue()

    def drawn(self) -> Drawing:
        """Return what is seen now as a figure."""
        height, width = self.pictures[0].shape[-2:]
        factor = max(1, STORED // width)
        edge, seen = round(self.divider.value / 100 * width), torch.arange(width) * 100 < self.divider.value * width
        figure = style.sheet(factor * width + 2 * GAP, factor * height + LINE + 2 * GAP + 4)
        axes = style.frame(figure, (GAP, GAP, factor * width, factor * height))
        panels.draw(axes, torch.where(seen, *self.pictures))
        axes.axvline(edge - 0.5, color=MARK, linewidth=2 * 72 / style.DPI)
        ends = ((GAP, "left"), (GAP + factor * width, "right"))
        for title, (place, side) in zip(self.titles, ends, strict=True):
            style.text(figure, place, GAP + factor * height + 4, title, ha=side)
        return figure

    def __repr__(self) -> str:
        height, width = self.pictures[0].shape[-2:]
        return f"{type(self).__name__}({' | '.join(self.titles)}; {width} x {height} px)"

    def _repr_mimebundle_(self, **kwargs: object) -> dict[str, object]:
        """Add to the live view a picture and a text for readers without a kernel."""
        live = super()._repr_mimebundle_(**kwargs) or {}
        return {**live, "image/jpeg": self.stored(), "text/plain": repr(self)}


class OwnPicture(widgets.VBox):
    """A button to choose a picture, and what a method makes of its middle, beside bicubic behind a divider.

    Until one is chosen the picture that was given is shown. A file that cannot be used is answered by one sentence,
    and what was shown before stays.

    Parameters
    ----------
    given
        What is shown first.
    method
        See `upscaling.upscale`; the kernel is not told. Scale 2.
    side
        At most so many px a side are taken, from the middle of a picture.

    Attributes
    ----------
    upload
        The button.
    swipe
        The comparison.
    result
        The enlarged part, as its file had it: grey stays grey, and transparency is kept.
    message
        The line between the button and the comparison, as plain text.
    """

    def __init__(self, given: Picture, method: str = "photo", side: int = SIDE):
        self.method, self.side = catalogue.parse(method), side
        words = {"description": "choose a picture", "tooltip": "one picture of yours, to be enlarged"}
        self.upload = widgets.FileUpload(accept="image/*", layout=widgets.Layout(width="200px"), **words)
        self._line = widgets.HTML()
        self.result, pictures, sentence = self._enlarged(given, "The picture of this page")
        self.swipe = Swipe(*pictures, self._titles())
        super().__init__([self.upload, self._line, self.swipe])
        self._say(sentence)
        self.upload.observe(self._chosen, "value")

    def _titles(self) -> tuple[str, str]:
        return catalogue.title(BESIDE), f"enlarged by {self.method.method}"

    def _enlarged(self, given: Picture, name: str) -> tuple[Picture, tuple[OtherImages, OtherImages], str]:
        """Return the result, bicubic and the result as they are seen, and a sentence on them."""
        part = middle(given, self.side)
        said: list[str] = []
        make: dict[str, Any] = {"device": "cpu", "precision": "float32", "register": "input"}
        bicubic, result = (upscale(part, method=m, say=said.append, **make) for m in (BESIDE, str(self.method)))
        assert isinstance(bicubic, Picture) and isinstance(result, Picture)
        whole, taken = (f"{p.image.shape[-1]} x {p.image.shape[-2]} px" for p in (given, part))
        size = whole if whole == taken else f"the middle {taken} of {whole}"
        return (
            result,
            (on_white(bicubic), on_white(result)),
            " ".join([f"{name}: {size}, enlarged.", *said, *given.notes]),
        )

    def _chosen(self, change: Mapping[str, Any]) -> None:
        """Follow the button. Whatever goes wrong is said in one sentence, since nobody sees a traceback here."""
        if not change["new"]:
            return
        try:
            name, picture = received(change["new"])
            self._say(f"{name} is being enlarged ...")
            self.result, pictures, sentence = self._enlarged(picture, name)
            self.swipe.show(*pictures, self._titles())
            self._say(sentence)
        except (InputError, Failure) as error:
            self._say(f"{error} What was here before is still shown.", "bold")
        except Exception as error:
            self._say(f"This picture could not be enlarged ({type(error).__name__}: {error}).", "bold")
        finally:
            self.upload.value = ()  # so that the next choice is heard, the same file too

    def _say(self, sentence: str, weight: str = "normal") -> None:
        self.message = sentence
        self._line.value = f'<div role="status" style="{THEME}; font-weight: {weight}">{html.escape(sentence)}</div>'

    def __repr__(self) -> str:
        return f"{type(self).__name__}(method={str(self.method)!r}): {self.swipe!r}"

    def _repr_mimebundle_(self, **kwargs: object) -> dict[str, object]:
        """Add to the live view a picture and a text for readers without a kernel."""
        live = super()._repr_mimebundle_(**kwargs) or {}
        return {**live, "image/jpeg": self.swipe.stored(), "text/plain": repr(self)}


def received(files: Sequence[Mapping[str, Any]]) -> tuple[str, Picture]:
    """Return the name and the picture of what was chosen with a button.

    Raises
    ------
    InputError
        If there are several files, or the one cannot be used, see `picture_files.read`.
    """
    if len(files) != 1:
        raise InputError(f"One picture is enlarged, and {len(files)} were chosen: choose one.")
    name = str(files[0]["name"])
    content = BytesIO(bytes(files[0]["content"]))
    content.name = name  # what a sentence calls it
    return name, picture_files.read(content)


def middle(picture: Picture, side: int) -> Picture:
    """Return the middle of a picture, at most `side` px a side."""
    alpha = None if picture.alpha is None else centre_crop(picture.alpha, side, 1)
    return replace(picture, image=centre_crop(picture.image, side, 1), alpha=alpha)


def on_white(picture: Picture) -> OtherImages:
    """Return a picture as it is seen on white where it is transparent."""
    image = picture.image.cpu()
    return image if picture.alpha is None else image * picture.alpha.cpu() + 1 - picture.alpha.cpu()


def _image(picture: OtherImages, title: str) -> str:
    """Return a picture as an element of a page that needs no file beside it."""
    buffer = BytesIO()
    encoding.encode(buffer, ".png", picture_files.to_integers(picture, None, False), NOWHERE)
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<img alt="{html.escape(title)}" src="data:image/png;base64,{data}">'
