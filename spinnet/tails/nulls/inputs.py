"""Null models of real-valued inputs: what is left of them when only second moments are kept.

`phase_randomised` keeps the power spectrum of every input; `gaussian_surrogate` keeps the mean
and the covariance of the features over inputs.  Neither keeps the range of the values: images
with pixels in [0, 1] get some pixels outside.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

import spinnet
from spinnet.errors import InputError
from spinnet.memory import refuse_beyond_memory
from spinnet.randomness import RandomState, generator
from spinnet.tails.nulls.raster import Floats
from spinnet.validation import finite_array, integer

_LARGEST = 1e150


def phase_randomised(
    inputs: ArrayLike,
    *,
    axes: int | tuple[int, ...] = -1,
    shared_axes: int | tuple[int, ...] = (),
) -> PhaseRandomised:
    """Keep the power spectrum of each input and draw its Fourier phases anew.

    Parameters
    ----------
    inputs : array_like, shape (n_inputs, ...)
    axes : int or tuple of int
        Axes of the Fourier transform, not the first: -1 for signals, (-2, -1) for images.
    shared_axes : int or tuple of int
        Axes along which the phases are shifted alike, such as that of the channels, so that
        cross-spectra along them are kept too; 0 shifts all inputs alike.

    Returns
    -------
    PhaseRandomised
        Samples are real, with the power spectrum, and so the mean and the variance, of each
        input.

    Raises
    ------
    InputError
        NaN or infinite values, fewer than two dimensions, or axes that do not exist.

    References
    ----------
    J. Theiler, S. Eubank, A. Longtin, B. Galdrikian, J. D. Farmer, Physica D 58, 77 (1992);
    D. Prichard and J. Theiler, Phys. Rev. Lett. 73, 951 (1994), for shared phases.

    Examples
    --------
    >>> import numpy as np
    >>> signal = np.array([[0.0, 1.0, 4.0, 2.0, 3.0]])
    >>> drawn = phase_randomised(signal).sample(rng=1)
    >>> float(drawn.mean().round(12)), float(drawn.var().round(12))
    (2.0, 2.0)
    """
    values, dtype = _read(inputs)
    transform = _axes("axes", axes, values.ndim)
    shared = _axes("shared_axes", shared_axes, values.ndim)
    if not transform or 0 in transform:
        raise InputError(f"axes must name axes other than the first (inputs), got {axes!r}")
    if set(transform) & set(shared):
        raise InputError(f"shared_axes must not be among axes, got {shared_axes!r} and {axes!r}")
    return PhaseRandomised(values.shape, dtype, values, transform, shared)


def gaussian_surrogate(inputs: ArrayLike) -> GaussianSurrogate:
    """Keep mean and covariance of the features over inputs, with normal independent inputs.

    Parameters
    ----------
    inputs : array_like, shape (n_inputs, ...)
        All axes but the first are features.

    Returns
    -------
    GaussianSurrogate
        The covariance is that of the data (divided by n_inputs), also where it is singular
        because the features outnumber the inputs; samples lie in the span of the data then.

    Raises
    ------
    InputError
        NaN or infinite values, or beyond +-1e150, or fewer than two inputs or dimensions.

    Examples
    --------
    >>> import numpy as np
    >>> data = np.array([[1.0, 2.0], [3.0, 6.0]])
    >>> gaussian_surrogate(data).covariance.round(12).tolist()
    [[1.0, 2.0], [2.0, 4.0]]
    """
    values, dtype = _read(inputs)
    n = len(values)
    if n < 2:
        raise InputError(f"inputs must hold at least 2 rows for a covariance, got {n}")
    largest = float(np.abs(values).max())
    if largest > _LARGEST:
        raise InputError(
            f"inputs must be within +-{_LARGEST:g}, so that their squares are finite, got "
            f"{largest:g} in size; choose other units"
        )
    flat = values.reshape(n, -1)
    mean = flat.mean(axis=0)
    factor = (flat - mean) / np.sqrt(n)
    if n > flat.shape[1]:
        eigenvalues, vectors = np.linalg.eigh(factor.T @ factor)
        factor = (vectors * np.sqrt(np.maximum(eigenvalues, 0.0))).T
    return GaussianSurrogate(values.shape, dtype, mean, factor)


@dataclass(frozen=True, eq=False)
class InputModel(ABC):
    """A distribution over real-valued inputs, made from an array of them.

    Attributes
    ----------
    sample_shape : tuple of int
        Shape of the inputs.
    dtype : dtype
        Of the samples: float32 if the inputs are, else float64.
    """

    sample_shape: tuple[int, ...]
    dtype: np.dtype[Any]

    name: ClassVar[str]
    keeps: ClassVar[str]

    @abstractmethod
    def sample(
        self, n_inputs: int | None = None, *, rng: RandomState = None
    ) -> NDArray[np.floating[Any]]:
        """Draw inputs, as many as the data by default."""

    def summary(self) -> str:
        """Return a few lines for people."""
        return f"null model {self.name}: inputs of shape {self.sample_shape}\n  keeps {self.keeps}"

    def to_dict(self) -> dict[str, object]:
        """Return plain Python values, for JSON."""
        return {
            "schema": 1,
            "kind": "null-model",
            "name": self.name,
            "keeps": self.keeps,
            "sample_shape": list(self.sample_shape),
            "dtype": str(self.dtype),
            "version": spinnet.__version__,
        }


@dataclass(frozen=True, eq=False)
class PhaseRandomised(InputModel):
    """Inputs with random Fourier phases.

    Attributes
    ----------
    axes, shared_axes : tuple of int
        As of `phase_randomised`, counted from the first axis.
    """

    _inputs: Floats = field(repr=False)
    axes: tuple[int, ...]
    shared_axes: tuple[int, ...]

    name: ClassVar[str] = "phase_randomised"
    keeps: ClassVar[str] = "the power spectrum of each input, exactly"

    def sample(
        self, n_inputs: int | None = None, *, rng: RandomState = None
    ) -> NDArray[np.floating[Any]]:
        """Draw the inputs with new phases; `n_inputs` can only be that of the data."""
        n = self.sample_shape[0]
        if n_inputs is not None and integer("n_inputs", n_inputs, minimum=1) != n:
            raise InputError(
                f"n_inputs must be {n}, that of the data, got {n_inputs}: each input keeps its "
                "spectrum"
            )
        random = generator(rng)
        step = n if 0 in self.shared_axes else max(1, n * (1 << 22) // self._inputs.size)
        parts = [self._shifted(self._inputs[k : k + step], random) for k in range(0, n, step)]
        return np.concatenate(parts)

    def _shifted(self, values: Floats, random: np.random.Generator) -> NDArray[np.floating[Any]]:
        # phases of real noise are uniform, and opposite at opposite frequencies
        shape = [1 if a in self.shared_axes else size for a, size in enumerate(values.shape)]
        noise = np.fft.rfftn(random.standard_normal(shape), axes=self.axes)
        shift = noise / np.abs(noise)
        shift[tuple(0 if a in self.axes else slice(None) for a in range(values.ndim))] = 1.0
        sizes = [values.shape[a] for a in self.axes]
        spectrum = np.fft.rfftn(values, axes=self.axes) * shift
        return np.fft.irfftn(spectrum, s=sizes, axes=self.axes).astype(self.dtype)

    def to_dict(self) -> dict[str, object]:
        """Return plain Python values, for JSON."""
        return super().to_dict() | {"axes": list(self.axes), "shared_axes": list(self.shared_axes)}


@dataclass(frozen=True, eq=False)
class GaussianSurrogate(InputModel):
    """Independent normal inputs.

    Attributes
    ----------
    mean : ndarray, shape (n_features,)
    """

    mean: Floats = field(repr=False)
    _factor: Floats = field(repr=False)

    name: ClassVar[str] = "gaussian_surrogate"
    keeps: ClassVar[str] = "mean and covariance of the features, on average"

    @property
    def covariance(self) -> Floats:
        """Covariance of the features, shape (n_features, n_features)."""
        return np.asarray(self._factor.T @ self._factor)

    def sample(
        self, n_inputs: int | None = None, *, rng: RandomState = None
    ) -> NDArray[np.floating[Any]]:
        """Draw `n_inputs` inputs, as many as the data by default."""
        n = self.sample_shape[0] if n_inputs is None else integer("n_inputs", n_inputs, minimum=1)
        size = 2.0 * self.dtype.itemsize * n * self.mean.size
        refuse_beyond_memory(size, f"a sample of {n} inputs", "draw fewer inputs")
        random = generator(rng)
        out = np.empty((n, self.mean.size), self.dtype)
        step = max(1, (1 << 22) // max(self._factor.shape))
        for k in range(0, n, step):
            rows = random.standard_normal((min(step, n - k), len(self._factor)))
            out[k : k + step] = rows @ self._factor + self.mean
        return out.reshape(n, *self.sample_shape[1:])


def _read(inputs: ArrayLike) -> tuple[Floats, np.dtype[Any]]:
    values = finite_array("inputs", inputs)
    if values.ndim < 2 or values.size == 0:
        raise InputError(
            f"inputs must be a non-empty array of shape (n_inputs, ...), got shape {values.shape}"
        )
    single = getattr(inputs, "dtype", None) == np.float32
    return values, np.dtype(np.float32 if single else np.float64)


def _axes(name: str, value: int | tuple[int, ...], ndim: int) -> tuple[int, ...]:
    """Return axes counted from the first, in order."""
    given = value if isinstance(value, tuple) else (value,)
    axes = []
    for axis in given:
        number = integer(name, axis, minimum=-ndim, maximum=ndim - 1)
        axes.append(number % ndim)
    if len(set(axes)) < len(axes):
        raise InputError(f"{name} must not name an axis twice, got {value!r}")
    return tuple(sorted(axes))
