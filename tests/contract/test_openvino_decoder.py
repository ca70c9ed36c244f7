"""OpenVINO's decoders held against ONNX Runtime's own operator, which reads every row from its beginning at every step."""

import numpy as np
import onnx
import onnxruntime
import pytest
from decoder_graphs import FEWER, SIZE, VOCABULARY, decoder

from gpux.discovery import discover
from gpux.errors import RunFailed
from gpux.provider import Binds, Options, check

PROVIDER = discover()["openvino"]
PAST = ("past_key_values.0.key", "past_key_values.0.value")
PAIRS = {name: name.replace("past_key_values", "present") for name in PAST}
FORMS = {
    "plain": {},
    "window": {"local_window_size": 3},
    "softcap": {"softcap": 2.0},
    "scale": {"scale": 0.7},
    "sink": {"sink": True},
    "sink-window": {"sink": True, "local_window_size": 3},
    "rotary": {"rotary": "half"},
    "rotary-pairs": {"rotary": "pairs"},
    "packed": {"packed": True, "rotary": "half"},
}


class Rows:
    """Rows of tokens that are given to a bound decoder step by step, and to ONNX Runtime whole."""

    def __init__(self, path, *, kind=np.float32, **extra):
        self.opened = PROVIDER.open(path, Options(threads=1, extra=check(PROVIDER, extra)))
        shapes = dict.fromkeys(PAST, (3, FEWER, 64, SIZE))
        self.bound = self.opened.bind(PAIRS, shapes, held={})
        self.session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        self.kind = kind
        self.chance = np.random.default_rng(5)
        self.rows = []

    def expected(self, row):
        empty = dict.fromkeys(PAST, np.zeros((1, FEWER, len(row), SIZE), self.kind))
        feeds = {"input_ids": np.array([row]), "attention_mask": np.ones((1, len(row)), np.int64), **empty}
        return self.session.run(["logits"], feeds)[0][0]

    def fresh(self, tokens):
        return [int(token) for token in self.chance.integers(0, VOCABULARY, tokens)]

    def feeds(self, new):
        lengths = np.array([len(row) for row in self.rows])
        ids = np.zeros((len(new), max(map(len, new))), np.int64)
        for at, tokens in enumerate(new):
            ids[at, : len(tokens)] = tokens
        return {
            "input_ids": ids,
            "attention_mask": (np.arange(lengths.max()) < lengths[:, None]).astype(np.int64),
        }

    def add(self, new):
        """The greatest difference over the scores of what is new."""
        self.rows = [[*row, *tokens] for row, tokens in zip(self.rows or [[] for _ in new], new, strict=True)]
        found = self.bound.run(self.feeds(new), ["logits"])["logits"]
        return max(
            np.abs(found[at, : len(tokens)] - self.expected(row)[-len(tokens) :]).max()
            for at, (row, tokens) in enumerate(zip(self.rows, new, strict=True))
        )

    def begin(self, *lengths):
        self.rows = []
        return self.add([self.fresh(length) for length in lengths])

    def step(self):
        return self.add([self.fresh(1) for _ in self.rows])

    def pick(self, order):
        self.bound.pick(order)
        self.rows = [self.rows[at] for at in order]


@pytest.fixture(params=FORMS)
def rows(request, tmp_path):
    made = Rows(decoder(tmp_path / "model.onnx", **FORMS[request.param]))
    yield made
    made.opened.close()


@pytest.fixture
def plain(tmp_path):
    made = Rows(decoder(tmp_path / "model.onnx"))
    yield made
    made.opened.close()


def test_rows_of_unequal_length_are_exact_at_every_step(rows):
    assert rows.begin(7, 2, 5) < 1e-5
    assert max(rows.step() for _ in range(16)) < 1e-5


def test_rows_change_places_come_twice_and_leave(rows):
    rows.begin(4, 1, 6)
    rows.pick([2, 0, 2, 1])
    assert max(rows.step() for _ in range(3)) < 1e-5
    rows.pick([3])
    assert max(rows.step() for _ in range(3)) < 1e-5


def test_a_row_that_was_rewound_has_forgotten_what_stood_behind(rows):
    rows.begin(9)
    rows.rows = [rows.rows[0][:5]]
    assert rows.add([rows.fresh(3)]) < 1e-5
    assert rows.step() < 1e-5


def test_without_its_state_a_decoder_takes_and_gives_the_cache_as_arrays(rows):
    held = dict.fromkeys(PAST, np.zeros((2, FEWER, 12, SIZE), np.float32))
    theirs = {name: array.copy() for name, array in held.items()}
    lengths = [5, 2]
    for sequence in (5, 1, 1):
        lengths = lengths if sequence > 1 else [length + 1 for length in lengths]
        new = [rows.fresh(sequence) for _ in lengths]
        seen = (np.arange(max(lengths)) < np.array(lengths)[:, None]).astype(np.int64)
        feeds = {"input_ids": np.array(new), "attention_mask": seen}
        ours = rows.opened.run({**feeds, **held})
        names = [output.name for output in rows.session.get_outputs()]
        right = dict(zip(names, rows.session.run(None, {**feeds, **theirs}), strict=True))
        for at, length in enumerate(lengths):
            real = min(sequence, length)
            np.testing.assert_allclose(
                ours["logits"][at, :real], right["logits"][at, :real], atol=1e-5, rtol=0
            )
        held, theirs = ({name: found[PAIRS[name]] for name in PAST} for found in (ours, right))


