"""The Bethe approximation by belief propagation: exact on trees, at home with strong bonds.

References
----------
H. Bethe, Proc. R. Soc. A 150, 552 (1935); M. Mezard & A. Montanari, "Information, Physics, and
Computation" (2009), chapters 14 and 17; J. Yedidia, W. Freeman & Y. Weiss, IEEE Trans. Inf.
Theory 51, 2282 (2005).
"""

from spinnet.spins.meanfield.bethe.method import Bethe
from spinnet.spins.meanfield.bethe.solution import BetheSolution
from spinnet.spins.meanfield.bethe.temperatures import (
    critical_temperature,
    ferromagnetic_temperature,
    growth_rate,
    spin_glass_temperature,
    spin_glass_temperature_stable,
)

__all__ = [
    "Bethe",
    "BetheSolution",
    "critical_temperature",
    "ferromagnetic_temperature",
    "growth_rate",
    "spin_glass_temperature",
    "spin_glass_temperature_stable",
]
