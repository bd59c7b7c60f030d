"""How long a first fit takes in a fresh interpreter, import included: Mixtura beside scikit-learn.

    python benchmarks/first_fit.py [ROUNDS]

Each round runs one new process for each library, one after the other; both read examples/iris.csv and fit three
components with default parameters. Timed is the whole process, from its start to its end. Prints the medians and
their ratio.
"""

import statistics
import subprocess
import sys
import time
from pathlib import Path

IRIS = Path(__file__).parents[1] / "examples" / "iris.csv"
PROGRAM = """
import numpy as np
from {library} import GaussianMixture
rows = np.loadtxt({path!r}, delimiter=",", skiprows=1, usecols=range(4))
GaussianMixture(n_components=3, random_state=0).fit(rows)
"""
LIBRARIES = {"Mixtura": "mixtura", "scikit-learn": "sklearn.mixture"}


def seconds(library: str) -> float:
    """Wall time of one fresh process."""
    program = PROGRAM.format(library=library, path=str(IRIS))
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], check=True)
    return time.perf_counter() - began


def main() -> None:
    """Run and print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    for module in LIBRARIES.values():  # byte code and disk cache
        seconds(module)
    times = [[seconds(module) for module in LIBRARIES.values()] for _ in range(rounds)]
    medians = [statistics.median(column) for column in zip(*times, strict=True)]
    for name, median in zip(LIBRARIES, medians, strict=True):
        print(f"{name:>12}  {median:.3f} s  (median of {rounds})")
    print(f"{'ratio':>12}  {medians[0] / medians[1]:.3f}")


if __name__ == "__main__":
    main()
