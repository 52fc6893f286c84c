"""Rows, means and tables of a sweep, and the self-check that goes before the paper's settings."""

import itertools
import re
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import picture, spied

from mzsr_lib import files
from mzsr_lib.benchmark import datasets, evaluation, measuring, selfcheck
from mzsr_lib.benchmark.datasets import Entry
from mzsr_lib.benchmark.published import Value
from mzsr_lib.benchmark.selfcheck import EXCEPTION, FAILED, PASSED, SelfCheckFailed
from mzsr_lib.files import InputError
from mzsr_lib.imaging import images, kernel_files, kernels, metrics, picture_files, resize
from mzsr_lib.imaging.degradation import Degradation, from_setting
from mzsr_lib.imaging.picture_files import Picture
from mzsr_lib.methods import catalogue, registry
from mzsr_lib.methods.registry import Method, Options
from mzsr_lib.models import weights
from mzsr_lib.mzsr import adaptation
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
    entries = tuple(Entry(name, "", datasets.fingerprint(folder / name), 0) for name in NAMES)

    def printed(psnr):
        monkeypatch.setattr(datasets, "manifest", lambda: {"set5": entries})
        monkeypatch.setattr(selfcheck.published, "lookup", lambda *setting: Value(psnr, 0.9))

    return printed


def built(*tokens, **options):
    """Methods by their texts."""
    return registry.build_all(catalogue.choices(tokens), Options(**options))


def bicubic_mean(folder):
    return evaluation.evaluate(folder, SETTING, built("bicubic"))["psnr"].mean()


def test_a_row_holds_the_score_and_where_it_comes_from(folder, stored, device):
    methods = built("bicubic", "mzsr:0", "mzsr:2+agree", weights=stored, seed=3, device=device)
    rows = evaluation.evaluate(folder, SETTING, methods)
    assert tuple(rows) == measuring.COLUMNS
    kinds = list(rows[["method", "steps", "agree", "image"]].itertuples(index=False, name=None))
    chosen = (("bicubic", 0, "no"), ("mzsr", 0, "no"), ("mzsr", 2, "yes"))
    assert kinds == [(*kind, name) for kind in chosen for name in NAMES]
    hr = picture_files.load(folder / "b.png")[..., :48, :52]
    degradation = from_setting(SETTING)
    psnr, ssim = metrics.score(resize.upscale(degradation(hr), 2), hr, 2)
    assert rows["psnr"][1] == pytest.approx(psnr, abs=1e-3)
    assert rows["ssim"][1] == pytest.approx(ssim, abs=1e-4)
    shared = {"dataset": "mine", "kernel": "g2.0d", "mode": "direct", "scale": 2, "device": device.type}
    shared |= {"seed": "3", "commit": files.git_commit(), "selfcheck": "not-applicable"}
    assert all((rows[column] == value).all() for column, value in shared.items()) and (rows["seconds"] > 0).all()
    assert list(rows["weights"]) == [""] * 2 + [str(stored)] * 4


MEASURED = ["psnr", "ssim"]


@pytest.mark.parametrize("tokens", [("mzsr:0", "mzsr:1", "mzsr:3", "mzsr:3+agree"), ("zssr:3", "zssr:1")])
def test_several_numbers_of_updates_are_measured_on_one_way_with_the_values_of_each_alone(
    folder, stored, tokens, monkeypatch
):
    weighted = {"weights": stored} if tokens[0].startswith("mzsr") else {}
    apart = [evaluation.evaluate(folder, SETTING, built(token, **weighted)) for token in tokens]
    updates, loop = [], adaptation.loss_and_gradient
    monkeypatch.setattr(adaptation, "loss_and_gradient", lambda *given: updates.append(1) or loop(*given))
    rows = evaluation.evaluate(folder, SETTING, built(*tokens, **weighted))
    assert rows[MEASURED].equals(pd.concat(apart, ignore_index=True)[MEASURED])
    assert list(rows["steps"]) == [job for alone in apart for job in alone["steps"]]
    assert len(updates) == 3 * len(NAMES)


def test_the_seconds_are_those_of_the_updates_so_far_and_of_the_own_picture(folder, monkeypatch):
    clock = iter(itertools.accumulate(itertools.repeat(1.0)))
    monkeypatch.setattr(measuring.time, "perf_counter", lambda: next(clock))
    (job, *_) = measuring.in_folder("mine", folder, [SETTING], built("blind"))
    jobs = [replace(job, method=replace(job.method, steps=steps, agree=agree)) for steps, agree in SEVERAL]
    seconds = [row["seconds"] for _, row in measuring.together(jobs)]
    # A second for each piece of work: the way to a number of updates, the picture, the agreement.
    assert seconds == [1 + 1 + 1, 2 + 1 + 1, 2 + 1 + 1]


