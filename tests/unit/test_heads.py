"""The task is what a checkpoint's files declare; its name never says anything."""

from __future__ import annotations

import pytest

from gpux import tasks
from gpux.errors import UnsupportedModel
from gpux.export.heads import architecture, choose_task

HEADS = {name: tasks.find(name).head for name in tasks.names()}


def choose(saved=None, *, tag=None, embeds=False, requested=None, name="org/some-name"):
    config = {"architectures": [saved]} if saved else {}
    return choose_task(HEADS, config, pipeline_tag=tag, embeds=embeds, requested=requested, name=name)


@pytest.mark.parametrize(
    ("saved", "tag", "embeds", "task"),
    [
        ("BertForSequenceClassification", None, False, "text-classification"),
        ("DistilBertForSequenceClassification", "text-classification", False, "text-classification"),
        ("RobertaForSequenceClassification", "sentence-similarity", False, "sentence-similarity"),
        ("RobertaForSequenceClassification", "fill-mask", False, "text-classification"),
        ("BertModel", "feature-extraction", False, "feature-extraction"),
        ("BertModel", "feature-extraction", True, "feature-extraction"),
        ("BertModel", None, True, "sentence-similarity"),
        ("BertModel", "text-classification", True, "sentence-similarity"),
        ("BertForMaskedLM", None, True, "sentence-similarity"),
        (None, "text-classification", False, "text-classification"),
    ],
)
def test_class_and_tag_decide(saved, tag, embeds, task):
    assert choose(saved, tag=tag, embeds=embeds) == task


@pytest.mark.parametrize(
    "name", ["org/bert-text-classification", "sst2", "sentence-transformers/x", "org/fill-mask"]
)
def test_the_name_decides_nothing(name):
    assert choose("BertForSequenceClassification", name=name) == "text-classification"
    assert choose("BertModel", tag="feature-extraction", name=name) == "feature-extraction"
    with pytest.raises(UnsupportedModel, match="names no architecture"):
        choose(name=name)


def test_what_was_asked_for_must_have_weights():
    assert choose("BertForSequenceClassification", requested="feature-extraction") == "feature-extraction"
    with pytest.raises(UnsupportedModel, match="no trained head for text-classification") as caught:
        choose("BertModel", requested="text-classification")
    assert "feature-extraction" in caught.value.hint
    assert choose(requested="text-classification") == "text-classification"  # nothing contradicts the user


@pytest.mark.parametrize(
    ("saved", "task"),
    [
        ("BertForMaskedLM", "fill-mask"),
        ("BertForTokenClassification", "token-classification"),
        ("RobertaForQuestionAnswering", "question-answering"),
        ("LlamaForCausalLM", "text-generation"),
        ("GPT2LMHeadModel", "text-generation"),
        ("T5ForConditionalGeneration", "text2text-generation"),
    ],
)
def test_a_task_that_is_not_run_is_named(saved, task):
    with pytest.raises(UnsupportedModel, match=f"answers {task}, which this version does not run") as caught:
        choose(saved)
    assert caught.value.hint
    assert caught.value.architecture == saved


@pytest.mark.parametrize(
    "config", [{}, {"architectures": None}, {"architectures": []}, {"architectures": "Bert"}]
)
def test_a_config_without_architectures(config):
    assert architecture(config) is None


@pytest.mark.parametrize(
    ("saved", "config", "requested", "task"),
    [
        ("CLIPModel", {"text_config": {}, "vision_config": {}}, None, "zero-shot-image-classification"),
        ("SiglipModel", {"text_config": {}, "vision_config": {}}, None, "zero-shot-image-classification"),
        ("CLIPModel", {"text_config": {}, "vision_config": {}}, "multimodal-embedding", "multimodal-embedding"),
        ("ViltForQuestionAnswering", {"vocab_size": 9, "image_size": 384}, None, "visual-question-answering"),
        ("XCLIPModel", {"text_config": {}, "vision_config": {"num_frames": 8}}, None, "zero-shot-video-classification"),
        ("LayoutLMForQuestionAnswering", {"vocab_size": 9, "max_2d_position_embeddings": 1024}, None, "document-question-answering"),
    ],
)  # fmt: skip
def test_models_of_texts_beside_something_else(saved, config, requested, task):
    found = choose_task(
        HEADS, {"architectures": [saved], **config}, pipeline_tag=None, embeds=False, requested=requested, name="org/some-name"
    )  # fmt: skip
    assert found == task


@pytest.mark.parametrize(
    ("saved", "config", "requested"),
    [
        ("CLIPModel", {"text_config": {}, "vision_config": {}}, "image-classification"),
        ("LayoutLMForSequenceClassification", {"vocab_size": 9, "max_2d_position_embeddings": 1024}, "text-classification"),
        ("ViltForQuestionAnswering", {"vocab_size": 9, "image_size": 384}, "multimodal-embedding"),
    ],
)  # fmt: skip
def test_a_model_is_given_all_that_it_takes(saved, config, requested):
    with pytest.raises(UnsupportedModel, match=f"no trained head for {requested}"):
        choose_task(
            HEADS, {"architectures": [saved], **config}, pipeline_tag=None, embeds=False, requested=requested, name="org/some-name"
        )  # fmt: skip
