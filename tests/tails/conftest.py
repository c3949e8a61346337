"""Shared references of the tails tests: published data, and a slow, plain second implementation."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import zeta

Floats = NDArray[np.float64]
Fit = tuple[float, float, float]


@pytest.fixture(scope="session")
def published() -> Callable[[str], Floats]:
    """Loader of the data files of Clauset, Shalizi and Newman that `powerlaw` ships.

    The files are read without importing `powerlaw`, whose import patches multiprocessing.
    """
    spec = find_spec("powerlaw")
    if spec is None or spec.origin is None:
        pytest.skip("the powerlaw package, which ships the data, is not installed")
    folder = Path(spec.origin).parent / "reference_data"
    return lambda name: np.loadtxt(folder / f"{name}.txt")


def _zeta_alpha(tail: Floats, q: float) -> float:
    """Root of the score, with the s-derivative of ln zeta by a complex-free central difference."""
    mean_log = float(np.log(tail / q).mean())

    def score(alpha: float) -> float:
        h = 1e-4
        # Fourth order in h: error about h^4 (fifth derivative of ln zeta) / 30, below 1e-12 here.
        values = [np.log(zeta(alpha + j * h, q)) for j in (-2, -1, 1, 2)]
        slope = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * h)
        return float(slope + mean_log + np.log(q))

    return float(brentq(score, 1.0 + 3e-4, 1.0 + 1.0 / mean_log + 1e-9, xtol=1e-13))


def _distance(
    tail: Floats, survival: Callable[[Floats], Floats], discrete: bool, how: str
) -> float:
    n = tail.size
    if discrete:
        # Every integer of the range, one by one.
        grid = np.arange(tail[0], tail[-1] + 1)
        at = survival(grid) - (tail[None, :] >= grid[:, None]).mean(1)
        above = survival(grid + 1) - (tail[None, :] > grid[:, None]).mean(1)
        if how == "left":
            return float(np.abs(at[np.isin(grid, tail)]).max())
        return float(np.maximum(np.abs(at), np.abs(above)).max())
    fitted = 1.0 - survival(tail)
    if how == "csn":  # cx = (0:n-1)/n against the sorted data, ties kept
        return float(np.abs(fitted - np.arange(n) / n).max())
    below = (tail[None, :] < tail[:, None]).mean(1)
    upto = (tail[None, :] <= tail[:, None]).mean(1)
    left = np.abs(fitted - below)
    return float((left if how == "left" else np.maximum(left, np.abs(fitted - upto))).max())


def _brute_force(x: Floats, discrete: bool, min_tail: int = 50, how: str = "csn") -> Fit:
    """(xmin, alpha, distance) by trying every distinct value: no bounds, no recursions."""
    best = (np.nan, np.nan, np.inf)
    x = np.sort(np.asarray(x, dtype=np.float64))
    for q in np.unique(x)[:-1]:
        tail = x[x >= q]
        if tail.size < min_tail:
            break
        if discrete:
            alpha = _zeta_alpha(tail, q)
            d = _distance(tail, lambda t: zeta(alpha, t) / zeta(alpha, q), True, how)  # noqa: B023
        else:
            alpha = 1.0 + tail.size / np.log(tail / q).sum()
            d = _distance(tail, lambda t: (t / q) ** (1.0 - alpha), False, how)  # noqa: B023
        if d < best[2]:
            best = (float(q), float(alpha), d)
    return best


@pytest.fixture(scope="session")
def brute_force() -> Callable[..., Fit]:
    """The slow reference fit."""
    return _brute_force


@pytest.fixture(scope="session")
def body_and_tail() -> Callable[..., Floats]:
    """CSN's test density (their section 3.4): exponential below xmin, power law above."""

    def draw(rng: np.random.Generator, n: int, alpha: float, xmin: float = 15.0) -> Floats:
        # Continuous and smooth at xmin: exp(-alpha (x/xmin - 1)) below, (x/xmin)^-alpha above.
        body = np.expm1(alpha) / alpha
        tail = 1.0 / (alpha - 1.0)
        n_tail = rng.binomial(n, tail / (body + tail))
        u = rng.random(n - n_tail)
        low = -np.log1p(u * np.expm1(-alpha)) / alpha
        high = (1.0 - rng.random(n_tail)) ** (-1.0 / (alpha - 1.0))
        return np.asarray(xmin * np.concatenate([low, high]))

    return draw
