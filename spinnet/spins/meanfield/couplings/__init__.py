"""The linear algebra of mean-field theory, one class for each shape of coupling matrix."""

from spinnet.spins.meanfield.couplings.base import Coupling, TopMode
from spinnet.spins.meanfield.couplings.layers import BlockCoupling
from spinnet.spins.meanfield.couplings.matrices import DenseCoupling, SparseCoupling
from spinnet.spins.meanfield.couplings.uniform import UniformCoupling

__all__ = [
    "BlockCoupling",
    "Coupling",
    "DenseCoupling",
    "SparseCoupling",
    "TopMode",
    "UniformCoupling",
]
