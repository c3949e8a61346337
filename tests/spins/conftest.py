"""Shared by the tests of spins: seeds, and the claim that an estimate agrees with a reference.

A seed is the checksum of the test's own name, so that none was chosen by looking at results.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from spinnet.spins.statistics import Estimate

LIMIT = 4.0  # standard errors


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """The seed of this test."""
    return zlib.crc32(request.node.name.encode())


def z_scores(estimate: Estimate, exact: object) -> np.ndarray:
    """Return (value - exact)/error, 0 where both value and error say that nothing fluctuates."""
    value, error = np.asarray(estimate.value), np.asarray(estimate.error)
    difference = value - np.asarray(exact)
    # a quantity that is constant in every state (m^2 of one spin) has error 0: only rounding
    # of the mean, far below 1e-9, separates it from the exact value
    still = (error <= 1e-12 * np.abs(value)) & (np.abs(difference) <= 1e-9 * np.abs(value))
    return np.where(still, 0.0, difference / np.where(still, 1.0, error))


@pytest.fixture
def agrees() -> Callable[..., None]:
    """Assert that an estimate from replicas agrees with a reference within 4 standard errors.

    With 64 replicas the ratio follows Student's t of 63 degrees of freedom: a right program
    fails one comparison in 5900.  `precision` bounds the standard error relative to the
    reference, so that agreement is not cheap.
    """

    def check(
        what: str,
        estimate: Estimate,
        exact: object,
        *,
        replicas: int,
        precision: float | None = 0.02,
        absolute: float = 0.0,
    ) -> None:
        z = z_scores(estimate, exact)
        alarm = 2 * stats.t.sf(LIMIT, replicas - 1)
        state = (
            f"{what}: value {estimate.value}, standard error {estimate.error}, exact {exact}, "
            f"z {z}, tau {estimate.tau}, n_eff {estimate.n_eff}, {replicas} replicas; "
            f"false-alarm rate {alarm:.1e} a comparison"
        )
        assert np.all(np.abs(z) < LIMIT), state
        if precision is not None:
            bound = np.maximum(precision * np.abs(np.asarray(exact)), absolute)
            assert np.all(estimate.error <= bound), f"not precise enough: {state}"

    return check


@pytest.fixture
def all_states() -> Callable[..., np.ndarray]:
    """Every configuration of n units, from plain loops."""
    return lambda n, levels=(-1, 1): np.array(list(itertools.product(levels, repeat=n)))
