"""A picture of the reader's without a browser: what is chosen, what is refused, and where the divider stands."""

import base64
import io
import re
from datetime import UTC, datetime

import numpy as np
import pytest
import torch
from helpers import close, picture
from PIL import Image

from mzsr_lib.drawing import style
from mzsr_lib.files import InputError
from mzsr_lib.imaging import images
from mzsr_lib.imaging.picture_files import Picture
from mzsr_lib.lessons.own_picture import OwnPicture, Swipe, middle
from mzsr_lib.methods.upscaling import upscale

LEFT, RIGHT = picture(24, 30, seed=1), picture(24, 30, seed=2)


@pytest.fixture
def own() -> OwnPicture:
    """With a method that is done at once."""
    return OwnPicture(Picture(picture(26, 33)), method="nearest", side=28)


def file(name: str, values: np.ndarray | bytes, form: str = "PNG") -> dict:
    """What a browser sends of a file."""
    buffer = io.BytesIO(values if isinstance(values, bytes) else b"")
    if not isinstance(values, bytes):
        Image.fromarray(values).save(buffer, form)
    facts = {"name": name, "type": "", "size": len(buffer.getvalue()), "last_modified": datetime.now(UTC)}
    return {**facts, "content": memoryview(buffer.getvalue())}


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


# The divider


def test_the_left_picture_is_seen_as_far_as_the_divider_stands():
    swipe = Swipe(LEFT, RIGHT, ("left", "right"))
    for part, clipped in ((50, 50), (0, 100), (100, 0), (63, 37)):
        swipe.divider.value = part
        assert f"clip-path: inset(0 {clipped}% 0 0)" in swipe._style.value
        assert f"inset: 0 auto 0 {part}%" in swipe._style.value


def test_moving_the_divider_sends_no_picture_again():
    swipe = Swipe(LEFT, RIGHT, ("left", "right"))
    before = swipe._frame.value
    swipe.divider.value = 10
    assert swipe._frame.value == before and len(swipe._style.value) < 1000


def test_both_pictures_are_in_the_page_and_described():
    swipe = Swipe(LEFT, RIGHT, ("a < b", "right"))
    found = re.findall(r'<img alt="([^"]+)" src="data:image/png;base64,([^"]+)">', swipe._frame.value)
    assert [alt for alt, _ in found] == ["right", "a &lt; b"]  # the right one lies below
    for (_, data), expected in zip(found, (RIGHT, LEFT), strict=True):
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
        assert np.array_equal(pixels, images.to_bytes(expected)[0].permute(1, 2, 0).numpy())
    assert "http" not in swipe._frame.value + swipe._style.value


def test_two_dividers_on_a_page_do_not_move_each_other():
    one, other = (Swipe(LEFT, RIGHT, ("left", "right")) for _ in range(2))
    assert one._name != other._name and one._name in one._style.value and one._name in one._frame.value


def test_pictures_of_two_sizes_are_refused():
    with pytest.raises(InputError, match="30 x 24 px and 28 x 24 px"):
        Swipe(LEFT, RIGHT[..., :28], ("left", "right"))


def test_a_page_without_a_kernel_shows_both_halves():
    swipe = Swipe(torch.zeros(1, 3, 20, 20), torch.ones(1, 3, 20, 20), ("left", "right"), part=30)
    drawn = np.asarray(Image.open(io.BytesIO(swipe._repr_mimebundle_()["image/jpeg"])).convert("L"))
    row = drawn[style.GAP + 50, style.GAP : style.GAP + 360]
    assert row[:96].max() < 20 and row[120:].min() > 235
    assert repr(swipe) == "Swipe(left | right; 20 x 20 px)"


# The picture of the reader's


def test_without_a_choice_it_is_the_picture_that_was_given(own):
    assert own.message == "The picture of this page: the middle 28 x 26 px of 33 x 26 px, enlarged."
    part = middle(Picture(picture(26, 33)), 28)
    assert torch.equal(part.image, picture(26, 33)[..., 2:30])
    bicubic = upscale(part.image, method="bicubic", device="cpu")
    close(own.swipe.pictures[0], bicubic, 1e-6)
    assert own.result.image.shape == (1, 3, 52, 56)
    assert repr(own) == "OwnPicture(method='nearest'): Swipe(Bicubic | enlarged by nearest; 56 x 52 px)"


def test_a_picture_that_is_chosen_is_enlarged(own):
    values = noise(20, 25, 3)
    own.swipe.divider.value = 20
    own.upload.value = (file("mine.png", values),)
    assert own.message == "mine.png: 25 x 20 px, enlarged."
    assert own.result.image.shape == (1, 3, 40, 50) and not own.result.grey
    close(own.swipe.pictures[1][0, :, ::2, ::2], torch.from_numpy(values).permute(2, 0, 1) / 255, 1e-6)
    assert own.swipe.divider.value == 20 and own.upload.value == ()


def test_grey_with_transparency_is_kept_and_seen_on_white(own):
    values = noise(20, 20, 2)
    values[:10, :, 1], values[10:, :, 1] = 0, 255
    own.upload.value = (file("grey.png", values),)
    assert own.result.grey and own.result.alpha.shape == (1, 1, 40, 40)
    assert own.swipe.pictures[1][..., :15, :].min() > 0.99


REFUSED = {
    "no picture": ((file("notes.txt", b"hello"),), "notes.txt is not a picture that can be read"),
    "cut off": ((file("half.png", bytes(file("a", noise(20, 20, 3))["content"])[:400]),), "half.png cannot be read"),
    "too large": ((file("huge.png", np.zeros((10001, 10001), bool)),), "10001 x 10001 px"),
    "several": ((file("a.png", noise(20, 20)), file("b.png", noise(20, 20))), "and 2 were chosen: choose one"),
}


@pytest.mark.parametrize(("files", "sentence"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_used_is_answered_by_a_sentence_and_nothing_is_lost(files, sentence, own):
    own.upload.value = (file("mine.png", noise(20, 25, 3)),)
    before = own.result, own.swipe.pictures, own.swipe._frame.value
    own.upload.value = files
    assert sentence in own.message and own.message.endswith("What was here before is still shown.")
    assert "Error" not in own.message and own.upload.value == ()
    assert (own.result, own.swipe.pictures, own.swipe._frame.value) == before
    own.upload.value = (file("next.png", noise(22, 22, 3)),)
    assert own.message.startswith("next.png: 22 x 22 px")


def test_what_a_file_is_called_is_no_markup(own):
    own.upload.value = (file("<b>.txt", b"hello"),)
    assert "<b>" not in own._line.value and "&lt;b&gt;" in own._line.value
    assert 'role="status"' in own._line.value


def test_photo_says_what_it_guessed():
    own = OwnPicture(Picture(picture(40, 40)))
    assert "The picture seems" in own.message
    assert own.swipe.pictures[1].shape == (1, 3, 80, 80)
