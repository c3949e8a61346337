"""Null models of real-valued inputs."""

from __future__ import annotations

import json

import numpy as np
import pytest

from spinnet.errors import InputError
from spinnet.tails import nulls


def images(n: int = 6, shape: tuple[int, ...] = (8, 7), seed: int = 1):
    rng = np.random.default_rng(seed)
    return np.cumsum(rng.random((n, *shape)), axis=-1) ** 1.5


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((9,), -1),
        ((10,), 1),
        ((8, 7), (-2, -1)),
        ((7, 8), (1, 2)),
        ((6, 5), 1),
        ((3, 8, 8), (2, 3)),
    ],
)
def test_every_power_spectrum_is_kept(shape, axes):
    data = images(5, shape)
    drawn = nulls.phase_randomised(data, axes=axes).sample(rng=2)
    along = axes if isinstance(axes, tuple) else (axes,)
    before, after = (np.abs(np.fft.fftn(a, axes=along)) for a in (data, drawn))
    np.testing.assert_allclose(after, before, rtol=1e-10, atol=1e-12 * before.max())
    np.testing.assert_allclose(drawn.mean(axis=along), data.mean(axis=along), rtol=1e-12)
    np.testing.assert_allclose(drawn.var(axis=along), data.var(axis=along), rtol=1e-10)
    assert drawn.dtype == np.float64
    assert np.abs(drawn - data).max() > 0.1 * data.std()


@pytest.mark.statistical
def test_phases_are_uniform_and_independent():
    # first moments of 2 x 2000 phases at 5 standard errors: false-alarm rate below 1e-5
    data = np.ones((2000, 1)) * np.array([[1.0, 3.0, 2.0, 5.0, 4.0]])
    spectrum = np.fft.rfft(nulls.phase_randomised(data).sample(rng=3), axis=1)
    unit = spectrum / np.abs(spectrum)
    bound = 5 * np.sqrt(0.5 / 2000)
    for mean in (unit[:, 1].mean(), unit[:, 2].mean(), (unit[:, 1] * unit[:, 2].conj()).mean()):
        assert max(abs(mean.real), abs(mean.imag)) < bound
    np.testing.assert_allclose(unit[:, 0], 1.0)


def test_shared_phases_keep_cross_spectra():
    data = images(4, (3, 8, 6))

    def cross(a):
        spectrum = np.fft.fftn(a, axes=(2, 3))
        return spectrum[:, 0] * spectrum[:, 1].conj()

    null = nulls.phase_randomised(data, axes=(-2, -1), shared_axes=1)
    kept = cross(null.sample(rng=1))
    np.testing.assert_allclose(kept, cross(data), atol=1e-10 * np.abs(cross(data)).max())
    free = cross(nulls.phase_randomised(data, axes=(-2, -1)).sample(rng=1))
    assert np.abs(free - cross(data))[:, 1:, 1:].max() > 1.0
    everywhere = nulls.phase_randomised(data, axes=(2, 3), shared_axes=(0, 1)).sample(rng=1)
    ratio = np.fft.fftn(everywhere, axes=(2, 3)) / np.fft.fftn(data, axes=(2, 3))
    np.testing.assert_allclose(ratio, np.broadcast_to(ratio[:1, :1], ratio.shape), atol=1e-7)


@pytest.mark.parametrize("n", [5, 9, 40])
def test_the_gaussian_has_mean_and_covariance_of_the_data(n):
    data = images(n, (3, 3))
    null = nulls.gaussian_surrogate(data)
    flat = data.reshape(n, -1)
    np.testing.assert_allclose(null.mean, flat.mean(axis=0))
    expected = np.cov(flat.T, bias=True)
    np.testing.assert_allclose(null.covariance, expected, atol=1e-12 * expected.max())


