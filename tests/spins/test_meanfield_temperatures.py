"""Critical temperatures with their labels, the symmetries of W, and numbers with fields."""

import json
import math

import numpy as np
import pytest

import spinnet as sn
from spinnet.spins.meanfield import critical_point
from spinnet.spins.meanfield.adaptive import AdaptiveTAP
from spinnet.spins.meanfield.bethe import Bethe
from spinnet.spins.meanfield.instability import instability
from spinnet.spins.meanfield.tap import TAP
from spinnet.spins.meanfield.temperatures import critical_temperatures

SEED = 20170208
KEEP = sn.NaiveMeanField(diagonal=True)


def wigner(n: int, seed: int = SEED) -> np.ndarray:
    upper = np.triu(np.random.default_rng(seed).standard_normal((n, n)), 1) / math.sqrt(n)
    return upper + upper.T


def test_one_homogeneous_network_has_five_temperatures_each_with_its_name():
    """w_ij = w, norm 2N, H = -(w/2N) A B - h B at h = -w/2: w, w/2, w/8, w/4 and 0.0852 w."""
    n, w = 20, 1.0
    h = -w / 2
    W = np.full((n, n), w)
    printed = critical_temperatures(sn.NetworkDual(W, kind="collapsed"), KEEP, theories=())
    same = critical_temperatures(sn.Bipartite(W, levels=(-1, 1), scale=1 / (2 * n)), theories=())
    network = critical_temperatures(sn.Bipartite(W, 0.0, h, scale=1 / (2 * n)), theories=())
    dual = critical_temperatures(sn.NetworkDual(W, h, norm=2 * n), theories=())
    # one layer a of {0, 1}, H = -(w/2N) A^2 - h A: a = (1 + s)/2 has J = w/4, field h/2 + w/4
    gas = critical_temperatures(sn.CurieWeiss(n, J=w / 4, h=h / 2 + w / 4), KEEP, theories=())
    numbers = {
        "talk": printed["lambda_max"],
        "same w": same["lambda_max"],
        "dropped": network["lambda_max"],
        "gas": gas["lambda_max"],
        "exact": network["with its fields"],
    }
    expected = {"talk": w, "same w": w / 2, "dropped": w / 8, "gas": w / 4, "exact": 0.0851848833}
    for name, value in expected.items():
        assert numbers[name].temperature == pytest.approx(value, abs=5e-11), name
        assert numbers[name].beta == pytest.approx(1 / value, rel=1e-9)
    assert numbers["talk"].temperature / numbers["exact"].temperature > 11.7
    assert "D1 collapsed, fields exact; bias = 0, norm = 40" in numbers["talk"].model
    assert "self-coupling kept" in numbers["talk"].meaning
    assert numbers["same w"].model == "bipartite, 20 x 20, levels (-1, 1); bias_a = 0, bias_b = 0"
    stated = "bipartite, 20 x 20, levels (0, 1); bias_a = 0, bias_b = -0.5"
    assert numbers["dropped"].model == f"{stated} (fields dropped)"
    assert numbers["exact"].model == f"{stated} (fields kept)"
    assert "bifurcation" in numbers["exact"].note
    assert dual["with its fields"].temperature == pytest.approx(0.0851848833, abs=5e-11)
    assert (
        dual["with its fields"].model
        == "D0 bipartite, fields exact; bias = -0.5 (fields kept), norm = 40"
    )
    assert all(row.label != "with its fields" for row in gas.rows)  # h/2 + w/4 = 0


