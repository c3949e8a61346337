"""Where predicted patterns come from: the dual at a temperature, and the null models.

Every source draws patterns of the layer's unit subsets as integer codes, shape
``(n_subsets, n_samples)``, so that the estimators of the data apply to it unchanged.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from spinnet.comparison.layer import MAX_WHOLE, Array, Bits, Codes, StudiedLayer
from spinnet.networks import FeedForward
from spinnet.spins.exact import LayerMarginal, layer_marginal
from spinnet.spins.models import NetworkDual
from spinnet.spins.montecarlo import BlockGibbs, sample
from spinnet.spins.montecarlo.chains import BlockChains

_POOL_CHAINS = 500
_POOL_STEPS = 200
_POOL_THIN = 10


class PatternSource(ABC):
    """A model of the layer's patterns."""

    name: str
    origin: str

    @abstractmethod
    def draw(self, n_samples: int, rng: np.random.Generator) -> Codes:
        """Return patterns of each unit subset, shape (n_subsets, n_samples)."""


class DualSource(PatternSource):
    """The outputs of the free dual at temperature T, all inputs summed over.

    Exact independent draws where the layer has at most 20 outputs; otherwise resamples of a
    pool of block Gibbs states, whose size limits the resolution of the tails.
    """

    def __init__(
        self, layer: StudiedLayer, temperature: float, seed: np.random.SeedSequence
    ) -> None:
        self.temperature = temperature
        self.layer = layer
        dual = layer.dual()
        self.origin = f"{dual.label}, exact law"
        self._marginal: LayerMarginal | None = None
        if dual.n_out <= MAX_WHOLE:
            self._marginal = layer_marginal(dual, 1 / temperature)
        else:
            self._pool = _pool(dual, layer, 1 / temperature, seed)
            self.origin = f"{dual.label}, block Gibbs"
        self.name = f"dual, T = {temperature:.3g}"

    def draw(self, n_samples: int, rng: np.random.Generator) -> Codes:
        """Return patterns; see :class:`PatternSource`."""
        if self._marginal is not None:
            return self._marginal.draw(n_samples, rng)[None, :]
        return self._pool[:, rng.integers(0, self._pool.shape[1], n_samples)]


def _pool(
    dual: NetworkDual, layer: StudiedLayer, beta: float, seed: np.random.SeedSequence
) -> Codes:
    for_check, for_chains = seed.spawn(2)
    # the check refuses temperatures at which the chains do not mix
    mixed = sample(dual, beta, n_sweeps=2000, n_replicas=32, update=BlockGibbs(), rng=for_check)
    burn_in = int(mixed.n_burn_in)
    chains = BlockChains(dual, beta, BlockGibbs(), _POOL_CHAINS, for_chains)
    chains.advance(burn_in, record=False)
    parts = []
    for _ in range(_POOL_STEPS):
        chains.advance(_POOL_THIN, record=False)
        parts.append(layer.codes(chains.spins[:, dual.n_in :] > 0))
    return np.concatenate(parts, axis=1)


class IndependentUnits(PatternSource):
    """Null N1: each unit on its own, at its measured rate."""

    name = "independent units"
    origin = "each node at its measured rate"

    def __init__(self, layer: StudiedLayer) -> None:
        self.layer = layer
        self._rates = layer.outputs.mean(axis=0)

    def draw(self, n_samples: int, rng: np.random.Generator) -> Codes:
        """Return patterns; see :class:`PatternSource`."""
        return self.layer.codes(rng.random((n_samples, len(self._rates))) < self._rates)


class NullNetwork(PatternSource):
    """Nulls N2 and N3: the network with other weights, on the recorded inputs.

    `n_samples` must be the number of these.
    """

    def __init__(self, layer: StudiedLayer, *, untrained: bool) -> None:
        self.layer, self.untrained = layer, untrained
        self.name = "untrained weights" if untrained else "shuffled weights"
        null = layer.network.redraw_untrained(0) if untrained else layer.network.shuffled(0)
        self.origin = null.origin

    def draw(self, n_samples: int, rng: np.random.Generator) -> Codes:
        """Return patterns of a freshly shuffled or redrawn network on all recorded inputs."""
        network = self.layer.network
        null = network.redraw_untrained(rng) if self.untrained else network.shuffled(rng)
        return self.layer.codes(_outputs(null, self.layer))


def _outputs(network: FeedForward, layer: StudiedLayer) -> Bits:
    """Return the layer's bits; only the layers up to it are evaluated."""
    assert layer.network_inputs is not None
    head = FeedForward(network.layers[: network.index(layer.name) + 1])
    threshold = head.layers[-1].threshold
    parts = [batch[layer.name] > threshold for _, batch in head.batches(layer.network_inputs)]
    return np.concatenate(parts)


def null_models(layer: StudiedLayer) -> tuple[PatternSource, ...]:
    """Return the null models: independent units, and shuffled and untrained networks."""
    sources: list[PatternSource] = [IndependentUnits(layer)]
    if layer.network_inputs is not None:
        sources.append(NullNetwork(layer, untrained=False))
        sources.append(NullNetwork(layer, untrained=True))
    return tuple(sources)


def log_likelihood(layer: StudiedLayer, temperature: float, chosen: Codes) -> tuple[Array, str]:
    """Return the log-likelihood of each chosen input's output pattern under the free dual.

    Parameters
    ----------
    layer : StudiedLayer
    temperature : float
    chosen : ndarray of int
        Indices of inputs.

    Returns
    -------
    ndarray, shape (len(chosen),)
        Exact ln P(b) for at most 20 outputs; otherwise the pseudo-log-likelihood
        sum_j ln P(b_j | other b).
    str
        "likelihood" or "pseudo-likelihood".
    """
    dual = layer.dual()
    if dual.n_out <= MAX_WHOLE:
        marginal = layer_marginal(dual, 1 / temperature)
        return marginal.log_p[layer.codes(layer.outputs)[0][chosen]], "likelihood"
    return _pseudo_log_likelihood(layer, temperature, layer.outputs[chosen]), "pseudo-likelihood"


def _pseudo_log_likelihood(layer: StudiedLayer, temperature: float, outputs: Bits) -> Array:
    """Return sum_j ln P(b_j | rest) with the inputs summed over: sum_i ln(1 + e^(x_i/T))."""
    b = outputs.astype(np.float64)
    w = layer.weights / temperature
    x = b @ w.T
    total = np.zeros(len(b))
    for j in range(b.shape[1]):
        without = x - b[:, j, None] * w[:, j]
        gain = np.logaddexp(0, without + w[:, j]) - np.logaddexp(0, without)
        field = layer.bias[j] / temperature + gain.sum(axis=1)
        total -= np.logaddexp(0, np.where(outputs[:, j], -field, field))
    return total


def independent_log_likelihood(fit: Bits, test: Bits) -> Array:
    """Return ln P of each test pattern under independent units with the rates of `fit`.

    Rates are those of Laplace's rule, so that a unit never on in `fit` does not give -inf.
    """
    rates = (fit.sum(axis=0) + 0.5) / (len(fit) + 1)
    return np.asarray(np.where(test, np.log(rates), np.log1p(-rates)).sum(axis=1))
