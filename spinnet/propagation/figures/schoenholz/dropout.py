"""Figure 3 of Schoenholz et al.: dropout removes the critical point."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinnet import plotting
from spinnet.errors import InputError
from spinnet.plotting import BLACK
from spinnet.propagation.activations import Activation, get_activation
from spinnet.propagation.critical import critical_sigma_w
from spinnet.propagation.figures.data import FigureData
from spinnet.propagation.figures.schoenholz.decay import fit_decay, plane, theory_of, variances
from spinnet.propagation.figures.sweep import (
    COLORS,
    DASHES,
    make,
    panels,
    theory_and_simulation,
)
from spinnet.propagation.gaussian import MeanField
from spinnet.propagation.simulate import Ensemble
from spinnet.randomness import RandomState, seed_record, seed_sequence
from spinnet.validation import integer, positive_array, positive_float

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STARTS = (0.0, 1.0)


def fig3(
    *,
    activation: str | Activation = "tanh",
    keep: ArrayLike = (1.0, 0.99, 0.98, 0.94, 0.8),
    sigma_w2: float | None = None,
    sigma_b2: float = 0.05,
    fit_sigma_w2: ArrayLike | None = None,
    largest: float = 4.0,
    width: int = 500,
    n_networks: int = 20,
    n_inputs: int = 20,
    depth: int = 40,
    rng: RandomState = None,
) -> FigureData:
    """Compute correlation maps, their trajectories and xi_c with dropout.

    Parameters
    ----------
    activation : str or Activation
    keep : array_like
        Up to six probabilities to keep an activation, each a curve; masks of different inputs
        are independent.
    sigma_w2 : float, optional
        Of panels A and B; by default critical without dropout.
    sigma_b2 : float
    fit_sigma_w2 : array_like, optional
        Up to six values at which xi_c is fitted to simulations; by default 0.6, 1 and 1.5 times
        `sigma_w2`.
    largest : float
        End of the sigma_w2 axis of panel C.
    width, n_networks, depth : int
        Of the simulated networks.
    n_inputs : int
        Pairs of inputs that each network is averaged over for the fits.
    rng : None, int, SeedSequence or Generator

    Returns
    -------
    FigureData
        ``keep`` (n,).  A, the map at q*: ``c_in`` (51,), ``C`` (n, 51), ``sim_c_in`` (11,),
        ``sim_mean``, ``sim_sd``, ``sim_sem`` (n, 11), ``c_star`` (n,).  B, from c^0 = 0 and 1:
        ``traj_theory``, ``traj_mean``, ``traj_sd``, ``traj_sem`` (n, depth + 1, 2).  C:
        ``sigma_w2`` (201,), ``xi_c`` (n, 201), ``fit_sigma_w2`` (m,), ``xi_c_fit``,
        ``xi_c_error``, ``xi_c_fit_theory`` (n, m), NaN where noise hides the exponential.

    Raises
    ------
    InputError
        For bad sizes or parameters, and without `sigma_w2` for an activation that has no
        critical point at `sigma_b2`.

    Notes
    -----
    The paper has sigma_b^2 = 0.05 and keeps 0.99, 0.98 and 0.94 of the activations.
    """
    phi = get_activation(activation)
    probabilities = np.atleast_1d(positive_array("keep", keep))
    if probabilities.ndim != 1 or not 1 <= probabilities.size <= len(COLORS):
        raise InputError(f"keep must be 1 to {len(COLORS)} values, got {probabilities.shape}")
    bias = positive_float("sigma_b2", sigma_b2, zero=True)
    if sigma_w2 is None:
        sigma_w2 = critical_sigma_w(phi, bias**0.5) ** 2
    w2 = positive_float("sigma_w2", sigma_w2)
    fitted = variances("fit_sigma_w2", w2 * np.array([0.6, 1, 1.5]))
    if fit_sigma_w2 is not None:
        fitted = variances("fit_sigma_w2", fit_sigma_w2)
    largest, depth = positive_float("largest", largest), integer("depth", depth, minimum=1)
    n_inputs = integer("n_inputs", n_inputs, minimum=1)
    for rho in probabilities.tolist():  # before any simulation
        for value in (w2, *fitted.tolist()):
            theory_of(phi, value, bias, rho)
    seed = seed_sequence(rng)
    c_in, sim_c_in = np.linspace(0, 1, 51), np.linspace(0, 1, 11)
    along = np.linspace(0.02, largest, 201)
    sizes: dict[str, Any] = {"width": width, "n_networks": n_networks}
    columns: dict[str, list[Any]] = {}
    for rho, child in zip(probabilities.tolist(), seed.spawn(len(probabilities)), strict=True):
        first, second, *rest = child.spawn(2 + fitted.size)
        net = MeanField(phi, sigma_w2=w2, sigma_b2=bias, keep=rho)
        one = _ensemble(net, first, sizes).propagate_correlation(sim_c_in, 1)
        many = _ensemble(net, second, sizes).propagate_correlation(np.array(_STARTS), depth)
        row: dict[str, Any] = {
            "c_star": net.c_star,
            "C": net.correlation_map(c_in),
            "sim_mean": one.mean[1],
            "sim_sd": one.sd[1],
            "sim_sem": one.sem[1],
            "traj_theory": net.propagate_correlation(np.array(_STARTS), depth),
            "traj_mean": many.mean,
            "traj_sd": many.sd,
            "traj_sem": many.sem,
            "xi_c": plane(phi, along, bias, rho).xi_c[0],
        }
        fits = [
            _fit(
                MeanField(phi, sigma_w2=value, sigma_b2=bias, keep=rho),
                depth,
                n_inputs,
                stream,
                sizes,
            )
            for value, stream in zip(fitted.tolist(), rest, strict=True)
        ]
        row["xi_c_fit"], row["xi_c_error"], row["xi_c_fit_theory"] = np.transpose(fits)
        for key, value in row.items():
            columns.setdefault(key, []).append(value)
    return make(
        "schoenholz.fig3",
        {
            "keep": probabilities,
            "c_in": c_in,
            "sim_c_in": sim_c_in,
            "sigma_w2": along,
            "fit_sigma_w2": fitted,
            **columns,
        },
        {
            "activation": phi.name,
            "sigma_w2": w2,
            "sigma_b2": bias,
            "width": width,
            "n_networks": n_networks,
            "n_inputs": n_inputs,
            "depth": depth,
            "seed": seed_record(seed),
        },
        _draw,
    )


def _ensemble(net: MeanField, seed: np.random.SeedSequence, sizes: dict[str, Any]) -> Ensemble:
    return Ensemble(net.activation, net.sigma_w, net.sigma_b, net.keep, rng=seed, **sizes)


def _fit(
    net: MeanField,
    depth: int,
    n_inputs: int,
    seed: np.random.SeedSequence,
    sizes: dict[str, Any],
) -> NDArray[np.float64]:
    """Return xi_c of the decay from c = 0, its error, and that of the theory's decay."""
    pairs = _ensemble(net, seed, sizes)
    found = pairs.propagate_correlation(np.zeros(n_inputs), depth, distance=True)
    apart = found.samples.mean(axis=2)
    theory = net.propagate_correlation(0.0, depth) - net.c_star
    theory[np.abs(theory) < 1e-13] = 0  # rounding
    return np.array(fit_decay(net.one_minus_c_star - apart, theory, net.xi_c))


