"""Singular values of input-output Jacobians, for Gaussian and orthogonal weights."""

from spinnet.propagation.jacobian.functions import jacobian, jacobian_density
from spinnet.propagation.jacobian.spectrum import Atom, JacobianSpectrum, SpectralEdges

__all__ = ["Atom", "JacobianSpectrum", "SpectralEdges", "jacobian", "jacobian_density"]
