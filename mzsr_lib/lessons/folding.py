"""Which cells of a page only draw or print what is known already: their code is folded, out of the reader's way.

A cell is judged by its syntax tree. It is folded if it is long, and neither computes anything nor defines, checks or
asks for anything: whatever it calls draws, formats or reads a table, and no later cell needs what it assigns.
"""

import ast
import itertools
from collections.abc import Iterable, Iterator

from nbformat import NotebookNode

LONG = 6  # lines that a reader passes easily; a longer cell is folded
TAG = "hide-input"  # for the site; JupyterLab has an entry of its own
KEPT = {"parameters", "exercise"}  # cells that are there to be read or written
# Whose functions draw, score pictures that are there, or hand on what was measured: calling them computes nothing new.
DRAWING = (
    *("matplotlib", "mzsr_lib.drawing", "mzsr_lib.files", "mzsr_lib.imaging.metrics"),
    *(f"mzsr_lib.benchmark.{name}" for name in ("advice", "measuring", "published", "report", "tables")),
)
# Functions that only arrange or format, by their own name or with their module's.
PLAIN = {"Markdown", "tabulate", "math.radians", "math.degrees"} | {
    *("all", "any", "dict", "enumerate", "float", "int", "iter", "len", "list", "map", "max", "min", "next", "print"),
    *("range", "reversed", "round", "set", "slice", "sorted", "str", "sum", "tuple", "zip"),
    *(f"torch.{name}" for name in ("arange", "cat", "cos", "linspace", "meshgrid", "sin", "stack", "tensor")),
}
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def fold(notebook: NotebookNode) -> None:
    """Mark the cells that only draw as folded, for JupyterLab and for the site, and no others."""
    folded = set(drawing(notebook))
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "code":
            _mark(cell, number in folded)


def _mark(cell: NotebookNode, folded: bool) -> None:
    tags = [tag for tag in cell.metadata.get("tags", []) if tag != TAG] + [TAG] * folded
    hidden = {key: value for key, value in cell.metadata.get("jupyter", {}).items() if key != "source_hidden"}
    hidden |= {"source_hidden": True} if folded else {}
    for key, value in (("tags", tags), ("jupyter", hidden)):
        if value:
            cell.metadata[key] = value
        else:
            cell.metadata.pop(key, None)


def drawing(notebook: NotebookNode) -> list[int]:
    """Return the places of the cells that only draw or print what is known, and are long."""
    trees = {n: ast.parse(cell.source) for n, cell in enumerate(notebook.cells) if cell.cell_type == "code"}
    known = _Known(trees.values())
    return [
        number
        for number, tree in trees.items()
        if _lines(notebook.cells[number].source) > LONG
        and not KEPT & {*notebook.cells[number].metadata.get("tags", [])}
        and known.only_draws(tree)
        and not _needed(tree, [later for other, later in trees.items() if other > number], known)
    ]


def _lines(source: str) -> int:
    return sum(bool(line.strip()) for line in source.splitlines())


