"""What a page says of itself for its readers: how long it takes to read, and each picture in words.

What they need not read is folded, see `folding`.
"""

import re

from nbformat import NotebookNode

from mzsr_lib.lessons import folding

WORDS, LINES = 150, 20  # a minute, of a text that one learns from and of code that one follows
FIVE = 5  # minutes, to which the time is rounded
PICTURES = {"image/png", "image/jpeg"}
SEEN = "**What you saw"
ENOUGH = 60  # characters of a description, from which on no further sentence is added
SENTENCE = re.compile(r"(?<=[.!?:]) ")
TIME, READING = "**Time:** ", re.compile(r"reading, about [a-z\d -]+ minutes; ")


def minutes(notebook: NotebookNode) -> int:
    """Return how long a notebook takes to read, in minutes, rounded to five, without its exercises' solutions."""
    words = lines = 0
    for cell in notebook.cells:
        if "solution" in cell.metadata.get("tags", []):
            continue
        if cell.cell_type == "markdown":
            words += len(READING.sub("", cell.source).split())
        else:
            lines += len(cell.source.splitlines())
    return max(FIVE * round((words / WORDS + lines / LINES) / FIVE), FIVE)


def prepare(notebook: NotebookNode) -> None:
    """Write the reading time into a notebook, a description beside each stored picture, and which cells are folded.

    A picture is described by the heading it stands under and by the first sentences of what the text then says of it;
    where that is about something else, by the text `alt` in the metadata of its cell.
    JupyterLab, nbconvert and the site show it to whoever does not see the picture.
    """
    folding.fold(notebook)
    for cell in notebook.cells[:2]:
        if TIME in cell.source:
            said = READING.sub("", cell.source)
            cell.source = said.replace(TIME, f"{TIME}reading, about {minutes(notebook)} minutes; ")
    for number, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            for kind in PICTURES & {*output.get("data", {})}:
                output.metadata.setdefault(kind, {})["alt"] = description(notebook.cells, number)


def description(cells: list[NotebookNode], number: int) -> str:
    """Return what the picture of a cell shows, in words."""
    if own := cells[number].metadata.get("alt"):
        return own
    texts = [cell.source if cell.cell_type == "markdown" else "" for cell in cells]
    heads = re.findall(r"^#+ (.+)$", "\n".join(texts[:number]), re.MULTILINE)
    seen = next((text for text in texts[number:] if text.startswith(SEEN)), "")
    said = ""
    for sentence in SENTENCE.split(plain(seen.removeprefix(SEEN).lstrip(".,* "))):
        said = f"{said} {sentence}".strip()
        if len(said) >= ENOUGH:
            break
    said = said.rstrip(":")
    return f"Figure of section {plain(heads[-1]) if heads else 'one'!r}. {said}".strip()


def plain(text: str) -> str:
    """Return one line of Markdown without its signs."""
    text = re.sub(r"^\s*- ", "", text, flags=re.MULTILINE)
    text = re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", text)
    return re.sub(r"[*`$\\{}_]|mathbf", "", " ".join(text.split())).strip()