def test_random_signs_have_the_corrected_temperature_beside_lambda_max():
    """SK, J = 1: naive 2, truth 1; at N = 300 each within 5 %, Bethe lower by O(1/N)."""
    table = critical_temperatures(sn.Ising(wigner(300)))
    labels = [row.label for row in table.rows]
    assert labels[:5] == [
        "lambda_max",
        "sigma_max",
        "spectral radius",
        "Onsager T_F",
        "Onsager T_SG",
    ]
    assert table["lambda_max"].temperature == pytest.approx(2, rel=0.05)
    assert "misplaces T_c" in table["lambda_max"].note
    for label in ("Onsager T_SG", TAP().label, f"{Bethe().label}, spin glass"):
        assert table[label].temperature == pytest.approx(1, rel=0.05), label
    assert table[AdaptiveTAP().label].temperature == pytest.approx(1, rel=0.1)
    assert math.isnan(table["Onsager T_F"].temperature)
    assert "not separated" in table["Onsager T_F"].note
    text = table.summary()
    assert text.index("lambda_max") < text.index("Onsager T_SG")
    assert "no thermodynamic temperature" in text


def test_tap_is_nearer_to_enumeration_than_naive_mean_field():
    """SK at N = 16 and T >= 1.3, five samples: free energies per spin."""
    for seed in range(5):
        model = sn.Ising(wigner(16, seed))
        for T in (1.3, 1.7, 3.0):
            exact = float(sn.exact.enumerate(model, 1 / T).free_energy)
            naive = sn.solve(model, 1 / T, throw=False)
            tap = sn.solve(model, 1 / T, TAP(), throw=False)
            assert abs(tap.free_energy - exact) < 0.5 * abs(naive.free_energy - exact), (seed, T)
            assert not naive.reliable or T == 3.0  # r2 = 0.11 in the mean


def test_the_three_edges_of_a_non_symmetric_matrix_are_three_rows():
    """iid entries of variance s^2 in units s sqrt N: 2, sqrt 2 and 1 (within 6 % at N = 300)."""
    n = 300
    W = np.random.default_rng(SEED).standard_normal((n, n))
    dual = sn.NetworkDual(W, kind="collapsed", norm=2 * math.sqrt(n))
    table = critical_temperatures(dual, theories=())
    for label, value in (("sigma_max", 2), ("lambda_max", math.sqrt(2)), ("spectral radius", 1)):
        assert table[label].temperature == pytest.approx(value, rel=0.06)


def test_a_theory_that_refuses_is_a_row_that_says_so():
    table = critical_temperatures(sn.Ising([[0, 1], [1, 0]]))
    refused = table[f"{Bethe().label}, ferromagnetic"]
    assert math.isnan(refused.temperature)
    assert math.isnan(refused.beta)
    assert "two loops" in refused.note
    assert "none" in table.summary()
    free = critical_temperatures(sn.Ising(np.zeros((3, 3)), 1.0), theories=())
    assert [row.label for row in free.rows] == ["lambda_max", "with its fields"]
    assert all("positive eigenvalue" in row.note for row in free.rows)


def test_rows_are_found_by_label_and_export_as_plain_numbers():
    table = critical_temperatures(sn.CurieWeiss(50, h=0.2), theories=(TAP(),))
    plain = json.loads(json.dumps(table.to_dict(), allow_nan=False))
    assert plain["rows"][0]["temperature"] == pytest.approx(0.98)
    assert plain["rows"][-1]["temperature"] is None  # a field: no T_c
    assert "h = 0.2 (fields kept)" in plain["rows"][-1]["model"]
    with pytest.raises(sn.InputError, match=r"label must be one of 'lambda_max', .* got 'T_c'"):
        table["T_c"]
    with pytest.raises(sn.InputError, match="method must be a NaiveMeanField"):
        critical_temperatures(sn.CurieWeiss(5), TAP())
    with pytest.raises(sn.InputError, match="method must be a mean-field theory"):
        critical_temperatures(sn.CurieWeiss(5), theories=("tap",))


def test_the_table_draws_one_mark_for_each_number():
    import matplotlib as mpl

    mpl.use("Agg")
    table = critical_temperatures(sn.CurieWeiss(50, h=0.2), theories=())
    ax = table.plot()
    known = [row.label for row in table.rows if math.isfinite(row.temperature)]
    assert sorted(t.get_text() for t in ax.get_yticklabels()) == sorted(known)
    assert ax.get_title().replace("\n", " ") == table["lambda_max"].model
    assert ax.get_title().endswith("(fields dropped)")
    mpl.pyplot.close(ax.figure)


