"""Gaussian averages of activations, in closed form where there is one."""

from spinnet.propagation.kernels.base import Kernel

__all__ = ["Kernel"]
