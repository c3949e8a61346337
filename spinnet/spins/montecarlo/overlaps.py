r"""Overlaps of replicas and their distribution, from stored configurations.

.. math:: q = \frac1N \sum_i s_i t_i

for two replicas s and t of one system at one temperature.  Units of levels (0, 1) count as -1
and +1.  The sum is a count of bits that differ: q = 1 - 2 d/N, exactly.

References
----------
K. Binder & A. P. Young, Rev. Mod. Phys. 58, 801 (1986), section III: P(q).
W. Hoeffding, Ann. Math. Statist. 19, 293 (1948): variances of averages over all pairs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from spinnet import plotting
from spinnet.errors import InputError
from spinnet.files import finite_or_null
from spinnet.spins.models import SpinModel
from spinnet.spins.montecarlo.storage import Bits
from spinnet.spins.statistics import MIN_UNITS, binder_cumulant, format_with_error
from spinnet.validation import choice, finite_array, integer

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]
_CHUNK = 1 << 23  # bytes compared at a time
_BINS = 50
_MOMENTS = 4  # <q>, <|q|>, <q^2>, <q^4>
_ROUNDING = 1e-12  # of an overlap


@dataclass(frozen=True, eq=False, repr=False)
class OverlapDistribution:
    """P(q) at one temperature.

    Attributes
    ----------
    beta : float
    edges : ndarray, shape (n_bins + 1,)
        Of the bins of q.
    density, density_error : ndarray, shape (n_bins,)
        P(q), whose integral is 1 if the bins cover all overlaps, and one standard error.  A bin
        that no pair has reached has density and error 0.
    q, q_abs, q2, binder : float
        <q>, <|q|>, <q^2> and 1 - <q^4>/(3 <q^2>^2).
    q_error, q_abs_error, q2_error, binder_error : float
        One standard error.
    n_replicas, n_stored : int
        Configurations of so many replicas, so many of each.
    pairs : str
        "all" or "disjoint".
    note : str
        Empty, or why there are no errors.
    """

    beta: float
    edges: Array
    density: Array
    density_error: Array
    q: float
    q_error: float
    q_abs: float
    q_abs_error: float
    q2: float
    q2_error: float
    binder: float
    binder_error: float
    n_replicas: int
    n_stored: int
    pairs: str
    note: str = ""

    def __repr__(self) -> str:
        return (
            f"OverlapDistribution(beta={self.beta:.6g}, {len(self.density)} bins, "
            f"{self.n_replicas} replicas x {self.n_stored} configurations)"
        )

    @property
    def centres(self) -> Array:
        """The middles of the bins, shape (n_bins,)."""
        return (self.edges[1:] + self.edges[:-1]) / 2

    def summary(self) -> str:
        """Return the moments for people."""
        names = {"q": "<q>", "q_abs": "<|q|>", "q2": "<q^2>", "binder": "U(q)"}
        cells = [
            f"{label} = {format_with_error(getattr(self, name), getattr(self, f'{name}_error'))}"
            for name, label in names.items()
        ]
        head = (
            f"overlaps at beta = {self.beta:.6g}: {self.pairs} pairs of {self.n_replicas} "
            f"replicas, {self.n_stored} configurations of each"
        )
        return "\n".join([head, "  ".join(cells), *([self.note] if self.note else [])])

    def to_dict(self) -> dict[str, object]:
        """Return plain numbers, None for NaN."""
        values = dict(self.__dict__)
        plain = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in values.items()}
        return {name: finite_or_null(value) for name, value in plain.items()}

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw P(q) with its errors."""
        ax = plotting.axes(ax)
        known = np.all(np.isfinite(self.density_error))
        plotting.points(ax, self.centres, self.density, self.density_error if known else None)
        ax.set_xlabel("overlap $q$")
        ax.set_ylabel("$P(q)$")
        return ax


