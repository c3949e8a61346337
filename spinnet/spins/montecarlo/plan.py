"""What a run is asked to do, as one object: in memory, and as the plain values of a job.json."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from spinnet.errors import CheckpointError, InputError
from spinnet.spins.models import (
    Bipartite,
    CurieWeiss,
    Hopfield,
    Ising,
    LowRank,
    NetworkDual,
    SpinModel,
)
from spinnet.spins.montecarlo.chains import KERNELS, make_chains
from spinnet.spins.montecarlo.chains.tempered import TemperedChains
from spinnet.spins.montecarlo.exchange import Tempering
from spinnet.spins.montecarlo.storage import STORED, n_bytes, n_stored
from spinnet.spins.montecarlo.trajectory import Observer, Trajectory
from spinnet.spins.montecarlo.updates import UPDATES, BlockGibbs, Update

Arrays = dict[str, NDArray[Any]]
CONVENTIONS = (
    "k_B = 1, beta = 1/T; E(s) = -1/2 sum_{i != j} J_ij s_i s_j - sum_i h_i s_i + constant, "
    "total, each pair once; m is per spin"
)


@dataclass(frozen=True, eq=False)
class Plan:
    """The checked arguments of :func:`spinnet.sample`.

    Attributes
    ----------
    model : SpinModel
    beta : ndarray
    update : Update
    n_sweeps, n_replicas : int
    n_burn_in : int or "auto"
    observers : mapping of str to callable or None
        None where a run was read from a directory, which knows the names alone.
    seed : SeedSequence
        The root; each temperature has the child of its index.
    kernel : str
        Which of :data:`spinnet.spins.montecarlo.chains.KERNELS` runs the update.
    choice : str
        Why that update and that kernel, for people.
    tempering : Tempering or None
        With it, all temperatures are one trajectory.
    measure_every : int
        Sweeps from one measurement to the next.
    store_every : int
        Measurements from one stored configuration to the next; 0 for none.
    workers : int
        Threads; the results do not depend on them, nor does the job.
    """

    model: SpinModel
    beta: NDArray[np.float64]
    update: Update
    n_sweeps: int
    n_replicas: int
    n_burn_in: int | str
    observers: Mapping[str, Observer | None]
    seed: np.random.SeedSequence
    kernel: str
    choice: str
    tempering: Tempering | None = None
    measure_every: int = 1
    store_every: int = 0
    workers: int = 1

    @property
    def n_trajectories(self) -> int:
        """How many parts go their own way: the temperatures, or one with tempering."""
        return 1 if self.tempering is not None else self.beta.size

    @property
    def n_rows(self) -> int:
        """The rows of the series of a trajectory: its replicas, at each of its temperatures."""
        return self.beta.size // self.n_trajectories * self.n_replicas

    @property
    def steps(self) -> str:
        """What `n_sweeps` counts, in a word."""
        return "sweeps" if self.measure_every == 1 else "measurements"

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the series."""
        return ("m", "energy", *self.observers)

    def trajectory(self, k: int, share: Callable[[], int] | None = None) -> Trajectory:
        """Return the fresh replicas of the k-th temperature, or of all with tempering.

        `share` says at any time how many threads they may use: by default all workers.
        """
        watch = {name: f for name, f in self.observers.items() if f is not None}
        if len(watch) != len(self.observers):
            missing = [name for name in self.observers if name not in watch]
            raise InputError(
                f"the run has the observers {', '.join(missing)}, which are functions and not in "
                "its directory: go on with spinnet.sample(..., observers=..., checkpoint=...)"
            )
        stream = np.random.SeedSequence(
            self.seed.entropy, spawn_key=(*self.seed.spawn_key, k), pool_size=self.seed.pool_size
        )
        refusal = KERNELS[self.kernel].refusal(self.model, self.update)
        if refusal:  # a kernel that an earlier version had for such models
            raise CheckpointError(
                f"the run was begun with kernel {self.kernel!r} and {self.update!r}, which this "
                f"version cannot go on with for {self.model!r}: {refusal}; use a new directory"
            )
        betas = self.beta.ravel() if self.tempering is not None else self.beta.ravel()[k : k + 1]
        given = (self.model, betas, self.update, self.n_replicas, stream)
        chains = (
            make_chains(*given, self.kernel)
            if self.tempering is None
            else TemperedChains(*given, self.tempering, self.kernel)
        )
        return Trajectory(
            chains,
            betas,
            self.n_burn_in,
            watch,
            measure_every=self.measure_every,
            store_every=self.store_every,
            share=share or (lambda: self.workers),
        )

    def without_observers(self) -> Plan:
        """Return the plan of chains that go the same way, unseen."""
        return dataclasses.replace(self, observers={})

    def empty_columns(self) -> dict[str, NDArray[Any]]:
        """Return unfilled series of one trajectory, each (n_rows, n_sweeps), and stored bits."""
        series = {name: np.empty((self.n_rows, self.n_sweeps)) for name in self.names}
        return {**series, **self.empty_bits(self.n_rows)}

    def empty_bits(self, *rows: int) -> dict[str, NDArray[np.uint8]]:
        """Return the unfilled array of stored configurations by its name; nothing if none are."""
        if not self.store_every:
            return {}
        shape = (*rows, n_stored(self.n_sweeps, self.store_every), n_bytes(self.model.n_spins))
        return {STORED: np.zeros(shape, np.uint8)}

    def job(self) -> dict[str, Any]:
        """Return all that the results depend on as plain values."""
        return {
            "model": self.model.to_dict() | {"checksum": _checksum(model_arrays(self.model))},
            "beta": self.beta.tolist(),
            "update": {"name": type(self.update).__name__} | dataclasses.asdict(self.update),
            "kernel": self.kernel,
            "n_replicas": self.n_replicas,
            "n_burn_in": self.n_burn_in,
            "observers": list(self.observers),
            "seed": seed_to_job(self.seed),
            "conventions": CONVENTIONS,
            "n_sweeps": self.n_sweeps,
            **({"tempering": dataclasses.asdict(self.tempering)} if self.tempering else {}),
            # not where they change nothing, so that directories without them are the same job
            **({"measure_every": self.measure_every} if self.measure_every != 1 else {}),
            **({"store_every": self.store_every} if self.store_every else {}),
        }

    @classmethod
    def from_job(cls, job: Mapping[str, Any], model: SpinModel) -> Plan:
        """Return the plan that :meth:`job` describes, with observers that cannot be called."""
        update = cls.update_of(job)
        # directories from before there was a choice of kernels do not name theirs
        old = "block" if isinstance(update, BlockGibbs) else "sequential"
        kernel = job.get("kernel", old)
        return cls(
            model=model,
            beta=np.array(job["beta"], dtype=np.float64),
            update=update,
            n_sweeps=job["n_sweeps"],
            n_replicas=job["n_replicas"],
            n_burn_in=job["n_burn_in"],
            observers=dict.fromkeys(job["observers"]),
            seed=seed_from_job(job["seed"]),
            kernel=kernel,
            choice=f"{update!r} with kernel {kernel!r}, as the run was begun",
            tempering=Tempering(**job["tempering"]) if "tempering" in job else None,
            measure_every=job.get("measure_every", 1),
            store_every=job.get("store_every", 0),
        )

    @staticmethod
    def update_of(job: Mapping[str, Any]) -> Update:
        """Return the update that a job names."""
        options = dict(job["update"])
        return _UPDATES[options.pop("name")](**options)


