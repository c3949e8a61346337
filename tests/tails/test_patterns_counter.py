"""PatternCounter against a dictionary, in any batching; its limits, its sketch and its file."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from spinnet.errors import CheckpointError, InputError, StatisticsError
from spinnet.tails import patterns
from spinnet.tails.information import resolution_relevance, specific_heat
from spinnet.tails.patterns import PatternCounter, count_patterns, rows, table
from spinnet.tails.patterns import counter as counter_module

BACKENDS = ("numba", "numpy")
boolean_matrices = st.tuples(st.integers(0, 60), st.integers(1, 150)).flatmap(
    lambda shape: arrays(bool, shape, elements=st.booleans())
)


def expected_counts(bits):
    return sorted(Counter(map(bytes, bits)).values(), reverse=True)


def some_patterns(n_rows, n_bits, n_distinct, seed):
    rng = np.random.default_rng(seed)
    pool = rng.random((n_distinct, n_bits)) < 0.5
    return pool[np.minimum(rng.zipf(1.4, n_rows) - 1, n_distinct - 1)]


def parts(array, cuts):
    return np.split(array, sorted(cut % (len(array) + 1) for cut in cuts))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("exact", [False, True])
@given(bits=boolean_matrices, cuts=st.lists(st.integers(0, 60), max_size=4))
@settings(max_examples=60, deadline=None)
def test_counts_are_those_of_a_dictionary_however_rows_are_cut(backend, exact, bits, cuts):
    counter = PatternCounter(bits.shape[1], exact=exact, backend=backend)
    for k, part in enumerate(parts(bits, cuts)):
        counter.update(part if k % 2 else np.packbits(part, axis=1))
    assert counter.counts().tolist() == expected_counts(bits)
    assert counter.n_total == len(bits)
    assert counter.n_distinct == len(set(map(bytes, bits)))


@given(
    bits=boolean_matrices,
    cuts=st.lists(st.integers(0, 60), min_size=1, max_size=4),
    order=st.randoms(use_true_random=False),
    exact=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_merging_does_not_depend_on_order(bits, cuts, order, exact):
    pieces = parts(bits, cuts)
    order.shuffle(pieces)
    merged = PatternCounter(bits.shape[1], exact=exact)
    for k, part in enumerate(pieces):
        one = PatternCounter(bits.shape[1], exact=exact, backend=BACKENDS[k % 2])
        one.update(part)
        merged.merge(one)
    whole = PatternCounter(bits.shape[1], exact=exact)
    whole.update(bits)
    assert merged.n_total == whole.n_total == len(bits)
    assert merged.counts().tolist() == whole.counts().tolist() == expected_counts(bits)
    if exact:
        for mine, its in zip(merged.most_common(), whole.most_common(), strict=True):
            np.testing.assert_array_equal(mine, its)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("n_bits", [1, 7, 8, 64, 65, 500, 100_000])
def test_rows_of_any_length(backend, n_bits):
    bits = some_patterns(300 if n_bits > 1000 else 20_000, n_bits, 40, n_bits)
    bits[1] = bits[0]
    bits[1, -1] ^= True  # differs from the first in the last bit only
    for exact in (False, True):
        counter = PatternCounter(n_bits, exact=exact, backend=backend)
        counter.update(bits)
        assert counter.counts().tolist() == expected_counts(bits)
    assert count_patterns(bits).tolist() == expected_counts(bits)
    packed = np.packbits(bits, axis=1)
    assert count_patterns(packed, n_bits=n_bits).tolist() == expected_counts(bits)
    strided = np.repeat(packed, 2, axis=1)[:, ::2]
    assert count_patterns(strided, exact=True).tolist() == expected_counts(bits)


@pytest.mark.parametrize("backend", BACKENDS)
def test_tables_grow_through_many_distinct_patterns(backend):
    numbers = np.arange(200_000, dtype=">u8")
    packed = numbers.view(np.uint8).reshape(-1, 8)
    counter = PatternCounter(64, backend=backend)
    counter.update(packed)
    counter.update(packed[:1000])
    assert counter.n_distinct == 200_000
    assert np.bincount(counter.counts()).tolist() == [0, 199_000, 1000]
    assert counter.coverage == 1.0 - 199_000 / 201_000


@pytest.mark.parametrize("backend", BACKENDS)
def test_most_common_shows_the_patterns(backend):
    bits = some_patterns(500, 77, 30, 1)
    counter = PatternCounter(77, exact=True, backend=backend)
    counter.update(bits)
    found, counts = counter.most_common()
    as_dictionary = {
        bytes(np.unpackbits(row, count=77)): int(count)
        for row, count in zip(found, counts, strict=True)
    }
    assert as_dictionary == dict(Counter(map(bytes, bits)))
    assert (np.diff(counts) <= 0).all()
    ties = [bytes(row) for row, count in zip(found, counts, strict=True) if count == counts[-1]]
    assert ties == sorted(ties)
    three, top = counter.most_common(3)
    np.testing.assert_array_equal(three, found[:3])
    assert top.tolist() == counts[:3].tolist()
    shallow = PatternCounter(77, backend=backend)
    shallow.update(bits)
    assert shallow.most_common(2)[0] is None
    assert shallow.most_common(2)[1].tolist() == counts[:2].tolist()


@pytest.mark.parametrize("backend", BACKENDS)
def test_exact_counting_survives_colliding_fingerprints(backend, monkeypatch):
    bits = some_patterns(3000, 90, 200, 2)

    def poor(self, words):  # four fingerprints for everything
        marks = np.stack([words[:, 0] % np.uint64(4), np.zeros(len(words), np.uint64)], axis=1)
        return np.hstack([marks, words]) if self.exact else marks

    monkeypatch.setattr(PatternCounter, "_keys", poor)
    exact = PatternCounter(90, exact=True, backend=backend)
    exact.update(bits)
    assert exact.counts().tolist() == expected_counts(bits)
    shallow = PatternCounter(90, backend=backend)
    shallow.update(bits)
    assert shallow.n_distinct <= 4  # the replacement is in force


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_batch_beyond_max_distinct_changes_nothing(backend, monkeypatch):
    monkeypatch.setattr(rows, "rows_per_chunk", lambda n_bits: 16)
    bits = some_patterns(400, 100, 60, 3)
    counter = PatternCounter(100, max_distinct=30, exact=True, backend=backend)
    first = bits[:40]
    counter.update(first)
    before = counter.most_common()
    with pytest.raises(StatisticsError, match="max_distinct=30") as caught:
        counter.update(bits)
    assert caught.value.estimate == {"n_total": 40, "n_distinct": len(before[1])}
    np.testing.assert_array_equal(counter.most_common()[0], before[0])
    np.testing.assert_array_equal(counter.most_common()[1], before[1])
    big = PatternCounter(100, exact=True, backend=backend)
    big.update(bits)
    with pytest.raises(StatisticsError, match="max_distinct=30"):
        counter.merge(big)
    counter.update(first)  # it goes on counting
    assert counter.counts().tolist() == (2 * before[1]).tolist()
    assert counter.n_total == 80


@pytest.mark.parametrize("backend", BACKENDS)
def test_max_distinct_itself_is_allowed(backend):
    bits = np.eye(12, dtype=bool)
    counter = PatternCounter(12, max_distinct=12, backend=backend)
    counter.update(np.vstack([bits, bits]))
    assert counter.counts().tolist() == [2] * 12
    with pytest.raises(StatisticsError):
        counter.update(np.zeros((1, 12), bool))


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_interrupted_batch_is_undone(backend, monkeypatch):
    monkeypatch.setattr(rows, "rows_per_chunk", lambda n_bits: 16)
    bits = some_patterns(200, 80, 50, 4)
    counter = PatternCounter(80, backend=backend)
    counter.update(bits[:50])
    kind = table.CompiledTable if backend == "numba" else table.SortedTable
    plain, calls = kind.add, []

    def interrupted(self, keys, weights):
        calls.append(len(keys))
        plain(self, keys, weights)
        if len(calls) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(kind, "add", interrupted)
    with pytest.raises(KeyboardInterrupt):
        counter.update(bits)
    monkeypatch.setattr(kind, "add", plain)
    assert counter.n_total == 50
    counter.update(bits[50:])
    assert counter.counts().tolist() == expected_counts(bits)


@pytest.mark.parametrize("backend", BACKENDS)
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_the_sketch_keeps_its_bound_for_every_pattern(backend, data):
    numbers = data.draw(st.lists(st.integers(0, 40), min_size=1, max_size=300))
    limit = data.draw(st.integers(1, 12))
    packed = np.array(numbers, np.uint8)[:, None]
    counter = PatternCounter(8, exact=True, max_distinct=limit, sketch="misra-gries")
    for part in parts(packed, data.draw(st.lists(st.integers(0, 300), max_size=6))):
        one = PatternCounter(
            8, exact=True, max_distinct=limit, sketch="misra-gries", backend=backend
        )
        one.update(part)
        counter.merge(one)
    truth = Counter(numbers)
    found, counts = counter.most_common()
    held = {int(row[0]): int(count) for row, count in zip(found, counts, strict=True)}
    assert len(held) <= limit
    for number, count in truth.items():
        assert held.get(number, 0) <= count <= held.get(number, 0) + counter.count_error
    assert set(held) <= set(truth)
    assert counter.n_total == len(numbers)
    assert counter.count_error * (limit + 1) <= counter.n_total - counts.sum()
    assert counter.truncated == (counter.count_error > 0)
    if len(truth) <= limit:
        assert not counter.truncated


def test_the_sketch_marks_what_is_unknown(tmp_path):
    bits = some_patterns(5000, 60, 900, 5)
    counter = PatternCounter(60, max_distinct=50, sketch="misra-gries")
    counter.update(bits)
    assert counter.truncated
    assert counter.n_distinct <= 50
    truth = np.array(expected_counts(bits))[: counter.n_distinct]
    assert (counter.counts() <= truth).all()
    assert (truth <= counter.counts() + counter.count_error).all()
    with pytest.raises(StatisticsError, match="seen once is unknown"):
        _ = counter.coverage
    assert f"at most {counter.count_error}" in counter.summary()
    assert counter.to_dict()["coverage"] is None
    again = PatternCounter.load(counter.save(tmp_path / "sketch.npz"))
    assert again.to_dict() == counter.to_dict()
    assert again.counts().tolist() == counter.counts().tolist()
    with pytest.raises(InputError, match="lower bounds"):
        PatternCounter(60).merge(counter)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_saved_counter_goes_on_where_it_was(exact, backend, tmp_path):
    bits = some_patterns(900, 70, 90, 6)
    counter = PatternCounter(70, exact=exact, max_distinct=100, backend=backend)
    counter.update(bits[:500])
    path = counter.save(tmp_path / "counter.npz")
    for reader in BACKENDS:
        again = PatternCounter.load(path, backend=reader)
        assert again.to_dict() == counter.to_dict()
        again.update(bits[500:])
        assert again.counts().tolist() == expected_counts(bits)
        assert again.max_distinct == 100


def test_only_a_whole_file_of_its_own_is_read(tmp_path):
    counter = PatternCounter(70)
    counter.update(some_patterns(900, 70, 90, 7))
    path = counter.save(tmp_path / "counter.npz")
    stored = dict(np.load(path))
    cases = {"missing.npz": "does not exist"}

    def case(name, message, **members):
        np.savez(tmp_path / name, **members)
        cases[name] = message

    case("foreign.npz", "not a saved PatternCounter", weights=np.ones(3))
    case("damaged.npz", "damaged", **{**stored, "counts": stored["counts"] + 1})
    record = json.loads(stored["header"].tobytes())
    newer = np.frombuffer(json.dumps({**record, "schema": 99}).encode(), np.uint8)
    case("newer.npz", "schema 99", **{**stored, "header": newer})
    reseeded = np.frombuffer(json.dumps({**record, "seeds": [1, 2]}).encode(), np.uint8)
    case("reseeded.npz", "this version reads", **{**stored, "header": reseeded})
    np.save(tmp_path / "array.npy", np.ones(3))
    (tmp_path / "text.npz").write_text("hello")
    (tmp_path / "empty.npz").write_bytes(b"")
    (tmp_path / "cut.npz").write_bytes(path.read_bytes()[:-40])
    cases |= dict.fromkeys(("array.npy", "text.npz", "empty.npz", "cut.npz"), "PatternCounter|dam")
    for name, message in cases.items():
        with pytest.raises(CheckpointError, match=message) as caught:
            PatternCounter.load(tmp_path / name)
        assert name in str(caught.value)


def test_no_rows_and_merging_with_itself():
    counter = PatternCounter(9)
    counter.update(np.zeros((0, 9), bool))
    counter.update(np.zeros((0, 2), np.uint8))
    assert counter.counts().tolist() == []
    assert counter.summary() == "0 rows of 9 bits, 0 distinct patterns"
    with pytest.raises(StatisticsError, match="no row"):
        _ = counter.coverage
    counter.update(np.eye(9, dtype=bool))
    counter.merge(counter)
    assert counter.counts().tolist() == [2] * 9
    assert count_patterns(np.zeros((0, 3), bool)).size == 0


def bad_padding():
    packed = np.zeros((4, 2), np.uint8)
    packed[2:, 1] = 1
    return packed


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: PatternCounter(0), "n_bits"),
        (lambda: PatternCounter(2.5), "n_bits"),
        (lambda: PatternCounter(5, exact=1), "exact"),
        (lambda: PatternCounter(5, max_distinct=0), "max_distinct"),
        (lambda: PatternCounter(5, max_distinct=4, sketch="misra"), "did you mean"),
        (lambda: PatternCounter(5, sketch="misra-gries"), "needs max_distinct"),
        (lambda: PatternCounter(5, backend="cuda"), "backend"),
        (lambda: PatternCounter(9).update(np.zeros(9, bool)), r"shape \(9,\)"),
        (lambda: PatternCounter(9).update(np.zeros((3, 8), bool)), r"\(n, 9\)"),
        (lambda: PatternCounter(9).update(np.zeros((3, 3), np.uint8)), r"\(n, 2\)"),
        (lambda: PatternCounter(9).update(np.zeros((3, 9), np.uint8)), "astype"),
        (lambda: PatternCounter(9).update(np.full((3, 9), np.nan)), "float64"),
        (lambda: PatternCounter(9).update(bad_padding()), r"2 row\(s\).* first at index 2: byte 1"),
        (lambda: PatternCounter(9).merge([1]), "must be a PatternCounter"),
        (lambda: PatternCounter(9).merge(PatternCounter(8)), "n_bits=9"),
        (lambda: PatternCounter(9).merge(PatternCounter(9, exact=True)), "exact=False"),
        (lambda: PatternCounter(9).most_common(-1), "k must be"),
        (lambda: count_patterns(np.zeros((3, 2))), "float64"),
        (lambda: count_patterns(np.zeros((3, 2), np.uint8), n_bits=20), r"\(n, 3\)"),
        (lambda: count_patterns([[True], [True, False]]), "equal length"),
        (lambda: count_patterns(np.ma.array([[True]], mask=[[True]])), "masked"),
        (lambda: patterns.pack_active(np.zeros(3)), "values"),
        (lambda: patterns.pack_active([["a"]]), "values"),
        (lambda: patterns.pack_active([[0.0, 1.0], [2.0, np.nan]]), r"index \(1, 1\)"),
        (lambda: patterns.pack_active([[0.0]], np.inf), "threshold"),
    ],
    ids=[str(k) for k in range(25)],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_too_much_memory_is_refused_before_it_is_taken(monkeypatch):
    monkeypatch.setattr("spinnet.memory.machine_memory", lambda: 50_000.0)
    counter = PatternCounter(64)
    counter.update(np.zeros((5, 8), np.uint8))
    many = np.arange(5000, dtype=np.uint64).view(np.uint8).reshape(-1, 8)
    with pytest.raises(InputError, match="GB"):
        counter.update(many)
    assert counter.counts().tolist() == [5]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int8, np.bool_])
@pytest.mark.parametrize("shape", [(0, 5), (7, 1), (3000, 500)])
def test_packing_is_that_of_numpy(dtype, shape):
    values = (np.random.default_rng(8).standard_normal(shape) * 3).astype(dtype)
    packed = patterns.pack_active(values, 0.5)
    np.testing.assert_array_equal(packed, np.packbits(values > 0.5, axis=1))


def test_the_choice_of_backend():
    assert counter_module._backend("auto") == "numba"
    assert counter_module._backend("numpy") == "numpy"


def test_no_more_patterns_than_slots_can_number(monkeypatch):
    monkeypatch.setattr("spinnet.tails.patterns.table._MOST_KEYS", 3000)
    counter = PatternCounter(16, backend="numba")
    counter.update(np.arange(1500, dtype=">u2")[:, None].view(np.uint8))
    with pytest.raises(InputError, match=r"more than 2\^32 distinct patterns"):
        counter.update(np.arange(1500, 3500, dtype=">u2")[:, None].view(np.uint8))
    assert (counter.n_total, counter.n_distinct) == (1500, 1500)


@pytest.mark.parametrize("rows", [np.zeros((3, 2)), np.zeros(3, bool), [[1, 0], [1]]])
def test_refusals_name_the_argument(rows):
    calls = {
        "batch": PatternCounter(2).update,
        "bits": count_patterns,
        "bits ": resolution_relevance,
        "data": lambda x: specific_heat(x, "pairwise"),
    }
    for name, call in calls.items():
        with pytest.raises(InputError, match=f"^{name.strip()} must "):
            call(rows)
