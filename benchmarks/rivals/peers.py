"""The libraries, and what each can do."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.cases import Case, home

ENVIRONMENTS = Path(__file__).parent / "environments"
ALL = ("full", "diag", "tied")
BOTH = ("float64", "float32")


@dataclass(frozen=True)
class Peer:
    """A library.

    Attributes
    ----------
    name : str
        Also the name of its adapter, and of its environment unless ``environment`` says otherwise.
    families, dtypes : tuple of str
        What it can fit.
    environment : str
        Name of its requirements and of its virtual environment; empty for the interpreter that runs this.
    own_start : bool
        It can't be given a start, so only its time can be compared.
    system : str
        Debian packages that it needs beside Python's.
    note : str
        What a reader of its figures should know.
    """

    name: str
    families: tuple[str, ...]
    dtypes: tuple[str, ...]
    environment: str | None = None
    own_start: bool = False
    system: str = ""
    note: str = ""

    def does(self, case: Case, dtype: str) -> bool:
        """Whether it has the family in that precision."""
        return case.family in self.families and dtype in self.dtypes

    @property
    def _folder(self) -> Path:
        return home() / "environments" / (self.environment or self.name)

    @property
    def interpreter(self) -> Path:
        """The Python that has the library, if it was set up."""
        return Path(sys.executable) if self.environment == "" else self._folder / "bin" / "python"

    def set_up(self) -> None:
        """Make its virtual environment and install its requirements there."""
        if self.environment == "":
            return
        requirements = ENVIRONMENTS / f"{self.environment or self.name}.txt"
        if not self.interpreter.exists():
            subprocess.run([sys.executable, "-m", "venv", self._folder], check=True)
        subprocess.run([self.interpreter, "-m", "pip", "install", "--quiet", "-r", requirements], check=True)
        if self.name == "armadillo":
            subprocess.run([self.interpreter, "-m", "benchmarks.rivals.adapters.armadillo"], check=True)


MIXTURA = Peer("mixtura", ALL, BOTH, environment="")

PEERS = {
    peer.name: peer
    for peer in (
        Peer("scikit_learn", ALL, BOTH, "scikit-learn"),
        Peer("onedal", ("full", "diag"), BOTH),
        Peer("pomegranate", ("full", "diag"), BOTH),
        Peer("tgmm", ALL, BOTH, note="in batches of 4 million (row, component, column) elements"),
        Peer("torchgmm", ("full", "diag"), BOTH, note="as shipped it takes two epochs, two E-steps, for one iteration"),
        Peer("gmmx", ("full", "diag"), BOTH, note="made for float32; for float64 its check of dtypes is taken out"),
        Peer(
            "mlpack", ("full", "diag"), ("float64",), own_start=True,
            note="gmm_train ignores a start; a k-means of one step replaces it",
        ),
        Peer("armadillo", ("full", "diag"), BOTH, system="g++ libarmadillo-dev libopenblas-dev"),
        Peer("opencv", ("full", "diag"), ("float64",)),
        Peer("mclust", ALL, ("float64",), system="r-base-core r-cran-mclust", note="one thread"),
        Peer(
            "spark", ("full",), ("float64",), own_start=True, system="default-jre-headless",
            note="pyspark.ml, which takes no start",
        ),
        Peer(
            "spark_rdd", ("full",), ("float64",), "spark", system="default-jre-headless",
            note="pyspark.mllib; it adds 2.2e-16 to every density, which is wrong where densities are that small",
        ),
    )
}  # fmt: skip
