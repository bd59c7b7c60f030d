"""Small tables and fits that use every part: threads, both kernels, linear algebra on one thread."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

import mixtura


def two_groups(n_rows, n_features, seed=3):
    rng = np.random.default_rng(seed)
    half = n_rows // 2
    return np.concatenate(
        [rng.standard_normal((half, n_features)), 4.0 + 2.0 * rng.standard_normal((n_rows - half, n_features))]
    )


def bits(model):
    """All the numbers of a mixture."""
    arrays = model.weights, model.means, *model.structure.parameters().values()
    return b"".join(array.tobytes() for array in arrays)


#: Name → a fit. Between them they use the NumPy kernel and the compiled ones, scouts, several threads, and matrices of
#: so many columns that linear algebra is told to use one thread.
FITS = {
    "small": lambda: mixtura.fit(two_groups(200, 2), [1, 2, 3], ["full", "tied"], random_state=0),
    "scouts": lambda: mixtura.fit(two_groups(100, 2), [1, 2, 3], "all", random_state=0, n_threads=3),
    "threads": lambda: mixtura.fit(two_groups(80_000, 5), 2, "full", random_state=0, n_init=1, n_threads=3),
    "columns": lambda: mixtura.fit(two_groups(300, 40), 2, "full", random_state=0, n_init=1),
}


def in_a_process(code, **options):
    """Python code, or a script, in a process of its own, which sees this library and the helpers of this folder."""
    path = os.pathsep.join([str(Path(mixtura.__file__).parents[1]), str(Path(__file__).parent)])
    environment = {**os.environ, "PYTHONPATH": path}
    options.setdefault("timeout", 120)
    what = ["-c", code] if isinstance(code, str) else [str(code)]
    return subprocess.run(
        [sys.executable, *what], capture_output=True, text=True, check=False, env=environment, **options
    )
