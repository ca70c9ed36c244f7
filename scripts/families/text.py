"""Text families."""

from __future__ import annotations

from families.record import Family, labels

_SMALL = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 128,
}
_MINILM = {"hidden_size": 384, "num_attention_heads": 12, "intermediate_size": 1536}
_ROBERTA = {
    "vocab_size": 50265,
    "max_position_embeddings": 514,
    "type_vocab_size": 1,
    "layer_norm_eps": 1e-5,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
}
_NLI = labels(["contradiction", "entailment", "neutral"])
_CANDIDATES = {"candidate_labels": ["music", "city", "machine"]}
_SHORT_BPE = ("bytes_bpe", {"size": 50265})


def pooled(width: int, *modes: str, normalize: bool = True, length: int = 512) -> dict[str, object]:
    """sentence-transformers' files: the encoder, its pooling, and unit length."""
    kinds = ("Transformer", "Pooling", "Normalize")[: 3 if normalize else 2]
    modules = [
        {
            "idx": i,
            "name": str(i),
            "path": f"{i}_{kind}" if i else "",
            "type": f"sentence_transformers.models.{kind}",
        }
        for i, kind in enumerate(kinds)
    ]
    pooling = {f"pooling_mode_{mode}": mode in modes for mode in ("cls_token", "mean_tokens", "max_tokens")}
    return {
        "modules.json": modules,
        "1_Pooling/config.json": {"word_embedding_dimension": width, **pooling},
        "sentence_bert_config.json": {"max_seq_length": length, "do_lower_case": False},
    }


