"""Phase diagrams: every quantity of MeanField on a grid of sigma_w and sigma_b."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.errors import InputError
from spinnet.propagation.activations import Activation, get_activation
from spinnet.propagation.diagram.lengths import LengthCurves, Lengths, Weights
from spinnet.propagation.diagram.points import FIELDS, solve_points
from spinnet.propagation.diagram.result import PhaseDiagram
from spinnet.propagation.diagram.tables import Tables, tables_of
from spinnet.propagation.noise import Noise, resolve_noise
from spinnet.validation import positive_array, positive_float

Array = NDArray[np.float64]

_MARGINAL = 4 * float(np.finfo(np.float64).eps)  # |1 - slope| of a straight line that is rounding
_LARGEST = 1e6
_LARGEST_VARIANCE = 1e12
_BLOCK = 1 << 16  # points at a time
_MOST_ROWS = 2048  # each has a curve of some hundred points
_MOST_POINTS = 50_000_000


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
    fields = {name: np.empty((b.size, w.size)) for name in FIELDS}
    multistable = np.zeros((b.size, w.size), dtype=bool)
    for part in _blocks(b.size, w.size):
        block = weights.part(*part)
        lengths = solve.lengths(block, q0)
        multistable[part] = lengths.multistable
        for name, values in solve_points(tables, block, lengths).items():
            fields[name][part] = values
    return PhaseDiagram(phi, w, b, noise, q0, multistable=multistable, **fields)


def _blocks(n_rows: int, n_columns: int) -> Iterator[tuple[slice, slice]]:
    """Yield blocks of rows and columns that cover the grid."""
    width = min(n_columns, _BLOCK)
    height = max(1, min(_BLOCK // width, _MOST_ROWS))
    for top in range(0, n_rows, height):
        for left in range(0, n_columns, width):
            yield slice(top, top + height), slice(left, left + width)


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
