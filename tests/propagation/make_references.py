"""Write references.json: every number twice, with different nodes, kept where 28 digits agree.

Run ``python tests/propagation/make_references.py [section ...]``; no argument means all sections,
which takes most of an hour of a shared core. mpmath uses gmpy2 if it is there; nothing needs it.
"""

from __future__ import annotations

import contextlib
import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import oracle
from mpmath import mp

PATH = Path(__file__).with_name("references.json")
# the later pairs serve averages that cancel: the mean of selu at q = 1, F' of sin at large q
PRECISIONS = [(46, 58), (66, 78), (230, 245)]
AGREED, SHOWN = 28, 32

Record = dict[str, Any]
Section = Callable[[], Iterator[Record]]


def text(low: Any, high: Any) -> Any:
    """The decimal string of `high`, once `low` confirms it; lists and None pass through."""
    if low is None:
        return None
    if isinstance(low, list):
        return [text(a, b) for a, b in zip(low, high, strict=True)]
    with mp.workdps(PRECISIONS[-1][1]):
        if abs(low - high) > abs(high) * mp.mpf(10) ** -AGREED:
            raise ArithmeticError(f"{mp.nstr(low, 40)} and {mp.nstr(high, 40)} differ")
        return mp.nstr(high, SHOWN, min_fixed=-5, max_fixed=20)


def both(f: Callable[[int], Any]) -> Any:
    """f(digits) at the first pair of precisions that agree, as strings."""

    def at(digits: int) -> Any:
        with mp.workdps(digits):  # for the arithmetic outside the oracle
            return f(digits)

    for low, high in PRECISIONS[:-1]:
        with contextlib.suppress(ArithmeticError):
            return confirmed(at(low), at(high))
    low, high = PRECISIONS[-1]
    return confirmed(at(low), at(high))


def confirmed(low: Any, high: Any) -> Any:
    if isinstance(low, dict):
        return {key: text(low[key], high[key]) for key in low}
    return text(low, high)


def double(x: float) -> str:
    return repr(float(x))


# --- points ---------------------------------------------------------------------------------------

FOUR = [(1.3, 0.3), (2.5, 0.3), (4.0, 0.3), (20.0, 0.3), (0.8, 0.3), (1.0, 1.0), (5.0, 4.0)]
ORDINARY: dict[str, list[tuple[float, float]]] = {
    "tanh": [*FOUR, (1.5, 0.05), (1.5, 0.0), (5 / 3, 0.0)],
    "erf": [*FOUR, (1.2, 0.0)],
    "hard_tanh": [*FOUR, (1.5, 0.0)],
    # not (20, 0.3): chi_q = 400 exp(-400)
    "sin": [(8.0, 0.3) if pair[0] == 20.0 else pair for pair in FOUR] + [(1.5, 0.0)],
    "relu": [(0.5, 1.0), (1.0, 0.3), (1.2, 0.3), (1.4, 0.1)],
    "leaky_relu": [(0.5, 1.0), (1.0, 0.3), (1.3, 0.3), (1.4, 0.1)],
    "sigmoid": [(1.0, 0.0), (1.0, 0.5), (5.0, 1.0), (12.0, 0.3), (20.0, 0.0), (20.0, 0.3)],
    "softplus": [(0.5, 1.0), (1.0, 0.3), (1.2, 0.5)],
    "gelu": [(1.0, 0.3), (1.2, 0.5), (1.41, 0.5), (1.41, 1.0)],
    "silu": [(1.0, 0.3), (1.2, 1.0), (1.408, 1.0), (1.41, 2.0)],
    "selu": [(0.6, 0.3), (0.75, 0.0), (1.0, 0.0), (1.0, 0.3), (1.2, 0.3)],
    "linear": [(0.5, 0.3), (0.9, 0.3)],
}
DROPOUT = [("relu", 1.2, 0.3, 0.9), ("tanh", 1.3, 0.3, 0.9)] + [
    ("tanh", math.sqrt(1.7603), math.sqrt(0.05), keep) for keep in (0.99, 0.98, 0.94, 0.9)
]
# sigma_b of the critical points approached, and a guess of q there
CRITICAL_LINE: dict[str, list[tuple[float, float]]] = {
    "tanh": [
        (0.05, 0.15),
        (0.1, 0.25),
        (0.3, 0.57),
        (math.sqrt(0.05), 0.45),
        (0.5, 0.9),
        (1.0, 2.0),
        (2.0, 6.0),
    ],
    "erf": [(0.3, 0.5), (1.0, 1.8)],
    "hard_tanh": [(0.3, 0.4), (1.0, 1.8)],
    "sin": [(0.3, 0.5), (1.0, 1.7)],
    "gelu": [(0.3, 1.2), (0.5, 4.7)],
    "silu": [(0.5, 10.0), (1.0, 20.0)],
    "selu": [(0.3, 0.2), (1.0, 1.0)],
    "sigmoid": [(0.0, 45.6), (1.0, 49.0)],
}
APPROACHED = [
    ("tanh", 0.3),
    ("erf", 0.3),
    ("hard_tanh", 0.3),
    ("sin", 0.3),
    ("gelu", 0.5),
    ("silu", 1.0),
    ("selu", 0.3),
]
CORNERS = {"tanh": 1.0, "sin": 1.0, "erf": math.sqrt(math.pi) / 2}
BISTABLE = ("gelu", math.sqrt(1.9881), math.sqrt(0.165))


