"""What measurements on several networks return: samples, mean, spread and standard error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Measurement:
    """One quantity in each of several independent networks.

    Attributes
    ----------
    name : str
        What was measured.
    samples : ndarray, shape (n_networks, ...)
        One value per network; where there are layers, they are the second axis.
    parameters : dict
        Everything that was chosen.
    seed : dict
        What makes the random streams again.
    version : str
        The spinnet that measured.
    """

    name: str
    samples: Array
    parameters: Mapping[str, object]
    seed: Mapping[str, object]
    version: str

    @property
    def n_networks(self) -> int:
        """Number of networks."""
        return int(self.samples.shape[0])

    @property
    def mean(self) -> Array:
        """Average over networks."""
        return np.asarray(self.samples.mean(axis=0))

    @property
    def sd(self) -> Array:
        """Standard deviation between networks: the band that a single one scatters in.

        NaN for one network.
        """
        if self.n_networks < 2:
            return np.full(self.samples.shape[1:], np.nan)
        return np.asarray(self.samples.std(axis=0, ddof=1))

    @property
    def sem(self) -> Array:
        """Standard error of :attr:`mean`; NaN for one network."""
        return np.asarray(self.sd / np.sqrt(self.n_networks))

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists and numbers."""
        return {
            "name": self.name,
            "n_networks": self.n_networks,
            "mean": self.mean.tolist(),
            "sd": self.sd.tolist(),
            "sem": self.sem.tolist(),
            "parameters": dict(self.parameters),
            "seed": dict(self.seed),
            "version": self.version,
        }

    def __repr__(self) -> str:
        shape = self.samples.shape[1:]
        if shape:
            return f"Measurement({self.name!r}, {self.n_networks} networks, shape {shape})"
        return f"Measurement({self.name!r}, {self.mean:.6g} +- {self.sem:.2g})"
