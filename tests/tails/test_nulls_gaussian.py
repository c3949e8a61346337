"""The bivariate normal distribution function and the dichotomised Gaussian."""

from __future__ import annotations

import itertools
import json
import warnings

import mpmath
import numpy as np
import pytest
from scipy.special import ndtr, ndtri

from spinnet.errors import InputError, SpinnetWarning
from spinnet.tails import nulls
from spinnet.tails.nulls.nearest import clipped_factor, nearest_factor, negative_mass

SPREAD = (-5.0, -2.1, -0.4, -1e-7, 0.0, 0.3, 1.9, 4.5)


def exact_cdf(h: float, k: float, rho: float) -> float:
    """Phi(h) Phi(k) plus the integral of its derivative by the correlation, to 20 digits."""
    with mpmath.workdps(22):
        h_, k_, end = mpmath.mpf(h), mpmath.mpf(k), mpmath.asin(mpmath.mpf(rho))

        def slope(t):
            return mpmath.exp(
                -(h_**2 + k_**2 - 2 * h_ * k_ * mpmath.sin(t)) / 2 / mpmath.cos(t) ** 2
            )

        # the integrand can vanish abruptly at the end: intervals shrink towards it
        places = [end * (1 - mpmath.mpf(2) ** -j) for j in range(0, 24, 2)] + [end]
        value = mpmath.quad(slope, places) / (2 * mpmath.pi)
        return float(mpmath.ncdf(h_) * mpmath.ncdf(k_) + value)


@pytest.mark.parametrize("rho", [-0.999999, -0.7, -1e-6, 0.4, 0.95, 1 - 1e-10])
def test_the_distribution_function_agrees_with_an_integral(rho):
    pairs = list(itertools.combinations_with_replacement(SPREAD, 2))[:: 2 if rho < 0 else 3]
    h, k = np.array(pairs).T
    expected = [exact_cdf(*pair, rho) for pair in pairs]
    # a few roundings of numbers up to 1
    np.testing.assert_allclose(nulls.bivariate_normal_cdf(h, k, rho), expected, rtol=0, atol=5e-16)
    np.testing.assert_allclose(nulls.bivariate_normal_cdf(k, h, rho), expected, rtol=0, atol=5e-16)


def test_the_distribution_function_at_its_limits():
    h, k = (a.ravel() for a in np.meshgrid(SPREAD, SPREAD))
    cdf = nulls.bivariate_normal_cdf
    np.testing.assert_allclose(cdf(h, k, 1.0), ndtr(np.minimum(h, k)), atol=3e-16)
    np.testing.assert_allclose(cdf(h, k, -1.0), np.maximum(ndtr(h) - ndtr(-k), 0), atol=3e-16)
    np.testing.assert_allclose(cdf(h, k, 0.0), ndtr(h) * ndtr(k), atol=3e-16)
    rho = np.linspace(-1, 1, 41)
    np.testing.assert_allclose(cdf(0.0, 0.0, rho), 0.25 + np.arcsin(rho) / 2 / np.pi, atol=2e-16)
    # the three orthants that contain each other add up
    one = cdf(h[:, None], k[:, None], rho) + cdf(h[:, None], -k[:, None], -rho)
    np.testing.assert_allclose(one, np.broadcast_to(ndtr(h)[:, None], one.shape), atol=5e-16)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ((np.inf, 0, 0), "h must be finite"),
        ((0, np.nan, 0), "k must be finite"),
        ((0, 0, 1.1), r"rho must be in \[-1, 1\], got 1.1"),
        (([1, 2], [1, 2, 3], 0), r"must broadcast, got shapes \(2,\), \(3,\), \(\)"),
    ],
)
def test_bad_arguments_of_the_distribution_function_are_named(args, words):
    with pytest.raises(InputError, match=words):
        nulls.bivariate_normal_cdf(*args)


