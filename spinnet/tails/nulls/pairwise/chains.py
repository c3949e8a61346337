"""Sampling of pairwise models by heat-bath chains, with a check of their mixing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spinnet.tails.nulls.raster import Bits, Floats

_CHAINS = 48
_FEWEST_SWEEPS, _MOST_SWEEPS = 256, 16_384
_MIXED = 1.05  # split R-hat
_WORK = 100_000_000  # couplings looked at between two moments at which Ctrl-C is heard, at most
_TIMES = 20  # autocorrelation times of a pilot chain, and of the burn-in of a sample


class ChainMixing(NamedTuple):
    """A check of chains started from all units on, all off, and independent units.

    Attributes
    ----------
    n_sweeps, n_chains : int
        Size of the pilot run, of which the first half of each chain is left out.
    rhat : float
        Split R-hat, the larger of those of the population count and of the energy.
    tau : float
        Integrated autocorrelation time in sweeps, the larger of the two; 1/2 for independent
        sweeps.
    mixed : bool
        `rhat` is below 1.05 and the second half is 20 `tau` long.
    seed : mapping or None
        What makes the pilot run again.
    """

    n_sweeps: int
    n_chains: int
    rhat: float
    tau: float
    mixed: bool
    seed: Mapping[str, object] | None = None

    @property
    def thinning(self) -> int:
        """Sweeps between rows of a sample, so that they are nearly independent."""
        return math.ceil(2.0 * self.tau)

    @property
    def burn_in(self) -> int:
        """Sweeps before the first row."""
        return math.ceil(_TIMES * self.tau)


def check_mixing(
    fields: Floats, couplings: Floats, rates: Floats, random: np.random.Generator
) -> ChainMixing:
    """Run pilot chains, longer until they mix or are 16,384 sweeps long."""
    from spinnet.tails.nulls.kernels import stream

    states = stream(random, _CHAINS)
    spins = _starts(rates, random)
    trace = np.empty((_CHAINS, 0, 2))
    target = _FEWEST_SWEEPS
    while True:
        trace = np.concatenate(
            [trace, _traces(spins, target - trace.shape[1], fields, couplings, states)], axis=1
        )
        report = assess(trace[:, trace.shape[1] // 2 :])
        if report.mixed or target >= _MOST_SWEEPS:
            return report._replace(n_sweeps=target)
        target *= 2


def assess(trace: Floats) -> ChainMixing:
    """Judge traces of shape (n_chains, n_sweeps, n_quantities)."""
    n_chains, n, n_kinds = trace.shape
    rhat = max(_split_rhat(trace[:, :, q]) for q in range(n_kinds))
    tau = max(_autocorrelation_time(trace[:, :, q]) for q in range(n_kinds))
    return ChainMixing(n, n_chains, rhat, tau, rhat < _MIXED and n >= _TIMES * tau)


def draw(
    n_inputs: int,
    fields: Floats,
    couplings: Floats,
    rates: Floats,
    mixing: ChainMixing,
    random: np.random.Generator,
) -> Bits:
    """Return `n_inputs` packed rows, from several chains one after another."""
    from spinnet.tails.nulls.kernels import stream

    n_chains = min(_CHAINS, n_inputs)
    states = stream(random, n_chains)
    spins = (random.random((n_chains, fields.size)) < rates).astype(np.uint8)
    parts = []
    for c in range(n_chains):
        n_rows = n_inputs // n_chains + (c < n_inputs % n_chains)
        rows = np.empty((n_rows, fields.size), np.uint8)
        _record(rows, spins[c], fields, couplings, mixing, states[c])
        parts.append(np.packbits(rows, axis=1))
    return np.concatenate(parts)


def _record(
    rows: NDArray[np.uint8],
    sigma: NDArray[np.uint8],
    fields: Floats,
    couplings: Floats,
    mixing: ChainMixing,
    state: NDArray[np.uint64],
) -> None:
    """Fill `rows` from one chain; the kernel runs for a moment at a time, so that Ctrl-C is heard.

    Rows are the same however the run is cut up.
    """
    from spinnet.tails.nulls.kernels import heat_bath

    chain = sigma, fields + couplings @ sigma, fields, couplings
    piece = max(1, _WORK // fields.size**2)
    no_rows, no_trace, unread = rows[:0], np.empty((0, 2)), np.empty((1, 2))
    step = max(1, piece // mixing.thinning)
    wait = mixing.burn_in + 1
    for start in range(0, len(rows), step):
        while wait > piece:
            heat_bath(*chain, piece, 1, state, no_rows, unread)
            wait -= piece
        heat_bath(*chain, wait, mixing.thinning, state, rows[start : start + step], no_trace)
        wait = mixing.thinning


def _starts(rates: Floats, random: np.random.Generator) -> NDArray[np.uint8]:
    """Return starting points far apart: a third all on, a third all off, a third at random."""
    kinds = np.arange(_CHAINS) % 3
    drawn = random.random((_CHAINS, rates.size)) < rates
    return np.where(kinds[:, None] == 2, drawn, kinds[:, None] == 1).astype(np.uint8)


def _traces(
    spins: NDArray[np.uint8],
    n_sweeps: int,
    fields: Floats,
    couplings: Floats,
    states: NDArray[np.uint64],
) -> Floats:
    """Run all chains on; return population count and energy after each sweep."""
    from spinnet.tails.nulls.kernels import heat_bath

    trace = np.empty((len(spins), n_sweeps, 2))
    none = np.empty((0, fields.size), np.uint8)
    for c, sigma in enumerate(spins):
        local = fields + couplings @ sigma
        heat_bath(sigma, local, fields, couplings, 1, 1, states[c], none, trace[c])
    return trace


def _split_rhat(series: Floats) -> float:
    """Return the split R-hat of chains of shape (n_chains, n_steps); 1 if all is constant."""
    half = series.shape[1] // 2
    parts = np.concatenate([series[:, :half], series[:, -half:]])
    within = float(parts.var(axis=1, ddof=1).mean())
    between = float(parts.mean(axis=1).var(ddof=1))
    if within <= 0.0:
        return 1.0 if between <= 0.0 else math.inf
    return math.sqrt((half - 1) / half + between / within)


def _autocorrelation_time(series: Floats) -> float:
    """Return Sokal's windowed integrated autocorrelation time of pooled chains."""
    n = series.shape[1]
    centred = series - series.mean()
    power = np.abs(np.fft.rfft(centred, 2 * n, axis=1)) ** 2
    covariance = np.fft.irfft(power.mean(axis=0))[:n] / np.arange(n, 0, -1)
    if covariance[0] <= 0.0:
        return 0.5
    running = 0.5 + np.cumsum(covariance[1:] / covariance[0])
    stop = np.flatnonzero(np.arange(1, n) >= 6.0 * running)
    return max(0.5, float(running[stop[0] if stop.size else -1]))
