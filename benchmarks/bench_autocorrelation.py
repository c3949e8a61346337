"""Autocorrelation time of a long series: spinnet and its peers on the same data, with ratios.

Run ``python benchmarks/bench_autocorrelation.py``; ``--size 1000000 --taus 0.5 1 10 100 1000``
are the defaults.  The data are autoregressive series of known tau.  Each time is the median of
interleaved rounds on one thread, in one process; the ratios are what carries over to other
machines.  Peers that are not installed are left out, with a message.
"""

from __future__ import annotations

import argparse
import statistics as medians
import time
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from spinnet.spins import statistics

Floats = NDArray[np.float64]
ROW = "{:>8}  {:22}{:>12}{:>10}{:>12}"


def autoregressive(tau: float, n: int, rng: np.random.Generator) -> Floats:
    rho = (2 * tau - 1) / (2 * tau + 1)
    noise = rng.normal(size=n) * np.sqrt(1 - rho**2)
    return np.asarray(lfilter([1.0], [1.0, -rho], noise, zi=[rho * rng.normal()])[0])


def sokal(x: Floats) -> float:
    return statistics.autocorrelation(x).tau


def gamma(x: Floats) -> float:
    return statistics.autocorrelation(x, method="gamma").tau


def bulk(x: Floats) -> float:
    return x.size / (2 * statistics.effective_sample_size(x, kind="bulk"))


def arviz_mean(x: Floats) -> float:
    from arviz_stats.base import array_stats

    return x.size / (2 * float(array_stats.ess(x[None], method="mean")))


def arviz_bulk(x: Floats) -> float:
    from arviz_stats.base import array_stats

    return x.size / (2 * float(array_stats.ess(x[None], method="bulk")))


def emcee_tau(x: Floats) -> float:
    from emcee.autocorr import integrated_time

    return float(integrated_time(x[:, None], c=6, quiet=True, has_walkers=False)[0] / 2)


def contestants() -> dict[str, Callable[[Floats], float]]:
    found: dict[str, Callable[[Floats], float]] = {
        "spinnet sokal": sokal,
        "spinnet gamma, error": gamma,
    }
    if find_spec("arviz_stats"):
        found["arviz-stats mean"] = arviz_mean
        found |= {"spinnet bulk": bulk, "arviz-stats bulk": arviz_bulk}
    else:
        print("arviz-stats is not installed: left out (pip install arviz-stats)")
    if find_spec("emcee"):
        found["emcee"] = emcee_tau
    else:
        print("emcee is not installed: left out (pip install emcee)")
    return found


def compare(jobs: dict[str, Callable[[Floats], float]], tau: float, x: Floats, rounds: int) -> None:
    results = {name: job(x) for name, job in jobs.items()}
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            start = time.perf_counter()
            job(x)
            times[name].append(time.perf_counter() - start)
    spent = {name: medians.median(t) for name, t in times.items()}
    for name in jobs:
        ours = spent["spinnet bulk" if name.endswith("bulk") else "spinnet sokal"]
        ratio = "" if name.startswith("spinnet") else f"{spent[name] / ours:.1f}"
        print(
            ROW.format(tau, name, f"{1e3 * spent[name]:.1f}", ratio, f"{results[name] / tau:.3f}")
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=1_000_000)
    parser.add_argument("--taus", type=float, nargs="+", default=[0.5, 1.0, 10.0, 100.0, 1000.0])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    rng = np.random.default_rng(1)
    jobs = contestants()
    print(ROW.format("tau", "method", "ms", "ratio", "tau/true"))
    for tau in options.taus:
        compare(jobs, tau, autoregressive(tau, options.size, rng), options.rounds)


if __name__ == "__main__":
    main()
