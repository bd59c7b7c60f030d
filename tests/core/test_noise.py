"""The noise component: against sums written out, and against the distribution that its region makes of it."""

from __future__ import annotations

import importlib
import pickle

import numpy as np
import pytest

from mixtura import Mixture, Noise, e_step, kl_divergence
from mixtura.kernels import reference

BOX = Noise.box([-9.0, -4.0], [6.0, 8.0], weight=0.2)
TURNED = BOX.transform(np.array([[1.0, 0.5], [-0.3, 2.0]]), np.array([1.0, -1.0]))


@pytest.fixture
def noisy(make):
    """(kind, noise) → a mixture with that noise beside its three Gaussians."""

    def with_noise(kind: str, noise: Noise = BOX, n_features: int = 2) -> Mixture:
        plain = make(kind, 3, n_features)
        return Mixture(plain.weights * (1 - noise.weight), plain.means, plain.structure, noise=noise)

    return with_noise


def shares(model: Mixture, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N,) densities and (N, K + 1) responsibilities, the noise's the last, written out."""
    joint = [model.weights[k] * model.component(k).pdf(rows) for k in range(model.n_components)]
    joint.append(np.full(len(rows), model.noise.weight * np.exp(model.noise.log_density)))
    density = np.sum(joint, axis=0)
    return density, np.transpose(joint) / density[:, None]


def test_densities_and_responsibilities(kind, rows, noisy, make):
    model = noisy(kind)
    density, share = shares(model, rows)
    assert model.pdf(rows) == pytest.approx(density, rel=1e-12)
    assert model.responsibilities(rows) == pytest.approx(share[:, :-1], rel=1e-11)
    assert model.noise_probability(rows) == pytest.approx(share[:, -1], rel=1e-11)
    called = model.predict(rows)
    assert set(called) >= {-1, 0}
    assert np.array_equal(called, np.where(share.argmax(1) == 3, -1, share.argmax(1)))
    assert make(kind).noise_probability(rows).tolist() == [0.0] * len(rows)