SEVERAL = ((1, False), (10, False), (10, True))


def test_weights_are_read_once_for_all_numbers_of_updates(stored):
    one, ten, other = built("mzsr:1", "mzsr:10+agree", "mzsr:3", weights=stored)
    assert one.course is ten.course is other.course
    assert registry.build("mzsr:1", Options(stored)).course is not one.course


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("mode", ["direct", "bicubic"])
def test_every_scale_and_mode(folder, scale, mode):
    setting = kernel_files.parse("1.5,0.5,0.7")._replace(mode=mode)
    rows = evaluation.evaluate(folder, setting, built("bicubic", scale=scale))
    assert rows[["scale", "mode", "kernel"]].drop_duplicates().values.tolist() == [[scale, mode, "1.5,0.5,0.7"]]


def test_the_same_seed_gives_the_same_scores(folder):
    def scores(seed):
        return list(evaluation.evaluate(folder, SETTING, built("zssr:2", seed=seed))["psnr"])

    assert scores(1) == scores(1) != scores(2)


def test_a_method_is_any_callable_that_knows_its_name(folder):
    perfect = Method(
        "perfect", registry.at_once(lambda lr, camera: picture_files.load(folder / "a.png")[..., :46, :52])
    )
    (folder / "b.png").unlink()
    rows = evaluation.evaluate(folder, SETTING, [perfect])
    assert rows[["psnr", "ssim"]].values.tolist() == [[float("inf"), 1.0]]


def test_a_method_may_be_told_another_kernel_than_the_true_one(folder):
    (method,), other = built("tikhonov"), kernel_files.parse("g0.2d")
    (job, *_) = measuring.in_folder("mine", folder, [SETTING], [method])
    honest, told = job.measure(), replace(job, told=other, more={"told": other.name}).measure()
    hr = images.crop_to_multiple(job.load(), 2)
    expected = metrics.score(method(from_setting(SETTING)(hr), from_setting(other)), hr, 2).psnr
    assert told["psnr"] == pytest.approx(expected, abs=1e-3) and told["psnr"] < honest["psnr"]
    assert (told["kernel"], told["told"]) == ("g2.0d", "g0.2d")


def test_a_picture_that_is_too_small_stops_everything_before_the_work(folder, stored):
    picture_files.save(folder / "c.png", picture(22, 60))
    called = []
    method = Method("slow", registry.at_once(lambda lr, degradation: called.append(1)), steps=1)
    with pytest.raises(InputError, match=r"c\.png cannot be used: .* smaller than the 21 x 21 kernel"):
        evaluation.evaluate(folder, SETTING, [method])
    assert not called
    evaluation.evaluate(folder, SETTING, built("bicubic"))


def test_means_are_the_same_from_rows_and_from_their_file(tmp_path, folder, stored):
    rows = evaluation.evaluate(folder, SETTING, built("bicubic", "mzsr:0", "mzsr:1", weights=stored))
    averages = evaluation.means(rows)
    assert averages[["method", "steps", "images"]].values.tolist() == [
        ["bicubic", 0, 2],
        ["mzsr", 0, 2],
        ["mzsr", 1, 2],
    ]
    assert averages["psnr"][0] == pytest.approx(rows["psnr"][:2].mean())
    assert averages["published_psnr"].isna().all()
    measuring.write(tmp_path / "rows.csv", rows)
    again = measuring.read(tmp_path / "rows.csv")
    assert again.equals(rows)
    assert evaluation.table(evaluation.means(again)) == evaluation.table(averages)
    assert f"{averages['psnr'][0]:.2f}" in evaluation.table(averages).splitlines()[2]


def test_what_a_file_lacks_is_measured_and_what_it_has_stays(tmp_path, folder, stored, monkeypatch):
    seen = spied(monkeypatch, [], lambda job: job.method.name)

    def jobs(*tokens, **options):
        found = measuring.in_folder("mine", folder, [SETTING], built(*tokens, **options))
        return [replace(job, more={"told": "truth"}) for job in found]

    path = tmp_path / "rows.csv"
    first = evaluation.continued(jobs("bicubic"), path)
    both = evaluation.continued(jobs("bicubic", "zssr:1"), path)
    assert seen == ["bicubic"] * 2 + ["zssr"] * 2
    assert both[both["method"] == "bicubic"].equals(first) and len(both) == 4
    other = evaluation.continued(jobs("zssr:1", seed=1), path)
    assert len(other) == 2 and seen[4:] == ["zssr"] * 2
    kept = measuring.read(path, (*measuring.COLUMNS, "told"))
    assert len(kept) == 4 and set(kept.loc[kept["method"] == "zssr", "seed"]) == {"1"}


