"""Every committed notebook keeps its contract; the contract, the comparison and the runner do their work."""

import configparser
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from notebook_contract import problems, shown_text

from mzsr_lib.files import InputError
from mzsr_lib.lessons import navigation, reading, reproduce

ROOT = Path(__file__).resolve().parents[2]
COMMITTED = sorted((ROOT / "notebooks").glob(reproduce.NUMBERED))
PARAMETERS = 'profile = "quick"  # quick | full'
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


def write(folder: Path, name: str, *sources: str, title: str = "# Title", parameters: str = PARAMETERS) -> Path:
    """Write a notebook that has not been run: a title, the parameters, and one cell for each source."""
    folder.mkdir(parents=True, exist_ok=True)
    tagged = new_code_cell(parameters, metadata={"tags": ["parameters"]})
    cells = [new_markdown_cell(title), tagged, *map(new_code_cell, sources)]
    path = folder / name
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": KERNEL}), path)
    return path


@pytest.fixture
def clone(tmp_path) -> Path:
    """A folder with two notebooks that write down which profile they were run with."""
    note = "with open('order.txt', 'a') as f:\n    f.write(f'{} {profile}\\n')"
    write(tmp_path / "notebooks", "00_first.ipynb", note.format("first", profile="{profile}"))
    write(tmp_path / "notebooks", "03_second.ipynb", note.format("second", profile="{profile}"))
    write(tmp_path / "notebooks", "draft.ipynb", "1 / 0")
    return tmp_path


OPENING = '# Good\n\n**Is it good?**\n\n<img src="dot.png" alt="A dot" width="1">\n\nprevious: none | next: none'
GOALS = """## You will learn to

1. **see** it;
2. **say** it;
3. **do** it.

**Before this:** nothing.
**Time:** a second."""
# Not the real one, because importing torch takes longer than all the rest.
CHECKER = """from types import SimpleNamespace

def check_exercise(attempt, right):
    print(f"{attempt.__name__} is {'right (1 checks)' if attempt() == right else 'not written yet'}.")

exercises = SimpleNamespace(check_exercise=check_exercise)"""
CLOSING = [
    "## What you can do now\n\nYou saw, said and did it.",
    "## References\n\n- A. Author: [*A Title*](https://example.org), 2020.\n\nprevious: none | next: none",
]


def exercise(number: int) -> list:
    """The four cells of an exercise."""
    name = f"answer_{number}"
    call = f"exercises.check_exercise({name}, {number})"
    code = f"```python\ndef {name}():\n    return {number}\n```"
    solution = f"<details><summary>Solution</summary>\n\n{code}\n\n</details>"
    return [
        new_markdown_cell(f"{'## Exercises' if number == 1 else ''}\n\n**{number}** Return {number}. *Hint:* do."),
        new_code_cell(f'def {name}():\n    """Return it."""\n    # your lines here', metadata={"tags": ["exercise"]}),
        new_code_cell(call),
        new_markdown_cell(solution, metadata={"tags": ["solution"]}),
    ]


@pytest.fixture(scope="module")
def stored(tmp_path_factory) -> Path:
    """A good notebook with its stored outputs, as `make refresh` leaves it."""
    root = tmp_path_factory.mktemp("stored")
    path = write(root / "notebooks", "00_good.ipynb", "print('PSNR 28.73 dB')", "6 * 7", "'a word'", "x = 1", CHECKER)
    (root / "notebooks" / "dot.png").touch()
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[0].source = OPENING
    notebook.cells.insert(1, new_markdown_cell(GOALS))
    notebook.cells += [cell for number in (1, 2, 3) for cell in exercise(number)]
    answers = [f"<details><summary>{i}. Why?</summary>\n\nSo.\n\n</details>" for i in range(1, 6)]
    closing = ["## Questions to test yourself\n\n" + "\n".join(answers[:3]), "\n".join(answers[3:]), *CLOSING]
    notebook.cells += map(new_markdown_cell, closing)
    nbformat.write(notebook, path)
    reproduce.refresh(root)
    return path


def order(clone: Path) -> list[str]:
    return (clone / "notebooks" / "order.txt").read_text().splitlines()


def edited(source: Path, target: Path, old: str, new: str) -> Path:
    """Copy a notebook with one piece of its text replaced."""
    text = source.read_text(encoding="utf-8")
    assert text.count(old) == 1
    target.write_text(text.replace(old, new), encoding="utf-8")
    return target


