"""Every picture: the numbers of mixtura.figures are drawn; nothing global is touched; no text covers another."""

import base64
import itertools
import re
import subprocess
import sys
import warnings
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.testing.compare import compare_images
from matplotlib.text import Text

import mixtura
from mixtura import GaussianMixture, GaussianMixtureSelector, Mixture, Noise, figures, plot
from mixtura.plot import style

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
FAITHFUL = pd.read_csv(ROOT / "examples" / "faithful.csv")
ALL = [name for name in plot.__all__ if name.endswith("Display")]
#: What each takes: rows or the mixture alone, a trace, a table.
OF_MIXTURES = ["MixtureDisplay", "DensityDisplay", "PairsDisplay", "ProjectionDisplay", "UncertaintyDisplay"]
OF_ROWS = [*OF_MIXTURES, "QQDisplay", "EntropyDisplay"]
SLOW = pytest.mark.slow
OF_MODELS = [*OF_MIXTURES, "ProfileDisplay", "OverlapDisplay"]


@pytest.fixture(scope="module")
def result():
    return mixtura.fit(FAITHFUL, [1, 2, 3], ["full", "tied"], random_state=0)


@pytest.fixture(scope="module")
def iris():
    return mixtura.fit(ROOT / "examples" / "iris.csv", [3], ["full"], random_state=0)


@pytest.fixture(scope="module")
def forty():
    rng = np.random.default_rng(1)
    spread = rng.uniform(0.2, 1.5, (40, 2))
    return Mixture(rng.dirichlet(np.full(40, 4)), rng.uniform(0, 30, (40, 2)), [np.diag(s) for s in spread])


@pytest.fixture(autouse=True)
def nothing_global():
    before = dict(mpl.rcParams)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
    assert dict(mpl.rcParams) == before
    if "matplotlib.pyplot" in sys.modules:
        assert sys.modules["matplotlib.pyplot"].get_fignums() == []


def display(name, *args, **options):
    found = getattr(plot, name).from_estimator(*args, **options)
    assert found.figure_ is found.ax_.get_figure()
    assert all(ax.get_figure() is found.figure_ for ax in found.axes_)
    assert len(found.description) > 20
    return found


def drawn(figure):
    """The figure, drawn, and the boxes of all text in it that can be seen."""
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer() if hasattr(figure.canvas, "get_renderer") else figure._get_renderer()
    boxes = {}
    for text in figure.findobj(Text):
        parents = getattr(text, "axes", None)
        if text.get_visible() and text.get_text().strip() and (parents is None or parents.get_visible()):
            boxes[text] = text.get_window_extent(renderer)
    return boxes


def covered(figure):
    """Pairs of texts of which one covers the other; ticks outside the frame are not drawn."""
    boxes = drawn(figure)
    for axis in (axis for ax in figure.axes for axis in (ax.xaxis, ax.yaxis)):
        inside = {label for tick in axis._update_ticks() for label in (tick.label1, tick.label2)}
        for tick in (*axis.majorTicks, *axis.minorTicks):
            for label in {tick.label1, tick.label2} - inside:
                boxes.pop(label, None)
    return [
        (one.get_text(), other.get_text())
        for (one, first), (other, second) in itertools.combinations(boxes.items(), 2)
        if first.shrunk(0.98, 0.9).overlaps(second.shrunk(0.98, 0.9))  # the boxes of fonts hold some air
    ]


# What they take


@pytest.mark.parametrize("name", ALL)
def test_every_picture_of_a_result(name, result):
    found = display(name, result)
    assert covered(found.figure_) == []
    with_width, height = found.figure_.get_size_inches()
    assert 2 < with_width < 15
    assert 2 < height < 13


@pytest.mark.parametrize("name", OF_ROWS)
@pytest.mark.parametrize(
    "kind", ["fit", *(pytest.param(kind, marks=SLOW) for kind in ("estimator", "mixture", "path"))]
)
def test_pictures_of_rows(name, kind, result):
    of = {
        "fit": (result.fit, FAITHFUL),
        "estimator": (GaussianMixture(2, random_state=0).fit(FAITHFUL), FAITHFUL),
        "mixture": (result.model, FAITHFUL[["waiting", "eruptions"]]),  # taken by name
        "path": (result.model, ROOT / "examples" / "faithful.csv"),
    }
    display(name, *of[kind])


