"""What a linear read-out of a random network can express along a one-dimensional input.

A half great circle of inputs x(theta), theta in [0, pi), is pushed through a network, and Fourier
modes in theta are regressed linearly on its outputs.  The angular error of a target A with the fit
B is 1 - A.B / (|A| |B|): 0 where it is in reach, near 1 where it is not (Poole et al.,
arXiv:1606.05340, section 4 and figure 5).  How long a
shallow network's curve can be says :func:`~spinnet.propagation.geometry.shallow_length_bound`.

The outputs of a smooth shallow network hold high frequencies too, with amplitudes that fall off
exponentially: what can be read out depends on how finely the outputs are resolved.  The code
behind the paper's figure works in single precision, and so does the regression here unless another
resolution is given; in double precision the same shallow network reaches higher frequencies.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet import __version__
from spinnet.errors import InputError
from spinnet.memory import refuse_beyond_memory
from spinnet.progress import progress_bar
from spinnet.propagation.activations import Activation
from spinnet.propagation.simulate.curves import orthonormal_pair
from spinnet.propagation.simulate.measurement import Measurement
from spinnet.propagation.simulate.networks import Network
from spinnet.propagation.simulate.random_network import layer_widths, network
from spinnet.randomness import RandomState, generator, seed_record, seed_sequence
from spinnet.validation import finite_array, integer, positive_float

Array = NDArray[np.float64]
SINGLE_PRECISION = 2.0**-24


@dataclass(frozen=True, eq=False)
class Regression:
    """A linear regression on features.

    Attributes
    ----------
    fit : ndarray, shape (n_points, n_targets)
    angular_error : ndarray, shape (n_targets,)
        1 - A.fit / (|A| |fit|), which is 1 - sqrt(R^2).
    rank : int
        Number of directions of the features above rounding.
    """

    fit: Array
    angular_error: Array
    rank: int


@dataclass(frozen=True, eq=False)
class FourierErrors:
    """Angular errors of Fourier modes, in several networks.

    Attributes
    ----------
    frequencies : ndarray of int
        Periods along the half circle.
    error : Measurement
        samples (n_networks, n_frequencies), the average of sine and cosine.
    rank : Measurement
        samples (n_networks,): directions of the outputs above the resolution.
    """

    frequencies: NDArray[np.int64]
    error: Measurement
    rank: Measurement


@dataclass(frozen=True, eq=False)
class Variation:
    """Total variation of a curve's coordinates, and what it bounds.

    Attributes
    ----------
    total_variation : ndarray, shape (width,)
        Of each coordinate.
    sign_changes : ndarray of int, shape (width,)
        How often each coordinate turns round, cyclically for a closed curve.
    euclidean_length : float
        Length of the polygon through the points, at most the sum of `total_variation`.
    """

    total_variation: Array
    sign_changes: NDArray[np.int64]
    euclidean_length: float


def half_great_circle(
    width: int, n_points: int, *, q: float = 1.0, rng: RandomState = None
) -> tuple[Array, Array]:
    """Return angles theta in [0, pi) and points of squared length `width` q, of random directions.

    Returns
    -------
    theta : ndarray, shape (n_points,)
        Evenly spaced, pi left out.
    x : ndarray, shape (n_points, width)
    """
    size = integer("width", width, minimum=2)
    count = integer("n_points", n_points, minimum=2)
    refuse_beyond_memory(8.0 * size * count, "the inputs", "take fewer points")
    radius = math.sqrt(size * positive_float("q", q))
    theta = np.pi * np.arange(count) / count
    u = orthonormal_pair(generator(rng), size)
    return theta, radius * (np.cos(theta)[:, None] * u[0] + np.sin(theta)[:, None] * u[1])


def fourier_modes(n_points: int, frequencies: ArrayLike) -> Array:
    """Return cosines, then sines, with that many periods, shape (n_points, 2 n_frequencies)."""
    k = _frequencies(frequencies, n_points)
    angle = 2 * np.pi * np.outer(np.arange(n_points), k) / n_points
    return np.concatenate([np.cos(angle), np.sin(angle)], axis=1)


def random_function(n_points: int, bandwidth: float, *, rng: RandomState = None) -> Array:
    """Return a random periodic function of Gaussian spectrum and unit mean square.

    Mode k has independent normal coefficients of standard deviation
    exp(-(k / bandwidth)^2 / 2); there is no constant.
    """
    count = integer("n_points", n_points, minimum=4)
    k = np.arange(1, count // 2)
    envelope = np.exp(-((k / positive_float("bandwidth", bandwidth)) ** 2) / 2)
    spectrum = np.zeros(count // 2 + 1, dtype=np.complex128)
    a, b = generator(rng).standard_normal((2, k.size)) * envelope
    spectrum[1 : count // 2] = a + 1j * b
    values = np.fft.irfft(spectrum, count)
    return np.asarray(values / math.sqrt(float(np.mean(values**2))))


def regress(features: ArrayLike, targets: ArrayLike, *, resolution: float = 0.0) -> Regression:
    """Fit targets by linear combinations of features and a constant, without a penalty.

    Parameters
    ----------
    features : array_like, shape (n_points, n_features)
    targets : array_like, shape (n_points,) or (n_points, n_targets)
    resolution : float
        Directions of the features whose singular value is below `resolution` times the largest
        are left out; at least those below rounding.

    Returns
    -------
    Regression

    Notes
    -----
    The fit is the orthogonal projection on the features' left singular vectors; no normal
    equations are formed, which would square the condition number.
    """
    table = finite_array("features", features, ndim=2)
    wanted = finite_array("targets", targets)
    if wanted.ndim == 1:
        wanted = wanted[:, None]
    if wanted.ndim != 2 or len(wanted) != len(table):
        raise InputError(
            f"targets must have shape ({len(table)},) or ({len(table)}, n_targets), "
            f"got {np.shape(targets)}"
        )
    least = positive_float("resolution", resolution, zero=True)
    if least >= 1:
        raise InputError(f"resolution must be below 1, got {resolution}")
    q, r = np.linalg.qr(np.concatenate([table, np.ones((len(table), 1))], axis=1))
    left, scales, _ = np.linalg.svd(r)
    rounding = max(table.shape) * float(np.finfo(float).eps)
    rank = int(np.sum(scales > max(rounding, least) * scales[0]))
    basis = q @ left[:, :rank]
    coordinates = basis.T @ wanted
    norms = np.linalg.norm(wanted, axis=0)
    if not np.all(norms > 0):
        raise InputError("targets must not be 0 everywhere")
    cosine = np.linalg.norm(coordinates, axis=0) / norms
    return Regression(basis @ coordinates, 1 - np.minimum(cosine, 1.0), rank)


def outputs(net: Network, x: ArrayLike) -> Array:
    """Return h^depth for a batch of inputs, in double precision; no other layer is kept."""
    batch, _ = net.as_batch(x, 0)
    last = batch
    for step in net.walk(batch):
        last = step.h
    return np.asarray(last, dtype=np.float64)


def fourier_errors(
    activation: str | Activation,
    hidden_widths: Sequence[int],
    sigma_w: float,
    sigma_b: float,
    *,
    n_in: int = 500,
    n_out: int = 500,
    n_points: int = 10_000,
    frequencies: ArrayLike | None = None,
    q: float = 1.0,
    resolution: float = SINGLE_PRECISION,
    n_networks: int = 5,
    progress: bool = False,
    rng: RandomState = None,
) -> FourierErrors:
    """Measure which Fourier modes can be read out linearly from random networks.

    Parameters
    ----------
    activation : str or Activation
    hidden_widths : sequence of int
        Widths of the hidden layers; may be empty.  Above them is a linear layer of `n_out`
        outputs, so that networks of all depths and widths offer equally many features.
    sigma_w, sigma_b : float
    n_in, n_out : int
    n_points : int
        Points on the half great circle of inputs.
    frequencies : array_like of int, optional
        Periods along the half circle; by default 1, ..., 199.
    q : float
        Squared length of inputs per component.
    resolution : float
        Of the outputs, relative to the largest singular value; see :func:`regress`.  By default
        that of single precision.
    n_networks : int
        Each with its own half circle.
    progress : bool
    rng : None, int, SeedSequence or Generator

    Returns
    -------
    FourierErrors

    Notes
    -----
    A random subspace of n dimensions leaves an error of 1 - sqrt(n / n_points): only errors below
    that, with n the rank, show that a mode is in reach.
    """
    points = integer("n_points", n_points, minimum=4)
    n_features = integer("n_out", n_out, minimum=1)
    if points < 2 * (n_features + 1):
        raise InputError(
            f"n_points must be >= 2 (n_out + 1) = {2 * (n_features + 1)}, got {points}: fewer "
            "points are fitted whatever the features are"
        )
    k = _frequencies(np.arange(1, 200) if frequencies is None else frequencies, points)
    count = integer("n_networks", n_networks, minimum=1)
    if not np.iterable(hidden_widths):
        raise InputError(f"hidden_widths must be a sequence of widths, got {hidden_widths!r:.80}")
    n_in = integer("n_in", n_in, minimum=2)
    widths = layer_widths([n_in, *hidden_widths, n_features])
    refuse_beyond_memory(
        8.0 * points * (3 * max(widths) + 4 * n_features + 4 * k.size) + 8.0 * count * k.size,
        f"{points} inputs in widths {list(widths)} of {count} networks",
        "take fewer points",
    )
    modes = fourier_modes(points, k)
    root = seed_sequence(rng)
    errors, ranks = np.empty((count, k.size)), np.empty(count)
    parameters: Mapping[str, object] = {}
    with progress_bar(count, progress, "network") as bar:
        for i, child in enumerate(root.spawn(count)):
            inputs, weights = child.spawn(2)
            net = network(activation, widths, sigma_w, sigma_b, keep_weights=False, rng=weights)
            _, x = half_great_circle(n_in, points, q=q, rng=inputs)
            found = regress(outputs(net, x), modes, resolution=resolution)
            errors[i] = found.angular_error.reshape(2, -1).mean(axis=0)
            ranks[i] = found.rank
            parameters = {**net.parameters, "n_points": points, "q": q}
            parameters = {**parameters, "resolution": resolution}
            bar.update()
    common: dict[str, Any] = {
        "parameters": parameters,
        "seed": seed_record(root),
        "version": __version__,
    }
    return FourierErrors(
        k,
        Measurement("angular_error", errors, **common),
        Measurement("rank", ranks, **common),
    )


def variation(points: ArrayLike, *, closed: bool = False) -> Variation:
    """Return total variations, turning points and length of a curve given by its points.

    Parameters
    ----------
    points : array_like, shape (n_points, width)
        In the order of the curve, dense enough to show every turn.
    closed : bool
        Whether the last point is joined to the first.
    """
    table = finite_array("points", points, ndim=2)
    if len(table) < 3:
        raise InputError(f"points must hold at least 3 points, got {len(table)}")
    steps = np.diff(table, axis=0, append=table[:1]) if closed else np.diff(table, axis=0)
    return Variation(
        np.abs(steps).sum(axis=0),
        _turns(np.sign(steps).astype(np.int8), closed),
        float(np.linalg.norm(steps, axis=1).sum()),
    )


def _turns(signs: NDArray[np.int8], closed: bool) -> NDArray[np.int64]:
    """Count sign changes down the columns; a step of 0 keeps the sign before it."""
    rows = np.arange(len(signs))[:, None]
    latest = np.maximum.accumulate(np.where(signs != 0, rows, -1), axis=0)
    held = np.where(latest >= 0, np.take_along_axis(signs, np.maximum(latest, 0), axis=0), 0)
    changes = np.sum((held[1:] != held[:-1]) & (held[:-1] != 0), axis=0)
    if closed:
        first = np.take_along_axis(signs, np.argmax(signs != 0, axis=0)[None], axis=0)[0]
        changes = changes + ((held[-1] != first) & (first != 0))
    return np.asarray(changes, dtype=np.int64)


def _frequencies(frequencies: ArrayLike, n_points: int) -> NDArray[np.int64]:
    given = finite_array("frequencies", frequencies, ndim=1)
    k = given.astype(np.int64)
    if k.size == 0 or np.any(k != given) or np.any(k < 1) or np.any(2 * k >= n_points):
        raise InputError(
            f"frequencies must be integers from 1 to below n_points / 2 = {n_points / 2:g}, "
            f"got {given.tolist()!r:.80}"
        )
    return k
