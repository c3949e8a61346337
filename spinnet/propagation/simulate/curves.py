"""A circle pushed through a network, with its exact tangents and second derivatives.

With h = h^l(theta), v = dh/dtheta and a = d^2 h/dtheta^2, one layer maps

    h' = W phi(h) + b,   v' = W (phi'(h) v),   a' = W (phi''(h) v^2 + phi'(h) a).

Per neuron, as in Poole et al. (arXiv:1606.05340, section 3): the metric is |v|^2 / N, and
`curvature_squared` is N kappa^2 with kappa the curvature of the curve in R^N.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet import __version__
from spinnet.errors import InputError, KinkedActivationError
from spinnet.memory import refuse_beyond_memory
from spinnet.propagation.simulate.corruption import draw_noise
from spinnet.randomness import RandomState, generator, seed_record, seed_sequence
from spinnet.validation import finite_array, integer, positive_float

if TYPE_CHECKING:
    from spinnet.propagation.simulate.networks import Network

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Curve:
    """The image of a circle in every layer of one network.

    Attributes
    ----------
    theta : ndarray, shape (n_theta,)
    closed : bool
        Whether `theta` covers the circle evenly, so that integrals run over all of it.
    q : float
        Squared radius per neuron in layer 1.
    layers : ndarray of int
        1, ..., depth; the first axis of all that follows.
    widths : ndarray of int
        Neurons of each layer.
    length : ndarray, shape (depth, n_theta)
        q^l(theta) = |h|^2 / N.
    metric : ndarray, shape (depth, n_theta)
        g^E = |v|^2 / N.
    curvature_squared : ndarray, shape (depth, n_theta), or None
        N kappa^2; None where it was not asked for, NaN where the curve stands still.
    gauss_metric : ndarray, shape (depth, n_theta), or None
        g^G = kappa^2 |v|^2, the squared speed of the unit tangent.
    autocorrelation : ndarray, shape (depth, n_theta), or None
        c^l(Delta theta) = int dtheta h(theta) . h(theta + Delta theta) / int dtheta |h(theta)|^2 at
        Delta theta = `theta` - theta_0, the average over the circle; None unless `closed`.
    points : dict of int to ndarray
        h^l(theta), shape (n_theta, N_l), of the layers kept.
    parameters : dict
        Of the network, with its seed.
    seed : dict
        Of the circle's directions and of the noise.
    version : str
    """

    theta: NDArray[np.float64]
    closed: bool
    q: float
    layers: NDArray[np.int64]
    widths: NDArray[np.int64]
    length: NDArray[np.float64]
    metric: NDArray[np.float64]
    curvature_squared: NDArray[np.float64] | None
    gauss_metric: NDArray[np.float64] | None
    autocorrelation: NDArray[np.float64] | None
    points: Mapping[int, Array]
    parameters: Mapping[str, object]
    seed: Mapping[str, object]
    version: str

    @property
    def length_euclidean(self) -> NDArray[np.float64]:
        """L^E = int dtheta sqrt(N g^E) in R^N, shape (depth,)."""
        return self.integrate(np.sqrt(self.widths[:, None] * self.metric))

    @property
    def length_gauss(self) -> NDArray[np.float64]:
        """L^G = int dtheta sqrt(g^G), the length of the unit tangent's curve, shape (depth,)."""
        if self.gauss_metric is None:
            raise InputError("the Gauss length needs the curvature; call curve(curvature=True)")
        return self.integrate(np.sqrt(self.gauss_metric))

    def integrate(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the integral over theta of values (..., n_theta)."""
        if self.closed:
            return np.asarray(values.mean(axis=-1) * 2 * np.pi)
        return np.asarray(np.trapezoid(values, self.theta, axis=-1))

    def principal_components(
        self, layer: int, n_components: int = 5
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the curve's coordinates along its principal axes in one layer.

        Parameters
        ----------
        layer : int
            One of the layers kept (``keep_points=``).
        n_components : int

        Returns
        -------
        coordinates : ndarray, shape (n_theta, n_components)
            Of the curve about its mean; the first axis carries the most variance.
        explained : ndarray, shape (n_components,)
            Share of the variance along each axis.
        """
        if layer not in list(self.points):
            raise InputError(
                f"layer must be one whose points were kept ({sorted(self.points) or 'none'}), got "
                f"{layer!r}; call curve(keep_points=[{layer!r}])"
            )
        points = np.asarray(self.points[layer], dtype=np.float64)
        most = min(points.shape)
        count = integer("n_components", n_components, minimum=1, maximum=most)
        left, scales, _ = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)
        total = float(np.sum(scales**2))
        if total == 0:
            raise InputError(f"the curve is one point in layer {layer}: it has no principal axes")
        return left[:, :count] * scales[:count], scales[:count] ** 2 / total


