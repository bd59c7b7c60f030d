"""Save and load: the same bits."""

from __future__ import annotations

import numpy as np
import pytest
from variants import overlapping, start_for

from mixtura import em, load, save


@pytest.mark.parametrize("scale", [1.0, 1e-200, 1e140])
def test_a_saved_fit_comes_back_with_the_same_bits(family, tmp_path, scale):
    rows = overlapping()
    model = em(start_for(family, rows), rows, family, max_iter=5).model.transform(scale)
    save(model, tmp_path / "model", family=family.name)
    saved = load(tmp_path / "model")
    assert saved.family == family.name
    assert saved.mixture == model
    assert saved.mixture.structure.kind == model.structure.kind
    assert np.array_equal(saved.mixture.logpdf(rows * scale), model.logpdf(rows * scale))
