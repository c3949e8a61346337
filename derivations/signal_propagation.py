"""Signals in random deep networks: maps, phases, gradients, geometry, kernels, spectra."""

# %% [markdown]
# # Signal propagation in random deep networks
#
# A wide network with random weights and biases,
#
# $$h^l = W^l\phi(h^{l-1}) + b^l,\qquad W_{ij}\sim N(0,\sigma_w^2/N_{l-1}),\quad
# b_i\sim N(0,\sigma_b^2),$$
#
# forgets everything of an input but a few numbers: the variance q of a pre-activation, and the
# correlation c of those of two inputs.  Both obey maps of one variable, and the fixed points of
# the maps, with their slopes, say how deep a signal can travel: Poole et al., arXiv:1606.05340,
# and Schoenholz et al., arXiv:1611.01232.  This script tells the argument.  The formulas are
# stated in `spinnet.theory.propagation`, once; each line printed below has been checked there by
# machine, and says how.  Run it (`--latex FILE` also writes an article), or open it as a notebook.

# %%
import sys
from argparse import ArgumentParser

import mpmath
import numpy as np
import sympy as sp
from scipy.special import erf

from spinnet.errors import InputError
from spinnet.files import check_writable
from spinnet.theory import propagation
from spinnet.theory.propagation import c, geometry, q, sigma_b, sigma_w

# A notebook has arguments of its own; there, nothing is parsed.
parser = ArgumentParser(description="Derive signal propagation, every step checked.")
parser.add_argument("--latex", metavar="FILE", help="also write the derivation as LaTeX")
options = parser.parse_args([] if "ipykernel" in sys.modules else None)
if options.latex:
    try:
        check_writable(options.latex, "--latex")
    except InputError as error:
        parser.exit(2, f"error: {error}\n")

steps = propagation.derivation()
print(f"{steps.title}\n{steps.reference}\n")

# %% [markdown]
# ## Two identities about Gaussian averages
#
# All of the theory rests on two integrations by parts.  Stein: E[u g(u)] = q E[g'(u)].  Price:
# the derivative of E[phi(u_1) phi(u_2)] by the covariance is E[phi'(u_1) phi'(u_2)].  Both follow
# from equations that the Gaussian density obeys, and so hold for every activation of moderate
# growth, kinks included if the derivatives of phi are taken with their delta functions.

# %%
print(steps.to_text("Gaussian averages"))

# %% [markdown]
# ## The length map
#
# The sum over many inputs is Gaussian given the layer before, with variance
# V(q) = sigma_w^2 E[phi^2] + sigma_b^2.  Its slope at the fixed point gives the depth scale
# xi_q = -1/ln chi_q.  The slope has two forms; the popular one, chi_1 + sigma_w^2 E[phi phi''],
# is wrong for an activation with kinks if phi'' is taken point by point.

# %%
print(steps.to_text("Length map"))

# %% [markdown]
# ## The correlation map
#
# Two inputs at the fixed point of V keep their lengths, and their correlation obeys c -> C(c).
# By Price's theorem C' is sigma_w^2 E[phi' phi'], and expanding phi in Hermite polynomials turns C
# into a power series with coefficients >= 0: it is convex on [0, 1].  So c = 1 attracts
# everything if chi_1 = C'(1) <= 1 (order), and otherwise there is exactly one more fixed point
# c* in [0, 1), an attracting one (chaos).

# %%
print(steps.to_text("Correlation map"))
print(steps.to_text("Hermite expansion and convexity"))
print(steps.to_text("Stability of c = 1"))

# %% [markdown]
# ## The critical line
#
# chi_1 = 1 separates the two phases.  Parametrised by q it is explicit for every activation.
# On it correlations no longer decay exponentially: 1 - c falls as 1/l for smooth activations, and
# as 1/l^2 for relu.  The line of tanh ends in the corner sigma_w = 1, sigma_b = 0, where even
# xi_q diverges.  The line of gelu runs along *unstable* fixed points of V for small sigma_b.

# %%
print(steps.to_text("Critical line"))
print(steps.to_text("Decay on the critical line"))
print(steps.to_text("The corner (1, 0)"))

# %% [markdown]
# ## Dropout
#
# Masks drawn independently for two inputs raise their variances and not their covariance, so
# c = 1 ceases to be a fixed point: however slightly units are dropped, xi_c stays finite.  With
# one mask for both nothing changes but sigma_w.

# %%
print(steps.to_text("Dropout"))

# %% [markdown]
# ## Gradients
#
# If the weights of the backward pass are taken as independent of the forward pass, gradients obey
# linear maps with factors chi_1 (variance) and chi(c) (covariance).

# %%
print(steps.to_text("Back-propagation"))

