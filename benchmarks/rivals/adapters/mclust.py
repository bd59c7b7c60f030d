"""R's mclust: ``em()`` with the models VVV, VVI and EEE, in an R process beside this one (mclust.R)."""

import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.cases import Parameters

if shutil.which("Rscript") is None:
    raise ImportError("R is not installed")

_folder = Path(tempfile.mkdtemp(prefix="mclust-"))
_process = subprocess.Popen(
    ["Rscript", "--vanilla", Path(__file__).with_suffix(".R")],  # noqa: S607
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    text=True,
    bufsize=1,
)
VERSION = _process.stdout.readline().strip()
if not VERSION:
    raise ImportError("R has no package mclust")


def _ask(*words: object) -> str:
    _process.stdin.write(" ".join(map(str, words)) + "\n")
    return _process.stdout.readline().strip()


def prepare(rows: np.ndarray, start: Parameters) -> None:
    files = {"rows": rows.T, "weights": start.weights, "means": start.means, "covariances": start.covariances}
    for name, array in files.items():
        np.ascontiguousarray(array).tofile(_folder / f"{name}.bin")
    (_folder / "sizes.txt").write_text(f"{rows.shape[0]} {rows.shape[1]} {len(start.weights)} {start.family}\n")
    if _ask("load", _folder) != "loaded":
        raise RuntimeError("R could not read the rows")
    (_folder / "rows.bin").unlink()


def processes() -> list[int]:
    return [_process.pid]


def fit(data: None, start: Parameters, iterations: int) -> Parameters:  # noqa: ARG001
    out = _folder / "found.bin"
    done = _ask("run", iterations, out)
    if done != str(iterations):
        raise RuntimeError(f"{done or 'no'} iterations instead of {iterations}")
    sizes = [array.size for array in start[:3]]
    parts = np.split(np.fromfile(out), np.cumsum(sizes)[:-1])
    shaped = (part.reshape(array.shape) for part, array in zip(parts, start[:3], strict=True))
    return Parameters(*shaped, start.family)
