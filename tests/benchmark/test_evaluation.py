"""Rows, means and tables of a sweep, and the self-check that goes before the paper's settings."""

import shutil

import pytest
import torch
from helpers import picture

from mzsr_lib import files
from mzsr_lib.benchmark import datasets, evaluation, selfcheck
from mzsr_lib.benchmark.datasets import Entry
from mzsr_lib.benchmark.published import Value
from mzsr_lib.benchmark.selfcheck import EXCEPTION, FAILED, PASSED, SelfCheckFailed
from mzsr_lib.files import InputError
from mzsr_lib.imaging import kernel_files, kernels, metrics, picture_files, resize
from mzsr_lib.imaging.degradation import Degradation, from_setting
from mzsr_lib.imaging.picture_files import Picture
from mzsr_lib.methods import registry
from mzsr_lib.methods.registry import Method
from mzsr_lib.models import weights
from mzsr_lib.mzsr.networks import SRNetwork
from mzsr_lib.runtime import generator_for

NAMES = ("a.png", "b.png")
SETTING = kernel_files.parse("g2.0d")


@pytest.fixture
def folder(tmp_path):
    """Two pictures of odd sizes."""
    for seed, name in enumerate(NAMES):
        picture_files.save(tmp_path / "mine" / name, picture(47 + seed, 53, seed=seed))
    return tmp_path / "mine"


@pytest.fixture
def stored(tmp_path):
    """A tiny network in a file, with the prior of its training."""
    network = SRNetwork(4, 3, generator_for("stored"))
    facts = {"scale": 2, "settings": {"prior_low": 0.5, "prior_high": 3.0}}
    weights.save(tmp_path / "tiny.safetensors", network, dict(network.named_parameters()), facts)
    return tmp_path / "tiny.safetensors"


@pytest.fixture
def pretend(monkeypatch, folder):
    """Call with a value in dB to pretend that the folder is Set5 and that the paper prints this for bicubic."""
    entries = tuple(Entry(name, "", "", 0) for name in NAMES)

    def printed(psnr):
        monkeypatch.setattr(datasets, "manifest", lambda: {"set5": entries})
        monkeypatch.setattr(selfcheck.published, "lookup", lambda *setting: Value(psnr, 0.9))

    return printed


def bicubic_mean(folder):
    rows = evaluation.evaluate(folder, SETTING, 2, registry.sweep(["bicubic"]))
    return sum(row["psnr"] for row in rows) / len(rows)


def test_a_row_holds_the_score_and_where_it_comes_from(folder, stored, device):
    methods = registry.sweep(["mzsr", "bicubic"], [0, 2], stored, seed=3, device=device)
    rows = evaluation.evaluate(folder, SETTING, 2, methods, seed=3, device=device)
    assert all(tuple(row) == evaluation.COLUMNS for row in rows)
    kinds = [(row["method"], row["steps"], row["image"]) for row in rows]
    assert kinds == [(m, s, name) for m, s in (("bicubic", 0), ("mzsr", 0), ("mzsr", 2)) for name in NAMES]
    hr = picture_files.load(folder / "b.png")[..., :48, :52]
    degradation = from_setting(SETTING)
    psnr, ssim = metrics.score(resize.upscale(degradation(hr), 2), hr, 2)
    assert rows[1]["psnr"] == pytest.approx(psnr, abs=1e-3)
    assert rows[1]["ssim"] == pytest.approx(ssim, abs=1e-4)
    shared = {"dataset": "mine", "kernel": "g2.0d", "mode": "direct", "scale": 2, "device": str(device)}
    shared |= {"seed": 3, "commit": files.git_commit(), "selfcheck": "not-applicable"}
    assert all(row.items() >= shared.items() and row["seconds"] > 0 for row in rows)
    assert [row["weights"] for row in rows] == [""] * 2 + [str(stored)] * 4


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("mode", ["direct", "bicubic", None])
def test_every_scale_and_mode(folder, scale, mode):
    setting = kernel_files.parse("1.5,0.5,0.7")
    rows = evaluation.evaluate(folder, setting, scale, registry.sweep(["bicubic"], scale=scale), mode)
    assert {(row["scale"], row["mode"], row["kernel"]) for row in rows} == {(scale, mode or "direct", "1.5,0.5,0.7")}


def test_the_same_seed_gives_the_same_scores(folder):
    def scores(seed):
        methods = registry.sweep(["zssr"], [2], seed=seed)
        return [row["psnr"] for row in evaluation.evaluate(folder, SETTING, 2, methods, seed=seed)]

    assert scores(1) == scores(1) != scores(2)


def test_a_method_is_any_callable_that_knows_its_name(folder):
    perfect = Method("perfect", 0, "", lambda lr, degradation: picture_files.load(folder / "a.png")[..., :46, :52])
    (folder / "b.png").unlink()
    (row,) = evaluation.evaluate(folder, SETTING, 2, [perfect])
    assert (row["psnr"], row["ssim"]) == (float("inf"), 1.0)


