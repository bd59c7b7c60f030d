"""EM from a given start: the price of a pass, and of the way to the top."""

from __future__ import annotations

from mixtura import em
from mixtura.sources.memory import Memory

from .problems import FAMILIES, SIZES, problem

PASSES = 10


class Passes:
    """Ten steps of plain EM."""

    params = (FAMILIES, SIZES, ("float64", "float32"))
    param_names = ("family", "size", "dtype")
    timeout = 300

    def setup(self, family: str, size: tuple[int, int, int], dtype: str) -> None:
        rows, self.start = problem(size, dtype)
        self.source = Memory(rows)
        self.climb(family, 1)  # compiles

    def climb(self, family: str, passes: int) -> None:
        em(self.start, self.source, family, tol=0.0, max_iter=passes, accelerate=False)

    def time_ten_passes(self, family: str, size: tuple[int, int, int], dtype: str) -> None:
        self.climb(family, PASSES)

    def peakmem_ten_passes(self, family: str, size: tuple[int, int, int], dtype: str) -> None:
        self.climb(family, PASSES)


class Climbs:
    """From the start to a gap of 1e-6 nats a row, with accelerated steps and without."""

    params = (FAMILIES, SIZES[:2], (True, False))
    param_names = ("family", "size", "accelerate")
    timeout = 300

    def setup(self, family: str, size: tuple[int, int, int], accelerate: bool) -> None:
        rows, self.start = problem(size)
        self.source = Memory(rows)
        em(self.start, self.source, family, max_iter=1, accelerate=accelerate)

    def time_to_the_top(self, family: str, size: tuple[int, int, int], accelerate: bool) -> None:
        em(self.start, self.source, family, max_iter=500, accelerate=accelerate)

    def track_passes(self, family: str, size: tuple[int, int, int], accelerate: bool) -> int:
        return em(self.start, self.source, family, max_iter=500, accelerate=accelerate).n_iter

    track_passes.unit = "passes"
