"""Which update and which kernel a run uses, and why."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from spinnet.errors import InputError
from spinnet.spins.models import Ising, NetworkDual, SpinModel
from spinnet.spins.montecarlo.chains import KERNELS, ChainSet
from spinnet.spins.montecarlo.chains.block import two_layers
from spinnet.spins.montecarlo.chains.independent_rank_one import too_cold
from spinnet.spins.montecarlo.updates import (
    UPDATES,
    AuxiliaryField,
    BlockGibbs,
    HeatBath,
    Independent,
    Metropolis,
    SwendsenWang,
    Update,
    Wolff,
)

# The branching of a random walk along the bonds, each weighed by tanh(beta |J|), is 1 at the
# transition of a tree, 1.09 at that of the cubic and 1.24 at that of the square lattice.  Above
# _ORDERED, single spins stay in domains that they cannot leave; about the transition, clusters
# win for more than _LARGE spins, since tau of single spins grows with the size.
_MAY_ORDER, _ORDERED = 0.9, 1.3
_LARGE, _SMALL = 1600, 100
# 2 beta (root mean square local field) below which most proposals of Metropolis are accepted: it
# then turns over all spins at once, and a heat bath forgets faster.
_HOT = 1.0


@dataclass(frozen=True)
class Choice:
    """An update with the kernel that runs it.

    Attributes
    ----------
    update : Update
    kernel : str
        A name in :data:`spinnet.spins.montecarlo.chains.KERNELS`.
    reason : str
        For people.
    """

    update: Update
    kernel: str
    reason: str


def choose(model: SpinModel, beta: ArrayLike, n_replicas: int, update: Update | None) -> Choice:
    """Return the update and kernel for a run.

    Parameters
    ----------
    model : SpinModel
    beta : array_like
        All inverse temperatures of the run.
    n_replicas : int
    update : Update or None
        None to choose; any other is obeyed, or refused with the reason.

    Raises
    ------
    InputError
        For an update that the model does not allow.
    """
    check_update(model, update)
    if update is not None:
        return _with_kernel(model, n_replicas, update, "as asked for")
    chosen, reason = _best(model, np.asarray(beta, dtype=np.float64))
    return _with_kernel(model, n_replicas, chosen, reason)


def check_update(model: SpinModel, update: Update | None) -> None:
    """Refuse an update that is none, or that the model does not allow, with the reason."""
    if not isinstance(model, SpinModel):
        raise InputError(f"model must be a spin model, got {type(model).__name__}")
    if update is None:
        return
    if not isinstance(update, UPDATES):
        names = [f"{cls.__name__}()" for cls in UPDATES]
        raise InputError(
            f"update must be {', '.join(names[:-1])} or {names[-1]}, "
            f"got {update!r:.60}; pass an instance"
        )
    marginal = isinstance(model, NetworkDual) and model.kind == "marginal"
    if marginal and not isinstance(update, BlockGibbs):
        raise InputError(
            "update must be BlockGibbs() for kind='marginal' (it samples both layers and keeps "
            f"the inputs), got {update!r}"
        )
    if not _able(model, update):
        raise InputError(f"update={update!r} cannot sample {model!r}: {_why_not(model, update)}")


def _able(model: SpinModel, update: Update) -> dict[str, type[ChainSet]]:
    return {name: cls for name, cls in KERNELS.items() if not cls.refusal(model, update)}


def _why_not(model: SpinModel, update: Update) -> str:
    """Return the reason of the kernel that is made for the update."""
    reasons = [
        cls.refusal(model, update) for cls in KERNELS.values() if type(update) in cls.updates
    ]
    return "; ".join(dict.fromkeys(reasons)) or "no kernel runs it"


def _with_kernel(model: SpinModel, n_replicas: int, update: Update, why: str) -> Choice:
    able = _able(model, update)
    name = min(able, key=lambda key: able[key].cost(model, update, n_replicas))
    return Choice(update, name, f"{update!r}, kernel {name!r}: {why}")


def _best(model: SpinModel, beta: Any) -> tuple[Update, str]:
    """Return the update that gives most independent samples a second, and why."""
    if two_layers(model) is not None:
        return BlockGibbs(), "two layers: each at once given the other"
    if _able(model, Independent()) and not too_cold(model, beta):
        return Independent(), "its distribution can be drawn from without a chain"
    # of a matrix of couplings the rank is not known without a decomposition
    if not isinstance(model, (Ising, NetworkDual)) and _able(model, AuxiliaryField()):
        return AuxiliaryField(), "low-rank couplings: all spins at once given a few Gaussian fields"
    branching = _branching(model, beta) if model.n_spins > _SMALL else 0.0
    if branching > (_MAY_ORDER if model.n_spins > _LARGE else _ORDERED):
        for cluster in (Wolff(), SwendsenWang()):
            if _able(model, cluster):
                return cluster, "nothing is frustrated, and it may order: clusters"
    if np.min(beta, initial=np.inf) * 2 * _typical_field(model) < _HOT:
        return HeatBath(), "hot: most proposals would be accepted, and a heat bath forgets faster"
    return (
        Metropolis(),
        "single spins; every 8th sweep is a heat bath, so that nothing is conserved",
    )


def _typical_field(model: SpinModel) -> float:
    """Return the root mean square local field of random spins."""
    ising = model.to_ising()
    J: Any = ising.couplings
    values = J.data if ising.is_sparse else J
    parts = np.array_split(values, max(1, values.size >> 22))  # large matrices are not copied
    pairs = sum(float(np.sum(np.square(part, dtype=np.float64))) for part in parts)
    square = pairs + float(np.sum(ising.fields**2))
    return math.sqrt(square / model.n_spins)


def _branching(model: SpinModel, beta: Any) -> float:
    """Return the branching of order along the bonds of a sparse system at the coldest beta."""
    ising = model.to_ising()
    J: Any = ising.couplings
    if not ising.is_sparse or J.nnz == 0:
        return 0.0
    degrees = np.diff(J.indptr)
    branches = float(np.mean(degrees * (degrees - 1.0)) / np.mean(degrees))
    return branches * float(np.mean(np.tanh(np.max(beta, initial=0.0) * np.abs(J.data))))