def test_a_picture_that_is_too_small_stops_everything_before_the_work(folder, stored):
    picture_files.save(folder / "c.png", picture(22, 60))
    called = []
    method = Method("slow", 1, "", lambda lr, degradation: called.append(1))
    with pytest.raises(InputError, match=r"c\.png cannot be used: .* smaller than the 21 x 21 kernel"):
        evaluation.evaluate(folder, SETTING, 2, [method])
    assert not called
    evaluation.evaluate(folder, SETTING, 2, registry.sweep(["bicubic"]))


def test_means_are_the_same_from_rows_and_from_their_file(tmp_path, folder, stored):
    rows = evaluation.evaluate(folder, SETTING, 2, registry.sweep(["bicubic", "mzsr"], [0, 1], stored))
    averages = evaluation.means(rows)
    assert [(row["method"], row["steps"], row["images"]) for row in averages] == [
        ("bicubic", 0, 2),
        ("mzsr", 0, 2),
        ("mzsr", 1, 2),
    ]
    assert averages[0]["psnr"] == pytest.approx((rows[0]["psnr"] + rows[1]["psnr"]) / 2)
    assert {row["published"] for row in averages} == {None}
    files.write_rows(tmp_path / "rows.csv", rows)
    again = evaluation.means(files.read_rows(tmp_path / "rows.csv"))
    assert evaluation.table(again) == evaluation.table(averages)
    assert f"{averages[0]['psnr']:.2f}" in evaluation.table(averages).splitlines()[2]


def test_the_prior_that_doubts_a_kernel_is_that_of_the_weights(stored):
    method = registry.build("mzsr", 1, stored)
    assert registry.doubt(method, Degradation(kernels.gaussian_kernel(torch.eye(2) * 0.6, 15))) is None
    assert "0.5 to 3 px^2" in registry.doubt(method, Degradation(kernels.gaussian_kernel(torch.eye(2) * 4, 21)))
    assert registry.doubt(registry.build("bicubic"), Degradation(torch.ones(1, 1))) is None


def test_published_settings_are_checked_first(folder, pretend, stored):
    psnr = bicubic_mean(folder)
    pretend(psnr + 0.019)
    for names in (["bicubic", "mzsr"], ["mzsr"]):
        chosen = registry.sweep(names, [1], stored)
        rows = evaluation.evaluate(folder, SETTING, 2, chosen)
        assert {(row["dataset"], row["selfcheck"]) for row in rows} == {("set5", PASSED)}
    assert f"{psnr + 0.019:.2f} / 0.900" in evaluation.table(evaluation.means(rows))


@pytest.mark.parametrize("names", [["bicubic"], ["mzsr"], ["bicubic", "mzsr"]])
def test_nothing_is_scored_when_bicubic_is_off(folder, pretend, stored, names, monkeypatch):
    pretend(bicubic_mean(folder) + 0.021)
    monkeypatch.setattr(registry, "super_resolve", lambda *a: pytest.fail("the method was run"))
    steps, weights_name = ([1], stored) if "mzsr" in names else (None, None)
    with pytest.raises(SelfCheckFailed, match=r"plain bicubic gives .* dB on set5 with g2\.0d x2"):
        evaluation.evaluate(folder, SETTING, 2, registry.sweep(names, steps, weights_name))


def test_a_tampered_pipeline_is_refused(folder, pretend, monkeypatch):
    pretend(bicubic_mean(folder))
    methods = registry.sweep(["bicubic"])
    evaluation.evaluate(folder, SETTING, 2, methods)
    monkeypatch.setattr(metrics, "luma", lambda image: image.mean(dim=1, keepdim=True) * 219 + 16)
    with pytest.raises(SelfCheckFailed):
        evaluation.evaluate(folder, SETTING, 2, methods)


def test_other_sampling_kernels_and_folders_have_nothing_to_be_checked_by(folder, pretend):
    pretend(1.0)
    assert selfcheck.expected(folder, SETTING, 2) == 1.0
    assert selfcheck.expected(folder, SETTING, 2, "direct") == 1.0
    assert selfcheck.expected(folder, SETTING, 2, "bicubic") is None
    assert selfcheck.expected(folder, kernel_files.parse("2.0,2.0,0"), 2) is None
    (folder / "b.png").rename(folder / "c.png")
    assert selfcheck.expected(folder, SETTING, 2) is None


def test_the_known_exception_is_one_value_and_not_a_licence():
    cell = ("bsd100", "gani_d", 2)
    assert selfcheck.verdict(*cell, 26.23, 26.00) == EXCEPTION
    assert selfcheck.verdict(*cell, 26.00, 26.00) == PASSED
    assert selfcheck.verdict(*cell, 26.12, 26.00) == FAILED
    assert selfcheck.verdict("set5", "gani_d", 2, 26.23, 26.00) == FAILED


