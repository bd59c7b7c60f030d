"""Components as a data frame say what the summary says."""

import numpy as np
import pytest

import mixtura
from mixtura.bridges import to_frame


def test_the_frame_of_a_result_holds_the_numbers_of_its_summary():
    result = mixtura.fit("examples/iris.csv", 3, "full", random_state=0)
    frame, parts = to_frame(result), result.summary()["components"]
    assert frame.index.tolist() == [0, 1, 2]
    for k, part in enumerate(parts):
        assert frame.loc[k, ["weight", "rows"]].tolist() == [part["weight"], part["rows"]]
        for what in ("mean", "sd"):
            for name, value in part[what].items():
                assert frame.loc[k, f"{what} {name}"] == pytest.approx(value, rel=1e-15)


def test_noise_comes_last_without_mean():
    X = np.concatenate(
        [np.random.default_rng(0).normal(size=(200, 2)), np.random.default_rng(1).uniform(-20, 20, (40, 2))]
    )
    result = mixtura.fit(X, 1, "full", noise=True, random_state=0)
    frame = to_frame(result)
    assert frame.index.tolist() == [0, -1]
    assert frame["rows"].sum() == pytest.approx(240)
    assert frame["weight"].sum() == pytest.approx(1)
    assert frame.loc[-1].isna().sum() == 4
    assert list(frame.columns) == ["weight", "rows", "mean x1", "mean x2", "sd x1", "sd x2"]


def test_a_mixture_has_no_rows():
    frame = to_frame(mixtura.Mixture([0.5, 0.5], [0, 1], [1, 4]))
    assert list(frame.columns) == ["weight", "mean x1", "sd x1"]
    assert frame["sd x1"].tolist() == [1, 2]