def _draw(data: FigureData) -> Figure:
    figure: Figure
    figure, axes = panels(1, 3, width=7.4, height=3.0)
    a, b, c = axes.ravel()
    layers = np.arange(data["traj_theory"].shape[1])
    for k, rho in enumerate(data["keep"]):
        color = COLORS[k]
        dashes: Any = DASHES[k]
        theory_and_simulation(
            a,
            data["c_in"],
            data["C"][k] - data["c_in"],
            np.full(51, np.nan),
            np.full(51, np.nan),
            color=color,
            dashes=dashes,
            label=rf"$\rho = {rho:g}$",
        )
        gain = data["sim_mean"][k] - data["sim_c_in"]
        plotting.points(a, data["sim_c_in"], gain, data["sim_sem"][k], color=color, size=2.5)
        for start in range(len(_STARTS)):
            theory_and_simulation(
                b,
                layers,
                data["traj_theory"][k, :, start],
                data["traj_mean"][k, :, start],
                data["traj_sd"][k, :, start],
                color=color,
                dashes=dashes,
                every=max(1, len(layers) // 12),
            )
        plotting.line(c, data["sigma_w2"], data["xi_c"][k], color=color, dashes=dashes)
        plotting.points(
            c, data["fit_sigma_w2"], data["xi_c_fit"][k], data["xi_c_error"][k], color=color
        )
        c.plot(data["fit_sigma_w2"], data["xi_c_fit_theory"][k], "x", color=color, ms=4, mew=1)
    plotting.level(a, 0.0)
    plotting.points(a, [], [], color=BLACK, size=2.5, label="networks (A: s.e., B: s.d., C: fit)")
    a.plot([], [], "x", color=BLACK, ms=4, mew=1, label="C: fit of theory")
    a.set_xlabel("correlation $c^{l-1}$")
    a.set_ylabel("change of correlation $c^l - c^{l-1}$")
    b.set_xlabel("layer $l$")
    b.set_ylabel("correlation $c^l$ from 0 and 1")
    c.set_xlabel(r"$\sigma_w^2$")
    c.set_ylabel(r"depth scale $\bar\xi_c$ (layers)")
    noisy = data["xi_c"][data["keep"] < 1]
    top = float(noisy.max()) if noisy.size else 20.0
    c.set_ylim(0, 1.6 * top)
    figure.legend(loc="outside upper center", ncols=min(5, len(data["keep"]) + 3))
    return figure
