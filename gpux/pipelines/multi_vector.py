"""How a late-interaction (ColBERT) model reads queries and documents, and which of their token vectors count, from its own files.

Three ways to write that down are known: sentence-transformers' ``MultiVectorEncoder``, PyLate, and Stanford's ``HF_ColBERT``.
Source: https://github.com/huggingface/sentence-transformers/blob/v6.2.0/sentence_transformers/multi_vector_encoder/model.py
"""

from __future__ import annotations

import string
from dataclasses import dataclass

from gpux.artifact import Artifact
from gpux.fields import Fields, modules
from gpux.pipelines import layers
from gpux.text import limits
from gpux.text.prompts import Prompts

QUERY, DOCUMENT = "query", "document"
NATIVE, STANFORD = "MultiVectorEncoder", "HF_ColBERT"

_LINEAR = "linear"  # where a pull puts Stanford's projection, as a Dense module: gpux/export/projection.py
_PACKAGES = {"sentence_transformers", "pylate"}
_PREFIXES = {QUERY: "query_prefix", DOCUMENT: "document_prefix"}
_PYLATE = (
    *_PREFIXES.values(), "query_length", "document_length", "query_expansion", "do_query_expansion", "skiplist_words",
    "attend_to_expansion_tokens", "attend_to_mask_tokens",
)  # fmt: skip
_QUERY_TOKENS = 32  # of a filled query, where the model does not say


@dataclass(frozen=True, slots=True)
class Filling:
    """What queries are filled up with: a token (the mask by default), to a length; ``fixed`` also cuts them at that length."""

    length: int
    attend: bool = False
    token: str | None = None
    fixed: bool = True


@dataclass(frozen=True, slots=True)
class Reading:
    """How texts become tokens.

    Attributes:
        prompts: The texts before queries and documents, their markers among them.
        markers: Those prompts that begin with a token which text does not come to.
        query_length: Longest query in tokens; ``None`` for no limit.
        document_length: Longest document in tokens.
        filling: What queries are filled up with, or ``None``.
    """

    prompts: Prompts
    markers: tuple[str, ...]
    query_length: int | None
    document_length: int | None
    filling: Filling | None


@dataclass(frozen=True, slots=True)
class Projection:
    """What follows the encoder.

    Attributes:
        steps: Module name and function on token vectors, in order.
        takes: Size of the token vectors that the steps take, where it matters to them.
        gives: Size of the vectors that they give, where they change it.
        skipped: Tokens whose vectors do not count.
        skipped_of: The sides on which they do not.
        kept: Ids of the only tokens of a document whose vectors count, where there are such.
    """

    steps: tuple[tuple[str, layers.Layer], ...]
    takes: int | None
    gives: int | None
    skipped: tuple[str, ...] = ()
    skipped_of: tuple[str, ...] = (DOCUMENT,)
    kept: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class _Old:
    """What a model says outside its modules, as those before ``MultiVectorEncoder`` do."""

    prefixes: dict[str, str]
    query_length: int | None
    document_length: int | None
    filling: Filling | None
    skipped: tuple[str, ...]


def read(artifact: Artifact) -> tuple[Reading, Projection]:
    """A model's own settings.

    Raises:
        UnsupportedModel: It is no late-interaction model, or has a module that GPUX does not compute.
        CorruptArtifact: A module's files cannot be read.
    """
    settings = Fields(artifact, "config_sentence_transformers.json")
    listed = modules(artifact)
    kind = settings.text("model_type")
    if listed is None and artifact.manifest.architecture == STANFORD:
        old = _stanford(artifact)
        listed = [("", ""), ("sentence_transformers.Dense", _LINEAR)]
    elif listed is not None and (
        kind in {NATIVE, "ColBERT"} or any(key in settings for key in _PREFIXES.values())
    ):
        old = _pylate(settings)
    else:
        raise layers.unsupported(artifact, "no settings of a late-interaction model")
    own = limits.sentence_settings(artifact)
    filling = _filling(own) if "query_expansion" in own else old.filling
    prompts = settings.table("prompts")
    prefixed = {
        side: prefix + (prompts.text(side) or "").removeprefix(prefix)
        for side, prefix in old.prefixes.items()
    }
    query = own.length("query_length") or old.query_length
    document = own.length("document_length") or old.document_length
    reading = Reading(
        Prompts(artifact, settings, over=prefixed),
        tuple(old.prefixes.values()),
        _query_length(filling, query, artifact),
        _within_positions(document, artifact),
        filling,
    )
    return reading, _projection(artifact, listed[1:], old, native=kind == NATIVE)