# The committed notebooks


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_contract(path):
    assert problems(path) == []


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_a_page_says_how_long_it_takes_to_read_and_describes_its_pictures(path):
    stored, fresh = (nbformat.read(path, as_version=4) for _ in range(2))
    for output in (output for cell in fresh.cells for output in cell.get("outputs", [])):
        for kind in reading.PICTURES:
            output.get("metadata", {}).pop(kind, None)
    fresh.cells[1].source = reading.READING.sub("", fresh.cells[1].source)
    assert fresh != stored
    reading.prepare(fresh)
    assert fresh == stored
    assert f"reading, about {reading.minutes(stored)} minutes" in stored.cells[1].source


def test_a_description_has_no_signs_and_more_than_a_few_words():
    said = "Up. The *line* of $\\mathbf{x}$ rises from [page 3](03.ipynb) on, and does not fall: never. More."
    seen = f"**What you saw.** {said}"
    cells = [new_markdown_cell("## 2 A `line`"), new_code_cell("figure"), new_markdown_cell(seen)]
    said = "Up. The line of x rises from page 3 on, and does not fall: never."
    assert reading.description(cells, 1) == f"Figure of section '2 A line'. {said}"
    cells[2].source = "**What you saw.**\n\n- **Up.** A line\n  goes on.\n- And another one, which is long enough."
    said = "Up. A line goes on. And another one, which is long enough."
    assert reading.description(cells, 1) == f"Figure of section '2 A line'. {said}"


def test_a_picture_that_the_text_is_not_about_has_a_description_of_its_own():
    cell = new_code_cell("figure", metadata={"alt": "Two rows."})
    assert reading.description([cell, new_markdown_cell("**What you saw.** Another picture.")], 0) == "Two rows."


def test_the_tutorial_has_twelve_notebooks_and_an_appendix_without_a_gap():
    assert [path.name[:2] for path in COMMITTED] == [f"{number:02}" for number in range(13)]


def test_the_map_says_of_every_notebook_what_it_says_itself():
    start = nbformat.read(COMMITTED[0], as_version=4)
    (shown,) = (cell.source for cell in start.cells if cell.source.startswith("## The map"))
    rows = {}
    for path in COMMITTED:
        first = nbformat.read(path, as_version=4).cells[0].source
        question = re.search(r"^\*\*([^*]+\?)\*\*$", first, re.MULTILINE)[1]
        title = navigation.title(path)
        page = f"**{title}** (this page)" if path == COMMITTED[0] else f"[{title}]({path.name})"
        rows[path.name] = f"| {path.name[:2]} | {page} | {question} |"
    assert [row for row in shown.splitlines() if re.match(r"\| \d\d ", row)] == list(rows.values())


def test_the_tutorial_keeps_its_navigation_up_to_date():
    for place, path in enumerate(COMMITTED):
        assert navigation.neighbours(COMMITTED, place) in nbformat.read(path, as_version=4).cells[0].source.split("\n")


# The contract


def test_a_good_notebook_has_no_problems(stored):
    assert problems(stored) == []


def replace(index: int, old: str, new: str = ""):
    """Return what replaces a piece of text in one cell of a notebook."""

    def change(notebook):
        assert old in notebook.cells[index].source
        notebook.cells[index].source = notebook.cells[index].source.replace(old, new)

    return change


def swap(notebook):
    notebook.cells[-2:] = notebook.cells[:-3:-1]


