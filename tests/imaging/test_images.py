"""Pictures survive the way to a file and back, of whatever kind they are."""

import numpy as np
import pytest
import torch
from helpers import HEIGHT, WIDTH, close, picture
from PIL import Image

from mzsr_lib.benchmark import datasets
from mzsr_lib.files import InputError
from mzsr_lib.imaging import images, picture_files

LOSSLESS = (".png", ".bmp", ".tif", ".tiff")
RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
GREY = COLOUR[..., 0]


def planes(values: np.ndarray, peak: float = 255) -> torch.Tensor:
    """(H, W) or (H, W, C) integers as (1, C, H, W) in [0, 1]."""
    return torch.from_numpy(np.atleast_3d(values).astype(np.float32) / peak).permute(2, 0, 1)[None]


@pytest.mark.parametrize("suffix", LOSSLESS)
def test_colour_comes_back_at_eight_bits(tmp_path, suffix):
    image = picture()
    picture_files.save(tmp_path / f"a{suffix}", image)
    back = picture_files.load(tmp_path / f"a{suffix}")
    assert back.dtype == torch.float32
    close(back, images.round_to_8_bits(image), 1e-7)


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".webp"])
def test_lossy_formats_come_back_nearly(tmp_path, suffix):
    image = torch.linspace(0, 1, WIDTH).expand(1, 3, HEIGHT, WIDTH).contiguous()
    picture_files.save(tmp_path / f"a{suffix}", image)
    assert (picture_files.load(tmp_path / f"a{suffix}") - image).abs().mean() < 0.02


def test_grey_comes_back_grey(tmp_path):
    grey = picture()[:, :1].expand(-1, 3, -1, -1).contiguous()
    picture_files.save(tmp_path / "a.png", grey, grey=True)
    with Image.open(tmp_path / "a.png") as opened:
        assert opened.mode == "L"
    back = picture_files.read(tmp_path / "a.png")
    assert back.grey
    assert back.alpha is None
    close(back.image, images.round_to_8_bits(grey), 1e-7)


@pytest.mark.parametrize(("grey", "mode"), [(False, "RGBA"), (True, "LA")])
def test_transparency_comes_back(tmp_path, grey, mode):
    image, alpha = picture()[:, :1].expand(-1, 3, -1, -1).contiguous(), picture(seed=1)[:, :1]
    picture_files.save(tmp_path / "a.png", image, alpha, grey)
    with Image.open(tmp_path / "a.png") as opened:
        assert opened.mode == mode
    back = picture_files.read(tmp_path / "a.png")
    assert back.grey == grey
    close(back.alpha, images.round_to_8_bits(alpha), 1e-7)
    close(back.image, images.round_to_8_bits(image), 1e-7)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_are_read_in_full(tmp_path, suffix):
    values = RNG.integers(0, 65536, (HEIGHT, WIDTH)).astype(np.uint16)
    values[0, :2] = 0, 65535
    Image.fromarray(values).save(tmp_path / f"a{suffix}")
    back = picture_files.read(tmp_path / f"a{suffix}")
    assert back.grey
    close(back.image, planes(values, 65535).expand(-1, 3, -1, -1), 1e-7)


def test_floating_point_is_read_within_its_range_only(tmp_path):
    values = RNG.random((HEIGHT, WIDTH), dtype=np.float32)
    Image.fromarray(values).save(tmp_path / "a.tif")
    close(picture_files.load(tmp_path / "a.tif")[:, :1], values[None, None], 1e-7)
    Image.fromarray(values * 3).save(tmp_path / "a.tif")
    with pytest.raises(InputError, match="they should lie between 0 and 1"):
        picture_files.load(tmp_path / "a.tif")
    Image.fromarray(np.where(values > 0.5, np.float32("nan"), values)).save(tmp_path / "a.tif")
    with pytest.raises(InputError, match="not finite"):
        picture_files.load(tmp_path / "a.tif")


def test_a_palette_is_looked_up(tmp_path):
    picture_ = Image.fromarray(COLOUR).quantize(16)
    picture_.save(tmp_path / "a.png")
    back = picture_files.read(tmp_path / "a.png")
    assert not back.grey
    assert back.alpha is None
    close(back.image, planes(np.asarray(picture_.convert("RGB"))), 1e-7)


