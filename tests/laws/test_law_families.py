"""Families within families."""

from __future__ import annotations

import numpy as np
import pytest

from mixtura import Mixture
from mixtura.core.em import in_family
from mixtura.covariance import registry
from mixtura.covariance.registry import FAMILIES

SIZES = [(2, 2), (3, 4)]


def test_the_order_of_the_usual_families():
    full, tied, diag, spherical = (registry.get(name) for name in ("full", "tied", "diag", "spherical"))
    assert spherical.within(diag)
    assert diag.within(full)
    assert spherical.within(full)
    assert tied.within(full)
    assert not full.within(tied)
    assert not tied.within(diag)
    assert not diag.within(tied)
    usual = (full, tied, diag, spherical)
    assert diag.next_to(full, usual)
    assert full.next_to(diag, usual)
    assert tied.next_to(full, usual)
    assert not spherical.next_to(full, usual)  # diag lies between
    assert spherical.next_to(full, (full, spherical))
    assert not full.next_to(full, usual)
    assert not tied.next_to(diag, usual)


@pytest.mark.parametrize("rich", FAMILIES, ids=lambda family: family.name)
@pytest.mark.parametrize("plain", FAMILIES, ids=lambda family: family.name)
def test_a_mixture_of_a_family_is_one_of_every_family_that_holds_it(plain, rich):
    if plain is rich or not plain.within(rich):
        return
    rng = np.random.default_rng(0)
    for k, d in SIZES:
        assert plain.free(k, d) <= rich.free(k, d)
        roots = rng.normal(size=(k, d, d))
        dense = Mixture(np.full(k, 1 / k), rng.normal(size=(k, d)), roots @ roots.transpose(0, 2, 1) + np.eye(d))
        model = in_family(dense, plain)
        same = in_family(model, rich)
        assert np.allclose(same.covariances, model.covariances, rtol=1e-6, atol=1e-9)
