"""What a phase diagram returns: arrays over the grid, with figures and files of them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import spinnet
from spinnet.errors import InputError
from spinnet.files import finite_or_null, write_atomically
from spinnet.propagation.activations import Activation
from spinnet.propagation.critical import CriticalLine, critical_line
from spinnet.propagation.noise import Noise
from spinnet.propagation.scales import depth_scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

PHASES = ("ordered", "chaotic", "critical", "noisy", "marginal", "unbounded")
QUANTITIES = (
    "q_star", "chi_q", "chi_1", "c_star", "one_minus_c_star", "chi_c", "one_minus_chi_c",
    "xi_q", "xi_c", "xi_grad",
)  # fmt: skip
_ERRORS = ("q_star_error", "c_star_error", "xi_c_error")
_CRITICAL = 1e-13  # |chi_1 - 1| below which a double cannot tell the phases apart
_LINE_POINTS = 201
_LARGEST_BIAS = 1e3  # of the critical line


@dataclass(frozen=True, eq=False)
class PhaseDiagram:
    """Every quantity of MeanField on a grid; see :func:`phase_diagram`.

    All arrays over the grid have shape (n_b, n_w): row i belongs to sigma_b[i], column j to
    sigma_w[j], as ``imshow`` and ``contour`` take them.  No entry is NaN but where no fixed point
    exists: there `q_star` is inf, or NaN where every length is a fixed point (ReLU at
    sigma_w^2 = 2, sigma_b = 0), and what depends on it is NaN.

    Attributes
    ----------
    activation : Activation
    sigma_w, sigma_b : ndarray, shapes (n_w,) and (n_b,)
        Standard deviations, as given.
    noise : Dropout, MultiplicativeGaussian or AdditiveGaussian
        ``Dropout(1.0)`` is no noise.
    q0 : float or None
        Length of the first layer; None stands for sigma_w^2 + sigma_b^2.
    q_star : ndarray
        Fixed point of the length map that q0 flows to.
    chi_q, chi_1 : ndarray
        Slope of the length map there, and of the correlation map at c = 1.
    one_minus_c_star, c_star : ndarray
        Stable fixed point of the correlation map; the first to relative accuracy.
    one_minus_chi_c, chi_c : ndarray
        Slope of the correlation map there; the first to relative accuracy next to criticality.
    xi_q, xi_c, xi_grad : ndarray
        Depth scales in layers, as in MeanField.
    phase : ndarray of str
        "ordered", "chaotic", "critical", "noisy", "marginal" or "unbounded", as in MeanField.
    multistable : ndarray of bool
        Whether q0 decides: the length map has several attractors (one may be infinity).
    q_star_error, c_star_error, xi_c_error : ndarray
        Estimated numerical errors; that of xi_c is relative.  Infinite where rounding leaves no
        digit of c_star or xi_c: at sigma_w beyond 1e4, with kinks or sin; MeanField has them.
    """

    activation: Activation
    sigma_w: Array
    sigma_b: Array
    noise: Noise
    q0: float | None
    q_star: Array = field(repr=False)
    chi_q: Array = field(repr=False)
    chi_1: Array = field(repr=False)
    one_minus_c_star: Array = field(repr=False)
    chi_c: Array = field(repr=False)
    one_minus_chi_c: Array = field(repr=False)
    multistable: NDArray[np.bool_] = field(repr=False)
    q_star_error: Array = field(repr=False)
    c_star_error: Array = field(repr=False)
    xi_c_error: Array = field(repr=False)

    def __repr__(self) -> str:
        n_b, n_w = self.q_star.shape
        noise = f", noise={self.noise}" if self._is_noisy else ""
        return (
            f"PhaseDiagram({self.activation.name!r}, {n_b} x {n_w} points, "
            f"sigma_b {self.sigma_b.min():g} to {self.sigma_b.max():g}, "
            f"sigma_w {self.sigma_w.min():g} to {self.sigma_w.max():g}{noise})"
        )

    @property
    def _is_noisy(self) -> bool:
        return self.noise.variance_factor != 1 or self.noise.variance_offset != 0

    # ------------------------------------------------------------------ derived
    @cached_property
    def c_star(self) -> Array:
        """Stable fixed point of the correlation map."""
        return 1 - self.one_minus_c_star

    @cached_property
    def xi_q(self) -> Array:
        """Depth scale of the length, -1/ln|chi_q|."""
        slope = np.abs(self.chi_q)
        return np.where(np.isnan(self.q_star), np.inf, depth_scale(slope, 1 - slope))

    @cached_property
    def xi_c(self) -> Array:
        """Depth scale of the correlation, -1/ln chi_c."""
        return depth_scale(self.chi_c, self.one_minus_chi_c)

    @cached_property
    def xi_grad(self) -> Array:
        """Depth scale of gradients: negative where they explode."""
        growth = self.chi_1 * (1.0 if self.noise.shared else self.noise.variance_factor)
        return depth_scale(growth, 1 - growth)

    @cached_property
    def phase(self) -> NDArray[np.str_]:
        """The phase of each point, in a word."""
        with np.errstate(invalid="ignore"):
            # an odd activation without biases is chaotic wherever signals live on
            alive = (self.one_minus_c_star == 1) & (self.q_star > 0)
            critical = (np.abs(1 - self.chi_1) <= _CRITICAL) & ~alive
            ordered = (self.chi_1 <= 1) & ~alive
        noisy = self._is_noisy and not self.noise.shared
        words = [
            (np.isnan(self.q_star), "marginal"),
            (np.isinf(self.q_star), "unbounded"),
            (np.full(critical.shape, noisy), "noisy"),
            (critical, "critical"),
            (ordered, "ordered"),
        ]
        return np.select([mask for mask, _ in words], [word for _, word in words], "chaotic")

    @cached_property
    def critical_line(self) -> CriticalLine | None:
        """The line chi_1 = 1 at 201 values of sigma_b over the range of the grid.

        None where independent noise leaves no transition, or shared noise is additive.
        """
        if self._is_noisy and (not self.noise.shared or self.noise.variance_offset):
            return None
        top = min(float(self.sigma_b.max()), _LARGEST_BIAS)
        bottom = min(float(self.sigma_b.min()), top)
        count = _LINE_POINTS if top > bottom else 1
        line = critical_line(self.activation, sigma_b=np.linspace(bottom, top, count))
        return replace(line, sigma_w=line.sigma_w / np.sqrt(self.noise.variance_factor))

    # ------------------------------------------------------------------ text and files
    def to_dict(self) -> dict[str, object]:
        """Return parameters and all arrays as plain numbers, lists and words."""
        return {
            **self._parameters(),
            "sigma_w": self.sigma_w.tolist(),
            "sigma_b": self.sigma_b.tolist(),
            **{name: getattr(self, name).tolist() for name in (*QUANTITIES, *_ERRORS)},
            "phase": self.phase.tolist(),
            "multistable": self.multistable.tolist(),
        }

    def overview(self) -> dict[str, object]:
        """Return parameters, shares of the phases, extremes and errors as plain numbers."""
        extremes = {name: self._extremes(name) for name in QUANTITIES}
        line = self.critical_line
        return {
            **self._parameters(),
            "shape": list(self.q_star.shape),
            "sigma_w": [float(self.sigma_w.min()), float(self.sigma_w.max())],
            "sigma_b": [float(self.sigma_b.min()), float(self.sigma_b.max())],
            "phases": {name: float(np.mean(self.phase == name)) for name in PHASES},
            "multistable": float(np.mean(self.multistable)),
            "extremes": extremes,
            "largest_error": {name: _largest(getattr(self, name)) for name in _ERRORS},
            "critical_line": None if line is None else line.to_dict(),
        }

    def summary(self) -> str:
        """Return phases, the critical line and extremes as text."""
        lines = [f"{self!r}"[len("PhaseDiagram(") : -1].replace("'", "")]
        shares = {name: float(np.mean(self.phase == name)) for name in PHASES}
        lines.append(
            "phases: " + ", ".join(f"{name} {share:.1%}" for name, share in shares.items() if share)
        )
        if self.multistable.any():
            lines.append(
                f"several stable lengths at {np.mean(self.multistable):.1%} of the points: "
                "q0 decides there"
            )
        lines += ["", *self._critical_rows(), "", *self._extreme_rows()]
        return "\n".join(lines)

    def save(self, path: str | Path) -> Path:
        """Write `path`.npz with all arrays and `path`.json with the overview, each at once.

        An ending .npz or .json of `path` is dropped; any other stays.  A number that is NaN or
        infinite is null in the JSON.

        Raises
        ------
        InputError
            For a place that cannot be written.
        """
        base = Path(path)
        if base.name in ("", ".."):
            raise InputError(f"path must be the start of file names, got {str(path)!r}")
        stem = base.stem if base.suffix in (".npz", ".json") else base.name
        arrays: dict[str, Any] = {"sigma_w": self.sigma_w, "sigma_b": self.sigma_b}
        arrays |= {name: getattr(self, name) for name in (*QUANTITIES, *_ERRORS)}
        arrays |= {"phase": self.phase, "multistable": self.multistable}
        if (line := self.critical_line) is not None:
            arrays |= {
                "critical_sigma_w": line.sigma_w,
                "critical_sigma_b": line.sigma_b,
                "critical_stable_q": line.stable_q,
            }
        text = json.dumps(finite_or_null(self.overview()), indent=1, allow_nan=False) + "\n"
        write_atomically(base.with_name(f"{stem}.npz"), lambda f: np.savez_compressed(f, **arrays))
        return write_atomically(base.with_name(f"{stem}.json"), lambda f: f.write(text.encode()))

    def _parameters(self) -> dict[str, object]:
        noise = vars(self.noise) | {"kind": type(self.noise).__name__} if self._is_noisy else None
        return {
            "activation": self.activation.name,
            "noise": noise,
            "q0": self.q0,
            "version": spinnet.__version__,
        }

    def _extremes(self, name: str) -> dict[str, list[float]]:
        """Return value, sigma_w and sigma_b of the least and the greatest finite entry."""
        values = getattr(self, name)
        finite = np.isfinite(values)
        if not finite.any():
            return {}
        found = {}
        for word, index in (
            ("least", np.argmin(np.where(finite, values, np.inf))),
            ("greatest", np.argmax(np.where(finite, values, -np.inf))),
        ):
            i, j = divmod(int(index), values.shape[1])
            found[word] = [float(values[i, j]), float(self.sigma_w[j]), float(self.sigma_b[i])]
        return found

    def _critical_rows(self) -> list[str]:
        line = self.critical_line
        if line is None:
            return ["no critical line: the noise of two inputs differs, or is additive"]
        if line.sigma_w.size == 0:
            return [f"no critical line: {line.reason}"]
        places = np.unique(np.linspace(self.sigma_b.min(), self.sigma_b.max(), 5))
        nearest = np.unique([int(np.argmin(np.abs(line.sigma_b - b))) for b in places])
        rows = ["critical line", f"{'sigma_b':>10}{'sigma_w':>12}"]
        for k in nearest:
            remark = "" if line.stable_q[k] else "   unstable length: a jump takes its place"
            rows.append(f"{line.sigma_b[k]:>10.4g}{line.sigma_w[k]:>12.8f}{remark}")
        return rows

    def _extreme_rows(self) -> list[str]:
        rows = [f"{'':<10}{'least':>12}{'at sigma_w, sigma_b':>22}{'greatest':>12}{'at':>18}"]
        for name in ("q_star", "chi_1", "c_star", "xi_q", "xi_c"):
            found = self._extremes(name)
            if not found:
                continue
            cells = "".join(
                f"{found[word][0]:>12.6g}{f'{found[word][1]:.4g}, {found[word][2]:.4g}':>{width}}"
                for word, width in (("least", 22), ("greatest", 18))
            )
            rows.append(f"{name:<10}{cells}")
        return rows

    # ------------------------------------------------------------------ figures
    def plot(self, ax: Axes | None = None, quantity: str = "xi_c") -> QuadMesh:
        """Draw a quantity over the grid, with a colour bar and the critical line.

        Parameters
        ----------
        ax : Axes, optional
        quantity : str
            "q_star", "chi_q", "chi_1", "c_star", "one_minus_c_star", "chi_c", "one_minus_chi_c",
            "xi_q", "xi_c", "xi_grad" or "phase".

        Returns
        -------
        QuadMesh
            Grey where there is no fixed point.  Colours of depth scales end at the 99th
            percentile where a few points are far above it.

        Raises
        ------
        InputError
            For an unknown quantity.
        """
        from spinnet.propagation.diagram.drawing import draw

        return draw(self, ax, quantity)

    def figure(self) -> Figure:
        """Return a figure of q*, chi_1, c* and xi_c, each with the critical line."""
        from spinnet.propagation.diagram.drawing import draw_all

        return draw_all(self)


def _largest(values: Array) -> float | None:
    finite = values[np.isfinite(values)]
    return float(finite.max()) if finite.size else None
