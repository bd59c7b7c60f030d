"""The numbers of pictures: against the mixture's own methods, closed forms, quadrature, brute force and chance."""

import csv
import itertools
from pathlib import Path

import numpy as np
import pytest
from scipy import integrate, stats

import mixtura
from mixtura import ConjugatePrior, Mixture, Noise, figures
from mixtura.sources import memory
from mixtura.sources.memory import Memory

EXAMPLES = Path(__file__).parents[1] / "examples"


def table(name, columns):
    with (EXAMPLES / f"{name}.csv").open() as file:
        return np.array([[float(row[c]) for c in columns] for row in csv.DictReader(file)])


FAITHFUL = table("faithful", ["eruptions", "waiting"])
IRIS = table("iris", ["Sepal.Length", "Sepal.Width", "Petal.Length", "Petal.Width"])


def random_mixture(seed, n_components=3, n_features=2, noise=None):
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(n_components, n_features, n_features))
    covariances = factors @ factors.transpose(0, 2, 1) + 0.1 * np.eye(n_features)
    weights = rng.dirichlet(np.full(n_components, 3.0)) * (1 - (0 if noise is None else noise.weight))
    return Mixture(weights, rng.normal(0, 4, (n_components, n_features)), covariances, noise=noise)


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(memory, "BLOCK_NUMBERS", 64)
    monkeypatch.setattr(memory, "LEAST_ROWS", 7)


def in_blocks(rows, weights=None):
    source = Memory(rows, weights)
    assert len(list(source.map(lambda block: len(block.rows)))) > 5
    return source


# Views


def test_a_view_by_names_and_numbers():
    model = mixtura.Mixture([1], [[1, 2, 3]], [np.eye(3)], columns=["a", "b", "c"])
    seen = figures.view(model, ["c", "a"])
    assert seen.names == ("c", "a")
    assert seen.rows(np.array([[1.0, 2, 3]])).tolist() == [[3, 1]]
    assert not seen.whole
    assert figures.view(random_mixture(0), [1, 0]).names == ("x2", "x1")
    assert figures.view(model, "b").names == ("b",)
    with pytest.raises(ValueError, match="one or two columns, got 3"):
        figures.view(model, [0, 1, 2])
    with pytest.raises(ValueError, match="no column 'd'"):
        figures.view(model, ["a", "d"])


@pytest.mark.parametrize("covariance", ["full", "tied", "diag", "spherical"])
def test_a_mixture_in_a_view_is_its_marginal(covariance):
    model = mixtura.fit(IRIS, 3, covariance, random_state=0).model
    seen, marginal = figures.view(model, [3, 1]).mixture(model), model.marginal([3, 1])
    np.testing.assert_allclose(seen.logpdf(IRIS[:, [3, 1]]), marginal.logpdf(IRIS[:, [3, 1]]), rtol=1e-10)


def test_the_projection_has_unit_covariance_and_does_not_know_units():
    model = random_mixture(3, 4, 5)
    found = figures.projection(model)
    np.testing.assert_allclose(found.view.mixture(model).cov, np.eye(2), atol=1e-9)
    np.testing.assert_allclose(found.view.mixture(model).mean, 0, atol=1e-9)
    scale, shift = np.array([1e-6, 3, 1, 50, 1e7]), np.arange(5.0)
    there = figures.projection(model.transform(np.diag(scale), shift))
    rows = model.sample(50, 0)
    np.testing.assert_allclose(there.view.rows(rows * scale + shift), found.view.rows(rows), rtol=1e-6, atol=1e-6)
    drawn = model.sample(200_000, 1)
    apart = np.corrcoef(drawn.T, found.view.rows(drawn).T)[:5, 5:]
    np.testing.assert_allclose(found.correlations, apart, atol=0.01)


def test_the_projection_finds_the_directions_that_matter():
    rng = np.random.default_rng(0)
    means = np.zeros((3, 6))
    means[1, 2], means[2, 4] = 6, 6
    turn = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    model = Mixture([0.3, 0.3, 0.4], means, [np.eye(6)] * 3).transform(turn)
    found = figures.projection(model)
    assert found.information > 0.95
    assert found.share == pytest.approx(1)
    plane = np.linalg.svd(found.view.matrix)[2][:2]
    np.testing.assert_allclose(np.linalg.norm(plane @ turn[:, [2, 4]], 2), 1, atol=1e-6)