BREAKS = {
    "not run once, in order": lambda nb: nb.cells[3].update(execution_count=None),
    "An error is stored": lambda nb: nb.cells[6].outputs.append(
        nbformat.v4.new_output("error", ename="E", evalue="", traceback=[])
    ),
    "stderr": lambda nb: nb.cells[6].outputs.append(nbformat.v4.new_output("stream", name="stderr", text="w")),
    "show text to compare": lambda nb: [c.update(outputs=[]) for c in nb.cells[5:] if c.cell_type == "code"],
    "A table has 8 columns": lambda nb: nb.cells[6].outputs.append(
        nbformat.v4.new_output("display_data", {"text/markdown": "| a " * 8 + "|"})
    ),
    "A verdict is printed where a number would teach: by hand as in the library: True": lambda nb: nb.cells[6].update(
        outputs=[
            nbformat.v4.new_output("stream", name="stdout", text="with mu=True\nby hand as in the library: True\n")
        ]
    ),
    'not taken from `style`: "#0072b2"': lambda nb: nb.cells[6].update(source='shade = "#0072b2"'),
    "exempt from comparison": lambda nb: [c.metadata.update(tags=["nbval-ignore-output"]) for c in nb.cells[3:6]],
    "nbval-skip": lambda nb: nb.cells[6].update(source="# NBVAL_SKIP\nx = 1"),
    "0 cells tagged": lambda nb: nb.cells[2].metadata.update(tags=[]),
    "name = literal": lambda nb: nb.cells[2].update(source='profile = "quick"  # it\nn = 1 + len("a")  # n'),
    'not "quick"': lambda nb: nb.cells[2].update(source='profile = "full"  # quick | full'),
    "no comment": lambda nb: nb.cells[2].update(source='profile = "quick"'),
    "not python3": lambda nb: nb.metadata.kernelspec.update(name="ir"),
    "metadata of one run": lambda nb: nb.cells[4].metadata.update(papermill={}),
    "A cell has 26 lines": lambda nb: nb.cells[6].update(source="x = 1\n" * 25 + "x"),
    "median code cell": lambda nb: [c.update(source="x = 1\n" * 9) for c in nb.cells[3:]],
    "not a title": replace(0, "# Good", "Good"),
    "lead nowhere": replace(1, "nothing", "[this](07_missing.ipynb)"),
    "larger than 1 MB": replace(0, "# Good", "# " + "a" * 1_000_000),
    "no **question?** of its own": replace(0, "**Is it good?**", "It is good."),
    "shows no picture of ours": replace(0, "dot.png", "https://example.org/dot.png"),
    "or one without a description and": replace(0, "A dot", ""),
    "a description and a width": replace(0, ' width="1"'),
    "does not lead to none and none": replace(0, "previous: none", "previous: [This](00_good.ipynb)"),
    "first cell does not lead to": replace(0, " | next: none"),
    "has 2 goals": replace(1, "**say**", "say"),
    "no line **Before this:**": replace(1, "**Before this:**"),
    "no line **Time:**": replace(1, "**Time:**", "Time:"),
    "do not return": replace(-2, "You saw, said and did it."),
    "no `## References`": replace(-1, "- A."),
    "no link: A. Author: *A Title*, 2020": replace(-1, "[*A Title*](https://example.org)", "*A Title*"),
    "does not repeat the line": replace(-1, "next: none", "next: [This](00_good.ipynb)"),
    "not, in this order": swap,
    "folded answers [1, 2, 4, 5]": replace(-4, "<details><summary>3. Why?</summary>", "3. Why?"),
    "folded answers [1, 2, 3, 4, 6]": replace(-3, "5. Why", "6. Why"),
    "folded answers [4, 5]": replace(-4, "\n\nSo", "\nSo"),
    "This is no question: Because": replace(-4, "2. Why?", "2. Because"),
    "4 exercises and 3 solutions, not 3": lambda nb: nb.cells[6].metadata.update(tags=["exercise"]),
    "2 exercises and 2 solutions": lambda nb: nb.cells.__delitem__(slice(8, 12)),
    "task of answer_1 has no *Hint:*": replace(8, "*Hint:*"),
    "stub of answer_1": replace(9, "# your lines here", "return 1"),
    "check of answer_1 does not": replace(10, "exercises.check_exercise", "print"),
    "not its solution": replace(15, "def answer_2", "def another"),
    "answer_1 is not Python folded": replace(11, "\n\n```python", "\n```python"),
    "answer_2 is not Python folded": replace(15, "Solution", "Answer"),
    "not in the table of notebook 00: \\eta, \\mathbf{I}_{HR}": replace(
        1, "nothing", r"$\mathbf{I}_{HR} - \eta$, $\pi$"
    ),
    "not in the table of notebook 00: I_{HR}": replace(1, "nothing", "$I_{HR}$"),
}


@pytest.mark.parametrize("sentence", BREAKS)
def test_each_broken_promise_is_found(stored, tmp_path, sentence):
    notebook = nbformat.read(stored, as_version=4)
    BREAKS[sentence](notebook)
    nbformat.write(notebook, tmp_path / stored.name)
    found = problems(tmp_path / stored.name)
    assert any(sentence in problem for problem in found), found


def test_a_picture_alone_is_not_compared():
    for text, counts in (("<Figure size 640x480 with 1 Axes>", False), ("<table>28.73</table>", True)):
        output = nbformat.v4.new_output("display_data", data={"text/plain": text})
        assert bool(shown_text(new_code_cell("show", outputs=[output]))) == counts


