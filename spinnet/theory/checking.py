r"""Machine-checked equalities, and derivations made of them.

`check_equal` first compares both sides in 80-digit arithmetic at random points, which finds every
wrong sign or factor, and then looks for a symbolic proof.  A step that is only confirmed
numerically says so, and holds on the region that was sampled.  A `Derivation` is a list of such
steps; a printed formula that is wrong is recorded by `refute`, with a point at which its two
sides differ.
"""

from __future__ import annotations

import itertools
import math
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import sympy as sp

from spinnet.errors import InputError, SpinnetError
from spinnet.files import check_writable, write_atomically
from spinnet.randomness import RandomState, generator
from spinnet.theory.functions import MPMATH_FUNCTIONS, LogCosh, SpinEntropy

DIGITS = 50
_GUARD_DIGITS = 30
_SIMPLIFY_OPERATIONS = 300  # above this count, SymPy's simplify takes too long to be worth it
_LONGEST = 2400  # characters of LaTeX of a side that are printed
_LONGEST_TEXT = 900  # about ten lines: what is longer nobody reads
_WIDTH = 96

Ranges = Mapping[sp.Symbol, tuple[float, float]]
Side = Any  # a SymPy expression, or an equally shaped Matrix, Array, list or tuple of them


class DerivationError(SpinnetError, ArithmeticError):
    """A step does not hold.

    Attributes
    ----------
    point : dict       Values of the symbols at which the two sides were compared.
    left, right        The values of the two sides there.
    """

    def __init__(
        self,
        message: str,
        point: Mapping[str, sp.Expr] | None = None,
        left: object = None,
        right: object = None,
    ) -> None:
        super().__init__(message)
        self.point = dict(point or {})
        self.left = left
        self.right = right


@dataclass(frozen=True)
class Counterexample:
    """A point at which two sides differ: symbol values by name, and the value of each side."""

    point: Mapping[str, sp.Expr]
    left: Any
    right: Any

    def __str__(self) -> str:
        where = ", ".join(f"{name} = {value}" for name, value in self.point.items())
        left, right = mpmath.nstr(self.left, 12), mpmath.nstr(self.right, 12)
        return f"{'at ' + where + ': ' if where else ''}left = {left}, right = {right}"


def check_equal(
    lhs: Side,
    rhs: Side,
    *,
    ranges: Ranges | None = None,
    points: int = 8,
    rng: RandomState = 0,
) -> str:
    """Decide whether two expressions are equal; return how, or raise.

    Parameters
    ----------
    lhs, rhs
        SymPy expressions, or matrices, arrays, lists or tuples of them of the same shape.
    ranges : mapping of Symbol to (low, high), optional
        Where a symbol is sampled, as real numbers.  By default real symbols are sampled in
        (-3, 3), or in (0.1, 4) and (-4, -0.1) if they have a sign; integers from -6 to 6; and
        symbols that are not known to be real in the complex square of +-3 +- 3i.  An identity
        that fails beyond, at a branch point say, is not noticed unless `ranges` reach there.
    points : int
        Number of random points of the numerical comparison.
    rng
        Seeds the random points.  The default makes every check repeatable.

    Returns
    -------
    str
        ``"symbolic"`` if SymPy reduced the difference to zero, else ``"numeric, 50 digits"``.

    Raises
    ------
    DerivationError
        If the sides differ (with the point as counterexample), also where only one of them has
        a finite value, or if they cannot be evaluated.
    InputError
        If there is nothing to compare, or the shapes differ.

    Examples
    --------
    >>> import sympy as sp
    >>> x = sp.Symbol("x", real=True)
    >>> check_equal(sp.cosh(x) ** 2 - sp.sinh(x) ** 2, 1)
    'symbolic'
    """
    pairs = _pairs(lhs, rhs)
    for left, right in pairs:
        found = find_counterexample(left, right, ranges=ranges, points=points, rng=rng)
        if found is not None:
            raise DerivationError(
                f"the two sides are not equal: {found}\n"
                f"  left:  {_short(left)}\n  right: {_short(right)}",
                found.point,
                found.left,
                found.right,
            )
    proved = all(is_symbolic_zero(left - right) for left, right in pairs)
    return "symbolic" if proved else f"numeric, {DIGITS} digits"


