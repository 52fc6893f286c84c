"""What every committed notebook promises. nbval alone would pass one whose outputs were stripped."""

import ast
import re
from pathlib import Path
from statistics import median

import nbformat

LONGEST_CELL = 25  # lines
MEDIAN_CELL = 8  # lines of a code cell
COMPARED_SHARE = 1 / 3  # of the code cells must show text that nbval compares
COMPARED_LEAST = 3  # cells
MOST_IGNORED = 2  # cells whose output may be exempt
LARGEST = 1_000_000  # bytes
IGNORE = "nbval-ignore-output"
STANDS_FOR_SOMETHING = re.compile(r"\[?<[\w. ]+( size | at | object)[^>]*>\]?")  # <Figure size 640x480 ...>
FORBIDDEN = {"nbval-skip", "nbval-raises-exception", "raises-exception"}


def problems(path: Path) -> list[str]:
    """Return what is wrong with a notebook, one sentence each; nothing is wrong with a good one."""
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    rules = [
        *_file(path, notebook),
        *_outputs(code),
        *_comparison(code),
        *_parameters(code),
        *_lengths(notebook.cells, code),
        *_links(path, notebook.cells),
        *_exercises(code),
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
    order = sorted(path.parent.glob("[0-9][0-9]_*.ipynb"))
    place = order.index(path)
    neighbours = {other.name for other in order[max(place - 1, 0) : place + 2]} - {path.name}
    missing = neighbours - set(_targets(first.source))
    yield not missing, f"The first cell has no link to {', '.join(sorted(missing))}."
    targets = {target for cell in cells if cell.cell_type == "markdown" for target in _targets(cell.source)}
    broken = [target for target in targets if not (path.parent / target).exists()]
    yield not broken, f"These links lead nowhere: {', '.join(sorted(broken))}."


def _targets(markdown: str) -> list[str]:
    """Return the files of this project that a Markdown text links to or shows."""
    found = re.findall(r"\]\(([^)\s]+)[^)]*\)", markdown) + re.findall(r'(?:src|href)="([^"]+)"', markdown)
    files = [target.partition("#")[0] for target in found]
    return [target for target in files if target and not re.match(r"[a-z]+:", target)]


def _exercises(code):
    tasks, solutions = (sum(tag in tags(cell) for cell in code) for tag in ("exercise", "solution"))
    yield tasks == solutions, f"There are {tasks} exercises and {solutions} solutions."