@pytest.mark.parametrize("name", OF_MODELS)
def test_pictures_of_mixtures_without_rows(name, result, iris):
    assert covered(display(name, result.model).figure_) == []
    if name != "UncertaintyDisplay":
        display(name, iris.model)


def test_a_search_and_a_climb_of_estimators(result):
    selector = GaussianMixtureSelector([1, 2], covariances=["full", "tied"], random_state=0).fit(FAITHFUL)
    assert display("ChoiceDisplay", selector).choice.best == (selector.n_components_, selector.covariance_type_)
    fitted = display("ConvergenceDisplay", GaussianMixture(3, covariance_type="tied", random_state=0).fit(FAITHFUL))
    assert fitted.convergence.loglik[-1] == pytest.approx(result.fit.loglik / 272, rel=1e-6)
    display("ConvergenceDisplay", selector)
    display("ConvergenceDisplay", result.fit)
    display("EntropyDisplay", result.merge(FAITHFUL))


@pytest.mark.parametrize(
    ("name", "args", "error", "message"),
    [
        ("MixtureDisplay", (3,), TypeError, "expected a Result, Fit, fitted GaussianMixture or Mixture, got int"),
        ("MixtureDisplay", (GaussianMixture(),), TypeError, "call fit first"),
        ("QQDisplay", (Mixture([1], [0], [1]),), ValueError, "needs the rows"),
        ("MixtureDisplay", (Mixture([1], [0], [1]),), ValueError, "take DensityDisplay"),
        ("ProjectionDisplay", (Mixture([1], [0], [1]),), ValueError, "take DensityDisplay"),
        ("PairsDisplay", (Mixture([1], [0], [1]),), ValueError, "take DensityDisplay"),
        ("UncertaintyDisplay", (Mixture([1], [[0, 0, 0]], [np.eye(3)]),), ValueError, "needs the rows"),
        ("EntropyDisplay", (Mixture([1], [0], [1]), [[0.0], [1.0]]), ValueError, "one component"),
        ("ChoiceDisplay", (Mixture([1], [0], [1]),), TypeError, "table of candidates, got Mixture"),
        ("ConvergenceDisplay", (Mixture([1], [0], [1]),), TypeError, "got Mixture"),
    ],
)
def test_what_cannot_be_drawn_is_refused(name, args, error, message):
    with pytest.raises(error, match=message):
        getattr(plot, name).from_estimator(*args)


def test_weights_go_with_rows(result):
    with pytest.raises(ValueError, match="goes with rows"):
        plot.QQDisplay.from_estimator(result, sample_weight=np.ones(272))


@pytest.mark.parametrize("name", ALL)
def test_on_given_axes(name, result):
    figure = Figure(layout="constrained")
    left, right = figure.subplots(1, 2)
    found = display(name, result, ax=left)
    assert found.ax_ is left
    assert found._repr_html_() is None
    again = found.plot(right)
    assert again is found
    assert again.ax_ is right
    assert not right.get_title() or name != "PairsDisplay"


def test_parts_need_axes_of_a_grid(result):
    with pytest.raises(ValueError, match="axes of a grid"):
        plot.PairsDisplay.from_estimator(result, ax=Figure().add_axes((0, 0, 1, 1)))


@pytest.mark.parametrize("backend", ["png", "svg", "pdf"])
def test_every_format(backend, result, tmp_path):
    path = tmp_path / f"picture.{backend}"
    plot.MixtureDisplay.from_estimator(result).figure_.savefig(path)
    assert path.stat().st_size > 5_000


def test_in_a_notebook(result):
    page = plot.DensityDisplay.from_estimator(result)._repr_html_()
    data, alt = re.fullmatch(r'<img src="data:image/png;base64,([^"]+)" alt="([^"]+)" style="[^"]+">', page).groups()
    assert base64.b64decode(data).startswith(b"\x89PNG")
    assert "eruptions" in alt


# What is drawn


