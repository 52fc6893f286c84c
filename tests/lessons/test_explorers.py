"""The explorers without a browser: sliders set in Python, what readers without a kernel see, and no hang."""

import base64
import io
import itertools
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image

from mzsr_lib.benchmark import datasets
from mzsr_lib.files import InputError
from mzsr_lib.imaging import kernels, metrics, resize, restoration
from mzsr_lib.imaging.degradation import Degradation, blur
from mzsr_lib.lessons import explorers, reproduce
from mzsr_lib.lessons.explorers import AdaptationExplorer, DegradationExplorer, KernelExplorer
from mzsr_lib.models import weights
from mzsr_lib.mzsr.adaptation import adapt, starting_point, super_resolve
from mzsr_lib.runtime import generator_for

APPS = Path(__file__).resolve().parents[2] / "apps"
HR = datasets.example("astronaut")[..., 60:116, 190:246]  # 56 x 56 px: an adaptation takes moments
EACH = (KernelExplorer, DegradationExplorer, AdaptationExplorer)

each = pytest.mark.parametrize("kind", EACH, ids=lambda kind: kind.__name__)


@pytest.fixture(scope="module")
def adaptation() -> AdaptationExplorer:
    return AdaptationExplorer(HR)


def move(explorer, **values) -> None:
    for name, value in values.items():
        explorer.controls[name].value = value


def picture(explorer) -> bytes:
    return explorer._repr_mimebundle_()["image/png"]


def gaussian(theta: float, lambda1: float, lambda2: float, size: int = 21) -> torch.Tensor:
    return kernels.gaussian_kernel(kernels.covariance(lambda1, lambda2, theta), size)


# What the sliders do


def test_the_kernel_is_the_librarys():
    explorer = KernelExplorer(HR)
    before = picture(explorer)
    move(explorer, theta=1.2, lambda1=5.0, lambda2=0.7, size=9)
    assert torch.equal(explorer.kernel, gaussian(1.2, 5.0, 0.7, 9))
    assert torch.equal(explorer.blurred, blur(HR, explorer.kernel))
    assert torch.equal(explorer.lr, Degradation(explorer.kernel)(HR))
    assert picture(explorer) != before
    move(explorer, theta=0.8, lambda1=4.0, lambda2=1.0, size=15)
    assert picture(explorer) == before


@pytest.mark.parametrize("kind", EACH)
def test_no_words_below_the_pictures_cover_each_other(kind):
    written = [text for text in kind(HR).figure.texts if text.get_text()]
    boxes = [(text.get_text(), text.get_window_extent()) for text in written]
    assert len(boxes) > 4
    assert [(a, b) for (a, one), (b, other) in itertools.combinations(boxes, 2) if one.overlaps(other)] == []


def test_the_share_of_the_gaussian_inside_the_window_is_said():
    explorer = KernelExplorer(HR, lambda1=1.0, lambda2=1.0, size=3)
    line = np.exp(-(np.arange(-9, 10) ** 2) / 2)
    share = 100 * (line[8:11].sum() / line.sum()) ** 2
    said = float(re.search(r"The 3 x 3 px hold (.+) % of the Gaussian", explorer.message)[1])
    assert said == pytest.approx(share, abs=0.06)
    move(explorer, size=21)
    assert "hold 100.0 %" in explorer.message


def test_the_ellipse_follows():
    explorer = KernelExplorer(HR, theta=0.5, lambda1=4.0, lambda2=1.0)
    inner, outer = explorer._panels[0].ellipses
    assert (inner.width, inner.height) == (4.0, 2.0)  # diameters: twice the standard deviations 2 and 1
    assert (outer.width, outer.height) == (8.0, 4.0)
    assert inner.angle == pytest.approx(np.degrees(0.5))