def test_what_is_forgotten_again_and_again_takes_no_room(plain):
    plain.begin(3)
    for _ in range(200):
        plain.rows = [plain.rows[0][:3]]
        worst = plain.add([plain.fresh(4)])
    assert worst < 1e-5
    assert plain.bound.slots < 200


def test_conversations_do_not_see_each_other(plain):
    other = Rows.__new__(Rows)
    other.__dict__ = {**plain.__dict__, "rows": []}
    other.bound = plain.opened.bind(PAIRS, {}, held={})
    plain.begin(4, 3)
    other.begin(6)
    assert max(plain.step(), other.step(), plain.step()) < 1e-5
    plain.bound.close()
    assert other.step() < 1e-5


def test_a_new_prompt_forgets_the_last_one(plain):
    plain.begin(8, 8)
    assert plain.begin(5) < 1e-5


def test_rows_that_nobody_picked_are_refused(plain):
    plain.begin(2, 2)
    plain.rows = plain.rows[:1]
    with pytest.raises(RunFailed, match="remembers 2"):
        plain.step()


def test_a_closed_conversation_is_told(plain):
    plain.begin(2)
    plain.bound.close()
    with pytest.raises(RunFailed, match="closed"):
        plain.step()


def test_keys_and_values_are_kept_in_what_was_asked_for(tmp_path):
    path = decoder(tmp_path / "model.onnx")
    worst = {}
    for kept in ("fp32", "int8"):
        rows = Rows(path, cache_precision=kept)
        rows.begin(9, 4)
        worst[kept] = max(rows.step() for _ in range(6))
        rows.opened.close()
    assert worst["fp32"] < 1e-5 < worst["int8"] < 0.1


def test_what_is_not_translated_is_told(tmp_path):
    path = decoder(tmp_path / "model.onnx")
    model = onnx.load(path)
    (node,) = (one for one in model.graph.node if one.op_type == "GroupQueryAttention")
    node.input[10] = "bias"
    bias = onnx.helper.make_tensor_value_info(
        "bias", onnx.TensorProto.FLOAT, ["batch", 1, "sequence", "total"]
    )
    model.graph.input.append(bias)
    onnx.save(model, path)
    with pytest.raises(RunFailed, match="ValueError: GroupQueryAttention with `attention_bias` is not trans"):
        PROVIDER.open(path, Options(threads=1))


@pytest.mark.parametrize("bits", [4, 8])
def test_a_quantised_embedding_is_read_row_by_row(tmp_path, bits):
    chance, block = np.random.default_rng(9), 16
    table = chance.integers(0, 256, (VOCABULARY, 32 * bits // 8), np.uint8)
    scales = chance.uniform(0.1, 1, (VOCABULARY, 32 // block)).astype(np.float32)
    node = onnx.helper.make_node(
        "GatherBlockQuantized", ["table", "ids", "scales"], ["rows"], domain="com.microsoft",
        bits=bits, block_size=block, gather_axis=0, quantize_axis=1,
    )  # fmt: skip
    graph = onnx.helper.make_graph(
        [node],
        "embedding",
        [onnx.helper.make_tensor_value_info("ids", onnx.TensorProto.INT64, ["batch", "sequence"])],
        [onnx.helper.make_tensor_value_info("rows", onnx.TensorProto.FLOAT, ["batch", "sequence", 32])],
        [onnx.numpy_helper.from_array(table, "table"), onnx.numpy_helper.from_array(scales, "scales")],
    )
    versions = [onnx.helper.make_opsetid("", 18), onnx.helper.make_opsetid("com.microsoft", 1)]
    path = tmp_path / "embedding.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=versions, ir_version=10), path)
    feeds = {"ids": np.array([[0, 5, 22], [7, 7, 1]])}
    (want,) = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, feeds)
    opened = PROVIDER.open(path, Options(threads=1))
    np.testing.assert_allclose(opened.run(feeds)["rows"], want, rtol=1e-6)
    opened.close()


def test_half_precision_weights_and_cache(tmp_path):
    rows = Rows(decoder(tmp_path / "model.onnx", kind=np.float16), kind=np.float16)
    assert rows.begin(5, 3) < 2e-2
    assert rows.step() < 2e-2
    rows.opened.close()


def test_it_says_that_it_can_keep_tensors_only_where_it_can(plain):
    assert isinstance(plain.opened, Binds)
    assert "openvino" in str(plain.opened.placement())


def test_scores_that_nothing_is_added_to_keep_their_name(tmp_path):
    path = decoder(tmp_path / "model.onnx")
    model = onnx.load(str(path))
    node = next(one for one in model.graph.node if "logits" in one.output)
    node.output[list(node.output).index("logits")] = "bare"  # a name that comes before the other
    bias = onnx.numpy_helper.from_array(np.zeros((1, VOCABULARY), np.float32), "bias")
    model.graph.initializer.append(bias)
    model.graph.node.append(onnx.helper.make_node("Add", ["bare", "bias"], ["logits"]))
    onnx.save(model, str(path))
    rows = Rows(path)
    assert rows.begin(4, 2) < 1e-5
    assert rows.step() < 1e-5
    rows.opened.close()
