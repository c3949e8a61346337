"""Which update and which kernel a run uses, and why."""

from __future__ import annotations

from dataclasses import dataclass

from numpy.typing import ArrayLike

from spinnet.errors import InputError
from spinnet.spins.models import NetworkDual, SpinModel
from spinnet.spins.montecarlo.chains import KERNELS
from spinnet.spins.montecarlo.chains.block import two_layers
from spinnet.spins.montecarlo.updates import UPDATES, BlockGibbs, HeatBath, Update


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
    update = check_update(model, update)
    able = {name: k for name, k in KERNELS.items() if not k.refusal(model, update)}
    if not able:
        raise InputError(f"no kernel runs update={update!r} on {model!r}")
    name = min(able, key=lambda key: able[key].cost(model, update, n_replicas))
    return Choice(update, name, f"{type(update).__name__}, kernel {name}")


def check_update(model: SpinModel, update: Update | None) -> Update:
    """Return `update`, or the default of the model; refuse one that the model does not allow."""
    if not isinstance(model, SpinModel):
        raise InputError(f"model must be a spin model, got {type(model).__name__}")
    layered = two_layers(model) is not None
    if update is None:
        return BlockGibbs() if layered else HeatBath()
    if not isinstance(update, UPDATES):
        names = [f"{cls.__name__}()" for cls in UPDATES]
        raise InputError(
            f"update must be {', '.join(names[:-1])} or {names[-1]}, "
            f"got {update!r:.60}; pass an instance"
        )
    if isinstance(update, BlockGibbs) and not layered:
        raise InputError(
            f"update=BlockGibbs() needs a two-layer system, got {model!r}; use HeatBath()"
        )
    marginal = isinstance(model, NetworkDual) and model.kind == "marginal"
    if marginal and not isinstance(update, BlockGibbs):
        raise InputError(
            "update must be BlockGibbs() for kind='marginal' (it samples both layers and keeps "
            f"the inputs), got {update!r}"
        )
    return update
