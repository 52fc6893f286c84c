"""The README says what the results say, names what exists, and its examples can be typed."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest

from mzsr_lib.benchmark import measuring, published, report
from mzsr_lib.cli import main
from mzsr_lib.files import read_rows
from mzsr_lib.models import weights

ROOT = Path(__file__).resolve().parents[1]
README, CONTRIBUTING, *CARDS = (
    (ROOT / name).read_text(encoding="utf-8")
    for name in ("README.md", "CONTRIBUTING.md", "results/README.md", "mzsr_lib/weights/README.md")
)
# What a column of GitHub, 836 px, has room for: letters of code, and, with the padding of three letters a cell, of a
# table whose lines are broken wherever they can be.
CODE, TABLE = 98, 88


def code(language: str, text: str = README) -> list[str]:
    """The code blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    """The lines of the shell examples that call our command, directly or through torchrun."""
    lines = (
        "\n".join(block for text in (README, *CARDS) for block in code("bash", text)).replace("\\\n", " ").splitlines()
    )
    ours = (re.sub(r"^torchrun .* -m mzsr_lib\.cli", "mzsr", line) for line in lines)
    return [line for line in ours if line.startswith("mzsr ")]


def test_nothing_is_too_wide_for_a_page_of_github():
    tables = re.findall(r"^\|[^\n]*\n\|[:|-]+\n(?:\|[^\n]*\n)+", README, re.MULTILINE)
    assert len(tables) >= 4
    for table in tables:
        lines = [re.sub(r"\]\([^)]*\)", "]", line).strip("|").split("|") for line in table.splitlines()]
        columns = zip(*(line for line in lines if set("".join(line)) - set(":-")), strict=True)
        longest = [max(len(word) for cell in column for word in cell.split()) for column in columns]
        assert sum(longest) + 3 * len(longest) <= TABLE, lines[0]
    wide = [line for block in code(r"\w*") for line in block.splitlines() if len(line) > CODE]
    assert wide == []


def test_the_table_is_that_of_the_measured_rows():
    rows = measuring.read(ROOT / "results" / "rows.csv")
    assert report.between_marks(README) == report.readme_table(rows), "run `make refresh`"


def test_the_measured_rows_are_those_of_the_shipped_weights_and_passed_the_check():
    rows = read_rows(ROOT / "results" / "rows.csv")
    shipped = {name: weights.fingerprint(name) for name in weights.shipped()}
    assert all(shipped[row["weights"]] == row["weights_hash"] for row in rows if row["weights"])
    printed = {(kernel, scale) for _, kernel, scale, *_ in published.tables()}
    for row in rows:
        in_paper = (published.plain(row["kernel"]), int(row["scale"])) in printed
        assert row["selfcheck"] in (("passed", "exception") if in_paper else ("not-applicable",)), row


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#:]+)\)", README))))
def test_a_link_leads_somewhere(target):
    assert (ROOT / target).exists()


def test_the_tree_names_the_rooms_in_their_order_and_the_files_of_the_method():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]
    rooms = [name for layer in reversed(project["layers"]) for name in layer.split(" | ")]
    shown = re.findall(r"^  ([a-z]+)(?:\.py|/) ", CONTRIBUTING, re.MULTILINE)
    assert shown == [*rooms, "weights"]
    folders = [name for name in shown if (ROOT / "mzsr_lib" / name).is_dir()]
    assert re.findall(r"^  ([a-z]+)/ ", README, re.MULTILINE) == folders
    inside = re.split(r"^  ([a-z]+)/ ", CONTRIBUTING, flags=re.MULTILINE)
    for room, text in zip(inside[1::2], inside[2::2], strict=True):
        named = set(re.findall(r"^    ([a-z_]+)\.py ", text, re.MULTILINE))
        there = {path.stem for path in (ROOT / "mzsr_lib" / room).glob("[a-z]*.py")}
        assert named == there if room == "mzsr" else named <= there


@pytest.mark.parametrize("line", commands())
def test_a_command_is_understood(line):
    assert callable(main.parse(shlex.split(line, comments=True)[1:]))


def test_there_are_commands_to_look_at():
    shown = {line.split()[1] for line in commands()}
    assert {"degrade", "upscale", "evaluate", "tables", "selfcheck", "pretrain", "meta-train", "train-all"} <= shown


def test_the_python_example_runs(capsys):
    (example,) = code("python")
    exec(compile(example.replace("steps=10", "steps=1"), "README.md", "exec"), {})
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["bicubic", "mzsr"]