def test_latent_correlations_are_recovered_to_1e_8():
    rng = np.random.default_rng(1)
    n = 60
    rates = np.concatenate([rng.uniform(0.02, 0.98, n - 4), [0.003, 0.997, 0.5, 0.5]])
    factor = rng.standard_normal((n, 3)) * rng.uniform(0, 3, (n, 1))
    latent = factor @ factor.T + np.eye(n)
    latent /= np.sqrt(np.outer(np.diag(latent), np.diag(latent)))
    h = ndtri(rates)
    joint = nulls.bivariate_normal_cdf(h[:, None], h, np.where(np.eye(n) > 0, 0, latent))
    solved = nulls.latent_correlations(rates, joint - np.outer(rates, rates))
    # where the probability of the rarest joint state is above 1e-7: below, 1e-16 in it is more
    cells = np.array(
        [joint, rates - joint, rates[:, None] - joint, 1 - rates - rates[:, None] + joint]
    )
    off = (cells.min(axis=0) > 1e-7) & ~np.eye(n, dtype=bool)
    assert off.mean() > 0.9
    assert np.abs(solved.matrix - latent)[off].max() < 1e-8
    assert solved.n_infeasible == 0


def test_infeasible_covariances_are_clipped_and_reported():
    rates = [0.5, 0.25, 0.5]
    c = np.zeros((3, 3))
    c[0, 1] = c[1, 0] = 0.2  # at most 0.25 - 0.125
    c[0, 2] = c[2, 0] = -0.25  # at its limit: never together
    solved = nulls.latent_correlations(rates, c)
    assert solved.n_infeasible == 1
    assert solved.largest_excess == pytest.approx(0.075)
    assert solved.n_at_limits == 1
    np.testing.assert_allclose(solved.matrix, [[1, 1, -1], [1, 1, 0], [-1, 0, 1]], atol=1e-12)


@pytest.mark.parametrize(
    ("rates", "covariances", "words"),
    [
        ([0.5, 1.5], np.zeros((2, 2)), r"rates must be in \[0, 1\], got 1 other"),
        ([0.5, 0.5], np.zeros((3, 3)), r"must have shape \(2, 2\)"),
        ([0.5, 0.5], [[0, 0.1], [0.2, 0]], "must be symmetric"),
        ([0.5, np.nan], np.zeros((2, 2)), "rates must be finite"),
    ],
)
def test_bad_moments_are_named(rates, covariances, words):
    with pytest.raises(InputError, match=words):
        nulls.latent_correlations(rates, covariances)


def common_cause(n_inputs: int, n_units: int, seed: int = 3):
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n_inputs, n_units)) + rng.standard_normal((n_inputs, 1))
    return z < np.linspace(-2.0, 1.5, n_units)


def test_the_model_has_the_rates_and_covariances_of_the_data():
    data = common_cause(4000, 12)
    null = nulls.dichotomised_gaussian(data)
    assert null.clipped_mass == 0.0
    assert null.n_at_limits == 0
    assert null.covariance_error < 1e-10
    expected = np.cov(data.T.astype(float), bias=True)
    np.testing.assert_allclose(null.covariances, expected, atol=1e-10)


def test_the_order_of_units_does_not_matter():
    data = common_cause(500, 9)
    order = np.random.default_rng(2).permutation(9)
    plain, moved = nulls.dichotomised_gaussian(data), nulls.dichotomised_gaussian(data[:, order])
    np.testing.assert_allclose(
        moved.correlations, plain.correlations[np.ix_(order, order)], atol=1e-12
    )
    inverted = nulls.dichotomised_gaussian(~data)
    np.testing.assert_allclose(inverted.correlations, plain.correlations, atol=1e-12)


@pytest.mark.statistical
def test_samples_have_the_rates_and_covariances_of_the_data():
    # 12 rates and 66 joint rates at 5 standard errors: false-alarm rate below 5e-5
    data = common_cause(4000, 12)
    n = 60_000
    drawn = nulls.dichotomised_gaussian(data).sample(n, rng=5).astype(float)
    joint, expected = drawn.T @ drawn / n, data.T.astype(float) @ data / 4000
    assert (np.abs(joint - expected) < 5 * np.sqrt(expected * (1 - expected) / n)).all()


