"""What goes along with a picture, damaged files, and what is found before a file is written."""

import errno
import io
import os
import random
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from helpers import close, picture
from PIL import ExifTags, Image, ImageCms

from mzsr_lib.files import Failure, InputError
from mzsr_lib.imaging import decoding, encoding, picture_files

RNG = np.random.default_rng(0)
SIXTEEN = RNG.integers(0, 65536, (21, 18, 4)).astype(np.uint16)
EIGHT = (SIXTEEN >> 8).astype(np.uint8)
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def exif(orientation: int = 1) -> Image.Exif:
    found = Image.Exif()
    found[ExifTags.Base.Model], found[ExifTags.Base.Orientation] = "A camera", orientation
    block = found.get_ifd(ExifTags.IFD.Exif)
    block[ExifTags.Base.DateTimeOriginal], block[ExifTags.Base.ExifImageWidth] = "2020:02:03 04:05:06", 18
    return found


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(values: np.ndarray, kind: int, depth: int = 16, extra: bytes = b"", size: tuple | None = None) -> bytes:
    """A PNG file of integers (H, W, C), written without any library."""
    height, width = size or values.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2" if depth == 16 else np.uint8).tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    body = chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize(("kind", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_come_in_and_go_out(tmp_path, kind, channels, suffix):
    values = SIXTEEN[..., :channels]
    read = picture_files.read(io.BytesIO(png(values, kind)))
    assert (read.depth, read.grey, read.alpha is not None) == (16, channels < 3, channels in (2, 4))
    for number in range(channels):
        plane = read.alpha if read.alpha is not None and number == channels - 1 else read.image[:, number : number + 1]
        close(plane[0, 0] * 65535, values[..., number].astype(np.float64), 0.01)
    if (suffix, channels) == (".tif", 2):
        return  # Pillow opens no such TIFF
    picture_files.write(tmp_path / f"a{suffix}", read)
    back = picture_files.read(tmp_path / f"a{suffix}")
    assert back.depth == 16 and torch.equal(back.image, read.image)
    assert read.alpha is None or torch.equal(back.alpha, read.alpha)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp"])
def test_profile_dots_and_exif_go_along_and_the_orientation_is_applied_once(tmp_path, suffix):
    Image.fromarray(EIGHT[..., :3]).save(tmp_path / "in.png", icc_profile=PROFILE, dpi=(300, 300), exif=exif(6))
    read = picture_files.read(tmp_path / "in.png")
    assert read.image.shape == (1, 3, 18, 21)
    picture_files.write(tmp_path / f"out{suffix}", read)
    with Image.open(tmp_path / f"out{suffix}") as opened:
        assert opened.size == (21, 18) and opened.info["icc_profile"] == PROFILE
        found = opened.getexif()
        assert found[ExifTags.Base.Model] == "A camera" and found.get(ExifTags.Base.Orientation, 1) == 1
        block = found.get_ifd(ExifTags.IFD.Exif)
        assert block[ExifTags.Base.DateTimeOriginal] == "2020:02:03 04:05:06"
        assert ExifTags.Base.ExifImageWidth not in block
        if suffix != ".webp":  # which has no place for it
            assert tuple(map(round, opened.info["dpi"])) == (300, 300)
    if suffix not in (".jpg",):
        assert torch.equal(picture_files.load(tmp_path / f"out{suffix}"), read.image)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_of_colour_keep_what_goes_along(tmp_path, suffix):
    source = io.BytesIO(png(SIXTEEN[..., :3], 2, extra=chunk(b"iCCP", b"p\0\0" + zlib.compress(PROFILE))))
    read = picture_files.read(source)
    origin = decoding.Origin(read.origin.profile, (300.0, 300.0), exif().tobytes())
    picture_files.save(tmp_path / f"a{suffix}", read.image, depth=16, origin=origin)
    with Image.open(tmp_path / f"a{suffix}") as opened:
        assert opened.info["icc_profile"] == PROFILE and tuple(map(round, opened.info["dpi"])) == (300, 300)
        if suffix == ".png":
            assert opened.getexif()[ExifTags.Base.Model] == "A camera"


def test_a_format_without_profiles_gets_the_colours_that_are_meant(tmp_path):
    wide = bytearray(PROFILE)
    at = {
        wide[i : i + 4].tobytes() if False else bytes(wide[i : i + 4]): i for i in range(132, 132 + 12 * wide[131], 12)
    }
    red = struct.unpack(">I", wide[at[b"rXYZ"] + 4 : at[b"rXYZ"] + 8])[0]
    wide[red + 8 : red + 20] = struct.pack(">3i", *(round(v * 65536) for v in (0.515, 0.241, -0.001)))
    given = picture_files.Picture(picture(), origin=decoding.Origin(bytes(wide)))
    assert "converted to sRGB" in " ".join(picture_files.lost("a.bmp", given))
    picture_files.write(tmp_path / "a.bmp", given)
    changed = (picture_files.load(tmp_path / "a.bmp") - given.image).abs()
    assert changed.max() > 0.05
    assert not list(picture_files.lost("a.png", given))


