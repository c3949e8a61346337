"""A solved pool: averages at any temperature, of all samples and with each group left out."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from spinnet.errors import ConvergenceError, StatisticsError
from spinnet.spins.critical.reweighting import equations
from spinnet.spins.critical.reweighting.quantities import OUTERMOST
from spinnet.spins.critical.reweighting.samples import Pool

Array = NDArray[np.float64]
LEAST_SHARED = 10.0  # effective samples that neighbouring temperatures must share
_AT_ONCE = 4_000_000


@dataclass(frozen=True, eq=False)
class Solved:
    """Weights of the levels of a pool, for some sets of samples.

    Attributes
    ----------
    energy : ndarray, shape (n_levels,)
        Less the reference.
    count, log_d : ndarray, shape (n_sets, n_levels)
        Effective samples, and ln D.
    """

    energy: Array
    count: Array
    log_d: Array

    def moments(self, beta: Array, sums: list[Array]) -> tuple[Array, Array, Array]:
        """Return averages, Kish's effective number of samples, and ln Z.

        Parameters
        ----------
        beta : ndarray, shape (n_sets, n_beta) or (1, n_beta)
        sums : list of ndarray, each (n_sets, n_levels)
            Observables summed by level.

        Returns
        -------
        averages : ndarray, shape (n_sums, n_sets, n_beta)
        n_eff, log_z : ndarray, shape (n_sets, n_beta)
            ln Z less beta times the reference, up to the constant in ln D.
        """
        n_sets, n_levels = self.count.shape
        n_beta = beta.shape[1]
        averages = np.empty((len(sums), n_sets, n_beta))
        n_eff, log_z = np.empty((2, n_sets, n_beta))
        batch = max(1, _AT_ONCE // (n_sets * n_levels))
        filled = self.count > 0
        for first in range(0, n_beta, batch):
            part = slice(first, first + batch)
            exponent = -beta[:, part, None] * self.energy - self.log_d[:, None, :]
            exponent = np.where(filled[:, None, :], exponent, -np.inf)
            top = exponent.max(axis=-1, keepdims=True)
            weight = np.exp(exponent - top)
            total = np.einsum("sbl,sl->sb", weight, self.count)
            square = np.einsum("sbl,sl->sb", weight**2, self.count)
            n_eff[:, part] = total**2 / square
            log_z[:, part] = np.log(total) + top[..., 0]
            for k, column in enumerate(sums):
                averages[k][:, part] = np.einsum("sbl,sl->sb", weight, column) / total
        return averages, n_eff, log_z


@dataclass(frozen=True, eq=False)
class Ensemble:
    """A pool with its equations solved.

    Attributes
    ----------
    pool : Pool
    f : ndarray, shape (n_states,)
        -ln Z of the simulated temperatures, less that of the first, energies less the reference.
    overlap : ndarray, shape (n_states, n_states)
        Effective samples of one temperature that could as well be of another.
    full : Solved
        One set, fine levels.
    jackknife : Solved or None
        Coarse levels: all samples, then all but one group; None without groups.
    """

    pool: Pool
    f: Array
    overlap: Array
    full: Solved
    jackknife: Solved | None
    _sums: dict[str, tuple[Array, Array]] = field(default_factory=dict, repr=False)

    def sums(self, name: str) -> tuple[Array, Array]:
        """Return an observable by fine level, and for each jackknife set by coarse level."""
        if name not in self._sums:  # samples are read once for each observable
            fine, groups = self.pool.sums(name)
            self._sums[name] = fine, leave_one_out(groups)
        return self._sums[name]

    def full_moments(self, beta: Array, names: list[str]) -> tuple[Array, Array, Array]:
        """Return averages (n_names, n_beta), n_eff and ln Z at `beta`, from all samples."""
        columns = [self.sums(name)[0] for name in names]
        averages, n_eff, log_z = self.full.moments(beta[None], columns)
        return averages[:, 0], n_eff[0], log_z[0]

    def coverage(self, beta: Array) -> tuple[Array, Array]:
        """Return Kish's n_eff, and the share of the weight on the outermost samples of one end."""
        count = self.full.count[0]
        low = np.where(np.cumsum(count) <= OUTERMOST, count, 0.0)
        high = np.where(np.cumsum(count[::-1])[::-1] <= OUTERMOST, count, 0.0)
        shares, n_eff, _ = self.full.moments(beta[None], [low[None], high[None]])
        return n_eff[0], shares[:, 0].max(axis=0)

    def jackknife_moments(self, beta: Array, names: list[str]) -> tuple[Array, Array]:
        """Return averages (n_names, n_sets, n_beta) and ln Z for each jackknife set.

        `beta` has the shape (n_beta,), or (n_sets, n_beta) for a grid of its own for each.
        """
        assert self.jackknife is not None
        columns = [self.sums(name)[1] for name in names]
        averages, _, log_z = self.jackknife.moments(np.atleast_2d(beta), columns)
        return averages, log_z


def leave_one_out(groups: Array) -> Array:
    """Return the total of all groups, then the totals without each, stacked."""
    total = groups.sum(axis=0)
    return np.concatenate([total[None], total - groups])


def solved(pool: Pool) -> Ensemble:
    """Solve the equations for all samples, and without each group."""
    beta, fine = pool.beta, pool.fine
    size = pool.size.sum(axis=0)
    means = np.array([state.energy.mean() for state in pool.states]) - pool.reference
    start = equations.first_guess(beta, means)
    try:
        f = equations.solve(beta, size, fine.energy, fine.count[0], start)
    except ConvergenceError as error:
        f = np.asarray(error.solution)
        _check_overlap(beta, equations.overlap(f, beta, size, fine.energy, fine.count[0]))
        raise
    shared = equations.overlap(f, beta, size, fine.energy, fine.count[0])
    _check_overlap(beta, shared)
    log_d = equations.log_denominator(f[None], beta, size[None], fine.energy)
    full = Solved(fine.energy, fine.count, log_d)
    return Ensemble(pool, f, shared, full, None if pool.note else _jackknife(pool, f))


def _jackknife(pool: Pool, start: Array) -> Solved:
    beta, coarse = pool.beta, pool.coarse
    count, size = leave_one_out(coarse.count), leave_one_out(pool.size)
    # differences of sums leave rounding where a group held all samples of a level
    count = np.where(count > 1e-9 * count[0], count, 0.0)
    f = equations.solve_many(beta, size, coarse.energy, count, start)
    return Solved(coarse.energy, count, equations.log_denominator(f, beta, size, coarse.energy))


def _check_overlap(beta: Array, shared: Array) -> None:
    """Refuse temperatures that fall into parts without common energies."""
    linked = shared >= LEAST_SHARED
    reached = np.zeros(beta.size, dtype=bool)
    reached[0] = True
    while True:
        more = linked[reached].any(axis=0) | reached
        if np.array_equal(more, reached):
            break
        reached = more
    if reached.all():
        return
    gap = int(np.argmin(reached))  # the first one that is out of reach
    below = beta[gap - 1]
    raise StatisticsError(
        f"the energies at beta={below:.6g} and beta={beta[gap]:.6g} hardly overlap: no chain of "
        f"temperatures links them by {LEAST_SHARED:g} effective samples that could be of either; "
        "add temperatures between, or measure longer",
        estimate=shared,
    )
