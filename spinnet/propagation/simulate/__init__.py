"""Finite-width random networks: the empirical counterpart of the mean-field theory."""

from spinnet.propagation.simulate.curves import Curve
from spinnet.propagation.simulate.networks import Network
from spinnet.propagation.simulate.random_network import network

__all__ = ["Curve", "Network", "network"]