def push_circle(
    network: Network,
    theta: int | ArrayLike = 256,
    q: float = 1.0,
    *,
    curvature: bool = True,
    keep_points: Sequence[int] = (),
    rng: RandomState = None,
) -> Curve:
    r"""Push a circle of first-layer pre-activations through a network.

    .. math:: h^1(\theta) = \sqrt{N_1 q}\,(u_0 \cos\theta + u_1 \sin\theta)

    with orthonormal u_0, u_1 of random directions.  The first layer's weights are not used.  Noise
    is drawn once per layer for all of the circle: it would not stay a curve otherwise.

    Parameters
    ----------
    network : Network
    theta : int or array_like, shape (n_theta,)
        Angles, increasing; a number n stands for n angles that cover the circle evenly.
    q : float
        Squared radius per neuron.
    curvature : bool
        Whether to compute curvature and Gauss metric too, which need phi''.
    keep_points : sequence of int
        Layers whose points are kept, for :meth:`Curve.principal_components`.
    rng : None, int, SeedSequence or Generator
        Stream of the directions; by default the network's own, so that calls repeat.

    Returns
    -------
    Curve

    Raises
    ------
    KinkedActivationError
        If the activation has kinks and `curvature` is True.
    InputError
        If the first layer has fewer than two neurons, or for angles that do not increase.
    """
    if not isinstance(curvature, (bool, np.bool_)):
        raise InputError(f"curvature must be True or False, got {curvature!r:.80}")
    angles, closed = _angles(theta)
    radius_squared = positive_float("q", q)
    if not np.iterable(keep_points):
        raise InputError(f"keep_points must be a sequence of layers, got {keep_points!r:.80}")
    kept = {integer("keep_points", k, minimum=1, maximum=network.depth) for k in keep_points}
    width = network.widths[1]
    if width < 2:
        raise InputError(f"a circle needs at least 2 neurons in the first layer, got {width}")
    if curvature and not network.activation.is_smooth:
        raise KinkedActivationError(
            f"activation {network.activation.name!r} has kinks, where the curvature of the image "
            "is infinite; pass curvature=False for lengths and metric, or a smooth activation"
        )
    rows = (3 if curvature else 2) * len(angles)
    size = 4.0 * rows * max(network.widths[1:]) * network.dtype.itemsize
    size += sum(network.widths[k] for k in kept) * len(angles) * network.dtype.itemsize
    refuse_beyond_memory(size, f"a curve of {len(angles)} points", "take fewer points")

    root = seed_sequence(network.noise_seed if rng is None else rng)
    directions, noise = root.spawn(network.depth + 2)[-2:]
    u = orthonormal_pair(generator(directions), width) * math.sqrt(width * radius_squared)
    turn = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    quarter = np.stack([-turn[:, 1], turn[:, 0]], axis=1)
    parts = [(c @ u).astype(network.dtype) for c in (turn, quarter, -turn)[: rows // len(angles)]]

    table: dict[str, list[NDArray[np.float64]]] = {
        "length": [], "metric": [], "curvature_squared": [], "gauss_metric": [],
        "autocorrelation": [],
    }  # fmt: skip
    points = {}
    for layer, (h, v, a) in enumerate(_layers(network, parts, noise), start=1):
        count = h.shape[1]
        speed = dot(v, v)
        table["length"].append(dot(h, h) / count)
        table["metric"].append(speed / count)
        if a is not None:
            turning = gauss_metric(v, a, speed)
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                table["curvature_squared"].append(count * turning / speed)
            table["gauss_metric"].append(turning)
        if closed:
            table["autocorrelation"].append(circular_correlation(h))
        if layer in kept:
            points[layer] = h
    arrays = {name: np.array(rows) if rows else None for name, rows in table.items()}
    assert arrays["length"] is not None
    assert arrays["metric"] is not None
    return Curve(
        theta=angles,
        closed=closed,
        q=radius_squared,
        layers=np.arange(1, network.depth + 1),
        widths=np.array(network.widths[1:]),
        length=arrays["length"],
        metric=arrays["metric"],
        curvature_squared=arrays["curvature_squared"],
        gauss_metric=arrays["gauss_metric"],
        autocorrelation=arrays["autocorrelation"],
        points=points,
        parameters={**network.parameters, "seed": dict(network.seed)},
        seed=seed_record(root),
        version=__version__,
    )


def _layers(
    network: Network, parts: list[Array], noise: np.random.SeedSequence
) -> Iterator[tuple[Array, Array, Array | None]]:
    """Yield (h, v, a) layer after layer; a is None where only h and v are given."""
    phi = network.activation
    streams = noise.spawn(network.depth)
    for layer in range(1, network.depth + 1):
        h, v = parts[0], parts[1]
        a = parts[2] if len(parts) == 3 else None
        yield h, v, a
        if layer == network.depth:
            return
        with np.errstate(over="ignore", invalid="ignore"):
            slope = np.asarray(phi.derivative(h))
            moved = [np.asarray(phi(h)), slope * v]
            if a is not None:
                moved.append(np.asarray(phi.second_derivative(h)) * v * v + slope * a)
            factor, addition = draw_noise(
                network.noise, generator(streams[layer - 1]), (1, h.shape[1]), network.dtype
            )
            if factor is not None:
                moved = [part * factor for part in moved]
            if addition is not None:
                moved[0] = moved[0] + addition
            # one product for all: the weights may have to be drawn
            joined = np.concatenate(moved).astype(network.dtype, copy=False)
            image = joined @ network.weights[layer].T
            parts = np.split(image, len(moved))
            parts[0] = parts[0] + network.biases[layer]
            squares = dot(image, image)
        network.finite(squares, "curve", layer + 1)


def gauss_metric(v: Array, a: Array, speed: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return kappa^2 |v|^2 = |a - v (v.a)/(v.v)|^2 / (v.v); NaN where the curve stands still.

    It is free of the cancellation in kappa^2 = [(v.v)(a.a) - (v.a)^2] / (v.v)^3.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        across = a - v * (dot(v, a) / speed)[:, None]
        return np.asarray(dot(across, across) / speed)


def circular_correlation(h: Array) -> NDArray[np.float64]:
    """Return sum_k h_k . h_{k+j} / sum_k |h_k|^2 for all shifts j, by the power spectrum."""
    spectrum = np.fft.rfft(h.astype(np.float64, copy=False), axis=0)
    total = np.fft.irfft(np.sum(spectrum.real**2 + spectrum.imag**2, axis=1), len(h))
    with np.errstate(invalid="ignore"):
        return np.asarray(total / total[0])


def dot(x: Array, y: Array) -> NDArray[np.float64]:
    """Return the scalar products of rows, summed in double precision."""
    return np.asarray(np.einsum("ij,ij->i", x, y, dtype=np.float64))


def orthonormal_pair(rng: np.random.Generator, width: int) -> NDArray[np.float64]:
    """Return two orthonormal vectors of random directions, shape (2, width)."""
    q, _ = np.linalg.qr(rng.standard_normal((width, 2)))
    return np.asarray(q.T)


def _angles(theta: int | ArrayLike) -> tuple[NDArray[np.float64], bool]:
    """Return the angles, and whether they cover the circle evenly."""
    if np.ndim(theta) == 0:
        count = integer("theta", theta, minimum=3)
        refuse_beyond_memory(8.0 * count, f"{count} angles", "take fewer points")
        return 2 * np.pi * np.arange(count, dtype=np.float64) / count, True
    angles = finite_array("theta", theta, ndim=1)
    steps = np.diff(angles)
    if len(angles) < 2 or np.any(steps <= 0):
        raise InputError("theta must be at least 2 increasing angles, or a number of angles")
    if angles[-1] - angles[0] > 2 * np.pi * (1 + 1e-12):
        raise InputError("theta must not go round the circle more than once")
    even = 2 * np.pi / len(angles)
    return angles, bool(len(angles) > 2 and np.allclose(steps, even, rtol=1e-9, atol=0))