def pair_overlaps(bits: Bits, n_spins: int) -> Array:
    """Return the overlaps of replicas 0 and 1, 2 and 3, ..., shape (n_replicas // 2, n_stored).

    Parameters
    ----------
    bits : ndarray of uint8, shape (n_replicas, n_stored, n_bytes)
    """
    _check(bits)
    last, words = len(bits) // 2 * 2, _words(bits)
    return 1 - 2 * _distances(words[0:last:2], words[1:last:2]) / n_spins


def link_overlaps(bits: Bits, model: SpinModel) -> Array:
    """Return the link overlaps of the disjoint pairs, shape (n_replicas // 2, n_stored).

    The mean of s_i s_j t_i t_j over the couplings that are not zero.
    """
    _check(bits)
    J = model.couplings
    if not sp.issparse(J):
        raise InputError(
            f"link overlaps need a sparse model, got {model!r}: where every pair is coupled, "
            "q^2 says the same"
        )
    upper = sp.triu(J, 1).tocoo()
    first, second = (index[upper.data != 0] for index in upper.coords)
    if first.size == 0:
        raise InputError(f"link overlaps need couplings, and {model!r} has none")
    last = len(bits) // 2 * 2
    rows = []
    for a, b in zip(bits[0:last:2], bits[1:last:2], strict=True):
        row = np.empty(len(a))
        for part in _parts(len(a), 8 * (a.shape[-1] * 8 + first.size)):
            differ = np.unpackbits(a[part] ^ b[part], axis=-1, bitorder="little")
            row[part] = (differ[:, first] ^ differ[:, second]).mean(axis=1)
        rows.append(1 - 2 * row)
    return np.array(rows)


def distribution(
    bits: Bits, n_spins: int, beta: float, bins: int | ArrayLike | None = None, pairs: str = "all"
) -> OverlapDistribution:
    """Return P(q) with errors; see :meth:`spinnet.spins.montecarlo.Run.overlap_distribution`.

    Notes
    -----
    The error of an average over all pairs of n independent replicas is that of a U-statistic:
    with z1 the covariance of two pairs that share a replica and z2 the variance of a pair, its
    variance is (2 (n - 2) z1 + z2)/(n (n - 1)/2) (Hoeffding 1948, eq. 5.18).  Both come without
    bias from the scatter of all pairs and from that of the means of each replica's pairs; a
    negative z1, which is noise, counts as 0.
    """
    _check(bits)
    choice("pairs", pairs, ("all", "disjoint"))
    edges = overlap_bins(n_spins, bins)
    which = _bin_of_distance(n_spins, edges)
    words = _words(bits)
    if pairs == "all":
        n_units, unit = len(bits), "replicas"
        means, errors = _over_all_pairs(words, n_spins, which, len(edges) - 1)
    else:
        n_units, unit = len(bits) // 2, "pairs"
        means, errors = _over_disjoint_pairs(words, n_spins, which, len(edges) - 1)
    m2, m4 = means[2], means[3]
    note = ""
    if n_units < MIN_UNITS:
        errors = np.full(len(means) + 1, np.nan)
        note = f"{n_units} {unit} give no errors: at least {MIN_UNITS} are needed"
    widths = np.diff(edges)
    return OverlapDistribution(
        beta=float(beta),
        edges=edges,
        density=means[_MOMENTS:] / widths,
        density_error=errors[_MOMENTS:-1] / widths,
        q=float(means[0]),
        q_error=float(errors[0]),
        q_abs=float(means[1]),
        q_abs_error=float(errors[1]),
        q2=float(m2),
        q2_error=float(errors[2]),
        binder=float(binder_cumulant(m2, m4)),
        binder_error=float(errors[-1]),
        n_replicas=len(bits),
        n_stored=bits.shape[1],
        pairs=pairs,
        note=note,
    )


