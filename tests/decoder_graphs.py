"""Graphs of one attention layer with a cache, small enough to be read, for every form that ONNX Runtime's operator takes."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HEADS, FEWER, SIZE, VOCABULARY = 4, 2, 16, 23
HIDDEN = HEADS * SIZE


def decoder(path, *, packed=False, rotary=None, sink=False, growing=False, kind=np.float32, **attributes):
    """``logits`` of an embedding, an attention and a projection, in the contract of gpux's decoders.

    Args:
        path: Where it is written.
        packed: Whether queries, keys and values come side by side.
        rotary: ``half`` or ``pairs`` where the operator turns them by position.
        sink: Whether each head has a sink.
        growing: Whether attention is made of ONNX's own operators, over a cache that each run makes longer.
        kind: The type of weights and cache.
        attributes: Further ones of the operator.
    """
    chance = np.random.default_rng(3)
    wide = (HEADS + 2 * FEWER) * SIZE
    angles = np.arange(64)[:, None] / 100.0 ** (np.arange(SIZE // 2) / (SIZE // 2))
    weights = {
        "embedding": chance.normal(size=(VOCABULARY, HIDDEN)),
        "project": chance.normal(size=(HIDDEN, wide)) / 4,
        "out": chance.normal(size=(HIDDEN, VOCABULARY)) / 4,
        "cosines": np.cos(angles),
        "sines": np.sin(angles),
        "sinks": chance.normal(size=HEADS),
    }
    constants = [numpy_helper.from_array(array.astype(kind), name) for name, array in weights.items()]
    constants += [
        numpy_helper.from_array(np.array([1]), "one"),
        numpy_helper.from_array(np.array(1), "scalar"),
        numpy_helper.from_array(np.array([HIDDEN, FEWER * SIZE, FEWER * SIZE]), "widths"),
        numpy_helper.from_array(np.array([0, 0, -1, SIZE]), "apart"),
        numpy_helper.from_array(np.array([0, 0, HIDDEN]), "flat"),
        numpy_helper.from_array(np.array([1, 1, HEADS // FEWER, 1, 1]), "often"),
        numpy_helper.from_array(np.array([0, HEADS, -1, SIZE]), "grouped"),
        numpy_helper.from_array(np.array([1, 2]), "middle"),
        numpy_helper.from_array(np.array([2]), "third"),
        numpy_helper.from_array(np.array(0), "none"),
        numpy_helper.from_array(np.float32(SIZE**-0.5), "scale"),
        numpy_helper.from_array(np.float32(-1e9), "never"),
        numpy_helper.from_array(np.float32(0), "nothing"),
    ]
    tables = ["cosines", "sines"] if rotary else ["", ""]
    three = ["wide", "", ""] if packed else ["query", "key", "value"]
    attention = [*three, "past_key_values.0.key", "past_key_values.0.value", "last", "total", *tables, "", ""]
    attending = (
        _concatenated()
        if growing
        else [
            helper.make_node(
                "GroupQueryAttention",
                [*attention, "sinks"] if sink else attention,
                ["attended", "present.0.key", "present.0.value"],
                domain="com.microsoft",
                num_heads=HEADS,
                kv_num_heads=FEWER,
                do_rotary=int(rotary is not None),
                rotary_interleaved=int(rotary == "pairs"),
                **attributes,
            )
        ]
    )
    nodes = [
        helper.make_node("Gather", ["embedding", "input_ids"], ["hidden"]),
        helper.make_node("MatMul", ["hidden", "project"], ["wide"]),
        *([] if packed else [helper.make_node("Split", ["wide", "widths"], three, axis=2)]),
        helper.make_node("ReduceSum", ["attention_mask", "one"], ["lengths"], keepdims=0),
        helper.make_node("Sub", ["lengths", "one"], ["last64"]),
        helper.make_node("Cast", ["last64"], ["last"], to=TensorProto.INT32),
        helper.make_node("Shape", ["attention_mask"], ["sizes"]),
        helper.make_node("Gather", ["sizes", "scalar"], ["total64"]),
        helper.make_node("Cast", ["total64"], ["total"], to=TensorProto.INT32),
        *attending,
        helper.make_node("MatMul", ["attended", "out"], ["told"]),
        helper.make_node("Cast", ["told"], ["logits"], to=TensorProto.FLOAT),
    ]
    whole, real = TensorProto.INT64, helper.np_dtype_to_tensor_dtype(np.dtype(kind))
    kept = ["batch", FEWER, "past" if growing else "capacity", SIZE]
    after = ["batch", FEWER, "total", SIZE] if growing else kept
    read = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "decoder",
        [
            helper.make_tensor_value_info("input_ids", whole, ["batch", "sequence"]),
            helper.make_tensor_value_info("attention_mask", whole, ["batch", "total"]),
            *(
                helper.make_tensor_value_info(f"past_key_values.0.{part}", real, kept)
                for part in ("key", "value")
            ),
        ],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", "sequence", VOCABULARY]),
            *(helper.make_tensor_value_info(f"present.0.{part}", real, after) for part in ("key", "value")),
        ],
        [constant for constant in constants if constant.name in read],
    )
    versions = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    onnx.save(helper.make_model(graph, opset_imports=versions, ir_version=10), path)
    return path


def _concatenated():
    """Causal attention over a cache that is concatenated, masked by ``attention_mask`` as it stands."""
    nodes = []
    for name, short in (("query", "q"), ("key", "k"), ("value", "v")):
        nodes += [
            helper.make_node("Reshape", [name, "apart"], [f"{short}4"]),
            helper.make_node("Transpose", [f"{short}4"], [f"{short}t"], perm=[0, 2, 1, 3]),
        ]
    for name, short in (("key", "k"), ("value", "v")):
        nodes += [
            helper.make_node(
                "Concat", [f"past_key_values.0.{name}", f"{short}t"], [f"present.0.{name}"], axis=2
            ),
            helper.make_node("Unsqueeze", [f"present.0.{name}", "third"], [f"{short}5"]),
            helper.make_node("Expand", [f"{short}5", "often"], [f"{short}wide"]),
            helper.make_node("Reshape", [f"{short}wide", "grouped"], [f"{short}all"]),
        ]
    return [
        *nodes,
        helper.make_node("Transpose", ["kall"], ["kturned"], perm=[0, 1, 3, 2]),
        helper.make_node("MatMul", ["qt", "kturned"], ["products"]),
        helper.make_node("Mul", ["products", "scale"], ["scaled"]),
        helper.make_node("Shape", ["input_ids"], ["tokens"]),
        helper.make_node("Gather", ["tokens", "scalar"], ["new"]),
        helper.make_node("Sub", ["total64", "new"], ["before"]),
        helper.make_node("Range", ["before", "total64", "scalar"], ["queries"]),
        helper.make_node("Range", ["none", "total64", "scalar"], ["keys"]),
        helper.make_node("Unsqueeze", ["queries", "one"], ["rising"]),
        helper.make_node("LessOrEqual", ["keys", "rising"], ["causal"]),
        helper.make_node("Cast", ["attention_mask"], ["there"], to=TensorProto.BOOL),
        helper.make_node("Unsqueeze", ["there", "middle"], ["visible"]),
        helper.make_node("And", ["causal", "visible"], ["seen"]),
        helper.make_node("Where", ["seen", "nothing", "never"], ["added"]),
        helper.make_node("Add", ["scaled", "added"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["shares"], axis=-1),
        helper.make_node("MatMul", ["shares", "vall"], ["heads"]),
        helper.make_node("Transpose", ["heads"], ["turned"], perm=[0, 2, 1, 3]),
        helper.make_node("Reshape", ["turned", "flat"], ["attended"]),
    ]
