"""Every stationary point of a scalar free energy, on a grid of parameters.

F'(m) = 0 is solved by a cascade: the zeros of F''' split the domain into intervals on which F'' is
monotone, the zeros of F'' into intervals on which F' is monotone, and each of those holds at most
one root, which is bracketed and polished.  So nearly merged roots (next to a spinodal, or at 1e-10
below T_c) are separated by construction and not by a fine grid.

Guarantee: every stationary point in the domain is found if F''' changes sign at most once between
neighbouring nodes.  Nodes are spaced like tanh over the domain, and placed in addition around the
centre of each hyperbolic function of F at multiples of its width, so that no temperature is too
low for the grid.  The Curie-Weiss free energy has one sign change of F''' and is always solved
completely; for another F, doubling `n_nodes` is the test.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import elementwise

from spinnet.errors import InputError
from spinnet.validation import integer

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from spinnet.theory.algebra import FreeEnergy

Array = NDArray[Any]
_CHUNK = 20_000  # parameter points solved together: about 100 MB of working memory
_ROUNDING = 4 * float(np.finfo(float).eps)
_HUGE = 1e100  # stands for the infinite slope of an entropy at the end of the domain


class BranchStatus(Enum):
    """What happened at one point of the grid."""

    FOUND = "every stationary point in the domain was bracketed and polished"
    MARGINAL = (
        "two or more branches meet here within rounding (critical point or spinodal): "
        "the position of the merged branch is only good to its `error`"
    )
    NONE = "no stationary point in the domain: widen `domain` of the free energy"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Branches:
    """All stationary points of a scalar free energy; see `solve_branches`.

    The first axis of every array runs over branches, in increasing order parameter; the others
    are the broadcast grid of parameters.  Points with fewer branches are padded at the end.

    Attributes
    ----------
    order : (n_branches, *grid) float64
        Order parameter of each branch, NaN where padded.
    free_energy : (n_branches, *grid) float64
        F there, per spin.
    stable : (n_branches, *grid) bool
        Whether the branch is a local minimum of F; False where padded.
    error : (n_branches, *grid) float64
        Change of `order` if each parameter moves by one unit of its last digit: the accuracy that
        the problem itself allows.  Infinite where branches merge.
    status : (*grid) array of BranchStatus
    params : dict
        The parameters, broadcast to the grid.
    """

    order: NDArray[np.float64]
    free_energy: NDArray[np.float64]
    stable: NDArray[np.bool_]
    error: NDArray[np.float64]
    status: NDArray[Any]
    params: Mapping[str, NDArray[np.float64]]
    symbol: str = field(default="m", repr=False)

    @property
    def n_branches(self) -> NDArray[np.intp]:
        """Number of branches at each grid point."""
        return np.asarray(np.isfinite(self.order).sum(axis=0))

    def equilibrium(self) -> NDArray[np.float64]:
        """Return the stable branch of lowest free energy, NaN where there is none.

        Where two are equal to rounding (h = 0 below T_c) the larger order parameter is taken.
        """
        value = np.where(self.stable, self.free_energy, np.inf)
        lowest = value.min(axis=0, initial=np.inf)
        tie = value <= lowest + 8 * np.finfo(float).eps * np.abs(np.where(self.stable, value, 0))
        chosen = np.where(tie & self.stable, self.order, -np.inf).max(axis=0, initial=-np.inf)
        return np.where(np.isfinite(chosen), chosen, np.nan)[()]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as lists and strings, ready for JSON (None where padded)."""
        return {
            "order": _listed(self.order),
            "free_energy": _listed(self.free_energy),
            "stable": self.stable.tolist(),
            "error": _listed(self.error),
            "status": np.vectorize(lambda s: s.name, otypes=[object])(self.status).tolist(),
            "params": {name: _listed(value) for name, value in self.params.items()},
        }

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the branches against the parameter that varies: solid stable, hollow not.

        Raises
        ------
        InputError
            If more than one axis of the grid varies: index the result or solve along a line.
        """
        if self.order.ndim != 2:
            raise InputError(
                f"plot needs a one-dimensional grid, got grid shape {self.order.shape[1:]}; "
                "solve along one parameter"
            )
        varying = [k for k, v in self.params.items() if np.ptp(v) > 0] or list(self.params)[:1]
        if ax is None:
            import matplotlib.pyplot as plt

            ax = plt.subplots()[1]
        x = np.broadcast_to(self.params[varying[0]], self.order.shape)
        for mask, face, label in (
            (self.stable, "C0", "local minimum"),
            (~self.stable & np.isfinite(self.order), "none", "not a minimum"),
        ):
            ax.plot(
                x[mask], self.order[mask], "o", ms=3, mec="C0", mfc=face, ls="none", label=label
            )
        ax.set_xlabel(f"{varying[0]} (k_B = 1)")
        ax.set_ylabel(f"order parameter {self.symbol} (per spin)")
        ax.legend()
        return ax


def _listed(values: Array) -> Any:
    objects = values.astype(object)
    objects[~np.isfinite(values)] = None
    return objects.tolist()


def solve_branches(fe: FreeEnergy, *, n_nodes: int = 64, **params: ArrayLike) -> Branches:
    r"""Find every m with dF/dm = 0 in the domain of `fe`, at every point of a parameter grid.

    Parameters
    ----------
    fe : FreeEnergy
        With one order parameter, e.g. ``spinnet.theory.curie_weiss.free_energy()``.
    n_nodes : int
        Nodes over the domain; as many again around the centre of each hyperbolic function.
    **params : array_like
        Each parameter of `fe` by name; they broadcast together to the grid.

    Returns
    -------
    Branches
        Roots are polished in extended precision where the platform has it, to about 1e-12 or to
        the `error` of the branch, whichever is larger.

    Raises
    ------
    InputError
        For an unknown, missing, non-finite or non-positive parameter.

    Examples
    --------
    >>> from spinnet.theory import curie_weiss
    >>> s = solve_branches(curie_weiss.free_energy(), beta=[0.5, 2.0], J=1.0, h=0.0)
    >>> s.order.round(6)
    array([[ 0.      , -0.957504],
           [      nan,  0.      ],
           [      nan,  0.957504]])
    >>> s.stable
    array([[ True,  True],
           [False, False],
           [False,  True]])
    """
    _check_free_energy(fe)
    integer("n_nodes", n_nodes, minimum=8, maximum=100_000)
    checked = fe.compile().check_parameters(params)
    checked = {name: value.astype(np.float64) for name, value in checked.items()}
    try:
        grid = np.broadcast_shapes(*(v.shape for v in checked.values()))
    except ValueError:
        listed = ", ".join(f"{name} {value.shape}" for name, value in checked.items())
        raise InputError(f"parameters must broadcast together, got {listed}") from None
    full = {name: np.broadcast_to(value, grid) for name, value in checked.items()}
    flat = {name: value.ravel() for name, value in full.items()}
    size = int(np.prod(grid))
    problem = _Problem(fe, n_nodes)
    chunk = max(1, min(_CHUNK, _CHUNK * 64 // n_nodes))
    parts = [
        problem.solve({name: value[start : start + chunk] for name, value in flat.items()})
        for start in range(0, size, chunk)
    ]
    return _assemble(fe, parts, full, grid)


def _check_free_energy(fe: object) -> None:
    from spinnet.theory.algebra import FreeEnergy

    if not isinstance(fe, FreeEnergy):
        raise InputError(f"fe must be a spinnet.theory FreeEnergy, got {type(fe).__name__}")
    if len(fe.order) != 1 or fe.arrays:
        raise InputError(
            f"fe must have one order parameter and scalar parameters, got {len(fe.order)} order "
            "parameters; solve a model with NaiveMeanField instead"
        )


def _assemble(
    fe: FreeEnergy,
    parts: list[tuple[Array, Array, Array, Array, Array]],
    params: Mapping[str, Array],
    grid: tuple[int, ...],
) -> Branches:
    """Join the chunks, each of shape (points, branches), into (branches, *grid)."""
    width = max((part[0].shape[1] for part in parts), default=1)

    def joined(index: int, fill: Any) -> Array:
        padded = [
            np.pad(p[index], [(0, 0), (0, width - p[index].shape[1])], constant_values=fill)
            for p in parts
        ]
        stacked = np.concatenate(padded) if padded else np.empty((0, width))
        return np.ascontiguousarray(stacked.T).reshape(width, *grid)

    codes = np.concatenate([p[4] for p in parts]) if parts else np.empty(0, dtype=int)
    names = np.array(list(BranchStatus), dtype=object)
    return Branches(
        order=joined(0, np.nan),
        free_energy=joined(1, np.nan),
        stable=joined(2, False).astype(bool),
        error=joined(3, np.nan),
        status=names[codes].reshape(grid),
        params=dict(params),
        symbol=fe.order[0].name,
    )


class _Problem:
    """The derivatives of one free energy, and the nodes that resolve them."""

    def __init__(self, fe: FreeEnergy, n_nodes: int) -> None:
        self.compiled = fe.compile()
        self.low, self.high = fe.domain
        self.nodes = _domain_nodes(self.low, self.high, n_nodes)
        self.offsets = _offsets(n_nodes)
        self.centres = _centres(fe)
        self.sensitivity = _sensitivity(fe)

    def solve(self, params: dict[str, Array]) -> tuple[Array, Array, Array, Array, Array]:
        """Return order, free energy, stable, error (points, branches) and status codes (points,).

        All arrays of the cascade have shape (points, nodes); nodes increase along a row.
        """
        columns = {name: value[:, None] for name, value in params.items()}
        nodes = self._start(columns)
        for n in (3, 2):
            where, low, high = _brackets(nodes, self._derivative(n, nodes, columns))
            zeros = self._roots(n, where, low, high, params)
            nodes = _merge(nodes, where, zeros)
        return self._stationary(nodes, columns, params)

    def _start(self, columns: Mapping[str, Array]) -> Array:
        """Return sorted nodes: fixed ones, and those around each hyperbolic function."""
        points = next(iter(columns.values())).shape[0] if columns else 1
        parts = [np.broadcast_to(self.nodes, (points, self.nodes.size))]
        for centre, width in self.centres(columns):
            parts.append(
                np.broadcast_to(centre + width * self.offsets, (points, self.offsets.size))
            )
        nodes = np.concatenate(parts, axis=1)
        nodes = np.clip(np.where(np.isfinite(nodes), nodes, self.low), self.low, self.high)
        return np.sort(nodes + 0.0, axis=1)  # + 0.0 turns -0.0 into 0.0

    def _derivative(self, n: int, m: Array, params: Mapping[str, Array]) -> Array:
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            values = np.asarray(self.compiled.derivative(n, m, **params))
        return np.clip(np.nan_to_num(values, nan=0.0), -_HUGE, _HUGE)

    def _roots(
        self, n: int, row: Array, low: Array, high: Array, params: Mapping[str, Array]
    ) -> Array:
        """Return the root of the n-th derivative in each bracket, to double precision."""
        if row.size == 0:
            return np.empty(0)
        names = list(params)
        args: tuple[object, ...] = tuple(params[name][row] for name in names)

        def function(m: Array, /, *values: Any, **_: Any) -> Array:
            return self._derivative(n, m, dict(zip(names, values, strict=True)))

        found = elementwise.find_root(
            function, (low, high), args=args, tolerances={"xatol": 1e-18, "xrtol": _ROUNDING}
        )
        x = np.array(found.x)
        lost = np.flatnonzero(np.isnan(x))  # the sign changes in extended precision only
        some = {name: value[row[lost]] for name, value in params.items()}
        x[lost] = self._bisect(n, low[lost], high[lost], some)
        return x

    def _bisect(self, n: int, low: Array, high: Array, params: Mapping[str, Array]) -> Array:
        """Return roots of the n-th derivative by bisection in extended precision."""
        wide = {name: value.astype(np.longdouble) for name, value in params.items()}
        low, high = low.astype(np.longdouble), high.astype(np.longdouble)
        left = np.sign(self._derivative(n, low, wide))
        for _ in range(64 if low.size else 0):
            middle = (low + high) / 2
            same = np.sign(self._derivative(n, middle, wide)) == left
            low, high = np.where(same, middle, low), np.where(same, high, middle)
        return ((low + high) / 2).astype(np.float64)

    def _polish(
        self, m: Array, low: Array, high: Array, row: Array, params: Mapping[str, Array]
    ) -> Array:
        """Return roots of F' after Newton steps in extended precision.

        A step is taken if it stays in the bracket and brings F' nearer to 0: next to a merged
        pair the slope is rounding, and a bare step would leave for anywhere in the bracket.
        """
        wide = {name: value[row].astype(np.longdouble) for name, value in params.items()}
        x = m.astype(np.longdouble)
        value = self._derivative(1, x, wide)
        for _ in range(3):
            slope = self._derivative(2, x, wide)
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                step = value / slope
            moved = np.clip(x - np.where(np.isfinite(step), step, 0), low, high)
            after = self._derivative(1, moved, wide)
            better = np.abs(after) < np.abs(value)
            x, value = np.where(better, moved, x), np.where(better, after, value)
        return x.astype(np.float64) + 0.0

    def _stationary(
        self, nodes: Array, columns: Mapping[str, Array], params: dict[str, Array]
    ) -> tuple[Array, Array, Array, Array, Array]:
        slope = self._derivative(1, nodes, columns)
        curvature = self._derivative(2, nodes, columns)
        # The sign of F' at its extrema decides how many branches there are.
        flat = np.abs(curvature) <= 1e-6 * np.abs(curvature).max(axis=1, keepdims=True)
        at = np.nonzero(flat)
        wide = {name: value[at[0]].astype(np.longdouble) for name, value in params.items()}
        slope[at] = self._derivative(1, nodes[at].astype(np.longdouble), wide)
        row, low, high = _brackets(nodes, slope)
        left = slope[row, _cells(nodes, row, low)]
        roots = self._polish(self._roots(1, row, low, high, params), low, high, row, params)
        exact_row, exact, exact_stable, exact_marginal = self._at_nodes(
            nodes, slope, np.where(flat, curvature, np.inf), columns
        )
        rows = np.concatenate([row, exact_row])
        order = np.concatenate([roots, exact])
        stable = np.concatenate([left < 0, exact_stable])
        marginal = np.concatenate([np.zeros(row.size, dtype=bool), exact_marginal])
        return self._table(rows, order, stable, marginal, params)

    def _at_nodes(
        self, nodes: Array, slope: Array, curvature: Array, columns: Mapping[str, Array]
    ) -> tuple[Array, Array, Array, Array]:
        """Return roots that fall on a node: exact ones, and merged pairs within rounding.

        A run of neighbouring nodes at which F' is exactly 0 is one root, at its middle; it is a
        minimum if F' goes from - to + across it.  A node at which F' touches 0 to rounding without
        a sign change is a merged pair of branches: a spinodal.  `curvature` is infinite away from
        the extrema of F', which are nodes.
        """
        rounding = 2 * np.finfo(float).eps * self.sensitivity(nodes, columns)
        zero = slope == 0
        sign = np.sign(slope)
        same = (sign[:, 1:-1] == sign[:, :-2]) & (sign[:, 1:-1] == sign[:, 2:])
        touch = np.zeros_like(zero)
        touch[:, 1:-1] = (
            same & np.isfinite(curvature)[:, 1:-1] & (np.abs(slope) <= rounding)[:, 1:-1]
        )
        found = zero | touch
        rows, first, last = _runs(found)
        middle = (first + last) // 2
        before = np.where(first > 0, sign[rows, np.maximum(first - 1, 0)], -1)
        end = nodes.shape[1] - 1
        after = np.where(last < end, sign[rows, np.minimum(last + 1, end)], 1)
        merged = (before == after) | (nodes[rows, last] > nodes[rows, first])
        marginal = merged | (np.abs(curvature[rows, middle]) <= rounding[rows, middle])
        return rows, nodes[rows, middle], (before < 0) & (after > 0), marginal

    def _table(
        self, row: Array, order: Array, stable: Array, marginal: Array, params: dict[str, Array]
    ) -> tuple[Array, Array, Array, Array, Array]:
        """Sort the roots of each point and lay them out as (points, branches)."""
        points = next(iter(params.values())).size if params else 1
        sorting = np.lexsort((order, row))
        row, order, stable, marginal = (a[sorting] for a in (row, order, stable, marginal))
        counts = np.bincount(row, minlength=points)
        width = max(1, int(counts.max(initial=0)))
        rank = np.arange(row.size) - np.repeat(np.cumsum(counts) - counts, counts)
        at = {name: value[row] for name, value in params.items()}
        with np.errstate(divide="ignore", invalid="ignore"):
            shift = np.finfo(float).eps * self.sensitivity(order, at)
            error = shift / np.abs(self._derivative(2, order, at))
        error = np.where(marginal, np.inf, np.nan_to_num(error, nan=np.inf, posinf=np.inf))
        value = np.asarray(self.compiled.value(order, **at))
        tables = []
        for values, fill in ((order, np.nan), (value, np.nan), (stable, False), (error, np.nan)):
            table = np.full((points, width), fill)
            table[row, rank] = values
            tables.append(table)
        touched = np.bincount(row[marginal], minlength=points) > 0
        status = np.where(counts == 0, 2, touched.astype(int))
        return tables[0], tables[1], tables[2], tables[3], status


def _domain_nodes(low: float, high: float, n: int) -> Array:
    """Return nodes that crowd at both ends, with the ends and the last doubles before them."""
    inner = np.tanh(np.linspace(-18.0, 18.0, n | 1))  # odd: the middle is a node, exactly
    middle, half = (low + high) / 2, (high - low) / 2
    ends = [low, np.nextafter(low, high), np.nextafter(high, low), high]
    return np.unique(np.concatenate([middle + half * inner, ends]))


def _offsets(n: int) -> Array:
    """Return multiples of the width of a hyperbolic function, symmetric, 0 included."""
    positive = np.sinh(np.linspace(0.0, 6.5, n // 2 + 1)[1:])  # 0.2 to 330 widths at n = 64
    return np.concatenate([-positive[::-1], [0.0], positive])


def _centres(fe: FreeEnergy) -> Callable[[Mapping[str, Array]], list[tuple[Array, Array]]]:
    """Return a function giving (centre, width) of each hyperbolic function linear in m."""
    import sympy as sp

    from spinnet.theory.functions import NUMPY_FUNCTIONS, LogCosh

    m = fe.order[0]
    kinds = (LogCosh, sp.tanh, sp.cosh, sp.sinh, sp.sech)
    slopes = []
    for atom in sorted(fe.expr.atoms(*kinds), key=sp.default_sort_key):
        inside = sp.expand(atom.args[0])
        if inside.has(m) and sp.diff(inside, m, 2) == 0:
            slope = sp.diff(inside, m)
            slopes.append([sp.simplify(-inside.subs(m, 0) / slope), 1 / sp.Abs(slope)])
    function = sp.lambdify(list(fe.params), slopes, modules=[NUMPY_FUNCTIONS, "numpy"])

    def centres(columns: Mapping[str, Array]) -> list[tuple[Array, Array]]:
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            pairs = function(*(columns[s.name] for s in fe.params))
        return [(np.asarray(c), np.asarray(w)) for c, w in pairs]

    return centres


def _sensitivity(fe: FreeEnergy) -> Callable[[Array, Mapping[str, Array]], Array]:
    """Return sum over parameters p of |p dF'/dp|: F' changes by eps times this by rounding."""
    import sympy as sp

    from spinnet.theory.functions import NUMPY_FUNCTIONS, derivative, stabilise

    m = fe.order[0]
    gradient = derivative(stabilise(fe.expr), m)
    total = sum((sp.Abs(p * derivative(gradient, p)) for p in fe.params), sp.S.Zero)
    function = sp.lambdify([m, *fe.params], total, modules=[NUMPY_FUNCTIONS, "numpy"], cse=True)

    def sensitivity(order: Array, params: Mapping[str, Array]) -> Array:
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            values = function(order, *(params[s.name] for s in fe.params))
        return np.asarray(np.nan_to_num(np.broadcast_to(values, order.shape), nan=0.0))

    return sensitivity


def _merge(nodes: Array, row: Array, extra: Array) -> Array:
    """Return the nodes with `extra` sorted into their rows; shorter rows repeat their last node."""
    if row.size == 0:
        return nodes
    counts = np.bincount(row, minlength=nodes.shape[0])
    table = np.repeat(nodes[:, -1:], int(counts.max()), axis=1)
    rank = np.arange(row.size) - np.repeat(np.cumsum(counts) - counts, counts)
    table[row, rank] = extra  # `row` is sorted: np.nonzero walks row by row
    return np.sort(np.concatenate([nodes, table], axis=1), axis=1)


def _brackets(nodes: Array, values: Array) -> tuple[Array, Array, Array]:
    """Return row, left and right end of each cell over which `values` change sign."""
    sign = np.sign(values)
    row, cell = np.nonzero(sign[:, :-1] * sign[:, 1:] < 0)
    return row, nodes[row, cell], nodes[row, cell + 1]


def _cells(nodes: Array, row: Array, low: Array) -> Array:
    """Return the column of the last node equal to `low` in each row."""
    return np.asarray((nodes[row] <= low[:, None]).sum(axis=1) - 1)


def _runs(mask: Array) -> tuple[Array, Array, Array]:
    """Return row, first and last column of each run of True along the rows."""
    padded = np.pad(mask.astype(np.int8), [(0, 0), (1, 1)])
    edge = np.diff(padded, axis=1)
    row, first = np.nonzero(edge == 1)
    last = np.nonzero(edge == -1)[1] - 1
    return row, first, last
