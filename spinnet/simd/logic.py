"""Logic of three operands at once, and prefetching.

AVX-512 has any function of three bits as one instruction, which LLVM does not always find;
elsewhere the plain operations are emitted.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.extending import intrinsic

from spinnet.simd.vectors import call_llvm, types

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


@intrinsic
def prefetch(typingctx: Any, array: Any, index: Any) -> Any:
    """Ask for the cache line of array[index]; any index is allowed."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        place = builder.bitcast(builder.gep(data, [args[1]]), ir.IntType(8).as_pointer())
        word = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [place.type, word, word, word])
        from numba.core import cgutils

        name = "llvm.prefetch.p0"
        function = cgutils.get_or_insert_function(builder.module, kind, name)
        builder.call(function, [place, word(0), word(3), word(1)])
        return context.get_dummy_value()

    return types.void(array, types.intp), codegen
