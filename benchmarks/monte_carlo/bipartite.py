"""Two layers drawn in turn, against the matrix product alone and three other samplers.

All sweep 500 x 400 units of the same weights and biases; a flip is one unit drawn.  The limit is
the two products of a sweep in single precision, with nothing drawn.  The plain NumPy sampler is
the shortest one in single precision, with NumPy's fastest generator; scikit-learn's ``gibbs`` of
BernoulliRBM has the weights in double precision, as its ``fit`` leaves them.  Both return
configurations alone; ours also records magnetisations and energies, and goes through the public
call with its statistics.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

import spinnet as sn
from monte_carlo.side_by_side import Case, Runner

N_A, N_B = 500, 400
UNITS = N_A + N_B
Matrix = NDArray[Any]


def system() -> tuple[Matrix, Matrix, Matrix]:
    """Return weights (N_A, N_B) and the biases of both layers."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(N_A, N_B)) / 20, rng.normal(size=N_A) / 10, rng.normal(size=N_B) / 10


def sampled(n_replicas: int) -> Runner:
    model = sn.Bipartite(*system())

    def run(n_sweeps: int) -> object:
        return sn.sample(model, 1.0, n_sweeps=n_sweeps, n_replicas=n_replicas, n_burn_in=0, rng=1)

    return run


def starts(n_replicas: int, n: int) -> Matrix:
    rng = np.random.default_rng(2)
    return (rng.random((n_replicas, n)) < 0.5).astype(np.float32)


def products(n_replicas: int) -> Runner:
    into_b = system()[0].astype(np.float32)
    into_a = np.ascontiguousarray(into_b.T)
    a, b = starts(n_replicas, N_A), starts(n_replicas, N_B)
    out_a, out_b = np.empty_like(a), np.empty_like(b)

    def run(n_sweeps: int) -> object:
        for _ in range(n_sweeps):
            np.matmul(b, into_a, out=out_a)
            np.matmul(a, into_b, out=out_b)
        return out_b

    return run


def plain_numpy(n_replicas: int) -> Runner:
    into_b, g, k = (part.astype(np.float32) for part in system())
    into_a = np.ascontiguousarray(into_b.T)
    rng = np.random.Generator(np.random.SFC64(1))
    start = starts(n_replicas, N_B)

    def drawn(fields: Matrix) -> Matrix:
        up = 1 / (1 + np.exp(-fields))
        return (rng.random(up.shape, dtype=np.float32) < up).astype(np.float32)

    def run(n_sweeps: int) -> object:
        b = start
        for _ in range(n_sweeps):
            b = drawn(drawn(b @ into_a + g) @ into_b + k)
        return b

    return run


def scikit_learn(n_replicas: int) -> Runner:
    from sklearn.neural_network import BernoulliRBM

    w, g, k = system()
    machine: Any = BernoulliRBM(n_components=N_B)
    machine.components_, machine.intercept_visible_, machine.intercept_hidden_ = w.T.copy(), g, k
    machine.random_state_ = np.random.RandomState(0)
    start = starts(n_replicas, N_A).astype(float)

    def run(n_sweeps: int) -> object:
        a = start
        for _ in range(n_sweeps):
            a = machine.gibbs(a)
        return a

    return run


def cases() -> list[Case]:
    """Return the cases of goal 5."""
    found = []
    for n_replicas, size in ((100, 60), (1000, 8)):
        flips = float(UNITS * n_replicas)
        peers = {"sklearn": scikit_learn(n_replicas), "NumPy float32": plain_numpy(n_replicas)}
        found.append(
            Case(
                goal="5",
                workload=f"Two layers {N_A} x {N_B}, {n_replicas} chains",
                unit="ns/flip",
                per_unit=flips,
                ours=sampled(n_replicas),
                size=5 * size,
                peers={name: (run, flips, size) for name, run in peers.items()},
                limit=("matrix product", products(n_replicas), flips, 5 * size),
                targets={
                    "sklearn": 2.7,
                    "NumPy float32": 1.15,
                    "matrix product": 0.9,
                    "spinnet": 11.0,
                },
            )
        )
    return found