def point(
    name: str, sigma_w: float, sigma_b: float, keep: float = 1.0, q: Any = None, note: str = ""
) -> Record:
    if q is None:
        roots = oracle.length_fixed_points(name, sigma_w, sigma_b, keep, 20)
        gain = sigma_w**2 / keep
        stable = [q for q in roots if gain * oracle.second_moment_slope(name, q, 15) < 1]
        if len(stable) != 1:
            raise ArithmeticError(f"{name} {sigma_w} {sigma_b}: {roots}")
        q = stable[0]
    head = {
        "activation": name,
        "sigma_w": double(sigma_w),
        "sigma_b": double(sigma_b),
        "keep": double(keep),
    }
    if note:
        head["note"] = note
    values: Record = both(lambda digits: oracle.solve(name, sigma_w, sigma_b, keep, q, digits))
    return head | values


def points() -> Iterator[Record]:
    for name, pairs in ORDINARY.items():
        for sigma_w, sigma_b in pairs:
            yield point(name, sigma_w, sigma_b)


def dropout() -> Iterator[Record]:
    for name, sigma_w, sigma_b, keep in DROPOUT:
        yield point(name, sigma_w, sigma_b, keep)


def near_critical() -> Iterator[Record]:
    for name, sigma_b in APPROACHED:
        guess = dict(CRITICAL_LINE[name])[sigma_b]
        critical, q = oracle.critical_point(name, sigma_b, guess)
        for shift in ("1e-3", "1e-5", "5e-7"):
            for sign in (-1, 1):
                sigma_w = float(critical * (1 + sign * mp.mpf(shift)))
                note = f"sigma_wc * (1 {'+' if sign > 0 else '-'} {shift})"
                yield point(name, sigma_w, sigma_b, q=q, note=note)


def corner() -> Iterator[Record]:
    for name, edge in CORNERS.items():
        for shift in (1e-3, 1e-6):
            sigma_w = edge * (1 + shift)
            roots = oracle.length_fixed_points(name, sigma_w, 0.0, 1.0, 20)
            yield point(name, sigma_w, 0.0, q=roots[-1], note=f"{edge!r} * (1 + {shift!r})")


def bistable() -> Iterator[Record]:
    name, sigma_w, sigma_b = BISTABLE
    for q in oracle.length_fixed_points(name, sigma_w, sigma_b, 1.0, 20):
        yield point(name, sigma_w, sigma_b, q=q, note="one of three fixed points")
    gain = math.sqrt(2.1)
    for q in oracle.length_fixed_points(name, gain, 0.0, 1.0, 20):
        yield point(name, gain, 0.0, q=q, note="unstable; q = 0 is stable")


# --- the critical line ----------------------------------------------------------------------------


def critical() -> Iterator[Record]:
    for name, pairs in CRITICAL_LINE.items():
        for sigma_b, guess in pairs:

            def values(digits: int, name: str = name, b: float = sigma_b, g: float = guess) -> Any:
                sigma_w, q = oracle.critical_point(name, b, g, digits)
                chi_q = sigma_w**2 * oracle.second_moment_slope(name, q, digits)
                return {"sigma_w": sigma_w, "sigma_w_squared": sigma_w**2, "q": q, "chi_q": chi_q}

            yield {"activation": name, "sigma_b": double(sigma_b)} | both(values)


def doubly() -> Iterator[Record]:
    for name, guess in (("gelu", 3.5), ("silu", 14.0)):

        def values(digits: int, name: str = name, g: float = guess) -> Any:
            q, gain, bias = oracle.doubly_critical(name, g, digits)
            return {"q": q, "sigma_w_squared": gain, "sigma_b_squared": bias}

        yield {"activation": name} | both(values)


