"""Run other libraries beside Mixtura and write a table.

python -m benchmarks.rivals --setup             makes their virtual environments
python -m benchmarks.rivals --output rivals.md  measures
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.cases import CASES
from benchmarks.limits import Rates
from benchmarks.measure import clean_environment
from benchmarks.rivals import report
from benchmarks.rivals.peers import BOTH, MIXTURA, PEERS, Peer
from benchmarks.rivals.race import Contestant, Entry, Failed, race

QUICK_ROWS = 20_000


def _several(allowed: list[str]) -> Callable[[str], list[str]]:
    """A type for options that name some of these, with commas between."""

    def read(text: str) -> list[str]:
        names = text.split(",")
        unknown = [name for name in names if name not in allowed]
        if unknown:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: choose from {', '.join(allowed)}")
        return names

    return read


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rivals", description=__doc__.splitlines()[0])
    parser.add_argument("--peers", type=_several(list(PEERS)), default=list(PEERS), help="all by default")
    parser.add_argument("--cases", type=_several(list(CASES)), default=list(CASES), help="all by default")
    parser.add_argument("--dtypes", type=_several(list(BOTH)), default=list(BOTH), help="both by default")
    parser.add_argument("--repeats", type=int, default=5, help="turns of each pair (5)")
    parser.add_argument("--limit", type=float, default=120.0, help="seconds that one call may take (120)")
    parser.add_argument("--output", type=Path, help="a Markdown file; the figures go beside it as .json")
    parser.add_argument("--quick", action="store_true", help=f"at most {QUICK_ROWS} rows and one turn: does it run?")
    parser.add_argument("--setup", action="store_true", help="make the environments of --peers, measure nothing")
    parser.add_argument("--home", type=Path, help="where environments and data are kept ($MIXTURA_BENCHMARKS)")
    return parser.parse_args()


def _rates() -> Rates:
    """The machine's rates, measured in a process with a clean environment."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.limits", "--json"],
        env=clean_environment(),
        stdout=subprocess.PIPE,
        check=True,
    )
    return Rates(*json.loads(done.stdout))


def _set_up(peers: list[Peer]) -> None:
    for peer in peers:
        try:
            peer.set_up()
            with Contestant(peer) as contestant:
                print(f"{peer.name} {contestant.version}: ready", flush=True)
        except (subprocess.CalledProcessError, Failed) as error:
            system = f" (it needs the Debian packages {peer.system})" if peer.system else ""
            print(f"{peer.name}: {error}{system}", flush=True)


def _installed(peers: list[Peer]) -> tuple[list[Peer], dict[str, str]]:
    """Those that can run, and the versions of all that can."""
    ready, versions = [], {}
    for peer in (MIXTURA, *peers):
        try:
            with Contestant(peer) as contestant:
                versions[peer.name] = contestant.version
        except Failed as failure:
            print(f"{peer.name} is left out: {failure} (--setup makes its environment)", flush=True)
        else:
            ready.append(peer)
    if MIXTURA.name not in versions:
        raise SystemExit("Mixtura itself does not run in this interpreter")
    return ready[1:], versions


def main() -> None:
    """The command."""
    options = _arguments()
    if options.home:
        os.environ["MIXTURA_BENCHMARKS"] = str(options.home.resolve())
    peers = [PEERS[name] for name in options.peers]
    if options.setup:
        _set_up(peers)
        return
    peers, versions = _installed(peers)
    rates, repeats = _rates(), 1 if options.quick else options.repeats
    command = " ".join(["python -m benchmarks.rivals", *sys.argv[1:]])
    entries: list[Entry] = []
    for name in options.cases:
        case = CASES[name]
        if options.quick:
            case = case._replace(n_rows=min(case.n_rows, QUICK_ROWS))
        for dtype in options.dtypes:
            able = [peer for peer in peers if peer.does(case, dtype)]
            entries += race(case, dtype, able, repeats, options.limit)
        rates = rates.best(_rates())
        text = report.write(entries, rates, versions, command, repeats)
        if options.output is not None:  # what there is so far
            _save(options.output, text, {"rates": rates, "versions": versions, "entries": list(map(vars, entries))})
    if options.output is None:
        print(text)


def _save(path: Path, text: str, figures: dict[str, Any]) -> None:
    path.write_text(text, encoding="utf-8")
    path.with_suffix(".json").write_text(json.dumps(figures, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