def test_rows_that_another_process_adds_meanwhile_stay(tmp_path, folder, monkeypatch):
    def jobs(token):
        return measuring.in_folder("mine", folder, [SETTING], built(token))

    def beside(job):
        if job.method.name == "bicubic" and len(seen) == 1:
            evaluation.continued(jobs("nearest"), path)

    path, seen = tmp_path / "rows.csv", []
    spied(monkeypatch, seen, beside)
    evaluation.continued(jobs("bicubic"), path)
    assert set(measuring.read(path)["method"]) == {"bicubic", "nearest"}


def test_rows_of_another_precision_are_not_taken_for_those_that_are_asked_for(tmp_path, folder, stored, monkeypatch):
    seen = spied(monkeypatch, [], lambda job: job.method.precision)

    def rows(precision):
        methods = built("blind", weights=stored, precision=precision)
        jobs = measuring.in_folder("mine", folder, [SETTING], methods)
        found = evaluation.continued(jobs, tmp_path / "rows.csv")["precision"]
        assert len(found) == len(measuring.read(tmp_path / "rows.csv")) == 2
        return set(found)

    assert rows("float32") == {"float32"} and rows("bfloat16") == {"bfloat16"}
    assert rows("auto") == {"bfloat16"} and seen == ["float32"] * 2 + ["bfloat16"] * 2


@pytest.mark.parametrize("token", ["mzsr:1", "mzsr-plain:1", "blind+agree"])
def test_the_prior_that_doubts_a_kernel_is_that_of_the_weights(stored, token):
    method = registry.build(token, Options(stored))
    assert registry.doubt(method, Degradation(kernels.gaussian_kernel(torch.eye(2) * 0.6, 15))) is None
    assert "0.5 to 3 px^2" in registry.doubt(method, Degradation(kernels.gaussian_kernel(torch.eye(2) * 4, 21)))
    assert registry.doubt(registry.build("bicubic"), Degradation(torch.ones(1, 1))) is None


def test_published_settings_are_checked_first(folder, pretend, stored):
    psnr = bicubic_mean(folder)
    pretend(psnr + 0.019)
    for tokens in (["bicubic", "mzsr:1"], ["mzsr:1"]):
        rows = evaluation.evaluate(folder, SETTING, built(*tokens, weights=stored))
        assert rows[["dataset", "selfcheck"]].drop_duplicates().values.tolist() == [["set5", PASSED]]
    assert f"{psnr + 0.019:.2f} / 0.900" in evaluation.table(evaluation.means(rows))


@pytest.mark.parametrize("tokens", [["bicubic"], ["mzsr:1"], ["mzsr:1", "bicubic"]])
def test_nothing_is_scored_when_bicubic_is_off(folder, pretend, stored, tokens, monkeypatch):
    pretend(bicubic_mean(folder) + 0.021)
    monkeypatch.setattr(registry, "super_resolve", lambda *a: pytest.fail("the method was run"))
    methods = built(*tokens, weights=stored if "mzsr:1" in tokens else None)
    with pytest.raises(SelfCheckFailed, match=r"plain bicubic gives .* dB on set5 with g2\.0d x2"):
        evaluation.evaluate(folder, SETTING, methods)


def test_plain_bicubic_is_measured_once_for_the_check_and_for_its_rows(folder, pretend, monkeypatch):
    pretend(bicubic_mean(folder))
    seen = spied(monkeypatch, [])
    rows = evaluation.evaluate(folder, SETTING, built("bicubic", "nearest"))
    assert len(rows) == len(seen) == 4


def test_a_tampered_pipeline_is_refused(folder, pretend, monkeypatch):
    pretend(bicubic_mean(folder))
    methods = built("bicubic")
    evaluation.evaluate(folder, SETTING, methods)
    monkeypatch.setattr(metrics, "luma", lambda image: image.mean(dim=1, keepdim=True) * 219 + 16)
    with pytest.raises(SelfCheckFailed):
        evaluation.evaluate(folder, SETTING, methods)


