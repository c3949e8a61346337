r"""Replica-symmetric references of disordered mean-field spin systems, and where they fail.

For the Sherrington-Kirkpatrick (SK) model, J_ij normal with mean J_0/N and variance J^2/N, the
replica-symmetric (RS) free energy per spin is

.. math:: f = -\frac{\beta J^2}{4} (1-q)^2 + \frac{J_0}{2} m^2
              - T \int Dz\, \ln 2\cosh \beta(J\sqrt{q}\,z + J_0 m + h),

stationary at q = <tanh^2>, m = <tanh>; for two layers without couplings inside a layer (bipartite
SK) it has two overlaps.  RS is right where the Almeida-Thouless (AT) number
beta^2 J^2 <sech^4> is at most 1, and an approximation below.

References
----------
D. Sherrington & S. Kirkpatrick, Phys. Rev. Lett. 35, 1792 (1975); J. de Almeida & D. Thouless,
J. Phys. A 11, 983 (1978); R. Latala and F. Guerra for the uniqueness of q (M. Talagrand, "Mean
Field Models for Spin Glasses", section 1.3).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import elementwise
from scipy.special import expit

from spinnet.errors import InputError
from spinnet.spins.meanfield.gaussian_fields import Array, Averages, average
from spinnet.validation import LARGEST, bounded_array, positive_array

_CHUNK = 2000  # points solved together: about 100 MB of working memory
_LOGIT = 690.0  # ln(q/(1-q)) is sought between +- this
_NO_FIELD = 1e-140  # a smaller beta h makes q = (beta h)^2 underflow


@dataclass(frozen=True, eq=False)
class PlainValues:
    """What the results here share: their fields as plain values."""

    def to_dict(self) -> dict[str, object]:
        """Return plain lists and numbers; NaN and infinite values are None."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return {name: _plain(value) for name, value in values.items()}


def _plain(value: Any) -> Any:
    array = np.array(value)
    if array.dtype == bool:
        return array.tolist()
    plain = array.astype(object)
    plain[~np.isfinite(array)] = None
    return plain.tolist()


@dataclass(frozen=True, eq=False)
class ReplicaSymmetricSK(PlainValues):
    """The replica-symmetric SK model on a grid; every array has the broadcast shape.

    Attributes
    ----------
    beta, J, J0, h : ndarray
        The parameters, broadcast.
    q : ndarray
        Edwards-Anderson overlap <s_i>^2 averaged over spins.
    m : ndarray
        Magnetisation; of +-m at h = 0 the positive one.
    free_energy, energy, entropy : ndarray
        Per spin; the entropy falls to -1/(2 pi) at T = 0 and h = 0, which is wrong and a mark of
        RS, not of the program.
    susceptibility : ndarray
        dm/dh in a uniform field, infinite at the ferromagnetic transition.
    susceptibility_spin_glass : ndarray
        (1/N) sum_ij <s_i s_j>_c^2 = <sech^4>/(1 - at); infinite where at >= 1.
    at : ndarray
        beta^2 J^2 <sech^4>: RS is stable while it is below 1.
    stable : ndarray of bool
        at < 1.  At h = 0 and T = T_c it is exactly 1: not stable, critical.
    """

    beta: Array
    J: Array
    J0: Array
    h: Array
    q: Array
    m: Array
    free_energy: Array
    energy: Array
    entropy: Array
    susceptibility: Array
    susceptibility_spin_glass: Array
    at: Array
    stable: Array

    def summary(self) -> str:
        """Return a line for each point, at most twenty of them."""
        rows = np.broadcast_arrays(self.beta, self.h, self.q, self.m, self.free_energy, self.at)
        lines = [
            f"beta {b:.6g}  h {h:.6g}  q {q:.6g}  m {m:.6g}  f {f:.8g}  AT {at:.6g} "
            f"({'stable' if at < 1 else 'RS unstable: an approximation only'})"
            for b, h, q, m, f, at in list(zip(*(r.ravel() for r in rows), strict=True))[:20]
        ]
        more = self.q.size - len(lines)
        tail = [f"... and {more} more"] if more else []
        return "\n".join(["replica-symmetric SK model", *lines, *tail])


