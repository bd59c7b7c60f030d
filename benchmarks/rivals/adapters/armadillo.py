"""Armadillo (C++): ``gmm_full`` and ``gmm_diag``, compiled for this machine with OpenMP (armadillo.cpp)."""

import ctypes
import subprocess
import sys
from pathlib import Path

import numpy as np

from benchmarks.cases import Parameters

LIBRARY = Path(sys.prefix) / "armadillo.so"


def build(library: Path) -> None:
    """Compile the interface; called when the environment is set up."""
    source = Path(__file__).with_suffix(".cpp")
    options = ["-std=c++17", "-O3", "-march=native", "-fopenmp", "-shared", "-fPIC", "-DARMA_DONT_USE_WRAPPER"]
    subprocess.run(["g++", *options, source, "-o", library, "-lopenblas"], check=True)  # noqa: S607


if __name__ == "__main__":
    build(LIBRARY)

_library = ctypes.CDLL(str(LIBRARY))
_library.version.restype = ctypes.c_char_p
VERSION = _library.version().decode().split()[0]


def fit(data: np.ndarray, start: Parameters, iterations: int) -> Parameters:
    weights, means, covariances = (np.array(array, data.dtype, order="C") for array in start[:3])
    climb = getattr(_library, f"{start.family}_{'double' if data.dtype == np.float64 else 'float'}")
    sizes = map(ctypes.c_long, (*data.shape, len(weights)))
    places = [ctypes.c_void_p(array.ctypes.data) for array in (data, weights, means, covariances)]
    if climb(places[0], *sizes, *places[1:], iterations):
        raise RuntimeError("Armadillo's learn() failed")
    return Parameters(weights, means, covariances, start.family)