def test_other_sampling_kernels_and_folders_have_nothing_to_be_checked_by(folder, pretend):
    pretend(1.0)
    assert selfcheck.expected(folder, SETTING, 2) == 1.0
    assert selfcheck.expected(folder, SETTING._replace(mode="bicubic"), 2) is None
    assert selfcheck.expected(folder, kernel_files.parse("2.1,2.0,0"), 2) is None
    assert selfcheck.expected(folder, kernel_files.parse("2.0,2.0,0"), 2) == 1.0  # the same kernel by another name
    assert selfcheck.expected(None, SETTING, 2) is None
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
    assert selfcheck.summary(pd.DataFrame([good])).endswith("Not there as a whole: bsd100, urban100.")
    bad = {**row, "psnr": 29.0, "difference": 0.27, "outcome": FAILED}
    with pytest.raises(SelfCheckFailed, match=r"gives 29\.00 dB on set5"):
        selfcheck.summary(pd.DataFrame([good, bad]))


def test_no_data_set_at_all(tmp_path, folder):
    with pytest.raises(InputError, match="holds none of set5, bsd100, urban100"):
        selfcheck.selfcheck(folder.parent)
    with pytest.raises(InputError, match="should be a folder"):
        selfcheck.selfcheck(tmp_path / "missing")


def test_set5_gives_the_paper_s_numbers(data_dir, device):
    # Soh et al., CVPR 2020, Tables 1 and 2, column Bicubic.
    table = {"g0.2d": 30.24, "g2.0d": 28.73, "gani_d": 28.15, "g1.3b": 30.54, "bicubic": 33.64}
    for name, printed in table.items():
        rows = evaluation.evaluate(data_dir / "set5", kernel_files.parse(name), built("bicubic", device=device))
        (average,) = evaluation.means(rows).to_dict("records")
        assert average["psnr"] == pytest.approx(printed, abs=0.02)
        assert average["ssim"] == pytest.approx(average["published_ssim"], abs=1e-3)
        assert set(rows["selfcheck"]) == {PASSED}


def test_set5_with_one_altered_picture_is_refused(data_dir, tmp_path):
    shutil.copytree(data_dir / "set5", tmp_path / "set5", copy_function=shutil.copyfile)
    tmp_path.joinpath("set5").chmod(0o755)
    rows = selfcheck.selfcheck(tmp_path)
    assert set(rows["outcome"]) == {PASSED} and len(rows) == 6
    path = tmp_path / "set5" / "img_003_SRF_2_HR.png"
    picture_files.save(path, picture_files.load(path).roll(1, dims=-1)[..., :-2])
    rows = selfcheck.selfcheck(tmp_path)
    assert FAILED in set(rows["outcome"])
    # Other pictures under the paper's names are not the paper's: they are scored, and nothing is compared.
    rows = evaluation.evaluate(tmp_path / "set5", kernel_files.parse("bicubic"), built("bicubic"))
    assert set(rows["selfcheck"]) == {selfcheck.NOT_APPLICABLE}
    assert evaluation.means(rows)["published_psnr"].isna().all()


def test_a_file_with_the_name_of_the_paper_s_kernel_is_another_one(folder, pretend, tmp_path):
    pretend(1.0)
    np.save(tmp_path / "g2.0d.npy", kernels.gaussian_kernel(torch.eye(2) * 3.0, 21).numpy())
    rows = evaluation.evaluate(folder, kernel_files.parse(str(tmp_path / "g2.0d.npy")), built("bicubic"))
    assert set(rows["selfcheck"]) == {selfcheck.NOT_APPLICABLE} and set(rows["kernel"]) == {"g2.0d.npy"}
    assert evaluation.means(rows)["published_psnr"].isna().all()


def test_two_kernels_of_one_name_have_two_results(folder, tmp_path):
    parsed = []
    for place, width in (("a", 1.0), ("b", 3.0)):
        (tmp_path / place).mkdir()
        np.save(tmp_path / place / "kernel.npy", kernels.gaussian_kernel(torch.eye(2) * width, 13).numpy())
        parsed.append(kernel_files.parse(str(tmp_path / place / "kernel.npy")))
    jobs = [job for setting in parsed for job in measuring.in_folder("mine", folder, [setting], built("bicubic"))]
    averages = evaluation.means(evaluation.measure(jobs))
    assert list(averages["kernel"]) == [f"kernel ({setting.fingerprint[:6]})" for setting in parsed]
    assert averages["psnr"][0] > averages["psnr"][1] + 0.1


