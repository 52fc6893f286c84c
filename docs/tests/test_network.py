"""MZSR in the page: its graphs and what a reader sees, against the library."""

import re
import runpy
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from served import SITE, visit

from mzsr_lib.benchmark import datasets
from mzsr_lib.imaging import degradation, kernel_files, metrics
from mzsr_lib.methods import registry
from mzsr_lib.models import weights
from mzsr_lib.mzsr.adaptation import loss_and_gradient
from mzsr_lib.mzsr.networks import SRNetwork

ROOT = Path(__file__).resolve().parents[2]
onnx = pytest.importorskip("onnx", reason="onnx is not installed: make site-test")
EXPORT, PAGES = (runpy.run_path(ROOT / "docs" / f"{name}.py") for name in ("export_onnx", "pages"))
PLACE = ".mzsr-live"
# The updates of the picture that is shown, and those that may be chosen.
REACHED = """() => {
    const options = [...document.querySelector('.mzsr-comparison select').options].filter(option => !option.disabled);
    return {
        shown: Number(document.querySelector('.mzsr-captions').innerText.match(/MZSR, (\\d+)/)[1]),
        offered: options.map(option => parseInt(option.value)),
    };
}"""
if not (SITE / "_static" / "mzsr").is_dir():
    pytest.skip("the site was made without MZSR in the browser", allow_module_level=True)


def graph(file: bytes):
    from onnx.reference import ReferenceEvaluator

    return ReferenceEvaluator(onnx.load_from_string(file))


def test_the_graphs_compute_the_network_and_its_learned_update():
    loaded = weights.load("mzsr-x2", "cpu", "float32")
    params = {name: value.detach() for name, value in loaded.network.named_parameters()}
    generator = torch.Generator().manual_seed(0)
    image, target = torch.rand(2, 1, 3, 7, 9, generator=generator)
    given = {"input": image, **params}
    (output,) = graph(EXPORT["network"](params)).run(None, {name: value.numpy() for name, value in given.items()})
    assert isinstance(loaded.network, SRNetwork)
    np.testing.assert_allclose(output, loaded.network(image).detach(), atol=1e-5)

    kept, step = EXPORT["tensors"](params, loaded.rule), 1
    given["target"] = target
    for number, name in enumerate(params):
        given[f"rate:{name}"] = kept["rates"][step, number : number + 1]
    given |= {name: stack[step] for name, stack in kept.items() if name not in params and name != "rates"}
    found = graph(EXPORT["update"](params)).run(None, {name: value.numpy() for name, value in given.items()})
    loss, grads = loss_and_gradient(loaded.network, dict(loaded.network.named_parameters()), (image, target))
    expected = [loss, *loaded.rule(step, params, grads).values()]
    for value, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(value, wanted, atol=2e-5)


def begin(page):
    page.get_by_role("button", name="Take ten updates").click()


def usable(page) -> bool:
    return page.evaluate("!document.querySelector('.mzsr-asked').disabled")


def click(page, canvas: str, x: float, y: float) -> None:
    """Click on a canvas at shares of its width and height."""
    page.locator(canvas).scroll_into_view_if_needed()
    box = page.locator(canvas).bounding_box()
    page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])


def part(page) -> str:
    return page.locator(".mzsr-frame").evaluate("frame => frame.style.getPropertyValue('--part')")


def take(page, **choices: str) -> dict[int, list[str]]:
    """Choose, take the updates, and return the captions after each number of updates."""
    for label, choice in choices.items():
        page.get_by_label(label.replace("_", " "), exact=True).select_option(choice)
    begin(page)
    page.wait_for_selector(f"{PLACE}[data-done]")
    captions = {}
    for count in (0, 1, 3, 10):
        page.get_by_label("show after").select_option(f"{count} update{'s' * (count != 1)}")
        captions[count] = page.locator(".mzsr-captions span").all_inner_texts()
    return captions


