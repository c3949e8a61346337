"""Sums over ranks by a few nodes: against sums over all ranks."""

from __future__ import annotations

import numpy as np
import pytest

from spinnet.tails.rank import laws, nodes
from spinnet.tails.rank.laws import fit_law

LAWS = ("zipf-mandelbrot", "stretched-exponential")


def _counts(n: int = 30_000, seed: int = 3) -> np.ndarray:
    p = (np.arange(1.0, n + 1) + 20) ** -0.9
    counts = np.random.default_rng(seed).multinomial(60 * n, p / p.sum())
    return np.sort(counts[counts >= 10])[::-1].astype(float)


@pytest.mark.parametrize("n", [2001, 2345, 30_000, 1_000_000])
def test_few_nodes_give_the_sums_over_all_ranks(n):
    r = np.arange(1.0, n + 1)
    counts = np.random.default_rng(n).poisson(1e5 * r**-0.8).astype(float)
    few = nodes.condensed(nodes.all_ranks(counts))
    assert few.place.size < min(n, 2100)
    for f in (np.log, np.sqrt, lambda x: 1 / x, lambda x: np.log1p(3e-4 * x), lambda x: x**3):
        assert few.counts @ f(few.place) == pytest.approx(counts @ f(r), rel=1e-13)
        assert np.exp(few.log_size) @ f(few.place) == pytest.approx(f(r).sum(), rel=1e-13)


def test_up_to_2000_ranks_each_is_its_own_node():
    every = nodes.all_ranks(np.arange(2000.0, 0.0, -1.0))
    assert nodes.condensed(every) is every


@pytest.mark.parametrize("model", LAWS)
@pytest.mark.parametrize("bad_nodes", [False, True])
def test_shape_is_that_of_all_ranks_even_where_the_nodes_are_too_few(model, bad_nodes, monkeypatch):
    counts = _counts()
    with monkeypatch.context() as patch:
        patch.setattr(laws, "condensed", lambda every: every)
        exact = fit_law(model, counts)
    if bad_nodes:
        monkeypatch.setattr(nodes, "_RATIO", 100.0)
        monkeypatch.setattr(nodes, "_DEGREE", 3)
        few = nodes.condensed(nodes.all_ranks(counts))
        rough = laws._best_shape(laws._SHAPES[model], few, counts.size)
        values = dict(zip(laws.PARAMETERS[model], exact.values, strict=True))
        shape = 1 / (1 + values["q"]) if "q" in values else values["beta"]
        assert abs(rough / shape - 1) > 1e-6  # they would have been wrong
    np.testing.assert_allclose(fit_law(model, counts).values, exact.values, rtol=1e-10)
