"""The links between notebooks and the buttons: right, written once, and nothing else touched."""

import subprocess
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from mzsr_lib.files import InputError
from mzsr_lib.lessons import navigation

TITLES = {"00_a.ipynb": "Alpha", "01_b.ipynb": "Beta: the second", "02_c.ipynb": "Gamma"}
LAST = "To run this page yourself: `make lab`."


@pytest.fixture
def paths(tmp_path) -> list[Path]:
    """Three notebooks that were run, with a line that leads nowhere in particular."""
    found = []
    for name, title in TITLES.items():
        first = new_markdown_cell(f"# {title}\n\n**Why?**\n\nprevious: old | next: old\n\n{LAST}")
        stored = [new_output("stream", text="28.73 dB\n")]
        code = new_code_cell("print(psnr)", outputs=stored, execution_count=7, metadata={"tags": ["a"]})
        nbformat.write(new_notebook(cells=[first, code]), tmp_path / name)
        found.append(tmp_path / name)
    return found


def first(path: Path) -> str:
    return nbformat.read(path, as_version=4).cells[0].source


def test_neighbours_are_named_by_their_titles(paths):
    assert navigation.update(paths) == paths
    assert "\nprevious: none | next: [Beta: the second](01_b.ipynb)\n" in first(paths[0])
    assert "\nprevious: [Alpha](00_a.ipynb) | next: [Gamma](02_c.ipynb)\n" in first(paths[1])
    assert "\nprevious: [Beta: the second](01_b.ipynb) | next: none\n" in first(paths[2])


def test_a_notebook_alone_has_no_neighbours(paths):
    assert navigation.neighbours(paths[:1], 0) == "previous: none | next: none"


def test_the_second_call_changes_nothing(paths):
    for repository in ("owner/name", None):
        assert navigation.update(paths, repository)
        before = [path.read_bytes() for path in paths]
        assert navigation.update(paths, repository) == []
        assert [path.read_bytes() for path in paths] == before


def test_buttons_come_change_and_go_and_leave_the_text_as_it_was(paths):
    navigation.update(paths)
    before = [path.read_bytes() for path in paths]
    navigation.update(paths, "owner/name")
    assert len(first(paths[0]).split("\n")) == len(first(paths[1]).split("\n")) == 9
    navigation.update(paths, "other/fork", "dev/new")
    text = first(paths[1])
    assert text.count(navigation.BUTTONS) == 1
    assert "owner" not in text
    assert text.endswith(f"\n\n{LAST}")
    navigation.update(paths, None)
    assert [path.read_bytes() for path in paths] == before


def test_the_buttons_lead_to_the_notebook():
    line = navigation.buttons("01_b.ipynb", "owner/name", "dev/new")
    assert "\n" not in line
    assert "](https://colab.research.google.com/github/owner/name/blob/dev/new/notebooks/01_b.ipynb)" in line
    assert "](https://mybinder.org/v2/gh/owner/name/dev%2Fnew?labpath=notebooks%2F01_b.ipynb)" in line
    assert "git clone -q --depth 1 -b dev/new https://github.com/owner/name && pip install -q './name[lessons]'" in line
    assert "%cd name/notebooks" in line


def test_outputs_counts_and_tags_stay(paths):
    before = [nbformat.read(path, as_version=4).cells[1:] for path in paths]
    navigation.update(paths, "owner/name")
    assert [nbformat.read(path, as_version=4).cells[1:] for path in paths] == before


@pytest.mark.parametrize("line", ["", "previous: a | next: b\nprevious: c | next: d"])
def test_a_notebook_without_its_one_line_stops_all_before_anything_is_written(paths, line):
    notebook = nbformat.read(paths[2], as_version=4)
    notebook.cells[0].source = f"# Title\n\n{line}"
    nbformat.write(notebook, paths[2])
    before = [path.read_bytes() for path in paths]
    with pytest.raises(InputError, match=r"02_c\.ipynb should have one line `previous"):
        navigation.update(paths, "owner/name")
    assert [path.read_bytes() for path in paths] == before


@pytest.mark.parametrize(
    ("repository", "branch", "message"),
    [
        ("name", "main", "owner/name"),
        ("a/b/c", "main", "owner/name"),
        ("a/b c", "main", "owner/name"),
        ("a/b", "; ls", "branch"),
    ],
)
def test_a_wrong_name_is_refused(paths, repository, branch, message):
    with pytest.raises(InputError, match=message):
        navigation.update(paths, repository, branch)


def test_a_notebook_without_a_title_is_named(tmp_path):
    nbformat.write(new_notebook(cells=[new_markdown_cell("Title")]), tmp_path / "00_a.ipynb")
    with pytest.raises(InputError, match=r"00_a\.ipynb does not begin with a title"):
        navigation.title(tmp_path / "00_a.ipynb")
    nbformat.write(new_notebook(), tmp_path / "00_a.ipynb")
    with pytest.raises(InputError, match="does not begin with a title"):
        navigation.title(tmp_path / "00_a.ipynb")


# Where the buttons lead to


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("https://github.com/owner/name.git", "owner/name"),
        ("https://github.com/owner/my.name", "owner/my.name"),
        ("git@github.com:owner/name.git", "owner/name"),
        ("ssh://git@github.com/owner/name", "owner/name"),
        ("https://gitlab.com/owner/name.git", None),
        ("https://example.org/github.com/owner/name", None),
        ("../name", None),
    ],
)
def test_the_address_is_that_of_the_remote(tmp_path, address, expected):
    for words in (["init", "-q"], ["remote", "add", "origin", address]):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
    assert navigation.origin(tmp_path) == expected


def test_outside_a_clone_there_is_no_address(tmp_path, monkeypatch):
    assert navigation.origin(tmp_path) is None
    monkeypatch.setenv("PATH", "")
    assert navigation.origin(tmp_path) is None


def test_without_an_address_nothing_is_invented(paths):
    before = [path.read_bytes() for path in paths]
    with pytest.raises(InputError, match="make buttons REPOSITORY=owner/name"):
        navigation.add_buttons(paths)
    assert [path.read_bytes() for path in paths] == before


def test_make_buttons_takes_the_name_given_or_the_remote(paths, capsys):
    navigation.add_buttons(paths, "owner/name")
    assert capsys.readouterr().out == "3 of 3 notebooks changed; their buttons open owner/name, branch main.\n"
    folder = str(paths[0].parent)
    for words in (["init", "-q"], ["remote", "add", "origin", "git@github.com:other/fork.git"]):
        subprocess.run(["git", "-C", folder, *words], check=True)
    navigation.add_buttons(paths)
    assert "github/other/fork/blob/main" in first(paths[0])
