"""Every exercise of every notebook: a stub is excused, the solution is right, a wrong answer is told what is wrong.

Whole notebooks would take minutes to run. What a check needs is found from names alone (`slicing`), and only that is
run; that the notebooks as a whole run is what nbval tests.
"""

import ast
import re
from pathlib import Path
from typing import NamedTuple

import nbformat
import numpy as np
import pytest
import slicing
import torch
from IPython.core.interactiveshell import InteractiveShell
from notebook_contract import shown_text, solution_code, tags

from mzsr_lib.lessons import reproduce
from mzsr_lib.lessons.exercises import WrongAnswer

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob(reproduce.NUMBERED))


class Exercise(NamedTuple):
    """The stub of an exercise and its check, the code of its solution, and the code cells before it."""

    name: str
    before: list
    stub: object
    check: object
    solution: str


def exercises(path: Path) -> list[Exercise]:
    """Return the exercises of a notebook, in order."""
    cells = nbformat.read(path, as_version=4).cells
    found = []
    for i, stub in enumerate(cells):
        if "exercise" in tags(stub):
            before = [cell for cell in cells[:i] if cell.cell_type == "code"]
            name = ast.parse(stub.source).body[0].name
            found.append(Exercise(name, before, stub, cells[i + 1], solution_code(cells[i + 2])))
    return found


ALL = [
    pytest.param(exercise, id=f"{path.stem[:2]}-{exercise.name}") for path in NOTEBOOKS for exercise in exercises(path)
]
each_exercise = pytest.mark.parametrize("exercise", ALL)


def prepared(exercise: Exercise) -> dict[str, object]:
    """Return a namespace with all that the stub, the check and the solution of an exercise take from other cells."""
    given = next(cell.source for cell in exercise.before if "parameters" in tags(cell))
    parameters = {node.targets[0].id: ast.literal_eval(node.value) for node in ast.parse(given).body}
    before = [s for cell in exercise.before for s in slicing.statements(cell.source, parameters)]
    wanted = set().union(*map(slicing.free_names, (exercise.stub.source, exercise.check.source, exercise.solution)))
    namespace = {"__name__": "__main__"}
    slicing.run(slicing.needed(before, wanted), namespace)
    return namespace


def wrong(answer: object) -> object:
    """Return an answer of the same kind that is wrong: every number is 1 more."""
    if isinstance(answer, bool):
        return not answer
    if isinstance(answer, str):
        return answer + "?"
    if isinstance(answer, tuple | list):
        return type(answer)(map(wrong, answer))
    return answer + 1


# What is stored


@each_exercise
def test_what_is_stored_excuses_the_stub(exercise):
    assert shown_text(exercise.check).startswith(f"{exercise.name} is not written yet.")


# What happens to a reader


@each_exercise
def test_stub_solution_and_wrong_answers(exercise, capsys, monkeypatch):
    monkeypatch.chdir(ROOT / "notebooks")
    namespace, name = prepared(exercise), exercise.name
    capsys.readouterr()

    exec(exercise.stub.source, namespace)
    exec(exercise.check.source, namespace)
    assert capsys.readouterr().out.startswith(f"{name} is not written yet.")

    exec(exercise.solution, namespace)
    right = namespace[name]
    exec(exercise.check.source, namespace)
    assert re.search(rf"^{name} is right \(\d+ checks\)\.$", capsys.readouterr().out, re.MULTILINE)

    def off(*arguments):
        return wrong(right(*arguments))

    def nonsense(*arguments):
        return "nonsense"

    def broken(*arguments):
        raise ZeroDivisionError("by zero")

    for answer, told in (
        (off, r"gives .+, not .+\."),
        (nonsense, ""),
        (broken, "stopped with ZeroDivisionError: by zero"),
    ):
        namespace[name] = answer
        answer.__name__ = name
        with pytest.raises(WrongAnswer, match=rf"(?s)^{name}\(.*\) {told}"):
            exec(exercise.check.source, namespace)


# The search for what is needed


def kept(source: str, *names: str, **parameters) -> str:
    found = slicing.needed(slicing.statements(source, parameters), set(names))
    return "; ".join(ast.unparse(s.node).replace("\n", " ") for s in found)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a = 1\nb = 2", "a = 1"),
        ("b = 2\na = b\nb = 3", "b = 2; a = b"),
        ("a = 1\na = 2", "a = 2"),
        ("a, b = 1, 2", "a, b = (1, 2)"),
        ("a = []\na.append(1)\nb = 1", "a = []; a.append(1)"),
        ("a = {}\na['x'] = b = 1", "a = {}; a['x'] = b = 1"),
        ("a = 1\na += 1", "a = 1; a += 1"),
        ("c = 3\na = 1\nfor i in range(c):\n    a = i", "c = 3; a = 1; for i in range(c):     a = i"),
        ("a = 1\nb = [a for a in 'xyz']", "a = 1"),
        ("import m\nm.save(1)\na = m.x", "import m; a = m.x"),
        ("k = 1\ndef a():\n    return k", "k = 1; def a():     return k"),
        ("a = 1 if p == 'quick' else f()", "a = 1"),
        ("if p == 'full':\n    a = f()\nelse:\n    a = 2", "a = 2"),
        ("x = 1\na = 1 if x else 2", "x = 1; a = 1 if x else 2"),
        ("a = 1\nprint(a)", "a = 1"),
        (
            "i = 1\na = []\nfor i in 'xy':\n    j = i\n    a.append(j)",
            "a = []; for i in 'xy':     j = i     a.append(j)",
        ),
        ("f = 1\na = 1\nwith open(a) as f:\n    a = f", "a = 1; with open(a) as f:     a = f"),
    ],
)
def test_only_what_is_needed_is_kept(source, expected):
    assert kept(source, "a", p="quick") == expected


def test_free_names_are_those_of_earlier_cells():
    assert slicing.free_names("x = y\ndef f(a):\n    return x + z") >= {"y", "z"}
    assert "x" not in slicing.free_names("x = y\ndef f(a):\n    return x + z")


@pytest.mark.parametrize("answer", [1, 2.5, True, "a", (1, 2.0), [3], torch.zeros(2), np.zeros(3)])
def test_a_wrong_answer_is_wrong_and_of_the_same_kind(answer):
    made = wrong(answer)
    assert type(made) is type(answer)
    assert not np.array_equal(np.asarray(made), np.asarray(answer))


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("exercises.check_exercise(lambda x: x + 1, ((1,), 3))", r"gives 2, not 3"),
        ("exercises.check_exercise(lambda x: x / 0, ((1,), 3))", r"stopped with ZeroDivisionError"),
        ("kernel_files.parse('nobody')", "nobody"),
    ],
)
def test_in_a_notebook_a_wrong_answer_and_a_wrong_input_are_one_sentence(code, shown, capsys):
    shell = InteractiveShell()
    shell.run_cell("from mzsr_lib.imaging import kernel_files\nfrom mzsr_lib.lessons import exercises")
    result = shell.run_cell(code)
    said = capsys.readouterr().out
    assert not result.success and re.search(shown, said)
    assert "Traceback" not in said and len(said.strip().splitlines()) == 1
