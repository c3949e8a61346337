"""Replicas shared between two threads, timed by the wall."""

from __future__ import annotations

import time

import numpy as np
import scipy.sparse as sp

import spinnet as sn
from monte_carlo.side_by_side import Case, Runner


def runner(model: sn.Ising | sn.Bipartite, beta: float, n_replicas: int, workers: int) -> Runner:
    def run(sweeps: int) -> object:
        return sn.sample(
            model,
            beta,
            n_sweeps=1,
            measure_every=sweeps,
            n_replicas=n_replicas,
            n_burn_in=0,
            rng=1,
            workers=workers,
        )

    return run


def cases() -> list[Case]:
    rng = np.random.default_rng(1)
    ring = np.arange(256 * 256).reshape(256, 256)
    rows = np.concatenate([ring.ravel(), ring.ravel()])
    cols = np.concatenate([np.roll(ring, 1, axis).ravel() for axis in (0, 1)])
    bonds = sp.coo_array((np.ones(len(rows)), (rows, cols)), shape=(65536, 65536))
    signs = sp.coo_array((rng.choice([-1.0, 1.0], len(rows)), (rows, cols)), shape=bonds.shape)
    noise = np.triu(rng.normal(size=(4096, 4096)), 1) / 64
    real = sp.coo_array((rng.normal(size=len(rows)), (rows, cols)), shape=bonds.shape)
    systems = {
        "+-J square lattice, N = 65536": (sn.Ising(signs + signs.T), 0.8, 1024, 12),
        "real J square lattice, N = 65536": (sn.Ising(real + real.T), 0.8, 128, 8),
        "dense SK, N = 4096, T = 0.7": (
            sn.Ising((noise + noise.T).astype(np.float32)),
            1 / 0.7,
            128,
            2,
        ),
        "bipartite 500 x 400": (sn.Bipartite(rng.normal(size=(500, 400)) / 20), 0.5, 1024, 20),
    }
    return [
        Case(
            goal="13",
            workload=f"{name}, {n} replicas, two threads",
            unit="ns/flip of the wall",
            per_unit=model.n_spins * n,
            ours=runner(model, beta, n, 2),
            size=size,
            peers={"one thread": (runner(model, beta, n, 1), model.n_spins * n, size)},
            targets={"one thread": 1.7},
            clock=time.perf_counter,
        )
        for name, (model, beta, n, size) in systems.items()
    ]