@pytest.mark.parametrize("mode", ["direct", "bicubic"])
@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_the_degradation_and_its_psnr_are_the_librarys(mode, noise):
    explorer = DegradationExplorer(HR)
    move(explorer, theta=0.3, lambda1=2.0, lambda2=0.5, size=11, noise=noise, mode=mode)
    degradation = Degradation(gaussian(0.3, 2.0, 0.5, 11), 2, mode, noise)
    lr = degradation(HR, generator_for(0, "noise"))
    assert torch.equal(explorer.lr, lr)
    assert torch.equal(explorer.bicubic, resize.upscale(lr, 2))
    assert torch.equal(explorer.aligned, restoration.enlarge(lr, degradation))
    expected = {name: metrics.protocol_psnr(getattr(explorer, name), HR, 2) for name in ("bicubic", "aligned")}
    assert explorer.psnr == expected
    assert f"{expected['bicubic']:.2f} dB" in shown_texts(explorer)


def shown_texts(explorer) -> list[str]:
    return [text.get_text() for text in explorer.figure.texts]


def test_the_updates_are_the_librarys(adaptation):
    move(adaptation, theta=0.4, lambda1=3.0, lambda2=1.5, updates=3)
    loaded, degradation = weights.load("mzsr-x2"), Degradation(gaussian(0.4, 3.0, 1.5))
    lr, start = degradation(HR), starting_point(loaded.network)
    steps = [start, *(params for params, _ in adapt(loaded.network, start, lr, degradation, 3, loaded.rule))]
    found = [super_resolve(loaded.network, params, lr, degradation) for params in steps]
    torch.testing.assert_close(adaptation.sr, found[3])
    assert adaptation.scores == pytest.approx([metrics.protocol_psnr(sr, HR, 2) for sr in found], abs=1e-3)
    assert adaptation.psnr["mzsr"] == adaptation.scores[3]
    assert {"MZSR, 3 updates", f"{adaptation.psnr['mzsr']:.2f} dB"} <= set(shown_texts(adaptation))


def test_updates_already_taken_are_not_repeated(adaptation, monkeypatch):
    move(adaptation, theta=0.4, lambda1=3.0, lambda2=1.5, updates=3)
    monkeypatch.setattr(explorers, "super_resolve", lambda *arguments: pytest.fail("computed again"))
    for updates in (1, 0, 2, 3):
        move(adaptation, updates=updates)
        assert adaptation.psnr["mzsr"] == adaptation.scores[updates]
    assert "could not" not in adaptation.message


def test_what_takes_time_is_announced_and_waits_for_the_release(adaptation):
    said = []
    adaptation._line.observe(lambda change: said.append(adaptation.message), "value")
    move(adaptation, theta=2.0)
    move(adaptation, updates=5)
    assert said[0] == "computing ..."
    assert "computing update 5 of 5 ..." in said
    assert said[-1].startswith("After 5 updates")
    assert not any(control.continuous_update for control in adaptation.controls.values())
    live = [*KernelExplorer(HR).controls.values(), *DegradationExplorer(HR).controls.values()]
    assert all(control.continuous_update for control in live if hasattr(control, "continuous_update"))


@each
def test_lambda1_stays_the_larger_one(kind):
    explorer = kind(HR, lambda1=2.0, lambda2=1.0)
    move(explorer, lambda2=3.0)
    assert (explorer.state["lambda1"], explorer.state["lambda2"]) == (3.0, 3.0)
    move(explorer, lambda1=1.5)
    assert (explorer.state["lambda1"], explorer.state["lambda2"]) == (1.5, 1.5)
    size = explorer.kernel.shape[-1]
    assert torch.equal(explorer.kernel, gaussian(0.8, 1.5, 1.5, size))


# What readers see


@each
def test_two_explorers_look_the_same_and_say_what_they_are(kind):
    first, second = kind(HR)._repr_mimebundle_(), kind(HR)._repr_mimebundle_()
    live = reproduce.WIDGET_VIEW
    assert set(first) == {live, "image/png", "text/plain"}
    assert first.pop(live) != second.pop(live)
    assert first == second
    assert first["text/plain"].startswith(f"{kind.__name__}(theta=0.8, lambda1=4.0, lambda2=1.0, ")
    assert eval(first["text/plain"].replace("(", "(HR, ", 1), {kind.__name__: kind, "HR": HR}).kernel is not None


@each
def test_sliders_have_a_unit_and_a_hint(kind):
    sliders = [control for control in kind(HR).controls.values() if hasattr(control, "step")]
    assert all(slider.tooltip and slider.readout for slider in sliders)
    assert all("(" in slider.description for slider in sliders if slider.description != "updates")


