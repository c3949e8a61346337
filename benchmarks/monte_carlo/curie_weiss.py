"""The Curie-Weiss model at T_c: independent magnetisations and configurations.

Samples from a chain are worth less than independent ones: an effective sample of |m| takes
2 tau sweeps.  tau of sequential Metropolis, which openjij and dwave-samplers run on the dense
couplings, is measured once with our own and counted for both.  Their sweeps are timed with the
state read once at the end, and their couplings are converted outside the slope.
"""

from __future__ import annotations

import numpy as np

import spinnet as sn
from monte_carlo.side_by_side import Case, Runner
from spinnet.spins.montecarlo.chains import make_chains
from spinnet.spins.statistics import autocorrelation_time


def metropolis_tau(n: int) -> float:
    """Return tau of |m| at T_c in sweeps of sequential Metropolis alone."""
    update = sn.Metropolis(heat_bath_every=10**9)
    seed = np.random.SeedSequence(1)
    chains = make_chains(sn.CurieWeiss(n), 1.0, update, 16, seed, kernel="sequential")
    chains.advance(200, record=False)
    m, _ = chains.advance(4000)
    return float(np.mean(autocorrelation_time(np.abs(m))))


def openjij_runner(n: int) -> Runner:
    """Return sweeps of openjij's compiled core, on its dense graph."""
    from openjij.cxxjij import algorithm, graph, system

    dense = graph.Dense(n)
    couplings = np.zeros((n + 1, n + 1))
    couplings[:n, :n] = -1 / n
    np.fill_diagonal(couplings, 0.0)
    couplings[n, n] = 1.0
    dense.set_interaction_matrix(couplings)
    ups = np.ones(n)
    expected = sn.CurieWeiss(n).energy(ups) + 0.5
    assert abs(dense.calc_energy(ups) - expected) < 1e-6 * n, (dense.calc_energy(ups), expected)
    chain = system.make_classical_ising(dense.gen_spin(1), dense)
    return lambda sweeps: algorithm.Algorithm_SingleSpinFlip_run(chain, 1, [(1.0, sweeps)])


def neal_runner(n: int) -> Runner:
    """Return sweeps of dwave-samplers at one temperature."""
    import dimod
    from dwave.samplers import SimulatedAnnealingSampler

    couplings = np.triu(np.full((n, n), -1 / n), 1)
    quadratic = dimod.BinaryQuadraticModel(couplings, "SPIN")
    sampler = SimulatedAnnealingSampler()

    def run(sweeps: int) -> object:
        return sampler.sample(
            quadratic,
            num_reads=1,
            num_sweeps_per_beta=1,
            beta_schedule_type="custom",
            beta_schedule=np.ones(sweeps),
            seed=1,
        )

    return run


def samples(n: int) -> Runner:
    """Return independent magnetisations."""
    return lambda size: sn.iid_curie_weiss(n, 1.0, size, rng=1)


def sweeps_of_sample(n: int) -> Runner:
    """Return sweeps of sixty-four replicas through `sample`."""
    return lambda size: sn.sample(sn.CurieWeiss(n), 1.0, n_sweeps=size, n_burn_in=0, rng=1)


def sequential(n: int) -> Runner:
    """Return sweeps of our own Metropolis at O(1) a flip."""
    update = sn.Metropolis()
    return lambda size: sn.sample(
        sn.CurieWeiss(n), 1.0, n_sweeps=size, n_burn_in=0, n_replicas=1, update=update, rng=1
    )


def set_up(n: int) -> Runner:
    """Return whole calls for one sample: all of the time is the table."""

    def run(calls: int) -> None:
        for _ in range(calls):
            sn.iid_curie_weiss(n, 1.0, 1, rng=1)

    return run


def configurations(n: int, packed: bool) -> Runner:
    """Return whole configurations."""
    return lambda size: sn.iid_curie_weiss_spins(n, 1.0, size, packed=packed, rng=1)


def cases() -> list[Case]:
    """Return the cases of the goal on the Curie-Weiss model."""
    found = []
    effective = 1 / (2 * metropolis_tau(1000))  # samples in a sweep
    for n in (1000, 100_000):
        peers = {}
        if n == 1000:
            peers = {
                "openjij, per effective sample": (openjij_runner(n), effective, 300),
                "dwave-samplers, per effective sample": (neal_runner(n), effective, 100),
                "our Metropolis, per effective sample": (sequential(n), effective, 5000),
            }
        found.append(
            Case(
                "1",
                f"Curie-Weiss at T_c, N = {n}: independent M (iid_curie_weiss)",
                "ns/sample",
                1.0,
                samples(n),
                2_000_000,
                peers,
                targets={
                    "spinnet": 10.0,
                    "openjij, per effective sample": 1e5,
                    "dwave-samplers, per effective sample": 5e5,
                },
            )
        )
        found.append(
            Case(
                "1",
                f"Curie-Weiss at T_c, N = {n}: sweeps of 64 replicas (sample), m and energy",
                "ns/sweep",
                64.0,
                sweeps_of_sample(n),
                20_000,
                targets={"spinnet": 20.0},
            )
        )
        for packed in (False, True):
            found.append(
                Case(
                    "1",
                    f"Curie-Weiss at T_c, N = {n}: configurations, {'bits' if packed else 'int8'}",
                    "ns/spin",
                    float(n),
                    configurations(n, packed),
                    20_000_000 // n,
                    targets={"spinnet": 0.5},
                )
            )
    found.append(
        Case(
            "1",
            "Curie-Weiss at T_c, N = 100000: set-up of the table",
            "ns",
            1.0,
            set_up(100_000),
            20,
            targets={"spinnet": 5e6},
        )
    )
    return found
