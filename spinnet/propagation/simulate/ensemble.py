"""Measurements on several random networks, under the names of the mean-field theory.

:class:`Ensemble` takes the parameters of :class:`spinnet.propagation.MeanField` plus width and
number of networks, and its methods those of the theory: what `MeanField` predicts, `Ensemble`
measures, layer for layer.  Layer 0 is the first layer of pre-activations, which is given the
prescribed lengths and correlations exactly, in random directions; the `depth` layers after it are
random.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from spinnet import __version__
from spinnet.errors import InputError
from spinnet.memory import refuse_beyond_memory
from spinnet.progress import progress_bar
from spinnet.propagation.activations import Activation, get_activation
from spinnet.propagation.gaussian import MeanField
from spinnet.propagation.noise import Noise, resolve_noise
from spinnet.propagation.simulate.curves import dot
from spinnet.propagation.simulate.drawing import symmetric_stable
from spinnet.propagation.simulate.measurement import Measurement
from spinnet.propagation.simulate.networks import Network
from spinnet.propagation.simulate.random_network import layer_widths, network
from spinnet.randomness import RandomState, generator, seed_record, seed_sequence
from spinnet.validation import (
    choice,
    correlations,
    finite_array,
    integer,
    positive_array,
    positive_float,
)

Array = NDArray[np.float64]
_KEPT = 2**30  # bytes


@dataclass(frozen=True, eq=False)
class GradientMeasurement:
    """Back-propagated gradients delta^l = dE/dh^l; layers 0, ..., depth on the second axis.

    Attributes
    ----------
    variance : Measurement
        Mean of delta^2 over neurons, relative to the last layer's: samples
        (n_networks, depth + 1, *shape of c0), averaged over the two inputs of a pair.
    covariance : Measurement or None
        Mean of delta_a delta_b, for pairs of inputs.
    norm_squared : Measurement
        Sum of delta^2 over neurons, where the last layer's mean of delta^2 is 1, so that its sum
        is its width: what the biases' gradient has.  So has the theory's, given `widths`.
    weight_norm_squared : Measurement
        Squared Frobenius norm of dE/dW^l = delta^l (x^{l-1})^T for l = 1, ..., depth.
    """

    variance: Measurement
    covariance: Measurement | None
    norm_squared: Measurement
    weight_norm_squared: Measurement

    @property
    def total(self) -> Measurement:
        """Squared norm of the gradient by all weights and biases of layers 1 to depth."""
        parts = self.weight_norm_squared
        whole = parts.samples.sum(axis=1) + self.norm_squared.samples[:, 1:].sum(axis=1)
        return Measurement("total", whole, parts.parameters, parts.seed, parts.version)


@dataclass(frozen=True, eq=False)
class CurveMeasurement:
    """Images of a circle; averages over the curve, layers 1, ..., depth on the second axis.

    Attributes
    ----------
    metric : Measurement
        g^E per neuron, |dh/dtheta|^2 / N.
    curvature_squared, gauss_metric : Measurement or None
        N kappa^2 and kappa^2 |dh/dtheta|^2; None for activations with kinks.
    length_euclidean : Measurement
        L^E in R^N.
    length_gauss : Measurement or None
        L^G, the length of the unit tangent's curve.
    """

    metric: Measurement
    curvature_squared: Measurement | None
    gauss_metric: Measurement | None
    length_euclidean: Measurement
    length_gauss: Measurement | None


@dataclass(frozen=True, eq=False)
class JacobianMeasurement:
    """Singular values s of a Jacobian.

    Attributes
    ----------
    singular_values : ndarray, shape (n_networks, width)
        Decreasing in each network.
    mean_square : Measurement
        Average of s^2 in each network.
    relative_variance : Measurement
        Variance of s^2 over the square of its average, in each network.
    """

    singular_values: Array
    mean_square: Measurement
    relative_variance: Measurement


class Ensemble:
    """Independent random networks of one architecture.

    Parameters
    ----------
    activation : str or Activation
    sigma_w, sigma_b : float
        Standard deviations, as in :func:`spinnet.propagation.simulate.network`.
    keep : float
        Dropout: probability to keep a unit; each input has masks of its own.
    width : int
        Neurons of each layer.
    n_networks : int
        Networks of each measurement; all methods measure the same ones.
    noise : Dropout, MultiplicativeGaussian or AdditiveGaussian, optional
        In place of `keep`.
    stable_alpha, weights, dtype
        As in :func:`spinnet.propagation.simulate.network`.
    progress : bool
        Show a progress bar.
    rng : None, int, SeedSequence or Generator

    Examples
    --------
    >>> nets = Ensemble("tanh", 2.5, 0.3, width=200, n_networks=4, rng=7)
    >>> nets.propagate_length(1.0, depth=3).mean.shape
    (4,)
    """

    def __init__(
        self,
        activation: str | Activation,
        sigma_w: float,
        sigma_b: float,
        keep: float = 1.0,
        *,
        width: int = 1000,
        n_networks: int = 20,
        noise: Noise | None = None,
        stable_alpha: float = 2.0,
        weights: str = "gaussian",
        dtype: DTypeLike = np.float64,
        progress: bool = False,
        rng: RandomState = None,
    ) -> None:
        self.activation = get_activation(activation)
        self.sigma_w = positive_float("sigma_w", sigma_w, zero=True)
        self.sigma_b = positive_float("sigma_b", sigma_b, zero=True)
        self.noise = resolve_noise(keep, noise)
        self.width = integer("width", width, minimum=2)
        self.n_networks = integer("n_networks", n_networks, minimum=1)
        self._options: dict[str, Any] = {
            "stable_alpha": stable_alpha,
            "weights": weights,
            "noise": self.noise,
            "dtype": dtype,
        }
        self.progress = progress
        self.seed = seed_sequence(rng)
        # refuses what is wrong with the options before any long work
        self._record = network(
            self.activation, [1, 2], self.sigma_w, self.sigma_b, rng=0, **self._options
        ).parameters
        self.stable_alpha = float(stable_alpha)

    def __repr__(self) -> str:
        return (
            f"Ensemble({self.activation.name!r}, sigma_w={self.sigma_w:g}, "
            f"sigma_b={self.sigma_b:g}, width={self.width}, n_networks={self.n_networks})"
        )

    # ------------------------------------------------------------------ lengths, correlations
    def propagate_length(self, q0: ArrayLike, depth: int) -> Measurement:
        """Measure q^0, ..., q^depth; samples (n_networks, depth + 1, *shape of q0).

        q^l = |h^l|^2 / N.  With `stable_alpha` < 2 it is the scale of h^l given the layer before,
        sigma_w^alpha sum_j |x_j|^alpha / N + sigma_b^alpha, which is finite as |h|^2 / N is not.

        Parameters
        ----------
        q0 : array_like
            Lengths of layer 0, each of an input of its own.
        depth : int
        """
        lengths = positive_array("q0", q0, zero=True)
        flat = lengths.ravel()
        depth = integer("depth", depth, minimum=0)
        samples = self._table(depth + 1, flat.size)
        heavy = self.stable_alpha < 2
        for k, (net, start) in enumerate(self._networks([self.width] * (depth + 1))):
            h = self._start(start, flat)
            samples[k, 0] = flat
            for step in net.walk(h, 1):
                if not heavy:
                    samples[k, step.layer - 1] = dot(step.h, step.h) / self.width
                elif step.layer <= depth:
                    activity = np.abs(net.activity(step)).astype(np.float64) ** self.stable_alpha
                    scale = self.sigma_w**self.stable_alpha * activity.mean(axis=1)
                    samples[k, step.layer] = scale + self.sigma_b**self.stable_alpha
        chosen = {"q0": lengths.tolist(), "depth": depth}
        return self._measurement(
            "length", samples.reshape(*samples.shape[:2], *lengths.shape), chosen
        )

    def propagate_correlation(
        self,
        c0: ArrayLike,
        depth: int,
        *,
        q1: ArrayLike | None = None,
        q2: ArrayLike | None = None,
        distance: bool = False,
    ) -> Measurement:
        """Measure c^0, ..., c^depth; samples (n_networks, depth + 1, *broadcast shape).

        c^l is the cosine of the angle between the pre-activations of two inputs; NaN where those of
        one are all 0, as in a narrow ReLU network without biases.

        Parameters
        ----------
        c0 : array_like
            Correlations in layer 0, each of a pair of inputs of its own.
        depth : int
        q1, q2 : array_like, optional
            Lengths in layer 0; by default the theory's q_star.  With `q1` alone both have it.
        distance : bool
            Measure 1 - c, without the cancellation next to c = 1.
        """
        self._refuse_heavy_tails("correlations")
        c = correlations("c0", c0)
        depth = integer("depth", depth, minimum=0)
        if q1 is None and q2 is not None:
            raise InputError("q1 must be given where q2 is")
        first = positive_array("q1", self._q_star("q1") if q1 is None else q1)
        second = first if q2 is None else positive_array("q2", q2)
        try:
            c, first, second = (np.array(a) for a in np.broadcast_arrays(c, first, second))
        except ValueError as error:
            raise InputError(
                f"c0, q1 and q2 must broadcast, got shapes {c.shape}, {first.shape}, {second.shape}"
            ) from error
        samples = self._table(depth + 1, c.size)
        for k, (net, start) in enumerate(self._networks([self.width] * (depth + 1))):
            h = self._pairs(start, c.ravel(), first.ravel(), second.ravel())
            for step in net.walk(h, 1):
                with np.errstate(invalid="ignore"):  # 0 / 0 where all units are silent
                    unit = step.h.astype(np.float64) / np.sqrt(dot(step.h, step.h))[:, None]
                a, b = np.split(unit, 2)
                apart = dot(a - b, a - b) / 2
                samples[k, step.layer - 1] = apart if distance else 1 - apart
        samples[:, 0] = 1 - c.ravel() if distance else c.ravel()
        chosen = {
            "c0": c.tolist(),
            "q1": first.tolist(),
            "q2": second.tolist(),
            "depth": depth,
        }
        return self._measurement(
            "distance" if distance else "correlation",
            samples.reshape(*samples.shape[:2], *c.shape),
            chosen,
        )

    # ------------------------------------------------------------------ gradients
    def gradient_profile(
        self,
        depth: int,
        widths: Sequence[int] | int | None = None,
        *,
        q1: float | None = None,
        c0: ArrayLike | None = None,
    ) -> GradientMeasurement:
        """Measure back-propagated gradients of E = top . h^depth, `top` a random vector.

        Parameters
        ----------
        depth : int
        widths : int or sequence of depth + 1 ints, optional
            Neurons of layers 0, ..., depth, in place of the constant width.
        q1 : float, optional
            Length of layer 0; by default the theory's q_star.
        c0 : array_like, optional
            Correlations of pairs of inputs in layer 0, for the covariance of their gradients.
            With noise the two have masks of their own, unless it is shared.
        """
        depth = integer("depth", depth, minimum=1)
        self._table(depth + 1, 4)
        if widths is None or isinstance(widths, (int, float, np.number)):
            given = [self.width if widths is None else integer("widths", widths, minimum=2)]
            sizes = given * (depth + 1)
        else:
            sizes = list(layer_widths(widths))
            if len(sizes) != depth + 1:
                raise InputError(f"widths must hold depth + 1 = {depth + 1} numbers, got {sizes}")
        if c0 is not None:
            self._refuse_heavy_tails("covariances of gradients")
        q = positive_float("q1", self._q_star("q1") if q1 is None else q1)
        c = None if c0 is None else correlations("c0", c0)
        if c is not None and c.size == 0:
            raise InputError("c0 must hold at least one correlation, got an empty array")
        pairs = 1 if c is None else c.size
        shape = () if c is None else c.shape
        table = np.empty((4, self.n_networks, depth + 1, pairs))
        # weights are used twice; beyond a gigabyte they are drawn twice, and not kept
        entries = sum(a * b for a, b in itertools.pairwise(sizes))
        keep = entries * np.dtype(self._options["dtype"]).itemsize <= _KEPT
        for k, (net, start) in enumerate(self._networks(sizes, keep_weights=keep)):
            if c is None:
                h = self._start(start, np.array([q]), sizes[0])
            else:
                lengths = np.full(pairs, q)
                h = self._pairs(start, c.ravel(), lengths, lengths, sizes[0])
            steps = list(net.walk(h, 1))
            top = start.standard_normal(sizes[-1])
            top *= math.sqrt(sizes[-1] / float(top @ top))
            deltas = net.pull_back(steps, np.broadcast_to(top, (len(h), sizes[-1])))
            before = np.full(len(h), np.nan)
            for i, (step, delta) in enumerate(zip(steps, deltas, strict=True)):
                norm = dot(delta, delta)
                table[0, k, i] = norm.reshape(-1, pairs).mean(axis=0)
                table[2, k, i] = (norm * before).reshape(-1, pairs).mean(axis=0)
                if c is not None:
                    table[1, k, i] = dot(delta[:pairs], delta[pairs:]) / sizes[i]
                activity = net.activity(step)
                before = dot(activity, activity)
            table[3, k] = table[0, k] / np.array(sizes)[:, None]
        chosen = {
            "depth": depth,
            "widths": sizes,
            "q1": q,
            "c0": None if c is None else c.tolist(),
        }

        def part(name: str, index: int, first: int = 0) -> Measurement:
            samples = table[index, :, first:].reshape(self.n_networks, -1, *shape)
            return self._measurement(name, samples, chosen)

        return GradientMeasurement(
            part("gradient_variance", 3),
            None if c is None else part("gradient_covariance", 1),
            part("gradient_norm_squared", 0),
            part("weight_gradient_norm_squared", 2, 1),
        )

    # ------------------------------------------------------------------ geometry
    def propagate_curve(
        self, depth: int, q1: float | None = None, *, n_theta: int = 256
    ) -> CurveMeasurement:
        """Measure length and curvature of a circle's image in layers 1, ..., depth.

        Layer 1 is the circle itself, h(theta) = sqrt(N q1) (u0 cos theta + u1 sin theta).

        Parameters
        ----------
        depth : int
        q1 : float, optional
            By default the theory's q_star.
        n_theta : int
            Points on the circle.
        """
        self._refuse_heavy_tails("curves")
        depth = integer("depth", depth, minimum=1)
        q = positive_float("q1", self._q_star("q1") if q1 is None else q1)
        smooth = self.activation.is_smooth
        names = ["metric", "length_euclidean"]
        names += ["curvature_squared", "gauss_metric", "length_gauss"] if smooth else []
        table = {name: self._table(depth) for name in names}
        for k, (net, start) in enumerate(self._networks([self.width] * depth)):
            curve = net.curve(n_theta, q, curvature=smooth, rng=start)
            for name in names:
                values = getattr(curve, name)
                table[name][k] = values.mean(axis=1) if values.ndim == 2 else values
        chosen = {"depth": depth, "q1": q, "n_theta": n_theta}
        found = {name: self._measurement(name, table[name], chosen) for name in names}
        return CurveMeasurement(
            found["metric"],
            found.get("curvature_squared"),
            found.get("gauss_metric"),
            found["length_euclidean"],
            found.get("length_gauss"),
        )

    def autocorrelation(
        self, dtheta: ArrayLike, depth: int, *, q1: float | None = None, n_theta: int = 256
    ) -> Measurement:
        """Measure c^l(dtheta) along a circle's image; samples (n_networks, depth, n_dtheta).

        c^l(dtheta) = int dtheta h(theta) . h(theta + dtheta) / int dtheta |h(theta)|^2, where both
        integrals run over the circle.

        Parameters
        ----------
        dtheta : array_like
        depth : int
            Layers 1 (the circle itself) to `depth`.
        q1 : float, optional
            By default the theory's q_star.
        n_theta : int
            Points on the circle; the image must be resolved by them.
        """
        self._refuse_heavy_tails("curves")
        shifts = finite_array("dtheta", dtheta)
        depth = integer("depth", depth, minimum=1)
        q = positive_float("q1", self._q_star("q1") if q1 is None else q1)
        n_theta = integer("n_theta", n_theta, minimum=3)
        refuse_beyond_memory(8.0 * n_theta, f"{n_theta} angles", "take fewer points")
        modes = np.arange(n_theta // 2 + 1)
        cosines = np.cos(np.outer(modes, shifts.ravel()))
        samples = self._table(depth, shifts.size)
        for k, (net, start) in enumerate(self._networks([self.width] * depth)):
            curve = net.curve(n_theta, q, curvature=False, rng=start)
            assert curve.autocorrelation is not None
            power = np.fft.rfft(curve.autocorrelation, axis=1).real / n_theta
            power[:, 1 : (n_theta + 1) // 2] *= 2
            samples[k] = power @ cosines
        chosen = {"dtheta": shifts.tolist(), "depth": depth, "q1": q, "n_theta": n_theta}
        return self._measurement(
            "autocorrelation", samples.reshape(*samples.shape[:2], *shifts.shape), chosen
        )

    def jacobian(
        self, depth: int, *, kind: str = "pre", q1: float | None = None
    ) -> JacobianMeasurement:
        """Measure the singular values of a product of `depth` factors.

        Parameters
        ----------
        depth : int
        kind : {"pre", "post"}
            "pre": W^depth D^{depth-1} ... W^1 D^0 = dh^depth/dh^0; "post": D^depth W^depth ...
            D^1 W^1 = dx^depth/dx^0 with x = phi(h).  D^l = diag(phi'(h^l)), noise included.
        q1 : float, optional
            Length of layer 0; by default the theory's q_star.
        """
        depth = integer("depth", depth, minimum=1)
        kind = choice("kind", kind, ("pre", "post"))
        q = positive_float("q1", self._q_star("q1") if q1 is None else q1)
        self._table(depth)
        values = np.empty((self.n_networks, self.width))
        for k, (net, start) in enumerate(self._networks([self.width] * (depth + 1))):
            h = self._start(start, np.array([q]))
            values[k] = net.singular_values(h, kind=kind, layer=1)[0]
        square = values**2
        mean = square.mean(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            variance = ((square - mean[:, None]) ** 2).mean(axis=1) / mean**2
        chosen = {"depth": depth, "kind": kind, "q1": q}
        return JacobianMeasurement(
            values,
            self._measurement("mean_square", mean, chosen),
            self._measurement("relative_variance", variance, chosen),
        )

    # ------------------------------------------------------------------ parts
    def _networks(
        self, widths: Sequence[int], *, keep_weights: bool = False
    ) -> Iterator[tuple[Network, np.random.Generator]]:
        """Yield networks with layers of `widths`, and a stream for what starts in them.

        Measurements start in the first layer of pre-activations: its weights, of one input, are
        never used.
        """
        with progress_bar(self.n_networks, self.progress, "network") as bar:
            for child in seed_sequence(self.seed).spawn(self.n_networks):
                start, weights = child.spawn(2)
                net = network(
                    self.activation,
                    [1, *widths],
                    self.sigma_w,
                    self.sigma_b,
                    keep_weights=keep_weights,
                    rng=weights,
                    **self._options,
                )
                yield net, generator(start)
                bar.update()

    def _table(self, *shape: int) -> Array:
        """Return an array for one measurement in each network; refuse one too large."""
        whole = (self.n_networks, *shape)
        refuse_beyond_memory(
            8.0 * math.prod(whole), f"a table of shape {whole}", "take fewer layers or networks"
        )
        return np.empty(whole)

    def _start(self, rng: np.random.Generator, q: Array, width: int | None = None) -> Array:
        """Return pre-activations of lengths q (n,), each in a random direction."""
        shape = (q.size, width or self.width)
        h = symmetric_stable(rng, self.stable_alpha, shape)
        if self.stable_alpha < 2:
            return self._cast(q[:, None] ** (1 / self.stable_alpha) * h)
        return self._cast(h * np.sqrt(shape[1] * q / dot(h, h))[:, None])

    def _pairs(
        self, rng: np.random.Generator, c: Array, q1: Array, q2: Array, width: int | None = None
    ) -> Array:
        """Return n pairs of pre-activations, the first of all pairs before the second."""
        n = width or self.width
        if n < 2:
            raise InputError(f"widths must start with at least 2 neurons for pairs, got {n}")
        u, w = rng.standard_normal((2, c.size, n))
        u /= np.sqrt(dot(u, u))[:, None]
        w -= dot(u, w)[:, None] * u
        w /= np.sqrt(dot(w, w))[:, None]
        second = c[:, None] * u + np.sqrt((1 - c) * (1 + c))[:, None] * w
        first, second = np.sqrt(n * q1)[:, None] * u, np.sqrt(n * q2)[:, None] * second
        return self._cast(np.concatenate([first, second]))

    def _cast(self, h: Array) -> NDArray[Any]:
        return h.astype(self._options["dtype"], copy=False)

    def _q_star(self, name: str) -> float:
        if self.stable_alpha < 2:
            raise InputError(f"{name} must be given where stable_alpha < 2")
        theory = MeanField(self.activation, self.sigma_w, self.sigma_b, noise=self.noise)
        if not 0 < theory.q_star < math.inf:
            raise InputError(
                f"{name} must be given: the length map of {theory!r} has the fixed point "
                f"{theory.q_star}"
            )
        return theory.q_star

    def _refuse_heavy_tails(self, what: str) -> None:
        if self.stable_alpha < 2:
            raise InputError(
                f"stable_alpha must be 2 for {what}, got {self.stable_alpha}: they are defined by "
                "variances; simulate.network(...).forward gives the layers themselves"
            )

    def _measurement(self, name: str, samples: Array, chosen: Mapping[str, object]) -> Measurement:
        parameters = {**self._record, "widths": self.width, **chosen}
        record = MappingProxyType(dict(seed_record(self.seed)))
        return Measurement(name, samples, MappingProxyType(parameters), record, __version__)