def test_what_a_format_has_no_bits_for_is_said(tmp_path):
    deep = picture_files.Picture(picture(), depth=16)
    assert "8 bits a channel" in " ".join(picture_files.lost("a.jpg", deep))
    picture_files.write(tmp_path / "a.bmp", deep)
    assert picture_files.read(tmp_path / "a.bmp").depth == 8


@pytest.mark.parametrize("suffix", [".tif", ".png", ".gif", ".webp"])
def test_further_pictures_of_a_file_are_counted(tmp_path, suffix):
    pages = [Image.fromarray(np.full((9, 8, 3), 80 * n, np.uint8)) for n in range(3)]
    pages[0].save(tmp_path / f"a{suffix}", save_all=True, append_images=pages[1:])
    found = picture_files.read(tmp_path / f"a{suffix}")
    assert len(found.notes) == 1 and found.notes[0].endswith("holds 3 pictures: the first is taken.")
    close(found.image, torch.zeros(1, 3, 9, 8), 0.01)


def test_jpeg_keeps_its_colours_and_webp_everything(tmp_path):
    colours = picture(16, 16).repeat_interleave(2, dim=-1).round()
    picture_files.save(tmp_path / "a.jpg", colours)
    with Image.open(tmp_path / "a.jpg") as opened:
        assert all(layer[1:3] == (1, 1) for layer in opened.layer)  # no channel is subsampled
        assert max(opened.quantization[0]) <= 12  # at quality 75 it is 50 and more
    picture_files.save(tmp_path / "a.webp", picture())
    close(picture_files.load(tmp_path / "a.webp"), (picture() * 255).round() / 255, 1e-6)
    sizes = []
    for quality in (20, 90):
        for suffix in (".jpg", ".webp"):
            picture_files.save(tmp_path / f"q{suffix}", picture(), quality=quality)
            sizes.append((tmp_path / f"q{suffix}").stat().st_size)
    assert sizes[0] < sizes[2] and sizes[1] < sizes[3]
    for name, quality, part in (("a.png", 90, "has no quality"), ("a.jpg", 0, "between 1 and 100")):
        with pytest.raises(InputError, match=part):
            picture_files.save(tmp_path / name, picture(), quality=quality)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("place", ["image", "alpha"])
def test_what_is_not_finite_is_never_written(tmp_path, value, place):
    image, alpha = picture(), picture(seed=1)[:, :1]
    (image if place == "image" else alpha)[0, 0, 30, 5] = value
    with pytest.raises(Failure, match="not finite"):
        picture_files.save(tmp_path / "a.png", image, alpha)
    assert not list(tmp_path.iterdir())


def test_more_pixels_than_allowed_are_not_read():
    bomb = png(np.zeros((1, 1, 1), np.uint8), 0, 8, size=(13_300, 13_300))
    with pytest.raises(
        InputError, match=r"13300 x 13300 px, 176,890,000 in all, more than the 100,000,000 .*--max-pixels 176890000"
    ):
        picture_files.read(io.BytesIO(bomb))
    with pytest.raises(InputError, match="has 18 x 21 px"):
        picture_files.read(io.BytesIO(png(EIGHT[..., :3], 2, 8)), max_pixels=377)
    assert picture_files.read(io.BytesIO(png(EIGHT[..., :3], 2, 8)), max_pixels=378).image.shape == (1, 3, 21, 18)


@pytest.mark.parametrize("kind", [b"pHYs", b"gAMA", b"sRGB", b"cHRM", b"tRNS"])
def test_a_chunk_that_is_cut_is_one_sentence(kind):
    with pytest.raises(InputError, match=r"cannot be read|is not a picture"):
        picture_files.read(io.BytesIO(png(EIGHT[..., :3], 2, 8, extra=chunk(kind, b""))))


def some_files() -> list[bytes]:
    """One small picture in every format, with all that can go along."""
    colours, along = Image.fromarray(EIGHT[..., :3]), {"icc_profile": PROFILE, "dpi": (72, 72), "exif": exif(3)}
    found = [png(SIXTEEN[..., :3], 2), png(SIXTEEN, 6)]
    for name, options in [
        ("PNG", along),
        ("JPEG", along),
        ("JPEG", {"progressive": True}),
        ("TIFF", along),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("TIFF", {"compression": "jpeg"}),
        ("WEBP", along),
        ("GIF", {"save_all": True, "append_images": [colours.rotate(180)]}),
        ("BMP", {}),
        ("PPM", {}),
    ]:
        buffer = io.BytesIO()
        colours.save(buffer, name, **options)
        found.append(buffer.getvalue())
    return found


