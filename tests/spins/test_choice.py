"""What the engine chooses when it is not told, and what it refuses."""

import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp

import spinnet as sn
from spinnet.errors import InputError
from spinnet.spins.montecarlo.chains import KERNELS
from spinnet.spins.montecarlo.choice import choose


def lattice(side, coupling=1.0):
    return sn.Ising.from_graph(nx.grid_2d_graph(side, side, periodic=True), coupling)


def signs(side):
    model = lattice(side)
    upper = sp.triu(model.couplings, format="coo")
    values = np.random.default_rng(1).choice([-1.0, 1.0], upper.nnz)
    upper = sp.coo_array((values, upper.coords), shape=upper.shape)
    return sn.Ising(upper + upper.T)


def glass(n):
    noise = np.triu(np.random.default_rng(2).normal(size=(n, n)), 1) / np.sqrt(n)
    return sn.Ising(noise + noise.T)


@pytest.mark.parametrize(
    ("model", "beta", "update"),
    [
        (sn.CurieWeiss(500), 1.0, sn.Independent()),
        (sn.CurieWeiss(500, J=-1.0, h=0.3), 1.0, sn.Independent()),
        (sn.Bipartite(np.ones((3, 4)) / 3), 1.0, sn.BlockGibbs()),
        (sn.NetworkDual(np.ones((3, 4))), 1.0, sn.BlockGibbs()),
        (lattice(20), 0.44, sn.Metropolis()),
        (lattice(20), [0.1, 0.44], sn.HeatBath()),
        (lattice(100), 0.44, sn.Wolff()),
        (lattice(64), 0.44, sn.Wolff()),
        (lattice(20), 0.6, sn.Wolff()),
        (lattice(6), 0.6, sn.Metropolis()),
        (lattice(100), 0.2, sn.HeatBath()),
        (lattice(100, -1.0), 0.2, sn.HeatBath()),
        (lattice(100, -1.0), 0.44, sn.Wolff()),
        (signs(100), 0.8, sn.Metropolis()),
        (glass(60), 1 / 0.7, sn.Metropolis()),
        (glass(60), 0.2, sn.HeatBath()),
        (sn.Ising([[0.0]]), 1.0, sn.HeatBath()),
        (sn.Ising(sp.csr_array((9000, 9000)), h=2.0), 5.0, sn.Metropolis()),
    ],
)
def test_the_update_follows_model_size_and_temperature(model, beta, update):
    choice = choose(model, beta, 64, None)
    assert choice.update == update
    assert repr(update) in choice.reason
    assert choice.kernel in choice.reason
    assert not KERNELS[choice.kernel].refusal(model, update)


def test_few_random_fields_are_drawn_at_once():
    patterns = np.random.default_rng(3).choice([-1.0, 1.0], (5, 200))
    assert choose(sn.Hopfield(patterns), 1.0, 64, None).update == sn.AuxiliaryField()


@pytest.mark.parametrize("update", [sn.HeatBath(), sn.Metropolis(), sn.Wolff()])
def test_an_update_that_is_asked_for_is_obeyed(update):
    for model in (sn.CurieWeiss(20), lattice(6), sn.Ising(np.ones((5, 5)))):
        choice = choose(model, 1.0, 8, update)
        assert choice.update == update
        assert "as asked for" in choice.reason


def test_the_run_says_what_was_chosen_and_why():
    run = sn.sample(lattice(6), 0.2, n_sweeps=20, n_replicas=4, n_burn_in=0, rng=1)
    assert run.update == sn.HeatBath()
    assert "hot" in run.choice
    assert run.choice in run.summary()
    assert run.to_dict()["choice"] == run.choice


@pytest.mark.parametrize(
    ("model", "update", "message"),
    [
        (signs(6), sn.Wolff(), r"update=Wolff\(\) cannot sample Ising\(36 spins, sparse\): "),
        (glass(6), sn.SwendsenWang(), "cannot sample"),
        (lattice(4), sn.BlockGibbs(), "needs a two-layer system"),
        (lattice(4), sn.Independent(), r"update=Independent\(\) cannot sample"),
        (sn.Bipartite(-np.ones((2, 2))), sn.AuxiliaryField(), "cannot sample"),
    ],
)
def test_an_update_that_cannot_be_is_refused_with_the_reason(model, update, message):
    with pytest.raises(InputError, match=message) as caught:
        sn.sample(model, 1.0, n_sweeps=5, update=update)
    assert not str(caught.value).endswith(": ")


def test_many_replicas_of_one_size_of_coupling_are_bits_and_real_ones_masks():
    assert choose(signs(32), 0.8, 512, sn.Metropolis()).kernel == "bits"
    real = sp.random_array((2000, 2000), density=0.003, rng=np.random.default_rng(4))
    assert choose(sn.Ising(real + real.T), 0.8, 64, sn.Metropolis()).kernel == "masked"


@pytest.mark.parametrize(("side", "beta"), [(24, 0.6), (64, 0.4406868), (64, 0.6)])
def test_ferromagnets_mix_by_default(side, beta):
    run = sn.sample(lattice(side), [beta], n_sweeps=300, n_replicas=16, rng=1)
    assert run.estimate("abs_m").rhat[0] < 1.05