def _stanford(artifact: Artifact) -> _Old:
    data = Fields(artifact, "artifact.metadata")
    filling = Filling(
        data.length("query_maxlen") or _QUERY_TOKENS, attend=bool(data.flag("attend_to_mask_tokens"))
    )
    prefixes = {
        QUERY: f"{data.text('query_token_id') or '[unused0]'} ",
        DOCUMENT: f"{data.text('doc_token_id') or '[unused1]'} ",
    }
    skipped = () if data.flag("mask_punctuation") is False else tuple(string.punctuation)
    return _Old(prefixes, None, data.length("doc_maxlen"), filling, skipped)


def _pylate(settings: Fields) -> _Old:
    prefixes = {side: settings.text(key) or "" for side, key in _PREFIXES.items() if key in settings}
    query = settings.length("query_length")
    filling = None
    if "query_expansion" in settings:
        filling = _filling(settings)
    elif any(key in settings for key in _PYLATE) and settings.flag("do_query_expansion") is not False:
        attend = settings.flag(
            "attend_to_expansion_tokens"
            if "attend_to_expansion_tokens" in settings
            else "attend_to_mask_tokens"
        )
        filling, query = Filling(query or _QUERY_TOKENS, attend=bool(attend)), None
    skipped = _texts(settings, "skiplist_words")
    return _Old(
        prefixes,
        query,
        settings.length("document_length"),
        filling,
        tuple(string.punctuation) if skipped is None else skipped,
    )


def _filling(settings: Fields) -> Filling | None:
    given = settings.table("query_expansion")
    if not given.data:
        return None
    length = given.length("length")
    if length is None:
        raise given.refused("length", "a number of tokens")
    strategy = given.text("strategy", among=("fixed", "min"))
    return Filling(length, bool(given.flag("attend")), given.text("token"), strategy != "min")


def _query_length(filling: Filling | None, own: int | None, artifact: Artifact) -> int | None:
    if filling is None:
        return _within_positions(own, artifact)
    if filling.fixed:
        return filling.length
    return limits.sentence_limit(artifact) if own is None else max(own, filling.length)


def _within_positions(own: int | None, artifact: Artifact) -> int | None:
    if own is None:
        return limits.sentence_limit(artifact)
    return min(own, limits.positions(artifact) or own)


def _projection(artifact: Artifact, listed: list[tuple[str, str]], old: _Old, *, native: bool) -> Projection:
    steps: list[tuple[str, layers.Layer]] = []
    sizes: list[layers.Sized] = []
    mask: Fields | None = None
    for name, path in listed:
        package, _, kind = name.rpartition(".")
        if package.partition(".")[0] not in _PACKAGES:
            raise layers.unsupported(artifact, f"module `{name}`, which is code of its own")
        config = Fields(artifact, f"{path}/config.json")
        if kind == "Dense":
            sizes.append(layers.read(artifact, kind, path, on=layers.TOKENS))
            steps.append((kind, sizes[-1].layer))
        elif kind == "MultiVectorMask":
            mask = config
        elif kind == "Normalize":  # of sentence vectors, it finds none
            if config.text("module_input_name") == layers.TOKENS:
                steps.append((kind, layers.unit))
        elif kind != "Dropout" and (native or kind != "Pooling"):
            raise layers.unsupported(artifact, f"module `{name}` in this place")
    takes, gives = (sizes[0].takes, sizes[-1].gives) if sizes else (None, None)
    if not native:  # masking and scaling were no modules of their own
        return Projection((*steps, ("Normalize", layers.unit)), takes, gives, old.skipped)
    if mask is None:
        return Projection(tuple(steps), takes, gives)
    sides = mask.data.get("skiplist_tasks")
    return Projection(
        tuple(steps),
        takes,
        gives,
        _texts(mask, "skiplist_words") or (),
        (sides,) if isinstance(sides, str) else _texts(mask, "skiplist_tasks") or (DOCUMENT,),
        _ids(mask, "keep_only_token_ids"),
    )


def _texts(settings: Fields, key: str) -> tuple[str, ...] | None:
    listed = settings.data.get(key)
    if listed is None:
        return None
    if not isinstance(listed, list) or not all(isinstance(text, str) for text in listed):
        raise settings.refused(key, "a list of texts")
    return tuple(listed)


def _ids(settings: Fields, key: str) -> tuple[int, ...]:
    listed = settings.data.get(key) or []
    if not isinstance(listed, list) or not all(type(index) is int and index >= 0 for index in listed):
        raise settings.refused(key, "a list of token ids")
    return tuple(listed)
