"""The fitted pairwise model: probabilities, entropy, samples."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from spinnet.errors import StatisticsError
from spinnet.tails.nulls.model import PatternModel
from spinnet.tails.nulls.pairwise.chains import ChainMixing, draw
from spinnet.tails.nulls.pairwise.exact import enumerate_states
from spinnet.tails.nulls.raster import Bits, Bools, Floats


@dataclass(frozen=True, eq=False)
class PairwiseMaxent(PatternModel):
    r"""Largest entropy for rates and joint rates of all pairs.

    .. math:: p(\sigma) = \exp\Big(\sum_i h_i \sigma_i + \sum_{i<j} J_{ij} \sigma_i\sigma_j\Big)/Z,
              \qquad \sigma_i \in \{0, 1\}

    Attributes
    ----------
    method : str
        "exact" or "pseudo-likelihood".
    regularisation : float
    rates : ndarray, shape (n_units,)
        Of the data.
    fields : ndarray, shape (n_units,)
        h; -infinity and infinity for units of rate 0 and 1.
    couplings : ndarray, shape (n_units, n_units)
        J, symmetric, zero on the diagonal and beside constant units.
    log_z : float
        ln Z, of the units that vary; NaN beyond 20 of them.
    moment_error : float
        Largest difference of the model's rates and joint rates from the data's, which certifies
        the fit; NaN beyond 20 units, where the moments are not known.
    residual : float
        Largest component of the gradient per input: that of the likelihood, or of the
        pseudo-likelihood.
    mixing : ChainMixing or None
        Of the chains that draw samples, beyond 20 units.
    """

    method: str
    regularisation: float
    rates: Floats = field(repr=False)
    fields: Floats = field(repr=False)
    couplings: Floats = field(repr=False)
    log_z: float
    moment_error: float
    residual: float
    mixing: ChainMixing | None

    name: ClassVar[str] = "pairwise_maxent"
    keeps: ClassVar[str] = "the rate of each unit and the joint rate of each pair, on average"

    @property
    def varying(self) -> NDArray[np.int64]:
        """Units whose rate is neither 0 nor 1."""
        return np.flatnonzero((self.rates > 0.0) & (self.rates < 1.0))

    @property
    def entropy(self) -> float:
        """Entropy of one pattern, in nats; StatisticsError beyond 20 units that vary."""
        self._need_log_z("the entropy")
        if self.varying.size == 0:
            return 0.0
        p = enumerate_states(*self._parameters()).probability
        seen = p[p > 0.0]
        return max(0.0, -float(seen @ np.log(seen)))

    def spin_parameters(self) -> tuple[Floats, Floats]:
        """Return (fields, couplings) of the same model in the variables s = 2 sigma - 1 = +-1.

        p(s) is proportional to exp(fields.s + sum_{i<j} couplings_ij s_i s_j): couplings J/4 and
        fields h_i/2 + sum_j J_ij/4.
        """
        return self.fields / 2.0 + self.couplings.sum(axis=1) / 4.0, self.couplings / 4.0

    def _parameters(self) -> tuple[Floats, Floats]:
        units = self.varying
        return self.fields[units], self.couplings[np.ix_(units, units)]

    def _need_log_z(self, what: str) -> None:
        if math.isnan(self.log_z):
            raise StatisticsError(
                f"{what} needs ln Z, which is computed for at most 20 units that vary, here "
                f"{self.varying.size}: take a subset of the units"
            )

    def _log_probability(self, patterns: Bools) -> Floats:
        self._need_log_z("log_probability")
        fields, couplings = self._parameters()
        x = patterns[:, self.varying].astype(np.float64)
        out = x @ fields + 0.5 * ((x @ couplings) * x).sum(axis=1) - self.log_z
        constant = np.setdiff1d(np.arange(self.n_units), self.varying)
        out[(patterns[:, constant] != (self.rates[constant] == 1.0)).any(axis=1)] = -np.inf
        return np.asarray(out)

    def _draw(self, n_inputs: int, random: np.random.Generator) -> Bits:
        units = self.varying
        if units.size == self.n_units:
            return self._draw_varying(n_inputs, random)
        drawn = self._draw_varying(n_inputs, random) if units.size else np.zeros((n_inputs, 0))
        step = max(1, (1 << 22) // self.n_units)
        parts = []
        for start in range(0, n_inputs, step):
            part = drawn[start : start + step].astype(np.uint8)
            rows = np.tile(self.rates == 1.0, (len(part), 1))
            if units.size:
                rows[:, units] = np.unpackbits(part, axis=1, count=units.size)
            parts.append(np.packbits(rows, axis=1))
        return np.concatenate(parts)

    def _draw_varying(self, n_inputs: int, random: np.random.Generator) -> Bits:
        fields, couplings = self._parameters()
        if self.mixing is not None:
            return draw(n_inputs, fields, couplings, self.rates[self.varying], self.mixing, random)
        total = np.cumsum(enumerate_states(fields, couplings).probability)
        # searching sorted numbers walks through memory once
        u = np.sort(random.random(n_inputs)) * total[-1]
        states = np.searchsorted(total, u, side="right").astype("<u4")
        random.shuffle(states)
        bits = np.unpackbits(states[:, None].view(np.uint8), axis=1, bitorder="little")
        return np.packbits(bits[:, : fields.size], axis=1)

    def _facts(self) -> Mapping[str, object]:
        facts: dict[str, object] = {
            "method": self.method,
            "regularisation": self.regularisation,
            "n_varying": self.varying.size,
            "largest_coupling": float(np.abs(self.couplings).max()),
            "moment_error": self.moment_error,
            "residual": self.residual,
            "log_z": self.log_z,
        }
        if not math.isnan(self.log_z):
            facts["entropy"] = self.entropy
        if self.mixing is not None:
            facts |= {"rhat": self.mixing.rhat, "tau": self.mixing.tau, "mixed": self.mixing.mixed}
            facts["seed"] = None if self.mixing.seed is None else dict(self.mixing.seed)
        return facts
