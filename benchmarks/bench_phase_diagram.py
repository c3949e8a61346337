"""Phase diagrams by spinnet and by nested quadrature, in one process, with their ratio.

The other side is what published code for these papers does: q* by iterating the length map under
``scipy.integrate.quad``, c* by iterating the correlation map under ``dblquad`` until it moves by
less than 1e-6, and xi_c from one more double integral.  It is run on a random sample of the grid.

Run ``python benchmarks/bench_phase_diagram.py``; ``--points 20`` samples more.  The ratio is what
carries over to other machines; the times do not.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
from scipy.integrate import dblquad, quad

from spinnet.propagation import MeanField
from spinnet.propagation.diagram import PhaseDiagram, phase_diagram, tables

REACH = 8.0  # standard deviations
STEPS = 300
GRIDS = {
    "tanh": (np.linspace(1, 5, 200), np.linspace(0, 4, 200)),
    "erf": (np.linspace(1, 5, 200), np.linspace(0, 4, 200)),
    "hard_tanh": (np.linspace(1, 5, 200), np.linspace(0, 4, 200)),
    "sin": (np.linspace(1, 5, 200), np.linspace(0, 4, 200)),
    "sigmoid": (np.linspace(1, 25, 200), np.linspace(0, 4, 200)),
    "relu": (np.linspace(0.5, 1.4, 200), np.linspace(0, 2, 200)),
    "gelu": (np.linspace(0.5, 1.4, 200), np.linspace(0, 2, 200)),
    "silu": (np.linspace(0.5, 1.4, 200), np.linspace(0, 2, 200)),
    "softplus": (np.linspace(0.5, 1.4, 200), np.linspace(0, 2, 200)),
}


def gauss(z: float) -> float:
    return float(np.exp(-z * z / 2) / np.sqrt(2 * np.pi))


def single(g: Callable[[float], float]) -> float:
    return float(quad(lambda z: g(z) * gauss(z), -REACH, REACH)[0])


def double(g: Callable[[float, float], float]) -> float:
    def integrand(y: float, x: float) -> float:
        return g(x, y) * gauss(x) * gauss(y)

    return float(dblquad(integrand, -REACH, REACH, -REACH, REACH, epsabs=1e-7, epsrel=1e-7)[0])


def by_quadrature(sigma_w: float, sigma_b: float) -> tuple[float, float, float, float]:
    """Return q*, chi_1, c* and xi_c of tanh."""
    q = 1.0
    for _ in range(STEPS):
        root = np.sqrt(q)
        new = sigma_w**2 * single(lambda z, root=root: np.tanh(root * z) ** 2) + sigma_b**2
        if abs(new - q) < 1e-10:
            break
        q = new
    root = np.sqrt(q)
    chi_1 = sigma_w**2 * single(lambda z: np.cosh(root * z) ** -4)
    c = 0.5
    for _ in range(STEPS):
        s = np.sqrt(max(1 - c * c, 0.0))
        overlap = double(lambda x, y, c=c, s=s: np.tanh(root * x) * np.tanh(root * (c * x + s * y)))
        new = min((sigma_w**2 * overlap + sigma_b**2) / q, 1.0)
        moved, c = abs(new - c), new
        if moved < 1e-6:
            break
    s = np.sqrt(max(1 - c * c, 0.0))
    chi_c = sigma_w**2 * double(
        lambda x, y: (np.cosh(root * x) * np.cosh(root * (c * x + s * y))) ** -2
    )
    return q, chi_1, c, float(-1 / np.log(chi_c))


def seconds(work: Callable[[], object], repeats: int = 3) -> float:
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def beside_quadrature(n_points: int) -> None:
    axes = GRIDS["tanh"]
    diagram = phase_diagram("tanh", *axes)
    ours = seconds(lambda: phase_diagram("tanh", *axes)) / diagram.q_star.size
    rng = np.random.default_rng(1)
    theirs, differences = 0.0, {"q_star": 0.0, "chi_1": 0.0, "c_star": 0.0, "xi_c": 0.0}
    for i, j in zip(rng.integers(1, 200, n_points), rng.integers(0, 200, n_points), strict=True):
        start = time.process_time()
        values = by_quadrature(axes[0][j], axes[1][i])
        theirs += (time.process_time() - start) / n_points
        for name, value in zip(differences, values, strict=True):
            found = getattr(diagram, name)[i, j]
            differences[name] = max(differences[name], abs(value / found - 1))
    print(f"tanh, {diagram.q_star.size} points; nested quadrature at {n_points} of them")
    print(f"{'spinnet':24}{1e6 * ours:10.2f} us/point")
    print(f"{'nested quadrature':24}{theirs:10.2f} s/point")
    print(f"{'ratio':24}{theirs / ours:10.0f}")
    print(
        "largest relative difference: " + ", ".join(f"{k} {v:.0e}" for k, v in differences.items())
    )


def beside_single_points(n_points: int) -> None:
    """Compare with MeanField, which evaluates the averages themselves at each point."""
    print("\n200 x 200 points, CPU time; a first diagram makes the tables of its activation")
    print(f"{'':12}{'first':>9}{'next':>9}{'MeanField':>15}   largest difference from it")
    print(f"{'':12}{'s':>9}{'s':>9}{'ms/point':>15}{'q* (rel.)':>15}{'c*':>10}{'xi_c (rel.)':>13}")
    for name, axes in GRIDS.items():
        tables.tables_of.cache_clear()
        first = seconds(lambda: phase_diagram(name, *axes), 1)  # noqa: B023 - called here
        again = seconds(lambda: phase_diagram(name, *axes))  # noqa: B023
        single_point, worst = compare(phase_diagram(name, *axes), n_points)
        print(
            f"{name:12}{first:9.3f}{again:9.3f}{1e3 * single_point:15.1f}"
            f"{worst[0]:15.0e}{worst[1]:10.0e}{worst[2]:13.0e}"
        )


def compare(diagram: PhaseDiagram, n_points: int) -> tuple[float, list[float]]:
    rng = np.random.default_rng(2)
    spent, worst = 0.0, [0.0, 0.0, 0.0]
    for i, j in zip(rng.integers(0, 200, n_points), rng.integers(0, 200, n_points), strict=True):
        net = MeanField(diagram.activation, diagram.sigma_w[j], diagram.sigma_b[i])
        start = time.process_time()
        q, c, xi = net.q_star, net.c_star, net.xi_c
        spent += (time.process_time() - start) / n_points
        if not np.isfinite(q) or q == 0:
            continue
        worst[0] = max(worst[0], abs(diagram.q_star[i, j] / q - 1))
        worst[1] = max(worst[1], abs(diagram.c_star[i, j] - c))
        worst[2] = max(worst[2], abs(diagram.xi_c[i, j] / xi - 1))
    return spent, worst


def sizes() -> None:
    print("\ntanh, sigma_w 1 to 5, sigma_b 0 to 4")
    for n in (50, 100, 200, 400, 800):
        axes = np.linspace(1, 5, n), np.linspace(0, 4, n)
        phase_diagram("tanh", *axes)
        spent = seconds(lambda: phase_diagram("tanh", *axes))  # noqa: B023
        print(f"{n:5d} x {n:<5d}{1e3 * spent:10.1f} ms{1e6 * spent / n**2:10.2f} us/point")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=4, help="for nested quadrature")
    options = parser.parse_args()
    sizes()
    beside_single_points(40)
    print()
    beside_quadrature(options.points)