def test_rows_ellipses_and_contours_are_the_numbers(result):
    found = display("MixtureDisplay", result)
    points = [c for c in found.ax_.collections if isinstance(c, PathCollection)]
    assert len(points) == 3
    for k, shown in enumerate(points):
        mine = found.rows.labels == k
        np.testing.assert_allclose(shown.get_offsets(), found.rows.rows[mine])
        times = shown.get_sizes() / shown.get_sizes().min()
        np.testing.assert_allclose(times, found.rows.weights[mine] / found.rows.weights.min())
        assert mpl.colors.same_color(shown.get_facecolor()[:, :3], mpl.colors.to_rgb(style.colour(k)))
    for k, (line, ellipse) in enumerate(zip(found.ax_.lines, figures.ellipses(result.model), strict=True)):
        np.testing.assert_allclose(line.get_xydata(), ellipse.outline())
        assert line.get_color() == style.colour(k)
    filled = next(c for c in found.ax_.collections if isinstance(c, mpl.contour.QuadContourSet) and c.filled)
    np.testing.assert_allclose(filled.levels[:-1], figures.surface(result.model, limits=found.limits).levels, rtol=1e-9)
    low, high = FAITHFUL.to_numpy().min(0), FAITHFUL.to_numpy().max(0)
    for (left, right), a, b in zip((found.ax_.get_xlim(), found.ax_.get_ylim()), low, high, strict=True):
        assert left < a < b < right


def test_a_legend_gives_the_weights(result):
    entries = [t.get_text() for t in display("MixtureDisplay", result).ax_.get_legend().get_texts()]
    assert entries == [f"{k}  {100 * w:.3g} %" for k, w in enumerate(result.model.weights)]


def test_colours_and_markers_tell_components_apart():
    looks = {(style.colour(k), style.marker(k)) for k in range(42)}
    assert len(looks) == 42
    assert (style.colour(-1), style.marker(-1)) not in looks


def test_curves_are_the_numbers(result):
    found = display("DensityDisplay", result, column="waiting")
    *parts, whole = found.ax_.lines
    for line, part in zip(parts, found.curve.components, strict=True):
        np.testing.assert_array_equal(line.get_ydata(), part)
    np.testing.assert_array_equal(whole.get_ydata(), found.curve.density)
    np.testing.assert_allclose(whole.get_ydata(), result.model.marginal("waiting").pdf(whole.get_xdata()))
    (bars,) = (p for p in found.ax_.patches if isinstance(p, mpl.patches.StepPatch))
    np.testing.assert_array_equal(bars.get_data().values, found.histogram.density)


def test_noise_is_shown():
    rng = np.random.default_rng(0)
    rows = np.vstack([rng.normal(size=(200, 2)), rng.uniform(-15, 15, (50, 2))])
    result = mixtura.fit(rows, 1, "full", noise=Noise.box([-15, -15], [15, 15]), random_state=0)
    found = display("MixtureDisplay", result)
    noise = next(c for c in found.ax_.collections if isinstance(c, PathCollection))
    np.testing.assert_allclose(noise.get_offsets(), found.rows.rows[found.rows.labels == -1])
    assert found.ax_.get_legend().get_texts()[-1].get_text().startswith("noise")
    curve = plot.DensityDisplay.from_estimator(result, column=0)
    dotted = [line for line in curve.ax_.lines if line.get_linestyle() == ":"]
    np.testing.assert_array_equal(dotted[0].get_ydata(), curve.curve.noise)


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_every_picture_with_noise(name):
    rng = np.random.default_rng(0)
    rows = np.vstack([rng.normal(size=(200, 2)), rng.normal(5, 1, size=(200, 2)), rng.uniform(-15, 15, (50, 2))])
    result = mixtura.fit(rows, 2, "full", noise=True, random_state=0)
    assert covered(display(name, result).figure_) == []


@pytest.fixture(scope="module")
def many():
    model = Mixture([0.6, 0.4], [[0, 0, 0], [6, 4, 1]], [np.eye(3), 2 * np.eye(3)])
    return model, model.sample(figures.MOST_DRAWN + 1, 0)


@pytest.mark.parametrize("name", ["MixtureDisplay", *(pytest.param(name, marks=SLOW) for name in OF_ROWS[1:])])
def test_of_many_rows_none_is_drawn_alone(name, many, tmp_path):
    found = display(name, *many)
    for ax in found.axes_:
        assert all(len(c.get_offsets()) < 1000 for c in ax.collections if isinstance(c, PathCollection))
    found.figure_.savefig(tmp_path / "picture.svg")
    assert (tmp_path / "picture.svg").stat().st_size < 800_000


