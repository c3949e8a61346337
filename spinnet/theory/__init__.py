"""Symbolic statements of the theory, in SymPy; numerical wings compile them.

Each module states one theory once (`curie_weiss`, `critical_scaling`, `dual`, `layers`, `plefka`,
`propagation`) on top of the tools in `algebra`; `errata` lists what the source talk misprints.
`derive` returns the machine-checked derivation behind a module by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from spinnet.errors import InputError, did_you_mean
from spinnet.theory import (
    algebra,
    critical_scaling,
    curie_weiss,
    dual,
    errata,
    layers,
    plefka,
    propagation,
)
from spinnet.theory.algebra import Derivation, FreeEnergy, check_equal

DERIVATIONS: Mapping[str, Callable[[], Derivation]] = MappingProxyType(
    {
        "curie_weiss": curie_weiss.derivation,
        "network_dual": dual.derivation,
        "signal_propagation": propagation.derivation,
        "bipartite_map": layers.map_derivation,
        "one_loop_claim": layers.claim_derivation,
        "one_loop_determinant": dual.loop_derivation,
        "plefka_expansion": plefka.derivation,
        "critical_scaling": critical_scaling.derivation,
        "errata": errata.derivation,
    }
)

__all__ = [
    "DERIVATIONS",
    "Derivation",
    "FreeEnergy",
    "algebra",
    "check_equal",
    "critical_scaling",
    "curie_weiss",
    "derive",
    "dual",
    "errata",
    "layers",
    "plefka",
    "propagation",
]


def derive(name: str) -> Derivation:
    """Return the derivation `name`, every step freshly checked; `DERIVATIONS` lists the names.

    Hyphens and underscores are the same: ``derive("network-dual")``.
    """
    key = name.replace("-", "_")
    if key not in DERIVATIONS:
        raise InputError(
            f"name must be one of {', '.join(DERIVATIONS)}, got {name!r}"
            f"{did_you_mean(key, DERIVATIONS)}"
        )
    return DERIVATIONS[key]()