# %% [markdown]
# ## Closed forms
#
# Price's theorem makes kernels easy: differentiate by the covariance until the average is a
# Gaussian integral, and integrate back from p = 0, where the average factorises.  tanh has no
# closed form, but is a mixture of error functions over the law of Kolmogorov's statistic, which
# makes its averages sums of arcsines.

# %%
print(steps.to_text("Closed-form kernels"))
print(steps.to_text("tanh as a mixture of error functions"))

# %% [markdown]
# ## Curves
#
# The image of a curve is known through the correlation of its points, K -> C(K) per layer; length
# and curvature are derivatives of K at 0.  In the chaotic phase length grows exponentially while
# the curvature stays: curves fold, they are not merely stretched.

# %%
print(steps.to_text("Geometry of curves"))

# %% [markdown]
# ## Singular values of the Jacobian
#
# A mean squared singular value of 1 says nothing about the largest.  Free multiplication gives
# the inverse function of the moment series; its minimum is the upper edge of the spectrum.

# %%
print(steps.to_text("Singular values of the Jacobian"))

# %% [markdown]
# ## What the slides print, and what holds
#
# The letters are those of the list of errata.  Each printed formula that is wrong is recorded as
# an equality that fails, with a point at which it does.

# %%
for section in steps.sections():
    if section.startswith("Errata"):
        print(steps.to_text(section))

# %% [markdown]
# ## The same results by another route
#
# Last, the end points again, without the machinery above.  First an erf network: its maps by
# quadrature over a grid in two variables, iterated layer by layer; the depth scales are read off
# the decay.

# %%
z = np.linspace(-10, 10, 401)
normal = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) * (z[1] - z[0])


def next_layer(lengths: float, correlation: float, weights: float, biases: float) -> list[float]:
    """Return q and c of the next layer of an erf network, by the trapezoidal rule."""
    root = np.sqrt(lengths)
    first = erf(root * z)
    other = root * (correlation * z[:, None] + np.sqrt(1 - correlation**2) * z)
    square = weights**2 * normal @ first**2 + biases**2
    product = weights**2 * (normal * first) @ erf(other) @ normal + biases**2
    return [float(square), float(product / square)]


chaotic = {sigma_w: 2, sigma_b: sp.Rational(3, 10)}
history = [[3.0, 0.4]]
for _ in range(120):
    history.append(next_layer(*history[-1], 2.0, 0.3))
q_star, c_star = history[-1]
at = {**chaotic, q: q_star, c: c_star}
for name, theory, column, layer in (
    ("xi_q", propagation.xi_q("erf"), 0, 4),
    ("xi_c", propagation.xi_c("erf"), 1, 40),
):
    gaps = [abs(history[k][column] - history[-1][column]) for k in (layer, layer + 1)]
    seen, stated = -1 / np.log(gaps[1] / gaps[0]), float(theory.subs(at))
    print(f"{name}: {seen:.4f} from the decay, {stated:.4f} from spinnet.theory")
    assert abs(seen / stated - 1) < 2e-3  # the next order of the map, at this depth
assert abs(float(propagation.length_map("erf").subs(at)) - q_star) < 1e-10
assert abs(float(propagation.correlation_map("erf").subs(at)) - c_star) < 1e-7

# %% [markdown]
# Networks of finite width: 40 erf networks of 300 units, a pair of inputs and a gradient.

# %%
stream, width, depth, draws = np.random.default_rng(3), 300, 6, 40
square, product, gain = np.zeros(draws), np.zeros(draws), np.zeros(draws)
for k in range(draws):
    h = np.sqrt(q_star) * stream.normal(size=(2, width))
    h[1] = 0.4 * h[0] + np.sqrt(1 - 0.4**2) * h[1]
    layers = []
    for _ in range(depth):
        W = stream.normal(size=(width, width)) * 2.0 / np.sqrt(width)
        layers.append((W, 2 / np.sqrt(np.pi) * np.exp(-(h[0] ** 2))))
        h = erf(h) @ W.T + 0.3 * stream.normal(size=width)
    square[k], product[k] = (h[0] ** 2).mean(), (h[0] * h[1]).mean()
    gradient = stream.normal(size=width)
    norm = gradient @ gradient
    for W, slope in reversed(layers):
        gradient = slope * (W.T @ gradient)
    gain[k] = gradient @ gradient / norm
expected_c = 0.4
for _ in range(depth):
    expected_c = next_layer(q_star, expected_c, 2.0, 0.3)[1]