def test_units_that_never_vary_stay_so():
    data = common_cause(300, 5)
    data[:, 1], data[:, 3] = True, False
    null = nulls.dichotomised_gaussian(data)
    drawn = null.sample(50, rng=1)
    assert drawn[:, 1].all()
    assert not drawn[:, 3].any()
    assert null.correlations[1, 0] == null.correlations[3, 4] == 0.0
    assert null.covariances[1, 1] == 0.0


def test_equal_units_are_equal_with_limit_counts_0_and_nearly_so_by_default():
    data = common_cause(400, 4)
    data[:, 3] = data[:, 0]
    data[:, 2] = ~data[:, 1]
    null = nulls.dichotomised_gaussian(data, limit_counts=0)
    assert null.n_at_limits == 2
    assert null.correlations[0, 3] == pytest.approx(1.0)
    drawn = null.sample(5000, rng=2)
    # a normal number within rounding of the threshold has a probability of 1e-15
    assert np.array_equal(drawn[:, 3], drawn[:, 0])
    assert np.array_equal(drawn[:, 2], ~drawn[:, 1])
    near = nulls.dichotomised_gaussian(data)
    assert 0.9 < near.correlations[0, 3] < 1.0
    assert near.covariance_error == pytest.approx(0.5 / 400, rel=1e-6)


def test_units_too_rare_to_coincide_count_as_independent():
    # two units active once each in 1000 inputs: no coincidence is no evidence of exclusion
    data = np.zeros((1000, 3), bool)
    data[3, 0] = data[7, 1] = data[::2, 2] = True
    null = nulls.dichotomised_gaussian(data)
    assert null.correlations[0, 1] == pytest.approx(0.0, abs=1e-6)


def test_correlations_that_do_not_fit_together_are_clipped_with_a_report():
    # three units, any two of which are active together less often than three normals allow
    data = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1]] * 2000 + [[1, 1, 1], [0, 0, 0]] * 80)
    with pytest.warns(SpinnetWarning, match="do not fit together"):
        null = nulls.dichotomised_gaussian(data)
    values = np.linalg.eigvalsh(null.correlations)
    assert values.min() > -1e-12
    np.testing.assert_allclose(np.diag(null.correlations), 1.0)
    expected = np.cov(data.T.astype(float), bias=True)
    assert null.covariance_error == pytest.approx(np.abs(null.covariances - expected).max())
    assert null.clipped_mass > 0.1


def test_the_clipped_mass_is_that_of_the_negative_eigenvalues():
    # equal correlations r of three: eigenvalues 1 + 2 r once and 1 - r twice
    matrix = np.full((3, 3), -0.8) + 1.8 * np.eye(3)
    assert negative_mass(matrix) == pytest.approx(0.6 / 3)
    factor = clipped_factor(matrix)
    np.testing.assert_allclose(
        factor @ factor.T, np.full((3, 3), -0.5) + 1.5 * np.eye(3), atol=1e-14
    )


def alternating_projections(matrix, weights, n_steps: int):
    """Dykstra's corrected projections on positive and on unit diagonal (Higham 2002)."""
    root = np.sqrt(np.outer(weights, weights))
    x, correction = matrix.copy(), np.zeros_like(matrix)
    for _ in range(n_steps):
        r = (x - correction) * root
        values, vectors = np.linalg.eigh(r)
        positive = (vectors * np.maximum(values, 0)) @ vectors.T / root
        correction = positive - r / root
        x = positive.copy()
        np.fill_diagonal(x, 1.0)
    return positive


