"""Dense heat bath on Sherrington-Kirkpatrick couplings, side by side with its peers.

Spin updates per second of ``spinnet.sample``, dwave-samplers and openjij on the same
couplings at the same temperature, in one process on one thread.  Each time is the slope
between a short and a long run, so that start-up, conversion and read-out drop out; rounds are
interleaved and the median is printed.

    python benchmarks/bench_dense_heat_bath.py [--n 1000] [--temperature 0.7] [--rounds 5]

Needs the extra `bench`.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import time
from collections.abc import Callable

import numpy as np

import spinnet as sn

Runner = Callable[[int], np.ndarray]  # sweeps -> last configuration


def couplings(n: int) -> np.ndarray:
    """Return symmetric Gaussian couplings of variance 1/n, zero diagonal."""
    noise = np.random.default_rng(1).normal(size=(n, n)) / np.sqrt(n)
    upper = np.triu(noise, 1)
    return upper + upper.T


def spinnet_runner(J: np.ndarray, beta: float) -> Runner:
    model = sn.Ising(J)

    def run(sweeps: int) -> np.ndarray:
        result = sn.sample(
            model, beta, n_sweeps=sweeps, n_replicas=1, n_burn_in=0, update=sn.HeatBath(), rng=1
        )
        return result.spins[0]

    return run


def dwave_runner(J: np.ndarray, beta: float) -> Runner:
    import dimod
    from dwave.samplers import SimulatedAnnealingSampler

    n = len(J)
    rows, cols = np.triu_indices(n, 1)
    bqm = dimod.BinaryQuadraticModel.from_numpy_vectors(
        np.zeros(n), (rows, cols, -J[rows, cols]), 0.0, "SPIN"
    )
    sampler = SimulatedAnnealingSampler()

    def run(sweeps: int) -> np.ndarray:
        result = sampler.sample(
            bqm,
            beta_schedule_type="custom",
            beta_schedule=[beta] * 2,
            num_sweeps_per_beta=sweeps // 2,
            num_reads=1,
            seed=1,
            proposal_acceptance_criteria="Gibbs",
        )
        return result.record.sample[0]

    return run


def openjij_runner(J: np.ndarray, beta: float) -> Runner:
    from openjij import cxxjij

    n = len(J)
    graph = cxxjij.graph.Dense(n)
    graph.set_interaction_matrix(-np.pad(J, ((0, 1), (0, 1))) + np.diag([0.0] * n + [1.0]))
    start = graph.gen_spin(1)

    def run(sweeps: int) -> np.ndarray:
        system = cxxjij.system.make_classical_ising(start, graph)
        schedule = cxxjij.utility.make_classical_schedule_list(beta, beta, sweeps, 1)
        cxxjij.algorithm.Algorithm_SingleSpinFlip_run(system, 1, schedule)
        return np.array(system.spin[:n])

    return run


def ns_per_update(run: Runner, n: int, sweeps: int) -> float:
    """Return nanoseconds per attempted spin update: the slope between two lengths."""
    times = []
    for length in (sweeps, 3 * sweeps):
        start = time.perf_counter()
        run(length)
        times.append(time.perf_counter() - start)
    return (times[1] - times[0]) / (2 * sweeps * n) * 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--temperature", type=float, default=0.7)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    J, beta = couplings(args.n), 1 / args.temperature
    peers = {
        "spinnet heat bath": (spinnet_runner(J, beta), 4000),
        "dwave-samplers Gibbs": (dwave_runner(J, beta), 500),
        "openjij Metropolis (dense)": (openjij_runner(J, beta), 1000),
    }
    energies = {}
    for name, (run, sweeps) in peers.items():  # compile, allocate, and check the ensemble
        spins = run(sweeps).astype(float)
        energies[name] = -0.5 * spins @ J @ spins / args.n
    rounds = [
        {name: ns_per_update(run, args.n, sweeps) for name, (run, sweeps) in peers.items()}
        for _ in range(args.rounds)
    ]
    medians = {name: float(np.median([row[name] for row in rounds])) for name in peers}
    ours = medians["spinnet heat bath"]
    print(f"SK couplings, N = {args.n}, T = {args.temperature}, one chain, one thread")
    print(f"{'sampler':<30}{'ns/update':>12}{'time / spinnet':>18}{'E/N, last':>12}")
    for name, value in medians.items():
        print(f"{name:<30}{value:>12.1f}{value / ours:>18.2f}{energies[name]:>12.3f}")


if __name__ == "__main__":
    main()
