"""The spots of a module at which one small change makes another program.

A spot is found in the syntax tree and changed in the text, so that nothing else of the file moves. Left out is what no
test of behaviour is to see: annotations, decorators, bodies of protocols, what is raised and its message, formatted
text, what only a type checker reads, and ``strict=`` of ``zip``, which asserts what holds anyway.
"""

from __future__ import annotations

import ast
import re
from typing import NamedTuple

COMPARISONS: dict[type[ast.cmpop], tuple[str, str]] = {
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"),
    ast.In: ("in", "not in"),
    ast.NotIn: ("not in", "in"),
}
ARITHMETIC: dict[type[ast.operator], tuple[str, str]] = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "/"),
    ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "*"),
    ast.Mod: ("%", "*"),
    ast.Pow: ("**", "*"),
    ast.BitAnd: ("&", "|"),
    ast.BitOr: ("|", "&"),
}
OPPOSITES = {
    **dict.fromkeys(("min", "minimum"), ("min", "max")),
    **dict.fromkeys(("max", "maximum"), ("max", "min")),
    "any": ("any", "all"),
    "all": ("all", "any"),
}


class Spot(NamedTuple):
    """A change of one spot: the bytes from ``start`` to ``end`` become ``after``.

    ``first`` and ``last`` are the lines of the statement in which it is, without the statements within that one;
    ``names`` are what the statement gives a value to where it runs only once, on import.
    """

    line: int
    start: int
    end: int
    before: str
    after: str
    first: int
    last: int
    names: tuple[str, ...] | None = None

    def applied(self, text: bytes) -> bytes:
        return text[: self.start] + self.after.encode() + text[self.end :]


def spots_of(text: bytes) -> list[Spot]:
    """Every spot of a module, in the order of the text."""
    return sorted(_Finder(text).found, key=lambda spot: (spot.start, spot.end))


class _Finder(ast.NodeVisitor):
    def __init__(self, text: bytes) -> None:
        self.text = text
        self.starts = [0]
        for line in text.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))
        self.found: list[Spot] = []
        self.within = 0  # functions
        self.statement: tuple[int, int] = (1, 1)
        self.names: tuple[str, ...] = ()
        self.visit(ast.parse(text))

    # Places in the text

    def start(self, node: ast.expr) -> int:
        return self.starts[node.lineno - 1] + node.col_offset

    def end(self, node: ast.expr) -> int:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self.starts[node.end_lineno - 1] + node.end_col_offset

    def change(self, start: int, end: int, after: str) -> None:
        line = self.text.count(b"\n", 0, start) + 1
        before = self.text[start:end].decode()
        names = None if self.within else self.names
        self.found.append(Spot(line, start, end, before, after, *self.statement, names))

    def change_between(self, left: ast.expr, right: ast.expr, pair: tuple[str, str]) -> None:
        """The operator between two operands, where there is nothing else but space, brackets and comments."""
        begin, end = self.end(left), self.start(right)
        between = re.sub(rb"#[^\n]*", lambda comment: b" " * len(comment[0]), self.text[begin:end])
        pattern = re.escape(pair[0]).replace(r"\ ", r"\s+").encode()
        found = re.search(pattern, between)
        assert found is not None, (self.text[begin:end], pair)
        self.change(begin + found.start(), begin + found.end(), pair[1])

    # Statements

    def visit(self, node: ast.AST) -> None:
        if not isinstance(node, ast.stmt):
            super().visit(node)
            return
        kept = self.statement, self.names
        body = getattr(node, "body", None)
        last = node.end_lineno if not body else max(node.lineno, body[0].lineno - 1)
        assert last is not None
        self.statement = node.lineno, last
        targets = getattr(node, "targets", [getattr(node, "target", None)])
        parts = [part for target in targets if target is not None for part in ast.walk(target)]
        self.names = tuple(part.id for part in parts if isinstance(part, ast.Name))
        super().visit(node)
        self.statement, self.names = kept

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        for default in (*node.args.defaults, *node.args.kw_defaults):
            if default is not None:
                self.visit(default)
        self.within += 1
        for statement in node.body:
            self.visit(statement)
        self.within -= 1

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self.visit(node.body)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        if not any(isinstance(base, ast.Name) and base.id == "Protocol" for base in node.bases):
            for statement in node.body:
                self.visit(statement)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if type(node.op) in ARITHMETIC:
            old, new = ARITHMETIC[type(node.op)]
            self.change_between(node.target, node.value, (old + "=", new + "="))
        self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> None:
        """What is raised is not changed, only whether."""

    def visit_If(self, node: ast.If) -> None:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return
        self.negate(node.test)
        self.generic_visit(node)

    # Expressions

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Text for people."""

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self.negate(node.test)
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        for test in node.ifs:
            self.negate(test)
        self.generic_visit(node)

    def negate(self, test: ast.expr) -> None:
        """Change the branches of a condition about, unless another spot does just that."""
        single = isinstance(test, ast.Compare) and len(test.ops) == 1 and not isinstance(test.ops[0], ORDERS)
        if not single and not (isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)):
            start, end = self.start(test), self.end(test)
            self.change(start, end, f"not ({self.text[start:end].decode()})")

    def visit_Compare(self, node: ast.Compare) -> None:
        for left, op, right in zip([node.left, *node.comparators], node.ops, node.comparators, strict=False):
            self.change_between(left, right, COMPARISONS[type(op)])
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        pair = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        for left, right in zip(node.values, node.values[1:], strict=False):
            self.change_between(left, right, pair)
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        text = any(isinstance(side, ast.JoinedStr) for side in (node.left, node.right))
        if type(node.op) in ARITHMETIC and not text:
            self.change_between(node.left, node.right, ARITHMETIC[type(node.op)])
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        length = {ast.Not: len("not"), ast.USub: 1, ast.Invert: 1}.get(type(node.op))
        if length is not None:
            self.change(self.start(node), self.start(node) + length, "")
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        value = node.value
        if isinstance(value, bool):
            after = str(not value)
        elif isinstance(value, int):
            after = str(value + 1)
        elif isinstance(value, float):
            after = repr(2 * value) if value else "1.0"
        else:
            return
        self.change(self.start(node), self.end(node), after)

    def visit_Call(self, node: ast.Call) -> None:
        name = node.func
        word = name.id if isinstance(name, ast.Name) else name.attr if isinstance(name, ast.Attribute) else ""
        if word in OPPOSITES:
            old, new = OPPOSITES[word]
            end = self.end(name)
            self.change(end - len(word), end, word.replace(old, new))
        self.visit(name)
        for argument in node.args:
            self.visit(argument)
        for keyword in node.keywords:
            if not (word == "zip" and keyword.arg == "strict"):
                self.visit(keyword.value)


ORDERS = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
