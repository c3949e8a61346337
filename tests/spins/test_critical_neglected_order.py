"""Curie-Weiss data against mean field: the order left out is named where the errors resolve it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

import spinnet as sn
from spinnet.spins import critical
from spinnet.spins.critical.master_curve import MeanFieldCollapse

QUANTITIES = ("binder", "abs_m", "m2", "susceptibility", "susceptibility_abs", "specific_heat")
GRID = np.linspace(0.86, 1.14, 15)


def noisy(sizes: tuple[int, ...], name: str, relative: float, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    (values,) = [np.concatenate([getattr(sn.exact.curie_weiss(n, GRID), name) for n in sizes])]
    return {
        "n_spins": np.repeat(sizes, GRID.size),
        "beta": np.tile(GRID, len(sizes)),
        name: values * (1 + relative * rng.standard_normal(values.size)),
        f"{name}_error": relative * values,
    }


@pytest.mark.parametrize("name", QUANTITIES)
@pytest.mark.parametrize("next_order", [True, False])
def test_the_order_left_out_is_what_exact_sums_differ_by(name: str, next_order: bool) -> None:
    exact = [sn.exact.curie_weiss(n, GRID) for n in (64, 256)]
    found = critical.mean_field_collapse(exact, name, 1.0, next_order=next_order)
    np.testing.assert_allclose(found.neglected, np.abs(found.y - found.expected), atol=1e-12)
    assert not found.resolved.any()  # no errors
    assert found.note == ""


@pytest.mark.parametrize("name", ["abs_m", "m2", "susceptibility_abs", "specific_heat"])
@pytest.mark.statistical
def test_small_sizes_of_curie_weiss_are_not_called_a_misfit_without_a_caution(name: str) -> None:
    """20 tables of four precisions: p < 1e-3 comes with a note, p without those is above 1e-4."""
    cautions = 0
    for seed in range(20):
        table = noisy((64, 128, 1024), name, (0.001, 0.003, 0.01, 0.03)[seed % 4], seed)
        found = critical.mean_field_collapse(table, name, 1.0)
        assert found.note or found.p_value > 1e-3
        assert np.isnan(found.p_within) or found.p_within > 1e-4
        if found.note:
            cautions += 1
            assert "N = 64" in found.note
            assert f"caution: {found.note}" in found.summary()
            assert json.loads(json.dumps(found.to_dict()))["note"] == found.note
    assert cautions >= 10


def test_a_wrong_critical_point_is_still_a_misfit_within_the_expansion() -> None:
    found = critical.mean_field_collapse(noisy((128, 1024), "abs_m", 0.01, 1), "abs_m", 1.01)
    assert found.p_within < 1e-4


def texts(ax: object) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_figures_have_mathematics_and_name_their_curves() -> None:
    exact = [sn.exact.curie_weiss(n, 1 + np.linspace(-1, 1, 13) / 40) for n in (512, 1024, 2048)]
    compared = critical.mean_field_collapse(exact, "abs_m", 1.0)
    ax = compared.plot()
    assert ax.get_ylabel() == r"$N^{1/4}\,\langle|m|\rangle$"
    assert texts(ax).count("with the $N^{-1/2}$ term") == 1
    assert (
        "p^{-1/4}"
        in replace(compared, participation_ratio=0.5, next_order=False).plot().get_ylabel()
    )
    labels = {
        "binder": "$U$",
        "abs_m": r"$N^{\beta/\bar\nu}\,\langle|m|\rangle$",
        "m2": r"$N^{2\beta/\bar\nu}\,\langle m^2\rangle$",
        "susceptibility": r"$N^{-\gamma/\bar\nu}\,\chi$",
    }
    for name, label in labels.items():
        ax = critical.collapse(exact, name).plot()
        assert ax.get_ylabel() == label
        assert {"master curve, fitted", "mean field, exact"} <= set(texts(ax))
    for name in QUANTITIES:
        assert MeanFieldCollapse.curve(name, np.zeros(1), 1.0).shape == (1,)