def find_counterexample(
    lhs: sp.Expr,
    rhs: sp.Expr,
    *,
    ranges: Ranges | None = None,
    points: int = 8,
    rng: RandomState = 0,
) -> Counterexample | None:
    """Return a random point at which `lhs` and `rhs` differ in 50 digits, or None."""
    symbols = sorted(lhs.free_symbols | rhs.free_symbols, key=lambda s: s.name)
    sides = [_numeric(side, symbols) for side in (lhs, rhs)]
    stream = generator(rng)
    wanted, found = (points, 0) if symbols else (1, 0)
    for _ in range(20 * wanted):
        point = {s: _sample(s, stream, ranges or {}) for s in symbols}
        left, right = values = [_evaluate(side, list(point.values())) for side in sides]
        if None in values:
            # Generated code may fail at a special point, 1/gamma(0) say, where SymPy does not.
            left, right = values = [_exact(side, point) for side in (lhs, rhs)]
            if left is None and right is None:
                continue
        if None in values or _differ(sides, list(point.values()), left, right):
            left, right = (mpmath.nan if value is None else value for value in values)
            return Counterexample({s.name: v for s, v in point.items()}, left, right)
        found += 1
        if found == wanted:
            return None
    raise DerivationError(
        f"the sides could not be evaluated at {wanted} points out of {20 * wanted}; give `ranges` "
        f"inside their domain\n  left:  {_short(lhs)}\n  right: {_short(rhs)}"
    )


def is_symbolic_zero(difference: sp.Expr) -> bool:
    """Return True if SymPy reduces `difference` to 0; False means "not proved", not "unequal"."""
    if difference == 0:
        return True
    if difference.has(sp.Integral, sp.Sum):
        difference = difference.doit()
    if sp.expand(difference) == 0:
        return True
    expanded = difference
    if difference.has(LogCosh, SpinEntropy):
        expanded = difference.rewrite(sp.log)
    if sp.count_ops(expanded) > _SIMPLIFY_OPERATIONS:
        return False
    attempts: list[Callable[[sp.Expr], sp.Expr]] = [
        sp.simplify,
        lambda e: sp.simplify(sp.expand_log(e.rewrite(sp.exp))),
    ]
    return any(attempt(e) == 0 for e in (difference, expanded) for attempt in attempts)


def _pairs(lhs: Side, rhs: Side) -> list[tuple[sp.Expr, sp.Expr]]:
    """Return the scalar pairs of two equally shaped sides."""
    shapes = [_shape(lhs), _shape(rhs)]
    if shapes[0] != shapes[1]:
        raise InputError(f"lhs and rhs must have the same shape, got {shapes[0]} and {shapes[1]}")
    flat = [[sp.sympify(e) for e in _flatten(side)] for side in (lhs, rhs)]
    if not flat[0]:
        raise InputError("lhs and rhs must hold at least one expression, got none")
    for expr in itertools.chain(*flat):
        if not isinstance(expr, sp.Expr):
            raise InputError(
                f"lhs and rhs must be expressions with a value, got {_short(expr, 80)!r}"
            )
    return list(zip(*flat, strict=True))


def _shape(side: Side) -> tuple[Any, ...]:
    """Return the shape; of nested lists, the length and the shape of each row."""
    if isinstance(side, (list, tuple)):
        rows = tuple(_shape(row) for row in side)
        return (len(side), rows) if any(rows) else (len(side),)
    return tuple(getattr(side, "shape", ()))


def _flatten(side: Side) -> list[Any]:
    return list(sp.flatten(side)) if _shape(side) else [side]