@pytest.mark.parametrize("name", ["reference", "compiled", "single"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_features", [1, 2, 5])
def test_statistics(kind, name, weighted, n_features, noisy):
    kernel = importlib.import_module(f"mixtura.kernels.{name}")
    model = noisy(kind, Noise.of_density(1e-3**n_features, weight=0.3), n_features)
    rng = np.random.default_rng(0)
    rows = 4 * rng.standard_normal((150, n_features))
    weights = rng.exponential(size=150) if weighted else None
    sums = kernel.accumulate(rows, weights, model.whitened)
    density, share = shares(model, rows)
    share *= np.ones((150, 1)) if weights is None else weights[:, None]
    assert sums.loglik == pytest.approx(np.log(density) @ (np.ones(150) if weights is None else weights), rel=1e-12)
    assert sums.noise == pytest.approx(share[:, -1].sum(), rel=1e-12)
    again = reference.moments(rows, share[:, :-1], model.means, kind)
    for one, other in zip(sums[1:4], again[1:4], strict=True):
        assert one.shape == other.shape
        assert one == pytest.approx(other, rel=1e-9, abs=1e-11)


@pytest.mark.parametrize("name", ["reference", "compiled", "single"])
def test_rows_that_are_far_from_everything_are_noise(kind, name, noisy):
    kernel = importlib.import_module(f"mixtura.kernels.{name}")
    model = noisy(kind)
    far = np.array([[1e5, 0.0], [1e160, -1e160], [1e308, -1e308]])
    assert model.predict(far).tolist() == [-1, -1, -1]
    assert model.noise_probability(far).tolist() == [1.0, 1.0, 1.0]
    assert model.logpdf(far) == pytest.approx(np.full(3, model.noise.log_joint), rel=1e-14)
    assert kernel.accumulate(far[:2], None, model.whitened).noise == pytest.approx(2.0)
    assert e_step(model, far).noise == pytest.approx(3.0)
    assert e_step(model, far).n.tolist() == [0.0, 0.0, 0.0]


def test_statistics_add_and_scale(kind, rows, noisy):
    model = noisy(kind)
    whole, halves = e_step(model, rows), e_step(model, rows[:20]) + e_step(model, rows[20:])
    assert whole.noise == pytest.approx(halves.noise, rel=1e-13)
    assert whole.noise + whole.n.sum() == pytest.approx(len(rows))
    assert whole.scale(3.0).noise == pytest.approx(3 * whole.noise)
    assert whole.take(np.array([2, 0, 1])).noise == whole.recentre(model.means + 1).noise == whole.noise


@pytest.mark.parametrize("noise", [BOX, TURNED], ids=["box", "parallelepiped"])
def test_moments_and_samples(noise, noisy):
    model = noisy("full", noise)
    rows, labels = model.sample(200_000, 3, return_labels=True)
    assert (labels == -1).mean() == pytest.approx(noise.weight, abs=4e-3)
    assert rows.mean(0) == pytest.approx(model.mean, abs=0.04)
    assert np.cov(rows.T) == pytest.approx(model.cov, abs=0.2)
    inside = np.linalg.solve(noise.edges, (rows[labels == -1] - noise.origin).T)
    assert inside.min() >= 0
    assert inside.max() <= 1
    assert inside.mean(1) == pytest.approx([0.5, 0.5], abs=0.01)
    assert np.exp(-noise.log_density) == pytest.approx(abs(np.linalg.det(noise.edges)))


def test_marginal_times_conditional_is_the_density(kind, noisy):
    model = noisy(kind)
    marginal = model.marginal(1)
    assert marginal.noise == Noise.box([-4.0], [8.0], weight=0.2)
    for x, y in ((0.3, 0.1), (-5.0, 7.0)):
        given = model.condition({1: y})
        assert given.noise.weight == pytest.approx(float(marginal.noise_probability([y])[0]))
        assert given.logpdf([x])[0] + marginal.logpdf([y])[0] == pytest.approx(model.logpdf([x, y]), rel=1e-12)


def test_an_affine_map_moves_the_density(rows, noisy):
    model, matrix, offset = noisy("full"), np.array([[1.0, 0.5], [-0.3, 2.0]]), np.array([1.0, -1.0])
    there = model.transform(matrix, offset)
    volume = np.log(abs(np.linalg.det(matrix)))
    assert there.logpdf(rows @ matrix.T + offset) == pytest.approx(model.logpdf(rows) - volume, rel=1e-12)
    bare = Mixture(model.weights, model.means, model.structure, noise=Noise.of_density(1e-3, 0.2))
    assert bare.transform(2.0).noise.log_density == pytest.approx(np.log(1e-3 / 4))


def test_what_a_density_alone_does_not_tell(noisy, make):
    model = noisy("full", Noise.of_density(0.01, 0.2))
    for ask in (lambda: model.sample(5), lambda: model.mean, lambda: model.cov, lambda: model.marginal(0)):
        with pytest.raises(ValueError, match="density alone"):
            ask()
    with pytest.raises(ValueError, match="not a box"):
        noisy("full", TURNED).marginal(0)
    with pytest.raises(ValueError, match="more rows than columns"):
        noisy("full").transform(np.ones((1, 2)))
    for ask in (model.modes, model.entropy_bounds, lambda: model.cdf([0, 0]), lambda: kl_divergence(model, model)):
        with pytest.raises(ValueError, match="without_noise"):
            ask()
    assert model.without_noise().weights == pytest.approx(make("full").weights)


def test_a_mixture_with_noise_is_a_value(noisy):
    model = noisy("full")
    same = noisy("full", Noise.box([-9.0, -4.0], [6.0, 8.0], weight=0.2))
    assert model == same
    assert hash(model) == hash(same)
    assert model != noisy("full", BOX.weighing(0.2 + 1e-12))
    assert model != noisy("full", Noise.of_density(0.01, 0.2))
    assert pickle.loads(pickle.dumps(model)) == model
    assert model.reorder([2, 0, 1]).noise == BOX
    assert "20.0% noise" in repr(model)
    with pytest.raises(ValueError, match="read-only"):
        model.noise.edges[0, 0] = 1.0


@pytest.mark.parametrize(
    ("attempt", "words"),
    [
        (lambda: Noise.of_density(0.0), "positive and finite"),
        (lambda: Noise.of_density(np.inf), "positive and finite"),
        (lambda: Noise.box([0.0, 1.0], [1.0, 1.0]), "column 1"),
        (lambda: Noise.box([0.0], [1.0, 1.0]), "shapes"),
        (lambda: Noise.of_density(1.0, weight=1.5), "between 0 and 1"),
        (lambda: Mixture([1.0], [0.0], [1.0], noise=Noise.of_density(1.0, 0.1)), "which the noise leaves"),
        (lambda: Mixture([0.8], [0.0], [1.0], noise=BOX), "noise has 2 columns"),
    ],
)
def test_what_cannot_be(attempt, words):
    with pytest.raises(ValueError, match=words):
        attempt()


def test_the_weight_may_be_nothing_or_all():
    assert [Noise.of_density(1.0, weight).weight for weight in (0.0, 1.0)] == [0.0, 1.0]