@dataclass(frozen=True, eq=False)
class ReplicaSymmetricBipartite(PlainValues):
    """The replica-symmetric bipartite SK model on a grid; arrays have the broadcast shape.

    Attributes
    ----------
    beta, v_a, v_b, h_a, h_b : ndarray
        The parameters, broadcast; v_a = N_a s^2 and v_b = N_b s^2 for couplings of variance s^2.
    q_a, q_b, m_a, m_b : ndarray
        Overlap and magnetisation of each layer.
    free_energy, energy, entropy : ndarray
        Per spin of both layers together, N = N_a + N_b; N_a : N_b = v_a : v_b.
    overlap_variance : ndarray
        N_a <q_a^2> of two copies (the same for N_b <q_b^2>): 1/(1 - v_a v_b/T^4) in the
        paramagnet without fields, infinite where that is unstable, NaN where q > 0.
    at : ndarray
        beta^4 v_a v_b <sech^4>_a <sech^4>_b: RS is stable while it is below 1.
    stable : ndarray of bool
        at < 1.
    """

    beta: Array
    v_a: Array
    v_b: Array
    h_a: Array
    h_b: Array
    q_a: Array
    q_b: Array
    m_a: Array
    m_b: Array
    free_energy: Array
    energy: Array
    entropy: Array
    overlap_variance: Array
    at: Array
    stable: Array

    def summary(self) -> str:
        """Return a line for each point, at most twenty of them."""
        rows = (self.beta, self.q_a, self.q_b, self.free_energy, self.at)
        lines = [
            f"beta {b:.6g}  q_a {qa:.6g}  q_b {qb:.6g}  f {f:.8g}  AT {at:.6g} "
            f"({'stable' if at < 1 else 'RS unstable: an approximation only'})"
            for b, qa, qb, f, at in list(zip(*(r.ravel() for r in rows), strict=True))[:20]
        ]
        more = self.q_a.size - len(lines)
        tail = [f"... and {more} more"] if more else []
        return "\n".join(["replica-symmetric bipartite SK model", *lines, *tail])


def replica_symmetric_sk(
    beta: ArrayLike, J: ArrayLike = 1.0, h: ArrayLike = 0.0, *, J0: ArrayLike = 0.0
) -> ReplicaSymmetricSK:
    """Return the replica-symmetric solution of the SK model.

    Parameters
    ----------
    beta : array_like
        Inverse temperatures, > 0.
    J : array_like
        Width of the couplings, > 0: J_ij has variance J^2/N.
    h : array_like
        Uniform field.
    J0 : array_like
        Ferromagnetic bias: J_ij has mean J0/N.  Of several magnetisations the largest along
        the field is returned (at h = 0 it exists where the susceptibility of m = 0 diverges).

    Returns
    -------
    ReplicaSymmetricSK
        Arrays of the shape to which the arguments broadcast.

    Raises
    ------
    InputError
        For arguments that are not finite, a `beta` or `J` that is not positive, or shapes that do
        not broadcast.

    Examples
    --------
    >>> r = replica_symmetric_sk(2.0)
    >>> round(float(r.free_energy), 7), round(float(r.at), 3)
    (-0.7923929, 1.363)
    """
    given = _broadcast(
        beta=positive_array("beta", beta),
        J=positive_array("J", J),
        J0=bounded_array("J0", J0),
        h=bounded_array("h", h),
    )
    _refuse_beyond_digits(given["beta"], given["J"], "beta J")
    shape = given["beta"].shape
    columns = _in_chunks(_solve_sk, [a.ravel() for a in given.values()])
    return ReplicaSymmetricSK(
        **given, **{name: values.reshape(shape) for name, values in columns.items()}
    )


def replica_symmetric_bipartite(
    beta: ArrayLike,
    v_a: ArrayLike = 1.0,
    v_b: ArrayLike = 1.0,
    h_a: ArrayLike = 0.0,
    h_b: ArrayLike = 0.0,
) -> ReplicaSymmetricBipartite:
    r"""Return the replica-symmetric solution of two layers with independent random couplings.

    The energy is -sum_ij J_ij a_i b_j - h_a sum a_i - h_b sum b_j with +-1 spins and J_ij of
    variance s^2.  With v_a = N_a s^2, v_b = N_b s^2,

    .. math:: q_a = \int Dz \tanh^2\beta(\sqrt{v_b q_b}\,z + h_a), \qquad
              q_b = \int Dz \tanh^2\beta(\sqrt{v_a q_a}\,z + h_b).

    Parameters
    ----------
    beta : array_like
        Inverse temperatures, > 0.
    v_a, v_b : array_like
        > 0; their ratio is that of the sizes N_a : N_b.
    h_a, h_b : array_like
        Uniform fields.

    Returns
    -------
    ReplicaSymmetricBipartite
        Arrays of the shape to which the arguments broadcast.

    Notes
    -----
    The paramagnet without fields is stable above T_SG = (v_a v_b)^{1/4}; naive mean field orders
    at sqrt(v_a) + sqrt(v_b), at least twice as high.

    Examples
    --------
    >>> r = replica_symmetric_bipartite(1 / 1.6)
    >>> round(float(r.overlap_variance), 3)
    1.18
    """
    given = _broadcast(
        beta=positive_array("beta", beta),
        v_a=positive_array("v_a", v_a),
        v_b=positive_array("v_b", v_b),
        h_a=bounded_array("h_a", h_a),
        h_b=bounded_array("h_b", h_b),
    )
    for name in ("v_a", "v_b"):
        _refuse_beyond_digits(given["beta"], np.sqrt(given[name]), f"beta sqrt({name})")
    shape = given["beta"].shape
    columns = _in_chunks(_solve_bipartite, [a.ravel() for a in given.values()])
    return ReplicaSymmetricBipartite(
        **given, **{name: values.reshape(shape) for name, values in columns.items()}
    )