@each
def test_an_error_is_one_sentence_and_the_explorer_lives_on(kind, monkeypatch, capsys):
    explorer = kind(HR)

    def fail(*arguments):
        raise InputError("This <kernel> cannot be used.")

    with monkeypatch.context() as broken:
        broken.setattr(explorers, "gaussian", fail)
        move(explorer, theta=1.0)
    assert explorer.message == "This <kernel> cannot be used."
    assert "&lt;kernel&gt;" in explorer._line.value
    with monkeypatch.context() as broken:
        broken.setattr(explorers, "gaussian", lambda state: 1 / 0)
        move(explorer, theta=1.1)
    assert explorer.message == "This could not be drawn (ZeroDivisionError: division by zero)."
    assert capsys.readouterr() == ("", "")
    move(explorer, theta=1.2)
    assert torch.equal(explorer.kernel, gaussian(1.2, 4.0, 1.0, explorer.kernel.shape[-1]))


def test_an_adaptation_that_broke_off_can_begin_again(adaptation, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(explorers, "super_resolve", lambda *arguments: 1 / 0)
        move(adaptation, theta=2.5)
    assert "could not be drawn" in adaptation.message
    move(adaptation, updates=0)
    assert adaptation.message.startswith("After 0 updates")


@each
@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"lambda1": 1.0, "lambda2": 2.0}, "must be the larger one"),
        ({"lambda1": 90.0}, "between 0.2 and 8"),
    ],
)
def test_a_wrong_start_is_refused(kind, values, sentence):
    with pytest.raises(InputError, match=sentence):
        kind(HR, **values)


@each
def test_a_small_picture_is_refused_and_a_wide_one_is_cut(kind):
    with pytest.raises(InputError, match="at least 44 x 44 px"):
        kind(HR[..., :43, :])
    wide = kind(HR[..., :45, :]).hr
    assert wide.shape[-2:] == (44, 44)
    assert torch.equal(wide, HR[..., :44, 5:49])


def test_only_odd_sizes():
    with pytest.raises(InputError, match="must be odd"):
        KernelExplorer(HR, size=10)


def test_an_angle_may_be_any():
    assert KernelExplorer(HR, theta=-0.5).state["theta"] == pytest.approx(np.pi - 0.5)


# In a notebook


def test_notebooks_with_explorers_end(tmp_path):
    """Each is the last expression of a cell, then moved and shown again: a hang is an error after the limit."""
    imports = "from mzsr_lib.benchmark import datasets\nfrom mzsr_lib.lessons import explorers"
    cells = [imports, 'hr = datasets.example("astronaut")[..., 60:116, 190:246]']
    for kind in EACH:
        cells += [f"explorer = explorers.{kind.__name__}(hr)\nexplorer"]
        cells += ['explorer.controls["theta"].value = 1.0\nexplorer']
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    source, output = tmp_path / "sliders.ipynb", tmp_path / "out" / "sliders.ipynb"
    nbformat.write(new_notebook(cells=list(map(new_code_cell, cells)), metadata={"kernelspec": kernel}), source)
    with reproduce._environment({}):
        reproduce.execute(source, output, {}, cell_timeout=60)
    reproduce.normalise(output)
    shown = [cell.outputs for cell in nbformat.read(output, as_version=4).cells if cell.outputs]
    assert [len(outputs) for outputs in shown] == [1] * 2 * len(EACH)
    for (stored,), kind in zip(shown[1::2], EACH, strict=True):
        assert set(stored.data) == {"image/png", "text/plain"}
        assert stored.data["text/plain"].startswith(f"{kind.__name__}(theta=1.0, ")
        assert Image.open(io.BytesIO(base64.b64decode(stored.data["image/png"]))).size[0] > 700


@pytest.mark.parametrize("path", sorted(APPS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_the_apps_hold_no_outputs_and_one_explorer_each(path):
    code = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert not any(cell.outputs for cell in code)
    assert f"explorers.{path.stem.capitalize()}Explorer(" in code[-1].source


def test_there_is_an_app_for_each():
    assert {path.stem for path in APPS.glob("*.ipynb")} == {"kernel", "degradation", "adaptation"}
