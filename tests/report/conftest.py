"""Results to report on, and a browser to open the reports in."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mixtura

ROOT = Path(__file__).parents[2]
#: Names that would do harm if they were more than text.
HOSTILE = (
    "<script>alert(1)</script>",
    "a\"b'c&d</script><img src=x onerror=alert(2)>",
    "שלום \u202e\x1b[31m\x00",
    "{{ 7 * 7 }} $x$ | `" + "long " * 80,
)
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def blobs(n: int, d: int, k: int, apart: float = 6.0) -> np.ndarray:
    """Rows in k round groups."""
    rng = np.random.default_rng(0)
    return np.concatenate([rng.normal(apart * rng.normal(size=d), 1.0, (n // k, d)) for _ in range(k)])


def faithful():
    return mixtura.fit(ROOT / "examples" / "faithful.csv", [1, 2, 3, 4], ["full", "tied"], random_state=0)


def iris():
    return mixtura.fit(ROOT / "examples" / "iris.csv", [2, 3], ["full", "diag"], random_state=0)


def acidity():
    return mixtura.fit(ROOT / "examples" / "acidity.csv", [1, 2, 3], "full", random_state=0)


def hostile():
    return mixtura.fit(pd.DataFrame(blobs(200, 4, 2), columns=HOSTILE), [1, 2], "diag", random_state=0)


def single():
    return mixtura.fit(np.random.default_rng(0).normal(size=(90, 2)), 1, "full", random_state=0)


def stopped():
    return mixtura.fit(ROOT / "examples" / "faithful.csv", [2, 3], "full", max_iter=1, random_state=0)


def noisy():
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(0, 1, (120, 2)), rng.normal(9, 1, (120, 2)), rng.uniform(-20, 30, (40, 2))])
    return mixtura.fit(rows, [1, 2], "full", noise=True, random_state=0)


def many():
    """More columns and more components than are drawn side by side, one column constant."""
    rows = np.column_stack([blobs(1300, 13, 13), np.ones(1300)])
    return mixtura.fit(rows, 13, "diag", n_init=1, random_state=0)


def counted():
    """More rows than are drawn one by one."""
    return mixtura.fit(blobs(24_000, 3, 3), 3, "spherical", n_init=1, random_state=0)


KINDS = {
    made.__name__: made for made in (faithful, iris, acidity, hostile, single, stopped, noisy, many, counted)
}  # fmt: skip


@pytest.fixture(scope="session")
def result_of():
    """The result of that name, made once."""
    made: dict[str, mixtura.Result] = {}

    def of(name: str) -> mixtura.Result:
        if name not in made:
            made[name] = KINDS[name]()
        return made[name]

    return of


@pytest.fixture(scope="session")
def page_of(result_of, tmp_path_factory):
    """The file of the report on the result of that name, made once."""
    folder = tmp_path_factory.mktemp("reports")

    def of(name: str) -> Path:
        path = folder / f"{name}.html"
        if not path.exists():
            result_of(name).report(path)
        return path

    return of


@pytest.fixture(scope="session")
def browser():
    """Chromium or Chrome, without a window."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with api.sync_playwright() as playwright:
        try:
            started = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        except api.Error as error:
            pytest.skip(f"no browser starts on this machine: {str(error).splitlines()[0]}")
        yield started
        started.close()


@pytest.fixture
def opened(browser, page_of):
    """Opens a report; at the end, nothing may have gone wrong on any page, and nothing been asked for."""
    contexts, wrong, asked = [], [], []

    def at(name: str, width: int = 1280, scheme: str = "light", scripts: bool = True):
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=scripts, offline=True
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda said: wrong.append(said.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: (wrong.append(f"dialog {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: asked.append(request.url))
        address = page_of(name).as_uri()
        page.goto(address)
        asked.remove(address)
        return page

    yield at
    for context in contexts:
        context.close()
    assert wrong == []
    assert asked == []
