"""One `rng` argument: the same seed gives the same stream, a Generator moves on."""

from __future__ import annotations

import numpy as np
import pytest

from spinnet.errors import InputError
from spinnet.randomness import generator, seed_record, seed_sequence


def draws(rng: object) -> list[int]:
    return generator(rng).integers(0, 2**63, 4).tolist()


@pytest.mark.parametrize("kind", [int, np.int64, np.random.SeedSequence])
def test_a_seed_gives_the_same_stream_at_each_call(kind):
    rng = kind(7)
    assert draws(rng) == draws(rng) == draws(7)


def test_a_seed_sequence_that_has_spawned_still_gives_the_same_stream():
    seed = np.random.SeedSequence(7, spawn_key=(3,))
    before = draws(seed)
    children = [c.generate_state(2).tolist() for c in seed_sequence(seed).spawn(2)]
    seed.spawn(5)
    assert draws(seed) == before
    assert [c.generate_state(2).tolist() for c in seed_sequence(seed).spawn(2)] == children


def test_a_generator_advances_and_its_sequence_of_streams_repeats():
    first, again = np.random.default_rng(7), np.random.default_rng(7)
    streams = [draws(first), draws(first)]
    assert streams[0] != streams[1]
    assert streams == [draws(again), draws(again)]


def test_none_is_fresh_entropy_and_no_global_state_is_touched():
    np.random.seed(1)  # noqa: NPY002 - the legacy global state must not matter
    first = draws(None)
    np.random.seed(1)  # noqa: NPY002
    assert first != draws(None)
    state = np.random.get_state()[1].tolist()  # noqa: NPY002
    draws(3)
    assert np.random.get_state()[1].tolist() == state  # noqa: NPY002


@pytest.mark.parametrize("rng", [-1, 1.5, True, "7", [1, 2], np.random.RandomState(1)])
def test_anything_else_is_refused(rng):
    with pytest.raises(InputError, match="rng must be None, an integer >= 0"):
        seed_sequence(rng)


def test_a_generator_that_cannot_spawn_is_refused():
    legacy = np.random.Generator(np.random.RandomState(1)._bit_generator)
    with pytest.raises(InputError, match="made from a SeedSequence"):
        seed_sequence(legacy)


@pytest.mark.parametrize("rng", [None, 7, 2**200, np.random.default_rng(3)])
def test_the_record_makes_the_stream_again(rng):
    seed = seed_sequence(rng)
    record = seed_record(seed)
    again = np.random.SeedSequence(int(record["entropy"]), spawn_key=record["spawn_key"])
    assert again.generate_state(8).tolist() == seed.generate_state(8).tolist()
