"""Dense couplings: one chain against its peers, many replicas, and couplings of whole numbers.

Peers do the same work: sequential sweeps over the same couplings at one temperature, Metropolis
against the Metropolis of openjij (its dense graph) and dwave-samplers, heat bath against the
Gibbs of dwave-samplers.  The limit is the row update alone: as many additions of a row to N
cached fields as the sweeps accept, one after the other.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

import spinnet as sn
from monte_carlo.side_by_side import Case, Runner
from spinnet.compiling import compiled
from spinnet.simd.vectors import filled, fma, load, store
from spinnet.spins.montecarlo.chains import make_chains

Matrix = NDArray[Any]
BETA = 1 / 0.7


def couplings(n: int, signs: bool = False) -> Matrix:
    """Return Gaussian or +-1/sqrt(n) couplings of variance 1/n."""
    rng = np.random.default_rng(1)
    values = rng.choice([-1.0, 1.0], (n, n)) if signs else rng.normal(size=(n, n))
    upper = np.triu(values, 1) / np.sqrt(n)
    return np.asarray(upper + upper.T)


def sweeps(J: Matrix, update: Any, n_replicas: int = 1, workers: int = 1) -> Runner:
    model = sn.Ising(J)

    def run(n_sweeps: int) -> object:
        return sn.sample(
            *(model, BETA),
            n_sweeps=n_sweeps,
            n_replicas=n_replicas,
            n_burn_in=0,
            update=update,
            rng=1,
            workers=workers,
        )

    return run


def acceptance(J: Matrix, update: Any) -> float:
    """Return the part of proposals that flip, after 100 sweeps."""
    chains = make_chains(sn.Ising(J), BETA, update, 1, np.random.SeedSequence(1))
    chains.advance(100, record=False)
    flips = 0
    for _ in range(20):
        before = chains.spins
        chains.advance(1, record=False)
        flips += int((chains.spins != before).sum())
    return flips / (20 * len(J))


@compiled(nogil=True)
def add_rows(fields: Any, rows: Any, order: Any) -> None:
    """Add the rows in the given order to the fields, by vectors."""
    for k in range(order.shape[0]):
        row = rows[order[k]]
        for j in range(0, row.shape[0], 16):
            w = load(row, j, 16)
            store(fields, j, fma(filled(w, 2.0), w, load(fields, j, 16)))


def row_updates(J: Matrix, accepted: float) -> Runner:
    """Return a runner of the row updates of so many sweeps."""
    rows = J.astype(np.float32)
    n = len(rows)
    fields = np.zeros(n, np.float32)
    rng = np.random.default_rng(1)
    sweep = [np.flatnonzero(rng.random(n) < accepted) for _ in range(64)]

    def run(n_sweeps: int) -> object:
        for t in range(n_sweeps):
            add_rows(fields, rows, sweep[t % 64])
        return fields

    return run


def dwave(J: Matrix, criterion: str) -> Runner:
    import dimod
    from dwave.samplers import SimulatedAnnealingSampler

    n = len(J)
    rows, cols = np.triu_indices(n, 1)
    bqm = dimod.BinaryQuadraticModel.from_numpy_vectors(
        np.zeros(n), (rows, cols, -J[rows, cols]), 0.0, "SPIN"
    )
    sampler = SimulatedAnnealingSampler()

    def run(n_sweeps: int) -> object:
        return sampler.sample(
            bqm,
            beta_schedule_type="custom",
            beta_schedule=[BETA] * 2,
            num_sweeps_per_beta=n_sweeps // 2,
            num_reads=1,
            seed=1,
            proposal_acceptance_criteria=criterion,
        )

    return run


def openjij(J: Matrix) -> Runner:
    from openjij import cxxjij

    n = len(J)
    graph = cxxjij.graph.Dense(n)
    graph.set_interaction_matrix(-np.pad(J, ((0, 1), (0, 1))) + np.diag([0.0] * n + [1.0]))
    start = graph.gen_spin(1)

    def run(n_sweeps: int) -> object:
        system = cxxjij.system.make_classical_ising(start, graph)
        schedule = cxxjij.utility.make_classical_schedule_list(BETA, BETA, n_sweeps, 1)
        cxxjij.algorithm.Algorithm_SingleSpinFlip_run(system, 1, schedule)
        return np.array(system.spin[:n])

    return run


def one_chain(n: int, goal: float) -> list[Case]:
    J, size = couplings(n), 400 * 1024 // n
    metropolis, heat_bath = sn.Metropolis(), sn.HeatBath()
    shared: dict[str, Any] = {"goal": "3", "unit": "ns/flip", "per_unit": n, "size": size}
    # an even number, and enough to stand out from the conversion of n^2/2 couplings
    slow = max(size // 8, n // 8) // 2 * 2
    return [
        Case(
            workload=f"SK, N = {n}, T = 0.7, one chain, Metropolis",
            ours=sweeps(J, metropolis),
            peers={
                "openjij": (openjij(J), n, size // 4),
                "dwave-samplers": (dwave(J, "Metropolis"), n, slow),
            },
            limit=("row update", row_updates(J, acceptance(J, metropolis)), n, size),
            targets={"spinnet": goal, "openjij": 3.5, "dwave-samplers": 10.0, "row update": 0.5},
            **shared,
        ),
        Case(
            workload=f"SK, N = {n}, T = 0.7, one chain, heat bath",
            ours=sweeps(J, heat_bath),
            peers={"dwave-samplers Gibbs": (dwave(J, "Gibbs"), n, slow)},
            limit=("row update", row_updates(J, acceptance(J, heat_bath)), n, size),
            targets={"spinnet": goal, "dwave-samplers Gibbs": 10.0, "row update": 0.5},
            **shared,
        ),
    ]


def many_replicas() -> list[Case]:
    n, update = 4096, sn.Metropolis()
    J, signs = couplings(n), couplings(n, signs=True)
    shared: dict[str, Any] = {"goal": "4", "unit": "ns/flip"}
    return [
        Case(
            workload="SK, N = 4096, T = 0.7, 64 replicas, Metropolis",
            ours=sweeps(J, update, 64),
            per_unit=64 * n,
            size=6,
            peers={"one chain": (sweeps(J, update), n, 32)},
            targets={"spinnet": 80.0, "one chain": 2.5},
            **shared,
        ),
        Case(
            workload="+-J SK, N = 4096, T = 0.7, 64 replicas, Metropolis",
            ours=sweeps(signs, update, 64),
            per_unit=64 * n,
            size=8,
            peers={"Gaussian couplings": (sweeps(J, update, 64), 64 * n, 4)},
            targets={"Gaussian couplings": 2.5},
            **shared,
        ),
        Case(
            workload="+-J SK, N = 4096, T = 0.7, one chain, Metropolis",
            ours=sweeps(signs, update),
            per_unit=n,
            size=64,
            limit=("row update in float32", row_updates(J, acceptance(signs, update)), n, 32),
            targets={"row update in float32": 2.5},
            **shared,
        ),
    ]


def cases() -> list[Case]:
    """Return the cases of goals 3 and 4."""
    single = [one_chain(n, goal) for n, goal in ((512, 10.0), (1024, 16.0), (2048, 45.0))]
    return [*(case for part in single for case in part), *many_replicas()]