def test_hexagons_are_the_numbers(many):
    model, rows = many
    found = display("MixtureDisplay", model, rows, columns=[0, 2])
    expected = figures.hexagons(model, rows, columns=[0, 2])
    (shapes,) = (c for c in found.ax_.collections if isinstance(c, PolyCollection) and c.get_rasterized())
    corners = np.array([path.vertices[:6] for path in shapes.get_paths()])
    np.testing.assert_allclose(corners.mean(1), expected.centres, atol=1e-9)
    faces = shapes.get_facecolor()
    np.testing.assert_allclose(faces[:, :3], [mpl.colors.to_rgb(style.colour(k)) for k in expected.labels])
    order = np.argsort(expected.weights)
    assert (np.diff(faces[order, 3]) >= -1e-12).all()
    grey = display("UncertaintyDisplay", model, rows)
    assert isinstance(grey.rows, figures.Hexagons)


def test_pairs_share_their_axes(iris):
    found = display("PairsDisplay", iris)
    assert covered(found.figure_) == []
    assert len(found.axes_) == 10
    assert found.axes_[1].get_ylabel() == "Sepal.Width"
    assert found.axes_[1].get_xlim() == found.axes_[6].get_xlim()
    assert found.parts[2, 0].view.names == ("Sepal.Length", "Petal.Length")
    two = display("PairsDisplay", iris, columns=["Petal.Width", 0])
    assert two.columns == [3, 0]


def test_by_default_the_columns_that_tell_most(iris):
    assert display("MixtureDisplay", iris).view.names == ("Petal.Length", "Petal.Width")
    assert display("DensityDisplay", iris).curve.view.names[0].startswith("Petal")


def test_a_projection_names_its_columns(iris):
    found = display("ProjectionDisplay", iris)
    first = found.projection.correlations[:, 0]
    assert f"Petal.Length\u00a0{first[2]:+.2f}" in found.ax_.get_xlabel()
    line = found.ax_.lines[0]
    seen = found.view.mixture(iris.model)
    np.testing.assert_allclose(line.get_xydata(), figures.ellipses(seen)[0].outline(), atol=1e-9)


def test_uncertain_rows_are_larger(result):
    found = display("UncertaintyDisplay", result)
    for k, shown in enumerate(c for c in found.ax_.collections if isinstance(c, PathCollection)):
        mine = found.rows.labels == k
        order = np.argsort(found.rows.uncertainty[mine])
        assert (np.diff(shown.get_sizes()[order]) >= -1e-9).all()
    mesh = found.ax_.collections[0]
    np.testing.assert_allclose(np.ravel(mesh.get_array()), found.territory.uncertainty.ravel())
    line = display("UncertaintyDisplay", mixtura.fit(ROOT / "examples" / "galaxies.csv", 3, "full", random_state=0))
    np.testing.assert_array_equal(line.ax_.lines[0].get_ydata(), line.territory.uncertainty)
    assert covered(line.figure_) == []


def test_a_profile_is_the_numbers(iris):
    found = display("ProfileDisplay", iris)
    above, below, _ = found.axes_
    told = figures.profile(iris.model)
    np.testing.assert_allclose([bar.get_height() for bar in above.patches], told.information[told.order])
    np.testing.assert_allclose(below.images[0].get_array(), told.means[:, told.order])
    assert [t.get_text() for t in below.get_xticklabels()] == [told.columns[j] for j in told.order]
    few = display("ProfileDisplay", iris, most=2)
    assert len(few.columns) == 2


def test_an_overlap_is_the_numbers(result):
    found = display("OverlapDisplay", result)
    np.testing.assert_allclose(found.overlap, result.model.overlap())
    shown = found.ax_.images[0].get_array()
    off = ~np.eye(3, dtype=bool)
    np.testing.assert_allclose(shown[off], np.maximum(found.overlap, 1e-4)[off])
    cells = [text.get_text() for text in found.ax_.texts]
    assert cells == ["<0.01" if 0 < x < 1e-4 else f"{100 * x:.3g}" for x in found.overlap[off]]


def test_a_quantile_plot_is_the_numbers(result):
    found = display("QQDisplay", result)
    *_, points = found.ax_.lines
    np.testing.assert_array_equal(points.get_xdata(), np.sqrt(found.qq.expected))
    np.testing.assert_array_equal(points.get_ydata(), np.sqrt(found.qq.observed))
    assert "2 degrees of freedom" in found.ax_.get_xlabel()


