r"""Exact averages by enumeration of all 2^N states, N <= 24 (or of the smaller of two layers).

The state is cut into two halves: E(s) = E_1(s_1) + E_2(s_2) - s_1 J_12 s_2, so that the 2^N
energies are one matrix product of the 2^(N/2) halves.  The averages are sums over rows and
columns of that matrix: no loop over states, and no error that builds up along a Gray code.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.errors import InputError
from spinnet.spins.exact.result import Array, ExactResult, free_energy_per_spin
from spinnet.spins.exact.two_layers import TwoLayers
from spinnet.spins.models import Bipartite, NetworkDual, SpinModel
from spinnet.spins.statistics import binder_cumulant
from spinnet.validation import inverse_temperatures

MAX_SPINS = 24
_CHUNK = 1 << 22  # states of the marginal system times outputs expanded at a time


def enumerate_states(model: SpinModel, beta: ArrayLike) -> ExactResult:
    """Return exact thermal averages by summing over every state.

    Parameters
    ----------
    model : SpinModel
        At most 24 units; of a two-layer system, at most 24 in its smaller layer.
    beta : array_like
        Inverse temperatures >= 0.

    Returns
    -------
    ExactResult
        Arrays of the shape of `beta`; `means` adds an axis of units, `correlations` two.
        For a ``NetworkDual`` of kind "marginal" energy and specific heat are those of the
        whole layer (the summed outputs included), per visible spin, and log Z agrees with
        kind "bipartite".

    Raises
    ------
    InputError
        For more units, or a bad `beta`.

    Notes
    -----
    Time and memory grow as 2^N: at N = 24 each temperature takes about a second and 0.4 GB.
    A system of more than 24 units in two layers is summed over its smaller one; 20 units beside
    100 take seconds, 24 beside 100 about two minutes.  Its `abs_m` and
    `susceptibility_abs` need the distribution of the total; for units of +-1 they are NaN where
    2^n n_other^2 exceeds 4e11.

    Examples
    --------
    >>> import spinnet as sn
    >>> pair = sn.Ising([[0, 1], [1, 0]])
    >>> round(float(sn.exact.enumerate(pair, beta=0.5).correlations[0, 1]), 6)  # tanh(1/2)
    0.462117
    """
    if not isinstance(model, SpinModel):
        raise InputError(f"model must be a spin model, got {type(model).__name__}")
    inverse = inverse_temperatures(beta)
    if model.n_spins > MAX_SPINS:
        layers = _two_layers(model)
        return _collect(
            model.n_spins, inverse, [layers.averages(b) for b in inverse.ravel().tolist()]
        )
    halves = _Halves(model)
    weights = _marginal_weights if _is_marginal(model) else _pairwise_weights
    rows = []
    for b in inverse.ravel().tolist():
        log_weight, energy, extra_variance = weights(halves, b)
        rows.append(halves.averages(log_weight, energy, extra_variance, b))
    return _collect(model.n_spins, inverse, rows)


def _two_layers(model: SpinModel) -> TwoLayers:
    """Return a model of many units as two layers; refuse one that has no small layer."""
    pair: Any = model
    if isinstance(model, NetworkDual) and model.kind != "collapsed":
        pair = model.as_bipartite()
    if not isinstance(pair, Bipartite):
        raise InputError(
            f"model must have n_spins <= {MAX_SPINS} to be enumerated, got {model.n_spins}; "
            "use sample, or exact.curie_weiss for the Curie-Weiss model"
        )
    if min(pair.n_a, pair.n_b) > MAX_SPINS:
        raise InputError(
            f"model must have at most {MAX_SPINS} units in one of its two layers to be "
            f"enumerated, got {pair.n_a} and {pair.n_b}; use sample"
        )
    return TwoLayers(pair, only_a=_is_marginal(model))


def _is_marginal(model: SpinModel) -> bool:
    return isinstance(model, NetworkDual) and model.kind == "marginal"


class _Halves:
    """The two halves of the state, and averages over a matrix of weights (2^N1, 2^N2)."""

    def __init__(self, model: SpinModel) -> None:
        self.model = model
        n = model.n_spins
        self.levels = model.levels
        self.first = _states(n // 2, model.levels)
        self.second = _states(n - n // 2, model.levels)
        self._energy: Array | None = None

    @property
    def energy(self) -> Array:
        """Energies of a pairwise model, shape (2^N1, 2^N2), computed once."""
        if self._energy is None:
            cut = self.first.shape[1]
            dense: Any = self.model.couplings
            J = dense if isinstance(dense, np.ndarray) else dense.toarray()
            h = self.model.fields
            own = [
                -0.5 * np.sum((s @ block) * s, axis=1) - s @ field
                for s, block, field in (
                    (self.first, J[:cut, :cut], h[:cut]),
                    (self.second, J[cut:, cut:], h[cut:]),
                )
            ]
            self._energy = (self.first @ -J[:cut, cut:]) @ self.second.T
            self._energy += own[0][:, None] + self.model.constant
            self._energy += own[1]
        return self._energy

    def averages(
        self, log_weight: Array, energy: Array, extra_variance: Array | None, beta: float
    ) -> dict[str, Any]:
        """Return the averages under exp(log_weight); `log_weight` is overwritten."""
        n = self.model.n_spins
        top = float(log_weight.max())
        p = np.exp(np.subtract(log_weight, top, out=log_weight), out=log_weight)
        z = float(p.sum())
        p /= z
        mean_energy = float(np.vdot(p, energy))
        variance = sum(
            float(np.dot(row, (values - mean_energy) ** 2))
            for row, values in zip(p, energy, strict=True)
        )
        if extra_variance is not None:
            variance += float(np.vdot(p, extra_variance))
        totals, mass = self._total_distribution(p)
        m = totals / n
        mean = float(mass @ m)
        abs_m = float(mass @ np.abs(m))
        means, correlations = self._site_averages(p)
        return {
            "log_z": top + np.log(z),
            "energy": mean_energy,
            "specific_heat": beta**2 * variance / n,
            "magnetization": mean,
            "abs_m": abs_m,
            "m2": float(mass @ m**2),
            "m4": float(mass @ m**4),
            "susceptibility": beta * n * float(mass @ (m - mean) ** 2),
            "susceptibility_abs": beta * n * float(mass @ (np.abs(m) - abs_m) ** 2),
            "means": means,
            "correlations": correlations,
        }

    def _total_distribution(self, p: Array) -> tuple[Array, Array]:
        """Return the possible sums of the units and their probabilities."""
        low, high = self.levels
        ups = [np.sum(s == high, axis=1) for s in (self.first, self.second)]
        by_second = p @ np.eye(int(ups[1].max()) + 1)[ups[1]]
        mass = np.zeros(self.model.n_spins + 1)
        for extra in range(by_second.shape[1]):
            np.add.at(mass, ups[0] + extra, by_second[:, extra])
        count = np.arange(self.model.n_spins + 1)
        return (count * (high - low) + low * self.model.n_spins).astype(np.float64), mass

    def _site_averages(self, p: Array) -> tuple[Array, Array]:
        p1, p2 = p.sum(axis=1), p.sum(axis=0)
        means = np.concatenate([p1 @ self.first, p2 @ self.second])
        cross = self.first.T @ (p @ self.second)
        same1 = (self.first.T * p1) @ self.first
        same2 = (self.second.T * p2) @ self.second
        return means, np.block([[same1, cross], [cross.T, same2]])


def _pairwise_weights(halves: _Halves, beta: float) -> tuple[Array, Array, None]:
    return -beta * halves.energy, halves.energy, None


def _marginal_weights(halves: _Halves, beta: float) -> tuple[Array, Array, Array]:
    """Return log-weights, mean energies and energy variances given the visible spins."""
    dual: Any = halves.model
    pair = dual.as_bipartite()
    shape = (len(halves.first), len(halves.second))
    log_weight, energy, variance = (np.empty(shape) for _ in range(3))
    for rows in _chunks(shape[0], shape[1] * pair.n_b):
        a = _joined(halves.first[rows], halves.second)
        x = pair.bias_b + a @ pair.weights
        own = pair.constant - a @ pair.bias_a
        target = (-1, shape[1])
        log_weight[rows] = (np.logaddexp(beta * x, -beta * x).sum(1) - beta * own).reshape(target)
        t = np.tanh(beta * x)
        energy[rows] = (own - np.sum(x * t, axis=1)).reshape(target)
        variance[rows] = np.sum(x**2 * (1 - t**2), axis=1).reshape(target)
    return log_weight, energy, variance


def _chunks(n_rows: int, row_size: int) -> Iterator[slice]:
    step = max(1, _CHUNK // row_size)
    return (slice(start, start + step) for start in range(0, n_rows, step))


def _joined(first: Array, second: Array) -> Array:
    return np.hstack([np.repeat(first, len(second), axis=0), np.tile(second, (len(first), 1))])


def _states(n: int, levels: tuple[int, int]) -> Array:
    """Return all 2^n states of n units, shape (2^n, n)."""
    bits: NDArray[np.int64] = (np.arange(1 << n)[:, None] >> np.arange(n)) & 1
    return np.where(bits == 1, levels[1], levels[0]).astype(np.float64).reshape(1 << n, n)


def _collect(n: int, beta: Array, rows: list[dict[str, Any]]) -> ExactResult:
    def pack(name: str) -> Array:
        return np.array([row[name] for row in rows]).reshape(beta.shape + np.shape(rows[0][name]))

    m2, m4, log_z = pack("m2"), pack("m4"), pack("log_z")
    return ExactResult(
        n_spins=n,
        beta=beta,
        log_z=log_z,
        free_energy=free_energy_per_spin(log_z, beta, n),
        energy=pack("energy"),
        specific_heat=pack("specific_heat"),
        magnetization=pack("magnetization"),
        abs_m=pack("abs_m"),
        m2=m2,
        m4=m4,
        binder=binder_cumulant(m2, m4),
        susceptibility=pack("susceptibility"),
        susceptibility_abs=pack("susceptibility_abs"),
        means=pack("means"),
        correlations=pack("correlations"),
    )
