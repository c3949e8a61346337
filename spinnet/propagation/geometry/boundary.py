r"""Decision boundaries of finite networks: where they are, and how they curve.

A linear read-out of the last layer's activities, G = readout . phi(h^depth), classifies by its
sign.  Seen in the space of an earlier layer, {G = 0} is a hypersurface; its principal curvatures
are the eigenvalues of P (Hess G) P / |grad G| on the tangent space, with P = 1 - g g^T and g the
unit normal along grad G (Poole et al., arXiv:1606.05340, section 5).  A sphere of radius R with
the normal pointing outwards has +1/R.  Gradient and Hessian are pulled back layer by layer:

    grad^{l-1} = D W^T grad^l,
    Hess^{l-1} = D W^T Hess^l W D + diag(phi''(h^{l-1}) * W^T grad^l),   D = diag(phi'(h^{l-1})).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet import __version__
from spinnet.errors import ConvergenceError, InputError, KinkedActivationError
from spinnet.memory import refuse_beyond_memory
from spinnet.propagation.simulate.corruption import is_silent
from spinnet.propagation.simulate.networks import Network, Step
from spinnet.randomness import RandomState, generator, seed_record, seed_sequence
from spinnet.validation import finite_array, integer, positive_float

Array = NDArray[np.float64]
_BLOCK = 2.0**28  # bytes of the Hessians worked on together


@dataclass(frozen=True, eq=False)
class BoundaryPoints:
    """Points of a decision boundary.

    Attributes
    ----------
    points : ndarray, shape (n_points, width)
        Of squared length N q, in the space of `layer`.
    layer : int
        0 for inputs, l for pre-activations h^l.
    values : ndarray, shape (n_points,)
        G at the points: rounding.
    readout : ndarray, shape (N_depth,)
    parameters : dict
        Of the network, with its seed.
    seed : dict
        Of the search and of the read-out.
    version : str
    """

    points: Array
    layer: int
    values: Array
    readout: Array
    parameters: Mapping[str, object]
    seed: Mapping[str, object]
    version: str


@dataclass(frozen=True, eq=False)
class BoundaryCurvature:
    """Principal curvatures of a decision boundary, layer by layer.

    Attributes
    ----------
    layers : ndarray of int
        The layers whose space the boundary is seen in, from where the points are to the last.
    curvatures : list of ndarray, each (n_points, N_l - 1)
        Principal curvatures in the space of each layer, decreasing.
    gradient_norm : ndarray, shape (n_layers, n_points)
        |grad G| there.
    points : ndarray, shape (n_points, N_l)
        In the space of the first of `layers`.
    readout : ndarray, shape (N_depth,)
    parameters : dict
        Of the network, with its seed.
    version : str
    """

    layers: NDArray[np.int64]
    curvatures: list[Array]
    gradient_norm: Array
    points: Array
    readout: Array
    parameters: Mapping[str, object]
    version: str

    def largest(self, count: int = 1) -> Array:
        """Return the `count` most positive curvatures, shape (n_layers, n_points, count)."""
        return np.stack([k[:, : self._count(count)] for k in self.curvatures])

    def smallest(self, count: int = 1) -> Array:
        """Return the `count` most negative ones, the most negative first; same shape."""
        return np.stack([k[:, ::-1][:, : self._count(count)] for k in self.curvatures])

    def _count(self, count: int) -> int:
        most = min(k.shape[1] for k in self.curvatures)
        return integer("count", count, minimum=1, maximum=most)


def decision_function(
    network: Network, readout: ArrayLike, x: ArrayLike, *, layer: int = 0
) -> Array:
    """Return G = readout . phi(h^depth) at inputs, or at h^l with `layer` = l.

    Parameters
    ----------
    network : Network
        Without noise.
    readout : array_like, shape (N_depth,)
    x : array_like, shape (n_points, width) or (width,)

    Returns
    -------
    ndarray, shape (n_points,) or ()
    """
    beta = _readout(network, readout)
    last = network.forward(x, layer=layer)[-1]
    return np.asarray(np.asarray(network.activation(last), dtype=np.float64) @ beta)


def find_boundary(
    network: Network,
    n_points: int = 10,
    *,
    q: float = 1.0,
    layer: int = 1,
    readout: ArrayLike | None = None,
    rng: RandomState = None,
) -> BoundaryPoints:
    """Find points of the decision boundary by bisection along random great circles.

    Parameters
    ----------
    network : Network
    n_points : int
    q : float
        Squared length per neuron of the points, which all lie on that sphere.
    layer : int
        0 looks for inputs, l for pre-activations h^l.
    readout : array_like, shape (N_depth,), optional
        By default a random vector of unit variance per entry.
    rng : None, int, SeedSequence or Generator

    Returns
    -------
    BoundaryPoints

    Raises
    ------
    ConvergenceError
        If G has one sign on (nearly) all of the sphere: far in the ordered phase the last layer
        hardly depends on the input.
    """
    _refuse_noise(network)
    count = integer("n_points", n_points, minimum=1)
    level = integer("layer", layer, minimum=0, maximum=network.depth)
    width = network.widths[level]
    if width < 2:
        raise InputError(f"layer must have at least 2 neurons, got {width} in layer {level}")
    radius = math.sqrt(width * positive_float("q", q))
    root = seed_sequence(rng)
    streams = root.spawn(2)
    if readout is None:
        beta = generator(streams[1]).standard_normal(network.widths[-1])
    else:
        beta = _readout(network, readout)
    random = generator(streams[0])

    def value(points: Array) -> Array:
        return decision_function(network, beta, points, layer=level)

    found: list[Array] = []
    n_angles, tries = 32, 0
    while len(found) < count:
        tries += 1
        if tries > 50:
            raise ConvergenceError(
                f"found {len(found)} of {count} points of the boundary on {tries - 1} batches of "
                f"random great circles with q = {q:g}: the read-out has one sign nearly "
                "everywhere; take another q or readout, fewer layers, or a larger sigma_w",
                solution=np.array(found),
            )
        missing = min(count - len(found), 64)
        u, w = orthonormal_rows(random, missing, width)
        theta = 2 * np.pi * np.arange(n_angles) / n_angles
        at = great_circles(u, w, radius)
        table = np.stack([value(at(np.full(missing, t))) for t in theta], axis=1)
        changes = table * np.roll(table, -1, axis=1) < 0
        rows = np.flatnonzero(changes.any(axis=1))
        if rows.size == 0:
            continue
        low = theta[changes[rows].argmax(axis=1)]
        along = great_circles(u[rows], w[rows], radius)
        found.extend(_bisect(value, along, low, low + theta[1]))
    points = np.array(found)
    return BoundaryPoints(
        points,
        level,
        value(points),
        beta,
        {**network.parameters, "seed": dict(network.seed)},
        dict(seed_record(root)),
        __version__,
    )


def boundary_curvature(
    network: Network, readout: ArrayLike, points: ArrayLike, *, layer: int = 0
) -> BoundaryCurvature:
    """Return the principal curvatures of level sets of G in every layer's space.

    Parameters
    ----------
    network : Network
        Without noise, of a smooth activation.
    readout : array_like, shape (N_depth,)
        G = readout . phi(h^depth).
    points : array_like, shape (n_points, width) or (width,)
        Inputs, or pre-activations h^l with `layer` = l; the level set through each is taken, the
        decision boundary where G = 0 (:func:`find_boundary`).
    layer : int

    Returns
    -------
    BoundaryCurvature
        For the layers `layer`, ..., depth.

    Raises
    ------
    KinkedActivationError
        If the activation has kinks.
    InputError
        If the gradient of G vanishes at a point.

    Notes
    -----
    A point costs about 3 N^3 operations a layer.
    """
    beta = _readout(network, readout)
    if not network.activation.is_smooth:
        raise KinkedActivationError(
            f"activation {network.activation.name!r} has kinks, so that decision boundaries have "
            "edges; take a smooth activation"
        )
    given = np.atleast_2d(finite_array("points", points))
    level = integer("layer", layer, minimum=0, maximum=network.depth)
    widths = network.widths[level:]
    if min(widths) < 2:
        raise InputError(f"every layer must have at least 2 neurons, got widths {list(widths)}")
    per_point = 4.0 * 8 * max(widths) ** 2
    refuse_beyond_memory(per_point, "the Hessian of one point", "take a narrower network")
    block = max(1, int(_BLOCK / per_point))
    parts = [
        _curvatures(network, beta, given[i : i + block], level) for i in range(0, len(given), block)
    ]
    curvatures = [np.concatenate([p[0][k] for p in parts]) for k in range(len(parts[0][0]))]
    norms = np.concatenate([p[1] for p in parts], axis=1)
    return BoundaryCurvature(
        np.arange(level, network.depth + 1),
        curvatures,
        norms,
        given,
        beta,
        {**network.parameters, "seed": dict(network.seed)},
        __version__,
    )


def principal_curvatures(gradient: Array, hessian: Array) -> Array:
    """Return the principal curvatures of level sets, decreasing.

    Parameters
    ----------
    gradient : ndarray, shape (n_points, N)
    hessian : ndarray, shape (n_points, N, N)

    Returns
    -------
    ndarray, shape (n_points, N - 1)
        Eigenvalues of Hess / |grad| restricted to the tangent space.
    """
    norm = np.linalg.norm(gradient, axis=1)
    unit = gradient / norm[:, None]
    # a reflection takes the normal to an axis; the tangent space is what the axis leaves
    axis = np.zeros(gradient.shape[1])
    axis[0] = 1.0
    sign = np.where(unit[:, :1] > 0, 1.0, -1.0)
    mirror = unit + sign * axis
    mirror /= np.linalg.norm(mirror, axis=1)[:, None]
    image = np.einsum("pij,pj->pi", hessian, mirror)
    along = np.einsum("pi,pi->p", mirror, image)
    outer = mirror[:, :, None] * (image - along[:, None] * mirror)[:, None, :]
    reflected = hessian - 2 * (outer + outer.transpose(0, 2, 1))
    tangent = reflected[:, 1:, 1:] / norm[:, None, None]
    return np.asarray(np.linalg.eigvalsh(tangent)[:, ::-1])


def orthonormal_rows(random: np.random.Generator, count: int, width: int) -> tuple[Array, Array]:
    """Return `count` pairs of orthonormal vectors of random directions, each (count, width)."""
    u, w = random.standard_normal((2, count, width))
    u /= np.linalg.norm(u, axis=1)[:, None]
    w -= np.einsum("ij,ij->i", u, w)[:, None] * u
    return u, w / np.linalg.norm(w, axis=1)[:, None]


def great_circles(u: Array, w: Array, radius: float) -> Callable[[Array], Array]:
    """Return the points of great circles as a function of their angles (n,)."""

    def at(angle: Array) -> Array:
        return np.asarray(radius * (np.cos(angle)[:, None] * u + np.sin(angle)[:, None] * w))

    return at


def _bisect(
    value: Callable[[Array], Array], along: Callable[[Array], Array], low: Array, high: Array
) -> Array:
    """Return the points between `low` and `high` where the sign changes, all at once."""
    sign = np.sign(value(along(low)))
    for _ in range(60):
        middle = (low + high) / 2
        same = np.sign(value(along(middle))) == sign
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    return along((low + high) / 2)


def _curvatures(
    network: Network, beta: Array, points: Array, level: int
) -> tuple[list[Array], Array]:
    """Return curvatures and gradient norms for one block of points, from `level` on."""
    phi = network.activation
    x, _ = network.as_batch(points, level)
    steps = list(network.walk(x, level))
    last = np.asarray(steps[-1].h, dtype=np.float64)
    gradient = np.asarray(phi.derivative(last)) * beta
    hessian = _diagonal(np.asarray(phi.second_derivative(last)) * beta)
    curvatures, norms = [], []

    def note() -> None:
        norm = np.linalg.norm(gradient, axis=1)
        if not np.all(norm > 0):
            raise InputError(
                "the gradient of the decision function vanishes at a point: its level set has no "
                "normal there; take other points"
            )
        norms.append(norm)
        curvatures.append(principal_curvatures(gradient, hessian))

    note()
    for step in reversed(steps[:-1]):
        gradient, hessian = _pull(network, step, gradient, hessian)
        note()
    if level == 0:
        w = np.asarray(network.weights[0], dtype=np.float64)
        gradient, hessian = gradient @ w, w.T @ hessian @ w
        note()
    return curvatures[::-1], np.array(norms[::-1])


def _pull(network: Network, step: Step, gradient: Array, hessian: Array) -> tuple[Array, Array]:
    """Return gradient and Hessian by the pre-activations of `step`, from the layer above."""
    w: NDArray[Any] = np.asarray(network.weights[step.layer], dtype=np.float64)
    h = np.asarray(step.h, dtype=np.float64)
    slope = np.asarray(network.activation.derivative(h))
    back = gradient @ w
    inner = w.T @ hessian @ w
    bent = np.asarray(network.activation.second_derivative(h)) * back
    hessian = slope[:, :, None] * inner * slope[:, None, :] + _diagonal(bent)
    return slope * back, hessian


def _diagonal(rows: Array) -> Array:
    result = np.zeros((*rows.shape, rows.shape[1]))
    index = np.arange(rows.shape[1])
    result[:, index, index] = rows
    return result


def _readout(network: Network, readout: ArrayLike) -> Array:
    _refuse_noise(network)
    beta = finite_array("readout", readout, ndim=1)
    if beta.shape != (network.widths[-1],):
        raise InputError(f"readout must have shape ({network.widths[-1]},), got {beta.shape}")
    return beta


def _refuse_noise(network: Network) -> None:
    if not isinstance(network, Network):
        raise InputError(f"network must be a Network, got {type(network).__name__}")
    if not is_silent(network.noise):
        raise InputError(
            f"network must be without noise, got {network.noise}: a decision boundary is one of "
            "a fixed function"
        )
