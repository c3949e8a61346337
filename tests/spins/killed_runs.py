"""Kill runs at random moments and go on: prints the bits that differ from an uninterrupted run.

Called by test_checkpoints.py as ``python killed_runs.py FAMILY KILLS SEED FOLDER``.  The children
are forks, so that a kill costs milliseconds and not the start of an interpreter.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import networkx as nx
import numpy as np

import spinnet as sn

BLOCKS = 20
N_SWEEPS = BLOCKS * 256 + 100


def total(spins):
    return spins.sum(axis=1)


def family(name):
    """Return the arguments of a short run."""
    rng = np.random.default_rng(3)
    common = {"beta": [0.3, 0.6], "n_sweeps": N_SWEEPS, "n_replicas": 3, "rng": 7}
    weights = rng.normal(size=(6, 5))
    return (
        common
        | {
            "curie-weiss": {"model": sn.CurieWeiss(10)},
            "dense": {"model": sn.Ising(rng.normal(size=(8, 8)) / 3, 0.1)},
            "metropolis": {
                "model": sn.Ising(rng.normal(size=(8, 8)) / 3, 0.1),
                "update": sn.Metropolis(heat_bath_every=3),
            },
            "sparse": {"model": sn.Ising.from_graph(nx.grid_2d_graph(3, 3), J=0.5)},
            "tempered": {
                "model": sn.Ising(rng.normal(size=(8, 8)) / 3, 0.1),
                "beta": [0.3, 0.6, 0.9],
                "tempering": True,
            },
            "bits": {
                "model": sn.Ising.from_graph(nx.grid_2d_graph(12, 12, periodic=True)),
                "update": sn.Metropolis(heat_bath_every=3),
                "n_replicas": 70,
                "n_sweeps": N_SWEEPS // 8,
            },
            "wolff": {
                "model": sn.Ising.from_graph(nx.grid_2d_graph(4, 4), J=0.5, h=0.05),
                "update": sn.Wolff(),
            },
            "swendsen-wang": {
                "model": sn.Ising(np.abs(rng.normal(size=(8, 8))) / 3),
                "update": sn.SwendsenWang(),
            },
            "sparse-masked": {
                "model": sn.Ising.from_graph(nx.grid_2d_graph(3, 3), J=0.5, h=0.3),
                "n_replicas": 20,
                "update": sn.Metropolis(),
            },
            "two-layer": {"model": sn.Bipartite(weights), "n_sweeps": N_SWEEPS // 4},
            "marginal": {
                "model": sn.NetworkDual(weights, kind="marginal"),
                "n_sweeps": N_SWEEPS // 4,
            },
            "stored": {
                "model": sn.CurieWeiss(10),
                "n_sweeps": N_SWEEPS // 4,
                "measure_every": 3,
                "store_every": 7,
                "workers": 2,
            },
            "independent": {"model": sn.CurieWeiss(10), "update": sn.Independent()},
            "rank-one": {
                "model": sn.LowRank(rng.normal(size=20) / 4, 0.1),
                "update": sn.Independent(),
            },
            "auxiliary": {
                "model": sn.LowRank(rng.normal(size=(20, 3)) / 4, 0.1),
                "update": sn.AuxiliaryField(),
            },
            "observed": {
                "model": sn.CurieWeiss(10),
                "observers": [total],
                "n_sweeps": N_SWEEPS // 8,
            },
            "dense blocks": {
                "model": sn.Ising(rng.normal(size=(70, 70)) / 8, 0.1),
                "n_sweeps": N_SWEEPS // 2,
            },
        }[name]
    )


def bits(run):
    """Return all that must not differ."""
    return [
        *(f"{name} {series.tobytes()!r}" for name, series in run.series.items()),
        f"spins {run.spins.tobytes()!r}",
        f"stored {None if run.stored is None else run.stored.tobytes()!r}",
        f"burn-in {run.n_burn_in.tolist()}",
        f"exchange {run.exchange and run.exchange.to_dict()}",
    ]


def live(arguments, folder):
    """Sample with a checkpoint at every block, in a forked child; return its process id."""
    child = os.fork()
    if child == 0:
        try:
            sn.sample(**arguments, checkpoint=folder, checkpoint_interval=0.0)
        finally:
            os._exit(0)
    return child


def main(name, kills, seed, place):
    """Kill so many runs, and say what was killed where."""
    arguments = family(name)
    random = np.random.default_rng(seed)
    reference = bits(sn.sample(**arguments))
    start = time.perf_counter()
    sn.sample(**arguments, checkpoint=place / "timed", checkpoint_interval=0.0)
    longest = (time.perf_counter() - start) / 4
    killed, runs = 0, 0
    while killed < kills:
        folder, finished = place / f"run-{runs}", False
        while not finished and killed < kills:
            child = live(arguments, folder)
            time.sleep(random.uniform(0, longest))
            finished = os.waitpid(child, os.WNOHANG) != (0, 0)
            if not finished:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                killed += 1
        run = sn.sample(**arguments, checkpoint=folder, checkpoint_interval=0.0)
        for mine, yours in zip(bits(run), reference, strict=True):
            if mine != yours:
                print(f"{name}, run {runs}: {mine.split()[0]} differs")
        runs += 1
    print(f"{killed} kills in {runs} runs")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
