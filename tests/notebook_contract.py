"""What every committed notebook promises. nbval alone would pass one whose outputs were stripped."""

import ast
import re
from pathlib import Path
from statistics import median

import nbformat

EXERCISES = 3
QUESTIONS = 5
GOALS = 3
LONGEST_CELL = 25  # lines
MEDIAN_CELL = 8  # lines of a code cell
COMPARED_SHARE = 1 / 3  # of the code cells must show text that nbval compares
COMPARED_LEAST = 3  # cells
MOST_IGNORED = 2  # cells whose output may be exempt
LARGEST = 1_000_000  # bytes
WIDEST = 6  # columns of a table that a cell shows; more are not read side by side
IGNORE = "nbval-ignore-output"
STANDS_FOR_SOMETHING = re.compile(r"\[?<[\w. ]+( size | at | object)[^>]*>\]?")  # <Figure size 640x480 ...>
YES_OR_NO = re.compile(r"(?<!=)\b(True|False)\b")  # a verdict; `antialias=True` is a setting
HEX = re.compile(r"""["']#[0-9a-fA-F]{3,8}["']""")
# Markdown alone cannot say how wide a picture is shown.
PICTURE = re.compile(r'^<img src="([^"]+)" alt="([^"]+)" width="(\d+)">$', re.MULTILINE)
NEIGHBOURS = r"^previous: (.+) \| next: (.+)$"
# Titles of which no free page or checked DOI is known.
WITHOUT_ADDRESS = (
    "Digital Image Processing*, the chapters",
    "Internal Statistics of a Single Natural Image",
    "Improving Resolution by Image Registration",
    "Accurate Blur Models vs. Image Priors",
    "Nonparametric Blind Super-Resolution",
    "Defocus map estimation",
)
CLOSING = ["Exercises", "Questions to test yourself", "What you can do now", "References"]
# Pictures, and Greek letters but pi: what has to mean the same in all notebooks.
SIGN = re.compile(
    r"\\mathbf\{I\}_\{\w+\}|(?<!\{)\bI_\{?(?:HR|LR|SR|son)\}?|\\(?:var)?(?:alpha|beta|gamma|delta|epsilon|zeta|eta|theta|kappa"
    r"|lambda|mu|nu|xi|rho|sigma|tau|phi|chi|psi|omega|Gamma|Delta|Theta|Lambda|Sigma|Phi|Psi|Omega)(?![A-Za-z])"
)
FORBIDDEN = {"nbval-skip", "nbval-raises-exception", "raises-exception"}


def problems(path: Path) -> list[str]:
    """Return what is wrong with a notebook, one sentence each; nothing is wrong with a good one."""
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    rules = [
        *_file(path, notebook),
        *_outputs(code),
        *_comparison(code),
        *_tables(code),
        *_numbers(code),
        *_parameters(code),
        *_lengths(notebook.cells, code),
        *_links(path, notebook.cells),
        *_first_cell(path, notebook.cells[0].source),
        *_foot(notebook.cells),
        *_sections(_sections_of(notebook.cells)),
        *_exercises(notebook.cells),
        *_signs(path, notebook.cells),
    ]
    return [sentence for holds, sentence in rules if not holds]


def tags(cell) -> set[str]:
    """Return the tags of a cell; a comment such as ``# NBVAL_SKIP`` counts as the tag ``nbval-skip``."""
    comments = re.findall(r"^#\s*(NBVAL_\w+|PYTEST_VALIDATE_\w+)", cell.source, re.MULTILINE)
    return {*cell.metadata.get("tags", []), *(name.lower().replace("_", "-") for name in comments)}


def shown_text(cell) -> str:
    """Return what nbval compares of a cell's output, without what stands for a picture or an object."""
    parts = []
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        parts += [output.text] if output.get("name") == "stdout" else []
        parts += [data[kind] for kind in ("text/plain", "text/html", "text/markdown") if kind in data]
    return "".join(part for part in parts if not STANDS_FOR_SOMETHING.fullmatch(part))


def _file(path: Path, notebook):
    yield path.stat().st_size < LARGEST, "The file is larger than 1 MB."
    kernel = notebook.metadata.get("kernelspec", {}).get("name")
    yield kernel == "python3", f"The kernel is {kernel}, not python3."
    kept = [key for key in ("papermill", "widgets") if key in notebook.metadata]
    kept += [key for cell in notebook.cells for key in ("papermill", "execution") if key in cell.metadata]
    yield not kept, f"There is metadata of one run ({', '.join(sorted(set(kept)))}): use `make refresh`."


def _outputs(code):
    counts = [cell.execution_count for cell in code if cell.source.strip()]
    yield counts == list(range(1, len(counts) + 1)), f"The cells were not run once, in order: {counts}."
    kinds = {output.get("name", output.output_type) for cell in code for output in cell.outputs}
    yield "error" not in kinds, "An error is stored."
    yield "stderr" not in kinds, "Something was written to stderr, a warning perhaps."


