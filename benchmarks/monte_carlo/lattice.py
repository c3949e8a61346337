"""Lattices and graphs with couplings of one size: Metropolis on many replicas as bits.

The unit is one attempted spin update ("flip").  Peers run one chain, or as many as their call
takes, on the same model at the same temperature; where ours measures m and the energy after each
sweep, so does mcising's loop, and peapods does so by itself.  openjij measures nothing.  peapods
computes overlaps and correlations of its own where it has several replicas.
"""

from __future__ import annotations

import math

import mcising._core
import networkx as nx
import numpy as np
import peapods
import scipy.sparse as sp
from openjij import cxxjij

import spinnet as sn
from monte_carlo.side_by_side import Case, Runner

BETA = 0.5 * math.log(1 + math.sqrt(2))
SIDE = 64


def square(side: int) -> sn.Ising:
    """Return the periodic square lattice."""
    return sn.Ising.from_graph(nx.grid_2d_graph(side, side, periodic=True))


def with_signs(graph: nx.Graph) -> sn.Ising:
    """Return couplings +-1 on a graph."""
    upper = sp.triu(nx.to_scipy_sparse_array(graph, format="csr", dtype=float), 1).tocsr()
    upper.data = np.random.default_rng(1).choice([-1.0, 1.0], upper.nnz)
    return sn.Ising(sp.csr_array(upper + upper.T))


def ours(model: sn.Ising, beta: float, n_replicas: int, every: int) -> Runner:
    """Return so many sweeps of all replicas, measured at every `every`-th."""

    def run(sweeps: int) -> object:
        return sn.sample(
            model,
            beta,
            n_sweeps=sweeps // every,
            measure_every=every,
            n_replicas=n_replicas,
            update=sn.Metropolis(),
            n_burn_in=0,
            rng=1,
        )

    return run


def tempered(model: sn.Ising, betas: np.ndarray, n_replicas: int) -> Runner:
    """Return so many sweeps with an exchange of temperatures after each."""

    def run(sweeps: int) -> object:
        return sn.sample(
            model,
            betas,
            n_sweeps=sweeps,
            n_replicas=n_replicas,
            update=sn.Metropolis(),
            tempering=True,
            n_burn_in=0,
            rng=1,
        )

    return run


def mcising_runner(side: int, every: int) -> Runner:
    """Return so many sweeps of one chain, measured at every `every`-th."""
    core = mcising._core.IsingSimulation(side, 1.0, 0.0, 0.0, 0.0, 1, "metropolis", "square")

    def run(sweeps: int) -> object:
        seen = np.empty((sweeps // every, 2))
        for row in seen:
            core.sweep(every, temperature=1 / BETA)
            row[:] = core.magnetization(), core.energy()
        return seen

    return run


def peapods_runner(
    shape: tuple[int, ...], temperatures: np.ndarray, n_replicas: int, exchange: int | None
) -> Runner:
    """Return so many sweeps of all temperatures and replicas."""
    couplings = "ferro" if len(shape) == 2 else "bimodal"
    system = peapods.Ising(shape, couplings, temperatures, n_replicas=n_replicas)

    def run(sweeps: int) -> object:
        return system.sample(sweeps, pt_interval=exchange, warmup_ratio=0.0, sequential=True)

    return run


def openjij_runner(model: sn.Ising, beta: float) -> Runner:
    """Return so many sweeps of one chain."""
    J = sp.triu(model.couplings, 1).tocoo()
    graph = cxxjij.graph.Sparse(model.n_spins)
    for i, j, value in zip(J.row.tolist(), J.col.tolist(), J.data.tolist(), strict=True):
        graph[i, j] = -value
    start = np.random.default_rng(1).choice([-1, 1], model.n_spins).tolist()

    def run(sweeps: int) -> object:
        system = cxxjij.system.make_classical_ising(start, graph)
        cxxjij.algorithm.Algorithm_SingleSpinFlip_run(system, 1, [(beta, sweeps)])
        return system

    return run


def cases() -> list[Case]:
    """Return the cases of goal 6."""
    return [*_square(), _random_graph(), _spin_glass()]


def _square() -> list[Case]:
    model, n = square(SIDE), SIDE**2
    chain = openjij_runner(model, BETA)
    found = []
    for n_replicas, every in ((512, 1), (512, 8), (64, 1), (64, 8)):
        seen = "each sweep" if every == 1 else f"every {every}th sweep"
        targets = {"spinnet": 1 / 9, "mcising": 45.0, "peapods": 150.0}
        flips = float(n * n_replicas)
        peapods_ = peapods_runner((SIDE, SIDE), np.array([1 / BETA]), 1, None)
        found.append(
            Case(
                "6",
                f"square lattice at T_c, L = {SIDE}, {n_replicas} replicas, measured {seen}",
                "ns/flip",
                flips,
                ours(model, BETA, n_replicas, every),
                128 if n_replicas == 512 else 1024,
                {
                    "mcising": (mcising_runner(SIDE, every), n, 400),
                    "peapods": (peapods_, n, 120),
                    "openjij": (chain, n, 200),
                },
                targets=targets,
            )
        )
    return found


def _random_graph() -> Case:
    n = 100_000
    model = with_signs(nx.random_regular_graph(6, n, seed=1))
    return Case(
        "6",
        f"random regular graph of degree 6, +-J, N = {n}, 512 replicas, measured every 8th sweep",
        "ns/flip",
        512.0 * n,
        ours(model, 0.5, 512, 8),
        32,
        {"openjij": (openjij_runner(model, 0.5), n, 100)},
        targets={"spinnet": 1 / 5},
    )


def _spin_glass() -> Case:
    model = with_signs(nx.grid_graph((8, 8, 8), periodic=True))
    temperatures = np.linspace(0.8, 2.4, 32)
    flips = 32.0 * 16 * 512
    peer = peapods_runner((8, 8, 8), temperatures, 16, 1)
    return Case(
        "6",
        "3D +-J spin glass, L = 8, 32 temperatures x 16 replicas, exchange after each sweep",
        "ns/flip",
        flips,
        tempered(model, 1 / temperatures, 16),
        512,
        {"peapods": (peer, flips, 6)},
        targets={"peapods": 150.0},
    )