def test_where_the_means_agree_the_projection_goes_by_covariances():
    model = Mixture([0.5, 0.5], np.zeros((2, 4)), [np.eye(4), np.diag([1, 1, 100, 1])])
    found = figures.projection(model)
    assert np.abs(found.correlations[:, 0]).argmax() == 2
    assert found.information > 0.5


@pytest.mark.parametrize(("k", "d"), [(1, 3), (2, 1), (1, 1), (2, 2)])
def test_projections_of_little(k, d):
    found = figures.projection(random_mixture(1, k, d))
    assert found.view.matrix.shape == (min(2, d), d)
    assert np.isfinite(found.view.matrix).all()
    assert (found.differences[k - 1 :] == 0).all() or k > 1
    assert found.information == 0 if k == 1 else found.information > 0


# Ellipses, surfaces, curves


@pytest.mark.parametrize("covariance", ["full", "tied", "diag", "spherical"])
@pytest.mark.parametrize("coverage", [0.5, 0.95])
def test_an_ellipse_is_where_the_distance_is_a_quantile(covariance, coverage):
    model = mixtura.fit(FAITHFUL, 3, covariance, random_state=0).model
    for ellipse in figures.ellipses(model, coverage=coverage):
        distance = model.component(ellipse.component).mahalanobis(ellipse.outline(50))
        np.testing.assert_allclose(distance**2, stats.chi2.ppf(coverage, 2), rtol=1e-8)
        assert ellipse.axes[0] >= ellipse.axes[1] > 0
        assert -np.pi / 2 <= ellipse.angle <= np.pi / 2
        tip = ellipse.centre + ellipse.axes[0] * np.array([np.cos(ellipse.angle), np.sin(ellipse.angle)])
        assert model.component(ellipse.component).mahalanobis(tip) ** 2 == pytest.approx(stats.chi2.ppf(coverage, 2))


def test_ellipses_in_other_columns_are_those_of_the_marginal():
    model = random_mixture(5, 3, 4)
    for one, other in zip(figures.ellipses(model, [2, 0]), figures.ellipses(model.marginal([2, 0])), strict=True):
        np.testing.assert_allclose(one.outline(), other.outline(), rtol=1e-10, atol=1e-10)
    with pytest.raises(ValueError, match="two columns, got 1"):
        figures.ellipses(model, [1])


@pytest.mark.parametrize("noise", [None, Noise.box([-20, -20], [20, 20], 0.2)])
def test_a_surface_is_the_density_and_its_levels_hold_what_they_say(noise):
    model = random_mixture(7, noise=noise)
    found = figures.surface(model, limits=([-20, -20], [20, 20]), n=400)
    x, y = np.meshgrid(found.x, found.y)
    places = np.stack([x, y], axis=-1)
    expected = model.weights.sum() * model.without_noise().pdf(places.reshape(-1, 2)).reshape(x.shape)
    np.testing.assert_allclose(found.density, expected, rtol=1e-9, atol=1e-300)
    share = np.outer(np.gradient(found.y), np.gradient(found.x)) * found.density
    assert share.sum() == pytest.approx(model.weights.sum(), abs=1e-3)
    assert list(found.levels) == sorted(found.levels)
    for level, coverage in zip(found.levels, found.coverages, strict=True):
        assert share[found.density >= level].sum() / share.sum() == pytest.approx(coverage, abs=0.02)


def test_a_narrow_component_is_not_missed_on_the_grid():
    model = Mixture([0.9, 0.1], [[0, 0], [500, 500]], [np.eye(2) * 1e4, np.eye(2) * 1e-4])
    found = figures.surface(model, n=80)
    assert found.density.max() > 0.5 * model.pdf([500, 500])
    curve = figures.curve(model, 0)
    assert np.trapezoid(curve.components[1], curve.x) == pytest.approx(0.1, rel=0.02)


