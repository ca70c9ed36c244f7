"""Names of ONNX files as the Hub's exporters write them, and which variant each is; the names are those of real repositories."""

from __future__ import annotations

import pytest

from gpux.export.ready import candidates, offered, variant_of

# transformers.js: https://huggingface.co/Xenova/all-MiniLM-L6-v2/tree/main/onnx; sentence-transformers:
# https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2/tree/main/onnx
NAMES = {
    "onnx/model.onnx": "fp32",
    "model.onnx": "fp32",
    "onnx/model_O1.onnx": "fp32",
    "onnx/model_O3.onnx": "fp32",
    "onnx/model_O4.onnx": "fp16",
    "onnx/model_fp16.onnx": "fp16",
    "onnx/model_int8.onnx": "int8",
    "onnx/model_quantized.onnx": "int8",
    "onnx/model_qint8_arm64.onnx": "int8",
    "onnx/model_qint8_avx512_vnni.onnx": "int8",
    "onnx/model_quint8_avx2.onnx": "uint8",
    "onnx/model_uint8.onnx": "uint8",
    "onnx/model_q4.onnx": "q4",
    "onnx/model_q4f16.onnx": "q4f16",
    "onnx/model_bnb4.onnx": "bnb4",
    "onnx/encoder_model.onnx": "fp32",
    "onnx/decoder_model.onnx": None,
    "onnx/decoder_model_merged_quantized.onnx": "int8",
    "onnx/model_strange.onnx": None,
    "vision_model.onnx": None,
}


@pytest.mark.parametrize("path", NAMES)
def test_variants(path):
    assert variant_of(path) == NAMES[path]


def test_offered_in_the_order_of_the_grammar():
    assert offered(NAMES) == ["fp32", "fp16", "int8", "uint8", "q4", "q4f16", "bnb4"]
    assert offered([]) == []


def test_plain_names_come_first():
    assert candidates(NAMES, "fp32")[0] == "onnx/model.onnx"
    assert candidates(
        ["deep/er/model.onnx", "model.onnx", "onnx/model_O2.onnx", "onnx/model.onnx"], "fp32"
    ) == [
        "onnx/model.onnx",
        "onnx/model_O2.onnx",
        "model.onnx",
        "deep/er/model.onnx",
    ]
    assert candidates(NAMES, "int8")[0] == "onnx/model_int8.onnx"
    assert candidates(NAMES, "bf16") == []