def test_a_choice_is_the_numbers(result):
    found = display("ChoiceDisplay", result)
    for line, numbers in zip(found.ax_.lines[::2], found.choice.lines, strict=False):
        np.testing.assert_array_equal(line.get_xdata(), numbers.n_components)
        np.testing.assert_allclose(line.get_ydata(), numbers.values - result.best.bic)
    ring = found.ax_.lines[-1]
    assert (ring.get_xdata()[0], ring.get_ydata()[0]) == (3, 0)
    assert found.ax_.get_title(loc="left").startswith("chosen: 3 tied (BIC ")
    by_aic = display("ChoiceDisplay", result, criterion="aic")
    assert by_aic.choice.value == result.best.aic


def test_models_that_may_not_be_chosen_are_hollow_and_cross_validation_has_errors():
    table = {
        "n_components": [1, 2, 3], "covariance": ["full"] * 3, "mclust": ["VVV"] * 3, "cv": [9.0, 5.0, 1.0],
        "cv_error": [1.0, 1.0, 2.0], "eligible": [True, True, False], "converged": [True] * 3,
    }  # fmt: skip
    found = plot.ChoiceDisplay(figures.choice(table, "cv", (2, "full"))).plot()
    line, hollow = found.ax_.lines[0], next(x for x in found.ax_.lines if x.get_markerfacecolor() == "white")
    assert hollow.get_xdata().tolist() == [3]
    assert line.get_ydata().tolist() == [4, 0, -4]
    assert found.ax_.collections
    assert covered(found.figure_) == []


def test_a_climb_is_the_numbers(result):
    found = display("ConvergenceDisplay", result)
    above, below = found.axes_
    assert above.lines[0].get_ydata()[-1] == pytest.approx(result.fit.loglik / 272)
    assert below.lines[0].get_ydata()[-1] == result.fit.gap
    assert below.get_yscale() == "log"
    assert above.get_title(loc="left").startswith("converged after")


def test_a_climb_that_was_cut_short_says_so():
    short = mixtura.fit(ROOT / "examples" / "diabetes.csv", 5, "full", max_iter=2, random_state=0)
    found = display("ConvergenceDisplay", short)
    assert found.axes_[0].get_title(loc="left").startswith("not converged after")
    assert "max_iter" in found.description
    assert covered(found.figure_) == []


def test_an_entropy_curve_is_the_numbers():
    merging = mixtura.fit(FAITHFUL, 5, "full", random_state=0).merge(FAITHFUL)
    found = display("EntropyDisplay", merging)
    merged, entropy = merging.curve
    line = next(x for x in found.ax_.lines if len(x.get_xdata()) == 5)
    np.testing.assert_array_equal(line.get_xdata(), merged)
    np.testing.assert_array_equal(line.get_ydata(), entropy)
    ring = found.ax_.lines[-1]
    assert ring.get_ydata()[0] == entropy[merging.suggested - 1]


# Hard cases


@pytest.mark.parametrize(
    "name",
    ["MixtureDisplay", *(pytest.param(name, marks=SLOW) for name in [*OF_MIXTURES[1:], "QQDisplay", "ProfileDisplay"])],
)
def test_forty_components_stay_legible(name, forty):
    found = display(name, forty, *([] if name == "ProfileDisplay" else [forty.sample(3000, 0)]))
    assert covered(found.figure_) == []
    assert found.ax_.get_legend() is None or name == "QQDisplay"


def test_numbers_move_aside_but_stay_near(forty):
    found = plot.MixtureDisplay.from_estimator(forty, columns=[0, 1])
    boxes = drawn(found.figure_)
    numbers = next(a for a in found.ax_.get_children() if isinstance(a, style.Numbers))
    shown = [text for text in numbers.texts if text in boxes]
    assert len(shown) >= 38
    order = np.argsort(-forty.weights, kind="stable")
    for text, k in zip(numbers.texts, order, strict=True):
        if text in boxes:
            assert text.get_text() == str(k)
            place = found.ax_.transData.transform(forty.means[k])
            assert np.hypot(*(np.array(text.get_position()) - place)) < 60


@pytest.mark.parametrize("name", [*(pytest.param(name, marks=SLOW) for name in ALL[:3]), *ALL[3:]])
def test_hostile_names(name):
    names = ["$\\frac{$ & <b>", "a\nb\x1b[31m" + 80 * "long", "\u202eabc\u2066 日本"]
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 3)) + np.repeat([[0], [6]], 30, 0), columns=names)
    result = mixtura.fit(table, 2, "full", random_state=0)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph", UserWarning)  # the font that comes with matplotlib has no Japanese
        found = display(name, result)
        drawn(found.figure_)
    texts = [text.get_text() for text in found.figure_.findobj(Text)]
    assert not any("\x1b" in text or "\u202e" in text for text in texts)