@pytest.mark.parametrize("column", [0, 1])
def test_a_curve_is_the_marginal_density_and_the_sum_of_its_parts(column):
    box = Noise.box([-10, -30], [20, 40], 0.15)
    model = random_mixture(11, noise=box)
    found = figures.curve(model, column, (-40, 50))
    inside = (found.x > [-10, -30][column]) & (found.x < [20, 40][column])
    expected = model.marginal(column).pdf(found.x[inside])
    np.testing.assert_allclose(found.density[inside], expected, rtol=1e-9, atol=1e-12)
    assert (found.noise[~inside] == 0).all()
    np.testing.assert_allclose(found.components.sum(0) + found.noise, found.density, rtol=1e-12)
    assert np.trapezoid(found.density, found.x) == pytest.approx(1, abs=0.01)


def test_noise_of_unknown_place_is_shown_where_the_density_is_the_models_own():
    one = Mixture([0.9], [0.0], [1.0], noise=Noise.of_density(0.01, 0.1))
    found = figures.curve(one)
    np.testing.assert_allclose(found.density, one.pdf(found.x))
    two = Mixture([0.9], [[0.0, 0.0]], [np.eye(2)], noise=Noise.of_density(0.01, 0.1))
    assert figures.curve(two, 0).noise is None
    with pytest.raises(ValueError, match="one column, got 2"):
        figures.curve(two, [0, 1])


def test_a_histogram_of_rounded_values_does_not_beat():
    waiting = FAITHFUL[:, 1]  # whole minutes
    model = mixtura.fit(FAITHFUL, 2, "full", random_state=0).model
    found = figures.histogram(model, FAITHFUL, column=1)
    assert (found.edges % 1 == 0.5).all()
    width = np.diff(found.edges)
    assert (width == width[0]).all()
    counts, _ = np.histogram(waiting, found.edges)
    np.testing.assert_allclose(found.density, counts / len(waiting) / width)
    assert counts.sum() == len(waiting)


@pytest.mark.usefixtures("small_blocks")
def test_a_histogram_adds_up_in_blocks_with_weights_and_of_one_value():
    rng = np.random.default_rng(0)
    rows, copies = rng.normal(size=(300, 2)), rng.integers(0, 4, 300)
    model = random_mixture(2)
    weighted = figures.histogram(model, in_blocks(rows, copies.astype(float)), bars=12)
    repeated = figures.histogram(model, np.repeat(rows, copies, axis=0), bars=12)
    np.testing.assert_allclose(weighted.edges, repeated.edges)
    np.testing.assert_allclose(weighted.density, repeated.density)
    assert (weighted.density * np.diff(weighted.edges)).sum() == pytest.approx(1)
    constant = figures.histogram(model, np.ones((5, 2)))
    assert constant.edges.tolist() == [0.5, 1.5]


def test_territories_are_predictions():
    model = random_mixture(13, noise=Noise.box([-20, -20], [20, 20], 0.1))
    found = figures.territory(model, ([-9, -9], [9, 9]), n=30)
    x, y = np.meshgrid(found.x, found.y)
    places = np.column_stack([x.ravel(), y.ravel()])
    assert (found.labels == model.predict(places).reshape(x.shape)).all()
    np.testing.assert_allclose(found.uncertainty, model.uncertainty(places).reshape(x.shape))
    assert (found.labels == -1).any()
    line = figures.territory(Mixture([0.5, 0.5], [-1, 1], [1, 1]))
    assert line.labels.shape == line.x.shape
    assert line.x[np.flatnonzero(np.diff(line.labels))] == pytest.approx(0, abs=0.1)
    with pytest.raises(ValueError, match="3 columns: territories"):
        figures.territory(random_mixture(0, 2, 3))


# Rows


def test_rows_are_drawn_once_with_the_weight_of_their_copies():
    model = mixtura.fit(FAITHFUL, 3, "tied", random_state=0).model
    drawn = figures.draw(model, FAITHFUL)
    distinct, copies = np.unique(FAITHFUL, axis=0, return_counts=True)
    assert (drawn.rows == distinct).all()
    assert (drawn.weights == copies).all()
    assert drawn.complete
    assert drawn.n_rows == 272
    assert (drawn.labels == model.predict(drawn.rows)).all()
    np.testing.assert_allclose(drawn.uncertainty, model.uncertainty(drawn.rows), atol=1e-15)