def test_a_transparent_palette_colour_is_transparent(tmp_path):
    picture_ = Image.fromarray(COLOUR).quantize(16)
    picture_.save(tmp_path / "a.png", transparency=3)
    expected = (np.asarray(picture_) != 3).astype(np.uint8) * 255
    close(picture_files.read(tmp_path / "a.png").alpha, planes(expected), 0)


def test_one_bit_is_grey(tmp_path):
    Image.fromarray(GREY > 127).save(tmp_path / "a.png")
    back = picture_files.read(tmp_path / "a.png")
    assert back.grey
    close(back.image[:, :1], planes((GREY > 127) * 1.0, 1), 0)


# Orientation tag of TIFF 6.0: how the stored rows and columns have to be turned to be upright.
UPRIGHT = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: lambda a: np.rot90(a, 1),
}


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_a_camera_s_rotation_is_applied(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(COLOUR).save(tmp_path / "a.png", exif=exif)
    close(picture_files.load(tmp_path / "a.png"), planes(UPRIGHT[orientation](COLOUR)), 1e-7)


def test_other_colour_spaces_are_refused(tmp_path):
    Image.new("LAB", (4, 4)).save(tmp_path / "a.tif")
    with pytest.raises(InputError, match="LAB picture: convert it to RGB") as caught:
        picture_files.load(tmp_path / "a.tif")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("ending", "error"), [("tif", 1e-6), ("jpg", 0.02)])
@pytest.mark.parametrize("profile", [b"", b"no profile"])
def test_inks_are_read_as_colours_and_that_is_said(tmp_path, ending, error, profile):
    smooth = np.add.outer(np.arange(0, 64, 4), np.arange(0, 64, 4)).astype(np.uint8)
    colours = np.stack([smooth, 255 - smooth, 128 + smooth // 2], -1)
    more = {"icc_profile": profile} if profile else {}
    more |= {"quality": 100, "subsampling": 0} if ending == "jpg" else {}
    Image.fromarray(colours).convert("CMYK").save(tmp_path / f"a.{ending}", **more)
    found = picture_files.read(tmp_path / f"a.{ending}")
    close(found.image, planes(colours), error)
    assert found.origin.profile is None and not found.grey
    assert len(found.notes) == 1 and "CMYK picture: its colours are taken as sRGB" in found.notes[0]


def test_black_and_white_alone_is_no_photograph_and_that_is_said(tmp_path):
    Image.fromarray(COLOUR).convert("1").save(tmp_path / "a.png")
    found = picture_files.read(tmp_path / "a.png")
    assert found.grey and set(found.image.unique().tolist()) <= {0, 1}
    assert "(1 bit)" in found.notes[0] and "give the grey picture" in found.notes[0]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.png", None, "no such file"),
        ("text.png", b"this is text", "not a picture that can be read: give one of PNG, .*GIF"),
        ("empty.png", b"", "it is empty"),
    ],
)
def test_what_is_no_picture_is_one_sentence(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        picture_files.load(tmp_path / name)


def test_a_folder_is_no_picture(tmp_path):
    with pytest.raises(InputError, match="a folder has that name"):
        picture_files.load(tmp_path)


def test_half_a_picture_is_one_sentence(tmp_path):
    picture_files.save(tmp_path / "a.png", picture())
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="cannot be read"):
        picture_files.load(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("name", "reason"),
    [("a.gif", "no pictures are written"), ("a", "has no ending: use"), ("a.txt", "no pictures are written")],
)
def test_other_endings_are_refused(tmp_path, name, reason):
    with pytest.raises(InputError, match=reason):
        picture_files.save(tmp_path / name, picture())
    assert not list(tmp_path.iterdir())


def test_a_format_without_transparency_keeps_the_old_file(tmp_path):
    path = tmp_path / "a.jpg"
    picture_files.save(path, picture())
    old = path.read_bytes()
    with pytest.raises(InputError, match="Cannot write the picture"):
        picture_files.save(path, picture(), alpha=picture(seed=1)[:, :1])
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]