def _sample(symbol: sp.Symbol, stream: np.random.Generator, ranges: Ranges) -> sp.Expr:
    """Return a random number that satisfies the assumptions of `symbol`."""
    low, high = ranges.get(symbol, _default_range(symbol))
    for _ in range(200):
        value: sp.Expr
        if symbol.is_integer:
            value = sp.Integer(int(stream.integers(math.ceil(low), math.floor(high) + 1)))
        else:
            value = _rational(stream, low, high)
            if not symbol.is_extended_real and symbol not in ranges:
                value += sp.I * _rational(stream, low, high)
                if symbol.is_imaginary:
                    value = sp.I * sp.im(value)
        known = symbol.assumptions0.items()
        if all(getattr(value, f"is_{name}", None) in (truth, None) for name, truth in known):
            return value
    raise InputError(
        f"ranges must hold values that {symbol} can take by its assumptions, got ({low}, {high})"
    )


def _default_range(symbol: sp.Symbol) -> tuple[float, float]:
    if symbol.is_integer:
        return -6, 6
    if symbol.is_extended_nonnegative:
        return 0.1, 4.0
    return (-4.0, -0.1) if symbol.is_extended_nonpositive else (-3.0, 3.0)


def _rational(stream: np.random.Generator, low: float, high: float) -> sp.Rational:
    # A prime denominator keeps the point away from the special values of any formula.
    return sp.Rational(round(1009 * float(stream.uniform(low, high))), 1009)


def _numeric(expr: sp.Expr, symbols: list[sp.Symbol]) -> Callable[..., Any]:
    unknown = expr.atoms(sp.core.function.AppliedUndef)
    if unknown:
        raise InputError(f"cannot give a value to the undefined function {unknown.pop()}")
    if expr.has(sp.Sum, sp.Product):  # generated code would divide their indices in floats

        def summed(values: list[sp.Expr]) -> Any:
            terms = expr.subs(dict(zip(symbols, values, strict=True))).doit()
            return mpmath.mpmathify(sp.N(terms, mpmath.mp.dps))

        return summed
    function = sp.lambdify(symbols, expr, modules=[MPMATH_FUNCTIONS, "mpmath"], cse=True)
    # An integer becomes an mpf: Python integers would divide in double precision.
    return lambda values: mpmath.mpmathify(function(*map(_number, values)))


def _number(value: sp.Expr) -> Any:
    """Return a rational number, real or complex, in the precision set."""
    parts = [mpmath.mpf(part.p) / part.q for part in value.as_real_imag()]
    return mpmath.mpc(*parts) if parts[1] else parts[0]


def _evaluate(
    side: Callable[..., Any], values: list[sp.Expr], digits: int = DIGITS + _GUARD_DIGITS
) -> Any | None:
    """Return the value of a side in so many digits, None where it has none."""
    with mpmath.workdps(digits):
        try:
            value = side(values)
        except (ZeroDivisionError, ValueError, OverflowError):
            return None
    return value if mpmath.isfinite(value) else None


def _exact(expr: sp.Expr, point: Mapping[sp.Symbol, sp.Expr]) -> Any | None:
    """Return the value of `expr` by substitution in SymPy, None where it has none."""
    with mpmath.workdps(DIGITS + _GUARD_DIGITS):
        value = sp.N(expr.subs(point), mpmath.mp.dps)
        return mpmath.mpmathify(value) if value.is_finite and value.is_number else None


def _differ(sides: list[Callable[..., Any]], values: list[sp.Expr], left: Any, right: Any) -> bool:
    """Return whether two values differ by more than rounding.

    A difference above 1e-50 of the larger value is either real, and then stays in arithmetic of
    twice as many digits, or rounding of terms that cancel, and then falls by 80 digits.
    """
    digits = DIGITS + _GUARD_DIGITS
    with mpmath.workdps(digits):
        gap = abs(left - right)
        if gap <= mpmath.mpf(10) ** -DIGITS * max(abs(left), abs(right)):
            return False
    left, right = (_evaluate(side, values, 2 * digits) for side in sides)
    if left is None or right is None:
        return True
    with mpmath.workdps(2 * digits):
        return bool(abs(left - right) > mpmath.mpf(10) ** -_GUARD_DIGITS * gap)


def _short(expr: object, width: int = 300) -> str:
    return textwrap.shorten(str(expr), width, placeholder=" ...")