def _broadcast(**arrays: Array) -> dict[str, Array]:
    try:
        full = np.broadcast_arrays(*arrays.values())
    except ValueError as error:
        shapes = ", ".join(f"{name} {a.shape}" for name, a in arrays.items())
        raise InputError(f"the arguments must broadcast together, got {shapes}") from error
    return {name: np.array(a) for name, a in zip(arrays, full, strict=True)}


def _refuse_beyond_digits(beta: Array, width: Array, name: str) -> None:
    worst = float((beta * width).max(initial=0.0))
    if worst > 1e12:
        raise InputError(
            f"{name} must be <= 1e12, got {worst:g}: 1 - q would have no digits left; the "
            "zero-temperature limits are reached long before"
        )
    if float(beta.max(initial=0.0)) > LARGEST:
        raise InputError(f"beta must be <= {LARGEST:g}, got {float(beta.max()):g}")


def _in_chunks(solver: Callable[..., dict[str, Array]], arguments: list[Array]) -> dict[str, Array]:
    pieces = [
        solver(*(a[k : k + _CHUNK] for a in arguments))
        for k in range(0, max(arguments[0].size, 1), _CHUNK)
    ]
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}


# --- one overlap ---------------------------------------------------------------------------


def _excess(logit: Array, averages: Averages) -> Array:
    """Return a number of the sign of <tanh^2> - q, with the digits of the smaller of q, 1 - q."""
    q, p = expit(logit), expit(-logit)
    with np.errstate(divide="ignore", over="ignore"):  # infinite far from the root
        return np.where(logit < 0, np.log(averages.q / q), np.log(p / averages.p))


def _root(
    function: Callable[..., Array], arguments: tuple[Array, ...], zero: NDArray[np.bool_]
) -> Array:
    """Return ln(q/(1-q)) at the positive root of `function`, -inf where `zero` holds."""
    logit = np.full(zero.shape, -np.inf)
    free = ~zero
    if free.any():
        inside = tuple(a[free] for a in arguments)
        edges = (np.full(inside[0].shape, -_LOGIT), np.full(inside[0].shape, _LOGIT))
        logit[free] = elementwise.find_root(function, edges, args=inside).x
    return logit


def _sk_overlap(width: Array, mu: Array) -> Array:
    """Return ln(q/(1-q)) of q = <tanh^2(width sqrt(q) z + mu)>; -inf where q = 0."""

    def excess(logit: Array, width: Array, mu: Array) -> Array:
        return _excess(logit, average(mu, width * np.sqrt(expit(logit))))

    return _root(excess, (width, mu), (np.abs(mu) < _NO_FIELD) & (width <= 1))


def sk_state(beta: Array, J: Array, x: Array) -> tuple[Array, Averages]:
    """Return q and the averages in the total mean field x = J0 m + h."""
    q = expit(_sk_overlap(beta * J, beta * x))
    return q, average(beta * x, beta * J * np.sqrt(q))


def _slopes(beta: Array, J: Array, a: Averages, q: Array, x: Array) -> Array:
    """Return dm/dx, q following x."""
    width2 = (beta * J) ** 2
    q_slope = width2 * (3 * a.sech4 - 2 * a.p)  # d<tanh^2>/dq at fixed x
    m_slope = -width2 * a.odd  # d<tanh>/dq at fixed x
    gap = 1 - q_slope
    with np.errstate(divide="ignore", invalid="ignore"):
        follow = np.where((x == 0), 0.0, m_slope * 2 * beta * a.odd / gap)
    return np.asarray(beta * a.p + follow)


