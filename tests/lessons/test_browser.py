"""What `make lab` opens, in a real browser: the first page whole, and explorers whose picture follows the keyboard.

Skipped where chromium or playwright is missing. Screenshots go to MZSR_ARTEFACTS, or to pytest's folder.
"""

import base64
import ctypes
import io
import json
import os
import platform
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import numpy as np
import psutil
import pytest
from notebook_contract import project_files
from PIL import Image

from mzsr_lib.benchmark import datasets
from mzsr_lib.lessons import explorers

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
if CHROMIUM is None:
    pytest.skip("there is no chromium: apt-get install chromium", allow_module_level=True)

ROOT = Path(__file__).resolve().parents[2]
SERVED = (".jupyterlab", "apps", "notebooks", "figures", "results", "mzsr_lib")  # what a page shows or links to
SETTINGS = {
    "notebook-extension/tracker": '{"windowingMode": "none"}',  # draw the whole page, not what is seen of it
}
FIRST = "notebooks/00_start_here.ipynb"
PATIENCE = 120_000  # ms, for a slow machine; nothing waits longer than it must
LAMBDA1, LAMBDA2, THETA, LAST = 0, 1, 2, -1  # places of the sliders
FACE = datasets.example("astronaut")[..., 40:160, 160:280]


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The address of what `make lab` starts, on copies of the pages, with nothing of the user's settings."""
    folder = tmp_path_factory.mktemp("lab")
    project = folder / "project"
    for name in SERVED:
        shutil.copytree(ROOT / name, project / name, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    shutil.copy(ROOT / "README.md", project)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    own = {"JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"}
    own |= {"JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR"}
    for name, setting in SETTINGS.items():
        path = folder / "jupyterlab_settings_dir" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(setting)
    env = {**os.environ, **{name: str(folder / name.lower()) for name in own}, "JUPYTER_PREFER_ENV_PATH": "1"}
    options = ["--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0"]
    options += ["--IdentityProvider.token=", "--LabApp.expose_app_in_browser=True"]
    with (folder / "log.txt").open("w") as log:
        server = subprocess.Popen(
            [*make_lab(), *options], cwd=project, env=env, stdout=log, stderr=log, preexec_fn=end_with_us
        )
        try:
            yield answering(f"http://127.0.0.1:{port}", server, folder / "log.txt")
        finally:
            stop(server)


def make_lab() -> list[str]:
    """Return the command of `make lab`, run by this Python instead of that of `.venv`."""
    words = ["make", "--dry-run", "--no-print-directory", "--old-file", ".venv/.installed", "lab"]
    told = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    python, *rest = shlex.split(told)
    assert python == ".venv/bin/python"
    return [sys.executable, *rest]


def end_with_us() -> None:
    """Ask Linux to end this new process when the tests end, even when they are killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # 1: PR_SET_PDEATHSIG


def answering(address: str, server: subprocess.Popen, log: Path) -> str:
    """Return the address once the server answers there."""
    until = time.monotonic() + PATIENCE / 1000
    while time.monotonic() < until and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/api", timeout=5):
                return address
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"JupyterLab did not start:\n{log.read_text(encoding='utf-8')}")


def stop(server: subprocess.Popen) -> None:
    """End the server and its kernels, and see to it that none is left."""
    family = psutil.Process(server.pid).children(recursive=True) if server.poll() is None else []
    server.send_signal(signal.SIGTERM)
    try:
        server.wait(20)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
    _, left = psutil.wait_procs(family, timeout=10)
    for process in left:
        process.kill()
    psutil.wait_procs(left, timeout=10)


@pytest.fixture(scope="module")
def page(lab):
    """JupyterLab in chromium: one page for all tests, since it takes longer to load than to use."""
    with sync_api.sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        try:
            opened = chromium.new_page(viewport={"width": 1180, "height": 860})
            opened.set_default_timeout(PATIENCE)
            opened.failed = []
            opened.on("response", lambda answer: answer.status >= 400 and opened.failed.append(answer.url))
            opened.on("requestfailed", lambda request: opened.failed.append(request.url))
            opened.goto(f"{lab}/lab/tree/{FIRST}")
            opened.wait_for_function("window.jupyterapp?.commands.hasCommand('docmanager:open')")
            opened.evaluate("window.jupyterapp.started.then(() => undefined)")
            yield opened
        finally:
            chromium.close()


@pytest.fixture
def opened(page, tmp_path):
    """Open an app by name; a screenshot of how it ends up is kept."""
    names = []

    def open_app(name: str) -> Live:
        names.append(name)
        return Live(page, name)

    yield open_app
    folder = Path(os.environ.get("MZSR_ARTEFACTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=folder / f"explorer-{names[0]}.png")


class Live:
    """An app opened in JupyterLab, all its cells run. Only what is visible is looked at."""

    HERE = ".jp-NotebookPanel:not(.lm-mod-hidden) "
    IMAGE = HERE + "img.widget-image"
    STATUS = HERE + "[role=status]"
    SESSION = "window.jupyterapp.shell.currentWidget?.sessionContext"

    def __init__(self, page, name: str):
        self.page = page
        self.command("docmanager:open", {"path": f"apps/{name}.ipynb"})
        self.wait(f"window.jupyterapp.shell.currentWidget?.context?.path === 'apps/{name}.ipynb'")
        self.wait(f"document.querySelector('{self.HERE} h1')")  # the title, once it is rendered
        # The indicator says idle before there is a kernel; a command given then is lost.
        self.wait(f"{self.SESSION}?.isReady && {self.SESSION}.session?.kernel?.connectionStatus === 'connected'")
        page.evaluate(
            f"window.known = false; {self.SESSION}.session.kernel.info.then(() => {{ window.known = true; }}); 0"
        )
        self.wait(f"window.known && {self.SESSION}.session.kernel.status === 'idle'")
        self.command("notebook:run-all-cells", {})
        self.wait(f"document.querySelector('{self.IMAGE}')?.naturalWidth > 0")
        self.settle()

    def command(self, name: str, arguments: dict) -> None:
        """Start a command of JupyterLab; what it does is waited for elsewhere, with a limit."""
        self.page.evaluate("([name, its]) => { window.jupyterapp.commands.execute(name, its); }", [name, arguments])

    def wait(self, condition: str) -> None:
        """Wait until an expression in the page is true."""
        self.page.wait_for_function(condition, polling=100)

    def find(self, selector: str):
        return self.page.locator(self.HERE + selector)

    def picture(self) -> np.ndarray:
        """The pixels of the explorer's picture."""
        script = f"""async () => {{
            const bytes = await (await fetch(document.querySelector('{self.IMAGE}').src)).arrayBuffer();
            return btoa(Array.from(new Uint8Array(bytes), b => String.fromCharCode(b)).join(''));
        }}"""
        return pixels(base64.b64decode(self.page.evaluate(script)))

    def values(self) -> list[float]:
        """The numbers beside the sliders, in their order."""
        return [float(text) for text in self.find(".widget-readout").all_inner_texts()]

    def message(self) -> str:
        return self.page.locator(self.STATUS).inner_text()

    def press(self, slider: int, key: str, times: int = 1) -> None:
        """Focus a slider's handle, press a key, and wait until the picture is another one and then stays."""
        before = self.page.locator(self.IMAGE).get_attribute("src")
        self.find(".widget-slider .noUi-handle").nth(slider).focus()
        for _ in range(times):
            self.page.keyboard.press(key)
        self.wait(f"document.querySelector('{self.IMAGE}').src !== '{before}'")
        self.settle()

    def settle(self) -> None:
        """Wait until the kernel is idle and the picture has not changed for half a second."""
        self.page.evaluate("window.seen = ['', 0]")
        self.wait(f"""(() => {{
            const now = document.querySelector('{self.IMAGE}').src;
            const idle = {self.SESSION}.session.kernel.status === 'idle';
            if (!idle || now !== window.seen[0]) window.seen = [now, performance.now()];
            return performance.now() - window.seen[1] > 500;
        }})()""")


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), dtype=float)


