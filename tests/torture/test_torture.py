"""Every hard input ends as it should, in all families, and as the page of reliability says."""

from __future__ import annotations

import pytest
from cases import CASES, ELSEWHERE, EVERYDAY, Case
from table import PAGE, row

from mixtura.covariance import registry


def named(case: Case) -> str:
    return case.name


@pytest.mark.parametrize("case", CASES, ids=named)
def test_a_hard_input_ends_as_the_page_says(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert row(case, case.run(EVERYDAY)) in PAGE.read_text(encoding="utf-8").splitlines(), "run tests/torture/table.py"


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=named)
def test_a_hard_input_ends_so_in_all_families(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert case.run(registry.names())


def test_every_input_that_was_tried_elsewhere_is_tried_here():
    assert ELSEWHERE.keys() <= {case.name for case in CASES}
    assert len({case.name for case in CASES}) == len(CASES)
