"""Which top-level statements of a notebook a cell needs: found from names alone, so that little has to be run."""

import ast
import symtable
from dataclasses import dataclass

DEFINITION = ast.FunctionDef | ast.ClassDef


@dataclass(frozen=True)
class Statement:
    """One top-level statement: the names it reads, those it sets anew, and those it may change."""

    node: ast.stmt
    reads: frozenset[str]
    sets: frozenset[str]
    changes: frozenset[str]


def statements(source: str, parameters: dict[str, object]) -> list[Statement]:
    """Split a cell. An `if` or a conditional expression that depends on parameters alone is decided."""
    tree = ast.fix_missing_locations(_Decide(parameters).visit(ast.parse(source)))
    return [_statement(node) for node in tree.body]


def needed(before: list[Statement], names: set[str]) -> list[Statement]:
    """Return the statements that the values of `names` depend on, in order.

    We walk backwards. A statement that sets a wanted name is kept, and what it reads is wanted in its place. One that
    may change a wanted value (``x[0] = ...``, ``x += 1``, ``x.append(...)``, anything inside a loop) is kept as well,
    and the name stays wanted. Modules cannot be changed, so ``plotting.save(...)`` counts for nothing.
    """
    modules = {name for s in before if isinstance(s.node, ast.Import | ast.ImportFrom) for name in s.sets}
    wanted, kept = set(names), []
    for s in reversed(before):
        if wanted & (s.sets | (s.changes - modules)):
            wanted = (wanted - s.sets) | s.reads
            kept.append(s)
    return kept[::-1]


def free_names(source: str) -> set[str]:
    """Return the names that a cell takes from the cells before it."""
    return _read_first(ast.parse(source).body)


def run(kept: list[Statement], namespace: dict[str, object]) -> None:
    """Execute statements in a namespace."""
    exec(compile(ast.Module([s.node for s in kept], []), "<notebook>", "exec"), namespace)


def _statement(node: ast.stmt) -> Statement:
    names = symtable.symtable(ast.unparse(node), "<notebook>", "exec")
    stored = {s.get_name() for s in names.get_symbols() if s.is_assigned() or s.is_imported() or s.is_namespace()}
    simple = isinstance(node, ast.Assign | ast.AnnAssign | ast.Import | ast.ImportFrom | DEFINITION)
    changes = set() if simple else set(stored)  # a loop, or `x += 1`: what was there before may matter
    for part in () if isinstance(node, DEFINITION) else ast.walk(node):
        if isinstance(part, ast.Subscript | ast.Attribute) and isinstance(part.ctx, ast.Store | ast.Del):
            changes.add(_root(part))
        if isinstance(part, ast.Expr) and isinstance(part.value, ast.Call):
            changes.add(_root(part.value.func) if isinstance(part.value.func, ast.Attribute) else None)
    changes -= {None}
    reads = _reads(node) | (changes - stored)
    return Statement(node, frozenset(reads), frozenset(stored if simple else ()), frozenset(changes))


def _reads(node: ast.AST) -> set[str]:
    """Return the names that a statement or expression reads before it has set them itself."""
    if isinstance(node, ast.For):
        own = {n.id for n in ast.walk(node.target) if isinstance(n, ast.Name)}
        return _reads(node.iter) | (_read_first(node.body) - own) | _read_first(node.orelse)
    if isinstance(node, ast.If):
        return _reads(node.test) | _read_first(node.body) | _read_first(node.orelse)
    if isinstance(node, ast.With):
        targets = [item.optional_vars for item in node.items if item.optional_vars]
        own = {n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)}
        return set().union(*(_reads(item.context_expr) for item in node.items)) | (_read_first(node.body) - own)
    names = symtable.symtable(ast.unparse(node), "<notebook>", "exec")
    return {s.get_name() for s in names.get_symbols() if s.is_referenced()} | _from_outside(names)


def _read_first(body: list[ast.stmt]) -> set[str]:
    """Return the names that statements, one after the other, take from what was before them."""
    wanted = set()
    for s in map(_statement, reversed(body)):
        wanted = (wanted - s.sets) | s.reads
    return wanted


def _from_outside(table: symtable.SymbolTable) -> set[str]:
    """Return the names that the functions and comprehensions in a piece of code take from outside of it."""
    inner = table.get_children()
    own = {s.get_name() for child in inner for s in child.get_symbols() if s.is_global() and s.is_referenced()}
    return own.union(*map(_from_outside, inner))


def _root(node: ast.AST) -> str | None:
    """Return the name at the bottom of ``name.part[0].more``."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else None


class _Decide(ast.NodeTransformer):
    """Keep only the branch that is taken where the test is made of parameters and constants."""

    def __init__(self, parameters: dict[str, object]):
        self.parameters = parameters

    def _value(self, test: ast.expr) -> bool | None:
        plain = ast.Compare | ast.Name | ast.Constant | ast.BoolOp | ast.UnaryOp
        parts = [n for n in ast.walk(test) if isinstance(n, ast.expr)]
        names = {n.id for n in parts if isinstance(n, ast.Name)}
        if not all(isinstance(n, plain) for n in parts) or not names <= set(self.parameters):
            return None
        return bool(eval(compile(ast.Expression(test), "<test>", "eval"), {}, dict(self.parameters)))

    def visit_IfExp(self, node):
        self.generic_visit(node)
        value = self._value(node.test)
        return node if value is None else node.body if value else node.orelse

    def visit_If(self, node):
        self.generic_visit(node)
        value = self._value(node.test)
        return node if value is None else node.body if value else node.orelse
