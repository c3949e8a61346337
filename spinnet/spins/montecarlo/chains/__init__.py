"""The running state of all replicas, for each family of models and each kernel."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from spinnet.spins.models import SpinModel
from spinnet.spins.montecarlo.chains.auxiliary import AuxiliaryChains
from spinnet.spins.montecarlo.chains.base import ChainSet, State
from spinnet.spins.montecarlo.chains.bits import BitChains
from spinnet.spins.montecarlo.chains.block import BlockChains
from spinnet.spins.montecarlo.chains.clusters import SwendsenWangChains, WolffChains
from spinnet.spins.montecarlo.chains.coloured import ColouredChains
from spinnet.spins.montecarlo.chains.dense import DenseChains
from spinnet.spins.montecarlo.chains.independent import IndependentChains
from spinnet.spins.montecarlo.chains.independent_rank_one import RankOneChains
from spinnet.spins.montecarlo.chains.masked import MaskedChains
from spinnet.spins.montecarlo.chains.sequential import SequentialChains
from spinnet.spins.montecarlo.updates import Update

__all__ = ["KERNELS", "BlockChains", "ChainSet", "SequentialChains", "State", "make_chains"]

KERNELS: dict[str, type[ChainSet]] = {
    cls.name: cls
    for cls in (
        SequentialChains,
        BlockChains,
        WolffChains,
        SwendsenWangChains,
        MaskedChains,
        ColouredChains,
        BitChains,
        DenseChains,
        IndependentChains,
        RankOneChains,
        AuxiliaryChains,
    )
}


def make_chains(
    model: SpinModel,
    beta: ArrayLike,
    update: Update,
    n_replicas: int,
    seed: np.random.SeedSequence,
    kernel: str | None = None,
) -> ChainSet:
    """Return fresh replicas in independent random states.

    Parameters
    ----------
    beta : float or array_like, shape (n_replicas,)
    kernel : str, optional
        A name in `KERNELS`; by default that of :func:`spinnet.spins.montecarlo.choice.choose`.
    """
    if kernel is None:
        from spinnet.spins.montecarlo.choice import choose

        kernel = choose(model, beta, n_replicas, update).kernel
    return KERNELS[kernel](model, beta, update, n_replicas, seed)