def test_the_nearest_correlation_matrix_is_the_published_one():
    # Higham (2002), section 4: the tridiagonal matrix of ones, printed to four digits
    matrix = np.array([[1.0, 1, 0], [1, 1, 1], [0, 1, 1]])
    factor = nearest_factor(matrix, np.ones(3))
    expected = [[1, 0.7607, 0.1573], [0.7607, 1, 0.7607], [0.1573, 0.7607, 1]]
    np.testing.assert_allclose(factor @ factor.T, expected, atol=5e-5)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_weighted_nearest_correlation_matrix_agrees_with_alternating_projections(seed):
    rng = np.random.default_rng(seed)
    matrix = np.triu(rng.uniform(-1, 1, (7, 7)), 1)
    matrix += matrix.T + np.eye(7)
    weights = rng.uniform(0.1, 1.0, 7)
    factor = nearest_factor(matrix, weights)
    np.testing.assert_allclose((factor**2).sum(axis=1), 1.0, atol=1e-14)
    # the stopping rule of the diagonal: 1e-5 of the mean weight
    expected = alternating_projections(matrix, weights, 3000)
    np.testing.assert_allclose(factor @ factor.T, expected, atol=1e-4)
    # and the weights matter
    assert np.abs(expected - alternating_projections(matrix, np.ones(7), 3000)).max() > 0.01


def test_many_rare_units_lose_less_than_by_clipping_or_without_weights():
    # 80 units with rates from 0.005 to 0.1 and a weak common cause: noisy latent correlations
    rng = np.random.default_rng(6)
    z = np.sqrt(0.7) * rng.standard_normal((1500, 80))
    z += np.sqrt(0.3) * rng.standard_normal((1500, 1))
    x = (z < ndtri(np.geomspace(0.005, 0.1, 80))).astype(float)
    with warnings.catch_warnings():
        # standard errors by the data would be 0 for pairs never active together, and warn
        warnings.simplefilter("error", SpinnetWarning)
        null = nulls.dichotomised_gaussian(x)
    assert null.clipped_mass > 0.1
    assert null.n_at_limits > 100
    rates, joint = x.mean(axis=0), x.T @ x / 1500
    together = np.outer(rates, rates)
    expected = joint - together
    joint = np.where(joint == 0, np.minimum(0.5 / 1500, together), joint)
    latent = nulls.latent_correlations(rates, joint - together).matrix
    h, pairs = ndtri(rates), np.triu_indices(80, 1)
    spread = np.sqrt(np.outer(rates * (1 - rates), rates * (1 - rates)))

    def errors(matrix):
        p = nulls.bivariate_normal_cdf(h[:, None], h, np.clip(matrix, -1, 1))
        off = (p - together - expected)[pairs]
        return np.sqrt((off**2).mean()), np.sqrt(((off / spread[pairs]) ** 2).mean())

    def of(factor):
        return errors(factor @ factor.T)

    found = errors(null.correlations)
    assert found[1] < 0.8 * of(clipped_factor(latent))[1]
    plain = of(nearest_factor(latent, np.ones(80)))
    assert found[1] < plain[1]
    assert found[0] < 0.9 * plain[0]
    # the variance of the population count is nearly kept
    assert null.covariances.sum() == pytest.approx(np.cov(x.T, bias=True).sum(), rel=0.1)


def test_the_model_is_reproducible_and_describes_itself():
    data = common_cause(100, 9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SpinnetWarning)
        null = nulls.dichotomised_gaussian(data)
        packed = nulls.dichotomised_gaussian(np.packbits(data, axis=1), 9)
    assert np.array_equal(null.sample(rng=4), null.sample(rng=4))
    assert np.array_equal(packed.sample(rng=4), np.packbits(null.sample(rng=4), axis=1))
    record = json.loads(json.dumps(null.to_dict()))
    assert record["clipped_mass"] == null.clipped_mass
    assert "clipped mass" in null.summary()
    with pytest.raises(InputError, match=r"limit_counts must be from 0 to 0.5, got 2.0"):
        nulls.dichotomised_gaussian(data, limit_counts=2)


def test_pairs_that_happened_not_to_coincide_are_no_reason_to_warn():
    # independent rare units: most pairs have no coincidence in 400 inputs, where one of rates
    # 0.01 is expected to have 0.04
    rng = np.random.default_rng(9)
    data = rng.random((400, 60)) < 0.01
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        null = nulls.dichotomised_gaussian(data)
    assert null.n_at_limits > 1000
    assert null.clipped_mass > 0.01