def _comparison(code):
    compared = [cell for cell in code if shown_text(cell).strip() and IGNORE not in tags(cell)]
    needed = max(COMPARED_LEAST, COMPARED_SHARE * len(code))
    yield len(compared) >= needed, f"Only {len(compared)} of {len(code)} code cells show text to compare."
    ignored = [cell for cell in code if IGNORE in tags(cell)]
    yield len(ignored) <= MOST_IGNORED, f"{len(ignored)} cells are exempt from comparison."
    forbidden = FORBIDDEN & {tag for cell in code for tag in tags(cell)}
    yield not forbidden, f"These tags are not used here: {', '.join(sorted(forbidden))}."


def _tables(code):
    shown = [output.data.get("text/markdown", "") for cell in code for output in cell.outputs if "data" in output]
    widths = [line.count("|") - 1 for text in shown for line in text.splitlines() if line.startswith("|")]
    yield max(widths, default=0) <= WIDEST, f"A table has {max(widths, default=0)} columns."


def _numbers(code):
    """A number teaches, a verdict does not; colours are those of the drawing room."""
    verdicts = [line for cell in code for line in shown_text(cell).splitlines() if YES_OR_NO.search(line)]
    yield not verdicts, f"A verdict is printed where a number would teach: {'; '.join(verdicts)}"
    colours = [colour for cell in code for colour in HEX.findall(cell.source)]
    yield not colours, f"Colours are written into cells, not taken from `style`: {', '.join(colours)}."


def _parameters(code):
    cells = [cell for cell in code if "parameters" in tags(cell)]
    yield len(cells) == 1, f"There are {len(cells)} cells tagged `parameters`."
    yield not any("injected-parameters" in tags(cell) for cell in code), "Parameters of one run are stored."
    for cell in cells:
        values = _literals(cell.source)
        yield values is not None, "A parameter is not a plain `name = literal`."
        yield (values or {}).get("profile") == "quick", 'The parameter `profile` is not "quick".'
        lines = [line for line in cell.source.splitlines() if line.strip() and not line.startswith("#")]
        yield all("#" in line for line in lines), "A parameter has no comment."


def _literals(source: str) -> dict[str, object] | None:
    """Return the values of lines ``name = literal``, or None when a statement is of another form."""
    try:
        return {node.targets[0].id: ast.literal_eval(node.value) for node in ast.parse(source).body}
    except (AttributeError, ValueError):
        return None


def _lengths(cells, code):
    longest = max(len(cell.source.splitlines()) for cell in cells)
    yield longest <= LONGEST_CELL, f"A cell has {longest} lines."
    middle = median(len(cell.source.splitlines()) for cell in code)
    yield middle <= MEDIAN_CELL, f"The median code cell has {middle:g} lines."


def _links(path: Path, cells):
    first = cells[0]
    yield first.cell_type == "markdown" and first.source.startswith("# "), "The first cell is not a title."
    broken = [target for target in project_files(cells) if not (path.parent / target).exists()]
    yield not broken, f"These links lead nowhere: {', '.join(sorted(broken))}."


def _first_cell(path: Path, first: str):
    """The question, a picture of our own, and the way to the notebooks before and after."""
    yield re.search(r"^\*\*[^*]+\?\*\*$", first, re.MULTILINE), "The first cell has no **question?** of its own."
    shown = [target for target, _, _ in PICTURE.findall(first) if ":" not in target]
    yield shown, "The first cell shows no picture of ours, or one without a description and a width."
    order = sorted(path.parent.glob("[0-9][0-9]_*.ipynb"))
    place = order.index(path)
    previous, following = order[max(place - 1, 0) : place], order[place + 1 : place + 2]
    wanted = [[other.name for other in side] for side in (previous, following)]
    lines = re.findall(NEIGHBOURS, first, re.MULTILINE)
    found = [_targets(side) if side != "none" else [] for side in lines[0]] if len(lines) == 1 else None
    names = " and ".join(side[0] if side else "none" for side in wanted)
    yield found == wanted, f"The line `previous: ... | next: ...` of the first cell does not lead to {names}."


def _foot(cells):
    """The way on stands at the foot too, and a reference is a link to what it names, if there is one."""
    lines = [re.findall(NEIGHBOURS, cell.source, re.MULTILINE) for cell in (cells[0], cells[-1])]
    yield lines[0] == lines[1], "The last cell does not repeat the line `previous: ... | next: ...` of the first."
    references = _sections_of(cells).get("References", "")
    bare = [line for line in re.findall(r"^- (.+(?:\n  .+)*)", references, re.MULTILINE) if "](http" not in line]
    unknown = [line for line in bare if not any(title in line for title in WITHOUT_ADDRESS)]
    yield not unknown, f"These references have no link: {'; '.join(unknown)}."


def project_files(cells) -> set[str]:
    """Return the files of this project that the texts of a notebook link to or show, seen from its folder."""
    return {target for cell in cells if cell.cell_type == "markdown" for target in _targets(cell.source)}


