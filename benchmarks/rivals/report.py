"""The entries of a run as Markdown."""

from __future__ import annotations

from benchmarks.cases import Case
from benchmarks.limits import Rates
from benchmarks.measure import machine, today
from benchmarks.rivals.peers import PEERS
from benchmarks.rivals.race import QUIET, SAME, Entry

EXPLANATION = """\
Plain EM from the same start. A pass is one iteration: the slope between two iteration counts, median of {repeats} \
turns in which Mixtura and the other library alternate; × is the median of the ratios of those turns: how many times \
as long the other takes. The limit is what a perfect program would need: the pass's flops at the rate of matrix \
products plus N·K exponentials at theirs, or one read of the rows if that is longer. Memory is the peak of a call \
above what was held before it, the rows included. ~ marks figures during which other programs used more than {quiet} \
of a core, * those of a library whose log-likelihood differs."""


def label(case: Case) -> str:
    """Full 1e6 × 4, K = 10."""
    size = f"{case.n_rows:.0e}".replace("e+0", "e")
    return f"{case.family} {size} × {case.n_features}, K = {case.n_components}"


def digits(value: float) -> str:
    """Three significant digits, without an exponent."""
    if value != value:  # noqa: PLR0124
        return "–"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """A Markdown table."""
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] + ["---:"] * (len(head) - 1), *rows)]


def write(entries: list[Entry], rates: Rates, versions: dict[str, str], command: str, repeats: int) -> str:
    """The whole report."""
    lines = [
        "# Seconds per pass, beside other libraries",
        "",
        f"{today()}, {machine()}. `{command}`",
        "",
        EXPLANATION.format(repeats=repeats, quiet=QUIET),
        "",
        f"Rates of this machine: {rates}.",
        "",
    ]
    names = [name for name in PEERS if any(entry.peer == name for entry in entries)]
    for dtype in ("float64", "float32"):
        some = [entry for entry in entries if entry.dtype == dtype]
        if some:
            lines += [f"## {dtype}", "", *_digest(some, rates, names), ""]
    lines += ["## Every figure", ""]
    for case, dtype in dict.fromkeys((entry.case, entry.dtype) for entry in entries):
        lines += [f"### {label(case)}, {dtype}", ""]
        lines += [*_details([e for e in entries if (e.case, e.dtype) == (case, dtype)], rates), ""]
    lines += ["## Where a log-likelihood differs", "", *_differences(entries), "", "## Libraries", ""]
    for name, version in versions.items():
        note = PEERS[name].note if name in PEERS else ""
        lines.append(f"- {name} {version}{note and '; ' + note}")
    return "\n".join(lines) + "\n"


def _digest(entries: list[Entry], rates: Rates, names: list[str]) -> list[str]:
    names = [name for name in names if any(entry.peer == name for entry in entries)]
    rows = []
    for case in dict.fromkeys(entry.case for entry in entries):
        here = {entry.peer: entry for entry in entries if entry.case == case}
        mine = here["mixtura"]
        limit = rates.limit(case, mine.dtype)
        cells = [label(case), digits(1e3 * mine.seconds) + mine.marks, digits(mine.seconds / limit)]
        for name in names:
            entry = here.get(name)
            if entry is None:
                cells.append("")
            elif entry.failure:
                cells.append("too slow" if entry.too_slow else "failed")
            else:
                cells.append(f"{digits(entry.ratio)}×{entry.marks}")
        rows.append(cells)
    head = ["case", "Mixtura, ms", "multiple of the limit", *names]
    return table(head, rows)


def _details(entries: list[Entry], rates: Rates) -> list[str]:
    rows = []
    for entry in entries:
        if entry.failure:
            rows.append([entry.peer, entry.failure.replace("|", "\\|"), "", "", "", ""])
            continue
        away = f"{entry.difference:+.0e} after {entry.checked_after}" if entry.checked_after else "own start"
        limit = rates.limit(entry.case, entry.dtype)
        multiple = digits(entry.seconds / limit)
        seconds = f"{entry.seconds:.4g}{entry.marks}"
        rows.append([entry.peer, seconds, digits(entry.ratio), multiple, f"{entry.peak:.0f}", away])
    return table(["", "seconds", "×", "multiple of the limit", "peak, MiB", "log-likelihood, nats a row"], rows)


def _differences(entries: list[Entry]) -> list[str]:
    found = [
        f"- {entry.peer}, {label(entry.case)}, {entry.dtype}: {entry.difference:+.1e} nats a row after "
        f"{entry.checked_after} iterations"
        for entry in entries
        if entry.differs
    ]
    bounds = ", ".join(f"{value:g} in {dtype}" for dtype, value in SAME.items())
    return found or [f"Nowhere: all agree with a reference EM in float64 (to {bounds} nats a row)."]
