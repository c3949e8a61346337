"""Hopfield networks with few patterns: the auxiliary field against dense sweeps.

The ratio of times for an effective sample counts 2 tau sweeps for each, with tau of the squared
overlaps sum_p m_p^2 (up to a constant the energy, so that both sides record it) at T_c = 1.
"""

from __future__ import annotations

import numpy as np

import spinnet as sn
from monte_carlo.side_by_side import Case, Runner
from spinnet.spins.montecarlo.chains import make_chains
from spinnet.spins.montecarlo.updates import Update
from spinnet.spins.statistics import autocorrelation_time


def network(n: int, n_patterns: int) -> sn.Hopfield:
    """Return a network with random patterns."""
    rng = np.random.default_rng(1)
    return sn.Hopfield(rng.choice([-1, 1], size=(n_patterns, n)))


def tau(model: sn.Hopfield | sn.Ising, update: Update) -> float:
    """Return tau of the energy in sweeps, at T_c."""
    chains = make_chains(model, 1.0, update, 16, np.random.SeedSequence(1))
    chains.advance(500, record=False)
    _, energy = chains.advance(3000)
    return float(np.mean(autocorrelation_time(energy)))


def sweeps(model: sn.Hopfield | sn.Ising, update: Update, n_replicas: int) -> Runner:
    """Return sweeps at T_c."""
    return lambda size: sn.sample(
        model, 1.0, n_sweeps=size, n_replicas=n_replicas, update=update, n_burn_in=0, rng=1
    )


def cases() -> list[Case]:
    """Return the cases of the goal on couplings of low rank."""
    found = []
    for n, n_patterns, n_replicas, size in [
        (1024, 4, 16, 1000),
        (1024, 8, 16, 1000),
        (10_000, 8, 16, 100),
        (100_000, 8, 16, 10),
    ]:
        model = network(n, n_patterns)
        peers, targets = {}, {"spinnet": 1.0}
        if (n, n_patterns) == (1024, 4):
            dense = model.to_ising()
            ours, theirs = tau(model, sn.AuxiliaryField()), tau(dense, sn.Metropolis())
            # flips of theirs that are worth one of ours
            worth = n * n_replicas * ours / theirs
            name = "dense Metropolis, per effective sample"
            peers[name] = (sweeps(dense, sn.Metropolis(), n_replicas), worth, 30)
            targets[name] = 10.0
        found.append(
            Case(
                "2",
                f"Hopfield, N = {n}, P = {n_patterns}, at T_c: auxiliary field",
                "ns/flip",
                float(n * n_replicas),
                sweeps(model, sn.AuxiliaryField(), n_replicas),
                size,
                peers,
                targets=targets,
            )
        )
    return found