def _targets(markdown: str) -> list[str]:
    """Return the files of this project that a Markdown text links to or shows."""
    found = re.findall(r"\]\(([^)\s]+)[^)]*\)", markdown) + re.findall(r'(?:src|href)="([^"]+)"', markdown)
    files = [target.partition("#")[0] for target in found]
    return [target for target in files if target and not re.match(r"[a-z]+:", target)]


def _sections_of(cells) -> dict[str, str]:
    """Return the Markdown below each heading ``## ...``, in order."""
    text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _sections(sections: dict[str, str]):
    goals = sections.get("You will learn to", "")
    verbs = re.findall(r"^\d\. \*\*\w", goals, re.MULTILINE)
    yield len(verbs) == GOALS, f"`## You will learn to` has {len(verbs)} goals that begin with a **verb**, not {GOALS}."
    for word in ("Before this", "Time"):
        yield re.search(rf"^\*\*{word}:\*\* \S", goals, re.MULTILINE), f"There is no line **{word}:** below the goals."
    yield sections.get("What you can do now", "").strip(), "The goals do not return as `## What you can do now`."
    yield re.search(r"^- \S", sections.get("References", ""), re.MULTILINE), "There are no `## References`."
    order = [name for name in sections if name in CLOSING]
    yield order == CLOSING, f"The last sections are not, in this order: {', '.join(CLOSING)}."
    yield from _questions(sections.get("Questions to test yourself", ""))


def _questions(text: str):
    """The answers are folded away; without the empty lines Jupyter would show their Markdown as it is written."""
    folded = re.findall(
        r"^<details>\s*<summary>(\d)\. ([^\n]+)</summary>\n\n(.+?)\n\n</details>$", text, re.DOTALL | re.MULTILINE
    )
    numbers = [int(number) for number, _, answer in folded if answer.strip()]
    right = numbers == list(range(1, QUESTIONS + 1)) and text.count("<details>") == QUESTIONS
    yield right, f"`## Questions to test yourself` has the folded answers {numbers}, not 1 to {QUESTIONS}."
    asked = [question for _, question, _ in folded if "?" not in question]
    yield not asked, f"This is no question: {'; '.join(asked)}"


def _exercises(cells):
    tasks, solutions = (sum(tag in tags(cell) for cell in cells) for tag in ("exercise", "solution"))
    yield tasks == solutions == EXERCISES, f"There are {tasks} exercises and {solutions} solutions, not {EXERCISES}."
    for i, stub in enumerate(cells):
        if stub.cell_type == "code" and "exercise" in tags(stub):
            yield from _exercise(cells[i - 1], stub, *cells[i + 1 : i + 3])


def _exercise(task, stub, check=None, solution=None):
    """An exercise is four cells: the task with a hint, the stub, its check, and the solution, folded."""
    name = next(iter(re.findall(r"^def (\w+)\(", stub.source, re.MULTILINE)), "?")
    yield task.cell_type == "markdown" and "*Hint:*" in task.source, f"The task of {name} has no *Hint:*."
    empty = re.fullmatch(r'def \w+\(.*\):\n    """.+"""\n    # your lines here', stub.source.strip(), re.DOTALL)
    yield empty, f"The stub of {name} is not a function with a docstring and `# your lines here`."
    calls = check is not None and "exercises.check_exercise(" in check.source
    yield calls, f"The check of {name} does not stand in its place, or does not call `exercises.check_exercise`."
    ends = solution is not None and "solution" in tags(solution) and f"def {name}(" in solution.source
    yield ends, f"The cell after the check of {name} is not its solution."
    yield not ends or solution_code(solution), f"The solution of {name} is not Python folded under the name Solution."


def solution_code(cell) -> str | None:
    """Return the code of a folded solution; only Markdown folds everywhere: on GitHub, in JupyterLab, on the site."""
    shape = r"<details><summary>Solution</summary>\n\n```python\n(.+)\n```\n\n</details>"
    found = re.fullmatch(shape, cell.source.strip(), re.DOTALL) if cell.cell_type == "markdown" else None
    return found and found[1]


def _signs(path: Path, cells):
    """Formulas use the signs of the table in notebook 00; Latin letters may have a meaning of their own."""
    table = "".join(
        cell.source
        for first in path.parent.glob("00_*.ipynb")
        for cell in nbformat.read(first, as_version=4).cells
        if cell.cell_type == "markdown" and cell.source.startswith("## The words and signs")
    )
    formulas = [
        block or inline
        for cell in cells
        if cell.cell_type == "markdown"
        for block, inline in re.findall(r"\$\$(.+?)\$\$|\$([^$\n]+)\$", cell.source, re.DOTALL)
    ]
    used = {sign for formula in formulas for sign in SIGN.findall(formula)}
    unknown = sorted(sign for sign in used if not re.search(re.escape(sign) + r"(?![A-Za-z])", table))
    yield not unknown, f"These signs are not in the table of notebook 00: {', '.join(unknown)}."
