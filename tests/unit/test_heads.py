"""The task is what a checkpoint's files declare; its name never says anything."""

from __future__ import annotations

import pytest

from gpux import tasks
from gpux.errors import UnsupportedModel
from gpux.export.heads import architecture, choose_task
from gpux.export.kinds import kind_of

HEADS = {name: tasks.find(name).head for name in tasks.names()}


def choose(saved=None, *, tag=None, embeds=False, requested=None, kind=None, name="org/some-name"):
    config = {"architectures": [saved]} if saved else {}
    return choose_task(
        HEADS, config, pipeline_tag=tag, embeds=embeds, requested=requested, name=name, kind=kind
    )


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
        ("BertForMaskedLM", None, False, "fill-mask"),
        ("BertForPreTraining", None, False, "fill-mask"),
        ("BertForMaskedLM", "feature-extraction", False, "feature-extraction"),
        ("CamembertForTokenClassification", None, False, "token-classification"),
        ("RobertaForQuestionAnswering", "question-answering", False, "question-answering"),
        ("DebertaV2ForSequenceClassification", "zero-shot-classification", False, "zero-shot-classification"),
        ("DebertaV2ForSequenceClassification", None, False, "text-classification"),
        ("DebertaV2ForSequenceClassification", "question-answering", False, "text-classification"),
    ],
)
def test_class_and_tag_decide(saved, tag, embeds, task):
    assert choose(saved, tag=tag, embeds=embeds) == task


@pytest.mark.parametrize(
    ("saved", "tag", "own", "task"),
    [
        ("T5ForConditionalGeneration", None, {}, "text2text-generation"),
        ("T5ForConditionalGeneration", "translation", {}, "translation"),
        ("T5ForConditionalGeneration", "text-classification", {}, "text2text-generation"),
        ("T5ForConditionalGeneration", None, {"summarization": {}, "translation_en_to_de": {}}, "text2text-generation"),
        ("BartForConditionalGeneration", None, {"summarization": {}}, "summarization"),
        ("MBartForConditionalGeneration", None, {"translation_en_to_ro": {}}, "translation"),
        ("MarianMTModel", None, {}, "translation"),
        ("M2M100ForConditionalGeneration", None, {}, "translation"),
    ],
)  # fmt: skip
def test_models_that_write_one_text_for_another(saved, tag, own, task):
    config = {"architectures": [saved], "task_specific_params": own}
    assert choose_task(HEADS, config, pipeline_tag=tag, embeds=False, requested=None, name="x") == task


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
        ("BertForMultipleChoice", "multiple-choice"),
        ("XLNetForMultipleChoice", "multiple-choice"),
    ],
)
def test_a_task_that_is_not_run_is_named(saved, task):
    with pytest.raises(UnsupportedModel, match=f"answers {task}, which this version does not run") as caught:
        choose(saved)
    assert caught.value.hint
    assert caught.value.architecture == saved


@pytest.mark.parametrize("saved", ["ElectraForPreTraining", "ViTMAEForPreTraining"])
def test_a_pretraining_head_of_another_kind_fills_no_masks(saved):
    with pytest.raises(UnsupportedModel, match="nothing in"):
        choose(saved)


@pytest.mark.parametrize(
    ("saved", "task"),
    [
        ("Wav2Vec2ForPreTraining", "audio-feature-extraction"),
        ("WavLMForXVector", "audio-feature-extraction"),
        ("HubertModel", "audio-feature-extraction"),
        ("HubertForCTC", "automatic-speech-recognition"),
        ("Wav2Vec2ForSequenceClassification", "audio-classification"),
        ("ASTForAudioClassification", "audio-classification"),
    ],
)
def test_what_hears_answers_a_task_of_sound(saved, task):
    config = {"architectures": [saved], "conv_kernel": [10, 3], "vocab_size": 32}
    assert (
        choose_task(HEADS, config, pipeline_tag="feature-extraction", embeds=False, requested=None, name="x")
        == task
    )


@pytest.mark.parametrize(
    "config", [{}, {"architectures": None}, {"architectures": []}, {"architectures": "Bert"}]
)
def test_a_config_without_architectures(config):
    assert architecture(config) is None


