"""The site as a plain file server gives it, and a page of Chromium that looks at it."""

import functools
import http.server
import shutil
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "build" / "site"
if not (SITE / "index.html").is_file():
    pytest.skip("there is no site in build/site: make site", allow_module_level=True)
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
if CHROMIUM is None:
    pytest.skip("there is no chromium: apt-get install chromium", allow_module_level=True)
PATIENCE = 120_000  # ms, for a slow machine; nothing waits longer than it must


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A plain file server that says nothing."""

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="session")
def address():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=SITE))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def browser(address):
    """One page of Chromium, which remembers what went wrong on it."""
    with sync_api.sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        try:
            yield opened(chromium, address)
        finally:
            chromium.close()


def opened(chromium, address: str):
    page = chromium.new_page()
    page.set_default_timeout(PATIENCE)
    page.wrong = []
    page.on("response", lambda answer: answer.status >= 400 and page.wrong.append(answer.url))
    page.on("requestfailed", lambda request: page.wrong.append(request.url))
    page.on("request", lambda asked: asked.url.startswith((address, "data:", "blob:")) or page.wrong.append(asked.url))
    page.on("console", lambda told: told.type == "error" and page.wrong.append(told.text))
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    return page


def visit(page, address: str, name: str, theme: str = "light"):
    """Open a page and wait until its mathematics and its explorers stand."""
    page.wrong.clear()
    page.emulate_media(color_scheme=theme)
    page.set_viewport_size({"width": 1024, "height": 900})
    page.goto(f"{address}/{name}.html", wait_until="load")
    page.evaluate("window.MathJax?.startup?.promise")
    page.wait_for_function("[...document.querySelectorAll('.live, .mzsr-live')].every(place => place.dataset.ready)")
    return page