def test_the_summary_names_what_failed_and_what_is_missing():
    row = {"dataset": "set5", "kernel": "g2.0d", "scale": 2, "psnr": 28.73, "published": 28.73, "difference": 0.0}
    good = {**row, "outcome": PASSED}
    assert selfcheck.summary([good]).endswith("Not there as a whole: bsd100, urban100.")
    bad = {**row, "psnr": 29.0, "difference": 0.27, "outcome": FAILED}
    with pytest.raises(SelfCheckFailed, match=r"gives 29\.00 dB on set5"):
        selfcheck.summary([good, bad])


def test_no_data_set_at_all(tmp_path, folder):
    with pytest.raises(InputError, match="holds none of set5, bsd100, urban100"):
        selfcheck.selfcheck(folder.parent)
    with pytest.raises(InputError, match="should be a folder"):
        selfcheck.selfcheck(tmp_path / "missing")


def test_set5_gives_the_paper_s_numbers(data_dir, device):
    # Soh et al., CVPR 2020, Tables 1 and 2, column Bicubic.
    table = {"g0.2d": 30.24, "g2.0d": 28.73, "gani_d": 28.15, "g1.3b": 30.54, "bicubic": 33.64}
    for name, printed in table.items():
        methods = registry.sweep(["bicubic"])
        rows = evaluation.evaluate(data_dir / "set5", kernel_files.parse(name), 2, methods, device=device)
        (average,) = evaluation.means(rows)
        assert average["psnr"] == pytest.approx(printed, abs=0.02)
        assert average["ssim"] == pytest.approx(average["published"].ssim, abs=1e-3)
        assert {row["selfcheck"] for row in rows} == {PASSED}


def test_set5_with_one_altered_picture_is_refused(data_dir, tmp_path):
    shutil.copytree(data_dir / "set5", tmp_path / "set5", copy_function=shutil.copyfile)
    tmp_path.joinpath("set5").chmod(0o755)
    rows = selfcheck.selfcheck(tmp_path)
    assert {row["outcome"] for row in rows} == {PASSED} and len(rows) == 6
    path = tmp_path / "set5" / "img_003_SRF_2_HR.png"
    picture_files.save(path, picture_files.load(path).roll(1, dims=-1)[..., :-2])
    rows = selfcheck.selfcheck(tmp_path)
    assert FAILED in {row["outcome"] for row in rows}
    with pytest.raises(SelfCheckFailed):
        evaluation.evaluate(tmp_path / "set5", kernel_files.parse("bicubic"), 2, registry.sweep(["bicubic"]))


def test_the_exception_is_named_below_both_tables():
    note = "on bsd100 with gani_d x2 plain bicubic gives 26.23 dB, and the paper prints 26.00"
    cell = {"dataset": "bsd100", "kernel": "gani_d", "scale": 2, "psnr": 26.228}
    checked = {**cell, "published": 26.0, "difference": 0.228, "outcome": EXCEPTION}
    assert note in selfcheck.table([checked]).splitlines()[-1]
    row = {**cell, "mode": "direct", "method": "bicubic", "steps": 0, "weights": "", "ssim": 0.7, "seconds": 0.1}
    averages = evaluation.means([{**row, "selfcheck": EXCEPTION}, {**row, "method": "mzsr", "selfcheck": EXCEPTION}])
    text = evaluation.table(averages)
    assert text.count(note) == 1 and note in text.splitlines()[-1]
    assert note not in evaluation.table(evaluation.means([{**row, "selfcheck": PASSED}]))


def test_published_values_of_zssr_go_with_its_authors_settings():
    row = {"dataset": "set5", "kernel": "g2.0d", "mode": "direct", "scale": 2, "method": "zssr", "weights": ""}
    row |= {"psnr": 34.0, "ssim": 0.9, "seconds": 1.0, "selfcheck": PASSED}
    full, short = evaluation.means([{**row, "steps": 3000}, {**row, "steps": 10}])
    assert full["published"] == Value(34.90, 0.9397) and short["published"] is None


def test_grey_noise_is_grey_and_transparency_has_none():
    degradation = Degradation(torch.ones(1, 1), noise=0.1)
    grey = Picture(torch.full((1, 3, 8, 6), 0.5), torch.ones(1, 1, 8, 6), grey=True)
    noisy = picture_files.degrade(grey, degradation, seed=1)
    assert noisy.image.std() > 0.05
    assert torch.equal(noisy.image[:, 0], noisy.image[:, 2])
    assert torch.equal(noisy.alpha, torch.ones(1, 1, 4, 3))
    assert torch.equal(noisy.image, picture_files.degrade(grey, degradation, seed=1).image)
    assert not torch.equal(noisy.image, picture_files.degrade(grey, degradation, seed=2).image)


def test_cropping_says_what_it_did_and_crops_the_transparency_too():
    whole = Picture(picture(8, 6), torch.ones(1, 1, 8, 6))
    assert picture_files.crop(whole, 2) == (whole, None)
    cut, sentence = picture_files.crop(whole, 4)
    assert cut.image.shape == (1, 3, 8, 4) and cut.alpha.shape == (1, 1, 8, 4)
    assert sentence == "The picture was cropped from 6 x 8 to 4 x 8 px, a multiple of 4."
