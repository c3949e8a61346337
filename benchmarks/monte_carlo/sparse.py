"""Sparse graphs with real couplings, one chain on lattices and graphs, and the cost by size.

Peers do the same work, attempted spin updates of Metropolis at the same temperature: mcising
sweeps one lattice, without measuring; openjij anneals one chain at a constant temperature with
its sparse core; peapods samples one replica at one temperature and measures at each sweep, as
spinnet does.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy.sparse as sp

import spinnet as sn
from monte_carlo.side_by_side import Case, Runner

BETA = 0.4406868  # the critical point of the square lattice


def regular_graph(n: int, degree: int = 6) -> sn.Ising:
    """Return Gaussian couplings on a union of random rings: all but a few sites have `degree`."""
    rng = np.random.default_rng(3)
    rings = [rng.permutation(n) for _ in range(degree // 2)]
    i, j = np.concatenate(rings), np.concatenate([np.roll(ring, 1) for ring in rings])
    upper = sp.coo_array((rng.normal(size=i.size) / math.sqrt(degree), (i, j)), shape=(n, n))
    return sn.Ising(sp.csr_array(upper + upper.T))


def square(length: int) -> sn.Ising:
    """Return the periodic square lattice with J = 1."""
    i = np.arange(length**2).reshape(length, length)
    rows = np.concatenate([i.ravel(), i.ravel()])
    cols = np.concatenate([np.roll(i, -1, axis).ravel() for axis in (0, 1)])
    upper = sp.coo_array((np.ones(rows.size), (rows, cols)), shape=(length**2, length**2))
    return sn.Ising(sp.csr_array(upper + upper.T))


def ours(model: sn.Ising, beta: float, n_replicas: int) -> Runner:
    """Return a runner of sweeps with Metropolis, each measured."""
    update = sn.Metropolis()

    def run(n_sweeps: int) -> Any:
        return sn.sample(model, beta, n_sweeps=n_sweeps, n_replicas=n_replicas, update=update,
                         n_burn_in=0, rng=1)  # fmt: skip

    return run


def openjij(model: sn.Ising, beta: float) -> Runner:
    """Return a runner of sweeps of one chain, in openjij's compiled core for sparse graphs."""
    from openjij.cxxjij import algorithm, graph, system

    J: Any = sp.coo_array(model.couplings)
    sparse = graph.Sparse(model.n_spins)
    for i, k, value in zip(J.row.tolist(), J.col.tolist(), J.data.tolist(), strict=True):
        if i < k:
            sparse[i, k] = -value
    spins = sparse.gen_spin(1)
    expected = float(model.energy(np.array(spins)))
    assert abs(sparse.calc_energy(spins) - expected) < 1e-6 * model.n_spins
    chain = system.make_classical_ising(spins, sparse)
    return lambda sweeps: algorithm.Algorithm_SingleSpinFlip_run(chain, 1, [(beta, sweeps)])


def mcising(length: int) -> Runner:
    """Return a runner of sweeps of a square lattice."""
    from mcising import IsingSimulation

    lattice = IsingSimulation(length, 1.0, 0.0, 0.0, 0.0, 1)
    return lambda n_sweeps: lattice.sweep(n_sweeps, temperature=1 / BETA)


def peapods(length: int) -> Runner:
    """Return a runner of sweeps of a square lattice, measured as spinnet does."""
    from peapods import Ising

    lattice = Ising((length, length), temperatures=np.array([1 / BETA]))
    return lambda n_sweeps: lattice.sample(n_sweeps, warmup_ratio=0.0)


def cases() -> list[Case]:
    """Return the lines of goals 7 and 8, and the cost of a flip by the number of spins."""
    rows = []
    for n, size in ((1000, 300), (100_000, 8)):
        model = regular_graph(n)
        least = {"openjij": 20.0} if n == 100_000 else {}
        rows.append(
            Case("7", f"graph of degree 6, real J, N={n}, 64 replicas", "ns/flip", 64.0 * n,
                 ours(model, 1.0, 64), size, {"openjij": (openjij(model, 1.0), n, size)},
                 targets={"spinnet": 1 / 1.1, **least})
        )  # fmt: skip
    for length, size in ((64, 500), (256, 40), (1024, 3)):
        model, n = square(length), length**2
        peers = {
            "mcising": (mcising(length), n, size),
            "peapods": (peapods(length), n, size),
            "openjij": (openjij(model, BETA), n, size),
        }
        if length == 1024:
            del peers["openjij"]
        targets = {"mcising": 1.0, "peapods": 2.5, "openjij": 2.5}
        rows.append(
            Case("8", f"square lattice {length}x{length}, one chain", "ns/flip", n,
                 ours(model, BETA, 1), size, peers, targets=targets)
        )  # fmt: skip
    model = regular_graph(100_000)
    peer = (openjij(model, 1.0), 100_000, 8)
    rows.append(
        Case("8", "graph of degree 6, real J, N=100000, one chain", "ns/flip", 1e5,
             ours(model, 1.0, 1), 30, {"openjij": peer}, targets={"openjij": 1.5})
    )  # fmt: skip
    return rows + by_size()


def by_size() -> list[Case]:
    """Return the cost at N = 1e4, 1e5 and 1e6 beside that at 1e4, whose goal is a ratio of 0.5."""
    rows = []
    makers = {
        "graph of degree 6, real J": (regular_graph, 1.0),
        "square lattice": (lambda n: square(round(math.sqrt(n))), BETA),
    }
    for name, (make, beta) in makers.items():
        for n_replicas, work in ((1, 4e6), (64, 4e8)):
            small = make(10_000)
            base = ours(small, beta, n_replicas)
            for n in (100_000, 1_000_000):
                model = make(n)
                flips = n_replicas * model.n_spins
                steps = max(2, round(work / flips))
                many = max(2, round(work / (n_replicas * small.n_spins)))
                peer = (base, float(n_replicas * small.n_spins), many)
                rows.append(
                    Case("scale", f"{name}, N={n}, {n_replicas} replicas", "ns/flip", flips,
                         ours(model, beta, n_replicas), steps, {"N=10000": peer},
                         targets={"N=10000": 0.5})
                )  # fmt: skip
    return rows