@pytest.mark.parametrize(
    ("saved", "tag", "kind", "task"),
    [
        ("BertForSequenceClassification", None, "CrossEncoder", "text-ranking"),
        ("BertForSequenceClassification", "text-classification", "CrossEncoder", "text-ranking"),
        ("BertForSequenceClassification", "text-ranking", None, "text-ranking"),
        ("BertForSequenceClassification", None, None, "text-classification"),
        ("BertForMaskedLM", "feature-extraction", "SparseEncoder", "sparse-embedding"),
        ("HF_ColBERT", "feature-extraction", "ColBERT", "late-interaction"),
        ("ModernBertModel", "sentence-similarity", "MultiVectorEncoder", "late-interaction"),
    ],
)
def test_the_kind_of_model_stands_before_its_tag(saved, tag, kind, task):
    assert choose(saved, tag=tag, kind=kind, embeds=kind is not None) == task


def test_a_kind_that_does_not_fit_its_class_is_refused():
    with pytest.raises(UnsupportedModel, match="is a CrossEncoder saved from Qwen3ForCausalLM") as caught:
        choose("Qwen3ForCausalLM", tag="text-ranking", kind="CrossEncoder", embeds=True)
    assert caught.value.hint
    with pytest.raises(UnsupportedModel, match="no trained head for late-interaction"):
        choose("BertModel", requested="late-interaction")
    assert choose("BertForMaskedLM", requested="sparse-embedding") == "sparse-embedding"


ONE, TWO = {"id2label": {"0": "LABEL_0"}}, {"id2label": {"0": "no", "1": "yes"}}
SAVED = {"sentence_transformers": {"version": "5.0", "activation_fn": "torch.nn.modules.linear.Identity"}}
TRANSFORMER = "sentence_transformers.models.Transformer"


@pytest.mark.parametrize(
    ("config", "settings", "modules", "kind"),
    [
        (ONE, {}, None, None),
        (ONE, {}, [TRANSFORMER], None),
        ({**ONE, **SAVED}, {}, None, "CrossEncoder"),
        ({**TWO, **SAVED}, {}, None, None),
        (SAVED, {}, None, None),
        ({"num_labels": 1, **SAVED}, {}, None, "CrossEncoder"),
        ({**ONE, "sbert_ce_default_activation_function": None}, {}, None, "CrossEncoder"),
        (ONE, {"model_type": "CrossEncoder"}, [TRANSFORMER], "CrossEncoder"),
        (TWO, {"model_type": "CrossEncoder"}, [TRANSFORMER], None),
        (TWO, {"model_type": "SentenceTransformer"}, [TRANSFORMER], None),
        (TWO, {"model_type": "SparseEncoder"}, [TRANSFORMER], "SparseEncoder"),
        (
            TWO,
            {},
            [TRANSFORMER, "sentence_transformers.sparse_encoder.models.SpladePooling"],
            "SparseEncoder",
        ),
        (TWO, {"model_type": "MultiVectorEncoder"}, [TRANSFORMER], "MultiVectorEncoder"),
        (TWO, {"model_type": "ColBERT"}, [TRANSFORMER], "ColBERT"),
        (TWO, {"query_prefix": "[Q] "}, [TRANSFORMER], "ColBERT"),
        (TWO, {"query_prefix": "[Q] "}, None, None),
        ({"architectures": ["HF_ColBERT"]}, {}, None, "ColBERT"),
        ({"architectures": "HF_ColBERT", "id2label": 5}, {"model_type": 5}, [5], None),
    ],
)
def test_the_files_say_what_kind_a_model_is(config, settings, modules, kind):
    assert kind_of(config, settings, modules) == kind


@pytest.mark.parametrize(
    ("saved", "config", "requested", "task"),
    [
        ("CLIPModel", {"text_config": {}, "vision_config": {}}, None, "zero-shot-image-classification"),
        ("SiglipModel", {"text_config": {}, "vision_config": {}}, None, "zero-shot-image-classification"),
        ("CLIPModel", {"text_config": {}, "vision_config": {}}, "multimodal-embedding", "multimodal-embedding"),
        ("ViltForQuestionAnswering", {"vocab_size": 9, "max_position_embeddings": 40, "image_size": 384}, None, "visual-question-answering"),
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
        ("ViltForQuestionAnswering", {"vocab_size": 9, "max_position_embeddings": 40, "image_size": 384}, "multimodal-embedding"),
    ],
)  # fmt: skip
def test_a_model_is_given_all_that_it_takes(saved, config, requested):
    with pytest.raises(UnsupportedModel, match=f"no trained head for {requested}"):
        choose_task(
            HEADS, {"architectures": [saved], **config}, pipeline_tag=None, embeds=False, requested=requested, name="org/some-name"
        )  # fmt: skip