@pytest.mark.parametrize("diagonal", [False, True])
def test_only_the_symmetric_part_of_collapsed_weights_counts(diagonal):
    """W -> W^T, and W plus antisymmetric: V, F, T_c, energies and responses are unchanged."""
    rng = np.random.default_rng(SEED)
    n, method = 12, sn.NaiveMeanField(diagonal=diagonal)
    W = rng.standard_normal((n, n)) + 1
    anti = rng.standard_normal((n, n))
    models = [sn.NetworkDual(V, 0.1, kind="collapsed") for V in (W, W.T, W + 5 * (anti - anti.T))]
    first = sn.solve(models[0], 1.5, method)
    states = rng.choice([-1, 1], (50, n))
    for other in models[1:]:
        s = sn.solve(other, 1.5, method)
        np.testing.assert_allclose(s.magnetizations, first.magnetizations, atol=1e-11)
        for name in ("free_energy", "log_det", "susceptibility", "susceptibility_spin_glass"):
            assert getattr(s, name) == pytest.approx(getattr(first, name), rel=1e-9)
        assert sn.critical_beta(other, method) == pytest.approx(
            sn.critical_beta(models[0], method), rel=1e-12
        )
        found = instability(other, method).nearest
        assert found == pytest.approx(instability(models[0], method).nearest, rel=1e-5)
        np.testing.assert_allclose(other.energy(states), models[0].energy(states), atol=1e-12)
    # sigma_max and the spectral radius do see the rest
    edges = [critical_point(model, method).sigma_max for model in models]
    assert edges[0] == pytest.approx(edges[1], rel=1e-12)
    assert edges[2] > 1.5 * edges[0]


def test_the_table_names_the_model_once_and_where_a_row_has_another():
    """A row that keeps the fields stands under its own words; lines are 100 columns at most."""
    rng = np.random.default_rng(SEED)
    table = critical_temperatures(sn.NetworkDual(rng.standard_normal((12, 8)), 0.3))
    text = table.summary()
    common = "D0 bipartite, fields exact; bias = 0.3 (fields dropped), norm = 1"
    assert text.startswith(f"critical temperatures of {common}\n")
    assert text.count("D0 bipartite") == 2
    assert "[D0 bipartite, fields exact; bias = 0.3 (fields kept), norm = 1]" in text
    # the table loses no word of the rows with a number, and gives the others' reason in short
    words = " ".join(text.split())
    for row in table.rows:
        if math.isnan(row.temperature):
            reason = row.note.removeprefix("none: ").split(":")[0].split(";")[0]
            reason = reason.split(", got ")[0]
            assert f"none: {reason}" in words
        else:
            assert " ".join(row.note.split()) in words
            assert row.meaning in words
    notes = [line for line in text.splitlines() if line.startswith("      ")]
    assert max(len(line) for line in notes) <= 100
    plain = critical_temperatures(sn.CurieWeiss(50), theories=())
    assert plain.summary().count("Curie-Weiss") == 1


def test_names_of_the_package():
    assert sn.meanfield.instability is instability
    assert isinstance(instability(sn.CurieWeiss(20, h=0.1)), sn.meanfield.Instability)


def test_the_table_marks_the_theory_to_trust_and_sets_edges_apart():
    for model, label in (
        (sn.CurieWeiss(50), "lambda_max"),
        (sn.Ising(wigner(100)), TAP().label),
        (sn.Ising([[0, 1], [1, 0]]), f"{Bethe().label}, spin glass"),
    ):
        table = critical_temperatures(model)
        marked = [row.label for row in table.rows if row.recommended]
        assert marked in ([label], []), label
        assert marked or not math.isfinite(table[label].temperature)
        assert table.summary().count("<- recommended") == len(marked)
        text = table.summary()
        apart = text.index("edges of the spectrum (no transition temperature)")
        assert text.index("lambda_max") < text.index("Onsager T_SG") < apart
        assert apart < text.index("sigma_max") < text.index("spectral radius  ")
    assert "none: " in text