def _magnetisation(beta: Array, J: Array, J0: Array, h: Array) -> Array:
    """Return m >= 0 at |h|: the root of m = <tanh beta(J sqrt(q) z + J0 m + |h|)>."""
    h = np.abs(h)
    _, a = sk_state(beta, J, np.zeros_like(h))
    zero = (h == 0) & (J0 * beta * a.p <= 1)

    def excess(logit: Array, beta: Array, J: Array, J0: Array, h: Array) -> Array:
        m = expit(logit)
        state = sk_state(beta, J, J0 * m + h)[1]
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(state.m > 0, np.log(np.minimum(state.m, 1.0) / m), -1e3)

    m = np.zeros_like(h)
    free = ~zero
    if free.any():
        inside = tuple(value[free] for value in (beta, J, J0, h))
        low, high = np.full(inside[0].shape, -300.0), np.full(inside[0].shape, 40.0)
        m[free] = expit(elementwise.find_root(excess, (low, high), args=inside).x)
    return m


def _solve_sk(beta: Array, J: Array, J0: Array, h: Array) -> dict[str, Array]:
    biased = J0 != 0
    m = np.zeros_like(h)
    if biased.any():
        m[biased] = _magnetisation(*(v[biased] for v in (beta, J, J0, h)))
    x = np.copysign(1.0, h) * (J0 * m + np.abs(h))
    q, a = sk_state(beta, J, x)
    m = a.m
    p = np.where(q < 0.5, 1 - q, a.p)
    entropy = a.entropy - (beta * J * p) ** 2 / 4
    energy = -beta * J**2 * p * (1 + q) / 2 - J0 * m**2 / 2 - h * m
    at = (beta * J) ** 2 * a.sech4
    slope = _slopes(beta, J, a, q, x)
    with np.errstate(divide="ignore"):
        chi = np.where(J0 * slope == 1, np.inf, slope / (1 - J0 * slope))
        glass = np.where(at < 1, a.sech4 / np.where(at < 1, 1 - at, 1.0), np.inf)
    return {
        "q": q,
        "m": m,
        "free_energy": energy - entropy / beta,
        "energy": energy,
        "entropy": entropy,
        "susceptibility": chi,
        "susceptibility_spin_glass": glass,
        "at": at,
        # next below T_c at no field, at - 1 is of order (1 - T/T_c)^2 and lost in rounding
        "stable": (at < 1) & ~((x == 0) & (beta * J >= 1)),
    }


# --- two layers ----------------------------------------------------------------------------


def _solve_bipartite(
    beta: Array, v_a: Array, v_b: Array, h_a: Array, h_b: Array
) -> dict[str, Array]:
    def layer_b(q_a: Array, beta: Array, v_a: Array, h_b: Array) -> Averages:
        return average(beta * h_b, beta * np.sqrt(v_a * q_a))

    def excess(logit: Array, beta: Array, v_a: Array, v_b: Array, h_a: Array, h_b: Array) -> Array:
        q_b = layer_b(expit(logit), beta, v_a, h_b).q
        return _excess(logit, average(beta * h_a, beta * np.sqrt(v_b * q_b)))

    zero = (h_a == 0) & (h_b == 0) & (beta**4 * v_a * v_b <= 1)
    logit = _root(excess, (beta, v_a, v_b, h_a, h_b), zero)
    q_a = expit(logit)
    b = layer_b(q_a, beta, v_a, h_b)
    a = average(beta * h_a, beta * np.sqrt(v_b * b.q))
    # both layers at the same fixed point, with the digits of 1 - q
    share = v_a / (v_a + v_b)
    pairs = share * v_b  # N_a N_b s^2/N, the same seen from either layer
    entropy = share * a.entropy + (1 - share) * b.entropy - beta**2 * pairs * a.p * b.p / 2
    energy = -beta * pairs * (a.p + b.p - a.p * b.p) - share * h_a * a.m
    energy = energy - (1 - share) * h_b * b.m
    at = beta**4 * v_a * v_b * a.sech4 * b.sech4
    with np.errstate(divide="ignore"):
        variance = np.where(at < 1, 1 / np.where(at < 1, 1 - at, 1.0), np.inf)
    return {
        "q_a": a.q,
        "q_b": b.q,
        "m_a": a.m,
        "m_b": b.m,
        "free_energy": energy - entropy / beta,
        "energy": energy,
        "entropy": entropy,
        "overlap_variance": np.where((a.q == 0) & (b.q == 0), variance, np.nan),
        "at": at,
        "stable": (at < 1) & ~((h_a == 0) & (h_b == 0) & (beta**4 * v_a * v_b >= 1)),
    }
