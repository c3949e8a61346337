"""The standard laws of the families: densities, tails and draws at location 0 and scale 1."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.tails.stable.fit_density import log_density, log_functions
from spinnet.tails.stable.fit_distance import Tails

Floats = NDArray[np.float64]

_TINY = 1e-300


def _log(x: ArrayLike) -> Floats:
    return np.asarray(np.log(np.maximum(np.asarray(x, dtype=np.float64), _TINY)))


class AbstractLaw(ABC):
    """A law at given shape parameters."""

    def logpdf(self, z: Floats) -> Floats:
        """Return the log-density."""
        return np.asarray(self._logpdf(z), dtype=np.float64)

    def log_tails(self, z: Floats) -> tuple[Floats, Floats]:
        """Return log cdf and log sf."""
        return self._log_tails(z)

    def draw(self, rng: np.random.Generator, n: int) -> Floats:
        """Return n independent values."""
        return self._draw(rng, n)

    @abstractmethod
    def _logpdf(self, z: Floats) -> Floats: ...

    @abstractmethod
    def _log_tails(self, z: Floats) -> tuple[Floats, Floats]: ...

    @abstractmethod
    def _draw(self, rng: np.random.Generator, n: int) -> Floats: ...


class Normal(AbstractLaw):
    """Variance 1."""

    def _logpdf(self, z: Floats) -> Floats:
        return np.asarray(-0.5 * z * z - 0.5 * math.log(2.0 * math.pi))

    def _log_tails(self, z: Floats) -> tuple[Floats, Floats]:
        from scipy.special import log_ndtr

        return np.asarray(log_ndtr(z)), np.asarray(log_ndtr(-z))

    def _draw(self, rng: np.random.Generator, n: int) -> Floats:
        return rng.standard_normal(n)


class Laplace(AbstractLaw):
    """Density exp(-|z|) / 2."""

    def _logpdf(self, z: Floats) -> Floats:
        return np.asarray(-np.abs(z) - math.log(2.0))

    def _log_tails(self, z: Floats) -> tuple[Floats, Floats]:
        far = -np.abs(z) - math.log(2.0)
        near = np.log1p(-np.exp(far))
        return np.where(z < 0, far, near), np.where(z < 0, near, far)

    def _draw(self, rng: np.random.Generator, n: int) -> Floats:
        return rng.laplace(size=n)


class Logistic(AbstractLaw):
    """Cdf 1 / (1 + exp(-z))."""

    def _logpdf(self, z: Floats) -> Floats:
        return np.asarray(-np.abs(z) - 2.0 * np.log1p(np.exp(-np.abs(z))))

    def _log_tails(self, z: Floats) -> tuple[Floats, Floats]:
        return np.asarray(-np.logaddexp(0.0, -z)), np.asarray(-np.logaddexp(0.0, z))

    def _draw(self, rng: np.random.Generator, n: int) -> Floats:
        return rng.logistic(size=n)


class Cauchy(AbstractLaw):
    """Density 1 / (pi (1 + z^2))."""

    def _logpdf(self, z: Floats) -> Floats:
        return np.asarray(-2.0 * np.log(np.hypot(1.0, z)) - math.log(math.pi))

    def _log_tails(self, z: Floats) -> tuple[Floats, Floats]:
        return _log(np.arctan2(1.0, -z) / math.pi), _log(np.arctan2(1.0, z) / math.pi)

    def _draw(self, rng: np.random.Generator, n: int) -> Floats:
        return rng.standard_cauchy(n)


@dataclass(frozen=True)
class StudentT(AbstractLaw):
    """Density proportional to (1 + z^2/nu)^(-(nu+1)/2)."""

    nu: float

    def _logpdf(self, z: Floats) -> Floats:
        from scipy.special import gammaln

        nu = self.nu
        norm = gammaln(0.5 * (nu + 1.0)) - gammaln(0.5 * nu) - 0.5 * math.log(nu * math.pi)
        return np.asarray(norm - (nu + 1.0) * np.log(np.hypot(1.0, z / math.sqrt(nu))))

    def _log_tails(self, z: Floats) -> tuple[Floats, Floats]:
        from scipy.special import stdtr

        return _log(stdtr(self.nu, z)), _log(stdtr(self.nu, -z))

    def _draw(self, rng: np.random.Generator, n: int) -> Floats:
        return rng.standard_t(self.nu, n)


@dataclass(frozen=True)
class GeneralisedNormal(AbstractLaw):
    """Density proportional to exp(-|z|^shape): Laplace at 1, normal of variance 1/2 at 2."""

    shape: float

    def _logpdf(self, z: Floats) -> Floats:
        from scipy.special import gammaln

        norm = math.log(0.5) - gammaln(1.0 + 1.0 / self.shape)
        return np.asarray(norm - np.abs(z) ** self.shape)

    def _log_tails(self, z: Floats) -> tuple[Floats, Floats]:
        from scipy.special import gammaincc

        far = 0.5 * gammaincc(1.0 / self.shape, np.abs(z) ** self.shape)
        far_log, near = _log(far), np.log1p(-far)
        return np.where(z < 0, far_log, near), np.where(z < 0, near, far_log)

    def _draw(self, rng: np.random.Generator, n: int) -> Floats:
        sizes = rng.standard_gamma(1.0 / self.shape, n) ** (1.0 / self.shape)
        return np.asarray(np.where(rng.random(n) < 0.5, -sizes, sizes))


@dataclass(frozen=True)
class Stable(AbstractLaw):
    """Stable law in S0."""

    stable_alpha: float
    beta: float

    def _logpdf(self, z: Floats) -> Floats:
        return log_density((self.stable_alpha, self.beta), z)

    def _log_tails(self, z: Floats) -> tuple[Floats, Floats]:
        _, below, above = log_functions((self.stable_alpha, self.beta), z)
        return below, above

    def _draw(self, rng: np.random.Generator, n: int) -> Floats:
        from spinnet.tails.stable import rvs

        return np.asarray(rvs(self.stable_alpha, self.beta, size=n, parametrization="S0", rng=rng))


class Lognormal(AbstractLaw):
    """exp of a standard normal number; shape and scale are those of the logarithm."""

    def __init__(self, sigma: float) -> None:
        self.sigma = sigma

    def _logpdf(self, z: Floats) -> Floats:
        logs = np.log(z)
        return np.asarray(Normal().logpdf(logs / self.sigma) - math.log(self.sigma) - logs)

    def _log_tails(self, z: Floats) -> tuple[Floats, Floats]:
        return Normal().log_tails(np.log(z) / self.sigma)

    def _draw(self, rng: np.random.Generator, n: int) -> Floats:
        return rng.lognormal(0.0, self.sigma, n)


class SymmetricLognormal(AbstractLaw):
    """Either sign with probability 1/2, lognormal in size."""

    def __init__(self, sigma: float) -> None:
        self.size = Lognormal(sigma)

    def _logpdf(self, z: Floats) -> Floats:
        return self.size.logpdf(np.abs(z)) - math.log(2.0)

    def _log_tails(self, z: Floats) -> tuple[Floats, Floats]:
        _, far = self.size.log_tails(np.abs(z))
        far = far - math.log(2.0)
        near = np.log1p(-np.exp(far))
        return np.where(z < 0, far, near), np.where(z < 0, near, far)

    def _draw(self, rng: np.random.Generator, n: int) -> Floats:
        sizes = self.size.draw(rng, n)
        return np.asarray(np.where(rng.random(n) < 0.5, -sizes, sizes))


@dataclass(frozen=True)
class Fitted:
    """A law with location and scale, and its parameters as they are reported."""

    law: AbstractLaw
    loc: float
    scale: float
    parameters: dict[str, float]

    def logpdf(self, x: Floats) -> Floats:
        """Return the log-density at data values."""
        return self.law.logpdf((x - self.loc) / self.scale) - math.log(self.scale)

    def tails(self, x: Floats) -> Tails:
        """Return log pdf, log cdf and log sf."""
        z = (x - self.loc) / self.scale
        return (self.law.logpdf(z) - math.log(self.scale), *self.law.log_tails(z))

    def draw(self, rng: np.random.Generator, n: int) -> Floats:
        """Return n independent values."""
        return self.loc + self.scale * self.law.draw(rng, n)
