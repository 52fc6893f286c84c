"""Kernels of other people: found in their files, checked, laid on the picture as meant, known by their content."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import close
from PIL import Image
from scipy.io import savemat
from scipy.ndimage import convolve, correlate

from mzsr_lib.files import InputError
from mzsr_lib.imaging import array_files, kernel_files, kernels
from mzsr_lib.imaging.degradation import Degradation


def uneven(size: int = 5) -> np.ndarray:
    """Numbers of which no two are the same, so that a flip shows."""
    return np.arange(1, size * size + 1, dtype=float).reshape(size, size)


def turned_l(size: int = 9) -> np.ndarray:
    """An L: its arms point right and down."""
    array = np.zeros((size, size))
    array[size // 2, size // 2 :] = np.arange(size - size // 2, 0, -1)
    array[size // 2 :, size // 2] += 1
    return array / array.sum()


def write_kernel(path: Path, array: np.ndarray) -> None:
    if path.suffix == ".npy":
        np.save(path, array)
    elif path.suffix == ".mat":
        savemat(path, {"note": np.ones((1, 2)), "Kernel": array, "name": "a kernel"})
    else:
        Image.fromarray(array.astype(np.uint16)).save(path)


def kernel_in(path: Path, *chosen: str) -> torch.Tensor:
    return kernel_files.load(path, chosen).kernel


@pytest.mark.parametrize("suffix", kernel_files.FILE_SUFFIXES)
def test_a_kernel_file_is_read_and_normalised(tmp_path, suffix):
    path = tmp_path / f"mine{suffix}"
    write_kernel(path, uneven())
    setting = kernel_files.parse(str(path))
    assert (setting.name, setting.mode) == ("mine", "direct")
    assert setting.kernel.dtype == torch.float32
    close(setting.kernel, uneven() / uneven().sum(), 1e-7)


def test_a_picture_of_a_kernel_may_have_colours(tmp_path):
    grey = uneven(3).astype(np.uint8)
    Image.fromarray(np.stack([grey] * 3, -1)).save(tmp_path / "a.png")
    close(kernel_in(tmp_path / "a.png"), grey / grey.sum(), 1e-7)


@pytest.mark.parametrize(("paint", "dark"), [(255, False), (0, False), (None, True)])
def test_a_kernel_on_a_transparent_layer_is_what_can_be_seen_of_it(tmp_path, paint, dark):
    shape = (turned_l() * 255 / turned_l().max()).round().astype(np.uint8)
    if dark:  # the layer is a mask, and the shape is painted in greys: both together are seen
        grey, alpha, seen = np.maximum(shape, 1), np.where(shape > 0, 255, 0).astype(np.uint8), shape
    else:  # one colour, and the layer is the shape
        grey, alpha, seen = np.full_like(shape, paint), shape, shape
    Image.fromarray(np.dstack([grey] * 3 + [alpha])).save(tmp_path / "a.png")
    close(kernel_in(tmp_path / "a.png"), seen / seen.sum(), 1e-3)


def broken() -> dict[str, tuple[np.ndarray, str]]:
    with_nan = uneven()
    with_nan[0, 0] = np.nan
    cancelling = np.zeros((3, 3))
    cancelling[0, :] = 1, -1, 1e-12
    return {
        "line": (np.ones(5), "two dimensions"),
        "empty": (np.ones((0, 3)), "cannot be read|two dimensions"),
        "large": (np.ones((257, 257)), "1 to 255 px"),
        "zero": (np.zeros((3, 3)), "positive sum"),
        "negative": (-uneven(), "positive sum"),
        "nan": (with_nan, "must be finite"),
        "infinite": (np.full((3, 3), np.inf), "must be finite"),
        "overflowing": (np.full((5, 5), 1e308), "sums to inf"),
        "cancelling": (cancelling, "not nearly 0"),
        "text": (np.full((3, 3), "a"), "must be real numbers"),
        "complex": (uneven() * 1j, "must be real numbers"),
    }


@pytest.mark.parametrize("case", broken())
def test_what_cannot_blur_is_refused(tmp_path, case):
    array, message = broken()[case]
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(InputError, match=message):
        kernel_files.load(tmp_path / "a.npy")


@pytest.mark.parametrize("suffix", kernel_files.FILE_SUFFIXES)
def test_a_broken_kernel_file_is_one_sentence(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    with pytest.raises(InputError, match="no kernel file"):
        kernel_files.load(path)
    whole = tmp_path / f"whole{suffix}"
    write_kernel(whole, uneven())
    for content in (b"", b"this is not a kernel", whole.read_bytes()[:150], whole.read_bytes()[:-9] + b"\0" * 9):
        path.write_bytes(content)
        try:
            kernel = kernel_in(path)  # nothing of what counts was cut off
        except InputError as error:
            assert str(path) in str(error) and "\n" not in str(error)
        else:
            assert torch.isfinite(kernel).all() and abs(float(kernel.sum()) - 1) < 1e-5


def test_a_photograph_is_no_painted_kernel(tmp_path):
    Image.fromarray(np.zeros((300, 20), np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(InputError, match="at most 255 px"):
        kernel_files.load(tmp_path / "a.png")


@pytest.mark.parametrize("shape", [(4, 4), (6, 6), (4, 5), (3, 5), (1, 7), (2, 8)])
def test_the_centre_of_any_size_is_that_of_scipy(tmp_path, shape):
    array = np.arange(1.0, 1 + shape[0] * shape[1]).reshape(shape)
    array /= array.sum()
    np.save(tmp_path / "a.npy", array)
    picture = np.random.default_rng(0).random((21, 25))
    for convention, blur in (("correlate", correlate), ("convolve", convolve)):
        setting = kernel_files.parse(str(tmp_path / "a.npy"), convention)
        ours = Degradation(setting.kernel, 2).linear(torch.from_numpy(picture)[None, None])
        close(ours[0, 0], blur(picture, array, mode="reflect")[::2, ::2], 1e-6)
        even = shape[0] % 2 == 0 or shape[1] % 2 == 0
        assert ("counted from 0, as scipy takes it" in setting.note) == even


def test_a_convention_turns_a_file_and_no_gaussian(tmp_path):
    np.save(tmp_path / "a.npy", turned_l())
    np.save(tmp_path / "b.npy", turned_l()[::-1, ::-1])
    a, b = (
        kernel_files.parse(str(tmp_path / name), how) for name, how in (("a.npy", "convolve"), ("b.npy", "correlate"))
    )
    assert torch.equal(a.kernel, b.kernel) and a.fingerprint == b.fingerprint
    assert a.fingerprint != kernel_files.parse(str(tmp_path / "a.npy")).fingerprint
    assert torch.equal(kernel_files.parse("4,1,0.5", "convolve").kernel, kernel_files.parse("4,1,0.5").kernel)


PICTURE = np.random.default_rng(1).random((255, 255))


def test_in_a_mat_file_a_known_name_is_taken_and_the_others_are_said(tmp_path):
    # As Levin, Weiss, Durand and Freeman keep theirs: a kernel f, and pictures as x and y.
    savemat(tmp_path / "a.mat", {"f": turned_l(), "x": PICTURE, "y": PICTURE})
    loaded = kernel_files.load(tmp_path / "a.mat")
    close(loaded.kernel, turned_l(), 1e-7)
    assert "f (9 x 9), x (255 x 255), y (255 x 255): f is taken" in loaded.notes[0]
    assert kernel_in(tmp_path / "a.mat", "x").shape == (255, 255)
    savemat(tmp_path / "b.mat", {"f": np.ones((300, 400)), "k": uneven(3), "scale": 2})
    close(kernel_in(tmp_path / "b.mat"), uneven(3) / 45, 1e-7)
    savemat(tmp_path / "c.mat", {"whatever": uneven(3), "scale": 2})
    assert not kernel_files.load(tmp_path / "c.mat").notes
    savemat(tmp_path / "d.mat", {"data": {"psf": uneven(3), "sigma": 1.0}})
    close(kernel_in(tmp_path / "d.mat", "data.psf"), uneven(3) / 45, 1e-7)


@pytest.mark.parametrize(
    "content",
    [{"k": uneven(3), "h": uneven(5)}, {"one": uneven(3), "two": uneven(5)}, {"one": uneven(3), "x": PICTURE}],
)
def test_several_that_could_be_the_kernel_are_a_question(tmp_path, content):
    savemat(tmp_path / "a.mat", content)
    with pytest.raises(InputError, match=f"say which is the kernel, as in .*a.mat:{next(iter(content))}"):
        kernel_files.load(tmp_path / "a.mat")
    for name, array in content.items():
        close(kernel_files.parse(f"{tmp_path / 'a.mat'}:{name}").kernel, array / array.sum(), 1e-6)
    with pytest.raises(InputError, match="has no 'psf': it holds"):
        kernel_files.parse(f"{tmp_path / 'a.mat'}:psf")


def test_a_mat_file_without_numbers_is_one_sentence(tmp_path):
    savemat(tmp_path / "a.mat", {"name": "no numbers"})
    with pytest.raises(InputError, match="no two-dimensional array"):
        kernel_files.load(tmp_path / "a.mat")


def stacks() -> dict[str, object]:
    several = [uneven(5) + 10 * number for number in range(3)]
    cell = np.empty((1, 3), dtype=object)
    cell[0, :] = several
    return {"cell.mat": cell, "last.mat": np.stack(several, -1), "first.npy": np.stack(several)}


@pytest.mark.parametrize("name", stacks())
def test_of_a_cell_or_a_stack_one_is_named_counted_from_0(tmp_path, name):
    path, several = tmp_path / name, stacks()[name]
    if path.suffix == ".npy":
        np.save(path, several)
    else:
        savemat(path, {"kernels": several})
    with pytest.raises(InputError, match=f"holds 3 kernels: choose one, counted from 0, as .*{name}:0 to .*{name}:2"):
        kernel_files.parse(str(path))
    with pytest.raises(InputError, match="has no entry 3: it holds 3, counted from 0"):
        kernel_files.parse(f"{path}:3")
    with pytest.raises(InputError, match="names too much"):
        kernel_files.parse(f"{path}:a:b:3")
    for number in range(3):
        wanted = uneven(5) + 10 * number
        setting = kernel_files.parse(f"{path}:{number}")
        close(setting.kernel, wanted / wanted.sum(), 1e-7)
        assert setting.name == f"{path.stem}:{number}"
        if path.suffix == ".mat":
            assert torch.equal(kernel_files.parse(f"{path}:kernels:{number}").kernel, setting.kernel)


def test_a_mat_file_of_version_7_3_is_read_with_h5py(tmp_path, monkeypatch):
    h5py = pytest.importorskip("h5py")
    header = b"MATLAB 7.3 MAT-file".ljust(124, b" ") + b"\x00\x02IM"
    with h5py.File(tmp_path / "a.mat", "w", userblock_size=512) as file:
        file["Kernel"] = uneven().T  # MATLAB's arrays run down the columns
        entries = [file.create_dataset(f"#refs#/{number}", data=(uneven() + number).T) for number in range(2)]
        cell = file.create_dataset("filters", (2, 1), dtype=h5py.ref_dtype)
        cell[:, 0] = [entry.ref for entry in entries]
    with (tmp_path / "a.mat").open("r+b") as file:
        file.write(header)
    close(kernel_in(tmp_path / "a.mat"), uneven() / uneven().sum(), 1e-7)
    close(kernel_in(tmp_path / "a.mat", "filters", "1"), (uneven() + 1) / (uneven() + 1).sum(), 1e-7)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(InputError, match=r"pip install 'mzsr\[mat73\]'"):
        kernel_files.load(tmp_path / "a.mat")


def test_a_kernel_is_known_by_its_content_and_not_by_its_name(tmp_path):
    paper = kernels.named()["g2.0d"]
    for folder, array in (("a", uneven()), ("b", uneven() + 1)):
        (tmp_path / folder).mkdir()
        np.save(tmp_path / folder / "g2.0d.npy", array)
    first, other = (kernel_files.parse(str(tmp_path / folder / "g2.0d.npy")) for folder in "ab")
    assert first.name == other.name == "g2.0d.npy"  # not what the paper's is called
    assert len({first.fingerprint, other.fingerprint, paper.fingerprint}) == 3
    assert kernels.paper_name(first.fingerprint, "direct") is None
    np.save(tmp_path / "copy.npy", paper.kernel.numpy())
    for text in ("g2.0d", "2.0,2.0,0", "2,2,0.0", str(tmp_path / "copy.npy")):
        setting = kernel_files.parse(text)
        assert kernels.paper_name(setting.fingerprint, setting.mode) == "g2.0d"
        assert kernels.paper_name(setting.fingerprint, "bicubic") is None


@pytest.mark.parametrize("name", ["写真 é.npy", "a:b.npy", "with, comma.npy", "two\nlines.npy", "caf\udce9.npy"])
def test_a_file_may_have_any_name(tmp_path, name):
    np.save(tmp_path / "a.npy", uneven())
    (tmp_path / "a.npy").rename(tmp_path / name)
    setting = kernel_files.parse(str(tmp_path / name))
    assert setting.name.encode() and "\n" not in setting.name and setting.name.isprintable()
    close(setting.kernel, uneven() / uneven().sum(), 1e-7)


@pytest.mark.parametrize("compressed", [False, True])
def test_a_mat_file_with_a_changed_byte_never_ends_the_process(tmp_path, compressed):
    path = tmp_path / "a.mat"
    savemat(path, {"Kernel": uneven()}, do_compression=compressed)
    whole = bytearray(path.read_bytes())
    for place in range(128, len(whole), 1 if compressed else 3):
        for value in (0, 255):
            path.write_bytes(whole[:place] + bytes([value]) + whole[place + 1 :])
            try:
                assert abs(float(kernel_in(path).sum()) - 1) < 1e-4
            except InputError as error:
                assert "a.mat" in str(error)


def test_members_are_the_entries_in_matlab_s_order():
    cell = np.empty((2, 2), dtype=object)
    cell[:] = [[np.full((1, 2), 0), np.full((1, 2), 2)], [np.full((1, 2), 1), np.full((1, 2), 3)]]
    assert [int(entry[0, 0]) for entry in array_files.members(cell)] == [0, 1, 2, 3]
    assert [part.shape for part in array_files.members(np.ones((4, 1, 5, 5)))] == [(5, 5)] * 4
