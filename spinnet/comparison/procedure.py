"""The verb ``compare``: one layer of a network against its dual and its null models."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

import spinnet
from spinnet.comparison.criticality import COPIES, study_criticality
from spinnet.comparison.exponents import MeasuredExponent, measure_exponents
from spinnet.comparison.gate import validity_gate
from spinnet.comparison.laws import DualSource, null_models
from spinnet.comparison.layer import StudiedLayer, study
from spinnet.comparison.predictions import Prediction, predict, predict_weights
from spinnet.comparison.result import Comparison
from spinnet.comparison.temperature import fit_temperature
from spinnet.comparison.verdict import judge, power_statement
from spinnet.errors import StatisticsError
from spinnet.networks import Activations, FeedForward
from spinnet.networks.observables import measure
from spinnet.progress import progress_bar
from spinnet.randomness import RandomState, seed_record, seed_sequence
from spinnet.spins.meanfield import critical_point
from spinnet.validation import integer

MIN_REPLICATES = 199  # Holm over 5 models at 5 %: 5 * 2/(R + 1) <= 0.05
_FACTORS = (0.7, 0.85, 1.0, 1.2, 1.5)  # temperatures of the dual, in units of its T_c


def compare(
    network: FeedForward | Mapping[str, NDArray[Any]],
    activations: Activations,
    *,
    layer: str | None = None,
    gain: str = "active-mean",
    n_replicates: int = 200,
    n_subsets: int = 5,
    rng: RandomState = None,
    progress: bool = False,
) -> Comparison:
    """Compare a layer's measured power laws with its dual spin system and null models.

    The layer's dual is D0 with the exact fields (see :class:`spinnet.NetworkDual`).  The
    steps: a validity gate with the real inputs clamped; the exponents of four classes of
    observables with a bootstrap over inputs; the dual's critical temperatures and exponents;
    the temperature at which the free dual is nearest to the data; the same estimators on
    replicates from the dual at several temperatures and from independent units, shuffled
    weights and untrained weights; and a verdict from a fixed vocabulary.

    Parameters
    ----------
    network : FeedForward, or mapping of str to ndarray
        The network, or its named arrays as of ``networks.load_weights``.
    activations : Activations
        Of ``networks.record(network, inputs)``, with distinct inputs.
    layer : str, optional
        Which layer; by default the last recorded one that is not the network's output.
    gain : {"active-mean", "unit"}
        What a 0/1 input stands for in the dual: the input's mean activation when on, by which
        its weights are multiplied, or 1.  The gate reports both.
    n_replicates : int
        Replicates of each model, and resamples of the data; at least 199, so that Holm's
        correction over five models can reject one at 5 %.
    n_subsets : int
        Random unit subsets for layers of more than 20 nodes.
    rng : None, int, SeedSequence or Generator
    progress : bool
        Show a progress bar on standard error.

    Returns
    -------
    Comparison

    Raises
    ------
    InputError
        For a bad argument, before any long work.
    StatisticsError
        If the dual of a wide layer does not mix at T = 1 or at the best T, which are tested.
        Other temperatures at which it does not mix are left out.

    References
    ----------
    Oprisa & Toth, arXiv:1702.08039 and arXiv:1705.11023; Clauset, Shalizi and Newman, SIAM
    Review 51, 661 (2009).
    """
    started = time.perf_counter()
    if layer is None and isinstance(activations, Activations):
        layer = activations.default_layer
    n_replicates = integer("n_replicates", n_replicates, minimum=MIN_REPLICATES)
    n_subsets = integer("n_subsets", n_subsets, minimum=1)
    seed = seed_sequence(rng)
    streams = seed.spawn(7)
    studied = study(
        network,
        activations,
        str(layer),
        gain_rule=gain,
        n_subsets=n_subsets,
        rng=np.random.default_rng(streams[0]),
    )
    critical_point(studied.dual("zero"))  # refuses a layer without a critical point at once
    n_sources = len(_FACTORS) + 2 + len(null_models(studied))
    with progress_bar(n_replicates * (n_sources + 1) + len(COPIES) + 3, progress) as bar:
        observables = measure(activations, studied.network, studied.name, rng=streams[1])
        criticality = study_criticality(studied, streams[2], bar.update)
        fit = fit_temperature(studied, criticality.saddle_temperature, streams[3])
        measured = measure_exponents(studied, n_replicates, streams[4], bar.update)
        temperatures = _temperatures(criticality.sampled_temperature, fit.best)
        predictions, unmixed = _predictions(
            studied, measured, temperatures, (1.0, fit.best), n_replicates, streams[5], bar.update
        )
        weights = predict_weights(studied, measured[0].value, n_replicates, streams[6])
    gate = validity_gate(studied)
    power = power_statement(predictions, criticality.sampled_temperature)
    if unmixed:
        power += (
            f"; left out, for its chains did not mix: T = {', '.join(f'{T:.3g}' for T in unmixed)}"
        )
    return Comparison(
        layer=studied.name,
        shape=(int(studied.weights.shape[0]), int(studied.weights.shape[1])),
        n_inputs=studied.n_inputs,
        dual=studied.dual().label,
        gate=gate,
        measured=measured,
        temperature=fit,
        criticality=criticality,
        predictions=(*predictions, weights),
        verdict=judge(measured, predictions, gate, fit, power),
        observables=observables,
        parameters={
            "layer": studied.name,
            "gain": gain,
            "n_replicates": n_replicates,
            "n_subsets": n_subsets,
            "network": repr(studied.network),
            "weights_sha256": studied.network.fingerprint(),
        },
        seed=seed_record(seed),
        version=spinnet.__version__,
        seconds=time.perf_counter() - started,
        studied=studied,
    )


def _temperatures(critical: float, best: float) -> list[float]:
    """Return the temperatures at which the dual predicts: the grid about T_c, 1 and the best.

    Grid points within 1 % of these two are left out.
    """
    tested = [1.0] if best == 1.0 else [1.0, best]
    grid = [critical * f for f in _FACTORS]
    return [T for T in grid if all(abs(T / t - 1) > 0.01 for t in tested)] + tested


def _predictions(
    layer: StudiedLayer,
    measured: tuple[MeasuredExponent, ...],
    temperatures: list[float],
    needed: tuple[float, ...],
    n_replicates: int,
    seed: np.random.SeedSequence,
    tick: Callable[[], None],
) -> tuple[tuple[Prediction, ...], tuple[float, ...]]:
    """Return the predictions, and the temperatures left out because the dual did not mix."""
    nulls = null_models(layer)
    streams = seed.spawn(2 * len(temperatures) + len(nulls))
    results, unmixed = [], []
    for k, temperature in enumerate(temperatures):
        try:
            source = DualSource(layer, temperature, streams[2 * k])
        except StatisticsError:
            if temperature in needed:
                raise
            unmixed.append(temperature)  # it only shows how the exponent moves
            continue
        results.append(
            predict(
                source,
                layer,
                measured,
                n_replicates,
                streams[2 * k + 1],
                kind="dual",
                detail=source.origin,
                temperature=temperature,
                tick=tick,
            )
        )
    for null, stream in zip(nulls, streams[2 * len(temperatures) :], strict=True):
        results.append(
            predict(
                null,
                layer,
                measured,
                n_replicates,
                stream,
                kind="null",
                detail=null.origin,
                tick=tick,
            )
        )
    return tuple(results), tuple(unmixed)
