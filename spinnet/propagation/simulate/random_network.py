"""Random networks: weights and biases drawn layer by layer from streams of their own."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from spinnet import __version__
from spinnet.errors import InputError
from spinnet.memory import refuse_beyond_memory
from spinnet.propagation.activations import Activation, get_activation
from spinnet.propagation.noise import Noise, resolve_noise
from spinnet.propagation.simulate.drawing import DrawnLayers, orthogonal, symmetric_stable
from spinnet.propagation.simulate.networks import Network, shortened
from spinnet.randomness import RandomState, generator, seed_record, seed_sequence
from spinnet.validation import bounded_array, choice, integer, positive_array, positive_float

Array = NDArray[Any]
_SMALLEST_ALPHA = 0.5  # below it the largest of many draws leaves the range of float32


def network(
    activation: str | Activation,
    widths: Sequence[int],
    sigma_w: float | ArrayLike,
    sigma_b: float | ArrayLike,
    *,
    stable_alpha: float = 2.0,
    weights: str = "gaussian",
    keep: float = 1.0,
    noise: Noise | None = None,
    dtype: DTypeLike = np.float64,
    keep_weights: bool = True,
    rng: RandomState = None,
) -> Network:
    r"""Draw a random network.

    .. math:: W^l_{ij} \sim N(0, \sigma_w^2 / N_{l-1}), \quad b^l_i \sim N(0, \sigma_b^2)

    With `stable_alpha` < 2, W = sigma_w N_{l-1}^(-1/stable_alpha) z and b = sigma_b z, where z has
    the characteristic function exp(-|t|^stable_alpha / 2).

    Parameters
    ----------
    activation : str or Activation
    widths : sequence of int
        N_0 (the input), N_1, ..., N_depth.
    sigma_w, sigma_b : float, or one number per layer
        Standard deviations, not variances.
    stable_alpha : float
        Tail index of the weights and biases, 0.5 to 2; 2 is Gaussian.
    weights : {"gaussian", "orthogonal"}
        "orthogonal": W is sigma_w times a Haar orthogonal matrix (rectangular ones keep
        E[W_ij^2] = sigma_w^2 / N_{l-1}, and have orthogonal rows or columns).
    keep : float
        Dropout: probability to keep a unit, 1 for none; each input has masks of its own.
    noise : Dropout, MultiplicativeGaussian or AdditiveGaussian, optional
        In place of `keep`.
    dtype : float32 or float64
        The weights are drawn in double precision and rounded: a seed means the same network.
    keep_weights : bool
        False draws the weights of a layer whenever they are used, in place of holding all.
    rng : None, int, SeedSequence or Generator

    Returns
    -------
    Network

    Raises
    ------
    InputError
        For arguments outside of the above, or weights beyond the memory.

    Examples
    --------
    >>> net = network("tanh", [10, 200, 200], sigma_w=1.5, sigma_b=0.3, rng=7)
    >>> [h.shape for h in net.forward([0.5] * 10)]
    [(200,), (200,)]
    """
    function = get_activation(activation)
    sizes = layer_widths(widths)
    depth = len(sizes) - 1
    scales = _per_layer("sigma_w", sigma_w, depth), _per_layer("sigma_b", sigma_b, depth)
    alpha = positive_float("stable_alpha", stable_alpha)
    if not _SMALLEST_ALPHA <= alpha <= 2:
        raise InputError(f"stable_alpha must be from {_SMALLEST_ALPHA} to 2, got {stable_alpha}")
    kind = choice("weights", weights, ("gaussian", "orthogonal"))
    if kind == "orthogonal" and alpha != 2:
        raise InputError(
            f"weights must be 'gaussian' where stable_alpha < 2, got 'orthogonal' with {alpha}"
        )
    precision = _precision(dtype)
    disturbance = resolve_noise(keep, noise)
    entries = [n_out * n_in for n_in, n_out in itertools.pairwise(sizes)]
    if not isinstance(keep_weights, (bool, np.bool_)):
        raise InputError(f"keep_weights must be True or False, got {keep_weights!r:.80}")
    kept = sum(entries) if keep_weights else 0
    # the largest layer is drawn in double precision before it is scaled and rounded
    refuse_beyond_memory(
        float(kept) * precision.itemsize + 24.0 * max(entries),
        f"the weights of widths {shortened(sizes)}",
        "take smaller widths" + (", or keep_weights=False" if keep_weights else ""),
    )
    root = seed_sequence(rng)
    streams = [seed.spawn(2) for seed in root.spawn(depth + 1)]

    def draw_weights(k: int) -> Array:
        stream = generator(streams[k + 1][0])
        n_in, n_out = sizes[k], sizes[k + 1]
        if kind == "orthogonal":
            matrix = scales[0][k] * orthogonal(stream, n_out, n_in)
        else:
            matrix = symmetric_stable(stream, alpha, (n_out, n_in))
            matrix *= scales[0][k] * n_in ** (-1 / alpha)
        return _rounded(matrix, precision)

    def draw_biases(k: int) -> Array:
        vector = symmetric_stable(generator(streams[k + 1][1]), alpha, (sizes[k + 1],))
        return _rounded(scales[1][k] * vector, precision)

    lazy = DrawnLayers(draw_weights, depth), DrawnLayers(draw_biases, depth)
    parameters = {
        "activation": function.name,
        "widths": list(sizes),
        "sigma_w": _compact(scales[0]),
        "sigma_b": _compact(scales[1]),
        "stable_alpha": alpha,
        "weights": kind,
        "noise": repr(disturbance),
        "dtype": precision.name,
        "version": __version__,
    }
    return Network(
        function,
        tuple(lazy[0]) if keep_weights else lazy[0],
        tuple(lazy[1]) if keep_weights else lazy[1],
        sizes,
        disturbance,
        streams[0][0],
        precision,
        MappingProxyType(parameters),
        MappingProxyType(dict(seed_record(root))),
    )


def layer_widths(widths: Sequence[int]) -> tuple[int, ...]:
    """Return `widths` as integers; refuse fewer than two."""
    try:
        given = list(widths)
    except TypeError as error:
        raise InputError(
            f"widths must be a sequence N_0, N_1, ..., N_depth, got {widths!r:.80}"
        ) from error
    if len(given) < 2:
        raise InputError(f"widths must hold at least input and output, got {given!r:.80}")
    return tuple(integer(f"widths[{k}]", n, minimum=1) for k, n in enumerate(given))


def _per_layer(name: str, value: ArrayLike, depth: int) -> NDArray[np.float64]:
    array = bounded_array(name, positive_array(name, value, zero=True))
    if array.shape not in ((), (depth,)):
        raise InputError(
            f"{name} must be one number or one per layer, shape ({depth},), got {array.shape}"
        )
    return np.array(np.broadcast_to(array, (depth,)))


def _compact(scales: NDArray[np.float64]) -> float | list[float]:
    return float(scales[0]) if np.all(scales == scales[0]) else scales.tolist()


def _precision(dtype: DTypeLike) -> np.dtype[Any]:
    try:
        precision = np.dtype(dtype)
    except TypeError as error:
        raise InputError(f"dtype must be float32 or float64, got {dtype!r:.80}") from error
    if precision not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise InputError(f"dtype must be float32 or float64, got {precision}")
    return precision


def _rounded(array: NDArray[np.float64], precision: np.dtype[Any]) -> Array:
    with np.errstate(over="ignore"):
        result = array.astype(precision, copy=False)
    if not np.isfinite(result).all():
        raise InputError(
            f"weights leave the range of {precision}: take a smaller sigma_w or sigma_b, a larger "
            "stable_alpha, or dtype=float64"
        )
    result.flags.writeable = False
    return result