def test_damaged_files_are_read_or_refused_in_one_sentence(capfd):
    chance, files = random.Random(0), some_files()
    refused = 0
    for _ in range(1000):
        damaged = bytearray(chance.choice(files))
        place = chance.randrange(len(damaged))
        if chance.random() < 0.4:
            del damaged[place:]
        elif chance.random() < 0.5:
            damaged[place] = chance.randrange(256)
        else:
            del damaged[place : place + chance.choice([1, 2, 4, 30])]
        try:
            assert picture_files.read(io.BytesIO(bytes(damaged))).image.isfinite().all()
        except InputError as error:
            refused += 1
            assert "\n" not in str(error) and len(str(error)) < 300
    assert 300 < refused < 1000
    assert capfd.readouterr() == ("", "")  # nothing is said by the libraries below


def test_what_is_no_file_is_said(tmp_path):
    with pytest.raises(InputError, match="File name too long"):
        picture_files.read(tmp_path / ("a" * 300 + ".png"))
    with pytest.raises(InputError, match="no ordinary file"):
        picture_files.read("/dev/null")


def test_an_output_that_cannot_be_is_found_before_the_work(tmp_path):
    wide = picture_files.Picture(torch.zeros(1, 3, 1, 8200))
    with pytest.raises(InputError, match=r"WEBP holds at most 16383 px a side, .* 16400 x 2 px"):
        picture_files.check_output(tmp_path / "a.webp", wide, (2, 16_400))
    picture_files.check_output(tmp_path / "a.webp", wide)
    with pytest.raises(InputError, match="File name too long"):
        picture_files.check_output(tmp_path / ("a" * 300 + ".png"), wide)
    with pytest.raises(InputError, match="has no quality"):
        picture_files.check_output(tmp_path / "a.png", wide, quality=90)
    huge = picture_files.Picture(torch.zeros(1, 1, 1, 1).expand(1, 3, 2**22, 2**22))
    with pytest.raises(InputError, match=r"needs .* MB, and .* MB are free"):
        picture_files.check_output(tmp_path / "a.tif", huge)


def test_every_format_names_itself():
    Image.init()
    assert {form.name for form in encoding.FORMATS.values()} <= set(Image.SAVE)


@pytest.mark.parametrize("suffix", encoding.SUFFIXES)
def test_a_file_that_is_cut_short_is_never_left(tmp_path, suffix):
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    noise = torch.rand(1, 3, 120, 160, generator=torch.Generator().manual_seed(0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises((InputError, Failure)):
            picture_files.save(tmp_path / f"a{suffix}", noise)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_a_failure_that_leaves_no_half_file(tmp_path, monkeypatch):
    def full(*given):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(picture_files.encoding, "encode", full)
    with pytest.raises(Failure, match=r"a.png cannot be written \(No space left on device\): make room"):
        picture_files.save(tmp_path / "a.png", torch.zeros(1, 3, 5, 7))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_has_every_file_that_can_be_read_and_no_other(tmp_path):
    for name in ("a.gif", "b.PNG", "c.jp2", "d.tga"):
        Image.new("RGB", (9, 7)).save(tmp_path / name)
    for name in ("e.txt", "f.npy", ".g.png"):
        (tmp_path / name).write_bytes(b"")
    found = picture_files.paths_in(tmp_path)
    assert [path.name for path in found] == ["a.gif", "b.PNG", "c.jp2", "d.tga"]
    assert all(picture_files.load(path).shape == (1, 3, 7, 9) for path in found)


def test_pictures_are_read_in_threads_and_the_process_stays_as_it_was(tmp_path):
    picture_files.save(tmp_path / "a.png", picture(9, 8))
    before = os.fstat(2), Image.MAX_IMAGE_PIXELS
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(picture_files.load, [tmp_path / "a.png"] * 60))
    assert all(torch.equal(one, found[0]) for one in found)
    assert (os.fstat(2), Image.MAX_IMAGE_PIXELS) == before


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg", ".webp", ".bmp"])
@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("grey", [False, True])
def test_exif_is_kept_or_said_to_be_lost(tmp_path, suffix, depth, grey):
    origin = decoding.Origin(exif=exif().tobytes())
    given = picture_files.Picture(picture(9, 8), grey=grey, depth=depth, origin=origin)
    path = tmp_path / f"a{suffix}"
    picture_files.write(path, given)
    said = [sentence for sentence in picture_files.lost(path, given) if "EXIF" in sentence]
    assert bool(picture_files.read(path).origin.exif) != bool(said)


def test_a_tiff_that_says_nothing_of_its_resolution_gets_none(tmp_path):
    Image.fromarray(EIGHT[..., :3]).save(tmp_path / "a.tif")
    assert picture_files.read(tmp_path / "a.tif").origin.dpi is None
