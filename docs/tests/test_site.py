"""The site as a reader meets it: served from its folder, in Chromium, and its explorers compared with the library.

`make site-test` makes the site first. Screenshots go to MZSR_ARTEFACTS, if that names a folder.
"""

import base64
import html.parser
import io
import itertools
import json
import math
import os
import re
import runpy
import types
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin

import numpy as np
import pytest
import torch
from PIL import Image, ImageColor
from served import SITE, sync_api, visit

from mzsr_lib.benchmark import datasets
from mzsr_lib.imaging import degradation, kernels, metrics, resize, restoration
from mzsr_lib.lessons import explorers
from mzsr_lib.lessons.landscape import LandscapeExplorer
from mzsr_lib.lessons.meta_run import SCORED, UPDATES, MetaRunExplorer

ROOT = Path(__file__).resolve().parents[2]
LIVE = runpy.run_path(ROOT / "docs" / "pages.py")["LIVE"]
LESSONS = sorted(path.stem for path in (ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
LOOKED_AT = [
    "index",
    *(f"notebooks/{name}" for name in LESSONS),
    "README",
    "results/tables",
    "api/index",
    "api/imaging",
]
THEMES, WIDTHS = ("light", "dark"), (400, 1024, 1440)
each_page = pytest.mark.parametrize("name", LOOKED_AT)
each_theme = pytest.mark.parametrize("theme", THEMES)


# Every page

# What looks like the pattern and stands on more than one line.
BROKEN_WORDS = """([selector, pattern]) => {
    const broken = [];
    for (const cell of document.querySelectorAll(selector)) {
        const texts = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
        while (texts.nextNode()) {
            const text = texts.currentNode;
            if (text.parentElement.closest('mjx-container')) continue;
            for (const word of text.data.matchAll(new RegExp(pattern, 'g'))) {
                const range = document.createRange();
                range.setStart(text, word.index);
                range.setEnd(text, word.index + word[0].length);
                const lines = new Set([...range.getClientRects()].map(box => Math.round(box.top)));
                if (lines.size > 1) broken.push(word[0]);
            }
        }
    }
    return broken;
}"""
WHOLE = [("article td, article th", "[A-Za-z0-9.]{2,}"), ("article p code", "^-+[a-z-]{1,20}$")]  # cells, and options
# Printed texts and formulas that do not end where their column does; one within a line has no width of its own.
CUT = """() => [...document.querySelectorAll('article .cell_output pre, article mjx-container')]
    .filter(box => box.checkVisibility() && !box.closest('table') && (box.matches('mjx-container:not([display])')
        ? box.getBoundingClientRect().right > box.closest('section').getBoundingClientRect().right + 1
        : box.scrollWidth > box.clientWidth + 1))
    .map(box => box.closest('section').id + ': ' + box.textContent.slice(0, 60))"""


@each_page
def test_a_page_loads_whole_and_fits_every_width(name, browser, address):
    page = visit(browser, address, name)
    for theme, width in itertools.product(THEMES, WIDTHS):
        page.emulate_media(color_scheme=theme)
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_function(f"document.documentElement.dataset.theme === '{theme}'")
        try:
            page.wait_for_function("document.documentElement.scrollWidth <= innerWidth", timeout=5000)
        except sync_api.TimeoutError:
            pytest.fail(f"scrolls sideways at {width} px")
        for where in WHOLE:
            assert page.evaluate(BROKEN_WORDS, where) == [], f"words break at {width} px"
        assert page.evaluate(CUT) == [], f"cut off at {width} px"
    loaded = """Promise.all([...document.images].map(image => { image.loading = 'eager';
        return image.decode().then(() => null, () => image.src); })).then(found => found.filter(Boolean))"""
    assert page.evaluate(loaded) == []
    assert page.locator("mjx-merror, .MathJax_Error").count() == 0
    assert page.wrong == []
    if os.environ.get("MZSR_ARTEFACTS"):
        page.screenshot(path=Path(os.environ["MZSR_ARTEFACTS"]) / f"site-{name.replace('/', '-')}.png")


@pytest.mark.parametrize("name", [f"notebooks/{name}" for name in LESSONS])
def test_a_lesson_leads_on_and_describes_its_pictures(name, browser, address):
    text = (SITE / f"{name}.html").read_text()
    article = text[text.index("<article") : text.index("</article>")]
    undescribed = [tag for tag in re.findall(r"<img [^>]+>", article) if not re.search(r'alt="[^"]{10,}"', tag)]
    assert undescribed == []
    feet = re.findall(r'class="(left-prev|right-next)"', text)
    assert feet == ["left-prev", "right-next"]
    assert "previous: " not in article
    assert article.count("Show the imports") <= 1
    for around, source in re.findall(r"(.*)<img [^>]*src=\"([^\"]+)\"", article):
        assert around.endswith(f'image-reference" href="{source}">'), "a picture leads to its file"
    assert (SITE / "_sources" / f"{name}.ipynb").read_bytes() == (ROOT / f"{name}.ipynb").read_bytes()
    assert f"_sources/{name}.ipynb" in text


def test_after_the_last_lesson_come_the_tables():
    text = (SITE / f"notebooks/{LESSONS[-1]}.html").read_text()
    assert re.search(r'class="right-next" href="([^"]+)"', text).group(1) == "../results/tables.html"


def test_the_first_page_names_everything_live(browser, address):
    page = visit(browser, address, "index")
    named = page.locator("article p a").evaluate_all("all => all.map(link => link.getAttribute('href'))")
    live = [
        name for name in LESSONS if re.search(r'class="(mzsr-)?live"', (SITE / f"notebooks/{name}.html").read_text())
    ]
    assert {f"notebooks/{name}.html" for name in live} <= {*named}


def test_the_pictures_of_a_page_have_one_frame_and_cards_show_them_whole(browser, address):
    page = visit(browser, address, "notebooks/07_meta_training", "dark")
    look = """image => (({padding, backgroundColor, borderRadius}) => [padding, backgroundColor, borderRadius].join())(
        getComputedStyle(image))"""
    frames = page.locator("article img").evaluate_all(f"all => all.map({look})")
    assert len(frames) > 3 and len({*frames}) == 1
    cards = visit(browser, address, "index").locator(".sd-card-img-top")
    fits = cards.evaluate_all("all => all.map(image => getComputedStyle(image).objectFit)")
    assert fits == ["contain"] * len(LESSONS)


@pytest.mark.parametrize("code", [0, 1])
def test_the_last_line_of_making_the_site_says_whether_it_failed(code, tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(ROOT / "docs")
    make = runpy.run_path(ROOT / "docs" / "make_site.py")["main"]
    monkeypatch.setitem(make.__globals__, "lay_out", lambda source: None)
    monkeypatch.setattr("subprocess.run", lambda *_, **__: types.SimpleNamespace(returncode=code, stdout=""))
    assert make(tmp_path / "site") == code
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("FAILED") == bool(code)


class Addresses(html.parser.HTMLParser):
    """What a page links to, loads, and can be linked at."""

    def __init__(self, text: str):
        super().__init__()
        self.linked, self.loaded, self.anchors = set(), set(), set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.anchors |= {attrs[key] for key in ("id", "name") if attrs.get(key)}
        target = attrs.get("href") or attrs.get("src")
        if target is not None:
            (self.linked if tag == "a" else self.loaded).add(target)


def test_no_link_is_dead_and_nothing_comes_from_elsewhere():
    found = {
        path.relative_to(SITE).as_posix(): Addresses(path.read_text())
        for path in SITE.rglob("*.html")
        if "_static" not in path.parts
    }
    dead = []
    for name, page in found.items():
        outside = [target for target in page.loaded if re.match(r"(https?:)?//", target)]
        assert outside == [], name
        for target in page.linked | page.loaded:
            path, anchor = urldefrag(urljoin(name, unquote(target.partition("?")[0] if "#" not in target else target)))
            if re.match(r"[a-z]+:", path):
                continue
            there = (SITE / path).is_file()
            if not there or (anchor and path in found and anchor not in found[path].anchors):
                dead.append(f"{name} -> {target}")
    assert sorted(dead) == []


def test_the_search_finds_a_lesson_before_the_reference(browser, address):
    page = visit(browser, address, "search")
    page.goto(f"{address}/search.html?q=curvature")
    page.wait_for_selector("#search-results a[href*='notebooks/06_maml.html']")
    found = page.locator("#search-results li a").evaluate_all("all => all.map(link => link.getAttribute('href'))")
    lessons = [link.startswith("notebooks/") for link in found]
    assert lessons == sorted(lessons, reverse=True), "the lessons come first"
    assert page.wrong == []


def test_code_in_the_lessons_leads_into_the_reference():
    text = (SITE / "notebooks" / "02_blur_kernels.html").read_text()
    assert "../api/imaging.html#mzsr_lib.imaging.kernels.gaussian_kernel" in text


def faults(page, options: dict, context: str | None = None) -> list[str]:
    """Return the serious faults that axe finds on a page, or in the part of it that a selector names."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed: make site-test")
    return [
        f"{fault['id']}: {fault['nodes'][0]['html'][:200]}"
        for fault in axe.Axe().run(page, context, options).response["violations"]
        if fault["impact"] in ("serious", "critical")
    ]


@each_theme
@pytest.mark.parametrize("name", ["index", "notebooks/03_degradation", "api/models", "py-modindex"])
def test_axe_finds_no_serious_fault(name, theme, browser, address):
    # The reference has Sphinx's own lists.
    assert faults(visit(browser, address, name, theme), {"rules": {"definition-list": {"enabled": False}}}) == []


# What runs in the page, against the library


def numbers(browser_page, address: str, script: str, *arguments):
    """Run a script with the module `imaging` of the page and return its result."""
    asked = f"async (given) => {{ const imaging = await import('{address}/_static/imaging.js'); {script} }}"
    return browser_page.evaluate(asked, list(arguments))


TAKE = """const [planes, height, width, size, l1, l2, theta, mode] = given;
    const hr = planes.map(data => imaging.plane(height, width, Float64Array.from(data)));
    const kernel = imaging.gaussianKernel(l1, l2, theta, size);"""
CAMERAS = [(15, 4.0, 1.0, 0.8, "direct"), (21, 8.0, 0.2, 2.9, "direct"), (3, 0.2, 0.2, 0.0, "bicubic")]
CAMERAS += [(7, 2.5, 1.25, 1.55, "bicubic")]
HEIGHT, WIDTH = 24, 34


def noise_picture() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (1, 3, HEIGHT, WIDTH), generator=generator) / 255


def given(camera) -> list:
    size, lambda1, lambda2, theta, mode = camera
    planes = noise_picture()[0].double().flatten(1).tolist()
    return [planes, HEIGHT, WIDTH, size, lambda1, lambda2, theta, mode]


def of_library(camera) -> degradation.Degradation:
    size, lambda1, lambda2, theta, mode = camera
    return degradation.Degradation(kernels.gaussian_kernel(kernels.covariance(lambda1, lambda2, theta), size), 2, mode)


def picture_of(planes, height: int, width: int) -> torch.Tensor:
    return torch.tensor(planes, dtype=torch.float64).reshape(1, 3, height, width)


@pytest.mark.parametrize("camera", CAMERAS)
def test_the_page_computes_what_the_library_does(camera, browser, address):
    page, hr = visit(browser, address, "notebooks/03_degradation"), noise_picture()
    made_by = of_library(camera)
    kernel = numbers(page, address, TAKE + "return [...kernel.data];", *given(camera))
    assert np.abs(np.array(kernel) - made_by.kernel.flatten().numpy()).max() < 1e-6

    script = TAKE + "return hr.map(plane => [...imaging.linear(plane, kernel, mode).data]);"
    small = picture_of(numbers(page, address, script, *given(camera)), HEIGHT // 2, WIDTH // 2)
    assert (small - made_by.linear(hr)).abs().max() < 1e-4

    script = TAKE + "return imaging.degrade(hr, kernel, mode).map(plane => [...plane.data]);"
    rounded = picture_of(numbers(page, address, script, *given(camera)), HEIGHT // 2, WIDTH // 2)
    lr = made_by(hr)
    assert (rounded - lr).abs().max() < 1 / 255 + 1e-6  # where a half is rounded up or down
    assert ((rounded - lr).abs() > 1e-6).double().mean() < 0.005

    for way, expected in (("upscale", resize.upscale(lr, 2)), ("upscaleAligned", restoration.upscale_aligned(lr, 2))):
        planes = lr[0].double().flatten(1).tolist()
        script = f"return given[0].map(d => [...imaging.{way}(imaging.plane(given[1], given[2], d)).data]);"
        large = numbers(page, address, script, planes, HEIGHT // 2, WIDTH // 2)
        assert (picture_of(large, HEIGHT, WIDTH) - expected).abs().max() < 1e-4

    script = TAKE + "return imaging.protocolPsnr(imaging.degrade(hr, kernel, mode).map(imaging.upscale), hr);"
    psnr = metrics.protocol_psnr(resize.upscale(lr, 2), hr, 2)
    assert numbers(page, address, script, *given(camera)) == pytest.approx(psnr, abs=0.01)


def test_the_noise_of_the_page_is_normal(browser, address):
    page = visit(browser, address, "notebooks/03_degradation")
    script = "const draw = imaging.normals(given[0]); return Array.from({length: 40000}, draw);"
    drawn = np.array(numbers(page, address, script, 1))
    assert abs(drawn.mean()) < 0.03 and abs(drawn.std() - 1) < 0.03 and abs((drawn**4).mean() - 3) < 0.25
    assert numbers(page, address, script, 1) == drawn.tolist() != numbers(page, address, script, 2)


def original(kind: str) -> torch.Tensor:
    picture, top, left, side = LIVE[kind]
    return datasets.example(picture)[..., top : top + side, left : left + side]


def press(page, label: str, key: str, times: int) -> None:
    page.get_by_label(label).focus()
    for _ in range(times):
        page.keyboard.press(key)
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def shown(page) -> dict[str, float]:
    inputs = page.locator(".live-control")
    return {
        inputs.nth(i).locator("label").inner_text().split(" ")[0]: float(inputs.nth(i).locator("input").input_value())
        for i in range(inputs.count())
        if inputs.nth(i).locator("input").count()
    }


@each_theme
def test_the_kernel_explorer_follows_the_keyboard(theme, browser, address):
    page = visit(browser, address, "notebooks/02_blur_kernels", theme)
    message = page.locator(".live-status")
    assert message.inner_text() == explorers.KernelExplorer(original("Kernel")).message
    press(page, "theta (rad)", "ArrowRight", 3)
    press(page, "lambda2 (px²)", "ArrowRight", 40)
    assert shown(page) == {"lambda1": 5.0, "lambda2": 5.0, "theta": 0.95, "kernel": 15}  # it took lambda1 along
    press(page, "lambda2 (px²)", "ArrowLeft", 35)
    press(page, "kernel side (px)", "ArrowRight", 1)
    assert shown(page) == {"lambda1": 5.0, "lambda2": 1.5, "theta": 0.95, "kernel": 17}
    same = explorers.KernelExplorer(original("Kernel"), 0.95, 5.0, 1.5, 17)
    assert message.inner_text() == same.message
    drawn = page.locator(".live canvas").last.evaluate("canvas => canvas.toDataURL()")
    assert np.abs(pixels(drawn) - (same.lr[0].permute(1, 2, 0) * 255).numpy()).max() < 1.001
    assert page.wrong == []


def pixels(address: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))).convert("RGB"), dtype=float)


def bowls() -> list[torch.Tensor]:
    """Return the Hessians and optima that page 06 defines."""
    cells = json.loads((ROOT / "notebooks" / "06_maml.ipynb").read_text())["cells"]
    (source,) = ("".join(cell["source"]) for cell in cells if "".join(cell["source"]).startswith("def bowl("))
    known = {"math": math, "torch": torch}
    exec(source, known)
    return [known["hessians"], known["optima"]]


def test_the_landscape_follows_keyboard_and_pointer(browser, address):
    page = visit(browser, address, "notebooks/06_maml")
    message = page.locator(".live-status")
    start = {"theta1": 0.3, "theta2": 3.1, "alpha": 0.5, "steps": 1}
    assert message.inner_text() == LandscapeExplorer(*bowls(), **start).message
    press(page, "theta 1", "ArrowRight", 4)
    press(page, "alpha", "ArrowLeft", 3)
    press(page, "steps", "ArrowRight", 2)
    same = LandscapeExplorer(*bowls(), **start | {"theta1": 0.7, "alpha": 0.35, "steps": 3})
    assert message.inner_text() == same.message
    canvas = page.locator(".live canvas").first
    canvas.scroll_into_view_if_needed()
    box, (left, right, top, bottom) = canvas.bounding_box(), around_the_landscape()
    scale = box["width"] / canvas.evaluate("canvas => canvas.width")
    across, down = (left - right) / 2 * scale, (top - bottom) / 2 * scale  # from the middle of the canvas
    page.mouse.click(box["x"] + box["width"] / 2 + across, box["y"] + box["height"] / 2 + down)
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    picked = LandscapeExplorer(*bowls(), **start | {"theta1": 0.0, "theta2": 0.7, "alpha": 0.35, "steps": 3})
    assert message.inner_text() == picked.message
    assert page.wrong == []


def around_the_landscape() -> list[int]:
    """Return how many px of its canvas lie left, right, above and below a landscape."""
    (room,) = re.findall(r"ROOM = \{(.+?)\}", (ROOT / "docs" / "static" / "explorers.js").read_text())
    return [int(number) for number in re.findall(r"\d+", room)]


def test_the_star_of_a_landscape_is_whole_at_its_edge(browser, address):
    page = visit(browser, address, "notebooks/06_maml")
    star = ImageColor.getrgb("#2f5fd0")
    areas = []
    for keys in ([], ["End"], ["Home"]):
        for name, key in itertools.product(("theta 1", "theta 2"), keys):
            press(page, name, key, 1)
        drawn = page.locator(".live canvas").first.evaluate("canvas => canvas.toDataURL()")
        areas.append((pixels(drawn) == star).all(axis=-1).sum())
    assert areas[0] == areas[1] == areas[2] > 0


def test_a_finger_scrolls_the_page_over_every_canvas(browser, address):
    page = visit(browser, address, "notebooks/06_maml")
    touched = "all => all.map(canvas => getComputedStyle(canvas).touchAction)"
    assert {*page.locator(".live canvas").evaluate_all(touched)} == {"pan-y"}
    message = page.locator(".live-status").inner_text()
    page.locator(".live canvas").first.dispatch_event("pointerdown", {"clientX": 1, "clientY": 1})
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert page.locator(".live-status").inner_text() == message
    page = visit(browser, address, "index")
    assert {*page.locator(".mzsr-live canvas").evaluate_all(touched)} == {"pan-y"}


@pytest.mark.parametrize("name", ["index", "notebooks/03_degradation"])
def test_a_choice_has_room_for_its_words_on_a_phone(name, browser, address):
    page = visit(browser, address, name)
    page.set_viewport_size({"width": 400, "height": 900})
    narrow = """all => all.filter(select => {
        const free = select.parentElement.appendChild(select.cloneNode(true));
        free.style.width = 'max-content';
        const missing = free.offsetWidth - select.offsetWidth;
        free.remove();
        return missing > 0 && select.checkVisibility();
    }).map(select => select.parentElement.textContent)"""
    assert page.locator(".live-control select").evaluate_all(narrow) == []


@each_theme
def test_the_run_follows_the_keyboard(theme, browser, address):
    page = visit(browser, address, "notebooks/07_meta_training", theme)
    stored, slider = ROOT / "results" / "meta_run", page.get_by_role("slider", name="outer steps")
    same = MetaRunExplorer(stored, int(slider.get_attribute("aria-valuetext")))
    slider.focus()
    for key in ("Home", *["ArrowRight"] * (len(same.run.steps) - 1)):
        page.keyboard.press(key)
        page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        step = int(page.locator(".live output").inner_text())
        same.controls["step"].value = step
        assert page.locator(".live-status").inner_text() == same.message
        lines = page.locator(".live figcaption span").all_inner_texts()
        assert lines[:-1] == [f"{psnr:.2f} dB" for psnr in same.shown.psnr.values()]
        drawn = page.locator(".live canvas").evaluate_all("all => all.map(canvas => canvas.toDataURL())")
        for found, expected in zip(drawn, [*same.shown.pictures.values(), same.run.truth], strict=True):
            assert np.abs(pixels(found) - (expected[0].permute(1, 2, 0) * 255).numpy()).max() < 0.5
        curves = page.get_by_role("img", name=f"here at {step}: ")
        scores = [float(psnr) for psnr in re.findall(r"([\d.]+) dB", curves.get_attribute("aria-label"))]
        assert scores == pytest.approx(list(same.shown.held_out.values()), abs=0.051)
    assert step == same.run.steps[-1]
    painted = "(all, what) => all.map(each => getComputedStyle(each)[what])"
    lines = page.locator(".live-chart polyline").evaluate_all(painted, "stroke")
    stripes = page.locator(".live figcaption").evaluate_all(painted, "borderTopColor")
    assert stripes[:-1] == [line for line, n in zip(lines, SCORED, strict=True) if n in UPDATES]
    assert page.wrong == []
    assert faults(page, {}, ".live") == []


@each_theme
def test_the_degradation_explorer_follows_the_keyboard(theme, browser, address):
    page = visit(browser, address, "notebooks/03_degradation", theme)
    message, lines = page.locator(".live-status"), page.locator(".live figcaption span")
    start = {"theta": 0.5, "lambda1": 4.0, "lambda2": 1.0}
    assert message.inner_text() == explorers.DegradationExplorer(original("Degradation"), **start).message
    press(page, "lambda1 (px²)", "ArrowLeft", 5)
    same = explorers.DegradationExplorer(original("Degradation"), **start | {"lambda1": 3.5})
    assert message.inner_text() == same.message
    found = [float(line.removesuffix(" dB")) for line in lines.all_inner_texts()[-2:]]
    assert found == pytest.approx([same.psnr["bicubic"], same.psnr["aligned"]], abs=0.02)  # written with two digits
    press(page, "noise (white = 1)", "ArrowRight", 4)
    noisy = explorers.DegradationExplorer(original("Degradation"), **start | {"lambda1": 3.5}, noise=0.02)
    assert float(lines.all_inner_texts()[-2].removesuffix(" dB")) == pytest.approx(noisy.psnr["bicubic"], abs=0.08)
    page.get_by_label("sampling").focus()
    page.keyboard.press("ArrowDown")
    page.wait_for_function("document.querySelector('.live-status').innerText.startsWith('Bicubic sampling')")
    plain, register = lines.all_inner_texts()[-2:]
    assert plain == register
    assert page.wrong == []
