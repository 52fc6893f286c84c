"""The lines that lead from notebook to notebook, and the buttons that open one on a rented machine."""

import re
import subprocess
from pathlib import Path

import nbformat

from mzsr_lib.files import InputError, atomic_path

NEIGHBOURS = "previous: "
BUTTONS = "[![Open in Colab]"
GITHUB = re.compile(r"(?:https://|ssh://git@|git@)github\.com[:/]([\w.-]+/[\w.-]+?)(?:\.git)?/?")
REPOSITORY = re.compile(r"[\w-][\w.-]*/[\w.-]+")
BRANCH = re.compile(r"[\w.-]+(/[\w.-]+)*")


def title(path: Path) -> str:
    """Return the text of the heading that a notebook begins with.

    Raises
    ------
    InputError
        If it does not begin with one.
    """
    cells = nbformat.read(path, as_version=4).cells
    first = cells[0].source.partition("\n")[0] if cells else ""
    if not first.startswith("# "):
        raise InputError(f"{path.name} does not begin with a title: its first line is {first!r}.")
    return first[2:].strip()


def neighbours(paths: list[Path], place: int) -> str:
    """Return the line with the links to the notebooks before and after the one at `place`.

    Parameters
    ----------
    paths
        All notebooks, in order.
    place
        Index of the one that the line is for, from 0.
    """
    around = {"previous": place - 1, "next": place + 1}
    found = {word: paths[i] for word, i in around.items() if 0 <= i < len(paths)}
    links = {word: f"[{title(path)}]({path.name})" for word, path in found.items()}
    return " | ".join(f"{word}: {links.get(word, 'none')}" for word in around)


def buttons(name: str, repository: str, branch: str = "main") -> str:
    """Return the line that opens ``notebooks/<name>`` on Colab or Binder, with what Colab has to be told.

    Colab fetches the one file only, so the reader is given a line that fetches and installs the project.
    Binder builds the environment of ``environment.yml`` by itself.

    Parameters
    ----------
    name
        File name of the notebook.
    repository
        ``owner/name`` on GitHub.
    branch
        Branch, tag or commit that is opened.
    """
    colab = f"https://colab.research.google.com/github/{repository}/blob/{branch}/notebooks/{name}"
    binder = f"https://mybinder.org/v2/gh/{repository}/{branch.replace('/', '%2F')}?labpath=notebooks%2F{name}"
    folder = repository.partition("/")[2]
    branched = f"git clone -q --depth 1 -b {branch} https://github.com/{repository}"
    return (
        f"{BUTTONS}(https://colab.research.google.com/assets/colab-badge.svg)]({colab}) "
        f"[![Open in Binder](https://mybinder.org/badge_logo.svg)]({binder}) "
        f"On Colab, run this in a new cell first: `!{branched} && pip install -q './{folder}[lessons]'`, "
        f"then `%cd {folder}/notebooks`."
    )


def update(paths: list[Path], repository: str | None = None, branch: str = "main") -> list[Path]:
    """Write the navigation into the first cell of every notebook; return those that changed.

    Nothing else is touched: outputs and execution counts stay as they are. A second call changes nothing.

    Parameters
    ----------
    paths
        All notebooks, in order.
    repository
        ``owner/name`` on GitHub, for the buttons. None takes the buttons away.
    branch
        Branch, tag or commit that the buttons open.

    Raises
    ------
    InputError
        If a name is not of that form, or a first cell has no line ``previous: ... | next: ...``, or two.
        No notebook has been changed then.
    """
    _check(repository, branch)
    changed = {}
    for place, path in enumerate(paths):
        notebook = nbformat.read(path, as_version=4)
        line = buttons(path.name, repository, branch) if repository else None
        source = _replace(path.name, notebook.cells[0].source, neighbours(paths, place), line)
        if source != notebook.cells[0].source:
            notebook.cells[0].source = source
            changed[path] = notebook
    for path, notebook in changed.items():
        with atomic_path(path) as temporary:
            nbformat.write(notebook, temporary)
    return list(changed)


def origin(folder: Path) -> str | None:
    """Return ``owner/name`` of the remote `origin` of the clone around a folder, or None if it has none on GitHub."""
    command = ["git", "-C", str(folder), "remote", "get-url", "origin"]
    try:
        found = subprocess.run(command, capture_output=True, text=True)
    except OSError:  # there is no git
        return None
    match = GITHUB.fullmatch(found.stdout.strip())
    return match[1] if match else None


def add_buttons(paths: list[Path], repository: str = "", branch: str = "main") -> None:
    """Put the buttons into all notebooks, and print how many changed (``make buttons``).

    Parameters
    ----------
    paths
        All notebooks, in order.
    repository
        ``owner/name`` on GitHub. Empty: that of the remote `origin`.
    branch
        Branch, tag or commit that the buttons open.

    Raises
    ------
    InputError
        If there is no repository to lead to, or `update` finds something wrong.
    """
    address = repository or origin(paths[0].parent)
    if not address:
        raise InputError(
            "The buttons need a public address, and the remote `origin` is not on GitHub: "
            "say `make buttons REPOSITORY=owner/name`."
        )
    changed = update(paths, address, branch)
    print(f"{len(changed)} of {len(paths)} notebooks changed; their buttons open {address}, branch {branch}.")


def _check(repository: str | None, branch: str) -> None:
    if repository is not None and not REPOSITORY.fullmatch(repository):
        raise InputError(f"The repository should be owner/name, such as octocat/mzsr, and is {repository!r}.")
    if not BRANCH.fullmatch(branch):
        raise InputError(f"The branch should be a name such as main, and is {branch!r}.")


def _replace(name: str, source: str, links: str, line: str | None) -> str:
    """Return the text of a first cell with the line of links, and the line of buttons or none."""
    lines = source.split("\n")
    places = [i for i, text in enumerate(lines) if text.startswith(NEIGHBOURS)]
    if len(places) != 1:
        raise InputError(f"The first cell of {name} should have one line `previous: ... | next: ...`: {len(places)}.")
    lines[places[0]] = links
    old = [i for i, text in enumerate(lines) if text.startswith(BUTTONS)]
    for i in reversed(old):
        # The line goes together with the empty one above it.
        del lines[i - 1 if i and not lines[i - 1] else i : i + 1]
    if line is not None:
        place = next(i for i, text in enumerate(lines) if text.startswith(NEIGHBOURS))
        lines[place + 1 : place + 1] = ["", line]
    return "\n".join(lines)