FAMILIES = (
    Family(
        name="bert", title="BERT", like="google-bert/bert-base-uncased", task="fill-mask",
        architecture="BertForMaskedLM", reduced=_SMALL, exact=True, tokenizer=("wordpiece", {"size": 30522}),
        items="masked", optimum=True,
    ),
    Family(
        name="bert-tiny", title="BERT", like="prajjwal1/bert-tiny", task="feature-extraction",
        architecture="BertModel", exact=True, tokenizer=("wordpiece", {"size": 30522}), optimum=True,
        config={"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 512},
    ),
    Family(
        name="bert-ner", title="BERT", like="dslim/bert-base-NER", task="token-classification",
        architecture="BertForTokenClassification", reduced=_SMALL, exact=True,
        config={"vocab_size": 28996, **labels(["O", "B-MISC", "I-MISC", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC"])},
        tokenizer=("wordpiece", {"size": 28996, "lower": False}), parameters={"aggregation_strategy": "simple"},
    ),
    Family(
        name="distilbert-sst-2", title="DistilBERT", like="distilbert/distilbert-base-uncased-finetuned-sst-2-english",
        task="text-classification", architecture="DistilBertForSequenceClassification", exact=True,
        config=labels(["NEGATIVE", "POSITIVE"]), tokenizer=("wordpiece", {"size": 30522}), optimum=True,
        reduced={"dim": 64, "n_layers": 2, "n_heads": 4, "hidden_dim": 128},
    ),
    Family(
        name="mpnet", title="MPNet", like="sentence-transformers/all-mpnet-base-v2", task="sentence-similarity",
        architecture="MPNetModel", exact=True, asks="sentences", optimum=True, reduced=_SMALL,
        config={"vocab_size": 30527, "max_position_embeddings": 514, "layer_norm_eps": 1e-5, "pad_token_id": 1},
        tokenizer=("wordpiece", {"size": 30527, "kind": "MPNetTokenizer"}),
        files=pooled(768, "mean_tokens", length=384),
    ),
    Family(
        name="e5", title="BERT", like="intfloat/e5-small-v2", task="sentence-similarity", architecture="BertModel",
        exact=True, asks="sentences", config=_MINILM, reduced=_SMALL, tokenizer=("wordpiece", {"size": 30522}),
        files=pooled(384, "mean_tokens"),
    ),
    Family(
        name="bge", title="BERT", like="BAAI/bge-small-en-v1.5", task="sentence-similarity", architecture="BertModel",
        exact=True, asks="sentences", config=_MINILM, reduced=_SMALL, tokenizer=("wordpiece", {"size": 30522}),
        files=pooled(384, "cls_token"),
    ),
    Family(
        name="roberta-squad2", title="RoBERTa", like="deepset/roberta-base-squad2", task="question-answering",
        architecture="RobertaForQuestionAnswering", exact=True, config=_ROBERTA, reduced=_SMALL,
        tokenizer=_SHORT_BPE, items="questions", asks="questions", optimum=True,
    ),
    Family(
        name="roberta-nli", title="RoBERTa", like="cross-encoder/nli-roberta-base", task="zero-shot-classification",
        architecture="RobertaForSequenceClassification", exact=True, config={**_ROBERTA, **_NLI}, reduced=_SMALL,
        tokenizer=_SHORT_BPE, parameters=_CANDIDATES,
    ),
    Family(
        name="xlm-r", title="XLM-R", like="FacebookAI/xlm-roberta-base", task="fill-mask",
        architecture="XLMRobertaForMaskedLM", config=_ROBERTA, reduced={**_SMALL, "vocab_size": 8000},
        tokenizer=("unigram", {"size": 8000}), items="masked", optimum=True,
    ),
    Family(
        name="albert", title="ALBERT", like="albert/albert-base-v2", task="fill-mask", architecture="AlbertForMaskedLM",
        exact=True, config={"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12},
        reduced={**_SMALL, "embedding_size": 32}, tokenizer=("unigram", {"size": 30000, "kind": "AlbertTokenizer"}),
        items="masked", optimum=True,
    ),
    Family(
        name="deberta-v2", title="DeBERTa-v2", like="microsoft/deberta-v2-xlarge", task="feature-extraction",
        architecture="DebertaV2Model", tokenizer=("unigram", {"size": 8000, "kind": "DebertaV2Tokenizer"}),
        config={
            "relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 256, "norm_rel_ebd": "layer_norm",
            "share_att_key": True, "max_relative_positions": -1, "position_biased_input": False, "type_vocab_size": 0,
            "conv_kernel_size": 3, "conv_act": "gelu", "attention_head_size": 16,
        },
        reduced={**_SMALL, "vocab_size": 8000}, optimum=True,
        refused={"optimum:openvino": "OpenVINO runs no If whose result has no fixed rank, which the traced graph has"},
    ),
    Family(
        name="deberta-v3", title="DeBERTa-v3", like="cross-encoder/nli-deberta-v3-xsmall", task="zero-shot-classification",
        architecture="DebertaV2ForSequenceClassification", exact=True, parameters=_CANDIDATES,
        config={
            "vocab_size": 128100, "hidden_size": 384, "num_hidden_layers": 12, "num_attention_heads": 6,
            "intermediate_size": 1536, "relative_attention": True, "position_buckets": 256, "norm_rel_ebd": "layer_norm",
            "share_att_key": True, "pos_att_type": ["p2c", "c2p"], "max_relative_positions": -1,
            "position_biased_input": False, "type_vocab_size": 0, **_NLI,
        },
        reduced=_SMALL, tokenizer=("unigram", {"size": 128100, "kind": "DebertaV2Tokenizer"}),
    ),
    Family(
        name="electra", title="ELECTRA", like="google/electra-small-discriminator", task="text-classification",
        architecture="ElectraForSequenceClassification", exact=True, config=labels(["negative", "neutral", "positive"]),
        reduced=_SMALL, tokenizer=("wordpiece", {"size": 30522}), optimum=True,
    ),
    Family(
        name="modernbert", title="ModernBERT", like="answerdotai/ModernBERT-base", task="fill-mask",
        architecture="ModernBertForMaskedLM", exact=True, items="masked",
        reduced=_SMALL, tokenizer=("bytes_bpe", {"size": 50368, "kind": "ModernBert", "limit": 8192}),
    ),
    Family(
        name="gte-modernbert", title="ModernBERT", like="Alibaba-NLP/gte-modernbert-base", task="sentence-similarity",
        architecture="ModernBertModel", exact=True, asks="sentences", reduced=_SMALL,
        tokenizer=("bytes_bpe", {"size": 50368, "kind": "ModernBert", "limit": 8192}),
        files=pooled(768, "cls_token", normalize=False, length=8192),
    ),
    Family(
        name="nomic", title="Nomic", like="nomic-ai/nomic-embed-text-v1.5", task="sentence-similarity",
        architecture="NomicBertModel", exact=True, asks="sentences", reduced=_SMALL,
        tokenizer=("wordpiece", {"size": 30522, "limit": 8192}), files=pooled(768, "mean_tokens", length=2048),
    ),
    Family(
        name="gte", title="GTE", like="Alibaba-NLP/gte-multilingual-base", task="sentence-similarity",
        architecture="GteModel", asks="sentences", reduced={**_SMALL, "vocab_size": 8000},
        tokenizer=("unigram", {"size": 8000, "limit": 8192}), files=pooled(64, "cls_token", length=8192),
    ),
    Family(
        name="cross-encoder", title="Cross-encoder", like="cross-encoder/ms-marco-MiniLM-L6-v2", task="text-ranking",
        architecture="BertForSequenceClassification", exact=True, config={**_MINILM, "num_hidden_layers": 6, **labels(["LABEL_0"])},
        reduced=_SMALL, tokenizer=("wordpiece", {"size": 30522}), items="pairs", asks="ranking",
    ),
    Family(
        name="splade", title="SPLADE", like="naver/splade-v3-distilbert", task="sparse-embedding",
        architecture="DistilBertForMaskedLM", exact=True, tokenizer=("wordpiece", {"size": 30522}), asks="sparse",
        reduced={"dim": 64, "n_layers": 2, "n_heads": 4, "hidden_dim": 128},
        files={
            "modules.json": [
                {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.sparse_encoder.models.MLMTransformer"},
                {"idx": 1, "name": "1", "path": "1_SpladePooling", "type": "sentence_transformers.sparse_encoder.models.SpladePooling"},
            ],
            "1_SpladePooling/config.json": {"pooling_strategy": "max", "activation_function": "relu", "word_embedding_dimension": None},
            "sentence_bert_config.json": {"max_seq_length": 256, "do_lower_case": False},
            "config_sentence_transformers.json": {"model_type": "SparseEncoder", "similarity_fn_name": "dot"},
        },
    ),
    Family(
        name="colbert", title="ColBERT", like="colbert-ir/colbertv2.0", task="late-interaction", architecture="BertModel",
        exact=True, reduced=_SMALL, tokenizer=("wordpiece", {"size": 30522}), projection=128, asks="late",
        files={"artifact.metadata": {"query_maxlen": 32, "doc_maxlen": 180, "dim": 128, "attend_to_mask_tokens": False}},
    ),
)  # fmt: skip