def overlap_bins(n_spins: int, bins: int | ArrayLike | None) -> Array:
    """Return the edges of bins that hold the same number of possible overlaps each.

    The overlaps of N spins are the N + 1 numbers -1, -1 + 2/N, ..., 1: bins of any other width
    would hold now more of them and now fewer, and show teeth.  The outermost two may hold fewer,
    both as many, so that the bins of q are those of -q.
    """
    if bins is not None and np.ndim(bins) > 0:
        edges = finite_array("bins", bins, ndim=1)
        if edges.size < 2 or np.any(np.diff(edges) <= 0):
            raise InputError("bins must be a number, or edges that rise, at least two")
        return edges
    asked = _BINS if bins is None else integer("bins", bins, minimum=1)
    values = n_spins + 1
    if bins is None and values <= 2 * _BINS:
        asked = values
    each, count = _symmetric(values, asked)
    start = -((count * each - values) // 2)
    places = np.clip(start + each * np.arange(count + 1), 0, values)
    return np.asarray(-1 + (2 * places - 1) / n_spins)


def _symmetric(values: int, most: int) -> tuple[int, int]:
    """Return width and number of bins, at most `most`, with an even number of places to spare."""
    each = -(-values // most)
    while True:
        count = -(-values // each)
        odd = (count * each - values) % 2
        if not odd or each % 2:
            count += odd
            if count <= most:
                return each, count
        each += 1


def _check(bits: Bits) -> None:
    if len(bits) < 2:
        raise InputError(f"overlaps need at least 2 replicas, got n_replicas={len(bits)}")
    if bits.shape[1] == 0:
        raise InputError(
            "overlaps need stored configurations, and the run has not reached the first yet"
        )


def _parts(n: int, n_bytes: int) -> Iterator[slice]:
    """Return slices of range(n), each of so many items of `n_bytes` as fit the chunk."""
    size = max(1, _CHUNK // n_bytes)
    return (slice(k, k + size) for k in range(0, n, size))


def _words(bits: Bits) -> NDArray[np.uint64]:
    """Return configurations (..., n_bytes) as words (..., n_words), filled up with zeros."""
    padding = -bits.shape[-1] % 8
    if padding:
        bits = np.pad(bits, [(0, 0)] * (bits.ndim - 1) + [(0, padding)])
    return np.ascontiguousarray(bits).view(np.uint64)


def _distances(a: NDArray[np.uint64], b: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return in how many bits configurations (n_replicas or 1, n_stored, n_words) differ."""
    shape = np.broadcast_shapes(a.shape, b.shape)
    a, b = np.broadcast_to(a, shape), np.broadcast_to(b, shape)
    result = np.empty(shape[:-1], np.int64)
    for rows in _parts(shape[0], 8 * shape[1] * shape[2]):
        for part in _parts(shape[1], 8 * shape[2]):
            counts = np.bitwise_count(a[rows, part] ^ b[rows, part])
            result[rows, part] = np.einsum("ijk->ij", counts, dtype=np.int64)
    return result


def _over_disjoint_pairs(
    words: NDArray[np.uint64], n_spins: int, which: NDArray[np.int64], n_bins: int
) -> tuple[Array, Array]:
    """Return the means of the features of pairs, and their errors with that of Binder's ratio."""
    last = len(words) // 2 * 2
    distances = _distances(words[0:last:2], words[1:last:2])
    values = _features(distances, n_spins, which, n_bins)
    means = values.mean(axis=0)
    binder = values[:, 2:4] @ _binder_slopes(means)
    spread = np.column_stack([values, binder]).std(axis=0, ddof=min(1, len(values) - 1))
    return means, spread / np.sqrt(len(values))


def _over_all_pairs(
    words: NDArray[np.uint64], n_spins: int, which: NDArray[np.int64], n_bins: int
) -> tuple[Array, Array]:
    """Return the same of all pairs; only sums are kept, as there may be very many."""
    n, n_stored = words.shape[:2]
    n_pairs = n * (n - 1) // 2
    size = _MOMENTS + n_bins
    sums, squares, product = np.zeros((n, size)), np.zeros(size), 0.0
    shift: Any = None  # close to the means, so that the sums of squares keep their digits
    for k in range(n - 1):
        for part in _parts(n - k - 1, 8 * n_stored):
            others = slice(part.start + k + 1, min(part.stop + k + 1, n))
            distances = _distances(words[k][None], words[others])
            values = _features(distances, n_spins, which, n_bins)
            shift = values.mean(axis=0) if shift is None else shift
            values -= shift
            sums[k] += values.sum(axis=0)
            sums[others] += values
            squares += np.einsum("ij,ij->j", values, values)
            product += float(values[:, 2] @ values[:, 3])
    offset = sums.sum(axis=0) / (2 * n_pairs)
    sums -= (n - 1) * offset
    squares -= n_pairs * offset**2
    product -= n_pairs * offset[2] * offset[3]
    means = shift + offset
    slopes = _binder_slopes(means)
    sums = np.column_stack([sums, sums[:, 2:4] @ slopes])
    binder = slopes**2 @ squares[2:4] + 2 * slopes[0] * slopes[1] * product
    return means, _errors_of_all(sums, np.append(squares, binder))


def _binder_slopes(means: Array) -> Array:
    """Return how 1 - <q^4>/(3 <q^2>^2) changes with <q^2> and with <q^4>."""
    m2, m4 = means[2], means[3]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.array([2 * m4 / (3 * m2**3), -1 / (3 * m2**2)])


def _bin_of_distance(n_spins: int, edges: Array) -> NDArray[np.int64]:
    """Return the bin of each distance 0, ..., N; n_bins for an overlap outside of all."""
    q = 1 - 2 * np.arange(n_spins + 1) / n_spins
    last = edges.size - 1
    # an edge that is itself an overlap may differ from it by rounding
    index = np.searchsorted(edges - _ROUNDING, q, side="right") - 1
    index[np.abs(q - edges[-1]) <= _ROUNDING] = last - 1
    index[index < 0] = last
    return np.asarray(index, dtype=np.int64)


def _features(
    distances: NDArray[np.int64], n_spins: int, which: NDArray[np.int64], n_bins: int
) -> Array:
    """Return for each pair the averages of its powers of q and its share of each bin."""
    q = 1 - 2 * distances / n_spins
    q2 = q * q
    powers = [q.mean(axis=1), np.abs(q).mean(axis=1), q2.mean(axis=1), (q2 * q2).mean(axis=1)]
    n_pairs, n_stored = distances.shape
    flat = which[distances] + (n_bins + 1) * np.arange(n_pairs)[:, None]
    counts = np.bincount(flat.ravel(), minlength=n_pairs * (n_bins + 1))
    shares = counts.reshape(n_pairs, n_bins + 1)[:, :n_bins] / n_stored
    return np.column_stack([*powers, shares])


def _errors_of_all(sums: Array, squares: Array) -> Array:
    """Return standard errors of averages over all pairs of n replicas; see `distribution`.

    Parameters
    ----------
    sums : ndarray, shape (n, n_columns)
        Sums over the pairs of each replica, of values minus their mean.
    squares : ndarray, shape (n_columns,)
        Sums of the squares of all pairs.
    """
    n = len(sums)
    if n < MIN_UNITS:
        return np.full(squares.shape, np.nan)
    n_pairs = n * (n - 1) // 2
    within = np.sum(sums**2, axis=0) / ((n - 1) * (n - 2))  # z2 + (n - 4) z1, on average
    # squares are (n_pairs - 1) z2 - 2 (n - 2) z1, on average
    shared = ((n_pairs - 1) * within - squares) / ((n_pairs - 1) * (n - 4) + 2 * (n - 2))
    shared = np.maximum(shared, 0.0)
    own = (squares + 2 * (n - 2) * shared) / (n_pairs - 1)
    return np.asarray(np.sqrt(np.maximum(2 * (n - 2) * shared + own, 0.0) / n_pairs))