class _Known:
    """What the names of a page stand for: imported modules, and functions of the page that draw or hand on."""

    def __init__(self, trees: Iterable[ast.Module]):
        nodes = [node for tree in trees for node in ast.walk(tree)]
        functions = [node for node in nodes if isinstance(node, FUNCTIONS)]
        self.modules = dict(itertools.chain.from_iterable(map(_imported, nodes)))
        self.drawers: set[str] = set()
        self.plain: set[str] = set()
        for _ in functions:  # as often as they may call each other
            self.plain |= {node.name for node in functions if self._hands_on(node)}
            self.drawers |= {node.name for node in functions if self.is_drawer(node)}

    def _hands_on(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
        """Say whether a function is one expression that computes nothing new, a title or a score for instance."""
        body = [part for part in node.body if not (isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant))]
        return len(body) == 1 and isinstance(body[0], ast.Return) and self._quiet(body[0])

    def is_drawer(self, node: ast.AST) -> bool:
        """Say whether a function changes axes or a figure and does nothing else: it returns nothing."""
        returned = any(isinstance(part, ast.Return) and part.value for part in ast.walk(node))
        return isinstance(node, FUNCTIONS) and not returned and self._quiet(node) and self._draws(node)

    def only_draws(self, tree: ast.Module) -> bool:
        """Say whether a cell shows something, and neither computes nor defines, imports or checks anything."""
        rules = [self.is_drawer if isinstance(node, FUNCTIONS) else self._quiet for node in tree.body]
        quiet = all(rule(node) for rule, node in zip(rules, tree.body, strict=True))
        return quiet and any(self._draws(node) or _shows(node) for node in tree.body)

    def _quiet(self, node: ast.AST) -> bool:
        """Say whether nothing in a node computes: each call draws, formats, or is a method of something at hand."""
        loud = (ast.Assert, ast.ClassDef, ast.Import, ast.ImportFrom, ast.Lambda, ast.With, ast.Try, ast.MatMult)
        parts = list(ast.walk(node))
        inner = [part for part in parts if isinstance(part, FUNCTIONS) and part is not node]
        return not inner and not any(isinstance(part, loud) for part in parts) and all(map(self._allowed, parts))

    def _allowed(self, node: ast.AST) -> bool:
        if not isinstance(node, ast.Call):
            return True
        root = _root(node.func)
        module = self.modules.get(root or "", "")
        if ast.unparse(node.func) in PLAIN or module.startswith(DRAWING):
            return True
        return root in self.plain | self.drawers if isinstance(node.func, ast.Name) else not module

    def _draws(self, node: ast.AST) -> bool:
        """Say whether a node calls something of the drawing room, or a method of axes or a figure."""
        calls = [part.func for part in ast.walk(node) if isinstance(part, ast.Call)]
        roots = [_root(call) for call in calls]
        drawn = any(self.modules.get(root or "", "").startswith("mzsr_lib.drawing") for root in roots)
        return drawn or bool({"axes", "figure"} & {*roots}) or bool(self.drawers & {*roots})


def _imported(node: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield the names that a statement imports, with the modules or things that they stand for."""
    if isinstance(node, ast.Import):
        yield from ((alias.asname or alias.name.partition(".")[0], alias.name) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield from ((alias.asname or alias.name, f"{node.module}.{alias.name}") for alias in node.names)


def _root(node: ast.AST) -> str | None:
    """Return the name that a chain of attributes and indices begins with, if it does begin with one."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def _shows(node: ast.AST) -> bool:
    """Say whether a statement prints a table."""
    names = {_root(part.func) for part in ast.walk(node) if isinstance(part, ast.Call)}
    return bool({"Markdown", "tabulate"} & names)


def _needed(tree: ast.Module, later: list[ast.Module], known: _Known) -> bool:
    """Say whether a later cell uses what a cell assigns, functions that draw excepted, before it is assigned anew."""
    loops = [_names(part.target, ast.Store) for part in ast.walk(tree) if isinstance(part, ast.For)]
    alive = set().union(*map(_stored, tree.body)).difference(known.drawers, *loops)
    for statement in itertools.chain.from_iterable(cell.body for cell in later):
        if alive & (_loaded(statement) - _bound(statement)):
            return True
        alive -= _stored(statement)
    return False


def _names(node: ast.AST, kind: type[ast.expr_context]) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, kind)}


def _loaded(statement: ast.stmt) -> set[str]:
    return _names(statement, ast.Load)


def _stored(statement: ast.stmt) -> set[str]:
    """Return the names that a statement leaves behind: not those inside comprehensions and functions."""
    if isinstance(statement, FUNCTIONS):
        return {statement.name}
    inner = [part for part in ast.walk(statement) if isinstance(part, ast.comprehension)]
    return _names(statement, ast.Store) - {name for part in inner for name in _names(part.target, ast.Store)}


def _bound(statement: ast.stmt) -> set[str]:
    """Return the names that a statement binds before it uses them: of its loops, comprehensions and arguments."""
    parts = list(ast.walk(statement))
    loops = [part.target for part in parts if isinstance(part, ast.For | ast.comprehension)]
    return {name for loop in loops for name in _names(loop, ast.Store)} | {
        part.arg for part in parts if isinstance(part, ast.arg)
    }