def test_pictures_of_a_folder_are_sorted_and_only_pictures(tmp_path):
    for name in ("b.png", "a.JPG", ".hidden.png", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    assert [path.name for path in picture_files.paths_in(tmp_path)] == ["a.JPG", "b.png"]
    with pytest.raises(InputError, match="should be a folder"):
        picture_files.paths_in(tmp_path / "b.png")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no pictures"):
        picture_files.paths_in(tmp_path / "empty")


def test_pictures_in_inner_folders_are_not_passed_over_in_silence(tmp_path):
    for name in ("sets/a/1.png", "sets/b/deep/2.png", "sets/empty/notes.txt", "sets/.hidden/3.png"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(b"")
    outer, a, b = (tmp_path / name for name in ("sets", "sets/a", "sets/b"))
    with pytest.raises(InputError, match=f"only in folders within it .2: {a}, "):
        picture_files.paths_in(outer)
    assert f"(2: {a}, ...)" in picture_files.passed_over([outer])[0]
    assert f"(1: {b})" in picture_files.passed_over([outer], [a])[0]
    assert [f"(1: {b / 'deep'})" in text for text in picture_files.passed_over([outer, a, b])] == [True]


@pytest.mark.parametrize("name", datasets.EXAMPLES)
def test_the_examples_are_colour_pictures(name):
    image = datasets.example(name)
    assert image.shape[:2] == (1, 3)
    assert min(image.shape[2:]) >= 256
    assert 0.5 < float(image.max()) <= 1
    assert (image[:, 0] != image[:, 2]).any()


def test_an_unknown_example_lists_the_known():
    with pytest.raises(InputError, match="astronaut, coffee, chelsea, rocket"):
        datasets.example("lena")


# Half-way values go to the even neighbour in torch, 0.5 / 255 to 0; by hand: 100.4 -> 100, 100.6 -> 101.
EIGHT_BITS = [
    (-0.1, 0),
    (0.0, 0),
    (0.4, 0),
    (0.6, 1),
    (100.4, 100),
    (100.6, 101),
    (254.6, 255),
    (255.0, 255),
    (300, 255),
]


@pytest.mark.parametrize(("value", "expected"), EIGHT_BITS)
def test_rounding_to_eight_bits(device, value, expected):
    image = torch.full((1, 3, 2, 2), value / 255, device=device)
    close(images.round_to_8_bits(image) * 255, torch.full((1, 3, 2, 2), expected), 1e-4)
    assert images.to_bytes(image).unique().tolist() == [expected]


# ITU-R BT.601, 8 bits: black 16, white 235; 65.481, 128.553 and 24.966 are red, green and blue above black.
LUMA = {
    (0, 0, 0): 16,
    (1, 1, 1): 235,
    (1, 0, 0): 81.481,
    (0, 1, 0): 144.553,
    (0, 0, 1): 40.966,
    (0.5, 0.5, 0.5): 125.5,
}


@pytest.mark.parametrize("colour", LUMA, ids=str)
def test_luma_by_hand(device, colour):
    image = torch.tensor(colour, device=device).float().reshape(1, 3, 1, 1).expand(2, 3, 3, 5)
    close(images.luma(image), torch.full((2, 1, 3, 5), LUMA[colour]), 1e-4)


@pytest.mark.parametrize(("scale", "height", "width"), [(2, 36, 30), (3, 36, 30), (4, 36, 28), (1, 37, 31)])
def test_cropping_keeps_the_top_left(scale, height, width):
    image = picture()
    assert torch.equal(images.crop_to_multiple(image, scale), image[..., :height, :width])


def test_cropping_to_nothing_is_refused():
    with pytest.raises(InputError, match="31 x 3 px is too small for scale 4"):
        images.crop_to_multiple(picture(3, 31), 4)


@pytest.mark.parametrize("scale", [0, 1, 5, -2])
def test_other_scales_are_refused(scale):
    with pytest.raises(InputError, match=f"The scale is {scale}:"):
        images.check_scale(scale)
    assert images.check_scale(3) == 3
