"""Rules of the house: imports point down the ladder, modules and functions stay short, texts agree."""

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

import mzsr_lib

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "mzsr_lib"
MODULES = sorted(path for path in PACKAGE.glob("*.py") if path.stem != "__init__")
LONGEST_MODULE = 250
LONGEST_FUNCTION = 40
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)

each_module = pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)


def imported(tree: ast.AST) -> set[str]:
    """Names of the modules of mzsr_lib that a syntax tree imports, inside functions too."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ("mzsr_lib." if node.level else "") + (node.module or "")
            names |= {f"{base}.{alias.name}".replace("..", ".") for alias in node.names}
    parts = [name.split(".") for name in names]
    return {part[1] for part in parts if part[0] == "mzsr_lib" and len(part) > 1} - {"__version__"}


def body_lines(function: ast.FunctionDef) -> int:
    """Lines of a function without its docstring."""
    whole = function.end_lineno - function.lineno + 1
    first = function.body[0]
    return whole - (first.end_lineno - first.lineno + 1 if ast.get_docstring(function) else 0)


def public(nodes: list[ast.stmt]) -> list[ast.stmt]:
    """The public functions and classes among `nodes`, and the public methods of those classes."""
    found = [n for n in nodes if isinstance(n, (*FUNCTION, ast.ClassDef)) and not n.name.startswith("_")]
    return found + [m for n in found if isinstance(n, ast.ClassDef) for m in public(n.body)]


def test_every_module_has_a_place_on_the_ladder():
    assert {path.stem for path in MODULES} == set(mzsr_lib.LADDER)
    assert len(set(mzsr_lib.LADDER)) == len(mzsr_lib.LADDER)


@each_module
def test_imports_point_down(path):
    place = mzsr_lib.LADDER.index(path.stem)
    upward = imported(ast.parse(path.read_text())) - set(mzsr_lib.LADDER[:place])
    assert not upward, f"{path.stem} stands below {sorted(upward)} and may not import it"


def test_the_search_for_imports_finds_every_form():
    inside = "def f():\n  from .cli import main\n  from . import files"
    code = f"import mzsr_lib.data\nfrom mzsr_lib import loop\n{inside}"
    assert imported(ast.parse(code)) == {"data", "loop", "cli", "files"}


def test_importing_the_package_imports_nothing_else():
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    assert not [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]


@each_module
def test_modules_and_functions_are_short(path):
    text = path.read_text()
    assert len(text.splitlines()) <= LONGEST_MODULE
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, FUNCTION)]
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