def of_library(setting: str, told: str) -> tuple[float, dict[int, float]]:
    """Return the PSNR of bicubic and of MZSR by updates, on the first sample of the page."""
    name, top, left, side = PAGES["sample_files"]()["mzsr-astronaut.png"]
    hr = datasets.example(name)[..., top : top + side, left : left + side]
    camera, belief = (degradation.from_setting(kernel_files.parse(text)) for text in (setting, told))
    lr, options = camera(hr), registry.Options(precision="float32")
    run = {n: registry.build(f"mzsr:{n}", options)(lr, belief) for n in (0, 1, 10)}
    plain = registry.build("bicubic")(lr, belief)
    return metrics.protocol_psnr(plain, hr, 2), {n: metrics.protocol_psnr(sr, hr, 2) for n, sr in run.items()}


@pytest.mark.parametrize(("setting", "told"), [("gani_d", "gani_d"), ("g1.3b", "g2.0d")])
def test_the_page_adapts_as_the_library_does(setting, told, browser, address):
    page = visit(browser, address, "index")
    captions = take(page, blurred_by=setting, MZSR_is_told=told)
    plain, expected = of_library(setting, told)
    for count, psnr in expected.items():
        left, right = captions[count]
        assert left == f"bicubic, {plain:.2f} dB"
        assert float(right.rpartition(", ")[2].removesuffix(" dB")) == pytest.approx(psnr, abs=0.1), count
    assert page.wrong == []


