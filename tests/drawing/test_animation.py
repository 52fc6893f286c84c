import pytest
from helpers import picture
from PIL import Image

from mzsr_lib.drawing import animation, style
from mzsr_lib.files import InputError
from mzsr_lib.imaging import degradation, kernels
from mzsr_lib.methods import registry
from mzsr_lib.methods.registry import Method, Stop


def counting() -> Method:
    """A method whose picture grows brighter by every update."""

    def course(lr, camera, counts):
        for count in counts:
            larger = lr.repeat_interleave(2, -1).repeat_interleave(2, -2)
            yield Stop(count, lambda count=count, larger=larger: (larger / 4 + count / 4).clamp(0, 1))

    return Method("mzsr", course, steps=2)


def test_a_frame_for_each_number_of_updates(tmp_path):
    hr, camera = picture(64, 64), degradation.from_setting(kernels.named()["g0.2d"])
    frames = animation.updates(hr, camera, counting(), registry.build("bicubic"), (8, 8, 32))
    titles = [[text.get_text() for text in frame.texts] for frame in frames]
    assert [next(t for t in those if "update" in t) for those in titles] == [
        "MZSR, 0 updates",
        "MZSR, 1 update",
        "MZSR, 2 updates",
    ]
    assert len({those[3] for those in titles}) == 1, "the method beside stays as it is"
    animation.save(frames, tmp_path / "loop.png")
    with Image.open(tmp_path / "loop.png") as opened:
        assert (opened.n_frames, opened.info["loop"]) == (3, 0)
        width, height = frames[0].get_size_inches() * style.DPI * style.SHARP
        assert opened.size == (round(width), round(height))
        seen = []
        for number in range(opened.n_frames):
            opened.seek(number)
            seen.append(opened.convert("RGB").tobytes())
    assert len(set(seen)) == 3


def test_one_frame_is_no_animation(tmp_path):
    with pytest.raises(InputError, match="two frames"):
        animation.save([style.sheet(40, 40)], tmp_path / "loop.png")
    assert not list(tmp_path.iterdir())
