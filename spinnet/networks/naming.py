"""From named arrays to an ordered chain of layers.

Recognised pairs:

* ``<prefix>.weight`` with ``<prefix>.bias`` (PyTorch), such as ``fc1.weight``;
* ``W1`` with ``b1`` (any case, with or without ``_``), or ``weights1`` with ``bias1``;
* ``<prefix>/kernel`` with ``<prefix>/bias`` (Keras, Flax; also with ``.``);
* a bias may be missing, and is then zero.

Orientation.  spinnet keeps weights as (n_in, n_out).  ``.weight`` arrays come as PyTorch stores
them, (n_out, n_in), and are transposed; all others are taken as (n_in, n_out).  A layer whose
length-n_out bias or whose neighbours contradict this is turned around where the other reading
fits; a square layer, which fits both ways, always follows the convention of its name (with a
warning when a layer beside it had to be turned around).  Where the shapes decide nothing (only
square layers, or a single one without bias), a warning says how the layers were read.

Order.  Layers whose names differ only by numbers (``fc1``, ``fc2``) come in the order of these,
others (``hidden``, ``output``) in that of the mapping, which for a .npz is that of the file.  A
.safetensors file does not keep its order (it is sorted by name): there the order follows from the
shapes, as each layer takes what the one before gives, and is refused where several orders fit.
"""

from __future__ import annotations

import itertools
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinnet.errors import InputError, SpinnetWarning
from spinnet.networks.weights import check_weights

_PATTERNS = (
    (re.compile(r"^(?P<stem>.+)\.weight$"), "{stem}.bias", True),
    (re.compile(r"^(?P<stem>.+)/kernel$"), "{stem}/bias", False),
    (re.compile(r"^(?P<stem>.+)\.kernel$"), "{stem}.bias", False),
    (re.compile(r"^(?P<W>[Ww])(?P<stem>_?\d+)$"), "[Bb]{stem}", False),
    (re.compile(r"^(?P<W>[Ww]eights?)(?P<stem>_?\d+)$"), "[Bb]ias(es)?{stem}", False),
)
_SEARCHED = 20_000  # partial orders of layers that are tried before none is called unique
_ORIENTATIONS = ("(n_out, n_in)", "(n_in, n_out)")


@dataclass(frozen=True, eq=False)
class LayerArrays:
    """Weights (n_in, n_out) and bias (n_out,) of one layer, with its name."""

    name: str
    weights: NDArray[Any]
    bias: NDArray[Any]


@dataclass(frozen=True, eq=False)
class _Pair:
    name: str
    weights: NDArray[Any]
    bias: NDArray[Any] | None
    torch: bool  # stored (n_out, n_in)


def chain_layers(
    arrays: Mapping[str, NDArray[Any]], *, ordered: bool = True, warn: bool = True
) -> tuple[LayerArrays, ...]:
    """Pair, order and orient the arrays of a feed-forward network.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        Named as the module's paragraph lists; every array must find its place.
    ordered : bool, optional
        False where the order of the mapping means nothing: see the module's paragraph.
    warn : bool, optional
        Whether to warn of layers whose orientation the shapes do not decide.

    Returns
    -------
    tuple of LayerArrays
        From the input to the output.  Layers without a name of their own (``W1``) are called
        ``fc1``, ``fc2``, ... in order.

    Raises
    ------
    InputError
        Unrecognised names, weights that are not matrices, or shapes that do not chain.
    """
    pairs = _named(_ordered(_find_pairs(arrays), ordered))
    transposed = _orient(pairs)
    if warn:
        _warn_of_square_layers(pairs, transposed)
        _warn_of_undecided_layers(pairs, transposed)
    layers = []
    for pair, turn in zip(pairs, transposed, strict=True):
        weights = pair.weights.T if turn else pair.weights
        bias = np.zeros(weights.shape[1]) if pair.bias is None else pair.bias
        layers.append(LayerArrays(pair.name, weights, bias))
    return tuple(layers)


