"""Phase diagrams: every quantity of MeanField on a grid of sigma_w and sigma_b."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.errors import InputError
from spinnet.propagation.activations import Activation, get_activation
from spinnet.propagation.diagram import correlations
from spinnet.propagation.diagram.lengths import LengthCurves, Lengths, Weights
from spinnet.propagation.diagram.result import PhaseDiagram
from spinnet.propagation.diagram.tables import LineValues, Tables, tables_of
from spinnet.propagation.noise import Noise, resolve_noise
from spinnet.validation import positive_array, positive_float

Array = NDArray[np.float64]

_EPS = float(np.finfo(np.float64).eps)
_ROUNDING = 8 * _EPS  # |chi_1 - 1| that is rounding
_MARGINAL = 4 * _EPS
_LARGEST = 1e6
_LARGEST_VARIANCE = 1e12
_BLOCK = 1 << 16  # points at a time
_MOST_POINTS = 50_000_000
_FIELDS = (
    "q_star", "chi_q", "chi_1", "one_minus_c_star", "one_minus_chi_c",
    "q_star_error", "c_star_error", "xi_c_error",
)  # fmt: skip


def phase_diagram(
    activation: str | Activation,
    sigma_w: ArrayLike,
    sigma_b: ArrayLike,
    keep: float = 1.0,
    *,
    noise: Noise | None = None,
    q0: float | None = None,
) -> PhaseDiagram:
    """Return lengths, correlations, slopes and depth scales on a grid of sigma_w and sigma_b.

    The numbers are those of :class:`~spinnet.propagation.gaussian.MeanField` at each point, at a
    few microseconds a point: averages come from Chebyshev tables with relative errors of about
    1e-14, which are made at the first use of an activation and kept as long as it lives.

    Parameters
    ----------
    activation : str or Activation
    sigma_w, sigma_b : array_like, shapes (n_w,) and (n_b,)
        Standard deviations of weights (times sqrt(fan-in)) and biases, from 0 to 1e6, in any
        order; a number stands for an array of length 1.
    keep : float
        Dropout: the probability to keep an activation, in (0, 1].
    noise : Dropout, MultiplicativeGaussian or AdditiveGaussian, optional
        Noise on the activations, instead of `keep`.
    q0 : float, optional
        Length of the first layer, which selects the fixed point where there are several; the
        default at each point is sigma_w^2 + sigma_b^2.

    Returns
    -------
    PhaseDiagram
        Its arrays have shape (n_b, n_w): rows are values of sigma_b, as in an image.

    Raises
    ------
    InputError
        For an unknown activation, empty or many-dimensional grids, negative, infinite or NaN
        values, or more than 5e7 points.

    Notes
    -----
    Sources: Poole et al., arXiv:1606.05340, eqs. 3-7, and Schoenholz et al., arXiv:1611.01232.
    The method, and its error, are described in :mod:`spinnet.propagation.diagram.tables`.

    Examples
    --------
    >>> import numpy as np
    >>> diagram = phase_diagram("tanh", np.linspace(1, 4, 7), [0.05, 0.3])
    >>> diagram.c_star.shape
    (2, 7)
    >>> diagram.phase[1].tolist()[:3]
    ['ordered', 'chaotic', 'chaotic']
    """
    phi = get_activation(activation)
    noise = resolve_noise(keep, noise)
    w, b = _axis("sigma_w", sigma_w), _axis("sigma_b", sigma_b)
    if w.size * b.size > _MOST_POINTS:
        raise InputError(
            f"sigma_w and sigma_b must span at most {_MOST_POINTS:g} points, got "
            f"{w.size} x {b.size}; take coarser grids"
        )
    if q0 is not None:
        q0 = positive_float("q0", q0, zero=True)
        if q0 > _LARGEST_VARIANCE:
            raise InputError(f"q0 must be at most {_LARGEST_VARIANCE:g}, got {q0:g}")
    tables = tables_of(phi)
    weights = _weights(tables, w, b, noise)
    solve = _Straight(tables) if tables.kernel.homogeneous else _Curved(tables, weights)
    fields = {name: np.empty((b.size, w.size)) for name in _FIELDS}
    multistable = np.zeros((b.size, w.size), dtype=bool)
    rows = max(1, _BLOCK // w.size)
    for start in range(0, b.size, rows):
        part = slice(start, start + rows)
        block = weights.rows(part)
        lengths = solve.lengths(block, q0)
        multistable[part] = lengths.multistable
        for name, values in _block(tables, solve, block, lengths).items():
            fields[name][part] = values
    return PhaseDiagram(phi, w, b, noise, q0, multistable=multistable, **fields)


def _axis(name: str, value: ArrayLike) -> Array:
    array = positive_array(name, value, zero=True)
    if array.ndim > 1:
        raise InputError(f"{name} must be a number or one-dimensional, got shape {array.shape}")
    if array.size == 0:
        raise InputError(f"{name} must hold at least one value, got an empty array")
    if array.max() > _LARGEST:
        raise InputError(f"{name} must be at most {_LARGEST:g}, got {array.max():g}")
    return np.atleast_1d(array).copy()


def _weights(tables: Tables, w: Array, b: Array, noise: Noise) -> Weights:
    factor, slope = noise.variance_factor, tables.slope_at_zero
    if not tables.vanishes:
        excess = np.full(w.size, -1.0)
    else:
        excess = factor * (w * slope - 1) * (w * slope + 1) + (factor - 1)
    return Weights(w * w, b * b, factor, noise.variance_offset, noise.shared, excess)


# ---------------------------------------------------------------------- lengths
class _Curved:
    """Activations whose length map is curved: read off tables."""

    def __init__(self, tables: Tables, weights: Weights) -> None:
        self._curves = LengthCurves(tables, weights)

    def lengths(self, block: Weights, q0: float | None) -> Lengths:
        return self._curves.solve(block, q0)

    def has_slopes(self, q: Array) -> NDArray[np.bool_]:
        """Return where chi_q and chi_1 exist."""
        return np.isfinite(q)


class _Straight:
    """Homogeneous activations, for which V(q) is a straight line."""

    def __init__(self, tables: Tables) -> None:
        self._slope = float(tables.kernel.second_moment_slope(1.0))

    def lengths(self, block: Weights, q0: float | None) -> Lengths:
        gap = np.broadcast_to(1 - block.w * self._slope, block.shape)
        b = block.b
        with np.errstate(divide="ignore", invalid="ignore"):
            q = np.where(gap > _MARGINAL, b / gap, np.inf)
        marginal = (b == 0) & (np.abs(gap) <= _MARGINAL)
        q[marginal] = np.nan if q0 is None else q0
        if q0 == 0:
            q[b == 0] = 0.0
        return Lengths(q, np.zeros(block.shape), np.zeros(block.shape, dtype=bool))

    def has_slopes(self, q: Array) -> NDArray[np.bool_]:
        """Return where chi_q and chi_1 exist."""
        return np.ones(q.shape, dtype=bool)


# ---------------------------------------------------------------------- everything else
def _block(
    tables: Tables, solve: _Curved | _Straight, block: Weights, lengths: Lengths
) -> dict[str, Array]:
    """Return the fields of a block of rows."""
    q, shape = lengths.q.ravel(), block.shape
    line = tables.line_values(lengths.log_q.ravel())
    w, b = (np.broadcast_to(a, shape).ravel() for a in (block.w, block.b))
    pair_w = w if block.shared else np.broadcast_to(block.sigma_w2, shape).ravel()
    known = solve.has_slopes(q)
    chi_q, chi_1 = w * line.growth, pair_w * line.slope
    if tables.vanishes and tables.kernel.smooth and not tables.kernel.homogeneous:
        zero = q == 0
        excess = np.broadcast_to(block.excess, shape).ravel()[zero]
        chi_q[zero] = 1 + excess
        chi_1[zero] = (1 + excess) / (1.0 if block.shared else block.factor)
    log_q_error = (line.ratio_error * w * line.ratio + _EPS) / np.maximum(abs(1 - chi_q), _EPS)
    chi_1_error = pair_w * (
        line.slope * (line.slope_error + 2 * _EPS) + abs(line.slope_by_log_q) * log_q_error
    )
    for array in (chi_q, chi_1):
        array[~known] = np.nan
    size = np.where(np.isnan(q), 1.0, q)
    with np.errstate(divide="ignore", invalid="ignore"):
        floor = (w - pair_w) * line.ratio
        if not block.shared and block.offset:
            floor = floor + pair_w * block.offset / size
    one_minus_chi_1 = np.where(abs(1 - chi_1) <= _ROUNDING, 0.0, 1 - chi_1)
    pair_b = block.b if block.shared else np.broadcast_to(block.sigma_b2[:, None], shape)
    symmetric = (pair_b.ravel() == 0) & (q > 0) & np.isfinite(q)
    symmetric &= tables.kernel.odd and not tables.kernel.homogeneous
    found = _correlations(
        tables, lengths.log_q.ravel(), line, pair_w, floor, one_minus_chi_1, symmetric
    )
    epsilon, one_minus_chi_c, pair_error = found
    lost = ~np.isfinite(size)
    epsilon[lost], one_minus_chi_c[lost] = np.nan, np.nan
    with np.errstate(divide="ignore", invalid="ignore"):
        doubt = chi_1_error + pair_w * line.slope * np.where(epsilon > 0, pair_error + log_q_error, 0)
        relative = np.where(doubt > 0, doubt / one_minus_chi_c, 0.0)
    fields = (
        q, chi_q, chi_1, epsilon, one_minus_chi_c,
        np.where(np.isfinite(q), q * log_q_error, np.nan),
        np.where(symmetric, 0.0, epsilon * relative),
        relative + np.where(epsilon > 0, pair_error, 0.0),
    )  # fmt: skip
    return {name: a.reshape(shape) for name, a in zip(_FIELDS, fields, strict=True)}


def _correlations(
    tables: Tables,
    log_q: Array,
    line: LineValues,
    pair_w: Array,
    floor: Array,
    one_minus_chi_1: Array,
    symmetric: NDArray[np.bool_],
) -> tuple[Array, Array, Array]:
    """Return 1 - c, 1 - chi_c and the error of the tables; `floor` is over q."""
    epsilon, one_minus_chi_c = np.zeros(log_q.size), one_minus_chi_1.copy()
    error = np.zeros(log_q.size)
    with np.errstate(invalid="ignore"):
        todo = np.flatnonzero(((floor > 0) | (one_minus_chi_1 < 0) | symmetric) & (pair_w > 0))
        todo = todo[np.isfinite(floor[todo]) & np.isfinite(one_minus_chi_1[todo])]
    if todo.size:
        w = pair_w[todo]
        found = correlations.solve(
            tables, log_q[todo], 1 / w - line.slope[todo], floor[todo] / w, ~symmetric[todo]
        )
        epsilon[todo], error[todo] = found.epsilon, found.error
        one_minus_chi_c[todo] = w * found.decay + floor[todo] / found.epsilon
    silent = pair_w == 0  # no weights: the correlation is that of biases and noise
    epsilon[silent], one_minus_chi_c[silent] = floor[silent], 1.0
    return epsilon, one_minus_chi_c, error
