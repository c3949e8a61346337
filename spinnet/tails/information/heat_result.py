"""What `specific_heat` returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spinnet import plotting
from spinnet.files import finite_or_null
from spinnet.tails.information.spectrum import Floats
from spinnet.tails.information.thermodynamics import EntropyOfEnergy

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Peak(NamedTuple):
    """The maximum of c(T).

    Attributes
    ----------
    temperature, specific_heat : float
        By a parabola through the highest point of the grid and its neighbours.
    temperature_interval, interval : (float, float)
        95 % intervals of both, by a bias-corrected bootstrap over inputs; NaN without one.
    at_end : bool
        The highest point is an end of the grid: then it is no maximum.
    reliable : bool
        Whether the estimate is reliable there.
    """

    temperature: float
    specific_heat: float
    temperature_interval: tuple[float, float]
    interval: tuple[float, float]
    at_end: bool
    reliable: bool


@dataclass(frozen=True, eq=False)
class SpecificHeat:
    """Specific heat per unit over temperature.

    Attributes
    ----------
    temperatures : ndarray, shape (n_temperatures,)
        T = 1 is the law observed.
    specific_heat : ndarray, shape (n_temperatures,)
        c(T) = Var_T(E)/(n_units T^2).
    error, bias : ndarray, shape (n_temperatures,)
        Standard deviation over resamples of the inputs, and their mean less `specific_heat`; NaN
        without a bootstrap.
    reliable : ndarray of bool, shape (n_temperatures,)
        Where at most 5 % of the probability at T is that of states seen fewer than 10 times;
        never above T = 1 for "plug-in".  For "independent" it is every T if each unit was on and
        off at least 10 times each, and T <= 1 otherwise; for "pairwise" the same, of each of the
        four joint states of each pair.
    peak : Peak
    states : EntropyOfEnergy
        S(E) over E with slope and residual.
    estimator : str
    coverage : float
        Good-Turing coverage of the patterns ("plug-in") or of the numbers of active units
        ("population-count"); NaN for the others.
    n_units, n_inputs : int
    n_constant : int
        Units always on or always off, where the estimator knows.
    warnings : tuple of str
        What limits the result.
    n_bootstrap : int
        Resamples used; `warnings` tell of those that could not be.
    seed : mapping or None
        What draws the same resamples again.
    version : str
        Of spinnet.
    """

    temperatures: Floats
    specific_heat: Floats
    error: Floats
    bias: Floats
    reliable: NDArray[np.bool_]
    peak: Peak
    states: EntropyOfEnergy = field(repr=False)
    estimator: str
    coverage: float
    n_units: int
    n_inputs: int
    n_constant: int
    warnings: tuple[str, ...]
    n_bootstrap: int
    seed: Mapping[str, object] | None = field(repr=False)
    version: str

    def at(self, temperature: float) -> tuple[float, float]:
        """Return c and its error at the temperature of the grid nearest to `temperature`."""
        k = int(np.argmin(np.abs(self.temperatures - temperature)))
        return float(self.specific_heat[k]), float(self.error[k])

    def summary(self) -> str:
        """Return a few lines for people."""
        peak = self.peak
        low, high = peak.temperature_interval
        between = f" ({low:.3f} .. {high:.3f})" if self.n_bootstrap > 1 else ""
        k = int(np.argmin(np.abs(self.temperatures - 1.0)))
        lines = [
            f"specific heat ({self.estimator}) of {self.n_units} units, {self.n_inputs} inputs: "
            f"c({self.temperatures[k]:.3g}) = {self.specific_heat[k]:.4f} +- {self.error[k]:.4f}",
            f"  peak {peak.specific_heat:.4f} at T = {peak.temperature:.3f}{between}",
            f"  S(E): slope {self.states.slope:.3f}, residual {self.states.residual:.3f} nats",
        ]
        return "\n".join(lines + [f"  caution: {text}" for text in self.warnings])

    def to_dict(self) -> dict[str, object]:
        """Return plain Python values, for JSON; NaN becomes None."""
        record: dict[str, Any] = {name: getattr(self, name) for name in self.__dataclass_fields__}
        record["peak"] = self.peak._asdict()
        record["states"] = {
            name: _plain(getattr(self.states, name)) for name in self.states.__dataclass_fields__
        }
        record["seed"] = None if self.seed is None else dict(self.seed)
        return {"schema": 1, "kind": "specific-heat"} | {
            name: finite_or_null(_plain(value)) for name, value in record.items()
        }

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw c(T) with its 95 % band, hatched where unreliable; return the axes."""
        ax = plotting.axes(ax)
        T, c = self.temperatures, self.specific_heat
        if self.n_bootstrap > 1:
            half = 1.96 * self.error
            plotting.band(ax, T, c - half, c + half, label="95 % (inputs)")
        plotting.line(ax, T, c, color=plotting.BLACK, label=self.estimator)
        if not self.peak.at_end:
            label = rf"peak, $T = {self.peak.temperature:.2f}$"
            ax.plot(
                self.peak.temperature,
                self.peak.specific_heat,
                "o",
                ms=4,
                mfc="none",
                color=plotting.VERMILLION,
                label=label,
            )
        self._hatch(ax)
        ax.axvline(1.0, color=plotting.GREY, ls=":", lw=0.9, zorder=1)
        ax.set_ylim(bottom=0.0)
        ax.set_xlabel("temperature $T$")
        ax.set_ylabel("specific heat per unit $c(T)$")
        ax.legend(frameon=not self.reliable.all(), edgecolor="none")
        return ax

    def _hatch(self, ax: Axes) -> None:
        """Hatch the temperatures at which the estimate is unreliable."""
        edges = plotting.cell_edges(self.temperatures)
        bad = np.concatenate([[False], ~self.reliable, [False]])
        starts, ends = np.flatnonzero(~bad[:-1] & bad[1:]), np.flatnonzero(bad[:-1] & ~bad[1:])
        for k, (start, end) in enumerate(zip(starts, ends, strict=True)):
            ax.axvspan(
                max(edges[start], self.temperatures[0]),
                min(edges[end], self.temperatures[-1]),
                facecolor="none",
                edgecolor=plotting.GREY,
                hatch="////",
                lw=0,
                zorder=0,
                label="unreliable" if k == 0 else None,
            )


def _plain(value: object) -> object:
    return value.tolist() if isinstance(value, np.ndarray) else value
