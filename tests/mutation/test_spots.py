"""The mutants themselves: each changes one spot, and is another program."""

from __future__ import annotations

import ast

import mutate
import pytest
from spots import spots_of

SOURCE = '''
LIMIT, REST = 0, 2.5

def f(σ: int = 1, *, flag: bool = True) -> float:
    """Docstring of 1 < 2."""
    if σ < 1 and not flag:
        raise ValueError(f"{σ + 1} is too few" if σ > 3 else "none")
    total = (σ + LIMIT) * -REST if σ else max(σ, 2)
    total += [x for x in (σ,) if x is not None][0]
    return total
'''


def test_each_change_is_where_it_should_be():
    text = SOURCE.encode()
    assert [(spot.line, spot.before, spot.after) for spot in spots_of(text)] == [
        (2, "0", "1"),
        (2, "2.5", "5.0"),
        (4, "1", "2"),
        (4, "True", "False"),
        (6, "σ < 1 and not flag", "not (σ < 1 and not flag)"),
        (6, "<", "<="),
        (6, "1", "2"),
        (6, "and", "or"),
        (6, "not", ""),
        (8, "+", "-"),
        (8, "*", "/"),
        (8, "-", ""),
        (8, "σ", "not (σ)"),
        (8, "max", "min"),
        (8, "2", "3"),
        (9, "+=", "-="),
        (9, "is not", "is"),
        (9, "0", "1"),
    ]


def test_what_runs_on_import_is_known_by_its_names():
    names = [spot.names for spot in spots_of(SOURCE.encode())]
    assert names[:5] == [("LIMIT", "REST")] * 2 + [()] * 2 + [None]


@pytest.mark.parametrize("file", sorted({mutant.file for mutant in mutate.mutants()}))
def test_every_mutant_is_another_program(file):
    text = (mutate.ROOT / "src" / "mixtura" / file).read_bytes()
    before = ast.dump(ast.parse(text))
    for mutant in mutate.mutants([file])[::7]:
        assert ast.dump(ast.parse(mutant.spot.applied(text))) != before