def agrees(live: Live, expected: explorers.Explorer) -> None:
    """Assert that the browser shows what the library makes of the same sliders."""
    assert live.message() == expected.message
    drawn, shown = pixels(expected._repr_mimebundle_()["image/png"]), live.picture()
    assert shown.shape == drawn.shape
    assert np.abs(shown - drawn).mean() < 0.05


def test_the_first_page_is_whole(page, lab):
    """Before the apps are opened: this is what `make lab` shows."""
    page.wait_for_function(f"document.querySelector('{Live.HERE} h1')?.innerText.startsWith('Start here')")
    page.evaluate(f"{Live.SESSION.replace('sessionContext', 'context.ready')}.then(() => undefined)")
    pictures = f"[...document.querySelectorAll('{Live.HERE} .jp-Cell img')]"
    cells = nbformat.read(ROOT / FIRST, as_version=4).cells
    stored = [1 for cell in cells for output in cell.get("outputs", []) if "image/png" in output.get("data", {})]
    shown = sum(cell.source.count("<img ") for cell in cells if cell.cell_type == "markdown")
    page.wait_for_function(f"{pictures}.length >= {len(stored) + shown} && {pictures}.every(img => img.complete)")
    assert page.evaluate(f"{pictures}.filter(img => img.naturalWidth === 0).map(img => img.src)") == []
    assert page.failed == []


