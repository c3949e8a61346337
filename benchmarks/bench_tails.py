"""Power-law fits of spinnet and of powerlaw on the same data, in one process, with their ratio.

Run ``python benchmarks/bench_tails.py``; ``--sizes 1000 10000`` chooses the sample sizes.  The
ratio is what carries over to other machines; the times do not.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from functools import partial

import numpy as np

from spinnet.tails import fit_power_law, fit_zipf


def best_time(work: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def samples(n: int, rng: np.random.Generator) -> dict[str, tuple[np.ndarray, bool]]:
    pareto = rng.pareto(1.5, n) + 1.0
    body = np.where(rng.random(n) < 0.6, 15.0 * rng.random(n) + 0.01, 15.0 * pareto)
    return {
        "Pareto 2.5": (pareto, False),
        "uniform body, tail 2.5": (body, False),
        "zeta 2.5": (rng.zipf(2.5, n).astype(float), True),
    }


def peer_fit(x: np.ndarray, discrete: bool) -> float:
    import powerlaw

    options = {"estimate_discrete": False} if discrete else {}
    return float(powerlaw.Fit(x, discrete=discrete, verbose=0, **options).power_law.alpha)


def compare_fits(sizes: list[int]) -> None:
    warnings.simplefilter("ignore")
    print(f"{'data':24}{'n':>8}{'spinnet':>12}{'powerlaw':>12}{'ratio':>9}   alpha (both)")
    for n in sizes:
        for name, (x, discrete) in samples(n, np.random.default_rng(1)).items():
            alpha = fit_power_law(x, discrete).alpha  # compiles at the first call
            peer_fit(x[:200], discrete)  # imports
            ours = best_time(partial(fit_power_law, x, discrete), 5)
            start = time.perf_counter()
            peer_alpha = peer_fit(x, discrete)
            theirs = time.perf_counter() - start
            print(
                f"{name:24}{n:8d}{1e3 * ours:9.2f} ms{1e3 * theirs:9.0f} ms{theirs / ours:9.0f}"
                f"   {alpha:.4f} {peer_alpha:.4f}"
            )


def own_times() -> None:
    print("\nwithout a peer")
    rng = np.random.default_rng(2)
    x, long = rng.pareto(1.5, 10_000) + 1.0, rng.pareto(1.5, 1_000_000) + 1.0
    z = rng.zipf(2.5, 1_000_000)
    ranks = np.arange(1, 2001.0)
    counts = rng.multinomial(100_000, ranks**-0.9 / np.sum(ranks**-0.9))
    jobs = {
        "Pareto 2.5, n = 1e6": partial(fit_power_law, long),
        "zeta 2.5, n = 1e6, raw": partial(fit_power_law, z),
        "Pareto 2.5, n = 1e4, 2 x 100 replicates": partial(fit_power_law, x, n_bootstrap=100),
        "lognormal against it": partial(fit_power_law(x).compare, "lognormal"),
        "Zipf of 2000 counts": partial(fit_zipf, counts),
        "Zipf of 2000 counts, 2 x 100 replicates": partial(fit_zipf, counts, n_bootstrap=100),
    }
    for name, job in jobs.items():
        job()
        print(f"{name:44}{1e3 * best_time(job, 3):10.2f} ms")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 3000, 10_000])
    compare_fits(parser.parse_args().sizes)
    own_times()
