"""Which rows to take: ``"dose > 3 and site in ('A', 'B')"`` becomes an expression that pyarrow evaluates.

The text is parsed, never run, by Python's own parser, and only this much of Python is known: names of columns (in
backticks where they are no Python names), numbers, texts, ``True``, ``False``, ``None``; ``+ - * /``; comparisons,
``in`` and ``not in``; ``is None``, ``is not None`` (a null or NaN); ``and``, ``or``, ``not``. As in SQL, a comparison
with a null is neither true nor false, and such rows are not taken.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mixtura.sources.coerce import TableError, select

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.compute as pc

_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_JOINS: dict[type[ast.boolop], Callable[[Any, Any], Any]] = {ast.And: operator.and_, ast.Or: operator.or_}
#: What stands for a name in backticks while Python parses the text.
_STAND_IN = "__column_{}__"


@dataclass(frozen=True)
class Filter:
    """Which rows of a table to take.

    Attributes
    ----------
    text : str
        As it was written.
    columns : tuple of str
        The columns that it looks at.
    expression : pyarrow.compute.Expression
    """

    text: str
    columns: tuple[str, ...]
    expression: pc.Expression

    def of(self, table: pa.Table, name: str) -> pa.Table:
        """The rows of a table that are taken.

        Raises
        ------
        TableError
            If it makes no sense for the types of the columns.
        """
        import pyarrow as pa

        try:
            return table.filter(self.expression)
        except pa.ArrowException as error:
            kinds = ", ".join(f"{column!r} holds {table.schema.field(column).type}" for column in self.columns)
            said = str(error).strip().splitlines()[0]
            raise TableError(f"where={self.text!r} cannot be applied to {name}: {said} ({kinds})") from None


def filter_of(where: Any, schema: pa.Schema, name: str) -> Filter:
    """A filter of the rows of a table with that schema.

    Parameters
    ----------
    where : str or pyarrow.compute.Expression
        An expression as such may look at every column.
    schema : pyarrow.Schema
    name : str
        What messages call the table.

    Raises
    ------
    TableError
        If it cannot be understood, or names a column that there is not.

    Examples
    --------
    >>> import pyarrow as pa
    >>> table = pa.table({"dose": [1, 4, None, 9], "site of trial": ["A", "B", "B", "C"]})
    >>> kept = filter_of("dose > 3 and `site of trial` != 'C'", table.schema, "the table")
    >>> kept.of(table, "the table").to_pylist()
    [{'dose': 4, 'site of trial': 'B'}]
    """
    import pyarrow.compute as pc

    if isinstance(where, pc.Expression):
        return Filter(str(where), tuple(schema.names), where)
    if not isinstance(where, str):
        raise TypeError(f"where must be text or a pyarrow.compute.Expression, not {type(where).__name__}")
    quoted = [name.replace("``", "`") for name in re.findall(r"`((?:[^`]|``)+)`", where)]
    stand_ins = {_STAND_IN.format(i): quoted[i] for i in range(len(quoted))}
    numbers = iter(stand_ins)
    plain = re.sub(r"`(?:[^`]|``)+`", lambda _: next(numbers), where).strip()
    try:
        tree = ast.parse(plain, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise TableError(f"where={where!r} cannot be understood: {getattr(error, 'msg', error)}") from None
    compiler = _Compiler(where, schema, stand_ins, name)
    try:
        expression = compiler.visit(tree.body)
    except RecursionError:
        raise TableError(f"where={where!r} cannot be understood: it is nested too deeply") from None
    return Filter(where, tuple(dict.fromkeys(compiler.columns)), expression)


class _Compiler(ast.NodeVisitor):
    """The expression that a tree stands for."""

    def __init__(self, text: str, schema: pa.Schema, stand_ins: dict[str, str], name: str) -> None:
        self.text, self.schema, self.stand_ins, self.name = text, schema, stand_ins, name
        self.columns: list[str] = []

    def generic_visit(self, node: ast.AST) -> Any:
        what = ast.unparse(node) if isinstance(node, ast.expr) else type(node).__name__
        if isinstance(node, ast.Attribute) and what in self.schema.names:
            raise TableError(f"where={self.text!r} names the column {what!r}, which is no word: write `{what}`")
        raise TableError(
            f"where={self.text!r} cannot be understood at {what!r}: it may compare columns with numbers and texts, "
            "as in \"dose > 3 and site == 'A'\", and join that by and, or, not"
        )

    def visit_Name(self, node: ast.Name) -> pc.Expression:
        import pyarrow as pa
        import pyarrow.compute as pc

        column = self.stand_ins.get(node.id, node.id)
        names = self.schema.names
        select(names, len(names), column, self.name)
        self.columns.append(column)
        field, kind = pc.field(column), self.schema.field(column).type
        # decimals compare with numbers of their own precision alone, halves with nothing
        return field.cast(pa.float64()) if pa.types.is_decimal(kind) or pa.types.is_float16(kind) else field

    def visit_Constant(self, node: ast.Constant) -> pc.Expression:
        import pyarrow as pa
        import pyarrow.compute as pc

        value = node.value
        if not isinstance(value, bool | int | float | str):
            return self.generic_visit(node)
        try:
            return pc.scalar(value)
        except (pa.ArrowException, OverflowError):
            return pc.scalar(float(value))

    def visit_BoolOp(self, node: ast.BoolOp) -> pc.Expression:
        import functools

        return functools.reduce(_JOINS[type(node.op)], map(self.visit, node.values))

    def visit_UnaryOp(self, node: ast.UnaryOp) -> pc.Expression:
        import pyarrow.compute as pc

        operand = self.visit(node.operand)
        if isinstance(node.op, ast.Not):
            return ~operand
        if isinstance(node.op, ast.USub):
            return pc.scalar(0.0) - self._number(operand)
        return operand if isinstance(node.op, ast.UAdd) else self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> pc.Expression:
        if type(node.op) not in _ARITHMETIC:
            self.generic_visit(node)
        left, right = self._number(self.visit(node.left)), self._number(self.visit(node.right))
        return _ARITHMETIC[type(node.op)](left, right)

    def visit_Compare(self, node: ast.Compare) -> pc.Expression:
        import functools

        sides = [node.left, *node.comparators]
        pairs = zip(sides, node.ops, sides[1:], strict=False)
        return functools.reduce(operator.and_, (self._comparison(*pair) for pair in pairs))

    def _comparison(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> pc.Expression:
        if isinstance(op, ast.Is | ast.IsNot):
            if not (isinstance(right, ast.Constant) and right.value is None):
                self.generic_visit(right)
            missing = self.visit(left).is_null(nan_is_null=self._floating(left))
            return missing if isinstance(op, ast.Is) else ~missing
        if isinstance(op, ast.In | ast.NotIn):
            if not isinstance(right, ast.Tuple | ast.List | ast.Set) or not right.elts:
                self.generic_visit(right)
            equal = [self._comparison(left, ast.Eq(), each) for each in getattr(right, "elts", ())]
            any_of = equal[0]
            for each in equal[1:]:
                any_of |= each
            return any_of if isinstance(op, ast.In) else ~any_of
        one, other = self._operand(left, right), self._operand(right, left)
        return _COMPARISONS[type(op)](one, other)

    def _operand(self, node: ast.expr, beside: ast.expr) -> pc.Expression:
        """A side of a comparison; a text beside a date is a date, and what is true or false beside a number 1 or 0."""
        import pyarrow as pa
        import pyarrow.compute as pc

        kind = self._kind(beside)
        number = isinstance(beside, ast.Constant) and type(beside.value) in {int, float}
        if number and self._kind(node) == pa.bool_():
            return self.visit(node).cast(pa.int8())
        text = node.value if isinstance(node, ast.Constant) else None
        if not isinstance(text, str) or kind is None or not pa.types.is_temporal(kind):
            return self.visit(node)
        try:
            return pc.scalar(pa.scalar(text).cast(kind))
        except pa.ArrowException:
            raise TableError(f"where={self.text!r}: {text!r} is no {kind}") from None

    def _kind(self, node: ast.expr) -> pa.DataType | None:
        """The type of a side that is a column."""
        if not isinstance(node, ast.Name):
            return None
        self.visit(node)
        return self.schema.field(self.stand_ins.get(node.id, node.id)).type

    def _floating(self, node: ast.expr) -> bool:
        import pyarrow as pa

        kind = self._kind(node)
        return kind is None or pa.types.is_floating(kind) or pa.types.is_decimal(kind)

    def _number(self, operand: pc.Expression) -> pc.Expression:
        """In double precision, in which Python's arithmetic holds for columns of whole numbers too."""
        import pyarrow as pa

        return operand.cast(pa.float64())