@dataclass(frozen=True)
class Step:
    """One checked statement of a derivation.

    Attributes
    ----------
    section, title, note : str
        Where it stands, what it says, and why.
    lhs, rhs
        The two sides: expressions, or matrices of them.
    how : str
        ``"symbolic"`` or ``"numeric, 50 digits"``.
    holds : bool
        False for a printed statement that the derivation refutes.
    counterexample : Counterexample or None
        For a refuted statement, a point at which its sides differ.
    """

    section: str
    title: str
    lhs: Side
    rhs: Side
    how: str
    note: str = ""
    holds: bool = True
    counterexample: Counterexample | None = None
    ranges: Ranges = field(default_factory=dict, repr=False)

    def verify(self) -> None:
        """Check the step again; raise DerivationError if it fails."""
        if self.holds:
            check_equal(self.lhs, self.rhs, ranges=self.ranges)
        else:
            _refutation(self.lhs, self.rhs, self.ranges)

    def to_text(self) -> str:
        """Return the step as plain text."""
        relation = "=" if self.holds else "!="
        lines = [f"{self.title}  [{self.how}]"]
        if self.note:
            lines += textwrap.wrap(self.note, 94, initial_indent="  ", subsequent_indent="  ")
        if str(self.lhs) == str(self.rhs):  # what was computed is already in textbook form
            lines += _wrapped("     both sides: ", self.rhs)
        else:
            lines += _wrapped("     ", self.lhs)
            lines += _wrapped(f"  {relation:>2} ", self.rhs)
        if self.counterexample is not None:
            lines += _wrapped("     ", self.counterexample)
        return "\n".join(lines)

    def to_latex(self) -> str:
        """Return the step as a LaTeX paragraph with one display."""
        left, right = (_latex(side) for side in (self.lhs, self.rhs))
        relation = "=" if self.holds else r"\neq"
        if left == right:
            display = f"\\[\n{right}\n\\]"
        elif len(left) + len(right) < 160:
            display = f"\\[\n{left} {relation} {right}\n\\]"
        else:
            display = f"\\begin{{multline*}}\n{left} \\\\\n{relation} {right}\n\\end{{multline*}}"
        text = f"\\paragraph{{{escape_latex(self.title)}}} {escape_latex(self.note)}".rstrip()
        end = f"\\hfill\\textit{{{escape_latex(self.how)}}}"
        if self.counterexample is not None:
            end = f"{escape_latex(str(self.counterexample))}.\n{end}"
        return f"{text}\n{display}\n{end}"


