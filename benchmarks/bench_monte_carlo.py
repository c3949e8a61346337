"""The Monte Carlo engine against its peers and against the limits of the machine: one table.

    python benchmarks/bench_monte_carlo.py [--only lattice dense] [--rounds 5]

Each line is a workload, run through ``spinnet.sample`` (or the public function it names) and
through the peers that can do it, in this process, on one thread, in interleaved rounds.  A ratio
is the peer's time over spinnet's.  Needs the extra `bench`.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("RAYON_NUM_THREADS", "1")

import argparse
import importlib
import pkgutil

import monte_carlo
from monte_carlo.side_by_side import Row, measure

PARTS = sorted(m.name for m in pkgutil.iter_modules(monte_carlo.__path__))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", default=[], help="parts, for example: lattice dense")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    print("| goal | workload | spinnet | time of the other / spinnet |")
    print("|---|---|---|---|")
    rows = []
    for part in args.only or [p for p in PARTS if p != "side_by_side"]:
        for case in importlib.import_module(f"monte_carlo.{part}").cases():
            rows.append(measure(case, args.rounds))
            print(line(rows[-1]), flush=True)
    for row in rows:
        if row.missed:
            print(f"below target: {row.case.workload}: {', '.join(row.missed)}")


def line(row: Row) -> str:
    """Return a row of the table, in Markdown."""
    cells = []
    for name, ratio in row.ratios.items():
        low, high = row.spread[name]
        limit = row.case.limit is not None and name == row.case.limit[0]
        text = f"{100 * ratio:.0f} % of {name}" if limit else f"{name} {ratio:.3g}"
        cells.append(f"{text} ({low:.3g} to {high:.3g})")
    case = row.case
    ours = f"{row.nanoseconds:.3g} {case.unit}"
    return f"| {case.goal} | {case.workload} | {ours} | {'; '.join(cells)} |"


if __name__ == "__main__":
    main()
