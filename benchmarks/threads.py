"""What threads gain: seconds a pass on one thread over seconds a pass on two, (1e5, 16, 32) full.

python -m benchmarks.threads
"""

from __future__ import annotations

import argparse
from statistics import median

import mixtura
from benchmarks.cases import CASES, load
from benchmarks.measure import alternate, counts, machine, ratio, restart_clean, seconds, slope, today
from mixtura.sources.memory import Memory


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.threads", description=__doc__.splitlines()[0])
    parser.add_argument("--case", choices=[name for name in CASES if name.startswith("full")], default="full_1e5_16_32")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=7, help="turns (7)")
    options = parser.parse_args()
    restart_clean("benchmarks.threads")
    rows, start = load(CASES[options.case])
    model = mixtura.Mixture(start.weights, start.means, start.covariances)

    def climb(threads: int, iterations: int) -> None:
        source = Memory(rows, n_threads=threads)
        mixtura.em(model, source, "full", tol=0.0, max_iter=iterations, accelerate=False)

    climb(1, 1)  # compiles
    few, many = counts(seconds(lambda: climb(1, 1)) / 2, budget=0.8)
    runs = {str(n): lambda n=n: slope(lambda count: climb(n, count), few, many) for n in options.threads}
    figures = alternate(runs, options.repeats)
    print(f"{today()}, {machine()}, {options.case}, median of {options.repeats} turns")
    print("| threads | ms a pass | times as fast |")
    print("| ---: | ---: | ---: |")
    base = figures[str(options.threads[0])]
    for name, mine in figures.items():
        print(f"| {name} | {1e3 * median(mine):.1f} | {ratio(base, mine):.2f} |")


if __name__ == "__main__":
    main()
