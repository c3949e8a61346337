"""Autocovariances of many chains about their common mean, pooled, up to a growing lag.

Sums of products to lag 63 come from products of small matrices: with the series cut into rows
of 64, ``X' X`` and ``X' Y``, Y the rows one further, hold each product once, along diagonals.
Longer lags come from segments of as many values as there are lags, zero-padded to twice that,
so that one Fourier transform of each segment serves it and its left neighbour.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
DIRECT = 64  # lags of the direct sum
_STACK = 64  # rows of a product: small enough for BLAS to stay on one thread, same bits anywhere
_SLAB = 1 << 15  # values transformed at a time: they stay in the cache


def pooled_autocovariance(centred: Array, n_lags: int) -> Array:
    """Return the autocovariance at lags 0 to ``n_lags - 1``, averaged over all pairs of all chains.

    Parameters
    ----------
    centred : ndarray, shape (n_chains, n_steps)
        The series less their common mean.
    n_lags : int
        At most n_steps is given back.

    Returns
    -------
    ndarray, shape (min(n_lags, n_steps),)
        Each lag is divided by its own number of pairs.
    """
    n_chains, n_steps = centred.shape
    n_lags = min(n_lags, n_steps)
    sums = _direct(centred) if n_lags <= DIRECT else _segmented(centred, n_lags)
    return np.asarray(sums[:n_lags] / (n_chains * (n_steps - np.arange(n_lags))))


def _direct(x: Array) -> Array:
    """Return the sums of products at lags 0 to 63."""
    n_chains, n_steps = x.shape
    width = (-(-n_steps // DIRECT) + 1) * DIRECT  # a row of zeros parts the chains
    padded = np.zeros((n_chains, width))
    padded[:, :n_steps] = x
    size, step = padded.size, DIRECT * _STACK
    flat = np.zeros((-(-size // step)) * step + DIRECT)
    flat[:size] = padded.ravel()
    same, following = np.zeros((2, DIRECT, DIRECT))
    for start in range(0, size, 256 * step):
        stop = min(start + 256 * step, flat.size - DIRECT)
        rows = flat[start:stop].reshape(-1, _STACK, DIRECT)
        shifted = flat[start + DIRECT : stop + DIRECT].reshape(-1, _STACK, DIRECT)
        turned = rows.transpose(0, 2, 1)
        same += np.matmul(turned, rows).sum(axis=0)
        following += np.matmul(turned, shifted).sum(axis=0)
    return np.array(
        [np.trace(same, k) + np.trace(following, k - DIRECT) for k in range(DIRECT)],
        dtype=np.float64,
    )


def _segmented(x: Array, n_lags: int) -> Array:
    """Return the sums of products at lags 0 to `n_lags` - 1."""
    from scipy import fft  # slow to import, and short series do without

    n_chains, n_steps = x.shape
    length = 1 << (n_lags - 1).bit_length()
    per_chain = -(-n_steps // length)
    padded = np.zeros((n_chains, per_chain * length))
    padded[:, :n_steps] = x
    segments = padded.reshape(-1, length)
    power = np.zeros(length + 1)
    cross = np.zeros(length + 1, dtype=np.complex128)
    step = max(1, _SLAB // length)
    last = None
    for start in range(0, len(segments), step):
        spectrum = fft.rfft(segments[start : start + step], 2 * length, axis=1)
        power += np.sum(spectrum.real**2 + spectrum.imag**2, axis=0)
        if last is not None and start % per_chain:
            cross += last.conj() * spectrum[0]
        inside = np.arange(start + 1, start + len(spectrum)) % per_chain != 0
        left, right = spectrum[:-1], spectrum[1:]
        if not inside.all():
            left, right = left[inside], right[inside]
        cross += np.einsum("ij,ij->j", left.conj(), right)
        last = spectrum[-1]
    cross[1::2] *= -1  # the neighbour starts half a period later
    return np.asarray(fft.irfft(power + cross, 2 * length)[:n_lags])