_UPDATES: dict[str, Callable[..., Update]] = {cls.__name__: cls for cls in UPDATES}


def seed_to_job(seed: np.random.SeedSequence) -> dict[str, Any]:
    """Return a root seed as plain values; whole numbers of any size are text."""
    entropy: Any = seed.entropy
    numbers = int(entropy) if np.ndim(entropy) == 0 else [int(word) for word in entropy]
    return {
        "entropy": json.dumps(numbers),
        "spawn_key": [int(key) for key in seed.spawn_key],
        "pool_size": int(seed.pool_size),
    }


def seed_from_job(record: Mapping[str, Any]) -> np.random.SeedSequence:
    """Return the root seed of :func:`seed_to_job`."""
    return np.random.SeedSequence(
        json.loads(record["entropy"]),
        spawn_key=tuple(record["spawn_key"]),
        pool_size=record["pool_size"],
    )


def model_arrays(model: SpinModel) -> Arrays:
    """Return a model as arrays, from which :func:`model_from_arrays` makes it again.

    Raises
    ------
    InputError
        For a model of another class than spinnet's own.
    """
    if type(model) not in _PARTS:
        raise InputError(
            f"a run in a directory needs a model of spinnet's own classes, got "
            f"{type(model).__name__}; pass model.to_ising()"
        )
    values = _PARTS[type(model)](model)
    return {"class": np.array(type(model).__name__)} | {k: np.asarray(v) for k, v in values.items()}


