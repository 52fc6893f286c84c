"""One call: every kind of picture and kernel that it takes, and the same numbers as the pieces it is made of."""

import itertools
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from helpers import close, picture
from PIL import Image

import mzsr_lib
from mzsr_lib.benchmark import datasets
from mzsr_lib.files import InputError
from mzsr_lib.imaging import estimation, images, kernel_files, kernels, picture_files
from mzsr_lib.imaging.degradation import from_setting
from mzsr_lib.imaging.picture_files import Picture
from mzsr_lib.methods import registry, upscaling
from mzsr_lib.runtime import generator_for

AUTO = registry.Options(precision="auto")  # as the call has it
LR = datasets.example("chelsea")[..., 60:106, 180:223]  # random numbers would be taken for noise


def test_a_tensor_becomes_what_the_method_makes_of_it():
    degradation = from_setting(kernels.named()["g2.0d"])
    for method, steps, token in (
        ("tikhonov", None, "tikhonov"),
        ("mzsr", 1, "mzsr:1+agree"),
        ("mzsr:1", None, "mzsr:1+agree"),
    ):
        found = mzsr_lib.upscale(LR, "g2.0d", method=method, steps=steps, device="cpu")
        close(found, registry.build(token, AUTO)(LR, degradation), 0)


@pytest.mark.parametrize(
    ("kernel", "agree", "token"),
    [("2.0,2.0,0", None, "mzsr:1+agree"), ("2.0,2.0,0", False, "mzsr:1"), ("estimate", None, "mzsr:1")],
)
def test_a_picture_agrees_when_its_kernel_is_known(kernel, agree, token):
    found = mzsr_lib.upscale(LR, kernel, method="mzsr:1", agree=agree, device="cpu", say=lambda sentence: None)
    setting = estimation.estimate(LR).setting if kernel == "estimate" else kernel_files.parse(kernel)
    close(found, registry.build(token, AUTO)(LR, from_setting(setting)), 0)


def test_agreement_with_an_estimated_kernel_is_there_for_who_asks_for_it():
    found = [
        mzsr_lib.upscale(LR, "estimate", method=method, agree=agree, device="cpu", say=lambda sentence: None)
        for method, agree in (("mzsr:1+agree", None), ("mzsr:1", True))
    ]
    close(*found, 0)
    close(found[0], registry.build("mzsr:1+agree", AUTO)(LR, from_setting(estimation.estimate(LR).setting)), 0)


