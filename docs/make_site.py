"""Make the site: lay out what it shows in the places that the links in it name, and let Sphinx read that.

python docs/make_site.py [TARGET]
"""

import importlib.metadata
import json
import os
import pkgutil
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import export_onnx
import pages
import pooch

from mzsr_lib.benchmark import datasets
from mzsr_lib.imaging import picture_files
from mzsr_lib.lessons import navigation, reproduce

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
# Pages beside the notebooks; whatever they and the notebooks link to comes along.
TEXTS = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "results/README.md",
    "results/tables.md",
    "mzsr_lib/weights/README.md",
)
LINK = re.compile(r"""(?<=\]\()[^)\s#]+|(?<=src=")[^"#]+""")
ROOMS = ("imaging", "mzsr", "models", "training", "methods", "benchmark", "drawing", "lessons", "cli")
RUNTIME = (
    "https://registry.npmjs.org/onnxruntime-web/-/onnxruntime-web-1.30.0.tgz",
    "sha256:d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71",
)
RUNTIME_FILES = ("dist/ort.wasm.bundle.min.mjs", "dist/ort-wasm-simd-threaded.wasm")
TRY = """## Try it

MZSR itself runs in this page: ten updates on one of three pictures, or on yours. Say which blur made it small, and tell
MZSR the same blur or another one; the names are the paper's ([page 02](notebooks/02_blur_kernels.ipynb), section 5).
Nothing leaves your machine. The same stands on [page 08](notebooks/08_meta_test.ipynb) and
[page 11](notebooks/11_your_image.ipynb).

{}"""
FAILED = "FAILED: Sphinx returned {code}, because of the warnings or errors above. Do not publish what is in {target}."
MATHJAX = ("tex-chtml.js", "output/chtml/fonts/woff-v2")


def lay_out(source: Path) -> None:
    """Fill an empty folder with everything that the site is made of."""
    notebooks = reproduce.notebooks(ROOT / "notebooks")
    for path in [*notebooks, *(ROOT / name for name in TEXTS)]:
        copy(path, source)
    cards = "\n".join(map(card, notebooks))
    names = "\n".join(f"{path.name[:2]} {navigation.title(path)} <notebooks/{path.stem}>" for path in notebooks)
    index = (DOCS / "index.md").read_text().replace("<!-- cards -->", cards).replace("<!-- pages -->", names)
    (source / "index.md").write_text(index)
    (source / "api").mkdir()
    for name, text in reference().items():
        (source / "api" / f"{name}.md").write_text(text)
    static = source / "_static"
    mathjax(static / "mathjax")
    (static / "live").mkdir()
    for name, (picture, top, left, side) in pages.sample_files().items():
        cut = datasets.example(picture)[..., top : top + side, left : left + side]
        picture_files.write(static / "live" / name, picture_files.Picture(cut))
    shutil.copytree(pages.RUN, static / "live" / "meta_run", ignore=shutil.ignore_patterns("*.csv"))
    live = network(static)
    index = (source / "index.md").read_text()
    (source / "index.md").write_text(
        index.replace("<!-- network -->", TRY.format(pages.network_place("_static")) * live)
    )


def copy(path: Path, source: Path) -> None:
    """Copy a page and the files of the project that it links to; a link to a folder leads to what describes it."""
    text = path.read_text(encoding="utf-8")
    pages_of = json.loads(text)["cells"] if path.suffix == ".ipynb" else [{"source": text}]
    for name in LINK.findall("\n".join("".join(part["source"]) for part in pages_of)):
        linked = (path.parent / name).resolve()
        if linked.is_dir() and path.suffix == ".md":
            near = next(folder for folder in (linked, *linked.parents) if (folder / "README.md").is_file())
            text = text.replace(f"]({name})", f"]({os.path.relpath(near / 'README.md', path.parent)})")
        elif linked.is_file() and linked.suffix not in (".md", ".ipynb"):
            _place(linked, source).write_bytes(linked.read_bytes())
    _place(path, source).write_text(text)


