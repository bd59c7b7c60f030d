"""CONTRIBUTING.md's way to add a covariance family, followed to the letter."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import mixtura
from mixtura import GaussianMixture, Mixture, em
from mixtura.covariance import families, registry
from mixtura.covariance.registry import Family

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
CHAPTER = TEXT.partition("### How to add a covariance family")[2].partition("### How to add a source")[0]


@pytest.fixture
def family(monkeypatch) -> Family:
    """The family of the chapter: its function put among the others, its line at the end of the table."""
    function, line = re.findall(r"^```python\n(.*?)^```", CHAPTER, flags=re.MULTILINE | re.DOTALL)
    name = re.findall(r"^def (\w+)", function)[0]
    space = dict(vars(families))
    exec(function, space)
    monkeypatch.setattr(families, name, space[name], raising=False)
    made = eval(line, {"Family": Family, "families": families})
    monkeypatch.setattr(registry, "FAMILIES", (*registry.FAMILIES, made))
    monkeypatch.setitem(registry._BY_NAME, made.name, made)
    return made


ROWS = np.random.default_rng(0).standard_normal((300, 3)) @ np.linalg.cholesky(np.full((3, 3), 0.6) + 0.4 * np.eye(3)).T
ROWS[:100] = 0.5 * ROWS[:100] + 4.0


def test_it_is_fitted_saved_and_shown_by_its_name(family, tmp_path):
    result = mixtura.fit(ROWS, 2, ["full", family.name], random_state=0)
    assert result.best.covariance == family.name
    assert result.best.n_parameters == 1 + 2 * 3 + 4
    assert family.name in str(result)
    mixtura.save(result.model, tmp_path / "model", family=family.name)
    assert mixtura.load(tmp_path / "model").family == family.name
    model = GaussianMixture(2, covariance_type=family.name, random_state=0).fit(ROWS)
    assert model.bic(ROWS) == pytest.approx(result.best.bic, rel=1e-6)
    assert family in registry.several("all", 3)


def test_its_m_step_is_the_maximum(family):
    fit = em(Mixture([0.5, 0.5], [[0, 0, 0], [4, 4, 4]], [np.eye(3), np.eye(3)]), ROWS, family)
    for k, covariance in enumerate(fit.model.covariances):
        variance, between = covariance[0, 0], covariance[0, 1]
        assert covariance == pytest.approx(np.full((3, 3), between) + (variance - between) * np.eye(3))
        # S15 along the family: both its directions
        gradient = fit.model.gradient(ROWS).covariances[k] / len(ROWS)
        assert abs(np.trace(gradient)) < 1e-3
        assert abs(gradient.sum()) < 1e-3
    objectives = [step.objective for step in fit.trace]
    assert (np.diff(objectives) >= -1e-9).all()
