"""The activation of a layer as a whole: its order parameter in the language of spins."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spinnet.networks._arrays import frozen
from spinnet.networks.observables._common import (
    BLACK,
    axes,
    central_moments,
    jackknife_error,
    leave_one_out_moments,
    plain,
)
from spinnet.networks.recording import LayerActivations

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class LayerActivation:
    """Mean activation A(x) and fraction of active nodes phi(x) of a layer, over the inputs x.

    m(x) = 2 phi(x) - 1 is the magnetisation of the pattern, a node being +1 where it is on.  The
    errors are delete-one jackknife errors over distinct inputs.

    Attributes
    ----------
    layer : str
    n_units : int
    mean_activation : ndarray of float64, shape (n_inputs,)
        A(x) = (1/N) sum_j a_j(x).
    fraction_on : ndarray of float64, shape (n_inputs,)
        phi(x) = (1/N) sum_j [a_j(x) > threshold].
    population_counts : ndarray of int64, shape (n_units + 1,)
        Number of inputs on which exactly k nodes are on.
    n_var_m, n_var_m_error : float
        N (<m^2> - <m>^2).
    binder, binder_error : float
        U = 1 - <d^4> / (3 <d^2>^2) of d = m - <m>: 0 for a normal distribution, 2/3 for two
        equal peaks.  NaN where m is constant.
    skewness, skewness_error : float
        <d^3> / <d^2>^1.5; NaN where m is constant.
    n_var_m_between, n_var_m_within : float or None
        Parts of `n_var_m` between the classes of the inputs and within them, where labels are
        known; their sum is `n_var_m`.
    """

    layer: str
    n_units: int
    mean_activation: NDArray[np.float64] = field(repr=False)
    fraction_on: NDArray[np.float64] = field(repr=False)
    population_counts: NDArray[np.int64] = field(repr=False)
    n_var_m: float
    n_var_m_error: float
    binder: float
    binder_error: float
    skewness: float
    skewness_error: float
    n_var_m_between: float | None
    n_var_m_within: float | None

    @classmethod
    def from_layer(
        cls, layer: LayerActivations, labels: NDArray[np.int64] | None = None
    ) -> LayerActivation:
        """Measure a layer, with the class of each input where it is known."""
        n = layer.n_units
        on = layer.unpack().sum(axis=1)
        m = 2 * on / n - 1
        m2, m3, m4 = central_moments(m)
        errors = [math.nan] * 3
        varies = np.ptp(on) > 0
        if layer.n_inputs > 1:
            l2, l3, l4 = leave_one_out_moments(m)
            errors[0] = jackknife_error(n * l2)
            # a left-out input may leave a constant m, up to rounding: no error then
            if varies and l2.min() > 1e-12 * m2:
                errors[1] = jackknife_error(1 - l4 / (3 * l2**2))
                errors[2] = jackknife_error(l3 / l2**1.5)
        between = None if labels is None else n * _between_classes(m, labels)
        return cls(
            layer=layer.name,
            n_units=n,
            mean_activation=frozen(layer.values.mean(axis=1, dtype=np.float64)),
            fraction_on=frozen(on / n),
            population_counts=frozen(np.bincount(on, minlength=n + 1).astype(np.int64)),
            n_var_m=n * m2,
            n_var_m_error=errors[0],
            binder=1 - m4 / (3 * m2**2) if varies else math.nan,
            binder_error=errors[1],
            skewness=m3 / m2**1.5 if varies else math.nan,
            skewness_error=errors[2],
            n_var_m_between=between,
            n_var_m_within=None if between is None else n * m2 - between,
        )

    @property
    def n_inputs(self) -> int:
        """Number of inputs."""
        return len(self.fraction_on)

    @property
    def magnetization(self) -> NDArray[np.float64]:
        """m(x) = 2 phi(x) - 1, shape (n_inputs,)."""
        return 2 * self.fraction_on - 1

    def to_dict(self) -> dict[str, Any]:
        """Return the figures in types that JSON knows (distributions, not values per input)."""
        names = (
            "layer",
            "n_units",
            "n_inputs",
            "population_counts",
            "n_var_m",
            "n_var_m_error",
            "binder",
            "binder_error",
            "skewness",
            "skewness_error",
            "n_var_m_between",
            "n_var_m_within",
        )
        figures = {name: getattr(self, name) for name in names}
        figures["mean_activation"] = {
            "mean": self.mean_activation.mean(),
            "std": self.mean_activation.std(),
        }
        figures["mean_m"] = self.magnetization.mean()
        result: dict[str, Any] = plain(figures)
        return result

    def summary(self) -> str:
        """Return a few lines for people."""
        text = (
            f"layer: <A> = {self.mean_activation.mean():.4g}, "
            f"<m> = {self.magnetization.mean():.4f}, "
            f"N var(m) = {self.n_var_m:.4g} +- {self.n_var_m_error:.2g}, "
            f"U = {self.binder:.3f} +- {self.binder_error:.2g}, "
            f"skewness = {self.skewness:.3f} +- {self.skewness_error:.2g}"
        )
        if self.n_var_m_between is not None and self.n_var_m > 0:
            share = self.n_var_m_between / self.n_var_m
            text += f"\n  {share:.0%} of var(m) lies between the classes of the inputs"
        return text

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the distribution of the number of active nodes."""
        ax = axes(ax)
        m = 2 * np.arange(self.n_units + 1) / self.n_units - 1
        ax.plot(
            m,
            self.population_counts * self.n_units / (2 * self.n_inputs),
            "o-",
            ms=3,
            lw=0.8,
            mfc="none",
            color=BLACK,
        )
        ax.set_xlabel(r"magnetisation of the pattern $m = 2\varphi - 1$")
        ax.set_ylabel(r"density $P(m)$")
        ax.set_title(f"{self.layer}: $N$ var$(m)$ = {self.n_var_m:.3g}")
        return ax


def _between_classes(m: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Return the variance of the class means about the mean, weighted by class size."""
    _, group, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    means = np.bincount(group, weights=m) / sizes
    return float((sizes * (means - m.mean()) ** 2).sum() / len(m))
