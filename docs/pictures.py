"""Draw the pictures of docs/plots.md again: `python docs/pictures.py` from the repository's root.

The page in which EM is watched is larger and made whenever the documentation is (see conf.py).
"""

import sys
from pathlib import Path
from typing import Any
from weakref import WeakSet

from PIL import Image

import mixtura
from mixtura import plot
from mixtura.plot.display import Display

HERE = Path(__file__).parent
DATA = HERE.parent / "examples"
#: Colours of a picture as it is kept; more of them cannot be told apart in one.
KEPT_COLOURS = 96
#: Displays that are in the gallery.
SHOWN: WeakSet[Display] = WeakSet()


def displays() -> dict[str, plot.MixtureDisplay]:
    """Every picture, by the name of its file."""
    faithful = mixtura.fit(DATA / "faithful.csv", random_state=0)
    iris = mixtura.fit(DATA / "iris.csv", 3, "full", random_state=0)
    diabetes = mixtura.select(DATA / "diabetes.csv", range(1, 7), random_state=0)
    climbed = mixtura.fit(DATA / "faithful.csv", 3, "tied", random_state=0)
    galaxies = mixtura.fit(DATA / "galaxies.csv", random_state=0)
    many = faithful.model.sample(1_000_000, rng=0)
    return {
        "mixture": plot.MixtureDisplay.from_estimator(faithful),
        "million": plot.MixtureDisplay.from_estimator(faithful.model, many),
        "density": plot.DensityDisplay.from_estimator(galaxies),
        "pairs": plot.PairsDisplay.from_estimator(iris),
        "projection": plot.ProjectionDisplay.from_estimator(diabetes),
        "profile": plot.ProfileDisplay.from_estimator(iris),
        "uncertainty": plot.UncertaintyDisplay.from_estimator(faithful),
        "overlap": plot.OverlapDisplay.from_estimator(diabetes),
        "qq": plot.QQDisplay.from_estimator(galaxies),
        "choice": plot.ChoiceDisplay.from_estimator(diabetes),
        "convergence": plot.ConvergenceDisplay.from_estimator(climbed),
        "entropy": plot.EntropyDisplay.from_estimator(mixtura.fit(DATA / "diabetes.csv", 6, "diag", random_state=0)),
    }


def draw(folder: Path) -> None:
    """Write every picture, with as few colours as it takes."""
    for name, display in displays().items():
        path = folder / f"{name}.png"
        display.figure_.savefig(path, dpi=100, metadata={"Software": None})
        with Image.open(path) as picture:
            kept = picture.convert("RGB").quantize(KEPT_COLOURS)
        kept.save(path, optimize=True)


def watch(path: Path) -> None:
    """Write the page in which EM is watched."""
    plot.watch(DATA / "faithful.csv", n_components=4).save(path)


def scrape(block: Any, block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:  # noqa: ARG001
    """Displays that a block of an example made, as pictures of its page: sphinx-gallery sees only those of pyplot."""
    from sphinx_gallery.scrapers import figure_rst

    names = block_vars["example_globals"]
    new = [each for each in names.values() if isinstance(each, Display) and each not in SHOWN]
    paths = []
    for display, path in zip(new, block_vars["image_path_iterator"], strict=False):
        SHOWN.add(display)
        display.figure_.savefig(path, dpi=120)
        paths.append(path)
    return figure_rst(paths, gallery_conf["src_dir"], ", ".join(display.description for display in new))


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "_static" / "plots")
