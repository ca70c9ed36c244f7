"""Language models in the matrix: llama.cpp's file read as ggml writes it, tensors under transformers' names, answers held."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import validate_answers
from families import expectations, find, generation, items, librivox, seeing, smollm
from families.gguf import File
from families.record import PUBLISHED, REDUCED

HEAD = 4  # rows of a head


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def gguf(tensors: dict[str, tuple[tuple[int, ...], int, bytes]]) -> bytes:
    """A file of version 3, by ggml's docs/gguf.md: header, fields, tensors, padding to 32 bytes, data."""
    fields = [
        text("general.architecture") + struct.pack("<I", 8) + text("llama"),
        text("count") + struct.pack("<Ii", 5, -3),
        text("list") + struct.pack("<IIQ", 9, 8, 2) + text("a") + text("bc"),
        text("llama.attention.head_count") + struct.pack("<II", 4, 2),
    ]
    infos, data = [], b""
    for name, (shape, kind, raw) in tensors.items():
        sizes = b"".join(struct.pack("<Q", size) for size in shape[::-1])
        infos.append(text(name) + struct.pack("<I", len(shape)) + sizes + struct.pack("<IQ", kind, len(data)))
        data += raw + bytes(-len(raw) % 32)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(fields)) + b"".join(fields) + b"".join(infos)
    return head + bytes(-len(head) % 32) + data


def test_blocks_of_ggml_are_unpacked_as_it_packs_them(tmp_path):
    nibbles = np.arange(32) % 16
    packed = (nibbles[:16] | (nibbles[16:] << 4)).astype(np.uint8)
    halves = np.array([0.5, -2.0], np.float16).tobytes()
    whole = np.arange(-16, 16, dtype=np.int8)
    path = tmp_path / "a.gguf"
    path.write_bytes(
        gguf(
            {
                "plain": ((2, 3), 0, np.arange(6, dtype=np.float32).tobytes()),
                "four": ((1, 32), 3, halves + packed.tobytes()),
                "eight": ((32,), 8, np.float16(0.25).tobytes() + whole.tobytes()),
            }
        )
    )
    file = File(path)
    assert file.fields["general.architecture"] == "llama"
    assert file.fields["count"] == -3
    assert file.fields["list"] == ["a", "bc"]
    np.testing.assert_array_equal(file.tensor("plain"), [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(file.tensor("four")[0], nibbles * 0.5 - 2.0)
    np.testing.assert_array_equal(file.tensor("eight"), whole * 0.25)
    path.write_bytes(b"GGML" + bytes(40))
    with pytest.raises(ValueError, match="no GGUF"):
        File(path)


def test_rows_of_a_head_are_put_back_as_llama_cpp_s_converter_took_them(tmp_path):
    rows = np.arange(2 * HEAD * 3, dtype=np.float32).reshape(2 * HEAD, 3)
    # https://github.com/ggml-org/llama.cpp/blob/master/convert_hf_to_gguf.py, LlamaModel.permute
    stored = rows.reshape(2, 2, HEAD // 2, 3).swapaxes(1, 2).reshape(rows.shape)
    path = tmp_path / "a.gguf"
    names = {"blk.0.attn_q.weight": stored, "blk.0.attn_v.weight": rows}
    path.write_bytes(gguf({name: (weight.shape, 0, weight.tobytes()) for name, weight in names.items()}))
    file = File(path)
    assert not np.array_equal(stored, rows)
    for name in names:
        np.testing.assert_array_equal(smollm._weight(file, name), rows)


@pytest.mark.parametrize(
    ("stored", "named"),
    [
        ("token_embd.weight", "model.embed_tokens.weight"),
        ("output_norm.weight", "model.norm.weight"),
        ("blk.29.attn_output.weight", "model.layers.29.self_attn.o_proj.weight"),
        ("blk.0.ffn_norm.weight", "model.layers.0.post_attention_layernorm.weight"),
        ("blk.7.ffn_gate.weight", "model.layers.7.mlp.gate_proj.weight"),
    ],
)
def test_every_tensor_has_transformers_name(stored, named):
    assert smollm._name(stored) == named


def test_a_language_model_is_held_to_what_it_should_say():
    def answered(*texts):
        return validate_answers.flatten([{"tokens": "1 2", "text": text} for text in texts])

    right = answered("The capital is Paris.", "Rome.", "It is Tokyo.")
    assert expectations.check("capitals", right, right).problem is None
    wrong = expectations.check("capitals", answered("Paris.", "Milan.", "Tokyo."), right)
    assert "Milan" in (wrong.problem or "")


def test_one_other_token_is_another_answer():
    one, other = ([{"tokens": f"4 15000 {last}", "text": "a"}] for last in (16000, 16001))
    found = validate_answers.compare(validate_answers.flatten(one), validate_answers.flatten(other))
    assert not found.equal


def test_large_shapes_are_made_only_when_they_are_asked_for():
    heavy = {family.name for family in generation.FAMILIES if family.heavy}
    assert {"qwen3-0.6b", "qwen3-4b"} <= heavy
    for name in heavy:
        assert (find(name).shape(fast=False), find(name).shape(fast=True)) == (PUBLISHED, REDUCED)
    # A mixture of experts of 30 billion parameters is never made whole.
    assert find("qwen3-moe").shape(fast=False) == REDUCED


def test_every_language_model_answers_unequal_prompts_in_one_batch():
    assert all(family.asks == "generation" for family in generation.FAMILIES)
    assert {family.items for family in generation.FAMILIES} == {"prompts", "asked"}


def test_a_model_that_is_shown_pictures_is_asked_about_one_two_and_none(tmp_path):
    shown = items.make("shown", tmp_path)
    kinds = [[part["type"] for message in item for part in message["content"]] for item in shown]
    assert [one.count("image") for one in kinds] == [1, 2, 0]
    assert all(family.writes for family in seeing.FAMILIES)
    assert {family.asks for family in seeing.FAMILIES} == {"shown", "captions"}
    named = {family.name for family in seeing.FAMILIES}
    assert named == {"llava", "llava-next", "maira-2", "qwen2.5-vl", "qwen3-vl", "blip", "trocr"}


@pytest.mark.parametrize("name", [family.name for family in seeing.FAMILIES if family.asks == "shown"])
def test_the_token_of_a_picture_s_places_is_what_the_tokenizer_calls_it(name):
    family = find(name)
    _, arguments = family.tokenizer
    token = arguments["first"][family.config["image_token_id"]]
    assert token in arguments["template"]
    assert len(arguments["first"]) <= arguments["size"] <= family.config["text_config"]["vocab_size"]


def test_words_that_were_not_heard_as_they_were_said_are_counted():
    said = ["and mister john dashwood had then leisure", "he was not an ill disposed young man"]
    assert (
        librivox.rate(
            said, ["And Mr. John Dashwood had then leisure.", "He was not an ill disposed young man!"]
        )
        == 0
    )
    # A word changed, one left out, one put in, of 15.
    heard = ["and mister john dashwood has then", "he was not an ill disposed young man indeed"]
    assert librivox.rate(said, heard) == pytest.approx(3 / 15)
    assert librivox.wrong("a b", "") == (2, 2)
