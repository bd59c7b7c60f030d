"""Every hard input ends as it should, in all families, and as the page of reliability says."""

from __future__ import annotations

import pytest
from _pytest.mark import ParameterSet
from cases import CASES, ELSEWHERE, EVERYDAY, Case
from table import PAGE, row

from mixtura.covariance import registry


def listed(case: Case, slow: bool) -> ParameterSet:
    return pytest.param(case, id=case.name, marks=pytest.mark.slow if slow else ())


@pytest.mark.parametrize("case", [listed(case, case.slow) for case in CASES])
def test_a_hard_input_ends_as_the_page_says(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert row(case, case.run(EVERYDAY)) in PAGE.read_text(encoding="utf-8").splitlines(), "run tests/torture/table.py"


@pytest.mark.parametrize("case", [listed(case, slow=True) for case in CASES])
def test_a_hard_input_ends_so_in_all_families(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert case.run(registry.names())


def test_every_input_that_was_tried_elsewhere_is_tried_here():
    assert ELSEWHERE.keys() <= {case.name for case in CASES}
    assert len({case.name for case in CASES}) == len(CASES)
