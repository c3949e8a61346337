"""Statistics of heavy tails: spinnet and its peers on the same data, in one process, with ratios.

Run ``python benchmarks/bench_tails.py``; ``--only fits pvalue counting stable families`` chooses
the parts, ``--sizes 1000 10000`` the sample sizes of the power-law fits.  Each time is the median
of interleaved rounds on one thread.  The ratios are what carries over to other machines; the times
do not.  Peers that are not installed are left out.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

import spinnet as sn

Floats = NDArray[np.float64]
ROW = "{:46}{:>11}  {:28}{:>11}{:>12}"


SHORTEST = 0.03  # seconds; a shorter job is repeated until it takes as long, as timeit does


def seconds(work: Callable[[], object]) -> float:
    calls, start = 0, time.perf_counter()
    while calls == 0 or time.perf_counter() - start < SHORTEST:
        work()
        calls += 1
    return (time.perf_counter() - start) / calls


def pair(
    ours: Callable[[], object], theirs: Callable[[], object], rounds: int
) -> tuple[float, float]:
    """Median times of both in interleaved rounds, after a first call of ours (it compiles)."""
    ours()
    times = [(seconds(ours), seconds(theirs)) for _ in range(rounds)]
    return statistics.median(t[0] for t in times), statistics.median(t[1] for t in times)


def human(t: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e3), ("us", 1e6)):
        if t * scale >= 1.0 or unit == "us":
            return f"{t * scale:.3g} {unit}"
    raise AssertionError


def report(name: str, ours: float, peer: str = "", theirs: float | None = None) -> None:
    ratio = "" if theirs is None else f"{theirs / ours:,.1f}"
    print(ROW.format(name, human(ours), peer, "" if theirs is None else human(theirs), ratio))


def heading(title: str) -> None:
    print("\n" + ROW.format(title, "spinnet", "peer", "peer", "ratio"))


def samples(n: int, rng: np.random.Generator) -> dict[str, tuple[Floats, bool]]:
    pareto = rng.pareto(1.5, n) + 1.0
    body = np.where(rng.random(n) < 0.6, 15.0 * rng.random(n) + 0.01, 15.0 * pareto)
    return {
        "Pareto 2.5": (pareto, False),
        "uniform body, tail 2.5": (body, False),
        "zeta 2.5": (rng.zipf(2.5, n).astype(float), True),
    }


def powerlaw_fit(x: Floats, discrete: bool) -> float:
    import powerlaw

    options = {"estimate_discrete": False} if discrete else {}
    return float(powerlaw.Fit(x, discrete=discrete, verbose=0, **options).power_law.alpha)


def bench_fits(sizes: Sequence[int]) -> None:
    heading("power-law fit, xmin searched over all data")
    for n in sizes:
        for name, (x, discrete) in samples(n, np.random.default_rng(1)).items():
            ours = partial(sn.tails.fit_power_law, x, discrete)
            label = f"{name}, n = {n:,}"
            if find_spec("powerlaw"):
                powerlaw_fit(x[:200], discrete)  # imports
                rounds = 3 if n > 3000 else 5
                report(label, *_swap(pair(ours, partial(powerlaw_fit, x, discrete), rounds)))
    rng = np.random.default_rng(2)
    for label, x in {
        "Pareto 2.5, n = 1,000,000": rng.pareto(1.5, 1_000_000) + 1.0,
        "zeta 2.5, n = 1,000,000": rng.zipf(2.5, 1_000_000),
    }.items():
        report(label, alone(partial(sn.tails.fit_power_law, x), 5))


def _swap(times: tuple[float, float]) -> tuple[float, str, float]:
    return times[0], "powerlaw", times[1]


def alone(work: Callable[[], object], rounds: int) -> float:
    work()
    return statistics.median(seconds(work) for _ in range(rounds))


def bench_pvalue() -> None:
    heading("goodness of fit: 1,000 replicates, xmin searched in each")
    x = np.random.default_rng(3).pareto(1.5, 10_000) + 1.0
    ours = partial(sn.tails.fit_power_law, x, n_bootstrap=1000, rng=7, workers=1)
    if find_spec("igraph"):
        import igraph

        # igraph's precision 0.0158 takes 1,000 replicates
        peer = partial(igraph.power_law_fit, x.tolist(), method="continuous", p_precision=0.0158)
        mine, theirs = pair(ours, peer, 1)
        report(
            "Pareto 2.5, n = 10,000 (and 1,000 resamples)", mine, "igraph (no resamples)", theirs
        )
    else:
        report("Pareto 2.5, n = 10,000 (and 1,000 resamples)", alone(ours, 1))


def bench_counting() -> None:
    heading("distinct patterns of 500 bits among 1,000,000 rows")
    rng = np.random.default_rng(4)
    pool = rng.integers(0, 256, (200_000, 63), np.uint8)
    pool[:, -1] &= 0xF0
    ranks = np.arange(1, len(pool) + 1.0)
    zipf = pool[rng.choice(len(pool), 1_000_000, p=ranks**-1 / np.sum(ranks**-1))]
    unique = rng.integers(0, 256, (1_000_000, 63), np.uint8)
    unique[:, -1] &= 0xF0
    for name, rows in (("Zipf", zipf), ("all distinct", unique)):
        keys = rows.view(np.dtype((np.void, 63)))[:, 0]
        ours = partial(sn.tails.count_patterns, rows, n_bits=500)
        peers = {
            "numpy.unique of the bytes": partial(np.unique, keys, return_counts=True),
            "Counter of the bytes": lambda keys=keys: Counter(keys.tolist()),
        }
        for peer, work in peers.items():
            mine, theirs = pair(ours, work, 3)
            report(f"{name}: {1.0 / mine:.1f} million rows a second", mine, peer, theirs)


def bench_stable(n_peer: int) -> None:
    from scipy.stats import levy_stable

    heading("alpha-stable laws")
    stable = sn.tails.stable
    for alpha, beta in ((1.5, 0.0), (1.5, 0.5), (0.8, 0.0), (1.9, 0.0)):
        x = stable.rvs(alpha, beta, size=100_000, rng=5)
        some = x[:n_peer]
        mine = alone(partial(stable.pdf, x, alpha, beta), 5)
        theirs = seconds(partial(levy_stable.pdf, some, alpha, beta)) * len(x) / n_peer
        report(f"pdf of 100,000 points, alpha {alpha}, beta {beta}", mine, "scipy (a part)", theirs)
    for n in (100_000, 1_000_000):
        x = stable.rvs(1.5, 0.3, size=n, rng=6)
        report(f"maximum-likelihood fit, n = {n:,}", alone(partial(stable.fit, x), 3))
    mine, theirs = pair(
        partial(stable.rvs, 1.5, 0.3, size=1_000_000, rng=1),
        partial(levy_stable.rvs, 1.5, 0.3, size=1_000_000, random_state=1),
        3,
    )
    report("1,000,000 random numbers", mine, "scipy", theirs)


def bench_families() -> None:
    heading("which family do a million weights follow")
    x = 0.05 * np.random.default_rng(8).standard_t(4.0, 1_000_000)
    report("all families by maximum likelihood", alone(partial(sn.tails.compare_families, x), 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parts = ("fits", "pvalue", "counting", "stable", "families")
    parser.add_argument("--only", nargs="+", choices=parts, default=parts)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 3000, 10_000])
    parser.add_argument("--points", type=int, default=1000, help="of scipy's stable density")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if "fits" in options.only:
        bench_fits(options.sizes)
    if "pvalue" in options.only:
        bench_pvalue()
    if "counting" in options.only:
        bench_counting()
    if "stable" in options.only:
        bench_stable(options.points)
    if "families" in options.only:
        bench_families()


if __name__ == "__main__":
    main()
