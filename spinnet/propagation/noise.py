"""Noise on the activations: dropout, Gaussian factors, Gaussian terms.

To the theory a noise is two numbers (Schoenholz et al., arXiv:1611.01232, section 5; Pretorius et
al., arXiv:1811.00293): the second moment of an activation becomes
``variance_factor * E[phi^2] + variance_offset``.  Two inputs see independent noise, which leaves
their covariance alone, or, with ``shared=True``, the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from spinnet.errors import InputError
from spinnet.validation import positive_float

_LARGEST, _SMALLEST = 1e6, 1e-12


@dataclass(frozen=True)
class Dropout:
    """Keep each activation with probability `keep`, divided by `keep`; else 0.

    Attributes
    ----------
    keep : float
        In [1e-12, 1]; 1 is no dropout.
    shared : bool
        Whether two inputs see the same mask.
    """

    keep: float
    shared: bool = False

    def __post_init__(self) -> None:
        keep = positive_float("keep", self.keep)
        if keep > 1:
            raise InputError(f"keep must be a probability in (0, 1], got {keep}")
        if keep < _SMALLEST:
            raise InputError(f"keep must be at least {_SMALLEST:g}, got {keep:g}")
        _flag(self.shared)
        object.__setattr__(self, "keep", keep)

    @property
    def variance_factor(self) -> float:
        """Second moment of the factor on an activation: 1/keep."""
        return 1 / self.keep

    @property
    def variance_offset(self) -> float:
        """Variance of the term added to an activation: 0."""
        return 0.0


@dataclass(frozen=True)
class MultiplicativeGaussian:
    """Multiply each activation by 1 + sigma g, g standard normal.

    Attributes
    ----------
    sigma : float
        From 0 to 1e6.
    shared : bool
        Whether two inputs see the same noise.
    """

    sigma: float
    shared: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "sigma", _deviation(self.sigma))
        _flag(self.shared)

    @property
    def variance_factor(self) -> float:
        """Second moment of the factor on an activation: 1 + sigma^2."""
        return 1 + self.sigma**2

    @property
    def variance_offset(self) -> float:
        """Variance of the term added to an activation: 0."""
        return 0.0


@dataclass(frozen=True)
class AdditiveGaussian:
    """Add sigma g, g standard normal, to each activation.

    Attributes
    ----------
    sigma : float
        From 0 to 1e6.
    shared : bool
        Whether two inputs see the same noise.
    """

    sigma: float
    shared: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "sigma", _deviation(self.sigma))
        _flag(self.shared)

    @property
    def variance_factor(self) -> float:
        """Second moment of the factor on an activation: 1."""
        return 1.0

    @property
    def variance_offset(self) -> float:
        """Variance of the term added to an activation: sigma^2."""
        return self.sigma**2


def _deviation(sigma: float) -> float:
    value = positive_float("sigma", sigma, zero=True)
    if value > _LARGEST:
        raise InputError(f"sigma must be at most {_LARGEST:g}, got {value:g}")
    return value


Noise: TypeAlias = Dropout | MultiplicativeGaussian | AdditiveGaussian


def resolve_noise(keep: float, noise: Noise | None) -> Noise:
    """Return the noise that the two arguments of the public functions stand for."""
    dropout = Dropout(keep)
    if noise is None:
        return dropout
    if not isinstance(noise, Dropout | MultiplicativeGaussian | AdditiveGaussian):
        raise InputError(
            "noise must be Dropout(keep), MultiplicativeGaussian(sigma) or "
            f"AdditiveGaussian(sigma), got {type(noise).__name__}"
        )
    if dropout.keep != 1:
        raise InputError(f"give keep or noise, not both: got keep={keep} and noise={noise}")
    return noise


def _flag(shared: object) -> None:
    if not isinstance(shared, bool):
        raise InputError(f"shared must be True or False, got {shared!r:.80}")
