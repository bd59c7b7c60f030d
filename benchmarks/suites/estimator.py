"""The estimator as a user meets it: a fit with the defaults, and the methods that go over all rows."""

from __future__ import annotations

from mixtura import GaussianMixture

from .problems import FAMILIES, SIZES, problem


class Fit:
    """Starts, race, repair and climb."""

    params = (FAMILIES, SIZES)
    param_names = ("family", "size")
    timeout = 300

    def setup(self, family: str, size: tuple[int, int, int]) -> None:
        self.rows, _ = problem(size)
        self.estimator = GaussianMixture(size[2], covariance_type=family, random_state=0)
        GaussianMixture(size[2], covariance_type=family, random_state=0, max_iter=2).fit(self.rows)  # compiles

    def time_fit(self, family: str, size: tuple[int, int, int]) -> None:
        self.estimator.fit(self.rows)

    def peakmem_fit(self, family: str, size: tuple[int, int, int]) -> None:
        self.estimator.fit(self.rows)


class Evaluate:
    """A fitted model on all rows."""

    params = (("predict", "predict_proba", "score_samples"), SIZES)
    param_names = ("method", "size")
    timeout = 300

    def setup(self, method: str, size: tuple[int, int, int]) -> None:
        self.rows, _ = problem(size)
        self.method = getattr(GaussianMixture(size[2], max_iter=2, random_state=0).fit(self.rows), method)
        self.method(self.rows)  # compiles

    def time_evaluate(self, method: str, size: tuple[int, int, int]) -> None:
        self.method(self.rows)

    def peakmem_evaluate(self, method: str, size: tuple[int, int, int]) -> None:
        self.method(self.rows)