def test_neighbours_must_be_linked(tmp_path):
    titles = {
        "00_first.ipynb": "none | next: [b](01_second.ipynb)",
        "01_second.ipynb": "[c](02_third.ipynb) | next: none",
    }
    for name, line in {**titles, "02_third.ipynb": "[b](01_second.ipynb) | next: none"}.items():
        write(tmp_path, name, title=f"# Title\n\nprevious: {line}")
    wrong = "The line `previous: ... | next: ...` of the first cell does not lead to 00_first.ipynb and 02_third.ipynb."
    assert wrong in problems(tmp_path / "01_second.ipynb")
    for name in ("00_first.ipynb", "02_third.ipynb"):
        assert not [text for text in problems(tmp_path / name) if "does not lead" in text]


def test_a_sign_is_known_when_the_table_has_it(tmp_path):
    path = write(tmp_path, "01_first.ipynb", title=r"# Title $\lambda \alpha_j$ and $$\varphi$$")
    table = r"## The words and signs\n\n| $\lambda_1$ | $\alpha$ | $\phi$ |".replace(r"\n", "\n")
    write(tmp_path, "00_table.ipynb").write_text(nbformat.writes(new_notebook(cells=[new_markdown_cell(table)])))
    assert r"These signs are not in the table of notebook 00: \varphi." in problems(path)


# The comparison of stored and new outputs


def compare(path: Path) -> subprocess.CompletedProcess:
    """Run nbval on one notebook with the options of `make test`."""
    sanitize = ["--nbval-sanitize-with", str(ROOT / "tests" / "nbval_sanitize.cfg")]
    options = [
        "--nbval",
        "--nbval-current-env",
        *sanitize,
        "--nbval-cell-timeout",
        "60",
        "-c",
        "pyproject.toml",
    ]
    command = [sys.executable, "-m", "pytest", *options, "--rootdir", str(path.parent), str(path)]
    # The outer run's settings, an imposed plug-in or option for instance, are not part of the comparison.
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    return subprocess.run(command, cwd=ROOT, env=clean, capture_output=True, text=True, timeout=120)


def test_an_untouched_notebook_passes(stored):
    result = compare(stored)
    assert result.returncode == 0, result.stdout + result.stderr


def test_one_altered_digit_fails(stored, tmp_path):
    result = compare(edited(stored, tmp_path / "00_good.ipynb", '"PSNR 28.73 dB\\n"', '"PSNR 28.74 dB\\n"'))
    assert result.returncode == 1, result.stdout + result.stderr
    assert "1 failed" in result.stdout


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Python 3.11.7, PyTorch 2.13.0+cpu, mzsr 0.1.0", "Python 3.13.0rc1, PyTorch 2.9.1+cu130, mzsr 1.0", True),
        ("took 1.2 s", "took 30 s", True),
        ("PSNR 28.73 dB", "PSNR 28.74 dB", False),
        ("PyTorch 28.73 dB", "another 28.73 dB", False),
    ],
)
def test_versions_and_times_may_differ_and_scores_may_not(one, other, same):
    rules = configparser.ConfigParser(interpolation=None)
    rules.read(ROOT / "tests" / "nbval_sanitize.cfg")
    for rule in map(rules.__getitem__, rules.sections()):
        one, other = (re.sub(rule["regex"], rule["replace"], text) for text in (one, other))
    assert (one == other) == same


# The runner


def test_notebooks_run_in_order_and_a_second_run_replaces_the_first(clone, capsys):
    output = reproduce.run(root=clone)
    assert order(clone) == ["first quick", "second quick"]
    assert sorted(path.name for path in output.iterdir()) == ["00_first.ipynb", "03_second.ipynb"]
    assert output == clone / "runs" / "quick"
    shown = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in shown[2:5]] == ["00_first.ipynb", "03_second.ipynb", "together"]
    assert shown[-1].startswith(f"Executed notebooks: {output}")
    (output / "00_first.ipynb").write_text("old")
    reproduce.run(root=clone, only="00")
    assert nbformat.read(output / "00_first.ipynb", as_version=4).cells[-1].execution_count == 3


def test_the_profile_reaches_the_notebook(clone):
    output = reproduce.run("full", start=3, root=clone)
    assert order(clone) == ["second full"]
    assert [path.name for path in output.iterdir()] == ["03_second.ipynb"]


def test_a_clone_is_found_from_any_folder_inside_it(clone, monkeypatch):
    inside = clone / "a" / "b"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    assert reproduce.find_root() == clone.resolve()


