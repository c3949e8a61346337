r"""The error of a mean by blocking, a check of the autocorrelation time that needs no window.

Pairs of neighbours are averaged again and again; the naive error of the blocks' mean grows until
blocks are longer than the correlations, and then stays (H. Flyvbjerg & H. G. Petersen, J. Chem.
Phys. 91, 461 (1989)).  The level is chosen by R. M. Lee et al., Phys. Rev. E 83, 066706 (2011):
the shortest block B with B^3 > 2 n (error_B/error_1)^4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet import plotting
from spinnet.files import finite_or_null
from spinnet.spins.statistics.chains import as_chains, root_of_squares

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]
_LEAST_BLOCKS = 16  # the error of the error is then 18 %


@dataclass(frozen=True, eq=False)
class Blocking:
    """Errors of a mean from blocks of doubling length.

    Attributes
    ----------
    length : ndarray of int, shape (n_levels,)
        Steps in a block.
    n_blocks : ndarray of int, shape (n_levels,)
        Blocks of all chains together; steps that fill no block at the start are left out.
    errors, errors_error : ndarray, shape (n_levels,)
        Error of the mean, and its own standard error, error/sqrt(2 (n_blocks - 1)).
    level : int or None
        The level chosen, None where no level with 16 blocks is long enough.
    note : str
    """

    length: NDArray[np.int64]
    n_blocks: NDArray[np.int64]
    errors: Array
    errors_error: Array
    level: int | None
    note: str = ""

    @property
    def error(self) -> float:
        """The error of the mean at the level chosen, NaN without one."""
        return float("nan") if self.level is None else float(self.errors[self.level])

    @property
    def error_error(self) -> float:
        """One standard error of `error`."""
        return float("nan") if self.level is None else float(self.errors_error[self.level])

    @property
    def tau(self) -> float:
        """The autocorrelation time that the growth of the error stands for, in steps."""
        moves = self.errors.size > 0 and self.errors[0] > 0
        return 0.5 * (self.error / float(self.errors[0])) ** 2 if moves else float("nan")

    def summary(self) -> str:
        """Return one line for people."""
        if self.level is None:
            return f"blocking gives no error: {self.note}"
        return (
            f"error of the mean {self.error:.4g} +- {self.error_error:.2g} from "
            f"{self.n_blocks[self.level]} blocks of {self.length[self.level]} steps"
        )

    def to_dict(self) -> dict[str, object]:
        """Return plain lists and numbers, None for NaN."""
        arrays = ("length", "n_blocks", "errors", "errors_error")
        values: dict[str, object] = {name: getattr(self, name).tolist() for name in arrays}
        values |= {"level": self.level, "error": self.error, "tau": self.tau, "note": self.note}
        return {key: finite_or_null(value) for key, value in values.items()}

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the error against the length of a block."""
        ax = plotting.axes(ax)
        plotting.points(ax, self.length, self.errors, self.errors_error)
        if self.level is not None:
            plotting.level(ax, self.error, label="chosen")
        ax.set_xscale("log", base=2)
        ax.set_xlabel("length of a block (steps)")
        ax.set_ylabel("error of the mean")
        return ax


def blocking(series: ArrayLike) -> Blocking:
    """Return the error of the mean of `series` for blocks of length 1, 2, 4, ...

    Parameters
    ----------
    series : array_like, shape (n_chains, n_steps) or (n_steps,)
        Blocks are cut within chains and pooled about the common mean.

    Returns
    -------
    Blocking
        `error` is NaN, with the reason in `note`, where the series is too short: unlike the
        sum of autocorrelations, blocks cannot see correlations longer than themselves.
    """
    data = as_chains(series)
    length, count, errors, spread = [], [], [], []
    size = 1
    while data.size >= 2:
        scatter = float(root_of_squares((data - data.mean()).ravel()))
        error = scatter / np.sqrt(data.size * (data.size - 1.0))
        length.append(size)
        count.append(data.size)
        errors.append(error)
        spread.append(error / np.sqrt(2 * (data.size - 1)))
        half = data.shape[1] // 2
        if half == 0:
            break
        kept = data[:, data.shape[1] - 2 * half :]
        data, size = kept.reshape(data.shape[0], half, 2).mean(axis=2), 2 * size
    level, note = _level(np.array(length, float), np.array(count), np.array(errors))
    return Blocking(
        np.array(length, dtype=np.int64),
        np.array(count, dtype=np.int64),
        np.array(errors, dtype=np.float64),
        np.array(spread, dtype=np.float64),
        level,
        note,
    )


def _level(length: Array, count: NDArray[np.int64], errors: Array) -> tuple[int | None, str]:
    if length.size == 0:
        return None, "one value has no scatter"
    if errors[0] == 0:
        return 0, ""
    long_enough = length**3 > 2 * count[0] * (errors / errors[0]) ** 4
    good = np.flatnonzero(long_enough & (count >= _LEAST_BLOCKS))
    if good.size:
        return int(good[0]), ""
    return None, f"no {_LEAST_BLOCKS} blocks are long against the correlations; run longer"
