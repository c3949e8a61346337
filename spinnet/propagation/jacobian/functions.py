"""The functions of the public interface: the spectrum of a network, and a density in one call."""

from __future__ import annotations

import math
import warnings

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet.errors import InputError, SpinnetWarning
from spinnet.propagation.activations import Activation
from spinnet.propagation.gaussian import MeanField
from spinnet.propagation.jacobian.spectrum import JacobianSpectrum
from spinnet.propagation.noise import MultiplicativeGaussian
from spinnet.validation import choice, positive_array, positive_float

Array = NDArray[np.float64]


def jacobian(
    net: MeanField, depth: int, weights: str = "gaussian", *, q: float | None = None
) -> JacobianSpectrum:
    """Return the law of the singular values of the Jacobian of `depth` layers of a network.

    J is a product of `depth` factors W^{l+1} D^l ("pre") or D^l W^l ("post"): see
    :class:`JacobianSpectrum`.

    Parameters
    ----------
    net : MeanField
        Dropout is included in D.  Orthogonal weights share its maps of q and c.
    depth : int
        L, the number of factors.
    weights : {"gaussian", "orthogonal"}
    q : float, optional
        Variance of the pre-activations in every layer; the default is ``net.q_star``.

    Raises
    ------
    InputError
        If an argument is out of range, if there is no finite fixed point and no `q`, or for
        multiplicative Gaussian noise, whose D has no largest entry.

    Examples
    --------
    >>> net = MeanField("relu", sigma_w=2**0.5, sigma_b=0.0)
    >>> round(jacobian(net, 8).edges().lambda_max, 3)
    43.549
    >>> round(jacobian(net, 8, "orthogonal").edges().lambda_max, 3)
    20.372
    """
    if not isinstance(net, MeanField):
        raise InputError(f"net must be a MeanField, got {type(net).__name__}")
    if isinstance(net.noise, MultiplicativeGaussian) and net.noise.sigma > 0:
        raise InputError(
            f"net must have no multiplicative Gaussian noise, got {net.noise}: the slopes "
            "phi'(h) (1 + sigma g) have no largest value, so that the spectrum has no edge"
        )
    return JacobianSpectrum(
        net.activation, net.sigma_w, _variance(net, q), depth, weights, net.keep
    )


def jacobian_density(
    s: ArrayLike,
    activation: str | Activation,
    *,
    sigma_w: float,
    sigma_b: float = 0.0,
    stable_alpha: float = 2.0,
    depth: int = 1,
    weights: str = "gaussian",
    kind: str = "pre",
    q: float | None = None,
) -> Array:
    """Return the density of the singular values of a Jacobian at the fixed point of the length.

    Parameters
    ----------
    s : array_like
        Singular values, >= 0.
    activation : str or Activation
    sigma_w, sigma_b : float
    stable_alpha : float
        Index of the law of the weights.  Only 2, normal weights.
    depth : int
        L, the number of factors.
    weights : {"gaussian", "orthogonal"}
    kind : {"pre", "post"}
        J = W^{L+1} D^L ... W^2 D^1, or D^L W^L ... D^1 W^1.  For stable_alpha = 2 the densities
        are the same.
    q : float, optional
        Variance of the pre-activations, instead of that of the fixed point.

    Returns
    -------
    ndarray
        Of the shape of `s`, without atoms.

    Warns
    -----
    SpinnetWarning
        If there are atoms, which no density shows; it names them.

    Raises
    ------
    InputError
        If an argument is out of range, `stable_alpha` is not 2, or there is no fixed point.

    Examples
    --------
    >>> jacobian_density([0.5, 1.0], "tanh", sigma_w=1.5, sigma_b=0.3).round(4)
    array([0.5335, 0.3967])
    """
    s = positive_array("s", s, zero=True)
    if positive_float("stable_alpha", stable_alpha) != 2:
        raise InputError(
            f"stable_alpha must be 2 here, got {stable_alpha}: the spectra of heavy-tailed "
            "weights follow other equations, which this routine does not solve"
        )
    choice("kind", kind, ("pre", "post"))
    spectrum = jacobian(MeanField(activation, sigma_w, sigma_b), depth, weights, q=q)
    if atoms := spectrum.atoms():
        listed = ", ".join(f"{atom.mass:.6g} at s = {atom.s:.6g}" for atom in atoms)
        warnings.warn(
            f"the density leaves out atoms of mass {listed}; see JacobianSpectrum.atoms()",
            SpinnetWarning,
            stacklevel=2,
        )
    return spectrum.density(s)


def _variance(net: MeanField, q: float | None) -> float:
    """Return the variance of pre-activations at which D is drawn."""
    if q is not None:
        return positive_float("q", q, zero=True)
    if math.isfinite(net.q_star):
        return net.q_star
    if net.activation.kernel.homogeneous:  # the slopes do not depend on q
        return 1.0
    raise InputError(
        f"net must have a finite fixed point of the length, got q_star = {net.q_star}; pass q="
    )
