"""What every chain set offers: replicas of one model, each at its own temperature.

A chain set offers ``advance(n_sweeps, record)``, which returns the magnetisation and the total
energy after each sweep, ``spins``, in the model's levels, and ``state()``, from which
``restore()`` goes on bit for bit.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.spins.models import SpinModel
from spinnet.spins.montecarlo.updates import Update

Array = NDArray[np.float64]
Spins = NDArray[np.int8]
State: TypeAlias = dict[str, NDArray[Any]]


class ChainSet(ABC):
    """Replicas of one model, each with its own configuration, random stream and temperature.

    The future of a replica depends on its own configuration, stream and inverse temperature
    alone, so that the results are the same bits whatever the number of threads.

    Parameters
    ----------
    model : SpinModel
    beta : float or array_like, shape (n_replicas,)
        Inverse temperature of each replica.
    update : Update
        One that :meth:`refusal` accepts.
    n_replicas : int
    seed : SeedSequence

    Attributes
    ----------
    name : str
        Of the kernel, as runs in directories store it.
    updates : tuple of type
        The kinds of update that these chains run on some models.
    sweep_seconds : float
        The :meth:`cost` of these replicas.
    workers : int
        Threads that `advance` may use.
    """

    name: ClassVar[str]
    updates: ClassVar[tuple[type[Update], ...]]
    sweep_seconds: float

    def __init__(
        self,
        model: SpinModel,
        beta: ArrayLike,
        update: Update,
        n_replicas: int,
        seed: np.random.SeedSequence,
    ) -> None:
        self.model, self.update, self.n_replicas = model, update, n_replicas
        self.workers = 1
        self.sweep_seconds = self.cost(model, update, n_replicas)
        self._betas: Array = np.broadcast_to(np.asarray(beta, dtype=np.float64), n_replicas).copy()

    @classmethod
    @abstractmethod
    def refusal(cls, model: SpinModel, update: Update) -> str:
        """Return why these chains cannot run `update` on `model`, or "" if they can."""

    @classmethod
    @abstractmethod
    def cost(cls, model: SpinModel, update: Update, n_replicas: int) -> float:
        """Return about how many seconds one sweep of all replicas takes on one core.

        An estimate from sizes alone, the same on every machine: the choice of a kernel rests on
        it, and so does the length of the blocks of a run that survives.
        """

    @property
    def betas(self) -> Array:
        """The inverse temperature of each replica, shape (n_replicas,); assign to change them."""
        return self._betas

    @betas.setter
    def betas(self, values: ArrayLike) -> None:
        self._betas = np.array(values, dtype=np.float64)

    @abstractmethod
    def advance(self, n_sweeps: int, record: bool = True) -> tuple[Array, Array]:
        """Sweep, and return (m, energy), each (n_replicas, n_sweeps); empty if not recorded.

        `energy` is the total energy with the model's constant.
        """

    @property
    @abstractmethod
    def spins(self) -> Spins:
        """The configurations, shape (n_replicas, n_spins), in the levels of the model."""

    def packed_spins(self) -> NDArray[np.uint8]:
        """Return the configurations as bits, 1 for the upper level, the first spin lowest.

        Shape (n_replicas, ceil(n_spins / 8)); what stored configurations are.
        """
        return np.packbits(self.spins == self.model.levels[1], axis=1, bitorder="little")

    @abstractmethod
    def place(self, spins: Spins) -> None:
        """Put the replicas into given configurations, shape (n_replicas, n_spins)."""

    @abstractmethod
    def select(self, rows: NDArray[np.intp]) -> None:
        """Give replica r the configuration of replica rows[r]; temperatures and streams stay."""

    @abstractmethod
    def state(self) -> State:
        """Return all that the future depends on but the temperatures, as arrays by name."""

    @abstractmethod
    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go back to a state of chains that were made with the same arguments."""


def in_threads(function: Callable[[slice], None], n_parts: int, workers: int) -> None:
    """Call `function` on slices that cover range(n_parts), in at most `workers` threads.

    `function` must release the interpreter's lock, and must not depend on how the parts are cut.
    """
    cuts = np.linspace(0, n_parts, min(workers, n_parts) + 1).astype(int)
    slices = [slice(int(a), int(b)) for a, b in pairwise(cuts)]
    if len(slices) == 1:
        function(slices[0])
        return
    with ThreadPoolExecutor(len(slices)) as pool:
        for done in [pool.submit(function, part) for part in slices]:
            done.result()


def single_precision_unit(values: Array) -> float:
    """Return a power of two above the row sums of |values|: in it, no float32 sum overflows."""
    largest = float(np.abs(values).sum(axis=-1).max())
    return 2.0 ** math.frexp(largest)[1] if largest > 0 else 1.0


def packed(spins: NDArray[Any]) -> NDArray[np.uint8]:
    """Return configurations, bit by bit."""
    return np.packbits(spins > 0, axis=1)


def unpacked(bits: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return 1 where :func:`packed` saw a positive number, else 0."""
    return np.unpackbits(np.asarray(bits, dtype=np.uint8), axis=1, count=shape[1])
