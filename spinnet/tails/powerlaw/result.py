"""A fitted power-law tail: its numbers, its law, and what it shows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.errors import InputError
from spinnet.tails.observations import Observations, log_ratio
from spinnet.tails.powerlaw.options import law_arguments
from spinnet.tails.powerlaw.p_values import p_text
from spinnet.validation import choice

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from spinnet.tails.powerlaw.alternatives import LawComparison, LikelihoodRatio
    from spinnet.tails.powerlaw.bootstrap import Bootstrap
    from spinnet.tails.powerlaw.scan import XminScan

Floats = NDArray[np.float64]

_HIDDEN = ("bootstrap", "_data")  # arrays, left out of the record


@dataclass(frozen=True)
class PowerLawFit:
    """A fitted power-law tail.

    Attributes
    ----------
    alpha : float
        Exponent of the density (or probability mass) p(x) ~ x^-alpha.
    alpha_error : float
        Standard error of `alpha` *conditional on xmin*: one over the root of the Fisher
        information (CSN eq. 3.2, 3.6).  It covers less than its nominal level when xmin is
        estimated; see `alpha_bootstrap_error`.
    xmin : float
        Lower cut-off of the tail.
    xmax : float or None
        Upper cut-off, if one was given: the law is then normalised on [xmin, xmax].
    n, n_tail : int
        Number of observations fitted to, and of those >= `xmin`.
    n_above, n_zeros : int
        Observations that were left out: above `xmax`, and zeros (with ``zeros="drop"``).
    ks_distance : float
        Kolmogorov-Smirnov distance of the tail, in the given `convention`.
    log_likelihood : float
        Of the tail, at `alpha`.
    decades : float
        log10 of the largest value of the tail over `xmin`.
    discrete : bool
        Whether integers (zeta law) or real numbers (Pareto law) were fitted.
    discrete_detected : bool
        True if `discrete` was decided from the data: all whole numbers mean integers.
    xmin_fixed : bool
        Whether `xmin` was given.
    convention : str
        Of the distance: ``"csn"``, ``"left"`` or ``"two-sided"``.
    min_tail : int
        Smallest tail that was considered.
    p_value : float
        Share of semi-parametric replicates at least as far from their fit (CSN section 4.1).
        Small means that the power law is ruled out (CSN: below 0.1).  It tests the law above the
        chosen xmin, not the existence of a tail further out.  0 says that no replicate was as
        far, so that p is below 1/n_bootstrap.  NaN without a bootstrap.
    p_value_error : float
        Binomial standard error of `p_value`, sqrt(p (1 - p)/n_bootstrap): 0 where p is 0 or 1.
    alpha_bootstrap_error, xmin_bootstrap_error : float
        Standard deviations over nonparametric resamples with xmin searched for again: the errors
        to quote when xmin is estimated.  NaN without a bootstrap.
    alpha_interval, xmin_interval : tuple of float
        95 % intervals from the same resamples; see the notes of `fit_power_law`.  NaN without.
    n_bootstrap, n_failed : int
        Replicates asked for, of each kind, and how many of both kinds could not be fitted.
    seed : mapping or None
        What makes the bootstrap again; None without one.
    version : str
        Of spinnet.
    bootstrap : Bootstrap or None
        All replicates: ``.goodness`` (semi-parametric) and ``.resampled`` (nonparametric), each
        with ``.ks_distance``, ``.alpha``, ``.xmin``, ``.n_tail``.
    """

    alpha: float
    alpha_error: float
    xmin: float
    xmax: float | None
    n: int
    n_tail: int
    n_above: int
    n_zeros: int
    ks_distance: float
    log_likelihood: float
    decades: float
    discrete: bool
    discrete_detected: bool
    xmin_fixed: bool
    convention: str
    min_tail: int
    p_value: float
    p_value_error: float
    alpha_bootstrap_error: float
    xmin_bootstrap_error: float
    alpha_interval: tuple[float, float]
    xmin_interval: tuple[float, float]
    n_bootstrap: int
    n_failed: int
    seed: Mapping[str, object] | None
    version: str
    bootstrap: Bootstrap | None = field(repr=False, compare=False)
    _data: Observations = field(repr=False, compare=False)

    @property
    def _top(self) -> float:
        return math.inf if self.xmax is None else self.xmax

    @property
    def _n_tested(self) -> int:
        """Number of semi-parametric replicates behind the p-value."""
        return 0 if self.bootstrap is None else int(self.bootstrap.goodness.valid.sum())

    @cached_property
    def _log_norm(self) -> float:
        """The logarithm of Z in p(x) = (x/xmin)^-alpha / Z."""
        from spinnet.tails.powerlaw.laws import log_normaliser

        return float(log_normaliser(self.alpha, self.xmin, self.discrete, self._top))

    def sf(self, x: ArrayLike) -> Floats:
        """Return P(X >= x | X >= xmin) of the fitted tail, of the shape of `x`; 1 below xmin.

        For integers, P(X >= x) includes x itself (CSN eq. 2.7), and x is rounded up.
        """
        x = np.maximum(law_arguments(x), self.xmin)
        if not self.discrete and self.xmax is None:
            return np.asarray(np.exp((1.0 - self.alpha) * log_ratio(x, self.xmin)))
        from spinnet.tails.powerlaw.laws import survivals

        if self.discrete:
            x = np.ceil(x)
        x = np.minimum(x, np.finfo(np.float64).max)
        y = log_ratio(x, self.xmin)
        law = (self.xmin, self.alpha, self.discrete, self._top)
        return np.asarray(survivals(x.ravel(), y.ravel(), *law).reshape(x.shape))

    def pdf(self, x: ArrayLike) -> Floats:
        """Return the density of the fitted tail, for integers the probability; 0 outside."""
        x = law_arguments(x)
        inside = (x >= self.xmin) & (x <= self._top)
        if self.discrete:
            inside &= x == np.rint(x)
        y = log_ratio(np.where(inside, x, self.xmin), self.xmin)
        density = np.where(inside, np.exp(-self.alpha * y - self._log_norm), 0.0)
        return np.where(np.isnan(x), math.nan, density)

    def scan(self, *, progress: bool = False) -> XminScan:
        """Return alpha and the distance at every candidate xmin, not only at the best.

        The cost grows like n to about 1.6: 0.06 to 0.15 s at n = 1e4, 2 to 6 s at 1e5.

        Parameters
        ----------
        progress : bool
            Show a progress bar.

        Returns
        -------
        XminScan
        """
        from spinnet.tails.powerlaw.scan import scan_tails

        return scan_tails(
            self._data.up_to(self._top),
            discrete=self.discrete,
            top=self._top,
            min_tail=self.min_tail,
            convention=self.convention,
            chosen=self.xmin,
            progress=progress,
        )

    def compare(self, alternative: str, *, discretisation: str = "sum") -> LikelihoodRatio:
        """Compare with another law on the same tail by Vuong's test (CSN section 5).

        Parameters
        ----------
        alternative : str
            ``"lognormal"``, ``"stretched-exponential"``, ``"cut-off"`` (power law with an
            exponential cut-off), ``"truncated"`` (power law up to the largest value) or
            ``"exponential"``.  Fitted by maximum likelihood to the points >= xmin, xmin kept.
        discretisation : {"sum", "round"}
            How a density becomes a law of integers: over its sum, which holds the zeta law
            exactly, or by its mass between x - 1/2 and x + 1/2.  Ignored for real numbers.

        Returns
        -------
        LikelihoodRatio
            With ``.ratio`` > 0 favouring the power law, ``.normalized_ratio``, ``.p_value``,
            ``.degenerate``.

        Raises
        ------
        InputError
            An unknown alternative, or a fit with an upper cut-off: the alternatives are laws on
            [xmin, inf).
        """
        from spinnet.tails.powerlaw.alternatives import compare_tail

        if self.xmax is not None:
            raise InputError(
                f"compare needs a fit without xmax, got xmax={self.xmax}: the alternatives are "
                "laws without an upper cut-off"
            )
        start = np.searchsorted(self._data.values, self.xmin)
        return compare_tail(
            alternative,
            self._data.values[start:],
            self._data.counts[start:],
            xmin=self.xmin,
            alpha=self.alpha,
            log_norm=self._log_norm,
            discrete=self.discrete,
            discretisation=discretisation,
        )

    def compare_all(
        self, alternatives: Sequence[str] | None = None, *, discretisation: str = "sum"
    ) -> LawComparison:
        """Compare with several alternatives on the same tail.

        Parameters
        ----------
        alternatives : sequence of str, optional
            Names that :meth:`compare` takes; all of them by default.
        discretisation : {"sum", "round"}
            As for :meth:`compare`.

        Returns
        -------
        LawComparison
            With ``.ratios``, AIC and BIC of all laws, ``.summary()`` and ``.plot()``.
        """
        from spinnet.tails.powerlaw.alternatives import ALTERNATIVE_NAMES, compare_all

        names = ALTERNATIVE_NAMES if alternatives is None else alternatives
        return compare_all(self, names, discretisation=discretisation)

    def summary(self) -> str:
        """Return a few lines for people."""
        kind = "integers" if self.discrete else "real numbers"
        chosen = "given" if self.xmin_fixed else "estimated"
        lines = [
            f"power law on {kind}: n = {self.n}, tail {self.n_tail} ({self.decades:.2f} decades)",
            f"  alpha = {self.alpha:.4f} +- {self.alpha_error:.4f} (at fixed xmin)",
            f"  xmin  = {self.xmin:.6g} ({chosen})",
            f"  KS distance = {self.ks_distance:.5f} ({self.convention})",
        ]
        if self.n_bootstrap:
            low, high = self.alpha_interval
            lines += [
                f"  {p_text(self.p_value, self.p_value_error, self._n_tested)}",
                f"  bootstrap errors: alpha {self.alpha_bootstrap_error:.4f} "
                f"[{low:.4f}, {high:.4f}], xmin {self.xmin_bootstrap_error:.4g} "
                f"[{self.xmin_interval[0]:.4g}, {self.xmin_interval[1]:.4g}] "
                f"({self.n_bootstrap} replicates, {self.n_failed} not fitted)",
            ]
        return "\n".join(lines + [f"  note: {note}" for note in self._notes()])

    def _notes(self) -> list[str]:
        """Return what was decided or left out."""
        notes = []
        if self.discrete_detected and self.discrete:
            notes.append(
                "whole numbers, so fitted as integers; for rounded measurements pass discrete=False"
            )
        if self.xmax is not None:
            notes.append(
                f"fitted on [xmin, {self.xmax:.6g}]; {self.n_above} value(s) above left out"
            )
        if self.n_zeros:
            notes.append(f"{self.n_zeros} zero(s) left out")
        return notes

    def caption(self) -> str:
        """Return a sentence for under a figure: method, data, settings, seed, version."""
        law = "zeta" if self.discrete else "Pareto"
        window = "" if self.xmax is None else f" on [xmin, {self.xmax:.6g}]"
        text = (
            f"{law} law{window} fitted by maximum likelihood; xmin "
            + ("given" if self.xmin_fixed else "at the smallest Kolmogorov-Smirnov distance")
            + f" ({self.convention} convention, tails of at least {self.min_tail}); "
            f"n = {self.n}, tail {self.n_tail}"
        )
        if self.n_bootstrap and self.seed is not None:
            text += f"; {self.n_bootstrap} bootstrap replicates, seed {self.seed['entropy']}"
        return f"{text}; spinnet {self.version}."

    def to_dict(self) -> dict[str, object]:
        """Return plain Python values, for JSON; NaN becomes None.

        The data and the replicates are left out.
        """
        record: dict[str, object] = {"schema": 1, "kind": "power-law-fit"}
        for name in (item.name for item in fields(self) if item.name not in _HIDDEN):
            record[name] = _plain(getattr(self, name))
        record["seed"] = None if self.seed is None else dict(self.seed)
        return record

    def plot(self, ax: Axes | None = None, *, kind: str = "ccdf") -> Axes:
        """Draw all the data, the fit from xmin on, and xmin.

        Parameters
        ----------
        ax : Axes, optional
            Drawn into; new by default.
        kind : {"ccdf", "pdf"}
            P(X >= x), with the 95 % band of the fit if there is a bootstrap; or the density in
            logarithmic bins.  The fit is scaled by n_tail/n.

        Returns
        -------
        Axes
        """
        from spinnet.tails.powerlaw import drawing

        if choice("kind", kind, ("ccdf", "pdf")) == "pdf":
            return drawing.pdf(self, ax)
        return drawing.ccdf(self, ax)


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
