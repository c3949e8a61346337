"""Elementary functions of vectors against mpmath, over the whole range of their arguments."""

import mpmath
import numpy as np
import pytest

from spinnet.simd import functions
from spinnet.simd.vectors import load, store

F32, F64 = np.float32, np.float64
SPECIAL = [0.0, -0.0, np.inf, -np.inf, np.nan]


def over_vectors(function, lanes):
    """Return a compiled function that applies `function` to an array in vectors."""

    @compiled_here
    def apply(x, out):
        for i in range(0, x.size, lanes):
            store(out, i, function(load(x, i, lanes)))

    def evaluate(x):
        padded = np.concatenate([x, np.ones(-x.size % lanes, x.dtype)])
        out = np.empty_like(padded)
        apply(padded, out)
        return out[: x.size]

    return evaluate


def compiled_here(function):
    """Compile without a cache: the function is made anew by each call."""
    from numba import njit

    return njit(function)


def all_exponents(dtype, low, high, n, signs=(-1, 1)):
    """Return numbers of every binary exponent in [low, high), and where the last bits change."""
    rng = np.random.default_rng(5)
    exponents = np.repeat(np.arange(low, high), n)
    mantissas = rng.uniform(1.0, 2.0, exponents.size)
    return np.concatenate([s * np.ldexp(mantissas, exponents) for s in signs]).astype(dtype)


def ulps(got, x, exact, smallest):
    """Return the largest error in units in the last place of the exact result."""
    worst = 0.0
    with mpmath.workdps(30):
        for value, argument in zip(got.tolist(), x.tolist(), strict=True):
            truth = exact(mpmath.mpf(argument))
            nearest = abs(float(truth))
            limit = float(np.finfo(got.dtype).max)
            if nearest > limit:
                assert np.isinf(value) or abs(value) == limit
                continue
            unit = float(np.spacing(got.dtype.type(max(nearest, smallest))))
            worst = max(worst, float(abs(mpmath.mpf(value) - truth)) / unit)
    return worst


def near(dtype, *centres, n=150, width=1.0):
    return np.concatenate([np.linspace(c - width, c + width, n) for c in centres]).astype(dtype)


CASES = {
    "exp_f32": (
        mpmath.exp,
        1.1,
        np.r_[near(F32, 0, 88.5, -87.5, -103), np.linspace(-100, 88, 999)],
    ),
    "exp_f64": (
        mpmath.exp,
        1.1,
        np.r_[near(F64, 0, 709.5, -709, -745), np.linspace(-740, 709, 999)],
    ),
    "log_f32": (mpmath.log, 1.0, all_exponents(F32, -148, 128, 6, signs=(1,))),
    "log_f64": (mpmath.log, 1.0, all_exponents(F64, -1070, 1024, 2, signs=(1,))),
    "logistic_f32": (
        lambda x: 1 / (1 + mpmath.exp(-x)),
        2.5,
        np.r_[near(F32, 0, -87.5, -103), np.linspace(-100, 30, 999)],
    ),
    "tanh_f32": (mpmath.tanh, 1.5, np.r_[near(F32, 0, 0.625, -0.625), np.linspace(-12, 12, 999)]),
}


@pytest.mark.parametrize("name", CASES)
def test_functions_keep_their_stated_error(name):
    exact, bound, x = CASES[name]
    dtype, lanes = (F32, 16) if name.endswith("32") else (F64, 8)
    x = x.astype(dtype)
    if name.startswith("log"):
        x = np.concatenate([x, near(dtype, 1.0, n=400, width=0.3)])
    else:
        low = -148 if dtype == F32 else -1070
        x = np.concatenate([x, all_exponents(dtype, low, 7, 3)])
    got = over_vectors(getattr(functions, name), lanes)(x)
    assert ulps(got, x, exact, 0.0) <= bound


@pytest.mark.parametrize("name", CASES)
def test_limits_are_those_of_numpy(name):
    dtype, lanes = (F32, 16) if name.endswith("32") else (F64, 8)
    limits = {
        "exp": [1, 1, np.inf, 0, np.nan],
        "log": [-np.inf, -np.inf, np.inf, np.nan, np.nan],
        "logistic": [0.5, 0.5, 1, 0, np.nan],
        "tanh": [0.0, -0.0, 1, -1, np.nan],
    }[name.split("_")[0]]
    got = over_vectors(getattr(functions, name), lanes)(np.array(SPECIAL, dtype))
    np.testing.assert_array_equal(got, np.array(limits, dtype))
    assert name != "tanh_f32" or np.signbit(got[1])


@pytest.mark.parametrize("name", CASES)
def test_beyond_the_range_of_results(name):
    dtype, lanes = (F32, 16) if name.endswith("32") else (F64, 8)
    big = np.finfo(dtype).max
    evaluate = over_vectors(getattr(functions, name), lanes)
    low, high = evaluate(np.array([-big, big], dtype))
    expected = {
        "exp": (0, np.inf),
        "log": (np.nan, np.log(big)),
        "logistic": (0, 1),
        "tanh": (-1, 1),
    }[name.split("_")[0]]
    np.testing.assert_array_equal([low, high], np.array(expected, dtype))
