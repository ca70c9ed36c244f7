"""Makes tiny cross-encoders, sparse encoders and late-interaction models, and what sentence-transformers answers with each.

Usage: python rankers.py DIRECTORY; writes one directory per model, ``answers.json`` and ``vectors.npz``, keyed by model and call.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import corpus
import numpy as np
import tiny_models
import torch
from safetensors.torch import save_file
from sentence_transformers import CrossEncoder, MultiVectorEncoder, SparseEncoder
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask
from sentence_transformers.sparse_encoder.modules import SpladePooling
from transformers import BertConfig, BertForMaskedLM, BertForSequenceClassification, BertModel

QUERY = "what can you do with this?"
TEXTS = [*corpus.EDGES[1:54], *corpus.texts()[-20:]]
EMBEDDED = TEXTS[:40]
IDENTITY = "torch.nn.modules.linear.Identity"


def config(**settings: Any) -> BertConfig:
    return BertConfig(**tiny_models.SIZES, max_position_embeddings=64, **settings)


def save(model: torch.nn.Module, directory: Path, *extra: str) -> Path:
    tiny_models.sharpened(model).save_pretrained(directory)
    tiny_models.tokenizer(64, *extra).save_pretrained(directory)
    return directory


def alter(path: Path, **entries: Any) -> None:
    known = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**known, **entries}))


def cross_encoders(directory: Path) -> dict[str, Any]:
    """One model as version 6 saves it, and as 4, as those before it, and as nobody but transformers does."""
    plain = save(BertForSequenceClassification(config(num_labels=1)), directory / "plain")
    CrossEncoder(str(plain), prompts={"ask": "can you said: "}).save_pretrained(str(directory / "sigmoid"))
    for name, entries in (
        ("identity", {"sentence_transformers": {"activation_fn": IDENTITY, "version": "4.0.1"}}),
        ("old", {"sbert_ce_default_activation_function": "torch.nn.modules.activation.Tanh"}),
    ):
        shutil.copytree(plain, directory / name)
        alter(directory / name / "config.json", **entries)
    answers = {}
    pairs = [(pair["text"], pair["text_pair"]) for pair in corpus.pairs()]
    for name in ("plain", "sigmoid", "identity", "old"):
        model = CrossEncoder(str(directory / name), device="cpu", local_files_only=True)
        answers[f"{name}/pairs"] = model.predict(pairs).tolist()
        answers[f"{name}/rank"] = model.rank(QUERY, TEXTS)
        answers[f"{name}/five"] = model.rank(QUERY, TEXTS, top_k=5, return_documents=True)
        if name == "sigmoid":
            answers["sigmoid/prompt"] = model.rank(QUERY, TEXTS, prompt_name="ask")
    return answers


def sparse_encoders(directory: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """SPLADE of both poolings, and a masked language model without modules."""
    spare = 1000 - len(tiny_models.tokenizer(64))
    bare = save(BertForMaskedLM(config()), directory / "bare", *(f"word{i}" for i in range(spare)))
    for name, pooling, most in (("largest", ("max", "relu"), None), ("summed", ("sum", "log1p_relu"), 9)):
        encoder = Transformer(str(bare), transformer_task="fill-mask", max_seq_length=40)
        model = SparseEncoder(
            modules=[encoder, SpladePooling(*pooling)],
            prompts={"query": "you said: ", "document": ""},
            max_active_dims=most,
            similarity_fn_name="cosine" if most else None,
        )
        model.save_pretrained(str(directory / name))
    answers, vectors = {}, {}
    for name in ("bare", "largest", "summed"):
        model = SparseEncoder(str(directory / name), device="cpu", local_files_only=True)
        found = model.encode(EMBEDDED, convert_to_sparse_tensor=False)
        vectors[f"{name}/encode"] = found.numpy()
        vectors[f"{name}/query"] = model.encode_query(EMBEDDED, convert_to_sparse_tensor=False).numpy()
        vectors[f"{name}/similarity"] = model.similarity(found[:1], found[1:]).numpy()
        answers[f"{name}/decode"] = model.decode(found)
        answers[f"{name}/three"] = model.decode(found, top_k=3)
    return answers, vectors


def stanford(directory: Path) -> None:
    """The projection among the encoder's weights, and the settings in a file of Stanford's own."""
    folder = directory / "stanford"
    model = BertModel(config(), add_pooling_layer=False)
    save(model, folder, "[unused0]", "[unused1]")
    weights = {f"bert.{name}": weight for name, weight in model.state_dict().items()}
    linear = {"linear.weight": torch.randn(16, 32)}
    save_file({**weights, **linear}, folder / "model.safetensors", {"format": "pt"})
    alter(folder / "config.json", architectures=["HF_ColBERT"])
    alter(folder / "artifact.metadata", query_maxlen=20, doc_maxlen=33, attend_to_mask_tokens=True)
    model.save_pretrained(directory / "encoder")
    tiny_models.tokenizer(64).save_pretrained(directory / "encoder")


def native(directory: Path) -> None:
    """Everything a module of its own; longer queries are not cut."""
    encoder = Transformer(
        str(directory / "encoder"),
        max_seq_length=40,
        document_length=30,
        query_expansion={"strategy": "min", "length": 12, "attend": True, "token": "[MASK]"},
    )
    dense = Dense(32, 16, activation_function=torch.nn.Tanh(), module_input_name="token_embeddings")
    mask = MultiVectorMask([".", "?", "the", "no such word"], skiplist_tasks=["query", "document"])
    model = MultiVectorEncoder(
        modules=[encoder, dense, mask, Normalize(module_input_name="token_embeddings")],
        prompts={"query": "you: ", "document": "it: "},
        similarity_fn_name="meanmaxsim",
    )
    model.save_pretrained(str(directory / "native"))


def pylate(directory: Path) -> None:
    """Markers that were added to the tokenizer, a query filled up to 24 tokens, no modules for masking and scaling."""
    folder = directory / "pylate"
    shutil.copytree(directory / "encoder", folder)
    words = tiny_models.tokenizer(64)
    words.add_tokens(["[Q] ", "[D] "])
    words.save_pretrained(folder)
    kinds = (("", "sentence_transformers.models.Transformer"), ("1_Dense", "pylate.models.Dense.Dense"))
    listed = [{"idx": i, "name": str(i), "path": path, "type": kind} for i, (path, kind) in enumerate(kinds)]
    (folder / "modules.json").write_text(json.dumps(listed))
    alter(folder / "sentence_bert_config.json", max_seq_length=47, do_lower_case=False)
    alter(
        folder / "config_sentence_transformers.json",
        model_type="ColBERT",
        query_prefix="[Q] ",
        document_prefix="[D] ",
        query_length=24,
        document_length=48,
        attend_to_expansion_tokens=False,
        similarity_fn_name="MaxSim",
    )
    (folder / "1_Dense").mkdir()
    dense = {"in_features": 32, "out_features": 16, "bias": False, "activation_function": IDENTITY}
    alter(folder / "1_Dense" / "config.json", **dense)
    save_file({"linear.weight": torch.randn(16, 32)}, folder / "1_Dense" / "model.safetensors")


def late_interaction(directory: Path) -> dict[str, np.ndarray]:
    vectors = {}
    for make in (stanford, native, pylate):
        make(directory)
        name = make.__name__
        model = MultiVectorEncoder(str(directory / name), device="cpu", local_files_only=True)
        queries = model.encode_query(EMBEDDED, convert_to_numpy=True)
        documents = model.encode_document(EMBEDDED, convert_to_numpy=True)
        for i in range(len(EMBEDDED)):
            vectors[f"{name}/query/{i}"], vectors[f"{name}/document/{i}"] = queries[i], documents[i]
        vectors[f"{name}/scores"] = model.similarity(queries[:4], documents).numpy()
    return vectors


def main(directory: Path) -> None:
    torch.manual_seed(0)
    directory.mkdir(parents=True)
    answers, vectors = sparse_encoders(directory)
    answers |= cross_encoders(directory)
    vectors |= late_interaction(directory)
    (directory / "answers.json").write_text(json.dumps(answers), encoding="utf-8")
    np.savez(directory / "vectors.npz", **vectors)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
