"""At which temperature is the free dual nearest to the data?  The held-out likelihood L(T).

T is the only parameter fitted.  It is chosen on one half of the inputs and judged on the other;
its interval comes from a bootstrap over inputs.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from spinnet.comparison.curves import peak
from spinnet.comparison.laws import independent_log_likelihood, log_likelihood
from spinnet.comparison.layer import MAX_WHOLE, Array, StudiedLayer, held_out_halves

_FACTORS = np.geomspace(0.25, 6.0, 17)  # grid of T in units of the saddle point's T_c
_MAX_INPUTS = 2000  # inputs on which a pseudo-likelihood is evaluated
_MIN_INPUTS = 200
_MAX_TERMS = 20_000_000  # inputs x weights of one pseudo-likelihood
_N_BOOTSTRAP = 400


@dataclass(frozen=True, eq=False)
class TemperatureFit:
    """The likelihood of the layer's patterns under the free dual, against temperature.

    Attributes
    ----------
    temperatures, log_likelihood : ndarray
        Grid of T, and mean log-likelihood in nats per pattern.
    best : float
        T of the maximum.
    interval : (float, float)
        95 % over resampled inputs.
    at_edge : bool
        Whether the maximum lies at an end of the grid, so that there is no best T.
    kind : str
        "likelihood", or "pseudo-likelihood" for layers of more than 20 outputs.
    held_out : dict of float
        Nats per pattern on the half of the inputs not used to choose T: "dual at best T",
        "dual at T = 1", "independent units".
    """

    temperatures: Array
    log_likelihood: Array
    best: float
    interval: tuple[float, float]
    at_edge: bool
    kind: str
    held_out: dict[str, float]

    def to_dict(self) -> dict[str, object]:
        """Return plain numbers."""
        return {
            "temperatures": self.temperatures.tolist(),
            "log_likelihood": self.log_likelihood.tolist(),
            "best": self.best,
            "interval": list(self.interval),
            "at_edge": self.at_edge,
            "kind": self.kind,
            "held_out": self.held_out,
        }


def fit_temperature(
    layer: StudiedLayer, scale: float, seed: np.random.SeedSequence
) -> TemperatureFit:
    """Scan T around `scale` (the saddle point's T_c) and return the likelihood's maximum."""
    rng = np.random.default_rng(seed)
    n = layer.n_inputs
    chosen = np.arange(n)
    if layer.outputs.shape[1] > MAX_WHOLE:
        size = max(_MIN_INPUTS, min(_MAX_INPUTS, _MAX_TERMS // layer.weights.size))
        chosen = np.sort(rng.choice(n, min(n, size), replace=False))
    grid = np.unique(np.append(scale * _FACTORS, 1.0))
    rows = [log_likelihood(layer, float(t), chosen) for t in grid]
    # a parabola over factors of 1.22 in T misses the maximum by up to 2 %; over a quarter of
    # that by less than 0.1 %
    finer = _between(grid, int(np.argmax([row.mean() for row, _ in rows])))
    rows += [log_likelihood(layer, float(t), chosen) for t in finer]
    order = np.argsort(np.append(grid, finer))
    grid = np.append(grid, finer)[order]
    table, kind = np.array([rows[k][0] for k in order]), rows[0][1]
    mean = table.mean(axis=1)
    log_t = np.log(grid)
    weights = rng.multinomial(len(chosen), np.full(len(chosen), 1 / len(chosen)), _N_BOOTSTRAP)
    cloud = [peak(log_t, row) for row in weights @ table.T / len(chosen)]
    first, second = held_out_halves(len(chosen), rng)
    on_first = int(table[:, first].mean(axis=1).argmax())
    natural = int(np.searchsorted(grid, 1.0))
    outputs = layer.outputs[chosen]
    held_out = {
        "dual at best T": float(table[on_first, second].mean()),
        "dual at T = 1": float(table[natural, second].mean()),
        "independent units": float(
            independent_log_likelihood(outputs[first], outputs[second]).mean()
        ),
    }
    top = int(mean.argmax())
    low, high = np.quantile(cloud, [0.025, 0.975])
    return TemperatureFit(
        temperatures=grid,
        log_likelihood=mean,
        best=float(np.exp(peak(log_t, mean))),
        interval=(float(np.exp(low)), float(np.exp(high))),
        at_edge=top in (0, len(grid) - 1),
        kind=kind,
        held_out=held_out,
    )


def _between(grid: Array, k: int) -> Array:
    """Return three temperatures in each of the two intervals that meet at point `k`."""
    ends = grid[max(k - 1, 0) : k + 2]
    parts = [np.geomspace(a, b, 5)[1:-1] for a, b in itertools.pairwise(ends)]
    return np.concatenate(parts)