def _find_pairs(arrays: Mapping[str, NDArray[Any]]) -> list[_Pair]:
    found: list[_Pair] = []
    used: set[str] = set()
    for name, array in arrays.items():
        check_weights(f"array {name!r}", array)
        for pattern, bias_pattern, torch in _PATTERNS:
            match = pattern.match(name)
            if match is None:
                continue
            if array.ndim != 2:
                raise InputError(
                    f"layer {name!r} must be a matrix of a fully connected layer, got shape "
                    f"{array.shape}; convolutions and normalisations are not read"
                )
            stem = match["stem"]
            bias_name = _find_bias(arrays, bias_pattern, stem)
            if bias_name in used:
                raise InputError(
                    f"array {bias_name!r} would be the bias of two layers, {name!r} the second; "
                    "give each layer a name of its own"
                )
            bias = None if bias_name is None else arrays[bias_name]
            if bias is not None and (bias.ndim != 1 or len(bias) not in array.shape):
                raise InputError(
                    f"layer {name!r} of shape {array.shape} has a bias {bias_name!r} of shape "
                    f"{bias.shape}; expected one value per output node"
                )
            used.update({name, bias_name or name})
            label = f"#{stem.lstrip('_')}" if "W" in match.groupdict() else stem
            found.append(_Pair(label, array, bias, torch))
            break
    unknown = [name for name in arrays if name not in used]
    if unknown or not found:
        raise InputError(
            f"cannot place the array(s) {', '.join(repr(name) for name in unknown) or '(none)'}: "
            "layers are named 'fc1.weight' with 'fc1.bias', 'W1' with 'b1', or 'fc1/kernel' "
            "with 'fc1/bias'"
        )
    return found


def _find_bias(arrays: Mapping[str, NDArray[Any]], pattern: str, stem: str) -> str | None:
    expression = re.compile(pattern.format(stem=re.escape(stem)))
    return next((name for name in arrays if expression.fullmatch(name)), None)


def _ordered(pairs: list[_Pair], ordered: bool) -> list[_Pair]:
    """Sort by the numbers in the names where the names are otherwise the same."""
    groups: dict[str, list[_Pair]] = {}
    for pair in pairs:
        groups.setdefault(re.sub(r"\d+", "#", pair.name), []).append(pair)
    for group in groups.values():
        group.sort(key=lambda pair: tuple(int(k) for k in re.findall(r"\d+", pair.name)))
    if len(groups) == 1:  # otherwise 'features.3' would come after 'classifier.0'
        return next(iter(groups.values()))
    return pairs if ordered else _ordered_by_shapes(pairs, list(groups.values()))


def _ordered_by_shapes(pairs: list[_Pair], groups: list[list[_Pair]]) -> list[_Pair]:
    """Return the one order in which each layer takes as many inputs as the one before gives.

    Each group keeps its own order.  The layers are read as their names say; where no order fits
    so, either way.
    """
    for either in (False, True):
        orders, complete = _chains(groups, either)
        if len(orders) == 1 and complete:
            return orders[0]
        if orders or not complete:
            names = ", ".join(pair.name for pair in pairs)
            raise InputError(
                f"the order of the layers {names} cannot be told: a safetensors file does not "
                "keep the order of its arrays, and the shapes fit in several orders; number the "
                "names (fc1.weight, fc2.weight, ...), or save the arrays in order with numpy.savez"
            )
    return pairs  # which do not chain: reported where they are oriented


def _chains(groups: list[list[_Pair]], either: bool) -> tuple[list[list[_Pair]], bool]:
    """Return up to two orders of all layers that chain, and whether the search was complete."""
    total = sum(len(group) for group in groups)
    orders: dict[tuple[int, ...], list[_Pair]] = {}
    start: list[tuple[tuple[int, ...], list[_Pair], int]] = [((), [], 0)]
    stack = start  # (group of each layer so far, the layers, the width they end with)
    for _ in range(_SEARCHED):
        if not stack or len(orders) == 2:
            return list(orders.values()), True
        chosen, layers, width = stack.pop()
        if len(layers) == total:
            orders[chosen] = layers
            continue
        for k, group in enumerate(groups):
            used = chosen.count(k)
            if used == len(group):
                continue
            for n_in, n_out in _readings(group[used], either):
                if not layers or n_in == width:
                    stack.append(((*chosen, k), [*layers, group[used]], n_out))
    return list(orders.values()), False


def _readings(pair: _Pair, either: bool) -> set[tuple[int, int]]:
    """Return the (n_in, n_out) that the bias allows: of the name's reading first, or of both."""
    shapes = [_shape(pair, turn) for turn in (pair.torch, not pair.torch)]
    if pair.bias is not None:
        shapes = [shape for shape in shapes if shape[1] == len(pair.bias)]
    return set(shapes if either else shapes[:1])


def _named(pairs: list[_Pair]) -> list[_Pair]:
    """Call the layers without a name of their own fc1, fc2, ..."""
    names = [
        f"fc{k}" if pair.name.startswith("#") else pair.name for k, pair in enumerate(pairs, 1)
    ]
    return [_Pair(n, p.weights, p.bias, p.torch) for n, p in zip(names, pairs, strict=True)]


