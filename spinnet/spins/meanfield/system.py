"""A model as the mean-field equations see it: couplings, fields, constant, and what to report."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from spinnet.errors import InputError
from spinnet.spins.meanfield.couplings import (
    BlockCoupling,
    Coupling,
    DenseCoupling,
    SparseCoupling,
    TopMode,
    UniformCoupling,
)
from spinnet.spins.models import Bipartite, CurieWeiss, Ising, NetworkDual, SpinModel
from spinnet.spins.models.base import Array

_ROUNDING = 50 * float(np.finfo(float).eps)  # of an eigenvalue, in units of the matrix
_SMALL = 400  # sparse models up to here are quicker as dense matrices


@dataclass(frozen=True, eq=False)
class System:
    """A pairwise system of +-1 spins.

    Attributes
    ----------
    coupling : Coupling
    fields : ndarray, shape (coupling.size,)
    constant : float
        Total energy that no spin changes.
    n_reported : int
        How many of the spins, counted from the first, a result reports; the free energy is
        divided by this number.
    levels : tuple of int
        The values of a unit in the model's own language.
    label : str
        The model, to print beside each number.
    """

    coupling: Coupling
    fields: Array
    constant: float
    n_reported: int
    levels: tuple[int, int]
    label: str

    @property
    def has_fields(self) -> bool:
        """Whether any field differs from 0."""
        return bool(np.any(self.fields != 0))

    def without_fields(self) -> System:
        """Return the same system with its fields dropped."""
        zero = np.zeros_like(self.fields)
        return System(self.coupling, zero, self.constant, self.n_reported, self.levels, self.label)


def system_of(model: SpinModel, *, diagonal: bool) -> System:
    """Return `model` as a system of +-1 spins, with or without its self-couplings.

    With `diagonal`, what the model moved from the diagonal to its constant moves back, so that
    the equations are those of the double sum as printed.
    """
    if isinstance(model, CurieWeiss):
        pair = model.J / model.n_spins
        coupling = UniformCoupling(model.n_spins, pair, 0.0 if diagonal else pair)
        constant = model.constant + (model.J / 2 if diagonal else 0.0)
        label = f"Curie-Weiss, N = {model.n_spins}"
        return System(coupling, np.array([model.h]), constant, model.n_spins, (-1, 1), label)
    if isinstance(model, Ising):
        return _ising(model, diagonal, f"Ising, N = {model.n_spins}")
    if isinstance(model, Bipartite):
        label = f"bipartite, {model.n_a} x {model.n_b}, levels {model.levels}"
        return _two_layers(model, model.n_spins, label)
    if isinstance(model, NetworkDual):
        if model.kind == "collapsed":
            return _ising(model.to_ising(), diagonal, model.label)
        return _two_layers(model.as_bipartite(), model.n_spins, model.label)
    if isinstance(model, SpinModel) and model.levels == (-1, 1):
        ising = Ising(model.couplings, model.fields, constant=model.constant)
        return _ising(ising, diagonal, f"{type(model).__name__}, N = {model.n_spins}")
    raise InputError(
        f"model must be a SpinModel of +-1 spins or a Bipartite, got {type(model).__name__}"
    )


def _ising(model: Ising, diagonal: bool, label: str) -> System:
    matrix = model.couplings
    constant = model.constant
    if diagonal:
        extra = sp.diags_array(model.self_couplings)
        matrix = sp.csr_array(matrix + extra) if sp.issparse(matrix) else matrix + extra.toarray()
        constant += float(model.self_couplings.sum()) / 2
    n = model.n_spins
    coupling: Coupling
    if isinstance(matrix, np.ndarray):
        coupling = DenseCoupling(np.asarray(matrix, dtype=np.float64))
    elif n <= _SMALL:
        coupling = DenseCoupling(matrix.toarray())
    else:
        coupling = SparseCoupling(matrix)
    return System(coupling, model.fields, constant, n, (-1, 1), label)


def _two_layers(model: Bipartite, n_reported: int, label: str) -> System:
    twin = model.to_spins()
    coupling = BlockCoupling(twin.scale * twin.weights)
    return System(coupling, twin.fields, twin.constant, n_reported, model.levels, label)


def positive_top(coupling: Coupling, model: SpinModel) -> TopMode:
    """Return the top mode; refuse an eigenvalue that is 0, or positive by rounding only."""
    top = coupling.top()
    unit = coupling.strongest() or 1.0
    size = np.sqrt(coupling.copies * coupling.row_squares(unit).sum())
    if top.value / unit > _ROUNDING * size:
        return top
    raise InputError(
        f"model must have couplings with a positive eigenvalue for a transition in mean field, "
        f"got lambda_max = {top.value:.6g} for {model!r}: its paramagnet is stable at every "
        "temperature"
    )
