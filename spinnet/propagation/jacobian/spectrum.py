r"""Singular values of the input-output Jacobian of a wide random network.

At infinite width the pre-activations of a layer are independent Gaussians of variance q, and the
diagonal matrices D^l = diag(phi'(h^l)) are free of the weights.  The law of lambda = s^2 then
follows from that of one layer's slopes (see the module `product`).  It is the same for

* "pre": J = W^{L+1} D^L ... W^2 D^1, between pre-activations, and
* "post": J = D^L W^L ... D^1 W^1, between activities,

whose factors are equal in law but for the order at the ends: the eigenvalues of J J^T are those
of a cyclic product.  That D^l depends on W^l through h^l changes W^l by a matrix of rank one,
which can move single singular values and no density.

Sources: Pennington, Schoenholz & Ganguli, arXiv:1711.04735 and arXiv:1802.09979.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.errors import InputError
from spinnet.propagation.activations import Activation, get_activation
from spinnet.propagation.jacobian.edges import Gap, bands_between, product_atoms, spectral_gaps
from spinnet.propagation.jacobian.integration import band_integral
from spinnet.propagation.jacobian.product import FreeProduct
from spinnet.propagation.jacobian.resolvent import Resolvent
from spinnet.propagation.jacobian.series import product_moments
from spinnet.propagation.jacobian.single_layer import SlopeDistribution
from spinnet.propagation.jacobian.slopes import SlopeLaw, slope_law
from spinnet.validation import choice, integer, positive_array, positive_float

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

Array = NDArray[np.float64]

_TOUCHING = 1e-12  # distance in ln(lambda), relative to 1 + |ln|, at which a value is an edge
_DEEP = (-200.0, -240.0)  # ln(lambda) below the upper edge at which limits to 0 are read
_NOTHING = 1e-100  # lambda rho(lambda) that counts as 0
_BESIDE = (1e-9, 1e-6)  # distances in ln(lambda) from an edge at which its limit is read
_TOLERANCE = 1e-11  # of the mass, for each panel of an integral


class Atom(NamedTuple):
    """A singular value of positive probability."""

    s: float
    mass: float


@dataclass(frozen=True)
class SpectralEdges:
    """The support of the singular values s and of their squares lambda = s^2.

    Attributes
    ----------
    lambda_min, lambda_max : float
        Ends of the support of lambda, atoms included; lambda_min is 0 wherever the spectrum comes
        down to 0.
    s_min, s_max : float
        Their square roots; s_max is the spectral norm of J.
    bands : tuple of (float, float)
        Intervals of lambda that hold the continuous part, increasing.
    """

    lambda_min: float
    lambda_max: float
    s_min: float
    s_max: float
    bands: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class JacobianSpectrum:
    """Law of the singular values s of the Jacobian of `depth` layers at infinite width.

    J is a product of `depth` factors W D (kind "pre") or D W (kind "post"), W square and D =
    diag(phi'(h_i)) with h_i ~ N(0, q); both kinds have this law.  With dropout D_ii = phi'(h_i)
    b_i / keep, b_i = 1 with probability keep.

    Parameters
    ----------
    activation : str or Activation
    sigma_w : float
        Gaussian: W_ij ~ N(0, sigma_w^2 / N).  Orthogonal: W W^T = sigma_w^2, W Haar distributed.
    q : float
        Variance of the pre-activations, the same in each layer.
    depth : int
        L, the number of factors.
    weights : {"gaussian", "orthogonal"}
    keep : float
        Dropout: the probability to keep an activation.

    Raises
    ------
    InputError
        If an argument is out of range.

    Notes
    -----
    Densities leave the atoms of :meth:`atoms` out; :meth:`cdf` has them in.  A slope that is
    constant on a stretch of pre-activations counts as an atom where the stretch ends at kinks.
    Edges are those of the support: where slopes near the largest are improbable (softplus), the
    density next to the upper edge is too small to be seen.  The distribution function is right
    to about 1e-12.

    Examples
    --------
    >>> spectrum = JacobianSpectrum("linear", sigma_w=1.0, q=1.0, depth=1)
    >>> spectrum.density([0.0, 1.0, 2.0]).round(12)  # the quarter circle sqrt(4 - s^2) / pi
    array([0.63661977, 0.5513289 , 0.        ])
    >>> JacobianSpectrum("linear", sigma_w=1.0, q=1.0, depth=2, weights="orthogonal").atoms()
    (Atom(s=1.0, mass=1.0),)
    """

    activation: str | Activation
    sigma_w: float
    q: float
    depth: int
    weights: str = "gaussian"
    keep: float = 1.0

    def __post_init__(self) -> None:
        keep = positive_float("keep", self.keep)
        if keep > 1:
            raise InputError(f"keep must be a probability in (0, 1], got {keep}")
        checked = {
            "activation": get_activation(self.activation),
            "sigma_w": positive_float("sigma_w", self.sigma_w),
            "q": positive_float("q", self.q, zero=True),
            "depth": integer("depth", self.depth, minimum=1),
            "weights": choice("weights", self.weights, ("gaussian", "orthogonal")),
            "keep": keep,
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    # ------------------------------------------------------------------ moments
    @property
    def mean(self) -> float:
        """E[lambda] = (sigma_w^2 E[D_ii^2])^L: chi_1^L, and (chi_1/keep)^L with dropout."""
        return math.exp(self._log_mean) if self._log_mean < 709 else math.inf

    @property
    def variance(self) -> float:
        """Variance of lambda."""
        return self.relative_variance * self.mean**2

    @cached_property
    def relative_variance(self) -> float:
        """Var(lambda)/E[lambda]^2 = L (E[x^2]/E[x]^2 - 1 + g), g = 1 Gaussian and 0 orthogonal.

        x = D_ii^2 (arXiv:1802.09979).  Dynamical isometry, all s near 1, needs it small.
        """
        return self.depth * self._variance_per_layer

    @property
    def isometry_depth(self) -> float:
        """Depth at which `relative_variance` reaches 1, which bounds dynamical isometry.

        It does not depend on `depth`; 1 or less for Gaussian weights, infinite for orthogonal
        weights and a constant slope.
        """
        return 1 / self._variance_per_layer if self._variance_per_layer else math.inf

    @property
    def mean_log(self) -> float:
        """E[ln lambda] = L (E[ln x] + ln sigma_w^2 - g), g = 1 Gaussian and 0 orthogonal.

        Half of it is what typical directions grow by, on a logarithmic scale; -inf with mass at 0.
        """
        if self._law.mass_at_zero > 0:
            return -math.inf
        near = self._law.largest * np.array([1e-20j])
        law = self._product.refined(near).law if self._law.has_zeros else self._law
        log_slope = float(law.average(lambda x: np.log(np.maximum(x, 1e-300))))
        return self.depth * (log_slope + self._log_gain - self._gaussian)

    def moments(self, order: int = 4) -> Array:
        """Return E[lambda], E[lambda^2], ..., E[lambda^order], atoms included, shape (order,).

        Exact to rounding for low orders; each further order costs a digit or less.

        Raises
        ------
        InputError
            If `order` is not from 1 to 20.
        """
        order = integer("order", order, minimum=1, maximum=20)
        powers = np.arange(1, order + 1)
        if self._is_zero:
            return np.zeros(order)
        size = self._mean_slope
        slopes = self._law.average(lambda x: (x / size) ** powers[:, None])
        ratios = product_moments(slopes / slopes[0] ** powers, self.depth, self._gaussian)
        with np.errstate(over="ignore"):
            return np.asarray(ratios * np.exp(powers * self._log_mean))

    # ------------------------------------------------------------------ support
    def atoms(self) -> tuple[Atom, ...]:
        """Return the singular values of positive probability, increasing, with their masses.

        If one layer has D_ii^2 = x with probability p, then J has s = 0 with probability p if
        x = 0; and, with orthogonal weights, s = (sigma_w^2 x)^(L/2) with probability
        1 - L(1 - p) if that is positive.
        """
        return tuple(Atom(math.exp(log / 2), mass) for log, mass in self._atoms)

    def edges(self) -> SpectralEdges:
        """Return the ends of the spectrum and the bands of its continuous part."""
        points = [log for log, _ in self._atoms] + [log for band in self._bands for log in band]
        bands = tuple((_exp(low), _exp(high)) for low, high in self._bands)
        low, high = min(points), max(points)
        return SpectralEdges(_exp(low), _exp(high), _exp(low / 2), _exp(high / 2), bands)

    # ------------------------------------------------------------------ densities
    def density(self, s: ArrayLike) -> Array:
        """Return the density of singular values, atoms left out.

        Parameters
        ----------
        s : array_like
            At least 0.  At s = 0 and at other edges the limit is returned, which may be inf: with
            Gaussian weights the density goes as s^(1 - 2L/(L+1)) if E[1/D_ii^2] is finite.

        Raises
        ------
        InputError
            If a value is negative or not finite.
        ConvergenceError
            If the equation of the spectrum could not be solved at one of them.
        """
        s = positive_array("s", s, zero=True)
        result = np.empty(s.shape)
        zero = s == 0
        result[zero] = self._density_at_zero(power=1)
        log_lambda = 2 * np.log(s[~zero])
        result[~zero] = 2 * self._mass_per_log(log_lambda) / s[~zero]
        return result

    def density_of_squares(self, x: ArrayLike) -> Array:
        """Return the density of lambda = s^2 at `x`, which is that of s over 2s; as `density`."""
        x = positive_array("x", x, zero=True)
        result = np.empty(x.shape)
        zero = x == 0
        result[zero] = self._density_at_zero(power=2)
        result[~zero] = self._mass_per_log(np.log(x[~zero])) / x[~zero]
        return result

    def cdf(self, s: ArrayLike) -> Array:
        """Return P(singular value <= s), atoms included; of any shape, s >= 0.

        From the imaginary part of the logarithmic potential, so that no density is integrated.
        """
        s = positive_array("s", s, zero=True)
        result = np.full(s.shape, self._law.mass_at_zero)
        log_lambda = 2 * np.log(s[s > 0])
        gap = self._gap_of(log_lambda)
        values = np.array([g.mass_below for g in self._gaps])[gap.clip(0)]
        inside = gap < 0
        values[inside] = self._cdf_inside(log_lambda[inside])
        result[s > 0] = values.clip(0, 1)
        return result

    def total_mass(self) -> float:
        """Return the integral of the density plus the atoms: 1, up to the error of the density."""
        mass = sum(atom.mass for atom in self.atoms())
        for low, high in self._smooth_bands():
            mass += band_integral(self._inside, low, high, self._lowest_log, _TOLERANCE)
            if low == -math.inf:
                size, power = self._power_law
                mass += size / power
        return mass

    def plot(self, ax: Axes | None = None, *, label: str | None = None) -> list[Line2D]:
        """Draw the density of s; the legend names the atoms.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Default: a new figure.
        label : str, optional

        Returns
        -------
        list of Line2D
            One for each band.
        """
        from spinnet import plotting

        ax = plotting.axes(ax)
        words = [f"{atom.mass:.3g} at s = {atom.s:.3g}" for atom in self.atoms()]
        label = label or f"L = {self.depth}, {self.weights}"
        if words:
            label += f" (without {', '.join(words)})"
        lines: list[Line2D] = []
        for low, high in self.edges().bands:
            s = math.sqrt(low) + (math.sqrt(high) - math.sqrt(low)) * _cosine_grid(400)
            lines.append(plotting.line(ax, s, self.density(s), label=None if lines else label))
        ax.set_xlabel("singular value s")
        ax.set_ylabel("density p(s)")
        ax.legend()
        return lines

    # ------------------------------------------------------------------ parts
    @property
    def _gaussian(self) -> bool:
        return self.weights == "gaussian"

    @cached_property
    def _log_gain(self) -> float:
        return 2 * math.log(self.sigma_w)

    @cached_property
    def _law(self) -> SlopeLaw:
        return slope_law(get_activation(self.activation), self.q, self.keep)

    @cached_property
    def _product(self) -> FreeProduct:
        return FreeProduct(Resolvent(self._law), self.depth, self._gaussian, self._log_gain)

    @property
    def _is_zero(self) -> bool:
        return self._law.largest == 0

    @cached_property
    def _mean_slope(self) -> float:
        return float(self._law.average(lambda x: x))

    @cached_property
    def _log_mean(self) -> float:
        if self._is_zero:
            return -math.inf
        return self.depth * (math.log(self._mean_slope) + self._log_gain)

    @cached_property
    def _variance_per_layer(self) -> float:
        if self._is_zero:
            return 0.0
        mean = self._mean_slope
        return float(self._law.average(lambda x: (x / mean - 1) ** 2)) + self._gaussian

    @cached_property
    def _atoms(self) -> tuple[tuple[float, float], ...]:
        return product_atoms(self._product)

    @cached_property
    def _gaps(self) -> tuple[Gap, ...]:
        return spectral_gaps(self._product)

    @cached_property
    def _bands(self) -> tuple[tuple[float, float], ...]:
        return bands_between(self._gaps)

    @cached_property
    def _slopes(self) -> SlopeDistribution | None:
        """The law of x itself, which is that of lambda / sigma_w^2 for one orthogonal layer."""
        return SlopeDistribution(self._law) if self.depth == 1 and not self._gaussian else None

    def _smooth_bands(self) -> list[tuple[float, float]]:
        """Return the bands, cut where the density may diverge inside."""
        if self._gaussian:
            return list(self._bands)
        values = self._law.atoms[self._law.atoms > 0]  # atoms that products just lose
        if self._slopes is not None:
            values = self._slopes.stationary_values()
        cuts = self.depth * (self._log_gain + np.log(values))
        pieces = []
        for low, high in self._bands:
            inside = cuts[(cuts > low) & (cuts < high)]
            pieces += list(itertools.pairwise([low, *inside.tolist(), high]))
        return pieces

    def _gap_of(self, log_lambda: Array) -> NDArray[np.intp]:
        """Return the index of the gap that holds each value, edges included; -1 inside bands."""
        near = _TOUCHING * (1 + np.abs(log_lambda))
        low = np.array([gap.low for gap in self._gaps])
        high = np.array([gap.high for gap in self._gaps])
        last = np.searchsorted(low, log_lambda + near, side="right") - 1
        inside = (last >= 0) & (log_lambda <= high[last.clip(0)] + near)
        return np.asarray(np.where(inside, last, -1))

    def _mass_per_log(self, log_lambda: Array) -> Array:
        """Return lambda rho(lambda), shape (n,)."""
        result = np.zeros(log_lambda.shape)
        inside = self._gap_of(log_lambda) < 0
        result[inside] = self._inside(log_lambda[inside])
        for edge, side in [(b[k], 1 - 2 * k) for b in self._bands for k in (0, 1)]:
            at = np.abs(log_lambda - edge) <= _TOUCHING * (1 + np.abs(log_lambda))
            if at.any():
                result[at] = self._limit(edge, side)
        return result

    def _limit(self, edge: float, side: int) -> float:
        """Return the limit of lambda rho(lambda) at an edge: 0, inf, or between."""
        near, far = self._inside(edge + side * np.array(_BESIDE))
        if near < far / 4:
            return 0.0
        return math.inf if near > 4 * far else float(near)

    def _inside(self, log_lambda: Array) -> Array:
        """Return lambda rho(lambda) within bands."""
        if log_lambda.size == 0:
            return np.zeros(0)
        if self._slopes is not None:
            return self._slopes.mass_per_log(np.exp(log_lambda - self._log_gain))
        deep = log_lambda < self._lowest_log
        result = np.empty(log_lambda.shape)
        roots = self._product.roots(log_lambda[~deep])
        result[~deep] = -roots.m.imag / math.pi
        if deep.any():
            size, power = self._power_law
            result[deep] = size * np.exp(power * (log_lambda[deep] - self._lowest_log))
        return result

    def _cdf_inside(self, log_lambda: Array) -> Array:
        if log_lambda.size == 0:
            return np.zeros(0)
        if self._slopes is not None:
            continuous = self._slopes.cdf(np.exp(log_lambda - self._log_gain))
            return continuous + sum(mass * (log <= log_lambda) for log, mass in self._atoms)
        deep = log_lambda < self._lowest_log
        result = np.empty(log_lambda.shape)
        roots = self._product.roots(log_lambda[~deep])
        turns = (
            self._gaussian * self.depth * roots.m.imag
            + (self.depth - 1) * np.angle(roots.m)
            + self.depth * roots.argument
        )
        result[~deep] = 1 - turns / math.pi
        if deep.any():
            size, power = self._power_law
            share = size / power * np.exp(power * (log_lambda[deep] - self._lowest_log))
            result[deep] = self._law.mass_at_zero + share
        return result

    @cached_property
    def _lowest_log(self) -> float:
        """Return ln(lambda) below which a power law stands for the solution."""
        if self._slopes is not None:
            return self._log_gain - 700  # x at the end of the range of numbers
        w = np.array([-self._product.smallest])
        product = self._product.refined(-1j * w)
        return float(product.real_log_z(np.zeros(1), w)[0][0])

    @cached_property
    def _power_law(self) -> tuple[float, float]:
        """Return lambda rho(lambda) at the lowest lambda solved at, and its power of lambda."""
        if self._slopes is not None:
            return 0.0, 1.0
        here = self._lowest_log
        low, high = -self._product.roots(np.array([here, here + 1])).m.imag / math.pi
        if low < _NOTHING:
            return 0.0, 1.0
        return float(low), math.log(high / low)

    def _density_at_zero(self, power: int) -> float:
        """Return the limit of the density of s^power at 0."""
        if not self._bands or self._bands[0][0] > -math.inf:
            return 0.0
        log_lambda = self._bands[0][1] + np.array(_DEEP)
        high, low = self._mass_per_log(log_lambda)
        if low == 0:
            return 0.0
        growth = math.log(high / low) / (log_lambda[0] - log_lambda[1])
        exponent = 2 * growth - power  # of the density, as a function of s
        if abs(exponent) > 1e-3:
            return 0.0 if exponent > 0 else math.inf
        return float(2 / power * low * math.exp(-power * log_lambda[1] / 2))


def _exp(x: float) -> float:
    return math.exp(x) if x < 709 else math.inf


def _cosine_grid(n: int) -> Array:
    """Return points of (0, 1), denser towards its ends."""
    return np.asarray((1 - np.cos(np.pi * (np.arange(n) + 0.5) / n)) / 2)
