"""What the estimate of a partition function returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spinnet import plotting
from spinnet.files import finite_or_null
from spinnet.spins.statistics.estimate import format_with_error

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LogPartition:
    """ln Z at given temperatures, with errors from independent runs.

    Arrays have the shape of `beta` unless another is given.

    Attributes
    ----------
    model : str
    n_spins : int
        N.
    method : str
        "population-annealing" or "ais".
    beta : ndarray
        Inverse temperatures, as asked for.
    log_z, log_z_error : ndarray
        ln Z in nats, the constant of the energy included, and one standard error: a jackknife
        over the runs.  NaN where no error can be given; `note` says why.
    energy, energy_error : ndarray
        <E>, total.
    log_z_runs : ndarray, shape (n_runs, ...)
        ln Z of each run.
    effective_sample_size : ndarray
        Replicas that carry the weight of a run, in the run that has fewest: 1/sum of the squares
        of the shares that each initial replica has in the population or in the weight.
    families : ndarray of int
        Initial replicas with descendants (all of them without resampling), in the run that has
        fewest.
    schedule : ndarray, shape (n_steps + 1,)
        Every inverse temperature visited, from 0.
    n_replicas, n_sweeps, n_runs : int
        Population of a run, sweeps at each temperature, and independent runs.
    sampler : str
        The update and the kernel.
    note : str
        What a reader must know, "" if nothing.
    """

    model: str
    n_spins: int
    method: str
    beta: Array
    log_z: Array
    log_z_error: Array
    energy: Array
    energy_error: Array
    log_z_runs: Array
    effective_sample_size: Array
    families: NDArray[np.int64]
    schedule: Array
    n_replicas: int
    n_sweeps: int
    n_runs: int
    sampler: str
    note: str = ""

    @property
    def free_energy(self) -> Array:
        """-ln Z/(beta N), per spin; -inf at beta = 0."""
        return self._per_spin(-self.log_z, -np.inf)

    @property
    def free_energy_error(self) -> Array:
        """One standard error of `free_energy`; 0 at beta = 0."""
        return self._per_spin(self.log_z_error, 0.0)

    @property
    def entropy(self) -> Array:
        """(ln Z + beta <E>)/N, per spin, in nats."""
        return (self.log_z + self.beta * self.energy) / self.n_spins

    @property
    def rho_t(self) -> Array:
        """n_replicas/effective_sample_size: the mean square size of a family, from 1 on.

        W. Wang, J. Machta & H. G. Katzgraber, Phys. Rev. E 92, 063307 (2015); the systematic
        error of a run is of the order of rho_t/n_replicas.
        """
        return self.n_replicas / self.effective_sample_size

    def _per_spin(self, value: Array, at_zero: float) -> Array:
        positive = np.where(self.beta > 0, self.beta, 1.0)
        return np.where(self.beta > 0, value / (positive * self.n_spins), at_zero)

    def __repr__(self) -> str:
        return f"LogPartition({self.model}, {self.method}, {self.beta.size} temperature(s))"

    def summary(self) -> str:
        """Return a table for people."""
        lines = [
            f"{self.model}: {self.method}, {self.n_runs} runs of {self.n_replicas} replicas, "
            f"{len(self.schedule) - 1} steps of {self.n_sweeps} sweeps; {self.sampler}",
            f"{'beta':>10} {'ln Z':>18} {'free energy':>16} {'ESS':>8} {'families':>8}",
        ]
        rows = (
            self.beta, self.log_z, self.log_z_error, self.free_energy, self.free_energy_error,
            self.effective_sample_size, self.families,
        )  # fmt: skip
        for beta, z, dz, f, df, size, families in zip(*(np.ravel(x) for x in rows), strict=True):
            lines.append(
                f"{beta:10.6g} {format_with_error(z, dz):>18} {format_with_error(f, df):>16} "
                f"{size:8.0f} {families:8d}"
            )
        return "\n".join([*lines, self.note] if self.note else lines)

    def to_dict(self) -> dict[str, object]:
        """Return plain lists and numbers, None for NaN and infinities."""
        names = (
            "model", "n_spins", "method", "beta", "log_z", "log_z_error", "free_energy",
            "free_energy_error", "energy", "energy_error", "entropy", "log_z_runs",
            "effective_sample_size", "rho_t", "families", "schedule", "n_replicas", "n_sweeps",
            "n_runs", "sampler", "note",
        )  # fmt: skip
        values = {name: getattr(self, name) for name in names}
        plain = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in values.items()}
        return {name: finite_or_null(value) for name, value in plain.items()}

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the free energy per spin against beta, beta = 0 left out."""
        ax = plotting.axes(ax)
        order = np.argsort(self.beta.ravel())
        order = order[self.beta.ravel()[order] > 0]
        x, f, error = (
            np.ravel(a)[order] for a in (self.beta, self.free_energy, self.free_energy_error)
        )
        plotting.points(ax, x, f, error)
        ax.set_xlabel(r"$\beta$")
        ax.set_ylabel(r"free energy $f$ per spin")
        return ax


class AnnealingInterrupt(KeyboardInterrupt):
    """Ctrl-C between the runs of an estimate, or in one of them.

    Attributes
    ----------
    result : LogPartition or None
        That of the runs that have finished, where they are enough for an error.  Which runs
        these are does not depend on their values, so that nothing is biased.
    """

    def __init__(self, done: int, n_runs: int, result: LogPartition | None) -> None:
        kept = "their result is in `result` of this exception" if result else "too few for an error"
        super().__init__(f"interrupted after {done} of {n_runs} runs; {kept}")
        self.result = result