def test_the_data_folder_reaches_the_notebook_and_only_the_notebook(tmp_path, monkeypatch):
    monkeypatch.delenv("MZSR_DATA", raising=False)
    source = "import os\nfrom pathlib import Path\nPath('seen.txt').write_text(os.environ['MZSR_DATA'])"
    path = write(tmp_path / "notebooks", "00_data.ipynb", source)
    reproduce.run(root=tmp_path, data=tmp_path)
    assert (path.parent / "seen.txt").read_text() == str(tmp_path.resolve())
    assert "MZSR_DATA" not in os.environ


def test_a_failure_names_the_cell_and_keeps_the_notebook(clone):
    write(clone / "notebooks", "01_bad.ipynb", "x = 0", "# divide\n1 / x", "print('never')")
    with pytest.raises(reproduce.NotebookFailed) as caught:
        reproduce.run(root=clone)
    kept = clone / "runs" / "quick" / "01_bad.ipynb"
    message = str(caught.value)
    index = int(re.search(r"01_bad.ipynb failed in cell (\d+) \(`# divide`\): ZeroDivisionError", message)[1])
    assert nbformat.read(kept, as_version=4).cells[index].source.startswith("# divide")
    assert str(kept) in message
    assert order(clone) == ["first quick"], "it should have stopped there"


def test_a_failure_ends_the_process_with_code_1_and_no_traceback(tmp_path):
    write(tmp_path / "notebooks", "00_bad.ipynb", "raise ValueError('first line' + chr(10) + 'second')")
    command = [sys.executable, "-m", "mzsr_lib.cli", "reproduce"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert "ValueError: first line It is kept, up to there, in" in result.stderr, "one line of the error is enough"


def test_a_cell_that_takes_too_long_fails(tmp_path):
    path = write(tmp_path, "00_slow.ipynb", "import time", "time.sleep(60)")
    with pytest.raises(reproduce.NotebookFailed, match=r"`time.sleep\(60\)`\): it took longer than 2 s"):
        reproduce.execute(path, tmp_path / "out.ipynb", {}, cell_timeout=2)


def test_a_kernel_that_dies_fails(tmp_path):
    path = write(tmp_path, "00_dead.ipynb", "import os", "os._exit(1)")
    with pytest.raises(reproduce.NotebookFailed, match=r"`os._exit\(1\)`\): DeadKernelError"):
        reproduce.execute(path, tmp_path / "out.ipynb", {}, cell_timeout=60)


def test_a_notebook_without_the_parameter_is_refused_before_anything_runs(clone):
    write(clone / "notebooks", "05_other.ipynb", parameters="size = 3  # px")
    with pytest.raises(InputError, match=r"05_other.ipynb has no parameter profile; those it has: size"):
        reproduce.run(root=clone)
    assert not (clone / "notebooks" / "order.txt").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"profile": "fast"}, "Unknown profile 'fast': choose quick or full"),
        ({"only": "02"}, "No notebook has the number 02: there are 00, 03"),
        ({"start": "x"}, "No notebook has the number 0x"),
        ({"only": "00", "start": "03"}, "not both"),
        ({"data": "missing"}, "should be a folder"),
    ],
)
def test_wrong_input_is_refused(clone, arguments, message):
    with pytest.raises(InputError, match=message):
        reproduce.run(root=clone, **arguments)
    assert not (clone / "runs").exists()


def test_outside_a_clone_one_sentence_says_so(tmp_path):
    with pytest.raises(InputError, match="run this inside a clone"):
        reproduce.run(root=tmp_path)


# The refresh


def test_refreshing_twice_changes_nothing(stored):
    before = stored.read_bytes()
    reproduce.refresh(stored.parent)
    assert stored.read_bytes() == before


def test_a_failed_refresh_leaves_the_notebook_as_it_was(tmp_path):
    path = write(tmp_path / "notebooks", "00_bad.ipynb", "1 / 0")
    before = path.read_bytes()
    with pytest.raises(reproduce.NotebookFailed):
        reproduce.refresh(tmp_path)
    assert path.read_bytes() == before


def test_live_views_and_empty_tags_are_not_stored(tmp_path):
    data = {"text/plain": "a slider", reproduce.WIDGET_VIEW: {"model_id": "random"}}
    output = nbformat.v4.new_output("display_data", data=data)
    cell = new_code_cell("show", outputs=[output], metadata={"tags": [], "papermill": {"duration": 1}})
    nbformat.write(new_notebook(cells=[cell]), tmp_path / "live.ipynb")
    reproduce.normalise(tmp_path / "live.ipynb")
    cell = nbformat.read(tmp_path / "live.ipynb", as_version=4).cells[0]
    assert cell.metadata == {}
    assert cell.outputs[0].data == {"text/plain": "a slider"}
