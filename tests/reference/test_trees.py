"""Agglomerations are those of R's mclust, where the criterion is the same: README.md tells where its are from."""

from __future__ import annotations

import numpy as np
import pytest
from reference_cases import numbers_of, rows_of

from mixtura.hierarchy import agglomerate, coordinates

TREES = numbers_of("mclust_trees")["classes"]


@pytest.mark.parametrize("name", TREES)
def test_spheres_alike(name):
    data_set, use = name.split("_")
    rows, which, counts = np.unique(rows_of(data_set), axis=0, return_inverse=True, return_counts=True)
    if use == "SVD":
        standard = (rows_of(data_set) - rows_of(data_set).mean(0)) / rows_of(data_set).std(0, ddof=1)
        rows = (rows - rows_of(data_set).mean(0)) / rows_of(data_set).std(0, ddof=1)
        _, sizes, axes = np.linalg.svd(standard, full_matrices=False)
        rows = rows @ axes.T / np.sqrt(sizes)
    tree = agglomerate(rows, counts.astype(float), "EII")
    for n_groups, theirs in TREES[name].items():
        ours = tree.labels(int(n_groups))[which]
        assert len(np.unique(ours)) == int(n_groups)
        assert len(np.unique(np.c_[ours, theirs], axis=0)) == int(n_groups)  # the same groups under other numbers


def test_svd_coordinates_are_mclusts_but_for_the_robust_scale():
    rows = rows_of("banknote")
    ours = coordinates(rows, np.ones(len(rows)))
    standard = (rows - rows.mean(0)) / rows.std(0, ddof=1)
    _, sizes, axes = np.linalg.svd(standard, full_matrices=False)
    theirs = standard @ axes.T / np.sqrt(sizes)
    shape = np.linalg.svd(ours - ours.mean(0))[1] / np.linalg.svd(theirs)[1]
    assert shape / shape.mean() == pytest.approx(np.ones(6), abs=0.2)
