"""Draws of the noise on a layer's activities, for whole batches of inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinnet.propagation.noise import AdditiveGaussian, Dropout, Noise

Array = NDArray[Any]


def is_silent(noise: Noise) -> bool:
    """Whether the noise changes nothing."""
    return noise.variance_factor == 1 and noise.variance_offset == 0


def draw_noise(
    noise: Noise, rng: np.random.Generator, shape: tuple[int, int], dtype: np.dtype[Any]
) -> tuple[Array | None, Array | None]:
    """Return (factor, addition): activities x (n_inputs, width) become factor * x + addition.

    None stands for no factor or no addition; noise shared by all inputs has one row.
    """
    if is_silent(noise):
        return None, None
    shape = (1, shape[1]) if noise.shared else shape
    if isinstance(noise, Dropout):
        return ((rng.random(shape) < noise.keep) / noise.keep).astype(dtype, copy=False), None
    normal = noise.sigma * rng.standard_normal(shape)
    if isinstance(noise, AdditiveGaussian):
        return None, normal.astype(dtype, copy=False)
    return (1 + normal).astype(dtype, copy=False), None
