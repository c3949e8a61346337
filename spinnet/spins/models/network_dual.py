"""The spin system dual to one layer of a network, in its three forms.

The layer computes x = W^T a + bias, and its units are on where x > 0.  Gates that are drawn
with P(b_j = 1) = 1/(1 + exp(-x_j/T)) given 0/1 inputs a are the Gibbs measure of

    E(a, b) = -(1/norm) sum_ij w_ij a_i b_j - sum_j bias_j b_j,        a, b in {0, 1}.

In natural units (norm = 1, T = 1) that is the network itself.  The dual writes it with +-1
spins.  Which of the three forms, and what became of the fields, decides every critical
temperature, so that both names go with each number.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from spinnet.errors import InputError
from spinnet.spins.models.base import Array, Couplings, SpinModel, as_fields, weight_matrix
from spinnet.spins.models.bipartite import Bipartite
from spinnet.spins.models.ising import Ising
from spinnet.validation import choice, integer, positive_float

KINDS = ("bipartite", "collapsed", "marginal")
FIELDS = ("exact", "zero", "centered")


class NetworkDual(SpinModel):
    r"""The system of +-1 spins dual to a layer.

    Parameters
    ----------
    weights : array_like, shape (n_in, n_out)
        The layer's weights: x = a @ weights + bias.
    bias : float or array_like, shape (n_out,)
        Acts on the outputs.
    kind : {"bipartite", "collapsed", "marginal"}
        * "bipartite" (D0, exact): inputs and outputs, n_in + n_out spins with block couplings
          w/(4 norm).  Any shape of weights.
        * "collapsed" (D1, of Oprisa & Toth): one layer of N spins,
          H = -(1/norm) sum_ij W_ij s_i s_j - bias.s with norm = 2N by default.  Square weights
          only; only (W + W^T)/2 matters.
        * "marginal" (D2): the outputs of D0 summed over; n_in spins with the energy
          H(a) = -G.a - T sum_j ln 2cosh((K_j + (B^T a)_j)/T), which depends on T.
    fields : {"exact", "zero", "centered"}
        * "exact": the fields that the layer implies.  For D0 and D2 these are
          G_i = sum_j w_ij/(4 norm) and K_j = bias_j/2 + sum_i w_ij/(4 norm); for D1 the bias.
          The system has a crossover, in general no transition.
        * "zero": no fields; the symmetric reference system, the only one with a sharp T_c.
        * "centered": the exact fields less their mean over each layer, so that no uniform
          field is left while the differences between sites stay.
    norm : float, optional
        Divides the double sum.  Default 1, and 2N for "collapsed".

    Attributes
    ----------
    n_in, n_out : int
        Shape of the weights.
    label : str
        The form and its fields, to print beside every number.

    References
    ----------
    Oprisa & Toth, arXiv:1702.08039 and arXiv:1705.11023.  The {0, 1} to +-1 map is checked state
    by state in derivations/network_dual.py.
    """

    def __init__(
        self,
        weights: ArrayLike,
        bias: ArrayLike = 0.0,
        kind: str = "bipartite",
        fields: str = "exact",
        norm: float | None = None,
    ) -> None:
        self.weights = weight_matrix("weights", weights)
        self.n_in, self.n_out = self.weights.shape
        self.bias = as_fields("bias", bias, self.n_out)
        self.kind = choice("kind", kind, KINDS)
        self.field_treatment = choice("fields", fields, FIELDS)
        if norm is None:
            norm = 2.0 * self.n_in if kind == "collapsed" else 1.0
        self.norm = positive_float("norm", norm)
        if kind == "collapsed":
            self._ising = self._collapse()
        else:
            self._pair = self._two_layers()
        self.n_spins = {
            "bipartite": self.n_in + self.n_out,
            "collapsed": self.n_in,
            "marginal": self.n_in,
        }[kind]
        self.constant = self._ising.constant if kind == "collapsed" else self._pair.constant

    def __repr__(self) -> str:
        return f"NetworkDual({self.n_in} x {self.n_out}, {self.label})"

    @property
    def label(self) -> str:
        """The form and the treatment of the fields, for example "D0 bipartite, fields zero"."""
        code = {"bipartite": "D0", "collapsed": "D1", "marginal": "D2"}[self.kind]
        return f"{code} {self.kind}, fields {self.field_treatment}"

    def _collapse(self) -> Ising:
        if self.n_in != self.n_out:
            raise InputError(
                f"weights must be square for kind='collapsed', got shape {self.weights.shape}; "
                "kind='bipartite' takes any shape"
            )
        return Ising(2 * self.weights / self.norm, self._treat(self.bias))

    def _two_layers(self) -> Bipartite:
        layer = Bipartite(self.weights, 0.0, self.bias, levels=(0, 1), scale=1 / self.norm)
        exact = layer.to_spins()
        pair = Bipartite(
            exact.weights, self._treat(exact.bias_a), self._treat(exact.bias_b), levels=(-1, 1)
        )
        # the constant belongs to the exact energies; the reference systems start from 0
        pair.constant = exact.constant if self.field_treatment == "exact" else 0.0
        return pair

    def _treat(self, fields: Array) -> Array:
        if self.field_treatment == "exact":
            return fields
        return np.zeros_like(fields) if self.field_treatment == "zero" else fields - fields.mean()

    def with_fields(self, fields: str) -> NetworkDual:
        """Return the same dual with another treatment of the fields."""
        return NetworkDual(self.weights, self.bias, self.kind, fields, self.norm)

    def as_bipartite(self) -> Bipartite:
        """Return the two-layer system of +-1 spins behind "bipartite" and "marginal"."""
        if self.kind == "collapsed":
            raise InputError("kind='collapsed' has one layer; use kind='bipartite'")
        return self._pair

    @property
    def couplings(self) -> Couplings:
        """Couplings J; for "marginal" those of the expansion to second order at beta = 1."""
        if self.kind == "collapsed":
            return self._ising.couplings
        if self.kind == "bipartite":
            return self._pair.couplings
        return self.quadratic_couplings(1.0)

    def quadratic_couplings(self, beta: float) -> Array:
        """Return beta B B^T off the diagonal: the marginal system to second order, K = 0."""
        if self.kind != "marginal":
            raise InputError(f"quadratic_couplings needs kind='marginal', got {self.kind!r}")
        B = self._pair.weights
        matrix = positive_float("beta", beta) * (B @ B.T)
        np.fill_diagonal(matrix, 0.0)
        return matrix

    @property
    def fields(self) -> Array:
        """Fields of the n_spins spins."""
        if self.kind == "collapsed":
            return self._ising.fields
        return self._pair.bias_a if self.kind == "marginal" else self._pair.fields

    def energy(self, spins: ArrayLike, beta: float = 1.0) -> Array:
        """Return the total energy; `beta` matters for "marginal" only."""
        if self.kind == "collapsed":
            return self._ising.energy(spins)
        if self.kind == "bipartite":
            return self._pair.energy(spins)
        beta = positive_float("beta", beta)
        a = self._configurations(spins)
        x = beta * (self._pair.bias_b + a @ self._pair.weights)
        log_two_cosh = np.logaddexp(x, -x)
        own = self.constant - a @ self._pair.bias_a
        return np.asarray(own - log_two_cosh.sum(axis=-1) / beta)

    def local_fields(self, spins: ArrayLike, beta: float = 1.0) -> Array:
        """Return half the energy difference between s_i = -1 and s_i = +1."""
        if self.kind == "collapsed":
            return self._ising.local_fields(spins)
        if self.kind == "bipartite":
            return self._pair.local_fields(spins)
        beta = positive_float("beta", beta)
        a = self._configurations(spins)
        B = self._pair.weights
        rest = (self._pair.bias_b + a @ B)[..., None, :] - a[..., :, None] * B
        up, down = beta * (rest + B), beta * (rest - B)
        gain = (np.logaddexp(up, -up) - np.logaddexp(down, -down)).sum(axis=-1)
        return np.asarray(self._pair.bias_a + gain / (2 * beta))

    def to_ising(self) -> Ising:
        """Return the pairwise system; "marginal" is not pairwise and is refused."""
        if self.kind == "marginal":
            raise InputError(
                "kind='marginal' has interactions of every order; use kind='bipartite', or "
                "Ising(dual.quadratic_couplings(beta)) for its second order"
            )
        return self._ising if self.kind == "collapsed" else self._pair.to_ising()

    def replicated(self, copies: int) -> NetworkDual:
        """Return the dual with each unit copied `copies` times and the weights divided by it.

        The mean-field equations are unchanged, while the fluctuations about them shrink as
        1/`copies`: the family on which finite-size scaling reaches the saddle point.
        """
        if self.kind == "collapsed":
            raise InputError("replicated needs kind='bipartite' or 'marginal', got 'collapsed'")
        copies = integer("copies", copies, minimum=1)
        return NetworkDual(
            np.kron(self.weights, np.full((copies, copies), 1 / copies)),
            self.bias.repeat(copies),
            self.kind,
            self.field_treatment,
            self.norm,
        )

    def to_dict(self) -> dict[str, object]:
        """Return shape, form, fields and norm."""
        return super().to_dict() | {
            "n_in": self.n_in,
            "n_out": self.n_out,
            "kind": self.kind,
            "fields": self.field_treatment,
            "norm": self.norm,
        }
