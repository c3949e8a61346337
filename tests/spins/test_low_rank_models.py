"""Couplings of low rank: energies, fields, storage, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import spinnet as sn
from spinnet.errors import InputError
from spinnet.spins.montecarlo.plan import model_arrays, model_from_arrays


def models():
    rng = np.random.default_rng(8)
    patterns = rng.choice([-1, 1], size=(2, 7))
    return [
        sn.LowRank(rng.normal(size=(7, 3)), rng.normal(size=7), constant=2.5),
        sn.LowRank(rng.normal(size=7)),
        sn.LowRank([[0.7]], 0.3),
        sn.LowRank(np.zeros((4, 1))),
        sn.Hopfield(patterns, 0.2, constant=-1.0),
    ]


@pytest.mark.parametrize("model", models(), ids=repr)
def test_energy_and_fields_are_those_of_the_explicit_couplings(model):
    n = model.n_spins
    states = np.where((np.arange(1 << n)[:, None] >> np.arange(n)) & 1, 1, -1)
    J = model.factors @ model.factors.T
    np.fill_diagonal(J, 0.0)
    np.testing.assert_allclose(model.couplings, J, atol=1e-14)
    np.testing.assert_allclose(model.self_couplings, np.sum(model.factors**2, axis=1))
    pairs = 0.5 * np.einsum("ri,ij,rj->r", states, J, states)
    energy = model.constant - pairs - states @ model.fields
    for same in (model, model.to_ising(), model_from_arrays(model_arrays(model))):
        np.testing.assert_allclose(same.energy(states), energy, atol=1e-12)
        np.testing.assert_allclose(same.energy(states[1]), energy[1], atol=1e-12)
        np.testing.assert_allclose(same.local_fields(states), model.fields + states @ J, atol=1e-12)
    again = model_from_arrays(model_arrays(model))
    assert type(again) is type(model)
    np.testing.assert_array_equal(again.factors, model.factors)
    assert again.constant == model.constant
    assert model.to_dict() == {
        "model": type(model).__name__, "n_spins": n, "rank": model.factors.shape[1]
    }  # fmt: skip


def test_hebb_couplings_and_overlaps():
    patterns = np.array([[1, 1, -1, -1], [1, -1, 1, -1]])
    net = sn.Hopfield(patterns)
    J = patterns.T @ patterns / 4
    np.fill_diagonal(J, 0)
    np.testing.assert_allclose(net.couplings, J, atol=1e-15)
    np.testing.assert_array_equal(net.overlaps(patterns), np.eye(2))
    assert repr(net) == "Hopfield(4 spins, rank 2)"


def test_a_large_system_has_energies_but_no_matrix():
    model = sn.Hopfield(np.ones((1, 100_000)))
    assert float(model.energy(np.ones(100_000))) == pytest.approx(-(100_000 - 1) / 2)
    for ask in (lambda: model.couplings, model.to_ising):
        with pytest.raises(InputError, match="n_spins must be <= 20000"):
            ask()


def test_bad_factors_and_patterns_are_refused():
    for bad in ([[np.nan]], np.empty((0, 2)), np.empty((3, 0)), np.ones((2, 2, 2))):
        with pytest.raises(InputError, match="factors"):
            sn.LowRank(bad)
    with pytest.raises(InputError, match=r"patterns must be -1 or \+1, got 0.5 at index \(0, 1\)"):
        sn.Hopfield([[1, 0.5]])
    with pytest.raises(InputError, match="h must be"):
        sn.LowRank(np.ones((3, 1)), np.ones(4))


def test_mean_field_takes_couplings_of_low_rank():
    patterns = np.array([[1] * 30 + [-1] * 30])
    # one pattern is a Curie-Weiss model in disguise: J/N per pair, without the diagonal
    beta = sn.critical_beta(sn.Hopfield(patterns))
    assert beta == pytest.approx(sn.critical_beta(sn.CurieWeiss(60)), rel=1e-9)
