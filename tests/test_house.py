"""Rules of the house: rooms import from those before them, functions stay short, texts agree."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import mzsr_lib

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "mzsr_lib"
MODULES = sorted(PACKAGE.rglob("*.py"))
LONGEST_FUNCTION = 40
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)

each_module = pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))


def body_lines(function: ast.FunctionDef) -> int:
    """Lines of a function without its docstring."""
    whole = function.end_lineno - function.lineno + 1
    first = function.body[0]
    return whole - (first.end_lineno - first.lineno + 1 if ast.get_docstring(function) else 0)


def public(nodes: list[ast.stmt]) -> list[ast.stmt]:
    """The public functions and classes among `nodes`, and the public methods of those classes."""
    found = [n for n in nodes if isinstance(n, (*FUNCTION, ast.ClassDef)) and not n.name.startswith("_")]
    return found + [m for n in found if isinstance(n, ast.ClassDef) for m in public(n.body)]


def python(code: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def test_the_rooms_import_only_from_those_before_them():
    python("import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))")


def test_the_table_of_the_rooms_names_them_all_in_order():
    table = re.split(r"^=+  =+$", mzsr_lib.__doc__, flags=re.MULTILINE)[1]
    named = re.findall(r"^[a-z]+(?:, [a-z]+)*(?=  )", table, re.MULTILINE)
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    modules = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
    assert set(", ".join(named).split(", ")) == folders | modules
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]
    layers = [name for layer in reversed(contract["layers"]) for name in layer.split(" | ")]
    assert ", ".join(named).split(", ") == layers


def test_importing_the_package_imports_no_torch():
    assert python("import mzsr_lib, sys; print('torch' in sys.modules, 'numpy' in sys.modules)") == "False False"


@pytest.mark.parametrize("name", [name for name in mzsr_lib.__all__ if name != "__version__"])
def test_a_public_name_is_the_one_of_its_room(name):
    found = getattr(mzsr_lib, name)
    assert found.__name__ == name and found.__doc__
    assert found.__module__ == f"mzsr_lib.{mzsr_lib._PUBLIC[name]}"


def test_an_unknown_name_is_no_attribute():
    assert set(mzsr_lib.__all__) <= set(dir(mzsr_lib))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        mzsr_lib.nothing  # noqa: B018


def test_a_machine_that_trains_needs_five_packages():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    lines = [*project["dependencies"], *(line for extra in extras for line in extra)]
    needed = {"torch", "numpy", "pillow", "safetensors", "tqdm"}
    others = {re.match(r"[\w-]+", line)[0].replace("-", "_") for line in lines} - needed
    absent = sorted(others - {"scikit_image"} | {"skimage"})
    modules = [f"mzsr_lib.{path.parent.name}.{path.stem}" for path in PACKAGE.glob("training/[a-z]*.py")]
    code = f"""
import importlib, sys, tempfile, torch
sys.modules.update(dict.fromkeys({absent}))
for name in {modules}:
    importlib.import_module(name)
sys.path.insert(0, "tests")
from helpers import small_config, small_pictures
from mzsr_lib.training.stages import pretrain
with tempfile.TemporaryDirectory() as folder:
    print(pretrain(small_config(steps=2, channels=2), [], folder, pictures=small_pictures()).name)
"""
    assert python(code) == "weights.safetensors"


@each_module
def test_functions_are_short(path):
    functions = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, FUNCTION)]
    assert not {f.name: body_lines(f) for f in functions if body_lines(f) > LONGEST_FUNCTION}


@each_module
def test_what_is_public_is_explained(path):
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree)
    assert not [node.name for node in public(tree.body) if not ast.get_docstring(node)]


def test_make_help_lists_every_target():
    makefile = (ROOT / "Makefile").read_text()
    targets = re.search(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)[1].split()
    assert targets == re.findall(r"^([a-z-]+):", makefile, re.MULTILINE)
    command = ["make", "--no-print-directory", "help"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert [line.split()[1] for line in shown.splitlines()] == targets


def test_the_versions_agree():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    newest = re.search(r"^## \[(\d[^\]]*)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[1]
    cited = re.search(r'^version: "?([^"\n]+)', (ROOT / "CITATION.cff").read_text(), re.MULTILINE)[1]
    assert version == mzsr_lib.__version__ == newest == cited


def tracked_texts() -> list[Path]:
    """Every text file of the project: what git tracks or would track."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    binary = {".png", ".jpg", ".safetensors", ".gif"}
    return [ROOT / name for name in names if Path(name).suffix not in binary and (ROOT / name).is_file()]


def test_no_file_names_a_folder_of_one_machine():
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    folders = ["/home", "/Users", "/root"]
    # Neither the folder in which this clone happens to lie, unless that is a place everybody has.
    if ROOT.parent not in (Path("/"), Path("/tmp")):
        folders.append(str(ROOT.parent))
    somebodys = re.compile(rf"(?<![\w.~-])({'|'.join(map(re.escape, folders))})/")
    texts = {path: path.read_text(encoding="utf-8", errors="replace") for path in tracked_texts()}
    hits = {str(path): found[0] for path, text in texts.items() if (found := somebodys.search(text))}
    assert not hits