@dataclass
class Derivation:
    """A named list of machine-checked steps.

    Examples
    --------
    >>> import sympy as sp
    >>> x = sp.Symbol("x", real=True)
    >>> d = Derivation("Hyperbolic functions")
    >>> d.step("Addition", sp.exp(x) + sp.exp(-x), 2 * sp.cosh(x)).how
    'symbolic'
    >>> d.verify()
    True
    """

    title: str
    reference: str = ""
    steps: list[Step] = field(default_factory=list, repr=False)
    _section: str = field(default="", repr=False)

    def section(self, title: str) -> None:
        """Put the steps that follow under `title`."""
        self._section = title

    def step(
        self, title: str, lhs: Side, rhs: Side, *, note: str = "", ranges: Ranges | None = None
    ) -> Step:
        """Check ``lhs = rhs`` and add it; see `check_equal` for `ranges`."""
        try:
            how = check_equal(lhs, rhs, ranges=ranges)
        except DerivationError as error:
            raise DerivationError(
                f"step {title!r}: {error}", error.point, error.left, error.right
            ) from None
        new = Step(self._section, title, lhs, rhs, how, note, ranges=dict(ranges or {}))
        self.steps.append(new)
        return new

    def refute(
        self, title: str, lhs: Side, rhs: Side, *, note: str = "", ranges: Ranges | None = None
    ) -> Step:
        """Check that ``lhs = rhs`` is *not* an identity, and add it with a counterexample."""
        try:
            found = _refutation(lhs, rhs, ranges)
        except DerivationError as error:
            raise DerivationError(f"step {title!r}: {error}") from None
        how = f"numeric, {DIGITS} digits"
        ranges = dict(ranges or {})
        new = Step(self._section, title, lhs, rhs, how, note, False, found, ranges)
        self.steps.append(new)
        return new

    def take(self, steps: Iterable[Step]) -> None:
        """Add steps that another derivation has checked, under the section set."""
        self.steps += [replace(step, section=self._section) for step in steps]

    def verify(self) -> bool:
        """Check every step again; return True, or raise DerivationError at the first failure."""
        for step in self.steps:
            step.verify()
        return True

    def sections(self) -> dict[str, list[Step]]:
        """Return the steps by section, in order."""
        grouped: dict[str, list[Step]] = {}
        for step in self.steps:
            grouped.setdefault(step.section, []).append(step)
        return grouped

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    def __len__(self) -> int:
        return len(self.steps)

    def to_text(self, section: str | None = None) -> str:
        """Return all steps (or one section) as plain text."""
        groups = self.sections()
        if section is not None and section not in groups:
            raise InputError(f"section must be one of {', '.join(groups)}, got {section!r}")
        blocks = [] if section else [f"{self.title}\n{'=' * len(self.title)}"]
        if self.reference and section is None:
            blocks.append(self.reference)
        for name, steps in groups.items():
            if section in (None, name):
                blocks.append(_heading(name))
                blocks += [step.to_text() for step in steps]
        return "\n\n".join(block for block in blocks if block) + "\n"

    def to_latex(self) -> str:
        """Return a standalone LaTeX article; it needs only amsmath and geometry."""
        lines = [
            r"\documentclass{article}",
            r"\usepackage[margin=2cm]{geometry}",
            r"\usepackage{amsmath}",
            r"\allowdisplaybreaks",
            rf"\title{{{escape_latex(self.title)}}}",
            r"\date{}",
            r"\begin{document}",
            r"\maketitle",
            escape_latex(self.reference),
        ]
        for name, steps in self.sections().items():
            lines += [rf"\section*{{{escape_latex(name)}}}"] if name else []
            lines += [step.to_latex() for step in steps]
        return "\n".join([*lines, r"\end{document}", ""])

    def write_latex(self, path: str | Path) -> Path:
        """Write `to_latex` to `path`; its folder must exist."""
        check_writable(path, "path")  # before the LaTeX is made
        content = self.to_latex().encode()
        return write_atomically(path, lambda stream: stream.write(content))


def escape_latex(text: str) -> str:
    """Return `text` with LaTeX's special characters escaped."""
    table = {c: f"\\{c}" for c in "{}$&#_%"} | {
        "\\": r"\textbackslash{}",
        "^": r"\textasciicircum{}",
        "~": r"\textasciitilde{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
    }
    return "".join(table.get(c, c) for c in text)


def _refutation(lhs: Side, rhs: Side, ranges: Ranges | None) -> Counterexample:
    for left, right in _pairs(lhs, rhs):
        found = find_counterexample(left, right, ranges=ranges)
        if found is not None:
            return found
    raise DerivationError("the statement to refute holds at every point tried")


def _latex(side: Side) -> str:
    text = str(sp.latex(sp.sympify(side)))
    if len(text) <= _LONGEST:
        return text
    return rf"\text{{({_operations(side)})}}"


def _operations(side: Side) -> str:
    return f"an expression of {sum(sp.count_ops(e) for e in _flatten(side))} operations"


def _heading(name: str) -> str:
    """Return the title of a section, underlined; nothing for steps outside any section."""
    lines = textwrap.wrap(name, _WIDTH)
    return "\n".join([*lines, "-" * max(map(len, lines))]) if lines else ""


def _wrapped(indent: str, side: object) -> list[str]:
    text = str(side)
    if len(text) > _LONGEST_TEXT:
        text = f"{text[:_LONGEST_TEXT]} ... ({_operations(side)})"
    return textwrap.wrap(
        text, _WIDTH, initial_indent=indent, subsequent_indent="       ", break_long_words=False
    )
