"""Conditions: what they mean, beside the same in NumPy, and what is refused."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from mixtura.sources.coerce import TableError
from mixtura.sources.where import filter_of

NAN = float("nan")
TABLE = pa.table(
    {
        "row": np.arange(6),
        "a": [1, 2, None, 4, 5, 200],
        "f": [1.0, NAN, 2.5, None, -3.0, 0.0],
        "site": ["A", "B", "A", None, "it's", "C"],
        "kind": pa.array(["x", "y", "x", None, "z", "x"]).dictionary_encode(),
        "ok": [True, False, None, True, True, False],
        "day": pa.array([dt.date(2024, 1, day) for day in range(1, 7)]),
        "price": pa.array([Decimal(f"{i}.50") for i in range(6)], pa.decimal128(10, 2)),
        "half": np.full(6, 2.5, np.float16),
        "small": pa.array([1, 2, 3, 4, 5, 200], pa.uint8()),
        "two words": [0, 1, 2, 3, 4, 5],
        "a `tick`": [5, 4, 3, 2, 1, 0],
        "leaf.width": [0, 1, 2, 3, 4, 5],
    }
)


def rows(where) -> list[int]:
    return filter_of(where, TABLE.schema, "T").of(TABLE, "T")["row"].to_pylist()


@pytest.mark.parametrize(
    ("where", "taken"),
    [
        ("a > 2", [3, 4, 5]),
        ("a>=2 and a<=4", [1, 3]),
        ("1 < a <= 4", [1, 3]),
        ("a == 1 or a == 5", [0, 4]),
        ("not a > 2", [0, 1]),
        ("a != 1", [1, 3, 4, 5]),
        ("2 < a", [3, 4, 5]),
        ("a is None", [2]),
        ("a is not None", [0, 1, 3, 4, 5]),
        ("f is None", [1, 3]),
        ("f is not None and f < 2", [0, 4, 5]),
        ("f > 0", [0, 2]),
        ("site == 'A'", [0, 2]),
        ('site == "it\'s"', [4]),
        ("site in ('A', 'C')", [0, 2, 5]),
        ("site not in ['A', 'C']", [1, 4]),
        ("a in (1, 2.0, 7)", [0, 1]),
        ("kind == 'x' and ok", [0]),
        ("ok", [0, 3, 4]),
        ("not ok", [1, 5]),
        ("ok == False", [1, 5]),
        ("ok == 0", [1, 5]),
        ("ok in (1, 2)", [0, 3, 4]),
        ("half == 2.5 and ok", [0, 3, 4]),
        ("day >= '2024-01-05'", [4, 5]),
        ("'2024-01-02' == day", [1]),
        ("price > 3", [3, 4, 5]),
        ("price == 1.5", [1]),
        ("small > -1", [0, 1, 2, 3, 4, 5]),
        ("small < 300 and small - 100 > 0", [5]),
        ("small + small == 400", [5]),
        ("a / 2 == 2.5", [4]),
        ("a * 2 - 1 < 3", [0]),
        ("-f > 2", [4]),
        ("+f < -(2 + 0.5)", [4]),
        ("`two words` >= 4", [4, 5]),
        ("`leaf.width` >= 4", [4, 5]),
        ("`a ``tick``` > 3", [0, 1]),
        ("a > 10000000000000000000000", []),
        ("True", [0, 1, 2, 3, 4, 5]),
        (pc.field("a") > 2, [3, 4, 5]),
    ],
)
def test_conditions(where, taken):
    assert rows(where) == taken


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("b > 1", "T has no column 'b'"),
        ("sites == 'A'", r"T has no column 'sites': did you mean 'site'\?"),
        ("a >", "cannot be understood: invalid syntax"),
        ("", "cannot be understood: invalid syntax"),
        ("__import__('os').system('true')", 'cannot be understood at "__import__'),
        ("a.real > 1", "cannot be understood at 'a.real'"),
        ("leaf.width > 1", "names the column 'leaf.width', which is no word: write `leaf.width`"),
        ("a[0] > 1", "cannot be understood at"),
        ("(lambda: 1)()", "cannot be understood at"),
        ("a if ok else f", "cannot be understood at"),
        ("a & ok", "join that by and, or, not"),
        ("a ** 2 > 1", "cannot be understood at"),
        ("a == None", "cannot be understood at 'None'"),
        ("a is True", "cannot be understood at 'True'"),
        ("a in ()", "cannot be understood at"),
        ("a in f", "cannot be understood at 'f'"),
        ("f'{a}' == 1", "cannot be understood at"),
        ("b'x' == a", "cannot be understood at"),
        ("a", r"must evaluate to bool.*\('a' holds int64\)"),
        ("a == 'x'", r"cannot be applied to T: .*\('a' holds int64\)"),
        ("site > 1", r"cannot be applied to T: .*\('site' holds string\)"),
        ("day > 'soon'", r"'soon' is no date32\[day\]"),
        ("(" * 500 + "a" + ")" * 500, "cannot be understood"),
    ],
)
def test_refusals(where, message):
    with pytest.raises(TableError, match=message):
        rows(where)


def test_only_text_and_expressions_are_conditions():
    with pytest.raises(TypeError, match=r"where must be text or a pyarrow\.compute\.Expression, not list"):
        rows([True, False])


def test_a_filter_tells_which_columns_it_looks_at():
    assert filter_of("site == 'A' and `two words` < 3 and site != 'B'", TABLE.schema, "T").columns == (
        "site",
        "two words",
    )
