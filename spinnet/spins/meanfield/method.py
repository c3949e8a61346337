"""What every mean-field theory offers: a name, solutions of a model, and a critical temperature."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from spinnet.errors import InputError
from spinnet.validation import bounded_float, positive_float

if TYPE_CHECKING:
    from spinnet.spins.meanfield.solution import Solution
    from spinnet.spins.models import SpinModel


class MeanFieldMethod(ABC):
    """A mean-field theory with its tolerances, given to `solve` and `critical_beta`."""

    @property
    @abstractmethod
    def label(self) -> str:
        """The name to print beside a number."""

    @abstractmethod
    def solve(self, model: SpinModel, beta: float, *, throw: bool) -> Solution:
        """Return the solution of lowest free energy; see `spinnet.solve`."""

    @abstractmethod
    def critical_temperature(self, model: SpinModel) -> float:
        """Return where the paramagnet of the zero-field model loses its stability.

        Raises InputError if it is stable at every temperature.
        """


def checked_beta(beta: Any) -> float:
    """Return one inverse temperature > 0; refuse an array."""
    if np.ndim(beta) != 0:
        raise InputError(
            f"beta must be a single number for a model, got shape {np.shape(beta)}; "
            "call solve once for each temperature"
        )
    return bounded_float("beta", positive_float("beta", beta))


def checked_method(method: Any, default: type[MeanFieldMethod]) -> MeanFieldMethod:
    """Return `method`, or the default one; refuse what is no mean-field theory."""
    if method is None:
        return default()
    if not isinstance(method, MeanFieldMethod):
        raise InputError(
            "method must be a mean-field theory such as NaiveMeanField(), TAP() or Bethe(), "
            f"got {method!r:.80}"
        )
    return method
