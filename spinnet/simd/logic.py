"""Logic of three operands at once, and loads that a kernel of bits needs.

AVX-512 has any function of three bits as one instruction, which LLVM does not always find;
elsewhere the plain operations are emitted.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils
from numba.extending import intrinsic

from spinnet.simd.vectors import Vector, call_llvm, types

_MAJORITY, _XOR = 0xE8, 0x96  # truth tables, as the instruction numbers them


def _ternary(context: Any, builder: Any, vector: Any, args: Any, table: int) -> Any:
    """Return the function of three bits, lane by lane."""
    features = context.codegen().magic_tuple()[2]
    if vector.lanes * vector.element.bitwidth == 512 and "+avx512f" in features.split(","):
        words = [builder.bitcast(a, ir.VectorType(ir.IntType(64), 8)) for a in args]
        name = "llvm.x86.avx512.pternlog.q.512"
        kind = ir.VectorType(ir.IntType(64), 8)
        result = call_llvm(builder, name, kind, [*words, ir.IntType(32)(table)])
        return builder.bitcast(result, vector.llvm)
    a, b, c = args
    if table == _XOR:
        return builder.xor(builder.xor(a, b), c)
    return builder.or_(builder.and_(a, builder.or_(b, c)), builder.and_(b, c))


@intrinsic
def majority(typingctx: Any, a: Any, b: Any, c: Any) -> Any:
    """Return the bits that are set in at least two of three vectors of integers."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _ternary(context, builder, a, args, _MAJORITY)

    return a(a, b, c), codegen


@intrinsic
def xor3(typingctx: Any, a: Any, b: Any, c: Any) -> Any:
    """Return a ^ b ^ c of three vectors of integers."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _ternary(context, builder, a, args, _XOR)

    return a(a, b, c), codegen


def _item(context: Any, builder: Any, array: Any, value: Any, index: Any) -> Any:
    """Return a pointer to an element; a kernel's own loads would ask for negative indices."""
    return builder.gep(context.make_array(array)(context, builder, value).data, [index])


@intrinsic
def load_mask(typingctx: Any, array: Any, index: Any) -> Any:
    """Return the bits of array[index] (uint8) as a mask of 8 lanes."""
    vector = Vector(types.boolean, 8)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        byte = builder.load(_item(context, builder, sig.args[0], *args))
        return builder.bitcast(byte, vector.llvm)

    return vector(array, types.intp), codegen


@intrinsic
def load_listed(typingctx: Any, array: Any, starts: Any, lists: Any, index: Any) -> Any:
    """Return 8 elements from starts[index] on or, where that is ~k, those of the k-th list.

    A branch within a compiled function would count references to `array` at each call.
    """
    vector = Vector(array.dtype, 8)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        word, lane = ir.IntType(64), ir.IntType(32)
        start = builder.load(_item(context, builder, sig.args[1], args[1], args[3]))
        start = builder.sext(start, word) if start.type.width < 64 else start
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        result = cgutils.alloca_once(builder, vector.llvm)
        together = builder.icmp_signed(">=", start, word(0))
        with builder.if_else(together, likely=True) as (one, many):
            with one:
                place = builder.bitcast(builder.gep(data, [start]), vector.llvm.as_pointer())
                builder.store(builder.load(place, align=8), result)
            with many:
                value = ir.Constant(vector.llvm, ir.Undefined)
                first = builder.mul(builder.not_(start), word(8))
                for k in range(8):
                    place = builder.add(first, word(k))
                    item = builder.load(_item(context, builder, sig.args[2], args[2], place))
                    item = builder.sext(item, word) if item.type.width < 64 else item
                    found = builder.load(builder.gep(data, [item]))
                    value = builder.insert_element(value, found, lane(k))
                builder.store(value, result)
        return builder.load(result)

    return vector(array, starts, lists, types.intp), codegen


