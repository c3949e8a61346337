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
        words = {"right": "Printed, and right", "incomplete": "Printed, incomplete"}
        return (
            f"{self.number}. {words.get(self.verdict, 'Printed')}: {self.printed}.  "
            f"Correct: {self.correct}"
        )


TABLE: tuple[Erratum, ...] = (
    Erratum(
        1,
        'H_1 and H (Curie-Weiss) "differ by a constant"',
        "identical if the sum includes i = j; J/2 apart if it does not",
        "incomplete",
    ),
    Erratum(
        2,
        "m = dF/db",
        "m = -(1/N) dF/db",
        "wrong",
    ),
    Erratum(
        3,
        "m = b tanh((K/b) m + b/T)",
        "m = tanh(K m + b/T); the b in front and below is the moment mu of a spin, 1 here",
        "wrong",
    ),
    Erratum(
        4,
        "K = (J/T)^(1/2)",
        "K = J/T; the root belongs to y = K m",
        "wrong",
    ),
    Erratum(
        5,
        "<s_i,s_j> ~ (b^2/T_c) |t|^-1",
        "this is chi = dm/db = mu^2/(T_c |t|) above T_c, half of it below; the pair "
        "correlator is (1/N) |t|^-1, half of it below",
        "wrong",
    ),
    Erratum(
        6,
        "exp(a^2) = (2 pi)^(-1/2) Int exp(-x^2/2 + 2^(1/2) a x) dx",
        "as printed; a real field only for a positive semidefinite coupling, which two "
        "layers do not have",
        "right",
    ),
    Erratum(
        7,
        'two-layer {0,1} H recast to +-1 "up to a constant"',
        "w/4, plus fields (1/4norm) sum w, plus a constant",
        "wrong",
    ),
    Erratum(
        8,
        "padded W: bias in the first column, W_00 = 2 N h, last row -2 N h",
        "row 0 for the bias of layer b, column 0 for that of layer a, W_00 = 0, all signs +",
        "wrong",
    ),
    Erratum(
        9,
        "Z = sum exp(-(beta/2N) sum W a b), twice",
        "Z = sum exp(+(beta/2N) sum W a b), since H = -(1/2N) W a b",
        "wrong",
    ),
    Erratum(
        10,
        "Z_bip -> Z_full(W)",
        "Z_bip(W) <= Z_full(W/2)^2; equal to leading order only for W positive "
        "semidefinite of low rank; T_c differs by 2",
        "wrong",
    ),
    Erratum(
        11,
        "H(s) = -(1/2N) prod Int dV delta(s - V) sum V W V; delta(s) = (1/2 pi i) Int dy exp(x y)",
        "H(s) is right; in Z the sum over s must enclose the deltas; delta(s) = (1/2 pi "
        "i) Int dy exp(s y)",
        "wrong",
    ),
    Erratum(
        12,
        "sum over s of exp(U s) -> exp(ln cosh U)",
        "2 cosh U: a factor 2^N in Z, and F lacks -T ln 2",
        "wrong",
    ),
    Erratum(
        13,
        "gradient of the padded H^g: -(beta/N) sum W_ij V_j",
        "-(beta/2N) sum (W_ij + W_ji) V_j: with the bias in one column, what is printed "
        "gives 2 beta h",
        "wrong",
    ),
    Erratum(
        14,
        "dH/dV = -(beta/N) sum_j W_ij V_j + U",
        "dH/dV = -(beta/2N) sum_j (W_ij + W_ji) V_j + U; the same for the second derivative",
        "wrong",
    ),
    Erratum(
        15,
        "signs of the Hessian, and a factor 2 pi/f''",
        "signs right; the contour of U is imaginary: det(1 - beta A D/N)^(-1/2)",
        "incomplete",
    ),
    Erratum(
        16,
        "H_0 = (beta/2N) V W V - sum ln cosh beta(W V/N + h), F = (T/N) H_0",
        "right for symmetric W, up to -T ln 2; else dF/dV does not vanish at the V stated",
        "incomplete",
    ),
    Erratum(
        17,
        "m = dF/dh, P_c = d^2F/dh^2 = dm/dh",
        "m = -dF/dh, chi = -d^2F/dh^2",
        "wrong",
    ),
    Erratum(
        18,
        "dV_i/dh = beta (1 - V_i^2)(1 + sum_j W_ij dV_j/dh/N), singular at T_c",
        "right for symmetric W; the uniform chi misses a transition whose mode is "
        "orthogonal to (1, ..., 1)",
        "incomplete",
    ),
    Erratum(
        19,
        "W square, one N",
        "trained layers are rectangular: one layer of spins is undefined; use two "
        "layers or the marginal",
        "incomplete",
    ),
    Erratum(
        20,
        "statistics gathered on 100 inference epochs",
        "deterministic inference repeats the same counts: no new information, and tests "
        "of them are void",
        "wrong",
    ),
)


def derivation() -> Derivation:
    """Return the checked derivation of the whole table, one section an item."""
    from spinnet.theory._errata_steps import build

    return build()