def test_a_picture_of_the_readers_is_enlarged_and_the_divider_moves(tmp_path, browser, address):
    page = visit(browser, address, "notebooks/11_your_image", "dark")
    noise = np.random.default_rng(0).integers(0, 256, (41, 50, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((130, 81)).save(tmp_path / "mine.png")
    assert page.get_by_label("picture", exact=True).input_value() == "a picture of yours"
    assert page.get_by_label("MZSR is told").input_value() == "g0.2d"
    page.get_by_label("a picture of yours").set_input_files(tmp_path / "mine.png")
    captions = take(page)
    assert captions[10] == ["bicubic", "MZSR, 10 updates"]
    assert "96 x 80 px of 130 x 81, enlarged." in page.locator(f"{PLACE} [role=status]").inner_text()
    size = page.locator(".mzsr-right").evaluate("canvas => [canvas.width, canvas.height]")
    assert size == [192, 160]
    page.get_by_label("divider").focus()
    page.keyboard.press("Home")
    assert part(page) == "0%"
    click(page, ".mzsr-right", 0.75, 0.5)
    assert part(page) == "75%"
    page.keyboard.press("ArrowLeft")
    assert part(page) == "74%"
    assert page.wrong == []

    # The square follows a click, and then the picture below is that of another place.
    click(page, ".mzsr-piece canvas", 0.9, 0.5)
    assert page.get_by_label("across (%)").input_value() == "100"
    assert page.locator(".mzsr-old").count() == 1
    # Where the divider lies both sides are dimmed alike: none is seen through the other.
    page.locator(".mzsr-frame canvas").evaluate_all(
        "all => all.forEach(each => each.getContext('2d').fillRect(0, 0, each.width, each.height))"
    )
    seen = np.asarray(Image.open(BytesIO(page.locator(".mzsr-frame").screenshot())).convert("L"))
    left, right = seen[20, 20], seen[20, -20]
    assert 0 < left == right
    click(page, ".mzsr-piece canvas", 0.5, 0.5)
    assert page.locator(".mzsr-old").count() == 0


def test_nothing_contradicts_the_picture_that_is_shown(browser, address):
    page = visit(browser, address, "index")
    status, captions = page.locator(f"{PLACE} [role=status]"), page.locator(".mzsr-captions")
    begin(page)
    page.wait_for_function("document.querySelector('.mzsr-captions').innerText.includes('MZSR')")
    reached = page.evaluate(REACHED)
    assert not usable(page)
    assert reached["offered"] == [n for n in (0, 1, 3, 10) if n <= reached["shown"]]
    page.wait_for_selector(f"{PLACE}[data-done]")
    assert usable(page) and "MZSR, 10 updates" in captions.inner_text()

    page.get_by_label("MZSR is told").select_option("gani_d")
    assert "belongs to the choice before" in status.inner_text()
    assert page.locator(".mzsr-old canvas").count() == 2
    page.get_by_label("MZSR is told").select_option("g2.0d")
    assert "Move the divider" in status.inner_text()
    assert page.locator(".mzsr-old").count() == 0
    page.get_by_label("picture", exact=True).select_option("a picture of yours")
    assert "Choose a picture." in status.inner_text()
    assert page.wrong == []


def test_what_the_page_of_the_updates_tells_to_try_can_be_done_in_it(browser, address):
    page = visit(browser, address, "notebooks/08_meta_test")
    words = PAGES["INSTEAD"]
    labels = set(re.findall(r"(?<!\*)\*([^*\n]+)\*(?!\*)", words))
    assert labels == {"blurred by", "MZSR is told", "show after"}
    assert all(page.locator(PLACE).get_by_label(label, exact=True).count() == 1 for label in labels)
    cameras = page.get_by_label("blurred by").locator("option").evaluate_all("all => all.map(each => each.value)")
    assert set(re.findall(r"`(g[\w.]+)`", words)) <= set(cameras)
    heads = page.locator(f"section:has(> {PLACE})").locator("h2, h3").all_inner_texts()
    assert [head.strip("#\n ") for head in heads] == ["6 Try it yourself", "In JupyterLab, with sliders"]


@pytest.mark.parametrize("missing", ["mzsr-worker.js", "weights.json", "mzsr-astronaut.png"])
def test_what_failed_can_be_tried_again(missing, browser, address):
    page = visit(browser, address, "index")
    page.route(f"**/{missing}", lambda route: route.abort())
    begin(page)
    page.wait_for_function("place => document.querySelector(place).innerText.includes('It did not work')", arg=PLACE)
    assert usable(page)
    page.unroute(f"**/{missing}")
    assert take(page)[10][1].startswith("MZSR, 10 updates")


def test_what_cannot_be_enlarged_is_a_sentence(tmp_path, browser, address):
    page = visit(browser, address, "index")
    status = page.locator(f"{PLACE} [role=status]")
    page.get_by_label("picture", exact=True).select_option("a picture of yours")
    page.get_by_role("button", name="Take ten updates").click()
    assert status.inner_text() == "Choose a picture first."
    (tmp_path / "text.png").write_text("no picture")
    Image.new("RGB", (100, 20)).save(tmp_path / "flat.png")
    for name, said in (
        ("text.png", "no picture that this browser can read"),
        ("flat.png", "has 100 x 20 px: at least"),
    ):
        page.get_by_label("a picture of yours").focus()
        page.get_by_label("a picture of yours").set_input_files(tmp_path / name)
        page.wait_for_function(
            "([place, said]) => document.querySelector(place).innerText.includes(said)", arg=[PLACE, said]
        )
        page.wait_for_function("document.activeElement.type === 'file'")
    assert page.wrong == []


def test_a_result_beside_a_picture_that_failed_is_said_to_be_of_another(tmp_path, browser, address):
    page = visit(browser, address, "index")
    status = page.locator(f"{PLACE} [role=status]")
    take(page)
    assert "dimmed" not in status.inner_text()
    page.get_by_label("picture", exact=True).select_option("a picture of yours")
    begin(page)
    assert status.inner_text() == "Choose a picture first. The dimmed picture below belongs to the choice before."
    (tmp_path / "text.png").write_text("no picture")
    page.get_by_label("a picture of yours").set_input_files(tmp_path / "text.png")
    page.wait_for_function("place => document.querySelector(place).innerText.includes('text.png is no')", arg=PLACE)
    assert status.inner_text().endswith("The dimmed picture below belongs to the choice before.")
    assert page.locator(".mzsr-old canvas").count() == 2
    page.get_by_label("picture", exact=True).select_option("an astronaut")
    assert "dimmed" not in status.inner_text() and page.locator(".mzsr-old").count() == 0
    assert page.wrong == []


@pytest.mark.parametrize(("alpha", "white"), [(255, False), (254, True)])
def test_what_is_transparent_lies_on_white_and_that_is_said(alpha, white, tmp_path, browser, address):
    page = visit(browser, address, "notebooks/11_your_image")
    picture = Image.new("RGBA", (130, 81), (0, 0, 0, 255))
    picture.putpixel((3, 4), (0, 0, 0, alpha))
    picture.save(tmp_path / "mine.png")
    page.get_by_label("a picture of yours").set_input_files(tmp_path / "mine.png")
    page.wait_for_function("place => document.querySelector(place).innerText.includes('MZSR will enlarge')", arg=PLACE)
    said = page.locator(f"{PLACE} [role=status]").inner_text()
    assert ("on white where the picture is transparent" in said) == white