def model_from_arrays(arrays: Mapping[str, NDArray[Any]]) -> SpinModel:
    """Return the model of :func:`model_arrays`: the same numbers, bit for bit."""
    return _MAKERS[str(arrays["class"])](arrays)


def _ising_parts(model: Any) -> dict[str, Any]:
    own = {
        "fields": model.fields,
        "diagonal": model.self_couplings,
        "constant": model.constant,
    }
    J = model.couplings
    if not model.is_sparse:
        return own | {"couplings": J}
    return own | {
        "data": J.data,
        "indices": J.indices.astype(np.int64),
        "indptr": J.indptr.astype(np.int64),
    }


def _make_ising(a: Mapping[str, NDArray[Any]]) -> SpinModel:
    n = len(a["fields"])
    if "couplings" in a:
        model = Ising(a["couplings"], a["fields"])
    else:
        matrix = sp.csr_array((a["data"], a["indices"], a["indptr"]), shape=(n, n))
        model = Ising(matrix, a["fields"])
    model.self_couplings = a["diagonal"]
    model.constant = float(a["constant"])
    return model


def _make_bipartite(a: Mapping[str, NDArray[Any]]) -> SpinModel:
    low, high = (int(level) for level in a["levels"])
    scale = float(a["scale"])
    model = Bipartite(a["weights"], a["bias_a"], a["bias_b"], levels=(low, high), scale=scale)
    model.constant = float(a["constant"])
    return model


def _make_dual(a: Mapping[str, NDArray[Any]]) -> SpinModel:
    return NetworkDual(
        a["weights"], a["bias"], str(a["kind"]), str(a["field_treatment"]), float(a["norm"])
    )


def _attributes(*names: str) -> Callable[[Any], dict[str, Any]]:
    return lambda model: {name: getattr(model, name) for name in names}


_PARTS: dict[type, Callable[[Any], dict[str, Any]]] = {
    CurieWeiss: _attributes("n_spins", "J", "h"),
    Ising: _ising_parts,
    Bipartite: _attributes("weights", "bias_a", "bias_b", "levels", "scale", "constant"),
    NetworkDual: _attributes("weights", "bias", "kind", "field_treatment", "norm"),
    LowRank: _attributes("factors", "fields", "constant"),
    Hopfield: _attributes("patterns", "fields", "constant"),
}
_MAKERS: dict[str, Callable[[Mapping[str, NDArray[Any]]], SpinModel]] = {
    "CurieWeiss": lambda a: CurieWeiss(int(a["n_spins"]), float(a["J"]), float(a["h"])),
    "Ising": _make_ising,
    "Bipartite": _make_bipartite,
    "NetworkDual": _make_dual,
    "LowRank": lambda a: LowRank(a["factors"], a["fields"], float(a["constant"])),
    "Hopfield": lambda a: Hopfield(a["patterns"], a["fields"], float(a["constant"])),
}


def _checksum(arrays: Arrays) -> str:
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape};".encode())
        flat = np.ascontiguousarray(array).reshape(-1)
        for start in range(0, flat.size, 1 << 22):  # large matrices without a copy of the whole
            digest.update(flat[start : start + (1 << 22)].tobytes())
    return digest.hexdigest()[:32]
