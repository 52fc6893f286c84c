"""The README says what the results say, and points at what exists."""

import re
from pathlib import Path

import pytest

from mzsr_lib import report
from mzsr_lib.files import read_rows

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_table_is_that_of_the_measured_rows():
    rows = read_rows(ROOT / "results" / "rows.csv")
    assert report.between_marks(README) == report.readme_table(rows), "run `make refresh`"


def test_the_measured_rows_are_those_of_the_shipped_weights():
    rows = read_rows(ROOT / "results" / "rows.csv")
    assert {row["weights"] for row in rows} == {"", "pretrained-x2", "mzsr-x2"}
    assert {row["selfcheck"] for row in rows} <= {"passed", "exception"}


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#:]+)\)", README))))
def test_a_link_leads_somewhere(target):
    assert (ROOT / target).exists()


def test_the_tree_names_every_module_and_nothing_else():
    named = re.findall(r"^\s+([a-z_]+)\.py\s", README, re.MULTILINE)
    modules = {path.stem for path in (ROOT / "mzsr_lib").glob("*.py")} - {"__init__"}
    assert sorted(named) == sorted(modules)