def _orient(pairs: list[_Pair]) -> list[bool]:
    """Choose for each layer whether to transpose: conventions first, fewest layers turned.

    Dynamic programming over the two readings of each layer, at a cost of one for each layer
    read against the convention of its name.
    """
    infinity = len(pairs) + 1
    cost = [[infinity, infinity] for _ in pairs]
    previous = [[0, 0] for _ in pairs]
    for k, pair in enumerate(pairs):
        for turn in (False, True):
            _, n_out = _shape(pair, turn)
            if pair.bias is not None and len(pair.bias) != n_out:
                continue
            # A square layer fits both ways only on paper: its name decides.
            if _is_square(pair) and turn != pair.torch:
                continue
            step = int(turn != pair.torch)
            if k == 0:
                cost[k][turn] = step
                continue
            for before in (False, True):
                total = cost[k - 1][before] + step
                fits = _shape(pairs[k - 1], before)[1] == _shape(pair, turn)[0]
                if fits and total < cost[k][turn]:
                    cost[k][turn], previous[k][turn] = total, int(before)
        if min(cost[k]) >= infinity:
            raise InputError(_mismatch(pairs, k))
    turn = bool(cost[-1][1] < cost[-1][0])
    chosen = [turn]
    for k in range(len(pairs) - 1, 0, -1):
        turn = bool(previous[k][turn])
        chosen.append(turn)
    chosen.reverse()
    return chosen


def _warn_of_square_layers(pairs: list[_Pair], transposed: list[bool]) -> None:
    square = [p.name for p in pairs if _is_square(p)]
    turned = [p.name for p, turn in zip(pairs, transposed, strict=True) if turn != p.torch]
    if square and turned:
        warnings.warn(
            f"layer(s) {', '.join(turned)} are stored the other way round than their names say, "
            f"so the square layer(s) {', '.join(square)} may be too: they were read as "
            f"their names say; transpose them if this is wrong",
            SpinnetWarning,
            stacklevel=5,
        )


def _warn_of_undecided_layers(pairs: list[_Pair], transposed: list[bool]) -> None:
    """Warn where every layer might as well be stored the other way round."""
    other = [turn if _is_square(p) else not turn for p, turn in zip(pairs, transposed, strict=True)]
    if not _fits(pairs, other):
        return  # the shapes decide, and a square layer is stored as the others
    undecided = [p for p in pairs if not (_is_square(p) and np.array_equal(p.weights, p.weights.T))]
    parts = []
    for torch, use in ((True, "W1, W2, ... or fc1/kernel"), (False, "fc1.weight, fc2.weight, ...")):
        names = [p.name for p in undecided if p.torch == torch]
        if names:
            parts.append(
                f"{', '.join(names)} as {_ORIENTATIONS[not torch]}, by the name of the weights "
                f"(if they are {_ORIENTATIONS[torch]}, name them {use})"
            )
    if parts:
        warnings.warn(
            "the shapes do not decide how the weights are stored; read " + ", and ".join(parts),
            SpinnetWarning,
            stacklevel=5,
        )


def _fits(pairs: list[_Pair], transposed: list[bool]) -> bool:
    shapes = [_shape(pair, turn) for pair, turn in zip(pairs, transposed, strict=True)]
    return all(
        pair.bias is None or len(pair.bias) == shape[1]
        for pair, shape in zip(pairs, shapes, strict=True)
    ) and all(a[1] == b[0] for a, b in itertools.pairwise(shapes))


def _is_square(pair: _Pair) -> bool:
    return bool(pair.weights.shape[0] == pair.weights.shape[1])


def _shape(pair: _Pair, turn: bool) -> tuple[int, int]:
    rows, columns = pair.weights.shape
    return (columns, rows) if turn else (rows, columns)


def _mismatch(pairs: list[_Pair], k: int) -> str:
    pair = pairs[k]
    bias = "no bias" if pair.bias is None else f"bias of length {len(pair.bias)}"
    text = (
        f"layer {pair.name!r} has weights of shape {pair.weights.shape} "
        f"(by its name {_ORIENTATIONS[not pair.torch]}) and {bias}"
    )
    if k == 0:
        return f"{text}, which do not fit together"
    before = pairs[k - 1]
    return (
        f"{text}, which do not follow layer {before.name!r} of weights {before.weights.shape}; "
        "the outputs of a layer must be as many as the inputs of the next"
    )