@pytest.mark.statistical
@pytest.mark.parametrize("n", [4, 200])
def test_gaussian_samples_have_mean_and_covariance(n):
    # 6 means and 21 covariances at 5 standard errors: false-alarm rate below 2e-5
    data = images(n, (2, 3))
    null = nulls.gaussian_surrogate(data)
    m = 40_000
    drawn = null.sample(m, rng=4)
    assert drawn.shape == (m, 2, 3)
    centred = drawn.reshape(m, -1) - null.mean
    c = null.covariance
    v = np.diag(c)
    assert (np.abs(centred.mean(axis=0)) < 5 * np.sqrt(v / m)).all()
    error = np.sqrt((np.outer(v, v) + c**2) / m)
    assert (np.abs(centred.T @ centred / m - c) < 5 * error).all()


def test_few_inputs_stay_in_their_span():
    data = images(3, (50,))
    centred = nulls.gaussian_surrogate(data).sample(20, rng=1) - data.mean(axis=0)
    values = np.linalg.svd(centred, compute_uv=False)
    assert values[2] < 1e-10 * values[0]  # three inputs less their mean span two directions


def test_samples_are_reproducible_and_keep_single_precision():
    data = images().astype(np.float32)
    for null in (nulls.phase_randomised(data), nulls.gaussian_surrogate(data)):
        drawn = null.sample(rng=5)
        assert drawn.dtype == np.float32
        assert drawn.shape == data.shape
        assert np.array_equal(drawn, null.sample(rng=5))
        assert not np.array_equal(drawn, null.sample(rng=6))
        record = json.loads(json.dumps(null.to_dict()))
        assert record["name"] in null.summary()


def test_input_models_can_be_tested_against():
    data = images(12, (16,))
    null = nulls.phase_randomised(data)

    # reversal in time is undone by random phases, and not by a growing signal
    def asymmetry(x):
        return (np.diff(x, axis=1) ** 3).mean()

    test = nulls.compare_with_null(asymmetry, data, null, n_surrogates=40, rng=1)
    assert test.n_surrogates == 40
    assert test.null == "phase_randomised"


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: nulls.phase_randomised(np.ones(4)), r"got shape \(4,\)"),
        (lambda: nulls.phase_randomised(np.ones((4, 0))), r"got shape \(4, 0\)"),
        (lambda: nulls.phase_randomised([[1.0, np.nan]]), "inputs must be finite"),
        (lambda: nulls.phase_randomised(np.ones((4, 3)), axes=0), "other than the first"),
        (lambda: nulls.phase_randomised(np.ones((4, 3)), axes=2), "axes must be an integer"),
        (lambda: nulls.phase_randomised(np.ones((4, 3)), axes=(1, -1)), "twice"),
        (lambda: nulls.phase_randomised(np.ones((4, 3)), axes=()), r"first \(inputs\), got \(\)"),
        (lambda: nulls.phase_randomised(np.ones((4, 3)), shared_axes=1), "must not be among axes"),
        (lambda: nulls.phase_randomised(np.ones((4, 3))).sample(5), "n_inputs must be 4"),
        (lambda: nulls.gaussian_surrogate(np.ones((1, 3))), "at least 2 rows"),
        (
            lambda: nulls.gaussian_surrogate(np.full((4, 3), -1e300)),
            r"inputs must be within \+-1e\+150",
        ),
        (lambda: nulls.gaussian_surrogate(np.ones(3)), "non-empty array of shape"),
        (
            lambda: nulls.gaussian_surrogate(np.ones((3, 3))).sample(0),
            "n_inputs must be an integer",
        ),
    ],
)
def test_bad_inputs_are_named(call, words):
    with pytest.raises(InputError, match=words):
        call()


def test_constant_inputs_stay_constant():
    data = np.full((3, 6), 2.5)
    np.testing.assert_allclose(nulls.phase_randomised(data).sample(rng=1), data)
    np.testing.assert_allclose(nulls.gaussian_surrogate(data).sample(rng=1), data)