@pytest.mark.usefixtures("small_blocks")
def test_a_sample_to_draw_is_bounded_and_does_not_depend_on_the_order():
    model = random_mixture(17)
    rows = model.sample(3000, 0)
    drawn = figures.draw(model, in_blocks(rows), limit=100)
    assert len(drawn.rows) == 100
    assert not drawn.complete
    assert (figures.draw(model, rows[::-1], limit=100).rows == drawn.rows).all()


@pytest.mark.usefixtures("small_blocks")
def test_every_row_is_counted_in_the_hexagon_that_holds_it():
    model = random_mixture(19, noise=Noise.box([-20, -20], [20, 20], 0.1))
    rows = model.sample(500, 0)
    copies = np.random.default_rng(1).integers(0, 3, 500)
    found = figures.hexagons(model, in_blocks(rows, copies.astype(float)), n=12)
    assert found.weights.sum() == copies.sum()
    metric = 1 / found.size / np.array([1, 1 / np.sqrt(3)])
    near = np.square((rows[:, None] - found.centres) * metric).sum(2)
    held = near.argmin(1)
    counts = np.bincount(held, copies, len(found.centres))
    np.testing.assert_allclose(found.weights, counts)
    for i in (counts.argmax(), counts.argmin()):
        mine = np.repeat(rows, copies, axis=0)[np.repeat(held, copies) == i]
        assert found.uncertainty[i] == pytest.approx(model.uncertainty(mine).mean())
        labels, times = np.unique(model.predict(mine), return_counts=True)
        assert times[labels == found.labels[i]] == times.max()
    assert (found.labels == -1).any()
    corners = found.centres[0] + found.outline
    assert len(corners) == 6
    np.testing.assert_allclose(found.outline.mean(0), 0, atol=1e-12)


def test_hexagons_from_several_views_at_once_are_those_of_each():
    model = random_mixture(23, 3, 4)
    rows = model.sample(400, 0) + 1e3
    views = [figures.view(model, [0, 3]), figures.projection(model).view]
    for seen, many in zip(views, figures.hexagons_of(model, Memory(rows), views), strict=True):
        one = figures.hexagons(model, rows, columns=seen)
        np.testing.assert_allclose(many.centres, one.centres)
        low, high = seen.rows(rows).min(0), seen.rows(rows).max(0)
        assert (many.centres >= low - many.size).all()
        assert (many.centres <= high + many.size).all()


@pytest.mark.usefixtures("small_blocks")
def test_the_extent_leaves_out_rows_that_do_not_count():
    model = random_mixture(0)
    rows = np.random.default_rng(0).normal(size=(200, 2))
    rows[7] = 1e6
    weights = np.ones(200)
    weights[7] = 0
    low, high = figures.extent(model, in_blocks(rows, weights))
    rest = np.delete(rows, 7, axis=0)
    assert (low == rest.min(0)).all()
    assert (high == rest.max(0)).all()


@pytest.mark.usefixtures("small_blocks")
def test_uncertainty_adds_up():
    model = random_mixture(29, 4)
    rows = model.sample(400, 0)
    found = figures.uncertainty(model, in_blocks(rows))
    wrong = model.uncertainty(rows)
    assert found.mean == pytest.approx(wrong.mean())
    assert found.mean == pytest.approx(model.separation(rows).error_rate)
    assert found.shares.sum() == pytest.approx(1)
    np.testing.assert_allclose(found.beyond, [(wrong >= edge).mean() for edge in found.edges], atol=1e-12)
    assert figures.uncertainty(random_mixture(0, 1), rows).shares[0] == 1


# Profiles


@pytest.mark.parametrize(
    "model",
    [
        Mixture([0.5, 0.5], [0, 0], [1, 100]),
        Mixture([0.2, 0.5, 0.3], [0, 1, 3], [1, 0.01, 4]),
        Mixture([0.01, 0.99], [3, 0], [1e-4, 1]),
    ],
)
def test_what_a_column_tells_by_quadrature(model):
    def left(x, which):
        share = model.responsibilities([x])[0]
        parts = share if which is None else np.array([share[which], 1 - share[which]])
        return -model.pdf([x])[0] * np.sum(parts * np.log(np.maximum(parts, 1e-300)))

    found = figures.profile(model)
    breaks = np.unique(model.means + model.cholesky[:, 0] * np.linspace(-9, 9, 37))
    for which in (None, *range(model.n_components)):
        parts = model.weights if which is None else np.array([model.weights[which], 1 - model.weights[which]])
        pieces = itertools.pairwise(breaks)
        open_ = sum(integrate.fixed_quad(np.vectorize(left), *ends, args=(which,), n=8)[0] for ends in pieces)
        told = 1 - open_ / -np.sum(parts * np.log(parts))
        value = found.information[0] if which is None else found.each[which, 0]
        assert value == pytest.approx(told, abs=2e-5)


