"""What the checks of dependent series share: logarithms, autocorrelation, its sum, records."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft

from spinnet.errors import InputError, StatisticsError
from spinnet.validation import finite_array

Floats = NDArray[np.float64]

_LEAST = 50  # values
_WINDOW = 6.0  # autocorrelation times summed (Sokal's rule)


def logarithms(x: ArrayLike) -> Floats:
    """Return ln x less its mean, of enough positive values that are not all equal."""
    values = finite_array("x", x, ndim=1)
    bad = values <= 0.0
    if bad.any():
        first = int(np.argmax(bad))
        raise InputError(
            f"x must be > 0, got {int(np.count_nonzero(bad))} value(s) <= 0, the first at index "
            f"({first},): {values[first]}; drop them, or pass abs(x)"
        )
    if values.size < _LEAST:
        raise StatisticsError(
            f"x has {values.size} value(s), a check of independence needs at least {_LEAST}",
            estimate={"n": values.size},
        )
    logs = np.log(values)
    logs -= logs.mean()
    if np.abs(logs).max() <= 1e-14 * max(1.0, float(np.abs(np.log(values)).max())):
        raise StatisticsError(
            f"all {values.size} values of x are equal: there is no autocorrelation",
            estimate={"n": values.size},
        )
    return logs


def autocorrelation(centred: Floats, max_lag: int) -> Floats:
    """Return r(0..max_lag) of each row, the sums over pairs divided by that over squares."""
    size = fft.next_fast_len(centred.shape[-1] + max_lag, real=True)
    spectrum = fft.rfft(centred, size)
    covariance = fft.irfft(spectrum.real**2 + spectrum.imag**2, size)[..., : max_lag + 1]
    return np.asarray(covariance / covariance[..., :1], dtype=np.float64)


def integrated_time(r: Floats, n: int) -> float:
    """Return 1/2 + sum of r, up to the first lag above `_WINDOW` times the running sum."""
    lags = np.arange(1, r.size)
    running = 0.5 + np.cumsum(r[1:] * (n / (n - lags)))
    stop = np.flatnonzero(lags >= _WINDOW * running)
    return max(0.5, float(running[stop[0]] if stop.size else running[-1]))


def plain_record(result: Any, kind: str) -> dict[str, object]:
    """Return the public fields of a result as plain Python values; NaN becomes None."""
    record: dict[str, object] = {"schema": 1, "kind": kind}
    for name in result.__dataclass_fields__:
        if name.startswith("_"):
            continue
        value = getattr(result, name)
        if isinstance(value, tuple):
            value = list(value)
        elif isinstance(value, Mapping):
            value = dict(value)
        elif isinstance(value, float) and not math.isfinite(value):
            value = None
        record[name] = value
    return record
