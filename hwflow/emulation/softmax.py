"""Softmax in hls4ml's four implementations: stable, latency, legacy, argmax."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hwflow.emulation.exact import Exact, limited, tree_sum
from hwflow.emulation.node import Node
from hwflow.emulation.tables import centred, clamped, encode, exp, scaled_index
from hwflow.fixed import Codes, FixedType
from hwflow.wide import as_objects, parse_type, reals

Function = Callable[..., Codes]

_LEGACY_SIZE = 1024
"""Entries of io_stream's legacy tables: the header's default, which hls4ml's configuration does not override."""


def softmax(node: Node) -> Function:
    """``nnet::softmax`` and ``nnet::softmax_multidim``."""
    implementation = node.constant("implementation").rpartition("::")[2]
    makers = {"stable": _stable, "latency": _latency, "legacy": _legacy, "argmax": _argmax}
    if implementation not in makers:
        raise node.refusal(f"the softmax implementation {implementation!r} is not emulated")
    apply = makers[implementation](node)
    source = node.inputs[0]
    if node.stream:
        if int(node.constant("axis")) != -1:
            raise node.refusal("the C simulation of a softmax in io_stream stops unless it is over the last axis")
        if source.word != node.output.word:
            raise node.refusal("hls4ml confuses the words of its stream; put a layer with weights before it")
        shape = (source.size // source.word, source.word, 1)
    elif node.function == "softmax_multidim":
        shape = (int(node.constant("n_outer")), int(node.constant("n_slice")), int(node.constant("n_inner")))
    else:
        shape = (1, int(node.constant("n_slice")), 1)
    if np.prod(shape) != source.size:
        raise node.refusal(f"hls4ml applies it to {np.prod(shape)} of {source.size} elements")

    def whole(codes: Codes) -> Codes:
        slices = codes.reshape(-1, *shape).transpose(0, 1, 3, 2)
        result = apply(slices.reshape(-1, shape[1])).reshape(slices.shape)
        return result.transpose(0, 1, 3, 2).reshape(len(codes), -1)

    return whole


def _stable(node: Node) -> Function:
    source = node.inputs[0].type
    text = node.constant("inp_norm_t")
    norm = parse_type(text) if "<" in text else node.type("inp_norm_t")
    exponentials = _exponentials(node, norm, sign=-1)
    finish = _finish(node)

    def apply(codes: Codes) -> Codes:
        difference = Exact.of(codes.max(axis=1, keepdims=True), source) - Exact.of(codes, source)
        return finish(exponentials(difference.to(norm)))

    return apply


def _latency(node: Node) -> Function:
    exponentials = _exponentials(node, node.inputs[0].type, sign=1)
    finish = _finish(node)
    return lambda codes: finish(exponentials(codes))


def _exponentials(node: Node, type: FixedType, sign: int) -> Function:
    """exp of codes of ``type``, from the table that their top bits address, in ``accum_t``."""
    size = int(node.constant("exp_table_size"))
    scale = np.float32(float(node.constant("exp_scale")))
    x = sign * (_centres(node, type, size) * scale)
    entries, accum = node.type("exp_table_t"), node.type("accum_t")
    table = Exact.of(encode(exp(x), entries), entries).to(accum)
    return lambda codes: table[_top_bits(codes, type, size)]


def _finish(node: Node) -> Function:
    """From exponentials in ``accum_t`` to the result: their sum as a tree, the table of 1/x, a product."""
    accum, entries, result = node.type("accum_t"), node.type("inv_table_t"), node.output.type
    given = node.type_name("inv_inp_t") != "model_default_t"
    address = node.type("inv_inp_t") if given else node.type("exp_table_t")
    size = int(node.constant("inv_table_size"))
    with np.errstate(divide="ignore"):
        table = encode(np.float32(1) / _centres(node, address, size), entries)

    def apply(exponentials: Codes) -> Codes:
        total = Exact.of(tree_sum(exponentials, accum), accum).to(address)
        inverse = table[_top_bits(total, address, size)][:, None]
        return (Exact.of(exponentials, accum) * Exact.of(inverse, entries)).to(result)

    return apply


def _legacy(node: Node) -> Function:
    source, result, type = node.inputs[0].type, node.output.type, node.type("table_t")
    sizes = ("exp_table_size", "inv_table_size")
    exp_size, inv_size = (_LEGACY_SIZE if node.stream else int(node.constant(key)) for key in sizes)
    exponentials = centred("exp", exp_size, 8.0, type)
    x = (64.0 * np.arange(inv_size) / np.float32(inv_size)).astype(np.float32).astype(np.float64)
    inverses = np.divide(1.0, x, out=np.zeros_like(x), where=x > 0)
    inverse = Exact.of(encode(inverses, type), type).to(result)
    one = Exact.integer(1).to(type)

    def apply(codes: Codes) -> Codes:
        sums = np.zeros_like(codes)
        for other in range(codes.shape[1]):
            difference = Exact.of(codes[:, other, None], source) - Exact.of(codes, source)
            terms = exponentials[clamped(scaled_index(difference, exp_size, 16) + exp_size // 2, exp_size)]
            terms[:, other] = one
            sums = limited(sums + terms, type)
        return inverse[clamped(scaled_index(Exact.of(sums, type), inv_size, 64), inv_size)]

    return apply


def _argmax(node: Node) -> Function:
    one = Exact.integer(1).to(node.output.type)

    def apply(codes: Codes) -> Codes:
        result = np.zeros(codes.shape, dtype=one.dtype)
        np.put_along_axis(result, codes.argmax(axis=1)[:, None], one, axis=1)
        return result

    return apply


def _address_bits(node: Node, type: FixedType, size: int) -> int:
    bits = (size - 1).bit_length()
    if size != 1 << bits or bits > type.width or bits < 1:
        raise node.refusal(f"a softmax table of {size} entries cannot be addressed by {type}")
    return bits


def _centres(node: Node, type: FixedType, size: int) -> np.ndarray:
    """The float that each address stands for."""
    address = as_objects(np.arange(size)) << (type.width - _address_bits(node, type, size))
    if type.signed:
        address = np.where(address > type.max_code, address - (1 << type.width), address)
    return reals(address, type, np.float32)


def _top_bits(codes: Codes, type: FixedType, size: int) -> Codes:
    bits = (size - 1).bit_length()
    top: Codes = ((codes >> (type.width - bits)) & (size - 1)).astype(np.int64)
    return top
