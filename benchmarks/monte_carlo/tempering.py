"""Parallel tempering of a three-dimensional Edwards-Anderson glass: flips, and the exchanges alone.

Both sides do 32 temperatures in 16 replicas with an exchange after each sweep, and measure
energy and magnetisation after each.  peapods also averages the overlaps of its replicas there,
which is a small part of its time; spinnet keeps the series.
"""

from __future__ import annotations

from collections.abc import Callable

import networkx as nx
import numpy as np
import peapods

import spinnet as sn
from monte_carlo.side_by_side import Case

SIDE, N_REPLICAS = 8, 16
BETA = 1.0 / np.geomspace(2.0, 0.5, 32)


def cases() -> list[Case]:
    """Return the cases."""
    rng = np.random.default_rng(1)
    couplings = rng.choice([-1.0, 1.0], size=(SIDE, SIDE, SIDE, 3)).astype(np.float32)
    flips = SIDE**3 * len(BETA) * N_REPLICAS
    peer = peapods.Ising((SIDE,) * 3, couplings, 1.0 / BETA, n_replicas=N_REPLICAS)
    model = glass(couplings)
    return [
        Case(
            goal="6",
            workload="3D Edwards-Anderson +-J, L = 8, 32 temperatures x 16 replicas, tempering",
            unit="ns/flip",
            per_unit=flips,
            ours=tempered(model, tempering=True),
            size=4096,
            peers={
                "peapods": (
                    lambda n: peer.sample(n, pt_interval=1, sequential=True, warmup_ratio=0.0),
                    flips,
                    16,
                ),
                "without exchanges": (tempered(model, tempering=False), flips, 4096),
            },
            targets={"peapods": 150.0},
        )
    ]


def glass(couplings: np.ndarray) -> sn.Ising:
    """Return the model with bonds from each site to the next one along each axis."""
    graph = nx.Graph()
    for site in np.ndindex(SIDE, SIDE, SIDE):
        for axis in range(3):
            other = list(site)
            other[axis] = (other[axis] + 1) % SIDE
            graph.add_edge(site, tuple(other), J=float(couplings[(*site, axis)]))
    return sn.Ising(nx.to_scipy_sparse_array(graph, weight="J"))


def tempered(model: sn.Ising, *, tempering: bool) -> Callable[[int], object]:
    """Return a run of so many sweeps."""
    given = {"n_replicas": N_REPLICAS, "n_burn_in": 0, "rng": 1, "update": sn.Metropolis()}
    return lambda n: sn.sample(model, BETA, n_sweeps=n, tempering=tempering, **given)
