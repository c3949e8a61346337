"""Activations: the function, its derivatives, its kinks, and its Gaussian averages.

`get_activation` turns a name into one of the activations below; :class:`Activation` makes one of
the user's own function.  The averages over Gaussian pre-activations are those of
``activation.kernel`` (see :mod:`spinnet.propagation.kernels`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from spinnet.errors import InputError, did_you_mean
from spinnet.propagation.kernels.nodes import erf_nodes_of_tanh
from spinnet.validation import finite_array, finite_float

if TYPE_CHECKING:
    from spinnet.propagation.kernels.base import Kernel

Array = NDArray[Any]
Function = Callable[[Array], Array]

_SELU_SCALE = 1.0507009873554804934193349852946
_SELU_ALPHA = 1.6732632423543772848170429916717


class Activation:
    """A nonlinearity phi, with what the theory of random networks needs of it.

    Parameters
    ----------
    f, derivative : callable
        phi and phi', from an array to an array of the same shape.  At a kink `derivative` may
        take either of its one-sided values.
    second_derivative : callable, optional
        phi'' away from the kinks.  Where it is left out, `derivative` is differentiated
        numerically.
    kinks : sequence of float, optional
        Where phi' jumps.  None (the default) looks for jumps of phi' on [-50, 50]; an empty
        sequence declares that there are none.
    name : str, optional

    Attributes
    ----------
    kinks : tuple of float
        Places at which phi' jumps, increasing.
    slope_jumps : tuple of float
        Size of the jump of phi' at each of them.
    kernel : Kernel
        Gaussian averages of phi; made at the first use.

    Raises
    ------
    InputError
        If a function returns another shape or values that are not finite, if phi itself jumps,
        or if `kinks` names a place where phi' does not jump.

    Examples
    --------
    >>> import numpy as np
    >>> swish2 = Activation(
    ...     lambda x: x / (1 + np.exp(-2 * x)),
    ...     lambda x: (1 + np.exp(-2 * x) * (1 + 2 * x)) / (1 + np.exp(-2 * x)) ** 2,
    ...     name="swish2",
    ...     kinks=(),
    ... )
    >>> swish2.is_smooth
    True
    """

    def __init__(
        self,
        f: Function,
        derivative: Function,
        second_derivative: Function | None = None,
        *,
        kinks: Sequence[float] | None = None,
        name: str | None = None,
    ) -> None:
        from spinnet.propagation.detection import (
            Continued,
            check_functions,
            find_kinks,
            slope_jumps,
        )

        for argument, function in (("f", f), ("derivative", derivative)):
            if not callable(function):
                raise InputError(f"{argument} must be a function of an array, got {function!r:.80}")
        if name is not None and not isinstance(name, str):
            raise InputError(f"name must be a string, got {name!r:.80}")
        self.name = name or getattr(f, "__name__", "custom").replace("<lambda>", "custom")
        check_functions(f, derivative, second_derivative)
        # formulas that overflow, as naive ones do, go on where they would
        self._derivative: Function = Continued(derivative)
        self._f: Function = Continued(f, self._derivative)
        self._second: Function | None = (
            None if second_derivative is None else Continued(second_derivative)
        )
        if kinks is None:
            self.kinks = find_kinks(f, derivative)
        else:
            places = finite_array("kinks", kinks, ndim=1)
            self.kinks = tuple(float(x) for x in np.unique(places))
        self.slope_jumps = slope_jumps(f, derivative, self.kinks, declared=kinks is not None)
        self._make_kernel: Callable[[], Kernel] | None = None
        self._key: tuple[str, tuple[float, ...]] | None = None

    @classmethod
    def _known(
        cls,
        name: str,
        functions: tuple[Function, Function, Function],
        kernel: Callable[[], Kernel],
        *,
        parameters: tuple[float, ...] = (),
        kinks: tuple[float, ...] = (),
        slope_jumps: tuple[float, ...] = (),
    ) -> Activation:
        """Return one of the activations that are known to need no check."""
        self = object.__new__(cls)
        self.name = name
        self._f, self._derivative, self._second = functions
        self.kinks, self.slope_jumps = kinks, slope_jumps
        self._make_kernel = kernel
        self._key = (name, parameters)
        return self

    def __call__(self, x: Array) -> Array:
        """Return phi(x)."""
        return self._f(x)

    def derivative(self, x: Array) -> Array:
        """Return phi'(x)."""
        return self._derivative(x)

    def second_derivative(self, x: Array) -> Array:
        """Return phi''(x) away from the kinks."""
        if self._second is not None:
            return self._second(x)
        from spinnet.propagation.averages import mesh_of

        return mesh_of(self).curvature(np.asarray(x, dtype=np.float64))

    @property
    def is_smooth(self) -> bool:
        """Whether phi' has no jumps."""
        return not self.kinks

    @cached_property
    def kernel(self) -> Kernel:
        """Gaussian averages of phi."""
        if self._make_kernel is not None:
            kernel = self._make_kernel()
        else:
            from spinnet.propagation.kernels.quadrature import QuadratureKernel

            kernel = QuadratureKernel(self)
        kernel.name = self.name
        return kernel

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Activation):
            return NotImplemented
        return self is other or (self._key is not None and self._key == other._key)

    def __hash__(self) -> int:
        return hash(self._key) if self._key is not None else id(self)

    def __getstate__(self) -> dict[str, Any]:
        if self._key is not None:
            return {"known": self._key}
        return {k: v for k, v in self.__dict__.items() if k != "kernel"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "known" in state:
            name, parameters = state["known"]
            state = dict((_FAMILIES[name](*parameters) if parameters else _NAMED[name]).__dict__)
        self.__dict__.update(state)

    def __repr__(self) -> str:
        return f"Activation({self.name!r})"


def get_activation(activation: str | Activation) -> Activation:
    """Return the activation of that name, or `activation` itself.

    Raises
    ------
    InputError
        For an unknown name; the nearest known one is named.

    Examples
    --------
    >>> get_activation("tanh")
    Activation('tanh')
    """
    if isinstance(activation, Activation):
        return activation
    if isinstance(activation, str):
        key = activation.lower().replace("-", "_")
        if key in _NAMED:
            return _NAMED[key]
        raise InputError(
            f"activation must be an Activation or one of {', '.join(_NAMED)}, "
            f"got {activation!r}{did_you_mean(key, _NAMED)}"
        )
    raise InputError(
        "activation must be a name or an Activation(f, derivative), "
        f"got {type(activation).__name__}; wrap a function of your own in spinnet.Activation"
    )


def leaky_relu(slope: float = 0.1) -> Activation:
    """Return x for x > 0 and slope * x below."""
    a = finite_float("slope", slope)

    def f(x: Array) -> Array:
        return np.where(x > 0, x, a * x)

    def derivative(x: Array) -> Array:
        return np.where(x > 0, 1.0, a).astype(np.result_type(x, np.float32))

    def kernel() -> Kernel:
        from spinnet.propagation.kernels.piecewise_linear import PiecewiseLinearKernel

        return PiecewiseLinearKernel((0.0,), (a, 1.0), 0.0)

    kinked = a != 1
    return Activation._known(
        "leaky_relu",
        (f, derivative, np.zeros_like),
        kernel,
        parameters=(a,),
        kinks=(0.0,) if kinked else (),
        slope_jumps=(1 - a,) if kinked else (),
    )


def scaled_erf(amplitude: float = 1.0, scale: float = 1.0, offset: float = 0.0) -> Activation:
    """Return amplitude * erf(scale * x) + offset.

    Some papers use erf(sqrt(pi) x / 2), of slope 1 at the origin: ``scaled_erf(1, sqrt(pi)/2)``.
    """
    a, b, c = (
        finite_float("amplitude", amplitude),
        finite_float("scale", scale),
        finite_float("offset", offset),
    )
    if b == 0 or a == 0:
        raise InputError(f"amplitude and scale must not be 0, got {a} and {b}")
    slope = 2 * a * b / math.sqrt(math.pi)

    def f(x: Array) -> Array:
        return a * special.erf(b * x) + c

    def derivative(x: Array) -> Array:
        return slope * np.exp(-((b * x) ** 2))

    def second(x: Array) -> Array:
        return -2 * b * b * slope * x * np.exp(-((b * x) ** 2))

    def kernel() -> Kernel:
        from spinnet.propagation.kernels.erf_mixture import ErfMixtureKernel

        sign = math.copysign(1.0, b)
        return ErfMixtureKernel(np.array([sign * a]), np.array([abs(b)]), c)

    name = "erf" if (a, b, c) == (1, 1, 0) else "scaled_erf"
    parameters = () if name == "erf" else (a, b, c)
    return Activation._known(name, (f, derivative, second), kernel, parameters=parameters)


def _linear() -> Activation:
    def kernel() -> Kernel:
        from spinnet.propagation.kernels.piecewise_linear import PiecewiseLinearKernel

        return PiecewiseLinearKernel((), (1.0,), 0.0)

    return Activation._known("linear", (np.positive, np.ones_like, np.zeros_like), kernel)


def _relu() -> Activation:
    def f(x: Array) -> Array:
        return np.maximum(x, 0)

    def derivative(x: Array) -> Array:
        return (np.asarray(x) > 0).astype(np.result_type(x, np.float32))

    def kernel() -> Kernel:
        from spinnet.propagation.kernels.piecewise_linear import PiecewiseLinearKernel

        return PiecewiseLinearKernel((0.0,), (0.0, 1.0), 0.0)

    return Activation._known(
        "relu", (f, derivative, np.zeros_like), kernel, kinks=(0.0,), slope_jumps=(1.0,)
    )


def _hard_tanh() -> Activation:
    def f(x: Array) -> Array:
        return np.clip(x, -1, 1)

    def derivative(x: Array) -> Array:
        return (np.abs(x) < 1).astype(np.result_type(x, np.float32))

    def kernel() -> Kernel:
        from spinnet.propagation.kernels.piecewise_linear import PiecewiseLinearKernel

        return PiecewiseLinearKernel((-1.0, 1.0), (0.0, 1.0, 0.0), 0.0)

    return Activation._known(
        "hard_tanh",
        (f, derivative, np.zeros_like),
        kernel,
        kinks=(-1.0, 1.0),
        slope_jumps=(1.0, -1.0),
    )


def _tanh() -> Activation:
    def derivative(x: Array) -> Array:
        largest = 300 if np.asarray(x).itemsize > 4 else 40  # cosh^2 must not overflow
        return np.asarray(1 / np.cosh(np.clip(x, -largest, largest)) ** 2)

    def second(x: Array) -> Array:
        return -2 * np.tanh(x) * derivative(x)

    def kernel() -> Kernel:
        from spinnet.propagation.kernels.erf_mixture import ErfMixtureKernel

        weights, scales = erf_nodes_of_tanh()
        return ErfMixtureKernel(weights, scales, 0.0)

    return Activation._known("tanh", (np.tanh, derivative, second), kernel)


def _sigmoid() -> Activation:
    def derivative(x: Array) -> Array:
        return special.expit(x) * special.expit(-x)

    def second(x: Array) -> Array:
        return -derivative(x) * np.tanh(x / 2)

    def kernel() -> Kernel:
        from spinnet.propagation.kernels.erf_mixture import ErfMixtureKernel

        weights, scales = erf_nodes_of_tanh()
        return ErfMixtureKernel(weights / 2, scales / 2, 0.5)

    return Activation._known("sigmoid", (special.expit, derivative, second), kernel)


def _softplus() -> Activation:
    def f(x: Array) -> Array:
        return np.logaddexp(x, np.zeros_like(x))

    def second(x: Array) -> Array:
        return special.expit(x) * special.expit(-x)

    def kernel() -> Kernel:
        from spinnet.propagation.kernels.softplus import SoftplusKernel

        return SoftplusKernel()

    return Activation._known("softplus", (f, special.expit, second), kernel)


def _gelu() -> Activation:
    root = math.sqrt(2.0)
    norm = 1 / math.sqrt(2 * math.pi)

    def normal(x: Array) -> Array:
        return norm * np.exp(-x * x / 2)

    def f(x: Array) -> Array:
        return x * special.erfc(-x / root) / 2

    def derivative(x: Array) -> Array:
        return np.asarray(special.erfc(-x / root) / 2 + x * normal(x))

    def second(x: Array) -> Array:
        return (2 - x * x) * normal(x)

    def kernel() -> Kernel:
        from spinnet.propagation.kernels.gated import GatedKernel

        return GatedKernel(np.array([1.0]), np.array([1.0]))

    return Activation._known("gelu", (f, derivative, second), kernel)


def _silu() -> Activation:
    def f(x: Array) -> Array:
        return x * special.expit(x)

    def derivative(x: Array) -> Array:
        return special.expit(x) * (1 + x * special.expit(-x))

    def second(x: Array) -> Array:
        return np.asarray(special.expit(x) * special.expit(-x) * (2 - x * np.tanh(x / 2)))

    def kernel() -> Kernel:
        from spinnet.propagation.kernels.gated import GatedKernel

        weights, scales = erf_nodes_of_tanh()
        return GatedKernel(weights, scales / math.sqrt(2.0))

    return Activation._known("silu", (f, derivative, second), kernel)


def _selu() -> Activation:
    left = _SELU_SCALE * _SELU_ALPHA

    def f(x: Array) -> Array:
        return np.where(x > 0, _SELU_SCALE * x, left * np.expm1(np.minimum(x, 0)))

    def derivative(x: Array) -> Array:
        return np.where(
            x > 0,
            np.asarray(_SELU_SCALE, np.result_type(x, np.float32)),
            left * np.exp(np.minimum(x, 0)),
        )

    def second(x: Array) -> Array:
        return np.where(
            x > 0, np.asarray(0, np.result_type(x, np.float32)), left * np.exp(np.minimum(x, 0))
        )

    def kernel() -> Kernel:
        from spinnet.propagation.kernels.quadrature import QuadratureKernel

        return QuadratureKernel(get_activation("selu"))

    return Activation._known(
        "selu",
        (f, derivative, second),
        kernel,
        kinks=(0.0,),
        slope_jumps=(_SELU_SCALE - left,),
    )


def _sin() -> Activation:
    def second(x: Array) -> Array:
        return -np.sin(x)

    def kernel() -> Kernel:
        from spinnet.propagation.kernels.sine import SineKernel

        return SineKernel()

    return Activation._known("sin", (np.sin, np.cos, second), kernel)


_NAMED: Mapping[str, Activation] = MappingProxyType(
    {
        "tanh": _tanh(),
        "erf": scaled_erf(),
        "relu": _relu(),
        "leaky_relu": leaky_relu(),
        "hard_tanh": _hard_tanh(),
        "sigmoid": _sigmoid(),
        "softplus": _softplus(),
        "gelu": _gelu(),
        "silu": _silu(),
        "selu": _selu(),
        "sin": _sin(),
        "linear": _linear(),
    }
)
_FAMILIES: Mapping[str, Callable[..., Activation]] = MappingProxyType(
    {"leaky_relu": leaky_relu, "scaled_erf": scaled_erf}
)
ACTIVATIONS = tuple(_NAMED)
