"""The verb `solve`: one call for a symbolic free energy or for a finite system."""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike

from spinnet.errors import InputError
from spinnet.spins.meanfield.method import MeanFieldMethod, checked_beta, checked_method
from spinnet.spins.meanfield.naive import NaiveMeanField
from spinnet.spins.models import SpinModel


def solve(
    target: Any,
    beta: ArrayLike,
    method: MeanFieldMethod | None = None,
    *,
    throw: bool = True,
    **params: Any,
) -> Any:
    """Solve the mean-field equations of a model, or of a symbolic free energy.

    Parameters
    ----------
    target : SpinModel or spinnet.theory FreeEnergy
        A finite system, or a free energy whose parameters are given by name in `params`.
    beta : float
        Inverse temperature, > 0.  A FreeEnergy also takes an array; for a model call once for
        each temperature.
    method : NaiveMeanField, TAP, AdaptiveTAP or Bethe, optional
        For a model: the approximation with its tolerances, NaiveMeanField() by default;
        `spinnet.diagnose` says which one suits the model.
    throw : bool
        Raise ConvergenceError (with the last point in its ``.solution``) if a model has no
        stable solution to the tolerance; otherwise that point is returned, labelled.
    **params
        For a FreeEnergy: its parameters, such as ``J=1.0, h=0.0``.  A model takes none.

    Returns
    -------
    Solution
        For a model: the solution of lowest free energy, the others in ``.all_branches``.
    Branches
        For a FreeEnergy: what `spinnet.spins.branches.solve_branches` returns.

    Notes
    -----
    Without fields and above T_c the magnetisations are exactly zero.  A marginal dual is
    solved through its two layers with the outputs following the inputs, F(m_a) = min over m_b
    of F(m_a, m_b), so that its outputs too are treated in mean field.

    Examples
    --------
    >>> import spinnet as sn
    >>> s = sn.solve(sn.CurieWeiss(100), beta=1.25, method=sn.NaiveMeanField(diagonal=True))
    >>> round(s.magnetization, 12)
    0.710411783488
    """
    if isinstance(target, SpinModel):
        if params:
            given = ", ".join(sorted(params))
            raise InputError(
                f"a {type(target).__name__} takes no parameters beside beta, got {given}; "
                "couplings and fields belong to the model"
            )
        theory = checked_method(method, NaiveMeanField)
        return theory.solve(target, checked_beta(beta), throw=throw)
    from spinnet.theory.algebra import FreeEnergy

    if not isinstance(target, FreeEnergy):
        raise InputError(
            f"target must be a SpinModel or a theory FreeEnergy, got {type(target).__name__}"
        )
    if method is not None:
        raise InputError("method is for a SpinModel; a FreeEnergy is solved on all its branches")
    from spinnet.spins.branches import solve_branches

    return solve_branches(target, beta=beta, **params)
