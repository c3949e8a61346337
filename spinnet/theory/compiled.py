"""From a SymPy free energy to NumPy: broadcasting, validated, stable at any temperature.

Arguments are bound in one fixed order (order parameters, then parameters, as the FreeEnergy lists
them), so that the generated code does not depend on hashing or on names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike, NDArray

from spinnet.errors import InputError, did_you_mean
from spinnet.theory.functions import NUMPY_FUNCTIONS, derivative, stabilise
from spinnet.validation import finite_array, integer, positive_array

if TYPE_CHECKING:
    from spinnet.theory.algebra import FreeEnergy

Function = Callable[..., Any]


class CompiledFreeEnergy:
    r"""NumPy functions of a :class:`~spinnet.theory.algebra.FreeEnergy`.

    For a scalar order parameter, `order` may have any shape and every result has the broadcast
    shape of `order` and the parameters.  For n order parameters, `order` has shape (..., n); then
    ``gradient`` is (..., n) and ``hessian`` (..., n, n).  Array parameters (such as W, of shape
    (..., n, n)) are passed under the name of the array, and broadcast over their leading axes.

    Methods accept float64 or longdouble; the result has the wider type of the two.

    Examples
    --------
    >>> from spinnet.theory import curie_weiss
    >>> num = curie_weiss.free_energy().compile()
    >>> float(num.value(0.0, beta=2.0, J=1.0, h=0.0))  # -T ln 2
    -0.34657359027997264
    >>> num.gradient([0.0, 1.0], beta=1e4, J=1.0, h=0.0)
    array([0., 0.])
    """

    def __init__(self, free_energy: FreeEnergy) -> None:
        self.free_energy = free_energy
        self.order = free_energy.order
        self._shapes = {name: array.shape for name, array in free_energy.arrays}
        grouped = {s for _, array in free_energy.arrays for s in sp.flatten(array)}
        self._scalars = {s.name: s for s in free_energy.params if s not in grouped}
        self.parameters: tuple[str, ...] = (*self._scalars, *self._shapes)

    @cached_property
    def _value(self) -> Function:
        return self._lambdify(stabilise(self.free_energy.expr))

    @cached_property
    def _gradient_exprs(self) -> list[sp.Expr]:
        expr = stabilise(self.free_energy.expr)
        return [derivative(expr, symbol) for symbol in self.order]

    @cached_property
    def _gradient(self) -> Function:
        return self._lambdify(self._gradient_exprs)

    @cached_property
    def _hessian(self) -> Function:
        rows = [[derivative(g, s) for s in self.order] for g in self._gradient_exprs]
        return self._lambdify([entry for row in rows for entry in row])

    @cached_property
    def _higher(self) -> dict[int, Function]:
        return {}

    def _lambdify(self, expr: sp.Expr | list[sp.Expr]) -> Function:
        arguments = [*self.order, *self.free_energy.params]
        function: Function = sp.lambdify(
            arguments, expr, modules=[NUMPY_FUNCTIONS, "numpy"], cse=True
        )
        return function

    def value(self, order: ArrayLike, **parameters: ArrayLike) -> NDArray[np.float64]:
        """Return F at `order`; see the class for shapes."""
        arguments, shape = self._bind(order, parameters)
        return _full(self._value(*arguments), shape, arguments)

    def gradient(self, order: ArrayLike, **parameters: ArrayLike) -> NDArray[np.float64]:
        """Return dF/d(order); see the class for shapes."""
        arguments, shape = self._bind(order, parameters)
        parts = [_full(part, shape, arguments) for part in self._gradient(*arguments)]
        return parts[0] if self.is_scalar else np.stack(parts, axis=-1)

    def hessian(self, order: ArrayLike, **parameters: ArrayLike) -> NDArray[np.float64]:
        """Return the second derivatives of F; see the class for shapes."""
        arguments, shape = self._bind(order, parameters)
        parts = [_full(part, shape, arguments) for part in self._hessian(*arguments)]
        if self.is_scalar:
            return parts[0]
        n = len(self.order)
        return np.stack(parts, axis=-1).reshape(*shape, n, n)

    def derivative(self, n: int, order: ArrayLike, **parameters: ArrayLike) -> NDArray[np.float64]:
        """Return the n-th derivative of F with respect to a scalar order parameter."""
        if not self.is_scalar:
            raise InputError(
                f"derivative needs one order parameter, this free energy has {len(self.order)}; "
                "use gradient or hessian"
            )
        n = integer("n", n, minimum=0)
        if n not in self._higher:
            expr = stabilise(self.free_energy.expr)
            for _ in range(n):
                expr = derivative(expr, self.order[0])
            self._higher[n] = self._lambdify(expr)
        arguments, shape = self._bind(order, parameters)
        return _full(self._higher[n](*arguments), shape, arguments)

    @property
    def is_scalar(self) -> bool:
        """Whether there is exactly one order parameter."""
        return len(self.order) == 1

    def check_parameters(self, parameters: Mapping[str, ArrayLike]) -> dict[str, NDArray[Any]]:
        """Return the parameters as finite arrays; name any that is unknown, missing or bad."""
        for name in parameters:
            if name not in self.parameters:
                raise InputError(
                    f"unknown parameter {name!r}{did_you_mean(name, self.parameters)}; this free "
                    f"energy takes {', '.join(self.parameters)}"
                )
        missing = [name for name in self.parameters if name not in parameters]
        if missing:
            raise InputError(
                f"missing parameter {', '.join(map(repr, missing))}: this free energy takes "
                f"{', '.join(self.parameters)}"
            )
        return {name: self._check(name, parameters[name]) for name in self.parameters}

    def _check(self, name: str, value: ArrayLike) -> NDArray[Any]:
        if name in self._shapes:
            array = _finite(name, value)
            shape = self._shapes[name]
            if array.shape[array.ndim - len(shape) :] != shape or array.ndim < len(shape):
                wanted = ", ".join(map(str, shape))
                raise InputError(f"{name} must have shape (..., {wanted}), got {array.shape}")
            return array
        symbol = self._scalars[name]
        if symbol.is_positive or symbol.is_nonnegative:
            positive_array(name, _double(value), zero=not symbol.is_positive)
        return _finite(name, value)

    def _bind(
        self, order: ArrayLike, parameters: Mapping[str, ArrayLike]
    ) -> tuple[list[NDArray[Any]], tuple[int, ...]]:
        """Return the flat argument list, in the fixed order, and the broadcast shape."""
        checked = self.check_parameters(parameters)
        values: dict[sp.Symbol, NDArray[Any]] = {}
        array = _finite("order", order)
        if self.is_scalar:
            values[self.order[0]] = array
        else:
            n = len(self.order)
            if array.ndim == 0 or array.shape[-1] != n:
                raise InputError(f"order must have shape (..., {n}), got {array.shape}")
            values.update(zip(self.order, np.moveaxis(array, -1, 0), strict=True))
        values.update({self._scalars[name]: checked[name] for name in self._scalars})
        for name, symbols in self.free_energy.arrays:
            lead = checked[name].ndim - len(symbols.shape)
            flat = checked[name].reshape(*checked[name].shape[:lead], -1)
            values.update(zip(sp.flatten(symbols), np.moveaxis(flat, -1, 0), strict=True))
        arguments = [values[s] for s in (*self.order, *self.free_energy.params)]
        try:
            shape = np.broadcast_shapes(*(a.shape for a in arguments))
        except ValueError:
            shapes = {"order": array.shape} | {k: v.shape for k, v in checked.items()}
            listed = ", ".join(f"{k} {v}" for k, v in shapes.items())
            raise InputError(f"shapes must broadcast together, got {listed}") from None
        return arguments, shape


def _double(value: ArrayLike) -> ArrayLike:
    array = np.asarray(value)
    return array.astype(np.float64) if array.dtype == np.longdouble else array


def _finite(name: str, value: ArrayLike) -> NDArray[Any]:
    """Return a finite array, float64 unless it came as longdouble."""
    array = np.asarray(value)
    if array.dtype == np.longdouble and array.dtype != np.float64:
        finite_array(name, array.astype(np.float64))
        return array
    return finite_array(name, value)


def _full(result: Any, shape: tuple[int, ...], arguments: list[NDArray[Any]]) -> NDArray[Any]:
    """Return `result` in the broadcast shape: generated code returns bare constants."""
    dtype = np.result_type(np.float64, *(a.dtype for a in arguments))
    full = np.empty(shape, dtype=dtype)
    full[...] = result
    return full[()] if shape == () else full