@pytest.mark.parametrize("kind", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("grey", [False, True])
def test_an_array_comes_back_as_an_array_of_its_kind(kind, grey):
    values = (LR[0].permute(1, 2, 0).numpy() * (255 if kind == np.uint8 else 1)).astype(kind)
    values = values[..., 0] if grey else values
    found = mzsr_lib.upscale(values, "bicubic", method="bicubic", device="cpu")
    assert found.dtype == kind and found.shape == (92, 86, *values.shape[2:])
    expected = mzsr_lib.upscale(images.from_array(values), "bicubic", method="bicubic", device="cpu")
    close(images.from_array(found), expected, 0.5 / 255 + 1e-6)


def test_a_file_keeps_its_transparency(tmp_path):
    picture_files.save(tmp_path / "a.png", LR, alpha=LR[:, :1])
    for given in (str(tmp_path / "a.png"), tmp_path / "a.png", picture_files.read(tmp_path / "a.png")):
        found = mzsr_lib.upscale(given, "g2.0d", scale=3, method="bicubic", device="cpu")
        assert isinstance(found, Picture) and found.image.shape == (1, 3, 138, 129)
        assert found.alpha.shape == (1, 1, 138, 129)


def test_a_kernel_may_have_every_form(tmp_path):
    setting = kernels.Setting("mine", kernels.gaussian_kernel(kernels.covariance(4.0, 1.0, -0.5)), "direct")
    np.save(tmp_path / "mine.npy", setting.kernel.numpy())
    forms = ("4.0,1.0,-0.5", setting, setting.kernel, 7 * setting.kernel.numpy(), tmp_path / "mine.npy")
    first, *others = (mzsr_lib.upscale(LR, form, method="tikhonov", device="cpu") for form in forms)
    for other in others:
        close(other, first, 1e-3)  # from a file and from numbers, a kernel differs by rounding


def test_an_estimated_kernel_is_told_and_doubted_where_it_matters():
    said = []
    found = mzsr_lib.upscale(LR, "estimate", method="mzsr-plus", device="cpu", say=said.append)
    written = re.search(r"--kernel (\S+) \(", said[0])[1]
    assert written == estimation.estimate(LR).text and len(said) == 2
    close(found, mzsr_lib.upscale(LR, written, method="mzsr-plus", device="cpu"), 0)
    mzsr_lib.upscale(LR, "estimate", method="mzsr:0", device="cpu", say=said.append)
    assert f"--kernel {written} --no-agree (" in said[2]  # which is the default for what is only estimated
    with pytest.raises(InputError, match="for scale 2 only, not 3"):
        mzsr_lib.upscale(LR, "estimate", scale=3, method="mzsr-plus")


def test_a_method_that_takes_no_kernel_says_what_a_kernel_is_for():
    said = []
    mzsr_lib.upscale(LR, "g2.0d", method="blind", agree=False, device="cpu", say=said.append)
    assert not said
    mzsr_lib.upscale(LR, "g2.0d", method="blind", device="cpu", say=said.append)
    assert len(said) == 1 and "agreement" in said[0] and "--no-agree" in said[0]


def test_whoever_writes_no_kernel_is_told_of_the_estimate_where_there_is_one():
    with pytest.raises(InputError, match=r"give estimate, g0\.2d"):
        mzsr_lib.upscale(LR, "estimat")
    with pytest.raises(InputError, match=r"give g0\.2d"):
        kernel_files.parse("estimate")


def test_a_doubt_is_a_warning():
    with pytest.warns(UserWarning, match=r"a point, no blur at all, which lies outside the training prior \(0\.2 to 5"):
        mzsr_lib.upscale(LR, torch.ones(1, 1), method="mzsr", steps=0, device="cpu")


def test_a_kernel_and_a_sampling_are_both_doubted():
    def doubt(kernel, mode):
        return registry.doubt(method, from_setting(kernel_files.parse(kernel), 4, mode)) or ""

    method = registry.build("mzsr", registry.Options(scale=4))
    for kernel, mode in itertools.product(("4,4,0", "20,20,0"), ("direct", "bicubic")):
        said = doubt(kernel, mode)
        assert ("never saw bicubic sampling" in said) == (mode == "bicubic")
        assert ("outside the training prior" in said) == (kernel == "20,20,0")
    assert doubt("bicubic", "bicubic").count("expect less") == 1


@pytest.mark.parametrize("method", ["photo", "mzsr", "mzsr-plus", "blind", "unfolded"])
def test_at_scale_1_the_methods_are_named_that_undo_a_blur(method):
    with pytest.raises(InputError, match=f"{method} enlarges, .* --method .*tikhonov"):
        mzsr_lib.upscale(LR, "g2.0d", scale=1, method=method)


@pytest.mark.parametrize(
    ("values", "part"),
    [
        (np.zeros((4, 5, 2), np.float32), r"shape \(4, 5, 2\)"),
        (np.zeros(4), r"shape \(4,\)"),
        (np.zeros((4, 5), np.int64), "holds int64"),
    ],
)
def test_an_array_that_is_no_picture_is_refused(values, part):
    with pytest.raises(InputError, match=part):
        mzsr_lib.upscale(values, "g2.0d")


def expected(monkeypatch, method: str, side: int, **more) -> float:
    """The seconds foretold for a square picture, where the parts that are timed take a number that is known."""

    def seconds(self, part, degradation, steps):
        learning = 0.01 if self.method.name == "zssr" else 3e-6 * part[0, 0].numel()  # an update of ZSSR sees a crop
        return steps * learning + 1e-6 * self.options.scale**2 * part[0, 0].numel()

    monkeypatch.setattr(upscaling.Upscaling, "_seconds", seconds)
    work = upscaling.Upscaling(upscaling.chosen(method, "g2.0d"), "g2.0d", registry.Options(**more))
    return work.expected(Picture(torch.zeros(1, 3, side, side)), from_setting(kernel_files.parse("g2.0d"), 2))


@pytest.mark.parametrize("updates", [1, 5, 20])
@pytest.mark.parametrize("side", [400, 1000])
def test_the_time_that_is_foretold_is_that_of_all_pixels_and_updates(monkeypatch, updates, side):
    close(expected(monkeypatch, f"mzsr:{updates}", side), 1e-6 * side**2 * (3 * updates + 4), 1e-6)
    close(expected(monkeypatch, "blind", side), 1e-6 * side**2 * 4, 1e-6)
    assert expected(monkeypatch, "mzsr:1", 300) == 0  # it is timed in less than it takes
    close(expected(monkeypatch, f"mzsr:{1000 * updates}", 100), 1e-6 * 100**2 * (3000 * updates + 4), 1e-6)
    zssr = [expected(monkeypatch, f"zssr:{100 * count}", side) for count in (updates, 2 * updates)]
    close(zssr[1] - zssr[0], updates * 100 * 0.01, 1e-6)
    assert 0 <= zssr[0] - updates - 4e-6 * side**2 < 0.02 * (side / 96) ** 2


@pytest.mark.parametrize(
    ("seconds", "words"), [(65, "1 minute"), (150, "2 minutes"), (3 * 3600, "3 hours"), (250 * 3600, "10 days")]
)
def test_minutes_of_work_are_said_before(monkeypatch, seconds, words):
    said = []
    monkeypatch.setattr(upscaling.Upscaling, "expected", lambda self, given, degradation: seconds)
    for progress in (True, False):
        upscaling.upscale(picture(12, 15), method="bicubic", progress=progress, say=said.append)
    assert said == [f"This takes about {words}."]


@pytest.mark.parametrize("method", ["mzsr:0", "mzsr-plus", "tikhonov", "blind"])
def test_noise_that_a_method_is_not_told_is_said(method):
    noisy = (LR + 0.06 * torch.randn(LR.shape, generator=generator_for("grain"))).clamp(0, 1)
    for given, count in ((LR, 0), (noisy, 1)):
        said = []
        mzsr_lib.upscale(given, "g2.0d", method=method, device="cpu", say=said.append)
        found = [sentence for sentence in said if "--method unfolded or photo" in sentence]
        assert len(found) == count
    mzsr_lib.upscale(noisy, method="bicubic", device="cpu")  # a warning would be an error


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (torch.rand(3, 24, 24), r"the shape \(3, 24, 24\): a picture is \(1, 3, H, W\)"),
        (torch.rand(2, 3, 24, 24), r"the shape \(2, 3, 24, 24\)"),
        (torch.rand(1, 3, 0, 24), "H and W not 0"),
        (torch.ones(1, 3, 24, 24, dtype=torch.long), "holds torch.int64"),
        (torch.full((1, 3, 24, 24), torch.inf), "not finite"),
        (255 * torch.ones(1, 3, 24, 24), r"values from 255 to 255: they must lie in \[0, 1\]"),
    ],
)
def test_what_is_no_picture_is_refused_in_a_sentence(given, sentence):
    with pytest.raises(InputError, match=sentence):
        images.from_tensor(given)


