"""Make stable_references.json: standard stable laws to 30 digits.  About 20 minutes of one core.

    python tests/tails/make_stable_references.py tests/tails/stable_references.json

Each record is computed by two methods of stable_oracle.py that share nothing (more for every
sixth), and is kept only if they agree to 25 digits; what could not be had is counted.  The
parameters and x are doubles, taken exactly: their shortest decimal form is what is stored.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import mpmath as mp

sys.path.insert(0, str(Path(__file__).parent))

import stable_oracle as oracle

ALPHAS = (0.3, 0.4, 0.5, 0.7, 0.9, 0.99, 0.999, 1.0, 1.001, 1.01, 1.1, 1.3, 1.5, 1.7, 1.9, 1.99,
          1.999, 2.0)  # fmt: skip
SIZES = (1e-3, 0.05, 0.4, 1.0, 2.5, 6.0, 15.0, 60.0, 1e3, 1e6)
NEAR_TWO = (4.0, 8.0, 10.0, 12.0, 30.0)
LIGHT = (2.0, 3.0, 4.0, 5.0, 8.0, 10.0, 20.0, 30.0)
EDGE = (0.01, 0.03, 0.1, 0.3)
SMALLEST = mp.mpf(10) ** -280
AGREED = 25
DIGITS = 30

# S1 with scale and location: stable_alpha, beta, scale, loc, x
SHIFTED = [
    (a, b, c, m, x)
    for a in (0.3, 0.5, 0.8, 0.99, 1.0, 1.01, 1.2, 1.5, 1.8, 1.99, 2.0)
    for b, c, m, x in (
        (0.0, 2.0, 1.0, 4.0),
        (0.5, 0.25, -3.0, -2.5),
        (-0.5, 3.0, 0.5, 40.0),
        (1.0, 2.0, 0.0, 3.0),
        (-1.0, 0.5, 10.0, 9.0),
    )
]


def places(a: float, b: float) -> list[float]:
    """Return where the law (a, b), b >= 0, is tabulated."""
    if b == 0.0:
        sizes = SIZES + (NEAR_TWO if a >= 1.9 else ())
        return sorted({0.0, -0.4, -15.0, *sizes})
    points = {0.0, *SIZES, *(-x for x in SIZES)}
    if a >= 1.9:
        points |= {*NEAR_TWO, *(-x for x in NEAR_TWO)}
    if b == 1.0 and a >= 1.0:
        points |= {-x for x in LIGHT}
    if b == 1.0 and a < 1.0:
        end = float(-mp.tan(mp.pi * mp.mpf(a) / 2))
        points |= {end + d for d in EDGE}
    return sorted(points)


def agreed(a: float, b: float, x: mp.mpf, thorough: bool) -> tuple[oracle.Triple, str] | None:
    """Return (pdf, cdf, sf) and the methods that gave it, or None if they do not agree."""
    exact = mp.mpf(a), mp.mpf(b), x
    end = oracle.support_end(*exact[:2])
    if end is not None and (x - end) * b <= 0:
        inside = mp.mpf(1 if b < 0 else 0)
        return (mp.mpf(0), inside, 1 - inside), "support"
    first = oracle.contour(*exact)
    if first is None or min(abs(v) for v in first) < SMALLEST:
        return None
    names, others = ["contour"], []
    for method in (oracle.closed, oracle.series, oracle.nolan):
        if others and not thorough:
            break
        value = method(*exact)
        if value is not None:
            names.append(method.__name__)
            others.append(value)
    if not others:
        return None
    for other in others:
        if any(
            abs(p - q) > abs(q) * mp.mpf(10) ** -AGREED for p, q in zip(first, other, strict=True)
        ):
            print("disagreement", a, b, mp.nstr(x, 8), names, flush=True)
            return None
    return first, "+".join(names)


def skews(a: float) -> tuple[float, ...]:
    """Return the beta >= 0 that are tabulated."""
    return (0.0, 0.5, 1.0) if a < 2.0 else (0.0, 1.0)


def standard_records(a: float) -> list[list[str]]:
    """Return [stable_alpha, beta, x, pdf, cdf, sf, methods] in standard S0."""
    records, refused = [], 0
    points = [(b, x) for b in skews(a) for x in places(a, b)]
    for count, (b, x) in enumerate(points):
        found = agreed(a, b, mp.mpf(x), count % 6 == 0)
        if found is None:
            refused += 1
            continue
        (pdf, cdf, sf), names = found
        flip = b > 0 and count % 3 == 0  # beta < 0 by reflection
        signed_x, signed_b = (-x, -b) if flip else (x, b)
        if flip:
            cdf, sf = sf, cdf
        values = [mp.nstr(v, DIGITS, strip_zeros=False) for v in (pdf, cdf, sf)]
        records.append([repr(a), repr(signed_b), repr(signed_x), *values, names])
    print(a, len(records), "kept,", refused, "refused", flush=True)
    return records


def shifted_records() -> list[list[str]]:
    """Return [stable_alpha, beta, scale, loc, x, pdf, cdf, sf, methods] in S1."""
    records = []
    for a, b, scale, loc, x in SHIFTED:
        with mp.workdps(80):
            z = (mp.mpf(x) - mp.mpf(loc)) / mp.mpf(scale)
            if a == 1.0:
                z -= mp.mpf(b) * 2 / mp.pi * mp.log(mp.mpf(scale))
            else:
                z -= mp.mpf(b) * mp.tan(mp.pi * mp.mpf(a) / 2)
        found = agreed(a, b, z, False)
        if found is None:
            continue
        (pdf, cdf, sf), names = found
        values = [mp.nstr(v, DIGITS, strip_zeros=False) for v in (pdf / mp.mpf(scale), cdf, sf)]
        records.append([*map(repr, (a, b, scale, loc, x)), *values, names])
    return records


def main(path: str) -> None:
    """Write the file."""
    record = {
        "about": "stable laws to 30 digits; made by make_stable_references.py",
        "standard_s0": [row for a in ALPHAS for row in standard_records(a)],
        "s1": shifted_records(),
    }
    text = json.dumps(record).replace("], [", "],\n[").replace("[[", "[\n[")
    Path(path).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