chi_1 = float(propagation.chi_1("erf").subs(at))
for name, sample, expected in (
    ("q", square, q_star),
    ("covariance", product, q_star * expected_c),
    (f"chi_1^{depth}", gain, chi_1**depth),
):
    error = sample.std(ddof=1) / np.sqrt(draws)
    print(f"{name}: {sample.mean():.4f} +- {error:.4f} simulated, {expected:.4f} in theory")
    assert abs(sample.mean() - expected) < 5 * error

# %% [markdown]
# The critical line of erf at sigma_b = 0.3, by bisection in sigma_w on the slope of C at 1, taken
# by a finite difference; then the decay of correlations in a relu network on its line, in
# the angle between two inputs.


# %%
def slope_at_one(weights: mpmath.mpf) -> mpmath.mpf:
    """Return the slope of C at c = 1 at the fixed point of an erf network, sigma_b = 0.3."""
    length = mpmath.mpf(1)
    for _ in range(400):
        length = weights**2 * mpmath.asin(2 * length / (1 + 2 * length)) * 2 / mpmath.pi
        length += mpmath.mpf("0.09")

    def image(x: mpmath.mpf) -> mpmath.mpf:
        angle = mpmath.asin(2 * length * x / (1 + 2 * length))
        return (weights**2 * 2 / mpmath.pi * angle + mpmath.mpf("0.09")) / length

    return mpmath.diff(image, 1)


with mpmath.workdps(30):
    low, high = mpmath.mpf(1), mpmath.mpf(2)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if slope_at_one(middle) < 1 else (low, middle)
squares = [sp.lambdify(q, side, "mpmath") for side in propagation.critical_line("erf")]
place = mpmath.findroot(lambda x: squares[1](x) - mpmath.mpf("0.09"), 1)
print(f"critical sigma_w of erf at sigma_b = 0.3: {mpmath.nstr(low, 15)}")
assert abs(mpmath.sqrt(squares[0](place)) - low) < 1e-12

# %%
angle, layers_seen = 1.0, 20_000
for _ in range(layers_seen):
    # cos(new) = cos(angle) + (sin(angle) - angle cos(angle))/pi, written without cancellation
    gain_of_c = np.sin(angle) - angle * np.cos(angle)
    angle = 2 * np.arcsin(np.sqrt(np.sin(angle / 2) ** 2 - gain_of_c / (2 * np.pi)))
decay = propagation.critical_decay("relu") * propagation.layers**2
seen = layers_seen**2 * 2 * np.sin(angle / 2) ** 2
print(f"relu on the line: l^2 (1 - c) = {seen:.3f} at l = {layers_seen}, limit {float(decay):.3f}")
assert abs(seen / float(decay) - 1) < 5e-3  # corrections of order ln(l)/l, 5e-4 here

# %% [markdown]
# Curvature of a circle through four erf layers, by differentiating the iterated map; and the
# largest singular value of a product of five Gaussian matrices.

# %%
at_equilibrium = propagation.at_fixed_point(propagation.correlation_map("erf"), "erf")
numbers = {q: sp.Rational(3, 2), sigma_w: sp.Rational(8, 5)}
curve = sp.lambdify(c, at_equilibrium.subs(numbers), "mpmath")


def autocorrelation(delta: mpmath.mpf) -> mpmath.mpf:
    """Return the correlation of the images of two points of the circle, three maps on."""
    return curve(curve(curve(mpmath.cos(delta))))


with mpmath.workdps(60):
    bend = [mpmath.diff(autocorrelation, 0, k, h=mpmath.mpf(10) ** -12) for k in (2, 4)]
    seen = bend[1] / (mpmath.mpf("1.5") * bend[0] ** 2)
values = {
    geometry.layer: 4,
    propagation.chi1: propagation.chi_1("erf"),
    propagation.chi2: propagation.chi_2("erf"),
}
stated = sp.N(geometry.curvature_squared().subs(values).subs(numbers), 30)
print(f"squared curvature in layer 4: {mpmath.nstr(seen, 12)}")
assert abs(seen - mpmath.mpf(str(stated))) < 1e-15

# %%
units = 800
J = np.eye(units)
for _ in range(5):
    J = stream.normal(size=(units, units)) / np.sqrt(units) @ J
edge = float(propagation.spectra.linear_edge().subs({propagation.spectra.L: 5, sigma_w: 1}))
largest = np.linalg.norm(J, 2) ** 2
print(f"largest squared singular value: {largest:.2f} for {units} units, edge {edge:.2f}")
assert abs(largest / edge - 1) < 0.12  # N^(-2/3) below it: 4 % on average here, 2 % scatter
print(f"\n{len(steps)} steps hold, and spinnet.theory.propagation agrees with the second route.")

# %%
if options.latex:
    try:
        print(f"LaTeX written to {steps.write_latex(options.latex)}")
    except InputError as error:
        parser.exit(2, f"error: {error}\n")
