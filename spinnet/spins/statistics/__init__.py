"""Errors of correlated data: autocorrelation, mixing, blocking, jackknife and bootstrap.

A leaf: it knows arrays of shape ``(n_replicas, n_sweeps)`` and nothing of models.  Replicas are
independent, so they are the statistical unit wherever there are at least eight; with fewer,
errors come from the autocorrelations of chains that last at least 50 autocorrelation times.
"""

from spinnet.spins.statistics.autocorrelation import (
    LEAST_LENGTH,
    Autocorrelation,
    autocorrelation,
    autocorrelation_time,
    effective_sample_size,
)
from spinnet.spins.statistics.blocking import Blocking, blocking
from spinnet.spins.statistics.chains import MIN_UNITS
from spinnet.spins.statistics.estimate import (
    Estimate,
    Monitored,
    binder_cumulant,
    derive,
    estimate,
    format_with_error,
    monitored,
    stack,
)
from spinnet.spins.statistics.mixing import (
    RHAT_MIXED,
    rank_effective_sample_size,
    rank_rhat,
    split_rhat,
)
from spinnet.spins.statistics.resampling import Derived, bootstrap, jackknife

__all__ = [
    "LEAST_LENGTH",
    "MIN_UNITS",
    "RHAT_MIXED",
    "Autocorrelation",
    "Blocking",
    "Derived",
    "Estimate",
    "Monitored",
    "autocorrelation",
    "autocorrelation_time",
    "binder_cumulant",
    "blocking",
    "bootstrap",
    "derive",
    "effective_sample_size",
    "estimate",
    "format_with_error",
    "jackknife",
    "monitored",
    "rank_effective_sample_size",
    "rank_rhat",
    "split_rhat",
    "stack",
]
