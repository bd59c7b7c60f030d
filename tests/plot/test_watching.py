"""EM to be watched: the models are those of the climbs, and the page shows them, in a real browser too."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mixtura import Mixture, Status
from mixtura.plot import watch

FAITHFUL = Path(__file__).parents[2] / "examples" / "faithful.csv"


@pytest.fixture(scope="module")
def watching():
    return watch(FAITHFUL, 3, "tied")


def numbers(page):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL).group(1))


def test_each_step_has_the_model_that_was_measured_there(watching):
    rows = pd.read_csv(FAITHFUL).to_numpy()
    for climb in watching.climbs:
        assert climb.fit.status is Status.CONVERGED
        assert len(climb.models) == len(climb.fit.trace)
        for step, model in zip(climb.fit.trace, climb.models, strict=True):
            assert model.loglik(rows) == pytest.approx(step.loglik, rel=1e-10)
    plain, quick = watching.climbs
    assert plain.models[0] == quick.models[0]
    assert {step.kind for step in plain.fit.trace} == {"start", "em"}
    assert "quasi-newton" in {step.kind for step in quick.fit.trace}
    assert plain.fit.n_iter > quick.fit.n_iter
    assert plain.fit.loglik == pytest.approx(quick.fit.loglik, abs=1e-3)
    assert repr(watching) == f"<Watching plain EM {plain.fit.n_iter} passes, accelerated {quick.fit.n_iter} passes>"


def test_a_climb_that_is_cut_short_can_be_watched_too():
    watching = watch(FAITHFUL, 4, max_iter=5)
    for climb in watching.climbs:
        assert climb.fit.status is Status.MAX_ITER
        assert len(climb.models) == len(climb.fit.trace)
    assert "max_iter" in numbers(watching.page())["climbs"][0]["sentence"]


def test_the_page_holds_the_numbers_and_asks_for_nothing(watching):
    page = watching.page()
    data = numbers(page)
    assert data["frames"][0] == 1
    assert data["frames"][-1] == max(climb.fit.trace[-1].passes for climb in watching.climbs)
    for told, climb in zip(data["climbs"], watching.climbs, strict=True):
        for frame, step in zip(data["frames"], told["at"], strict=True):
            before = [s for s in climb.fit.trace if s.passes <= frame]
            assert step == len(before) - 1
            parts = np.array(told["models"][str(step)])
            np.testing.assert_allclose(parts[:, 0], climb.models[step].weights, rtol=1e-6)
            np.testing.assert_allclose(parts[:, 1:3], climb.models[step].means, rtol=1e-6)
            np.testing.assert_allclose(parts[:, 4], climb.models[step].cholesky[:, 1, 0], rtol=1e-5, atol=1e-6)
    assert not re.search(r"(src|href)\s*=|@import|url\((?!#)|fetch\(|XMLHttpRequest|import\(", page)
    assert "default-src 'none'" in page


def test_hostile_names_stay_text():
    table = pd.read_csv(FAITHFUL).set_axis(["</script><b>", '"<img src=x onerror=alert(1)>'], axis=1)
    watching = watch(table, 2)
    page = watching.page()
    assert "<img" not in page
    assert "</script><b>" not in page
    assert '<iframe srcdoc="&lt;!DOCTYPE' in watching._repr_html_()


def test_saved_and_as_a_figure(watching, tmp_path):
    path = tmp_path / "watch.html"
    watching.save(path)
    assert path.read_text(encoding="utf-8") == watching.page()
    figure = watching.figure(9)
    left, right, below = sorted(
        figure.axes, key=lambda ax: (-ax.get_subplotspec().rowspan.start == 0, ax.get_title(loc="left"))
    )
    assert "pass 9" in (left.get_title(loc="left") + right.get_title(loc="left") + below.get_title(loc="left"))
    figure.savefig(tmp_path / "frame.png")


def test_a_start_of_ones_own():
    start = Mixture([0.5, 0.5], [[2, 50], [4, 80]], [np.diag([1, 100])] * 2)
    watching = watch(FAITHFUL, start=start, sample_weight=np.ones(272))
    assert watching.climbs[0].models[0] == start


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros((5, 3)),), "takes two columns, got 3"),
        ((np.zeros((5, 2)), 2), "1 different rows cannot hold 2 components"),
        ((FAITHFUL, 2, "fool"), "fool"),
    ],
)
def test_what_cannot_be_watched_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        watch(*arguments)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1200])
def test_in_a_browser(watching, tmp_path, width, scheme):
    sync_api = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium")
    path = tmp_path / "watch.html"
    watching.save(path)
    told, asked = [], []
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page.on("console", lambda message: told.append(message.text))
        page.on("pageerror", lambda error: told.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path.as_uri())

        def ellipse():
            return page.eval_on_selector("svg polygon", "shape => shape.getAttribute('points')")

        start = ellipse()
        assert page.inner_text("#passes").startswith("pass 1 of")
        page.keyboard.press("ArrowRight")
        assert page.inner_text("#passes").startswith("pass 2 of")
        assert ellipse() != start
        page.focus("#slider")
        page.keyboard.press("End")
        assert "Converged" in page.inner_text("figcaption")
        page.keyboard.press("Home")
        page.keyboard.press("Space")
        sync_api.expect(page.locator("#passes")).to_have_text(re.compile("pass [4-9] of"))
        assert page.inner_text("#play") == "Pause"
        page.keyboard.press("Space")
        assert page.inner_text("#play") == "Play"
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert len(page.query_selector_all("circle")) > 2 * 250
        browser.close()
    assert told == []
    assert asked == [path.as_uri()]