@pytest.mark.parametrize("rows", [np.zeros((5, 2)), [[1.0, 2], [1, 2], [1, 3]], np.arange(8.0).reshape(4, 2) * 1e300])
@pytest.mark.parametrize("name", ["MixtureDisplay", *(pytest.param(name, marks=SLOW) for name in OF_ROWS[1:])])
def test_odd_rows(name, rows):
    model = Mixture([0.5, 0.5], [[0, 0], [1, 2]], [np.eye(2), 2 * np.eye(2)])
    drawn(display(name, model, rows).figure_)


@pytest.mark.parametrize("name", OF_MODELS)
def test_odd_mixtures(name):
    empty = Mixture([0.7, 0.3, 0.0], [[0, 0], [5, 5], [9, 9]], [np.eye(2), 1e-10 * np.eye(2), 1e10 * np.eye(2)])
    drawn(display(name, empty).figure_)
    drawn(display(name, Mixture([1], [[1e8, -1e-8]], [np.diag([1e6, 1e-20])])).figure_)


def test_weighted_rows_have_larger_markers(result):
    weights = np.random.default_rng(0).exponential(size=272)
    found = display("MixtureDisplay", result.model, FAITHFUL, sample_weight=weights)
    sizes = np.concatenate([c.get_sizes() for c in found.ax_.collections if isinstance(c, PathCollection)])
    assert sizes.max() > 3 * np.median(sizes)


# The package


def run(code):
    environment = {"PYTHONPATH": str(ROOT / "src"), "PATH": "/usr/bin:/bin", "MPLCONFIGDIR": "/nonexistent"}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=environment, check=False
    )


def test_without_matplotlib_one_sentence_says_what_to_do():
    code = """
import sys
sys.modules["matplotlib"] = None
import mixtura
mixtura.plot.watch
try:
    mixtura.plot.MixtureDisplay
except ImportError as error:
    print(error)
"""
    assert run(code).stdout == 'mixtura.plot draws with matplotlib: pip install "mixtura[plots]"\n'


def test_pyplot_is_never_imported_and_matplotlib_only_when_needed():
    code = """
import sys, mixtura
mixtura.plot, mixtura.figures
assert "matplotlib" not in sys.modules
model = mixtura.Mixture([0.5, 0.5], [[0, 0], [4, 4]], [[[1, 0], [0, 1]]] * 2)
mixtura.plot.MixtureDisplay.from_estimator(model).figure_.savefig("/dev/null", format="png")
assert "matplotlib.pyplot" not in sys.modules
print("fine")
"""
    found = run(code)
    assert found.stdout == "fine\n", found.stderr


def test_the_names_of_the_package():
    assert set(plot.__all__) <= set(dir(plot))
    assert {"plot", "figures"} <= set(dir(mixtura))
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        getattr(plot, "Nothing")  # noqa: B009 (as a statement it would be useless)


# Pictures that were looked at


def looked_at(name, result, many):
    made = {
        "mixture": lambda: plot.MixtureDisplay.from_estimator(result),
        "hexagons": lambda: plot.MixtureDisplay.from_estimator(*many),
        "curve": lambda: plot.DensityDisplay.from_estimator(result, column="waiting"),
        "choice": lambda: plot.ChoiceDisplay.from_estimator(result),
    }[name]()
    for ax in made.figure_.axes:  # fonts differ from machine to machine
        for text in (ax.title, ax._left_title, ax.xaxis.label, ax.yaxis.label):
            text.set_visible(False)
        ax.tick_params(labelbottom=False, labelleft=False)
        if ax.get_legend():
            ax.get_legend().remove()
        for numbers in ax.findobj(style.Numbers):
            numbers.set_visible(False)
    return made.figure_


@pytest.mark.parametrize("name", ["mixture", "hexagons", "curve", "choice"])
def test_pictures_look_as_they_did(name, result, many, tmp_path):
    figure = looked_at(name, result, many)
    figure.savefig(tmp_path / f"{name}.png", dpi=50)
    assert imread(tmp_path / f"{name}.png").shape == (230, 320, 4)
    assert compare_images(str(HERE / "pictures" / f"{name}.png"), str(tmp_path / f"{name}.png"), tol=6) is None