def test_arrays_are_looked_at_too():
    for values in (np.full((24, 24), np.nan), np.zeros((0, 0, 3), np.float32)):
        with pytest.raises(InputError, match=r"not finite|H and W not 0"):
            mzsr_lib.upscale(values, method="bicubic", device="cpu")


def test_what_is_neither_a_picture_nor_a_kernel_is_refused_in_a_sentence():
    # In a process of its own, where no type checker comes first.
    code = """
import mzsr_lib, torch
from mzsr_lib.files import InputError
lr = torch.rand(1, 3, 24, 24)
for given in (([1, 2], "g2.0d"), (None, "g2.0d"), (lr, (2.0, 2.0, 0.0))):
    try:
        mzsr_lib.upscale(*given, method="tikhonov", device="cpu")
    except InputError as error:
        print(error)
wrong = {"steps": "ten", "noise": "little", "tile": "small", "register": "mine", "convention": "ours", "scale": "two"}
for words in ({name: value} for name, value in wrong.items()):
    try:
        mzsr_lib.upscale(lr, "g2.0d", device="cpu", **words)
    except InputError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert re.findall("this is of type ([a-zA-Z]+)", done.stdout) == ["list", "NoneType", "tuple"]
    found = re.findall("(?:no )?[a-z]+ (?:is )?'[a-z]+'", done.stdout)
    assert found == [
        "steps is 'ten'",
        "noise is 'little'",
        "tile is 'small'",
        "no register 'mine'",
        "no convention 'ours'",
        "scale is 'two'",
    ]


@pytest.mark.parametrize("width", [129, 133, 138])
def test_a_picture_a_little_wider_than_a_piece_of_the_estimator_is_enlarged(width):
    lr = datasets.example("chelsea")[..., 60:160, 100 : 100 + width]
    said = []
    found = mzsr_lib.upscale(lr, device="cpu", say=said.append)
    assert found.shape[-2:] == (200, 2 * width)
    assert "the picture seems blurred" in said[0].lower()


def test_the_time_of_a_large_kernel_is_told(capsys):
    lr = picture(264, 260)
    found = mzsr_lib.upscale(lr, "250,250,0", method="mzsr:1", device="cpu", progress=True, say=lambda sentence: None)
    assert found.shape[-2:] == (528, 520)


def test_a_grey_array_becomes_what_a_grey_file_becomes(tmp_path):
    values = np.random.default_rng(0).integers(0, 256, (24, 22)).astype(np.uint8)
    Image.fromarray(values).save(tmp_path / "a.png")
    found = mzsr_lib.upscale(values, "g2.0d", method="mzsr-plus", device="cpu")
    of_file = mzsr_lib.upscale(tmp_path / "a.png", "g2.0d", method="mzsr-plus", device="cpu")
    assert np.array_equal(found, picture_files.to_integers(of_file.image, None, grey=True))


def test_a_tensor_that_wants_a_gradient_is_a_picture_like_another():
    found = mzsr_lib.upscale(LR.clone().requires_grad_(), method="bicubic", device="cpu")
    assert not found.requires_grad


def test_numbers_around_zero_are_no_picture():
    with pytest.raises(InputError, match=r"values from -0\.5 to 0\.4.*: they must lie in \[0, 1\]"):
        mzsr_lib.upscale(torch.linspace(-0.5, 0.4, 3 * 24 * 22).view(1, 3, 24, 22), method="bicubic")
