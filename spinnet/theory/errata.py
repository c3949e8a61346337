"""The errata of the talk on Oprisa & Toth, in one table, each with the checks that decide it.

The talk (2017, on arXiv:1702.08039 and 1705.11023) prints formulas with slips of sign, factor or
convention.  `TABLE` lists all twenty items of the review, what is printed and what holds;
`derivation` checks each by machine: the printed formula is an equality that fails, with a point at
which it does, and the correct one is proved.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from spinnet.theory.checking import Derivation

Verdict = Literal["wrong", "incomplete", "right"]


@dataclass(frozen=True)
class Erratum:
    """One item of the table.

    Attributes
    ----------
    number : int
    printed, correct : str
        As the slides have it, and as it should read, in plain text.
    verdict : {"wrong", "incomplete", "right"}
        ``incomplete``: right under a condition that is not printed.  ``right``: correct as
        printed, listed for what is often read into it.
    """

    number: int
    printed: str
    correct: str
    verdict: Verdict

    @property
    def title(self) -> str:
        """The heading of its section in the derivation."""
        return f"{self.number}. Printed ({self.verdict}): {self.printed}.  Correct: {self.correct}"


TABLE: tuple[Erratum, ...] = (
    Erratum(
        1,
        "two Hamiltonians of the Curie-Weiss model differ by a constant",
        "equal if i = j is included, J/2 apart if it is not",
        "incomplete",
    ),
    Erratum(2, "m = dF/db", "m = -(1/N) dF/db", "wrong"),
    Erratum(3, "m = b tanh((K/b) m + b/T)", "m = tanh(K m + b/T)", "wrong"),
    Erratum(4, "K = (J/T)^(1/2)", "K = J/T", "wrong"),
    Erratum(
        5,
        "<s_i s_j> = 1/(T_c |t|)",
        "that is chi above T_c, half of it below; the correlator is 1/(N |t|)",
        "wrong",
    ),
    Erratum(
        6,
        "exp(a^2) as a Gaussian average of exp(2^(1/2) a x)",
        "as printed, with a real field only for a positive coupling",
        "right",
    ),
    Erratum(
        7,
        "units {0,1} become spins with the same w, up to a constant",
        "w/4, fields on every site, and a constant",
        "wrong",
    ),
    Erratum(
        8,
        "bias in the first column, W_00 = 2 N h, last row -2 N h",
        "row 0 for layer b, column 0 for layer a, W_00 = 0, plus signs",
        "wrong",
    ),
    Erratum(9, "Z = sum exp(-(beta/2N) W s s)", "Z = sum exp(+(beta/2N) W s s)", "wrong"),
    Erratum(
        10,
        "Z of two layers tends to Z_full(W)",
        "Z_bip(W) <= Z_full(W/2)^2, equal to leading order for W of low rank, not negative",
        "wrong",
    ),
    Erratum(
        11,
        "delta functions outside the sum over s, and exp(x y) under delta(s)",
        "the sum over s encloses them; delta(s) is the integral of exp(s y)",
        "wrong",
    ),
    Erratum(
        12,
        "sum over s of exp(U s) = exp(ln cosh U), F = (T/N) H_0",
        "2 cosh U: 2^N in Z and -T ln 2 in F",
        "wrong",
    ),
    Erratum(
        13,
        "gradient -(beta/N) sum W_ij V_j with the bias inside W",
        "(W + W^T)/2: the bias enters once",
        "wrong",
    ),
    Erratum(
        14,
        "dH/dV = U - (beta/N) W V",
        "dH/dV = U - (beta/2N) (W + W^T) V, and so the second derivative",
        "wrong",
    ),
    Erratum(
        15,
        "Gaussian factors 2 pi/f'' from the Hessian",
        "signs right, contour of U imaginary: det(1 - beta A D/N)^(-1/2)",
        "incomplete",
    ),
    Erratum(
        16,
        "H_0 is stationary at V = tanh(beta (W V/N + h))",
        "for symmetric W; in general (W + W^T)/2",
        "incomplete",
    ),
    Erratum(17, "m = dF/dh, chi = d^2F/dh^2", "m = -dF/dh, chi = -d^2F/dh^2", "wrong"),
    Erratum(
        18,
        "dV/dh = beta (1 - V^2)(1 + W dV/dh/N), singular at T_c",
        "for symmetric W; the uniform response misses a mode orthogonal to it",
        "incomplete",
    ),
    Erratum(
        19,
        "W is square, one N",
        "layers are rectangular: the block coupling, with singular values, serves any shape",
        "incomplete",
    ),
    Erratum(
        20,
        "statistics gathered over 100 epochs of inference",
        "repeats of the same inputs hold no new information",
        "wrong",
    ),
)


def derivation() -> Derivation:
    """Return the checked derivation of the whole table, one section an item."""
    from spinnet.theory._errata_steps import build

    return build()
