"""The pairwise maximum-entropy model, exact and by pseudo-likelihood."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import chi2

from spinnet.errors import InputError, SpinnetWarning, StatisticsError
from spinnet.tails import nulls
from spinnet.tails.nulls.pairwise import chains, pseudo
from spinnet.tails.nulls.pairwise.exact import features, superset_sums

Floats = NDArray[np.float64]


def patterns(n: int) -> Floats:
    return np.array(list(itertools.product([0.0, 1.0], repeat=n)))


def couplings(n: int, seed: int, spread: float = 0.7) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    upper = np.triu(rng.normal(0, spread, (n, n)), 1)
    return rng.normal(-0.7, 0.6, n), upper + upper.T


def enumerated(h: Floats, J: Floats) -> tuple[Floats, float]:
    """Probabilities of all patterns, and log Z, term by term."""
    weights = [
        math.exp(
            sum(h[i] * s[i] for i in range(len(h)))
            + sum(J[i, j] * s[i] * s[j] for i in range(len(h)) for j in range(i))
        )
        for s in patterns(len(h))
    ]
    return np.array(weights) / math.fsum(weights), math.log(math.fsum(weights))


def moments(p: Floats) -> Floats:
    x = patterns(int(math.log2(p.size)))
    return x.T @ (p[:, None] * x)


def draws(p: Floats, n_inputs: int, seed: int) -> NDArray[np.bool_]:
    n = int(math.log2(p.size))
    return patterns(n)[np.random.default_rng(seed).choice(p.size, n_inputs, p=p)] > 0


def entropy(p: Floats) -> float:
    p = p[p > 0]
    return float(-(p * np.log(p)).sum())


def probabilities(null: nulls.PairwiseMaxent) -> Floats:
    return np.exp(null.log_probability(patterns(null.n_units)))


@pytest.mark.parametrize(("n", "spread"), [(2, 1.0), (3, 2.0), (6, 0.7), (8, 1.5)])
def test_known_couplings_are_recovered_from_exact_moments(n, spread):
    h, J = couplings(n, n, spread)
    p, log_z = enumerated(h, J)
    joint = moments(p)
    null = nulls.pairwise_from_moments(np.diag(joint), joint)
    np.testing.assert_allclose(null.couplings, J, atol=1e-10)
    np.testing.assert_allclose(null.fields, h, atol=1e-10)
    assert null.log_z == pytest.approx(log_z, abs=1e-10)
    assert null.moment_error < 1e-13
    np.testing.assert_allclose(probabilities(null), p, atol=1e-13)
    assert null.entropy == pytest.approx(entropy(p), abs=1e-12)


def test_the_same_model_in_variables_of_plus_and_minus_one():
    h, J = couplings(5, 1)
    joint = moments(enumerated(h, J)[0])
    fields, pairs = nulls.pairwise_from_moments(np.diag(joint), joint).spin_parameters()
    s = 2 * patterns(5) - 1
    weights = np.exp(s @ fields + 0.5 * np.einsum("ki,ij,kj->k", s, pairs, s))
    np.testing.assert_allclose(weights / weights.sum(), enumerated(h, J)[0], atol=1e-13)


def test_the_fit_has_the_moments_of_the_data():
    data = draws(enumerated(*couplings(7, 2))[0], 500, 3)
    data ^= np.random.default_rng(1).random((500, 1)) < 0.2  # not a pairwise model
    null = nulls.pairwise_maxent(data)
    x = data.astype(float)
    np.testing.assert_allclose(moments(probabilities(null)), x.T @ x / 500, atol=1e-13)
    assert null.moment_error < 1e-13
    assert null.method == "exact"


def test_no_model_of_the_same_moments_has_more_entropy():
    null = nulls.pairwise_maxent(draws(enumerated(*couplings(4, 5))[0], 300, 4))
    p = probabilities(null)
    x = patterns(4)
    i, j = np.triu_indices(4, 1)
    fixed = np.column_stack([np.ones(16), x, x[:, i] * x[:, j]]).T
    _, singular, vectors = np.linalg.svd(fixed)
    free = vectors[singular.size :]
    assert len(free) == 16 - 11
    for direction in free:
        for sign in (0.3, -0.3):
            assert entropy(p + sign * p.min() * direction) < entropy(p)


def test_entropy_falls_as_more_is_kept():
    data = draws(enumerated(*couplings(8, 6))[0], 3000, 5)
    _, counts = np.unique(data, axis=0, return_counts=True)
    pairwise = nulls.pairwise_maxent(data).entropy
    assert nulls.independent(data).entropy > pairwise > entropy(counts / 3000)


@pytest.mark.statistical
def test_exact_samples_follow_the_probabilities():
    # one chi-square over the 64 patterns of six units, at a false-alarm rate of 1e-6
    null = nulls.pairwise_maxent(draws(enumerated(*couplings(6, 7))[0], 2000, 6))
    drawn = null.sample(50_000, rng=7)
    expected = 50_000 * probabilities(null)
    found = np.bincount(drawn @ (1 << np.arange(6)[::-1]), minlength=64)
    assert ((found - expected) ** 2 / expected).sum() < chi2.isf(1e-6, 63)
    # rows are in random order: the first half has the rates of the second
    halves = drawn.reshape(2, -1, 6).mean(axis=1)
    assert (np.abs(halves[0] - halves[1]) < 5 * np.sqrt(0.25 * 2 / 25_000)).all()


def test_samples_are_packed_and_reproducible():
    data = draws(enumerated(*couplings(10, 7))[0], 2000, 6)
    data = np.insert(data, 3, True, axis=1)  # unit 3 is constant
    null, packed = nulls.pairwise_maxent(data), nulls.pairwise_maxent(np.packbits(data, axis=1), 11)
    assert np.array_equal(null.sample(77, rng=1), null.sample(77, rng=1))
    assert np.array_equal(packed.sample(77, rng=1), np.packbits(null.sample(77, rng=1), axis=1))


def test_units_that_never_vary_are_left_out():
    data = np.insert(draws(enumerated(*couplings(4, 3))[0], 800, 2), [1, 3], [True, False], axis=1)
    null = nulls.pairwise_maxent(data)
    assert null.varying.tolist() == [0, 2, 3, 5]
    assert null.fields[1] == np.inf
    assert null.fields[4] == -np.inf
    p = probabilities(null)
    assert p.sum() == pytest.approx(1.0, abs=1e-12)
    np.testing.assert_allclose(p @ patterns(6), data.mean(axis=0), atol=1e-12)
    drawn = null.sample(100, rng=1)
    assert drawn[:, 1].all()
    assert not drawn[:, 4].any()
    constant = nulls.pairwise_maxent([[1, 0], [1, 0]])
    assert constant.entropy == 0.0
    assert constant.sample(3, rng=1).tolist() == [[True, False]] * 3


HYPERMETRIC = [s for s in patterns(5) if s @ [1, 1, 1, -1, -1] in (0, 1)]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ([[1, 0], [0, 1], [0, 0]], "units 0 and 1 are never active together"),
        ([[1, 0], [0, 1], [1, 1]], "units 0 and 1 are never silent together"),
        ([[1, 1], [0, 0], [0, 1]], "never active in the first without the second"),
        ([[1, 1], [0, 0], [1, 1]], r"1 pair\(s\) of units"),
        ([[1, *s] for s in patterns(3) if 0 < s.sum() < 3], "units 1, 2 and 3 leave two"),
        ([s for s in patterns(3) if 0 < s.sum() < 3] * 2, "0, 1 and 2 leave two of their eight"),
        (HYPERMETRIC, "grow without bound"),
    ],
)
def test_moments_on_the_boundary_are_refused_unless_regularised(data, words):
    with pytest.raises(StatisticsError, match=words):
        nulls.pairwise_maxent(data)
    null = nulls.pairwise_maxent(data, regularisation=0.01)
    assert np.isfinite(null.couplings).all()
    assert null.residual < 1e-12
    x = np.array(data, float)
    shortfall = x.T @ x / len(x) - moments(probabilities(null))
    # the gradient of the penalised likelihood vanishes: <ss> falls short by regularisation J
    np.testing.assert_allclose(shortfall, 0.01 * null.couplings, atol=1e-11)


def test_regularised_pseudo_likelihood_takes_units_that_exclude_each_other():
    null = nulls.pairwise_maxent(np.eye(5), method="pseudo-likelihood", regularisation=0.01)
    off = ~np.eye(5, dtype=bool)
    assert null.residual < 1e-7
    assert null.couplings[off].max() < 0
    assert np.ptp(null.couplings[off]) < 1e-6  # the units are alike


def test_all_patterns_of_the_hypermetric_case_are_needed_for_it_to_be_refused():
    # one more pattern, off the face, and the fit exists
    null = nulls.pairwise_maxent([*HYPERMETRIC, np.array([1.0, 1, 1, 0, 0])])
    assert null.moment_error < 1e-12


def test_impossible_moments_are_refused():
    with pytest.raises(StatisticsError, match="never active in the first without"):
        nulls.pairwise_from_moments([0.2, 0.3], [[0.2, 0.25], [0.25, 0.3]])
    with pytest.raises(StatisticsError, match="two of their eight"):  # all three exclude pairwise
        nulls.pairwise_from_moments([0.5, 0.5, 0.5], np.full((3, 3), 0.05))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: nulls.pairwise_from_moments([0.5, 1.2], np.eye(2)), r"rates must be in \[0, 1\]"),
        (lambda: nulls.pairwise_from_moments([0.5, 0.5], -np.eye(2)), r"index \(0, 0\): -1.0"),
        (lambda: nulls.pairwise_from_moments([0.5], [[0.5]]), r"joint must have shape \(n, n\)"),
        (lambda: nulls.pairwise_from_moments([0.5] * 2, [[0, 0.1], [0.2, 0]]), "symmetric"),
        (lambda: nulls.pairwise_maxent(np.eye(4), method="newton"), "method must be one of"),
        (
            lambda: nulls.pairwise_maxent(np.eye(4), regularisation=-1),
            "regularisation must be >= 0",
        ),
        (lambda: nulls.pairwise_maxent(np.eye(25), method="exact"), "at most 20 units that vary"),
        (lambda: nulls.pairwise_maxent([[0, 1], [np.nan, 1]]), "first at index"),
    ],
)
def test_bad_arguments_are_named(call, words):
    with pytest.raises(InputError, match=words):
        call()


def test_superset_sums_are_the_moments_of_every_set():
    p, _ = enumerated(*couplings(4, 8))
    x = patterns(4)[:, ::-1]  # state s has unit i active where bit i is set
    sums = superset_sums(p)
    for members in range(16):
        units = [i for i in range(4) if members >> i & 1]
        assert sums[members] == pytest.approx(p[x[:, units].all(axis=1)].sum(), abs=1e-15)
    assert features(3).tolist() == [1, 2, 4, 3, 5, 6]


def test_pseudo_likelihood_finds_the_couplings_of_the_exact_distribution():
    # no sampling: the population itself as data; the tolerance is that of the optimiser
    h, J = couplings(8, 9, 1.0)
    p, _ = enumerated(h, J)
    everything = pseudo.Patterns(np.packbits(patterns(8) > 0, axis=1), p, 8)
    joint = moments(p)
    fields, found, residual = pseudo.solve(everything, np.diag(joint), joint, 0.0)
    np.testing.assert_allclose(found, J, atol=1e-5)
    np.testing.assert_allclose(fields, h, atol=1e-5)
    assert residual < 1e-7


@pytest.mark.statistical
def test_pseudo_likelihood_is_consistent_at_twelve_units():
    h, J = couplings(12, 10, 0.4)
    p, _ = enumerated(h, J)
    n_inputs = 40_000
    data = draws(p, n_inputs, 11)
    null = nulls.pairwise_maxent(data, method="pseudo-likelihood")
    x = patterns(12)
    i, j = np.triu_indices(12, 1)
    f = np.column_stack([x, x[:, i] * x[:, j]])
    fisher = f.T @ (p[:, None] * f) - np.outer(p @ f, p @ f)
    error = np.sqrt(np.diag(np.linalg.inv(fisher))[12:] / n_inputs)
    # errors of the exact maximum likelihood, which pseudo-likelihood exceeds by under a tenth
    # here: 66 couplings at 5 of them, a false-alarm rate below 4e-4 even at 4.5
    assert (np.abs((null.couplings - J)[i, j]) < 5 * error).all()
    exact = nulls.pairwise_maxent(data)
    assert np.abs((null.couplings - exact.couplings)[i, j]).max() < 3 * error.max()
    assert null.log_z == pytest.approx(exact.log_z, abs=0.02)
    assert null.moment_error < 0.01
    assert exact.entropy >= null.entropy - 0.01


@pytest.mark.statistical
def test_the_chains_draw_from_the_model():
    # joint rates of eight units, 36 numbers, at 5 standard errors of rows thinned to two
    # autocorrelation times, whose variance is at most doubled: false-alarm rate below 3e-5
    h, J = couplings(8, 12, 0.8)
    p, _ = enumerated(h, J)
    joint = moments(p)
    random = np.random.default_rng(3)
    mixing = chains.check_mixing(h, J, np.diag(joint), random)
    assert mixing.mixed
    n = 40_000
    bits = chains.draw(n, h, J, np.diag(joint), mixing, random)
    x = np.unpackbits(bits, axis=1, count=8).astype(float)
    assert len(x) == n
    assert (np.abs(x.T @ x / n - joint) < 5 * np.sqrt(2 * joint * (1 - joint) / n)).all()


@pytest.mark.statistical
def test_rows_come_after_a_burn_in_and_far_apart():
    # ten units that favour each other: sweeps are correlated, and independent units, where the
    # chains start, have another spread of the population count
    J = 0.42 * (1 - np.eye(10))
    h = np.full(10, -0.42 * 9 / 2)
    p, _ = enumerated(h, J)
    k = patterns(10).sum(axis=1)
    rates = np.full(10, 0.5)
    mixing = chains.check_mixing(h, J, rates, np.random.default_rng(1))
    assert mixing.mixed
    assert mixing.tau > 2
    random = np.random.default_rng(2)

    def drawn(n):
        return np.bitwise_count(chains.draw(n, h, J, rates, mixing, random)).sum(
            axis=1, dtype=float
        )

    first = np.concatenate([drawn(48) for _ in range(60)])  # one row of each chain
    square = (k - 5.0) ** 2
    mean, spread = p @ square, np.sqrt(p @ square**2 - (p @ square) ** 2)
    # 5 standard errors: false-alarm rate 6e-7; independent units have 2.5
    assert abs(((first - 5) ** 2).mean() - mean) < 5 * spread / np.sqrt(first.size)
    assert mean - 2.5 > 10 * spread / np.sqrt(first.size)
    rows = drawn(4800) - 5.0
    # exp(-2) = 0.14 between rows two autocorrelation times apart; 5 standard errors more at most
    assert (rows[1:] * rows[:-1]).mean() / mean < 0.14 + 5 / np.sqrt(rows.size)


def test_the_mixing_check_sees_two_wells():
    # 24 units that switch together: chains from all on and all off do not meet
    J = 0.6 * (1 - np.eye(24))
    h = np.full(24, -0.6 * 23 / 2)
    report = chains.check_mixing(h, J, np.full(24, 0.5), np.random.default_rng(1))
    assert not report.mixed
    assert report.rhat > 1.5


def many_units(n_inputs: int, n_units: int) -> NDArray[np.bool_]:
    rng = np.random.default_rng(13)
    z = rng.standard_normal((n_inputs, n_units)) + 0.6 * rng.standard_normal((n_inputs, 1))
    return z < np.linspace(-0.9, 0.9, n_units)


@pytest.mark.statistical
def test_more_than_twenty_units_are_fitted_by_pseudo_likelihood():
    data = many_units(3000, 24)
    null = nulls.pairwise_maxent(data)
    assert null.method == "pseudo-likelihood"
    assert null.mixing is not None
    assert null.mixing.mixed
    drawn = null.sample(20_000, rng=2).astype(float)
    x = data.astype(float)
    # thresholded normals are nearly pairwise: 300 joint rates within 5 standard errors of both
    # samples (the fit follows the data, so that this is wide)
    difference = drawn.T @ drawn / 20_000 - x.T @ x / 3000
    assert (np.abs(difference) < 5 * np.sqrt(0.25 * (1 / 3000 + 2 / 20_000))).all()
    assert np.array_equal(null.sample(50, rng=3), null.sample(50, rng=3))
    with pytest.raises(StatisticsError, match="needs ln Z"):
        null.log_probability(data)
    with pytest.raises(StatisticsError, match="take a subset"):
        _ = null.entropy
    record = json.loads(json.dumps(null.to_dict()))
    assert record["log_z"] is None
    assert record["mixed"] is True
    assert record["seed"] == {"entropy": "0", "spawn_key": []}


def test_a_model_whose_chains_do_not_mix_warns():
    rng = np.random.default_rng(2)
    data = (rng.random((4000, 1)) < 0.5) ^ (rng.random((4000, 24)) < 0.03)
    with pytest.warns(SpinnetWarning, match="do not mix"):
        nulls.pairwise_maxent(data)


def test_a_unit_that_others_predict_without_error_is_refused_by_pseudo_likelihood():
    five = np.array(HYPERMETRIC)[np.random.default_rng(4).integers(0, len(HYPERMETRIC), 3000)] > 0
    data = np.column_stack([many_units(3000, 17), five])
    with pytest.raises(StatisticsError, match="grow without bound"):
        nulls.pairwise_maxent(data, method="pseudo-likelihood")
    null = nulls.pairwise_maxent(data, method="pseudo-likelihood", regularisation=1e-3)
    assert np.abs(null.couplings).max() < 20
    assert null.residual < 1e-6


def test_the_penalty_of_the_pseudo_likelihood_is_the_one_stated():
    # at the maximum: the two directions' gradients by J add up to regularisation J
    data = many_units(400, 6)
    null = nulls.pairwise_maxent(data, method="pseudo-likelihood", regularisation=0.05)
    x = data.astype(float)
    p = 1 / (1 + np.exp(-(null.fields + x @ null.couplings)))
    gradient = x.T @ (x - p) / 400
    off = ~np.eye(6, dtype=bool)
    np.testing.assert_allclose((gradient + gradient.T)[off], 0.05 * null.couplings[off], atol=1e-7)
    np.testing.assert_allclose((x - p).mean(axis=0), 0, atol=1e-7)


def test_repeated_inputs_change_nothing():
    data = many_units(200, 6)
    for method in ("exact", "pseudo-likelihood"):
        once = nulls.pairwise_maxent(data, method=method)
        twice = nulls.pairwise_maxent(np.repeat(data, 2, axis=0)[::-1], method=method)
        np.testing.assert_allclose(twice.couplings, once.couplings, atol=1e-10)


def test_reordered_units_reorder_the_couplings():
    data = many_units(300, 6)
    order = np.random.default_rng(1).permutation(6)
    for method in ("exact", "pseudo-likelihood"):
        plain = nulls.pairwise_maxent(data, method=method).couplings
        moved = nulls.pairwise_maxent(data[:, order], method=method).couplings
        np.testing.assert_allclose(moved, plain[np.ix_(order, order)], atol=1e-5)


@pytest.mark.slow
def test_twenty_units_are_enumerated():
    h, J = couplings(20, 14, 0.4)
    J *= 0.7
    null = nulls.PairwiseMaxent(
        1000, 20, False, "exact", 0.0, np.full(20, 0.5), h, J, 0.0, 0.0, 0.0, None
    )
    fitted = nulls.pairwise_maxent(null.sample(20_000, rng=1))
    assert fitted.moment_error < 1e-12
    assert np.abs(fitted.couplings - J).max() < 0.5  # 20 000 inputs: errors of some 0.05


def test_a_bad_rng_is_refused_although_enumeration_needs_none():
    with pytest.raises(InputError, match="rng must be None"):
        nulls.pairwise_maxent(many_units(100, 4), rng="a")


def test_the_pieces_of_a_run_do_not_show(monkeypatch):
    h, J = couplings(9, 3, 0.3)
    mixing = chains.ChainMixing(512, 48, 1.0, 7.3, True)

    def drawn():
        return chains.draw(200, h, J, np.full(9, 0.4), mixing, np.random.default_rng(5))

    whole = drawn()
    # pieces of many rows, of one, and shorter than the thinning of 15 and the burn-in of 146
    for sweeps in (46, 16, 15, 14, 4, 1):
        monkeypatch.setattr(chains, "_WORK", sweeps * 81)
        assert np.array_equal(drawn(), whole)
