"""pyproject.toml, environment.yml and constraints.txt name the same packages; the library alone needs few of them."""

import pydoc
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from helpers import picture

from mzsr_lib.imaging import picture_files
from mzsr_lib.models import weights

ROOT = Path(__file__).resolve().parents[1]
CONDA_NAMES = {"torch": "pytorch"}
# Why a package must not be older: what came with that version.
FLOORS = {
    "torch": (">=2.6", "torch.nn.utils.get_total_norm"),
    "scipy": (">=1.12", "scipy.optimize.isotonic_regression"),
    "tyro": (">=1.0.14", "tyro.extras.SubcommandApp"),  # in one another, with one that is taken when none is named
    "pytest": (">=8", "pytest.hookimpl"),  # minversion in pyproject.toml
    "setuptools": (">=77", "setuptools.build_meta"),  # the wheel is built with what is installed
}


def declared(*without: str) -> dict[str, str]:
    """Every requirement of pyproject.toml, tests included, but for some extras: name -> version bound."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [lines for name, lines in project["optional-dependencies"].items() if name not in without]
    return split([*project["dependencies"], *(line for extra in extras for line in extra)])


def split(lines: list[str]) -> dict[str, str]:
    parts = [re.fullmatch(r"([A-Za-z0-9._-]+)\s*(.*)", line).groups() for line in lines]
    assert len(dict(parts)) == len(parts), "a package is named twice"
    return dict(parts)


def test_conda_users_get_the_same_environment():
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    found = split([line for line in conda if isinstance(line, str)])
    python = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    # The site is made with pip alone: its MathJax is not on conda-forge.
    expected = {CONDA_NAMES.get(name, name): bound for name, bound in declared("site").items()}
    assert found == {"python": python, "pip": "", **expected}
    assert [line for line in conda if isinstance(line, dict)] == [{"pip": ["--editable ."]}]


def test_every_requirement_has_a_version_that_passed():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", pin) for pin in pins)
    pinned = {pin.partition("==")[0].lower().replace("_", "-") for pin in pins}
    assert set(declared()) <= pinned


def test_every_floor_has_its_reason():
    assert {name: bound for name, bound in declared().items() if bound} == {name: f[0] for name, f in FLOORS.items()}
    sources = "".join(path.read_text() for path in (ROOT / "mzsr_lib").rglob("*.py"))
    for name, (_, needed) in FLOORS.items():
        assert pydoc.locate(needed)
        assert name in ("pytest", "setuptools") or needed.rpartition(".")[2] in sources


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of the tracked files, unpacked, as pip would install it."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    source, built, target = (tmp_path_factory.mktemp(name) for name in ("source", "built", "target"))
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "mzsr_lib", *ROOT.glob("[A-Zp]*.*")]
    for name in subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines():
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", built, source]
    subprocess.run(build, check=True, timeout=120)
    with zipfile.ZipFile(next(built.glob("mzsr-*.whl"))) as archive:
        archive.extractall(target)
    return target


def test_the_wheel_holds_the_library_and_no_more(wheel):
    found = {str(path.relative_to(wheel)) for path in wheel.rglob("*") if path.is_file()}
    assert {name.partition("/")[0] for name in found} == {"mzsr_lib", *(p.name for p in wheel.glob("mzsr-*.dist-info"))}
    kinds = {".py", ".csv", ".safetensors", ".md"}
    expected = {str(p.relative_to(ROOT)) for p in (ROOT / "mzsr_lib").rglob("*") if p.suffix in kinds}
    assert {name for name in found if name.startswith("mzsr_lib/")} == expected
    assert {f"mzsr_lib/weights/{name}.safetensors" for name in weights.shipped()} <= found
    assert "mzsr_lib/benchmark/manifest.csv" in found


# Hides every package that `pip install mzsr` alone would not bring, and runs a command.
ALONE = """
import importlib.metadata as m, sys
from packaging.requirements import Requirement
wanted, found = ["mzsr"], set()
while wanted:
    name = wanted.pop().lower().replace("_", "-")
    if name not in found:
        found.add(name)
        for line in m.requires(name) or ():
            need = Requirement(line)
            if need.marker is None or need.marker.evaluate({"extra": ""}):
                wanted.append(need.name)
hidden = [top for top, owners in m.packages_distributions().items()
          if not found & {owner.lower().replace("_", "-") for owner in owners}]
assert {"matplotlib", "IPython", "papermill", "pytest", "jaxtyping"} <= set(hidden)
sys.modules.update(dict.fromkeys(set(hidden) - {"packaging"}))
import mzsr_lib
assert mzsr_lib.__file__.startswith(sys.path[0])
from mzsr_lib.cli.main import main
for line in sys.argv[1:]:
    if code := main(line.split()):
        sys.exit(code)
"""


def test_the_library_alone_degrades_super_resolves_and_scores(wheel, tmp_path):
    picture_files.save(tmp_path / "many" / "hr.png", picture(64, 60))
    lines = [
        "degrade many/hr.png lr.png --kernel g2.0d",
        "upscale lr.png sr.png --kernel g2.0d --method mzsr-plus",
        "evaluate many --kernel g2.0d --method bicubic",
    ]

    def alone(*lines: str) -> subprocess.CompletedProcess:
        command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(wheel)!r}){ALONE}", *lines]
        environment = {"OMP_NUM_THREADS": "1", "PATH": ""}
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment, timeout=120)

    done = alone(*lines)
    assert done.returncode == 0, done.stderr
    assert "sr.png: 60 x 64 px" in done.stdout and "| bicubic" in done.stdout
    refused = alone("reproduce")
    assert refused.returncode == 1 and "pip install .[lessons]" in refused.stderr