@intrinsic
def load_pair(
    typingctx: Any, array: Any, owns: Any, starts: Any, lists: Any, signs: Any, valid: Any,
    index: Any, n_plain: Any, n_opposed: Any,
) -> Any:  # fmt: skip
    """Return where 8 words from owns[index] on differ from their partners, corrected for signs.

    The partners are those of :func:`load_listed`.  Below `n_plain` they lie together, all signs
    are positive and all words count; below `n_opposed` all signs are negative.
    """
    vector = Vector(array.dtype, 8)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        word, lane = ir.IntType(64), ir.IntType(32)
        data = context.make_array(sig.args[0])(context, builder, args[0]).data

        def number(k: int, place: Any) -> Any:
            item = builder.load(_item(context, builder, sig.args[k], args[k], place))
            return builder.sext(item, word) if item.type.width < 64 else item

        def eight(start: Any) -> Any:
            place = builder.bitcast(builder.gep(data, [start]), vector.llvm.as_pointer())
            return builder.load(place, align=8)

        k, own, start = args[6], eight(number(1, args[6])), number(2, args[6])
        result = cgutils.alloca_once(builder, vector.llvm)
        with builder.if_else(builder.icmp_signed("<", k, args[7])) as (plain, rest):
            with plain:
                builder.store(builder.xor(own, eight(start)), result)
            with rest, builder.if_else(builder.icmp_signed("<", k, args[8])) as (opposed, any_):
                with opposed:
                    builder.store(builder.not_(builder.xor(own, eight(start))), result)
                with any_:
                    together = builder.icmp_signed(">=", start, word(0))
                    with builder.if_else(together) as (one, many):
                        with one:
                            builder.store(eight(start), result)
                        with many:
                            value = ir.Constant(vector.llvm, ir.Undefined)
                            first = builder.mul(builder.not_(start), word(8))
                            for j in range(8):
                                item = number(3, builder.add(first, word(j)))
                                found = builder.load(builder.gep(data, [item]))
                                value = builder.insert_element(value, found, lane(j))
                            builder.store(value, result)
                    x = builder.xor(own, builder.load(result))
                    masks = [
                        builder.bitcast(
                            builder.load(_item(context, builder, sig.args[m], args[m], k)),
                            ir.VectorType(ir.IntType(1), 8),
                        )
                        for m in (4, 5)
                    ]
                    x = builder.select(masks[0], builder.not_(x), x)
                    zero = ir.Constant(vector.llvm, [word(0)] * 8)
                    builder.store(builder.select(masks[1], x, zero), result)
        return builder.load(result)

    number = types.intp
    return vector(array, owns, starts, lists, signs, valid, number, number, number), codegen


@intrinsic
def prefetch_listed(typingctx: Any, array: Any, starts: Any, lists: Any, index: Any) -> Any:
    """Ask for the cache lines that :func:`load_listed` of the same arguments would read."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        word, byte, number = ir.IntType(64), ir.IntType(8), ir.IntType(32)
        data = context.make_array(sig.args[0])(context, builder, args[0]).data

        def ask(start: Any) -> None:
            place = builder.bitcast(builder.gep(data, [start]), byte.as_pointer())
            kind = ir.FunctionType(ir.VoidType(), [place.type, number, number, number])
            function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
            builder.call(function, [place, number(0), number(2), number(1)])

        start = builder.load(_item(context, builder, sig.args[1], args[1], args[3]))
        start = builder.sext(start, word)
        together = builder.icmp_signed(">=", start, word(0))
        with builder.if_else(together, likely=True) as (one, many):
            with one:
                ask(start)
            with many:
                first = builder.mul(builder.not_(start), word(8))
                for k in range(8):
                    place = builder.add(first, word(k))
                    item = builder.load(_item(context, builder, sig.args[2], args[2], place))
                    ask(builder.sext(item, word))
        return context.get_dummy_value()

    return types.void(array, starts, lists, types.intp), codegen
