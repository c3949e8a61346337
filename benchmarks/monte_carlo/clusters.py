"""Cluster updates of the square lattice at T_c, against mcising, whose API has the same two.

Work is the same on both sides: clusters are grown and flipped, and m and the energy are taken
after each sweep.  Per flipped spin (Wolff) and per spin (Swendsen-Wang); and per effective sample
of |m|, where the autocorrelation time of either update is measured once and counted for both
sides, in clusters for Wolff and in sweeps for Swendsen-Wang.
"""

from __future__ import annotations

import math
from typing import Any

import mcising._core
import networkx as nx
import numpy as np

import spinnet as sn
from monte_carlo.side_by_side import Case, Runner
from spinnet.spins.montecarlo.chains.clusters import WolffChains
from spinnet.spins.montecarlo.engine import plan_run
from spinnet.spins.montecarlo.updates import SwendsenWang, Update, Wolff
from spinnet.spins.statistics import autocorrelation_time

BETA = 0.5 * math.log(1 + math.sqrt(2))
WARM = 30  # sweeps of burn-in, in short runs and in long ones


def lattice(side: int) -> sn.Ising:
    """Return the periodic square lattice."""
    return sn.Ising.from_graph(nx.grid_2d_graph(side, side, periodic=True))


def ours(model: sn.Ising, update: Update | None) -> Runner:
    """Return a run of one replica of so many sweeps."""

    def run(sweeps: int) -> object:
        return sn.sample(
            model, BETA, n_sweeps=sweeps, n_replicas=1, update=update, n_burn_in=WARM, rng=1
        )

    return run


def mcising_runner(side: int, algorithm: str, each: int) -> tuple[Runner, float]:
    """Return so many measurements with `each` clusters or sweeps between, and flips of one."""
    core = mcising._core.IsingSimulation(side, 1.0, 0.0, 0.0, 0.0, 1, algorithm, "square")
    held = 0
    while held < 100 * side**2:  # from a random start the first clusters are small
        held += core.sweep(each, temperature=1 / BETA)[0]
    flips = core.sweep(400 * each, temperature=1 / BETA)[0] / 400

    def run(measurements: int) -> object:
        seen = np.empty((measurements, 2))
        for k in range(measurements):
            core.sweep(each, temperature=1 / BETA)
            seen[k] = core.magnetization(), core.energy()
        return seen

    return run, flips


def wolff(side: int) -> tuple[float, float, float]:
    """Return clusters and flips of a sweep of :func:`ours`, and tau of |m| in clusters."""
    model = lattice(side)
    plan = plan_run(model, BETA, n_sweeps=1, n_replicas=1, update=Wolff(), rng=1)
    chains: Any = plan.trajectory(0).chains
    clusters = float(chains.clusters_per_sweep[0])
    several = WolffChains(model, BETA, Wolff(), 4, np.random.SeedSequence(1))
    several.advance(WARM, record=False)
    m, _ = several.advance(500)
    tau = float(autocorrelation_time(np.abs(m))) * float(several.clusters_per_sweep.mean())
    # a Wolff cluster holds N m^2 spins on average
    return clusters, clusters * side**2 * float((m**2).mean()), tau


def cases() -> list[Case]:
    """Return the cases of goals 9 and 10."""
    return [*_speed(), *_samples()]


def _speed() -> list[Case]:
    found = []
    for side, size in ((32, 4000), (100, 400), (316, 40)):
        model = lattice(side)
        clusters, flips, _ = wolff(side)
        peer, peer_flips = mcising_runner(side, "wolff", round(clusters))
        found.append(
            Case(
                "9",
                f"Wolff, square lattice at T_c, L = {side}",
                "ns/flipped spin",
                flips,
                ours(model, Wolff()),
                size,
                {"mcising": (peer, peer_flips, size)},
                targets={"spinnet": 24.0, "mcising": 1.1},
            )
        )
        peer, _ = mcising_runner(side, "swendsen_wang", 1)
        found.append(
            Case(
                "9",
                f"Swendsen-Wang, square lattice at T_c, L = {side}",
                "ns/spin",
                float(side**2),
                ours(model, SwendsenWang()),
                size,
                {"mcising": (peer, float(side**2), size)},
                targets={"spinnet": 16.0, "mcising": 1.6},
            )
        )
    return found


def _samples() -> list[Case]:
    found = []
    for side, size in ((100, 400), (316, 40)):
        model = lattice(side)
        clusters, _, tau = wolff(side)
        each = round(clusters)
        run = sn.sample(
            model, BETA, n_sweeps=300, n_replicas=4, update=SwendsenWang(), n_burn_in=WARM, rng=2
        )
        sweeps = float(autocorrelation_time(np.abs(run.series["m"])))
        grown, _ = mcising_runner(side, "wolff", each)
        all_at_once, _ = mcising_runner(side, "swendsen_wang", 1)
        found.append(
            Case(
                "10",
                f"square lattice at T_c, L = {side}: the engine's choice",
                "ns/effective sample of abs(m)",
                clusters / (2 * tau),
                ours(model, None),
                size,
                {
                    "mcising Wolff": (grown, each / (2 * tau), size),
                    "mcising Swendsen-Wang": (all_at_once, 1 / (2 * sweeps), size),
                },
                targets={"mcising Wolff": 1.2, "mcising Swendsen-Wang": 1.2},
            )
        )
    return found