# --- averages -------------------------------------------------------------------------------------

VARIANCES = (1e-4, 0.1, 1.0, 10.0, 100.0)
CORRELATIONS = (-0.9, 0.0, 0.5, 0.99)


def moments() -> Iterator[Record]:
    for name in oracle.NAMES:
        for q in VARIANCES:

            def values(digits: int, name: str = name, q: float = q) -> Any:
                two = oracle.slope_moment(name, q, 2, digits)
                four = oracle.slope_moment(name, q, 4, digits)
                smooth = name in oracle.SMOOTH
                mean = mp.zero if name in oracle.ODD else oracle.mean(name, q, digits)
                return {
                    "mean": mean,
                    "second_moment": oracle.second_moment(name, q, digits),
                    "second_moment_slope": oracle.second_moment_slope(name, q, digits),
                    "mean_slope": oracle.mean_slope(name, q, digits),
                    "slope_moment_2": two,
                    "slope_moment_4": four,
                    "slope_ratio": four / two**2,
                    "curvature_moment": oracle.curvature_moment(name, q, digits)
                    if smooth
                    else None,
                }

            yield {"activation": name, "q": double(q)} | both(values)


def kernels() -> Iterator[Record]:
    pairs = [(q, q) for q in VARIANCES] + [(0.5, 3.0)]
    for name in oracle.NAMES:
        for q1, q2 in pairs:
            for c in CORRELATIONS:

                def values(
                    digits: int, name: str = name, a: float = q1, b: float = q2, c: float = c
                ) -> Any:
                    vanishes = c == 0 and name in oracle.ODD
                    return {
                        "kernel": mp.zero if vanishes else oracle.kernel(name, a, b, c, digits),
                        "slope_kernel": oracle.slope_kernel(name, a, b, c, digits),
                    }

                head = {"activation": name, "q1": double(q1), "q2": double(q2), "c": double(c)}
                yield head | both(values)


def deficits() -> Iterator[Record]:
    for name in oracle.NAMES:
        for q in VARIANCES:
            for eps in (1e-3, 1e-8, 1e-12):

                def value(digits: int, name: str = name, q: float = q, eps: float = eps) -> Any:
                    return {"deficit": oracle.deficit(name, q, eps, digits)}

                head = {"activation": name, "q": double(q), "eps": double(eps)}
                yield head | both(value)


# --- geometry -------------------------------------------------------------------------------------


def geometry() -> Iterator[Record]:
    for sigma_w in (1.3, 2.5, 4.0, 20.0):
        root = oracle.length_fixed_points("tanh", sigma_w, 0.3, 1.0, 20)[-1]

        def values(digits: int, sigma_w: float = sigma_w, root: Any = root) -> Any:
            q = oracle.polish_length("tanh", sigma_w, 0.3, root, 1, digits)
            return oracle.propagate_circle("tanh", sigma_w, 0.3, 10, q, digits)

        head = {"activation": "tanh", "sigma_w": double(sigma_w), "sigma_b": "0.3"}
        yield head | {"first": "q_star"} | both(values)
    head = {"activation": "tanh", "sigma_w": "20.0", "sigma_b": "0.3"}
    yield (
        head
        | {"first": "1"}
        | both(lambda digits: oracle.propagate_circle("tanh", 20.0, 0.3, 10, 1, digits))
    )


SECTIONS: dict[str, Section] = {
    "points": points,
    "near_critical": near_critical,
    "corner": corner,
    "dropout": dropout,
    "bistable": bistable,
    "critical": critical,
    "doubly_critical": doubly,
    "moments": moments,
    "kernels": kernels,
    "deficits": deficits,
    "geometry": geometry,
}
ABOUT = (
    "Mean-field theory of random networks by high-precision quadrature: made by "
    "make_references.py, method in oracle.py. Parameters are the exact values of the doubles "
    "shown; results are good to at least 28 significant digits. leaky_relu has slope exactly "
    "1/10; deficit is F(q) - H(q, q, 1 - eps); "
    "geometry lists layers 1..10, per neuron."
)


def main(chosen: list[str]) -> None:
    data = json.loads(PATH.read_text()) if PATH.exists() else {}
    data["about"] = ABOUT
    for section in chosen or SECTIONS:
        start = time.perf_counter()
        data[section] = []
        for record in SECTIONS[section]():
            data[section].append(record)
            ordered = {"about": data["about"]} | {k: data[k] for k in SECTIONS if k in data}
            PATH.write_text(json.dumps(ordered, indent=1) + "\n")
        print(f"{section}: {len(data[section])} in {time.perf_counter() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
