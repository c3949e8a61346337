r"""The Hessian of the TAP free energy at a point: response, stability, determinant.

Everything is a task on S C S (see `functional`), done by `couplings` for dense, block and
uniform matrices, and by Krylov methods for large sparse ones, whose factors could fill up.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import scipy.linalg as la
import scipy.sparse as sp
import scipy.sparse.linalg as sla

from spinnet.errors import ConvergenceError
from spinnet.spins.meanfield.couplings import (
    BlockCoupling,
    Coupling,
    DenseCoupling,
    SparseCoupling,
    UniformCoupling,
)
from spinnet.spins.meanfield.response import Response, SaddleResponse
from spinnet.spins.meanfield.tap.functional import TapFunctional, TapPoint
from spinnet.spins.models.base import Array

_KRYLOV = 400  # a sparse matrix above this size is never factorised for one vector
_TOLERANCE = 1e-12
_ACCEPTED = 1e-9  # relative error of a Krylov solution that is still a solution
_ROUNDS = 4
FACTOR_LIMIT = 5000  # sparse factors may fill up to a dense triangle of this size


class TapResponse(Response):
    """chi = beta Hess^{-1} = S (1 - S C S)^{-1} S at one point of the TAP functional."""

    def __init__(self, functional: TapFunctional, point: TapPoint) -> None:
        self.n_spins = functional.coupling.n_spins
        self._functional, self._point = functional, point
        self._scale = functional.scales(point)

    @cached_property
    def _bent(self) -> Coupling:
        return self._functional.bent_coupling(self._point)

    def apply(self, change: Array) -> Array:
        """Return chi `change`; LinAlgError where it does not exist to nine digits."""
        bent, n = self._bent, self.n_spins
        if not isinstance(bent, SparseCoupling) or n <= _KRYLOV:
            return bent.respond(self._scale, change)
        rhs, scale = self._scale * change, sp.diags_array(self._scale)
        matrix = sp.csr_array(sp.eye_array(n) - scale @ bent.matrix @ scale)
        answer = np.zeros_like(rhs)
        rest = rhs
        for _ in range(_ROUNDS):
            answer = answer + sla.minres(matrix, rest, rtol=_TOLERANCE, maxiter=2000)[0]
            rest = rhs - matrix @ answer
            if np.linalg.norm(rest) <= _TOLERANCE * np.linalg.norm(rhs):
                break
        if np.linalg.norm(rest) > _ACCEPTED * np.linalg.norm(rhs):
            raise la.LinAlgError("the response is singular to rounding")
        return np.asarray(self._scale * answer)

    def matrix(self) -> Array:
        """Return chi in full."""
        bent = self._bent
        if isinstance(bent, SparseCoupling):
            bent = DenseCoupling(bent.matrix.toarray())
        return bent.response(self._scale)

    def square_sum(self, n: int) -> float:
        """Return the sum of chi_ij^2, in closed form or within the smaller layer if possible."""
        if isinstance(self._bent, BlockCoupling | UniformCoupling):
            return SaddleResponse(self._bent, self._scale).square_sum(n)
        return super().square_sum(n)

    def distance(self) -> float:
        """Return 1 - lambda_max(S C S): > 0 where the Hessian is positive definite."""
        return 1 - highest_of(self._bent, self._scale)

    def log_det(self) -> float:
        """Return ln det of D^{1/2} Hess D^{1/2}, finite also where D vanishes."""
        functional = self._functional
        stiffness = np.log(functional.stiffness(self._point)).sum()
        return float(self._bent.log_det(self._scale) + functional.coupling.copies * stiffness)


def highest_of(coupling: Coupling, s: Array) -> float:
    """Return the largest eigenvalue of S J S, in bounded memory for a large sparse matrix."""
    if not isinstance(coupling, SparseCoupling) or coupling.n_spins <= _KRYLOV:
        return coupling.top_of(s)
    scale = sp.diags_array(s)
    matrix = sp.csr_array(scale @ coupling.matrix @ scale)
    if not np.any(matrix.data):
        return 0.0
    start = np.random.default_rng(0).standard_normal(matrix.shape[0])
    for basis in (40, 160):
        try:
            values = sla.eigsh(
                matrix, k=1, which="LA", v0=start, ncv=basis, tol=1e-8, return_eigenvectors=False
            )
            return float(values[0])
        except sla.ArpackNoConvergence:
            continue
    raise ConvergenceError("Lanczos found no largest eigenvalue of the sparse Hessian")