def test_a_profile_does_not_know_units():
    model = mixtura.fit(IRIS, 3, "full", random_state=0).model
    found = figures.profile(model)
    moved = figures.profile(model.transform(np.diag([1e-8, 2, 1e9, 5]), [1, 2, 3, 4]))
    np.testing.assert_allclose(moved.information, found.information, atol=1e-9)
    np.testing.assert_allclose(moved.means, found.means, atol=1e-6)
    np.testing.assert_allclose(moved.deviations, found.deviations, rtol=1e-7)
    assert found.order[0] in (2, 3)
    np.testing.assert_allclose(model.weights @ found.means, 0, atol=1e-12)
    spread = model.weights @ (found.deviations**2 + found.means**2)
    np.testing.assert_allclose(spread, 1)


def test_profiles_of_one_component_and_of_an_empty_one():
    alone = figures.profile(random_mixture(0, 1, 3))
    assert (alone.information == 0).all()
    empty = figures.profile(Mixture([0.5, 0.5, 0], [-9, 9, 0], [1, 1, 1]))
    assert empty.information == pytest.approx(1)
    assert empty.each[2] == 0


# The quantile plot


def test_of_one_component_the_quantile_plot_is_that_of_sorted_distances():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(60, 3))
    model = Mixture([1], [rows.mean(0)], [np.cov(rows.T)])
    found = figures.qq(model, rows)
    squared = np.sort(model.component(0).mahalanobis(rows) ** 2)
    expected = stats.chi2.ppf((np.arange(60) + 0.5) / 60, 3)
    np.testing.assert_allclose(np.interp(found.expected, expected, squared), found.observed, rtol=0.02)
    assert found.observed[-1] == pytest.approx(squared[-1])
    assert found.expected[-1] == pytest.approx(expected[-1])
    assert found.degrees == 3
    low, high = stats.chi2.ppf(stats.beta.ppf([0.025, 0.975], 60, 1), 3)
    assert (found.low[-1], found.high[-1]) == (pytest.approx(low), pytest.approx(high))


@pytest.mark.parametrize("seed", range(4))
def test_rows_from_the_mixture_stay_in_the_band(seed):
    noise = Noise.box([-30, -30], [30, 30], 0.3) if seed % 2 else None
    model = random_mixture(seed, 3, 2, noise)
    rows = model.sample(4000, seed)
    found = figures.qq(model, rows)
    outside = (found.observed < found.low) | (found.observed > found.high)
    assert outside.mean() < 0.15
    for observed, expected in found.components:
        inner = (expected > 0.2) & (expected < 6)
        np.testing.assert_allclose(observed[inner], expected[inner], rtol=0.35)