def rows_of(*rows):
    """Rows of one picture in a setting of the paper; what is given is changed."""
    cell = {"dataset": "set5", "image": "a.png", "kernel": "g2.0d", "mode": "direct", "scale": 2, "weights": ""}
    cell |= {"method": "bicubic", "steps": 0, "psnr": 34.0, "ssim": 0.9, "seconds": 1.0, "selfcheck": PASSED}
    return measuring.table_of(cell | row for row in rows)


def test_the_exception_is_named_below_both_tables():
    note = "on bsd100 with gani_d x2 plain bicubic gives 26.23 dB, and the paper prints 26.00"
    cell = {"dataset": "bsd100", "kernel": "gani_d", "scale": 2, "psnr": 26.228}
    checked = {**cell, "published": 26.0, "difference": 0.228, "outcome": EXCEPTION}
    assert note in selfcheck.table(pd.DataFrame([checked])).splitlines()[-1]
    row = cell | {"selfcheck": EXCEPTION}
    text = evaluation.table(evaluation.means(rows_of(row, {**row, "method": "mzsr"})))
    assert text.count(note) == 1 and note in text.splitlines()[-1]
    assert note not in evaluation.table(evaluation.means(rows_of(cell)))


def test_published_values_of_zssr_go_with_its_authors_settings_and_of_all_without_agreement():
    zssr, mzsr = {"method": "zssr", "steps": 3000}, {"method": "mzsr", "steps": 10}
    rows = rows_of(zssr, zssr | {"steps": 10}, mzsr, mzsr | {"agree": "yes"})
    found = list(evaluation.means(rows)["published_psnr"])
    assert found == pytest.approx([34.90, float("nan"), 36.05, float("nan")], nan_ok=True)


@pytest.mark.parametrize(
    ("text", "part"),
    [("", "cannot be read"), ("a,b\n1,2\n", r"it has no commit"), ("psnr,psnr\n1,1\n", "no commit")],
)
def test_a_file_of_something_else_is_refused(tmp_path, text, part):
    (tmp_path / "rows.csv").write_text(text)
    with pytest.raises(InputError, match=part):
        measuring.read(tmp_path / "rows.csv")


def damages():
    """The text of a file of rows, and what may happen to it; then a part of the sentence."""

    def line(text, old, new):
        return text.replace(old, new, 1)

    return {
        "a cut line": (lambda text: text[:-20].encode(), "it has 1[0-9] values for 21 columns"),
        "a line too long": (lambda text: (text + ",,".join("abc") + "," * 30).encode(), "values for 21 columns"),
        "null bytes": (lambda text: line(text, "a.png", "a\0.png").encode(), "damaged in line 2"),
        "utf-16": (lambda text: text.encode("utf-16"), "cannot be read"),
        "a word for a number": (lambda text: line(text, ",2,bicubic", ",two,bicubic").encode(), "scale is 'two'"),
        "a scale that is none": (lambda text: line(text, ",2,bicubic", ",0,bicubic").encode(), "scale is '0'"),
        "a word that is none": (lambda text: line(text, ",no,", ",perhaps,").encode(), "agree is 'perhaps'"),
        "not a number": (lambda text: re.sub(r",no,[0-9.]+", ",no,nan", text, count=1).encode(), "psnr is 'nan'"),
        "an open quote": (lambda text: (text + '"').encode(), "cannot be read"),
    }


@pytest.mark.parametrize("kind", damages())
def test_damaged_rows_are_one_sentence(tmp_path, folder, kind):
    measuring.write(tmp_path / "rows.csv", evaluation.evaluate(folder, SETTING, built("bicubic")))
    change, part = damages()[kind]
    (tmp_path / "rows.csv").write_bytes(change((tmp_path / "rows.csv").read_text()))
    with pytest.raises(InputError, match=part) as caught:
        measuring.read(tmp_path / "rows.csv")
    assert "rows.csv" in str(caught.value)


@pytest.mark.parametrize("name", ["写真 é.png", "a#b.png", 'with, comma and "quotes".png', "two\nlines.png", "a|b.png"])
def test_a_picture_may_have_any_name(tmp_path, folder, name):
    (folder / "a.png").rename(folder / name)
    rows = evaluation.evaluate(folder, SETTING, built("bicubic"))
    measuring.write(tmp_path / "rows.csv", rows)
    assert measuring.read(tmp_path / "rows.csv").equals(rows)
    assert all(map(str.isprintable, rows["image"]))


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
