"""pyproject.toml, environment.yml and constraints.txt name the same packages."""

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
CONDA_NAMES = {"torch": "pytorch"}


def declared() -> dict[str, str]:
    """Every requirement of pyproject.toml, tests included: name -> version bound."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    return split([*project["dependencies"], *(line for extra in extras for line in extra)])


def split(lines: list[str]) -> dict[str, str]:
    parts = [re.fullmatch(r"([A-Za-z0-9._-]+)\s*(.*)", line).groups() for line in lines]
    assert len(dict(parts)) == len(parts), "a package is named twice"
    return dict(parts)


def test_conda_users_get_the_same_environment():
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    found = split([line for line in conda if isinstance(line, str)])
    python = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    expected = {CONDA_NAMES.get(name, name): bound for name, bound in declared().items()}
    assert found == {"python": python, "pip": "", **expected}
    assert [line for line in conda if isinstance(line, dict)] == [{"pip": ["--editable ."]}]


def test_every_requirement_has_a_version_that_passed():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", pin) for pin in pins)
    pinned = {pin.partition("==")[0].lower().replace("_", "-") for pin in pins}
    assert set(declared()) <= pinned
