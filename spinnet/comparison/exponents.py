"""The measured exponents: the same estimators for the data, the dual and the null models.

Four classes of observables (Oprisa & Toth, arXiv:1702.08039): weights, frequencies of
patterns by rank, frequencies of single nodes, and the activation of the layer.  What can be
seen on bits alone is estimated by :func:`bit_exponents`, which is applied unchanged to every
model, so that biases of an estimator are the same on both sides of each comparison.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from spinnet.comparison.layer import Array, Codes, StudiedLayer, bits_of, popcounts
from spinnet.errors import SpinnetWarning, StatisticsError
from spinnet.tails import PowerLawFit, ZipfFit, fit_power_law, fit_zipf

_T = TypeVar("_T")
MIN_DECADES = 1.5
P_RULED_OUT = 0.1
_UNSTABLE_SD, _UNSTABLE_SHARE = 3.0, 0.1

LABELS = {
    "weights.alpha": "weights |w|: tail of the density",
    "patterns.zipf": "patterns: frequency by rank",
    "patterns.alpha": "patterns: density of the counts",
    "nodes.zipf": "nodes: frequency by rank",
    "layer.alpha": "layer: number of active nodes",
    "layer.mean_alpha": "layer: mean activation",
}
BIT_EXPONENTS = ("patterns.zipf", "patterns.alpha", "nodes.zipf", "layer.alpha")


@dataclass(frozen=True, eq=False)
class MeasuredExponent:
    """One exponent measured on the network.

    Attributes
    ----------
    key : str
        For example "patterns.zipf"; `label` is its sentence.
    value, error : float
        Estimate and its standard deviation over the bootstrap; NaN where refused.
    interval : (float, float)
        95 %, bias-corrected.
    p_value : float
        Goodness of fit of the power law; below 0.1 it is ruled out.  NaN where not testable.
    decades : float
        Range fitted, log10.
    n_points : int
        Points (ranks or observations) fitted.
    halves : (float, float)
        The estimate on n/2 and n/4 of the inputs (for weights, of the weights).
    stable : bool
        Whether these agree with the estimate.
    status : str
        "power law not rejected", or the reason why there is none.
    note : str
        What the error covers, and other limits.
    """

    key: str
    value: float
    error: float
    interval: tuple[float, float]
    p_value: float
    decades: float
    n_points: int
    halves: tuple[float, float]
    stable: bool
    status: str
    note: str = ""

    @property
    def label(self) -> str:
        """What the exponent is of."""
        return LABELS[self.key]

    def to_dict(self) -> dict[str, object]:
        """Return plain numbers."""
        return {**self.__dict__, "label": self.label, "interval": list(self.interval)}


def bit_exponents(codes: Codes, n_units: int) -> dict[str, float]:
    """Return the exponents of one set of patterns; NaN where the data cannot carry one.

    Parameters
    ----------
    codes : ndarray of int64, shape (n_samples,)
        Pattern of each sample; unit j is bit j.
    n_units : int
    """
    unique, counts = np.unique(codes, return_counts=True)
    nodes = counts @ bits_of(unique, n_units)
    active = np.bincount(popcounts(unique), weights=counts, minlength=n_units + 1)
    sizes = np.arange(1, n_units + 1)
    return {
        "patterns.zipf": _or_nan(lambda: fit_zipf(counts).zipf),
        "patterns.alpha": _or_nan(lambda: fit_power_law(counts, discrete=True).alpha),
        "nodes.zipf": _or_nan(lambda: fit_zipf(nodes, force=True).zipf),
        "layer.alpha": _or_nan(
            lambda: fit_power_law(sizes, discrete=True, counts=active[1:]).alpha
        ),
    }


def averaged(codes: Codes, layer: StudiedLayer) -> dict[str, float]:
    """Return the exponents averaged over the layer's unit subsets, codes (n_subsets, n)."""
    rows = [bit_exponents(row, len(units)) for row, units in zip(codes, layer.subsets, strict=True)]
    return {key: _mean_of_finite([row[key] for row in rows]) for key in BIT_EXPONENTS}


