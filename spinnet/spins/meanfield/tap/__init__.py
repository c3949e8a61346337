"""TAP: the mean field of Thouless, Anderson and Palmer, with Onsager's reaction term."""

from spinnet.spins.meanfield.tap.method import TAP
from spinnet.spins.meanfield.tap.solution import TAPSolution

__all__ = ["TAP", "TAPSolution"]