def _place(path: Path, source: Path) -> Path:
    """Return where a file of the project lies in the site's source."""
    target = source / path.relative_to(ROOT)
    target.parent.mkdir(parents=True, exist_ok=True)
    return target


def card(path: Path) -> str:
    """Return the entry of a notebook on the first page: its picture, title and question."""
    title, question, alt, picture = pages.opening(path)
    inside = path.relative_to(ROOT).with_suffix("")
    return (
        f":::{{grid-item-card}} {path.name[:2]} {title}\n:link: {inside}\n:link-type: doc\n"
        f":img-top: {picture.removeprefix('../')}\n:img-alt: {alt}\n\n{question}\n:::\n"
    )


def reference() -> dict[str, str]:
    """Return the pages of the reference by name: one for each room, and a first one that lists them."""
    rooms = {}
    for room in ROOMS:
        package = importlib.import_module(f"mzsr_lib.{room}")
        modules = [package.__name__, *(f"{package.__name__}.{m.name}" for m in pkgutil.iter_modules(package.__path__))]
        shown = [name for name in modules if not name.endswith("__main__")]
        rooms[room] = f"# {room}\n\n" + "\n".join(map(_module, shown))
    ground = "# files, shapes, runtime\n\n" + "\n".join(
        map(_module, ("mzsr_lib.files", "mzsr_lib.shapes", "mzsr_lib.runtime"))
    )
    rooms["ground"] = ground
    rooms["index"] = "# The library\n\n```{eval-rst}\n.. automodule:: mzsr_lib\n   :no-members:\n```\n"
    return rooms


def _module(name: str) -> str:
    head = (
        ""
        if name.count(".") == 1 and name.rpartition(".")[2] in ROOMS
        else f"## `{name.removeprefix('mzsr_lib.')}`\n\n"
    )
    return f"{head}```{{eval-rst}}\n.. automodule:: {name}\n   :members:\n```\n"


def mathjax(target: Path) -> None:
    """Copy the parts of MathJax that pages need out of the package that brings it."""
    package = importlib.metadata.distribution("sphinx-mathjax-offline")
    origin = Path(str(package.locate_file("sphinx-mathjax-offline/static/mathjax")))
    for name in MATHJAX:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (origin / name).is_dir() else shutil.copy)(origin / name, target / name)


def network(static: Path) -> bool:
    """Lay out MZSR for the browser, and what runs it there; say so and return False when that cannot be had."""
    # The package comes from npm, once; later it lies in the cache of pooch.
    pooch.get_logger().setLevel("WARNING")
    try:
        package = pooch.retrieve(*RUNTIME)
    except (OSError, ValueError) as error:
        print(f"The pages are made without MZSR in the browser: {RUNTIME[0]} cannot be had ({error}).", file=sys.stderr)
        return False
    (static / "onnxruntime").mkdir()
    with tarfile.open(package) as archive:
        for name in RUNTIME_FILES:
            content = archive.extractfile(f"package/{name}")
            assert content is not None
            (static / "onnxruntime" / Path(name).name).write_bytes(content.read())
    export_onnx.write(static / "mzsr")
    return True


def main(target: Path) -> int:
    """Make the site in a folder; return 0, or what Sphinx returns after warnings or an error."""
    source = target.with_name(f"{target.name}-source")
    for folder in (source, target):
        shutil.rmtree(folder, ignore_errors=True)
    source.mkdir(parents=True)
    lay_out(source)
    address = os.environ.get("MZSR_REPOSITORY") or navigation.origin(ROOT)
    if address:
        os.environ["MZSR_REPOSITORY"] = address
    strict = ["-q", "-W", "--keep-going"]
    code = subprocess.run([sys.executable, "-m", "sphinx", *strict, "-c", DOCS, source, target]).returncode
    print(f"The site is in {target}." if code == 0 else FAILED.format(code=code, target=target), flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "site"))