def test_nobody_is_asked_whether_news_may_be_fetched(page, lab):
    address = f"{lab}/lab/api/settings/@jupyterlab/apputils-extension:notification"
    with urllib.request.urlopen(address, timeout=5) as answer:
        found = json.load(answer)
    assert found["settings"] == {}  # nothing of the user's own
    assert found["schema"]["properties"]["fetchNews"]["default"] == "false"
    assert page.locator(".Toastify__toast").all_inner_texts() == []


def test_a_page_that_is_only_read_is_not_asked_to_be_saved(page):
    session = Live.SESSION.replace("?", "")
    page.wait_for_function(f"{Live.SESSION}?.isReady")
    page.evaluate(f"{session}.session.kernel.info.then(() => undefined)")
    model = session.replace("sessionContext", "context.model")
    assert page.evaluate(f"{model}.getMetadata('language_info').version") == platform.python_version()
    assert not page.evaluate(f"{model}.dirty")


def test_every_file_that_a_page_names_is_served(lab):
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        for name in project_files(nbformat.read(path, as_version=4).cells):
            inside = (path.parent / name).resolve().relative_to(ROOT)
            with urllib.request.urlopen(f"{lab}/api/contents/{inside}?content=0", timeout=5) as answer:
                assert answer.status == 200


def test_kernel(opened):
    live = opened("kernel")
    agrees(live, explorers.KernelExplorer(FACE))
    before = live.picture()
    live.press(THETA, "ArrowRight", 3)
    live.press(LAMBDA2, "ArrowRight", 40)
    assert live.values() == [5.0, 5.0, 0.95, 15]  # lambda2 took lambda1 along
    live.press(LAMBDA2, "ArrowLeft", 35)
    live.press(LAST, "ArrowRight")
    assert live.values() == [5.0, 1.5, 0.95, 17]
    assert np.abs(live.picture() - before).mean() > 1
    agrees(live, explorers.KernelExplorer(FACE, 0.95, 5.0, 1.5, 17))


def test_degradation(opened):
    live = opened("degradation")
    agrees(live, explorers.DegradationExplorer(FACE))
    live.press(LAMBDA1, "ArrowLeft", 5)
    live.press(LAST, "ArrowRight", 2)
    assert live.values() == [3.5, 1.0, 0.8, 15, 0.01]
    agrees(live, explorers.DegradationExplorer(FACE, lambda1=3.5, noise=0.01))
    live.find(".widget-dropdown select").select_option("bicubic")
    live.wait(f"document.querySelector('{live.STATUS}').innerText.startsWith('Bicubic sampling')")
    live.settle()
    agrees(live, explorers.DegradationExplorer(FACE, lambda1=3.5, mode="bicubic", noise=0.01))


def test_adaptation(opened):
    live = opened("adaptation")
    agrees(live, explorers.AdaptationExplorer(FACE))
    live.page.evaluate(f"""window.said = []; new MutationObserver(() => window.said.push(
        document.querySelector('{live.STATUS}')?.innerText ?? '')
    ).observe(document.querySelector('{live.STATUS}').closest('.widget-html'), {{childList: true, subtree: true}});""")
    live.press(LAST, "ArrowRight", 3)
    live.press(THETA, "ArrowLeft", 2)
    assert live.values() == [4.0, 1.0, 0.7, 4]
    assert any(said.startswith("computing") for said in live.page.evaluate("window.said"))
    agrees(live, explorers.AdaptationExplorer(FACE, theta=0.7, updates=4))
