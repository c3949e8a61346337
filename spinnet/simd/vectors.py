"""Vectors of the machine as values inside compiled code.

Numba leaves loops over several arrays to LLVM's vectoriser, which often gives up.  Here a vector
such as ``<8 x i64>`` or ``<16 x float>`` is a type of its own: kernels load, combine and store
whole vectors, and LLVM lowers them to what the processor has, so that the same source serves
AVX-512, AVX2 and NEON.

Inside a compiled function: ``a = load(array, i, 8)`` reads eight neighbours of a contiguous
one-dimensional array, ``a ^ b``, ``a + b``, ``a << 3``, ``x < y`` act lane by lane, and
``store(array, i, a)`` writes back.  The number of lanes is a constant.  Nothing is checked: an
index out of range reads memory that is not the array's.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, TypeAlias

from llvmlite import ir
from numba.core import cgutils
from numba.core import types as numba_types
from numba.core.datamodel import models, register_default
from numba.core.errors import TypingError
from numba.core.typing import signature
from numba.core.typing.templates import AbstractTemplate, infer_global
from numba.extending import intrinsic, lower_builtin

types: Any = numba_types
Element: TypeAlias = Any  # a number type of Numba, whose stubs know none of its attributes
_FLOATS = {types.float32: ir.FloatType(), types.float64: ir.DoubleType()}


class Vector(numba_types.Type):
    """The type of `lanes` numbers of one kind; lanes of a boolean vector are a mask."""

    def __init__(self, element: Element, lanes: int) -> None:
        self.element, self.lanes = element, lanes
        super().__init__(name=f"Vector({element}, {lanes})")

    @property
    def is_float(self) -> bool:
        """Whether the lanes are floating-point numbers."""
        return self.element in _FLOATS

    @property
    def is_signed(self) -> bool:
        """Whether the lanes are integers with a sign."""
        return bool(getattr(self.element, "signed", False))

    @property
    def llvm(self) -> ir.VectorType:
        """The type in LLVM."""
        return ir.VectorType(llvm_element(self.element), self.lanes)


@register_default(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, dmm: Any, fe_type: Vector) -> None:
        super().__init__(dmm, fe_type, fe_type.llvm)


def llvm_element(element: Element) -> ir.Type:
    """Return the LLVM type of one lane."""
    if element in _FLOATS:
        return _FLOATS[element]
    if element == types.boolean:
        return ir.IntType(1)
    return ir.IntType(element.bitwidth)


def splat_value(builder: ir.IRBuilder, value: ir.Value, vector: Vector) -> ir.Value:
    """Return a vector with `value` in every lane."""
    word = ir.IntType(32)
    one = builder.insert_element(ir.Constant(vector.llvm, ir.Undefined), value, word(0))
    zeros = ir.Constant(ir.VectorType(word, vector.lanes), [word(0)] * vector.lanes)
    return builder.shuffle_vector(one, ir.Constant(vector.llvm, ir.Undefined), zeros)


def _call(builder: ir.IRBuilder, name: str, vector: Vector, args: list[ir.Value]) -> ir.Value:
    """Call an LLVM intrinsic that is overloaded on the type of a vector."""
    element = vector.llvm.element
    kind = {"float": "f32", "double": "f64"}.get(str(element), str(element))
    return call_llvm(builder, f"{name}.v{vector.lanes}{kind}", vector.llvm, args)


def call_llvm(builder: ir.IRBuilder, name: str, result: ir.Type, args: list[ir.Value]) -> ir.Value:
    """Call an LLVM intrinsic by its full name."""
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(result, [a.type for a in args]), name
    )
    return builder.call(function, args)


def _literal(value: Any, name: str) -> int:
    if not isinstance(value, types.IntegerLiteral):
        raise TypingError(f"{name} must be a constant")
    return int(value.literal_value)


def _pointer(context: Any, builder: ir.IRBuilder, array: Any, value: Any, index: Any) -> ir.Value:
    data = context.make_array(array)(context, builder, value).data
    return builder.gep(data, [index])


def _indexed(array: Any) -> None:
    if not isinstance(array, types.Array) or array.ndim != 1 or array.layout != "C":
        raise TypingError(f"the array must be contiguous and one-dimensional, got {array}")


# --- memory -------------------------------------------------------------------------


@intrinsic(prefer_literal=True)
def load(typingctx: Any, array: Any, index: Any, lanes: Any) -> Any:
    """Return `lanes` elements of `array` from `index` on."""
    _indexed(array)
    vector = Vector(array.dtype, _literal(lanes, "lanes"))

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        place = context.cast(builder, args[1], sig.args[1], types.intp)
        pointer = _pointer(context, builder, sig.args[0], args[0], place)
        pointer = builder.bitcast(pointer, vector.llvm.as_pointer())
        return builder.load(pointer, align=array.dtype.bitwidth // 8)

    return vector(array, types.intp, lanes), codegen


@intrinsic
def store(typingctx: Any, array: Any, index: Any, value: Any) -> Any:
    """Write the lanes of `value` into `array` from `index` on."""
    _indexed(array)
    if not isinstance(value, Vector) or value.element != array.dtype:
        raise TypingError(f"cannot store {value} into {array}")

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, sig.args[0], args[0], args[1])
        pointer = builder.bitcast(pointer, value.llvm.as_pointer())
        builder.store(args[2], pointer, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, value), codegen


@intrinsic
def gather(typingctx: Any, array: Any, indices: Any) -> Any:
    """Return the elements of `array` at the lanes of `indices` (int32 or int64)."""
    _indexed(array)
    vector = Vector(array.dtype, indices.lanes)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        result = ir.Constant(vector.llvm, ir.Undefined)
        for lane in range(vector.lanes):
            place = builder.extract_element(args[1], ir.IntType(32)(lane))
            place = builder.sext(place, ir.IntType(64)) if place.type.width < 64 else place
            item = builder.load(builder.gep(data, [place]))
            result = builder.insert_element(result, item, ir.IntType(32)(lane))
        return result

    return vector(array, indices), codegen


@intrinsic
def load_like(typingctx: Any, array: Any, index: Any, like: Any) -> Any:
    """Return as many elements of `array` from `index` on as the vector `like` has lanes."""
    _indexed(array)
    vector = Vector(array.dtype, like.lanes)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, sig.args[0], args[0], args[1])
        pointer = builder.bitcast(pointer, vector.llvm.as_pointer())
        return builder.load(pointer, align=array.dtype.bitwidth // 8)

    return vector(array, types.intp, like), codegen


@intrinsic(prefer_literal=True)
def load_lines(typingctx: Any, address: Any, array: Any, lines: Any) -> Any:
    """Return `lines` times 64 bytes from an address (uint64) on, as elements like `array`'s."""
    lanes = 512 // array.dtype.bitwidth * _literal(lines, "lines")
    vector = Vector(array.dtype, lanes)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer = builder.inttoptr(args[0], vector.llvm.as_pointer())
        return builder.load(pointer, align=array.dtype.bitwidth // 8)

    return vector(types.uint64, array, lines), codegen


@intrinsic
def prefetch(typingctx: Any, address: Any) -> Any:
    """Ask for the cache line of an address (uint64), which may be any."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
        shape = ir.FunctionType(ir.VoidType(), [byte, word, word, word])
        function = cgutils.get_or_insert_function(builder.module, shape, "llvm.prefetch.p0i8")
        builder.call(function, [builder.inttoptr(args[0], byte), word(0), word(3), word(1)])
        return context.get_dummy_value()

    return types.void(types.uint64), codegen


@intrinsic
def trailing_zeros(typingctx: Any, word: Any) -> Any:
    """Return the position of the lowest one of a uint64, as int64; 64 if there is none."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.IntType(1)(0))

    return types.int64(types.uint64), codegen


@intrinsic
def gather_words(typingctx: Any, array: Any, offsets: Any) -> Any:
    """Return as int32 the four bytes of an array of bytes from each offset (not negative) on."""
    _indexed(array)
    vector = Vector(types.int32, offsets.lanes)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        lanes, byte, word = vector.lanes, ir.IntType(64), ir.IntType(32)
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        places = ir.VectorType(byte, lanes)
        one = builder.insert_element(
            ir.Constant(places, ir.Undefined), builder.ptrtoint(data, byte), word(0)
        )
        zeros = ir.Constant(ir.VectorType(word, lanes), [word(0)] * lanes)
        start = builder.shuffle_vector(one, ir.Constant(places, ir.Undefined), zeros)
        pointers = ir.VectorType(word.as_pointer(), lanes)
        where = builder.inttoptr(builder.add(start, builder.zext(args[1], places)), pointers)
        mask = ir.Constant(ir.VectorType(ir.IntType(1), lanes), [ir.IntType(1)(1)] * lanes)
        given = [where, word(1), mask, ir.Constant(vector.llvm, ir.Undefined)]
        return call_llvm(builder, f"llvm.masked.gather.v{lanes}i32.v{lanes}p0", vector.llvm, given)

    return vector(array, offsets), codegen


# --- lanes --------------------------------------------------------------------------


@intrinsic
def popcount_word(typingctx: Any, word: Any) -> Any:
    """Return the number of ones of a uint64."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.uint64(types.uint64), codegen


@intrinsic(prefer_literal=True)
def splat(typingctx: Any, value: Any, lanes: Any) -> Any:
    """Return a vector with `value` in each of `lanes` lanes."""
    scalar = types.unliteral(value)
    vector = Vector(scalar, _literal(lanes, "lanes"))

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        item = args[0]
        if scalar == types.boolean:
            item = builder.trunc(item, ir.IntType(1)) if item.type.width > 1 else item
        return splat_value(builder, item, vector)

    return vector(scalar, lanes), codegen


@intrinsic
def filled(typingctx: Any, like: Any, value: Any) -> Any:
    """Return a vector of the type of `like` with the number `value` in each lane."""
    scalar = types.unliteral(value)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return splat_value(builder, context.cast(builder, args[1], scalar, like.element), like)

    return like(like, scalar), codegen


@intrinsic(prefer_literal=True)
def lane_numbers(typingctx: Any, lanes: Any) -> Any:
    """Return the vector 0, 1, ..., lanes - 1 of int64."""
    vector = Vector(types.int64, _literal(lanes, "lanes"))

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return ir.Constant(vector.llvm, [ir.IntType(64)(k) for k in range(vector.lanes)])

    return vector(lanes), codegen


@intrinsic
def extract(typingctx: Any, value: Any, lane: Any) -> Any:
    """Return one lane."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        item = builder.extract_element(args[0], args[1])
        return builder.zext(item, ir.IntType(1)) if value.element == types.boolean else item

    return value.element(value, types.intp), codegen


@intrinsic
def insert(typingctx: Any, value: Any, lane: Any, item: Any) -> Any:
    """Return `value` with `item` in one lane."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.insert_element(args[0], args[2], args[1])

    return value(value, types.intp, value.element), codegen


@intrinsic
def select(typingctx: Any, mask: Any, yes: Any, no: Any) -> Any:
    """Return `yes` in the lanes where `mask` is true, and `no` elsewhere."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.select(*args)

    return yes(mask, yes, no), codegen


@intrinsic
def mask_bits(typingctx: Any, mask: Any) -> Any:
    """Return the lanes of a mask (64 at most) as the low bits of a uint64, lane 0 lowest."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        bits = builder.bitcast(args[0], ir.IntType(mask.lanes))
        return builder.zext(bits, ir.IntType(64)) if mask.lanes < 64 else bits

    return types.uint64(mask), codegen


@intrinsic(prefer_literal=True)
def bits_mask(typingctx: Any, bits: Any, lanes: Any) -> Any:
    """Return the low bits of an integer as a mask of `lanes` (64 at most), lane 0 lowest."""
    vector = Vector(types.boolean, _literal(lanes, "lanes"))

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        narrow = ir.IntType(vector.lanes)
        word = args[0] if vector.lanes == 64 else builder.trunc(args[0], narrow)
        return builder.bitcast(word, vector.llvm)

    return vector(types.uint64, lanes), codegen


# --- kinds --------------------------------------------------------------------------


def _element_of(dtype: Any) -> Element:
    if isinstance(dtype, Vector):
        return dtype.element
    return dtype.dtype if isinstance(dtype, types.NumberClass) else dtype


@intrinsic
def reinterpret(typingctx: Any, value: Any, dtype: Any) -> Any:
    """Return the same bits as lanes of another kind, for example ``reinterpret(x, np.uint32)``."""
    element = _element_of(dtype)
    vector = Vector(element, value.lanes * value.element.bitwidth // element.bitwidth)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.bitcast(args[0], vector.llvm)

    return vector(value, dtype), codegen


@intrinsic
def convert(typingctx: Any, value: Any, dtype: Any) -> Any:
    """Return the same numbers in lanes of another kind (floats are cut off towards zero).

    `dtype` may be a vector, whose kind is meant.
    """
    element = _element_of(dtype)
    vector = Vector(element, value.lanes)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        source, target = value.llvm.element, vector.llvm.element
        if value.is_float and vector.is_float:
            widen = str(target) == "double"
            if str(source) == str(target):
                return args[0]
            cast = builder.fpext if widen else builder.fptrunc
        elif value.is_float:
            cast = builder.fptosi if vector.is_signed else builder.fptoui
        elif vector.is_float:
            cast = builder.sitofp if value.is_signed else builder.uitofp
        elif source.width < target.width:
            cast = builder.sext if value.is_signed else builder.zext
        elif source.width > target.width:
            cast = builder.trunc
        else:
            return args[0]
        return cast(args[0], vector.llvm)

    return vector(value, dtype), codegen


# --- arithmetic ---------------------------------------------------------------------


def _both(builder: Any, sig: Any, args: Any) -> tuple[Any, Any]:
    """Return the operands as vectors: an integer beside a vector acts on every lane."""
    first, second = args
    if not isinstance(sig.args[1], Vector):
        width = ir.IntType(sig.args[0].element.bitwidth)
        if second.type.width > width.width:
            second = builder.trunc(second, width)
        elif second.type.width < width.width:
            second = builder.zext(second, width)
        second = splat_value(builder, second, sig.args[0])
    return first, second


def _binary(
    operators: tuple[Any, Any], emit: Callable[..., Any], with_integer: bool = False
) -> None:
    @infer_global(operators[0])
    @infer_global(operators[1])
    class _Template(AbstractTemplate):
        def generic(self, args: Any, kws: Any) -> Any:
            if len(args) != 2 or not isinstance(args[0], Vector):
                return None
            if args[1] == args[0]:
                return signature(args[0], *args)
            if with_integer and isinstance(args[1], types.Integer):
                return signature(args[0], args[0], types.unliteral(args[1]))
            return None

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return emit(builder, sig.args[0], *_both(builder, sig, args))

    for op in operators:
        lower_builtin(op, Vector, Vector)(lower)
        if with_integer:
            lower_builtin(op, Vector, types.Integer)(lower)


def _arithmetic(integer: str, real: str) -> Callable[..., Any]:
    def emit(builder: Any, vector: Vector, a: Any, b: Any) -> Any:
        return getattr(builder, real if vector.is_float else integer)(a, b)

    return emit


def _shift_right(builder: Any, vector: Vector, a: Any, b: Any) -> Any:
    return builder.ashr(a, b) if vector.is_signed else builder.lshr(a, b)


_binary((operator.add, operator.iadd), _arithmetic("add", "fadd"))
_binary((operator.sub, operator.isub), _arithmetic("sub", "fsub"))
_binary((operator.mul, operator.imul), _arithmetic("mul", "fmul"))
_binary((operator.truediv, operator.itruediv), _arithmetic("fdiv", "fdiv"))
_binary((operator.xor, operator.ixor), _arithmetic("xor", "xor"))
_binary((operator.and_, operator.iand), _arithmetic("and_", "and_"))
_binary((operator.or_, operator.ior), _arithmetic("or_", "or_"))
_binary((operator.lshift, operator.ilshift), _arithmetic("shl", "shl"), with_integer=True)
_binary((operator.rshift, operator.irshift), _shift_right, with_integer=True)


@infer_global(operator.invert)
class _Invert(AbstractTemplate):
    def generic(self, args: Any, kws: Any) -> Any:
        return signature(args[0], args[0]) if isinstance(args[0], Vector) else None


@lower_builtin(operator.invert, Vector)
def _invert(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    return builder.not_(args[0])


def _comparison(op: Any, symbol: str) -> None:
    @infer_global(op)
    class _Template(AbstractTemplate):
        def generic(self, args: Any, kws: Any) -> Any:
            if len(args) == 2 and isinstance(args[0], Vector) and args[0] == args[1]:
                return signature(Vector(types.boolean, args[0].lanes), *args)
            return None

    @lower_builtin(op, Vector, Vector)
    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        vector = sig.args[0]
        if vector.is_float:
            return builder.fcmp_ordered(symbol, *args)
        compare = builder.icmp_signed if vector.is_signed else builder.icmp_unsigned
        return compare(symbol, *args)


for _op, _symbol in (
    (operator.lt, "<"),
    (operator.le, "<="),
    (operator.gt, ">"),
    (operator.ge, ">="),
    (operator.eq, "=="),
):
    _comparison(_op, _symbol)


@intrinsic
def fma(typingctx: Any, a: Any, b: Any, c: Any) -> Any:
    """Return a b + c, rounded once, for vectors of floats."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _call(builder, "llvm.fma", a, list(args))

    return a(a, b, c), codegen


def _of_one(name: str, intrinsic_name: str, doc: str) -> Any:
    @intrinsic
    def function(typingctx: Any, a: Any) -> Any:
        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            return _call(builder, intrinsic_name, a, list(args))

        return a(a), codegen

    function.__doc__ = doc
    function.__name__ = name
    return function


def _of_two(name: str, intrinsic_name: str, doc: str) -> Any:
    @intrinsic
    def function(typingctx: Any, a: Any, b: Any) -> Any:
        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            return _call(builder, intrinsic_name, a, list(args))

        return a(a, b), codegen

    function.__doc__ = doc
    function.__name__ = name
    return function


popcount = _of_one("popcount", "llvm.ctpop", "Return the number of ones of each integer lane.")
floor = _of_one("floor", "llvm.floor", "Return the largest whole number below each lane.")
rint = _of_one("rint", "llvm.rint", "Return the whole number nearest to each lane.")
minimum = _of_two("minimum", "llvm.minnum", "Return the smaller of each two floats.")
maximum = _of_two("maximum", "llvm.maxnum", "Return the larger of each two floats.")


@intrinsic
def reduce_add(typingctx: Any, a: Any) -> Any:
    """Return the sum of the lanes (of floats: in any order)."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        kind = {"float": "f32", "double": "f64"}.get(str(a.llvm.element), str(a.llvm.element))
        if not a.is_float:
            name = f"llvm.vector.reduce.add.v{a.lanes}{kind}"
            return call_llvm(builder, name, a.llvm.element, list(args))
        total = args[0]
        lanes = a.lanes
        while lanes > 1:
            lanes //= 2
            word = ir.IntType(32)
            shape = ir.VectorType(word, lanes)
            low = ir.Constant(shape, [word(k) for k in range(lanes)])
            high = ir.Constant(shape, [word(k + lanes) for k in range(lanes)])
            undefined = ir.Constant(total.type, ir.Undefined)
            total = builder.fadd(
                builder.shuffle_vector(total, undefined, low),
                builder.shuffle_vector(total, undefined, high),
            )
        return builder.extract_element(total, ir.IntType(32)(0))

    return a.element(a), codegen
