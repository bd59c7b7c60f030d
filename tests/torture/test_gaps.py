"""Converged means that no more than the tolerance is left: see gaps.py."""

from __future__ import annotations

import gaps
import numpy as np
import pytest

from mixtura import em
from mixtura.covariance.prior import Prior
from mixtura.covariance.registry import FAMILIES


@pytest.mark.parametrize(("family", "n_components", "seed"), [("eve", 4, 4), ("eev", 4, 4)])
def test_a_saddle_is_not_the_top(family, n_components, seed):
    """Climbs that had said so where 3·10⁻⁵ and 10⁻⁵ nats a row were left."""
    rows = gaps.overlapping(0)
    prior = Prior.relative(rows, np.ones(len(rows)), family)
    fit = em(gaps.start(rows, n_components, seed), rows, family, prior=prior)
    assert fit.converged
    assert gaps.left(fit, rows) < gaps.TOL


@pytest.mark.slow
@pytest.mark.parametrize("family", [family.name for family in FAMILIES])
@pytest.mark.parametrize("plain", [[], ["--plain"]], ids=["", "plain"])
def test_what_is_left_is_below_the_tolerance(family, plain):
    assert gaps.main(["--seeds", "1", "--families", family, *plain]) == 0