def measure_exponents(
    layer: StudiedLayer,
    n_bootstrap: int,
    seed: np.random.SeedSequence,
    tick: Callable[[], None] = lambda: None,
) -> tuple[MeasuredExponent, ...]:
    """Measure all exponents of a layer, with errors from a bootstrap over its inputs."""
    for_inputs, for_fits, for_weights, for_mean, for_parts = seed.spawn(5)
    codes = layer.codes(layer.outputs)
    value = averaged(codes, layer)
    rng = np.random.default_rng(for_inputs)
    resampled = []
    for _ in range(n_bootstrap):
        chosen = rng.integers(0, layer.n_inputs, layer.n_inputs)
        resampled.append(averaged(codes[:, chosen], layer))
        tick()
    order = np.random.default_rng(for_parts).permutation(layer.n_inputs)
    parts = [averaged(codes[:, order[: layer.n_inputs // k]], layer) for k in (2, 4)]
    fits = _fit_tests(codes[0], len(layer.subsets[0]), n_bootstrap, for_fits)
    rows = [_weights_row(layer, n_bootstrap, for_weights)]
    for key in BIT_EXPONENTS:
        cloud = np.array([row[key] for row in resampled])
        halves = (parts[0][key], parts[1][key])
        rows.append(_bits_row(key, value[key], cloud, halves, fits[key], layer))
    return (*rows, _mean_row(layer, n_bootstrap, for_mean))


@dataclass(frozen=True)
class _Test:
    """Goodness of fit of one law: p-value, decades and points fitted, and the kind of data."""

    p_value: float = math.nan
    decades: float = math.nan
    n_points: int = 0
    reason: str = ""


def _fit_tests(
    codes: Codes, n_units: int, n_bootstrap: int, seed: np.random.SeedSequence
) -> Mapping[str, _Test]:
    unique, counts = np.unique(codes, return_counts=True)
    nodes = counts @ bits_of(unique, n_units)
    active = np.bincount(popcounts(unique), weights=counts, minlength=n_units + 1)
    seeds = seed.spawn(4)
    sizes = np.arange(1, n_units + 1)
    return {
        "patterns.zipf": _zipf_test(
            lambda: fit_zipf(counts, n_bootstrap=n_bootstrap, rng=seeds[0])
        ),
        "patterns.alpha": _tail_test(
            lambda: fit_power_law(counts, discrete=True, n_bootstrap=n_bootstrap, rng=seeds[1])
        ),
        "nodes.zipf": _zipf_test(
            lambda: fit_zipf(nodes, n_bootstrap=n_bootstrap, rng=seeds[2], force=True)
        ),
        "layer.alpha": _tail_test(
            lambda: fit_power_law(
                sizes, discrete=True, counts=active[1:], n_bootstrap=n_bootstrap, rng=seeds[3]
            )
        ),
    }


def _zipf_test(fit: Callable[[], ZipfFit]) -> _Test:
    try:
        result = _quiet(fit)
    except StatisticsError as error:
        return _Test(reason=f"undersampled: {error}")
    reason = ""
    if result.coverage < 0.9:
        reason = f"undersampled: coverage {result.coverage:.2f} is below 0.9"
    return _Test(result.p_value, result.decades, result.r_max, reason)


def _tail_test(fit: Callable[[], PowerLawFit]) -> _Test:
    try:
        result = _quiet(fit)
    except StatisticsError as error:
        return _Test(reason=f"not testable: {error}")
    return _Test(result.p_value, result.decades, result.n_tail)


def _bits_row(
    key: str,
    value: float,
    cloud: Array,
    halves: tuple[float, float],
    test: _Test,
    layer: StudiedLayer,
) -> MeasuredExponent:
    error, interval, failed = bias_corrected(value, cloud)
    stable = _is_stable(value, error, halves)
    note = f"bootstrap over {layer.n_inputs} inputs"
    if failed:
        note += f"; {failed} of {len(cloud)} resamples could not be fitted"
    if not layer.is_whole:
        note += (
            f"; mean of {len(layer.subsets)} random subsets of {len(layer.subsets[0])} active "
            "nodes, goodness of fit of the first"
        )
    reason = test.reason
    if key == "nodes.zipf" and not reason:
        reason = f"not testable: {test.n_points} nodes"
    if reason.startswith("undersampled"):
        value, error, interval = math.nan, math.nan, (math.nan, math.nan)
    return MeasuredExponent(
        key=key,
        value=value,
        error=error,
        interval=interval,
        p_value=test.p_value,
        decades=test.decades,
        n_points=test.n_points,
        halves=halves,
        stable=stable,
        status=reason or _status(test.p_value, test.decades, stable, value),
        note=note,
    )


def tail_exponent(values: Array) -> float:
    """Return alpha of the tail of real values; NaN where they cannot carry one."""
    return _or_nan(lambda: fit_power_law(values, discrete=False).alpha)


def _weights_row(
    layer: StudiedLayer, n_bootstrap: int, seed: np.random.SeedSequence
) -> MeasuredExponent:
    """Fit |w| of the layer as trained, without the gain of its inputs."""
    entries = np.abs(layer.network[layer.name].weights.astype(np.float64)).ravel()
    entries = entries[entries > 0]
    note = "error over resampled weights: no input enters"
    return _tail_row("weights.alpha", entries, n_bootstrap, seed, note)


def _mean_row(
    layer: StudiedLayer, n_bootstrap: int, seed: np.random.SeedSequence
) -> MeasuredExponent:
    values = layer.mean_activation
    note = f"bootstrap over {layer.n_inputs} inputs; real-valued, so no spin model predicts it"
    positive = values[values > 0]
    if len(positive) < len(values):
        note += f"; {len(values) - len(positive)} inputs with mean <= 0 left out"
    return _tail_row("layer.mean_alpha", positive, n_bootstrap, seed, note)


def _tail_row(
    key: str, values: Array, n_bootstrap: int, seed: np.random.SeedSequence, note: str
) -> MeasuredExponent:
    nan = math.nan
    for_fit, for_parts = seed.spawn(2)
    try:
        fit = _quiet(
            lambda: fit_power_law(values, discrete=False, n_bootstrap=n_bootstrap, rng=for_fit)
        )
    except StatisticsError as refusal:
        reason = f"not testable: {refusal}"
        return MeasuredExponent(key, nan, nan, (nan, nan), nan, nan, 0, (nan, nan), False, reason)
    error = fit.alpha_bootstrap_error
    interval = (fit.alpha - 1.96 * error, fit.alpha + 1.96 * error)
    order = np.random.default_rng(for_parts).permutation(len(values))
    halves = (tail_exponent(values[order[::2]]), tail_exponent(values[order[::4]]))
    stable = _is_stable(fit.alpha, error, halves)
    return MeasuredExponent(
        key=key,
        value=fit.alpha,
        error=error,
        interval=interval,
        p_value=fit.p_value,
        decades=fit.decades,
        n_points=fit.n_tail,
        halves=halves,
        stable=stable,
        status=_status(fit.p_value, fit.decades, stable, fit.alpha),
        note=note,
    )


def bias_corrected(value: float, cloud: Array) -> tuple[float, tuple[float, float], int]:
    """Return standard deviation, 95 % interval and the number of failed resamples.

    The interval is centred on 2 value - mean(cloud), and widened by the bias where that exceeds
    one standard deviation: the percentile interval of rank statistics covers far too little.
    """
    finite = cloud[np.isfinite(cloud)]
    failed = len(cloud) - len(finite)
    if len(finite) < max(2, len(cloud) / 2) or not math.isfinite(value):
        return math.nan, (math.nan, math.nan), failed
    spread, bias = float(finite.std(ddof=1)), float(finite.mean()) - value
    half = 1.96 * spread + (abs(bias) if abs(bias) > spread else 0.0)
    return spread, (value - bias - half, value - bias + half), failed


def _is_stable(value: float, error: float, halves: tuple[float, float]) -> bool:
    """Return whether n/2 and n/4 agree within 3 standard deviations or 10 %.

    The estimates are nested: the difference to n/k has variance (k - 1) error^2.
    """
    for k, part in zip((2, 4), halves, strict=True):
        allowed = max(_UNSTABLE_SD * math.sqrt(k - 1) * error, _UNSTABLE_SHARE * abs(value))
        if not abs(part - value) <= allowed:
            return False
    return True


def _status(p_value: float, decades: float, stable: bool, value: float) -> str:
    if not math.isfinite(value):
        return "not testable: no fit"
    if p_value < P_RULED_OUT:
        shown = f"p = {p_value:.3f}" if p_value >= 0.01 else "p < 0.01"
        return f"no power law: {shown}, {P_RULED_OUT} is needed"
    if decades < MIN_DECADES:
        return f"no power law: {decades:.2f} decades are below {MIN_DECADES}"
    if not stable:
        return "no power law: unstable in the number of inputs"
    return "power law not rejected"


def _quiet(fit: Callable[[], _T]) -> _T:
    """Fit without the warnings of a single fit: the row says what limits it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SpinnetWarning)
        return fit()


def _or_nan(fit: Callable[[], float]) -> float:
    try:
        return float(_quiet(fit))
    except StatisticsError:
        return math.nan


def _mean_of_finite(values: list[float]) -> float:
    finite = [v for v in values if math.isfinite(v)]
    return float(np.mean(finite)) if 2 * len(finite) > len(values) else math.nan
