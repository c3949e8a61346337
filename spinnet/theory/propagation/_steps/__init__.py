"""The steps of `propagation.derivation`, one module per section.

Each left-hand side is computed from the definitions; each right-hand side is the statement as the
papers print it.  What is claimed of every activation is proved on the Gaussian density, and once
more on a polynomial with arbitrary coefficients; named activations are then compared with
quadrature.
"""

from __future__ import annotations

from spinnet.theory.checking import Derivation
from spinnet.theory.propagation._steps import (
    averages,
    correlation,
    critical,
    dropout,
    errata,
    geometry,
    gradients,
    kernels,
    length,
    mixture,
    spectra,
)


def build() -> Derivation:
    """Return the whole derivation, every step checked."""
    d = Derivation(
        "Signal propagation in random deep networks",
        "Poole et al., arXiv:1606.05340; Schoenholz et al., arXiv:1611.01232",
    )
    for part in (
        averages,
        length,
        correlation,
        critical,
        dropout,
        gradients,
        kernels,
        mixture,
        geometry,
        spectra,
        errata,
    ):
        part.add(d)
    return d
