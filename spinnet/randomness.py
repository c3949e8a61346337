"""Random streams: one `rng` argument everywhere, spawned per task, recorded in results.

`rng` may be None (fresh entropy), an int, a ``numpy.random.SeedSequence`` or a
``numpy.random.Generator``.  An int or a SeedSequence gives the same stream on every call; a
Generator is advanced (one child is spawned from it), so that two calls differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np

from spinnet.errors import InputError

RandomState: TypeAlias = "int | np.random.SeedSequence | np.random.Generator | None"


def seed_sequence(rng: RandomState) -> np.random.SeedSequence:
    """Return the root SeedSequence that `rng` stands for."""
    if rng is None:
        return np.random.SeedSequence()
    if isinstance(rng, np.random.SeedSequence):
        return np.random.SeedSequence(rng.entropy, spawn_key=rng.spawn_key, pool_size=rng.pool_size)
    if isinstance(rng, np.random.Generator):
        root = rng.bit_generator.seed_seq
        if not isinstance(root, np.random.SeedSequence):
            raise InputError("rng must be a Generator made from a SeedSequence, so that it spawns")
        return root.spawn(1)[0]
    if isinstance(rng, (int, np.integer)) and not isinstance(rng, bool) and rng >= 0:
        return np.random.SeedSequence(int(rng))
    raise InputError(
        f"rng must be None, an integer >= 0, a SeedSequence or a Generator, got {rng!r:.80}"
    )


def generator(rng: RandomState) -> np.random.Generator:
    """Return a fresh Generator on the stream that `rng` stands for."""
    return np.random.default_rng(seed_sequence(rng))


def seed_record(seed: np.random.SeedSequence) -> Mapping[str, object]:
    """Return what a result stores so that its stream can be made again."""
    return {"entropy": str(seed.entropy), "spawn_key": [int(k) for k in seed.spawn_key]}