def test_heavy_tails_leave_the_band_at_the_upper_end():
    rows = np.random.default_rng(0).standard_t(3, size=(2000, 2))
    model = mixtura.fit(rows, 1, "full").model
    found = figures.qq(model, rows)
    assert found.observed[-1] > 2 * found.high[-1]
    assert found.observed[len(found.observed) // 2] < found.low[len(found.observed) // 2]


@pytest.mark.usefixtures("small_blocks")
def test_the_quantile_plot_adds_up_in_blocks_and_with_weights():
    model = random_mixture(31)
    rows = model.sample(300, 0)
    copies = np.random.default_rng(2).integers(0, 3, 300)
    weighted = figures.qq(model, in_blocks(rows, copies.astype(float)))
    repeated = figures.qq(model, np.repeat(rows, copies, axis=0))
    middle = np.interp([0.5, 1, 2, 4], weighted.expected, weighted.observed)
    np.testing.assert_allclose(middle, np.interp([0.5, 1, 2, 4], repeated.expected, repeated.observed), rtol=0.03)
    plain = figures.qq(model, in_blocks(rows))
    again = figures.qq(model, rows)
    np.testing.assert_allclose(plain.observed, again.observed)


def test_less_than_half_a_row_makes_no_point_at_the_end():
    model = Mixture([0.5, 0.5], [[0, 0], [6, 0]], [np.eye(2), np.eye(2)])
    for seed in range(20):
        for observed, expected in figures.qq(model, model.sample(200, seed)).components:
            assert expected[-1] < stats.chi2.ppf(1 - 0.2 / 100, 2)
            assert observed[-1] < 40


def test_rows_out_of_all_reach_have_a_finite_distance():
    model = random_mixture(1)
    found = figures.qq(model, np.vstack([model.sample(50, 0), [[1e200, 0]]]))
    assert np.isfinite(found.observed).all()
    assert found.observed[-1] > 1e300


# Searches


@pytest.fixture(scope="module")
def search():
    return mixtura.fit(FAITHFUL, [1, 2, 3, 4], ["full", "tied"], random_state=0)


def test_the_chart_of_a_choice_is_the_table(search):
    best = (search.best.n_components, search.best.covariance)
    found = figures.choice(search.table(), "bic", best)
    assert [line.covariance for line in found.lines] == ["full", "tied"]
    assert [line.mclust for line in found.lines] == ["VVV", "EEE"]
    for line in found.lines:
        cells = [cell for cell in search.cells if cell.covariance == line.covariance]
        assert line.n_components.tolist() == [cell.n_components for cell in cells]
        assert line.values.tolist() == [cell.bic for cell in cells]
        assert line.errors is None
    assert found.value == search.best.bic
    assert found.ties == tuple((cell.n_components, cell.covariance) for cell in search.ties)
    with pytest.raises(ValueError, match="no criterion 'cv'"):
        figures.choice(search.table(), "cv", best)
    with pytest.raises(ValueError, match="no model of 9 components"):
        figures.choice(search.table(), "bic", (9, "full"))


def test_ties_and_models_that_may_not_be_chosen():
    table = {
        "n_components": [1, 2, 3, 1, 2, 3],
        "covariance": ["full"] * 3 + ["tied"] * 3,
        "mclust": ["VVV"] * 3 + ["EEE"] * 3,
        "bic": [30.0, 10.0, 2.0, 25.0, 11.5, float("nan")],
        "eligible": [True, True, False, True, True, False],
        "converged": [True] * 5 + [False],
    }
    found = figures.choice(table, "bic", (2, "full"))
    assert found.ties == ((2, "tied"),)
    assert found.lines[0].eligible.tolist() == [True, True, False]


def test_convergence_is_the_trace_per_row(search):
    fit = search.fit
    found = figures.convergence(fit.trace, fit.statistics.weight)
    assert found.loglik[-1] == pytest.approx(fit.loglik / 272)
    assert found.gap[-1] == fit.gap
    assert found.passes.tolist() == [step.passes for step in fit.trace]
    assert found.kinds == tuple(step.kind for step in fit.trace)
    assert (np.diff(found.objective) >= -1e-12).all()


def test_the_entropy_curve_is_that_of_the_merging():
    model = mixtura.fit(FAITHFUL, 5, "full", random_state=0).model
    merging = mixtura.merge(model, FAITHFUL)
    found = figures.entropy_curve(merging)
    assert found.clusters.tolist() == [1, 2, 3, 4, 5]
    assert found.suggested == merging.suggested
    merged, entropy = merging.curve
    (x, y), (far, high) = found.pieces
    part = slice(None, found.suggested)
    slope, level = np.polyfit(merged[part], entropy[part], 1)
    np.testing.assert_allclose(y, level + slope * x, atol=1e-8)
    assert far[0] == x[1] == merged[found.suggested - 1]
    assert high[1] > high[0]


def test_a_prior_is_in_the_objective_alone():
    result = mixtura.fit(FAITHFUL, 2, "full", prior=ConjugatePrior(), random_state=0)
    found = figures.convergence(result.fit.trace, result.weight)
    assert found.objective[-1] != found.loglik[-1]
