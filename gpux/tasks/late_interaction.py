"""``late-interaction``: a vector per token, and rankings by the best match of each query token, as ColBERT models make them.

Source: https://github.com/huggingface/sentence-transformers/blob/v6.2.0/sentence_transformers/multi_vector_encoder
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from gpux.artifact import Artifact
from gpux.errors import InvalidInput
from gpux.fields import Fields
from gpux.head import Head
from gpux.pipelines import layers, multi_vector, ranking
from gpux.pipelines.multi_vector import DOCUMENT, QUERY
from gpux.pipelines.pipeline import Clock, Table
from gpux.pipelines.text_graph import Batch, Expansion, TextGraph
from gpux.pipelines.text_pipeline import TextPipeline
from gpux.session import Session
from gpux.text import limits, special_tokens, texts
from gpux.text.tokens import Text

_OUTPUTS = ("last_hidden_state", "token_embeddings")
_NOTHING = -1e9  # the score of a document without a vector, below any other: as sentence-transformers has it


class TaskPipeline(TextPipeline, ranking.Ranks):
    """A text gives a vector for each of its tokens; a query with documents gives a ranking.

    Raises:
        UnsupportedModel: The graph's inputs or the model's modules are none that GPUX knows.
        CorruptArtifact: A file of the model cannot be read.
    """

    head: ClassVar[Head] = Head(
        auto="AutoModel",
        suffixes=("Model", multi_vector.STANFORD, ""),
        outputs=("last_hidden_state",),
        aliases={"token_embeddings": "last_hidden_state"},
        kinds=("ColBERT", multi_vector.NATIVE),
    )
    parameters: ClassVar[tuple[str, ...]] = (
        "top_k", "return_documents", "prompt_name", "prompt", "normalize",
    )  # fmt: skip

    def __init__(self, artifact: Artifact, session: Session) -> None:
        super().__init__(artifact, session)
        output = _output(artifact, session)
        self._output = output.name
        reading, self._projection = multi_vector.read(artifact)
        self._prompts = reading.prompts
        settings = Fields(artifact, "config_sentence_transformers.json")
        self._mean = settings.text("similarity_fn_name") == "meanmaxsim"
        lengths = {QUERY: reading.query_length, DOCUMENT: reading.document_length}
        lower = bool(limits.sentence_settings(artifact).flag("do_lower_case"))
        self._graphs = {
            side: TextGraph(artifact, session, max_length=length, lower=lower, markers=reading.markers)
            for side, length in lengths.items()
        }
        if reading.filling is not None:
            self._graphs[QUERY].expansion = _expansion(artifact, self._graphs[QUERY], reading.filling)
        skipped = np.array(_skipped(artifact, self._graphs[QUERY], self._projection.skipped), dtype=np.int64)
        self._skipped = {
            side: skipped if side in self._projection.skipped_of else skipped[:0] for side in lengths
        }
        self._kept = np.array(self._projection.kept, dtype=np.int64)
        size = output.shape[-1]
        # A published graph may end in the projection already.
        self._projected = isinstance(size, int) and size not in {None, self._projection.takes}
        if self._projected and self._projection.takes is not None and size != self._projection.gives:
            raise layers.unsupported(artifact, f"layers for vectors of {self._projection.takes}, not {size}")

    def answer(
        self,
        items: Sequence[Any],
        clock: Clock,
        /,
        *,
        top_k: int | None = None,
        return_documents: bool = False,
        prompt_name: str | None = None,
        prompt: str | None = None,
        normalize: bool | None = None,
    ) -> list[Any]:
        """One answer per item.

        Args:
            items: Texts, or ``{"query": …, "documents": […]}``.
            clock: Where the time goes.
            top_k: That many documents, best first; all of them when ``None``.
            return_documents: Whether each document stands beside its score.
            prompt_name: Whether texts are a ``query`` or a ``document`` (which they are when ``None``), or another prompt of
                ``config_sentence_transformers.json`` for documents. Rankings have both and take none.
            prompt: A text put before every text instead of its marker.
            normalize: ``True`` scales vectors to unit length, ``False`` leaves out the model's own scaling, ``None`` does what
                the model's modules say.

        Returns:
            Per text float32 [tokens that count, dimensions]; per query a list of ``{"corpus_id": int, "score": float}``, best
            first: the similarities of its vectors to the nearest of each document, summed.

        Raises:
            InvalidInput: An item is neither, or a parameter is out of range.
        """
        ranking.check_top_k(top_k)
        side, prefix = self._side(prompt_name, prompt)
        alone = [(i, texts.checked(x, position=i)) for i, x in enumerate(items) if not ranking.is_ranking(x)]
        asked = {
            i: ranking.read(item, position=i) for i, item in enumerate(items) if ranking.is_ranking(item)
        }
        answers: list[Any] = [None] * len(items)
        for place, vectors in self._embed(
            side, [prefix + text for _, text in alone], clock, normalize=normalize
        ):
            answers[alone[place][0]] = vectors
        for position, scores in self._scores(asked, clock, normalize=normalize).items():
            answers[position] = ranking.ranked(
                scores, asked[position][1], top_k=top_k, return_documents=return_documents
            )
        clock.lap("postprocess")
        return answers

    def encode(
        self,
        inputs: str | Iterable[str],
        *,
        prompt_name: str | None = None,
        prompt: str | None = None,
        normalize: bool | None = None,
        truncate_dim: int | None = None,
    ) -> Any:
        """The vectors of one text or of a list, in order; the arguments are those of :meth:`answer`.

        Returns:
            float32 [tokens that count, dimensions] for one text, a list of those for a list.
        """
        if truncate_dim is not None:
            raise InvalidInput(
                "vectors of tokens are not truncated",
                hint="leave `truncate_dim` out",
                truncate_dim=truncate_dim,
            )
        one = texts.is_item(inputs)
        listed = [inputs] if one else list(inputs)
        checked = [texts.checked(item, position=i) for i, item in enumerate(listed)]
        found = self.answer(checked, Clock(), prompt_name=prompt_name, prompt=prompt, normalize=normalize)
        return found[0] if one else found

    def parse(self, text: str) -> Any:
        """A text, or a query with documents where the line is a JSON object with its keys."""
        return ranking.parse(text)

    def table(self, items: Sequence[Any], answers: Sequence[Any]) -> Table:
        """Text, vectors and dimensions; for rankings query, document and score, best first."""
        if not any(ranking.is_ranking(item) for item in items):
            listed = zip(items, answers, strict=True)
            rows = [(texts.brief(item), str(len(found)), str(found.shape[1])) for item, found in listed]
            return Table(("text", "vectors", "dimensions"), tuple(rows))
        rows = []
        for item, answer in zip(items, answers, strict=True):
            if ranking.is_ranking(item):
                rows += ranking.rows(item, answer)
            else:
                rows.append((texts.brief(item), "", f"{len(answer)} vectors"))
        return Table(("query", "document", "score"), tuple(rows))

    def work(self, items: Sequence[Any], **parameters: Any) -> Mapping[str, float]:
        """``tokens``, and ``texts`` where there are rankings, each of which is a query and its documents."""
        self.check(parameters)
        seen = self._sides(items, parameters)
        work: dict[str, float] = {"tokens": sum(self._graphs[side].count(listed) for side, listed in seen)}
        if any(ranking.is_ranking(item) for item in items):
            work[self.noun] = sum(len(listed) for _, listed in seen)
        return work

    def feeds(self, items: Sequence[Any], **parameters: Any) -> list[dict[str, np.ndarray]]:
        """Token ids and masks of each batch, those of queries before those of documents."""
        self.check(parameters)
        return [
            feeds
            for side, listed in self._sides(items, parameters)
            for feeds in self._graphs[side].feeds(listed)
        ]

    def describe(self) -> Mapping[str, Any]:
        """Prompts, maximum lengths, what queries are filled up to, and the number of tokens that do not count."""
        filled = self._graphs[QUERY].expansion
        return {
            "prompts": self._prompts.named,
            "query_length": self._graphs[QUERY].tokenizer.max_length,
            "document_length": self._graphs[DOCUMENT].tokenizer.max_length,
            "filled_to": filled.length if filled else None,
            "skipped_tokens": len(self._projection.skipped),
        }

    def _seen(self, items: Sequence[Any], parameters: Mapping[str, Any]) -> tuple[TextGraph, list[Text]]:
        side, prefix = self._side(parameters.get("prompt_name"), parameters.get("prompt"))
        return self._graphs[side], [prefix + texts.checked(item, position=i) for i, item in enumerate(items)]

    def _prefix(self, parameters: Mapping[str, Any]) -> str:
        return self._side(parameters.get("prompt_name"), parameters.get("prompt"))[1]

    def _sides(self, items: Sequence[Any], parameters: Mapping[str, Any]) -> list[tuple[str, list[Text]]]:
        """The texts of each side as the model reads them."""
        side, prefix = self._side(parameters.get("prompt_name"), parameters.get("prompt"))
        seen: dict[str, list[Text]] = {QUERY: [], DOCUMENT: []}
        for position, item in enumerate(items):
            if ranking.is_ranking(item):
                query, documents = ranking.read(item, position=position)
                seen[QUERY].append(self._prompts.named[QUERY] + query)
                seen[DOCUMENT] += [self._prompts.named[DOCUMENT] + document for document in documents]
            else:
                seen[side].append(prefix + texts.checked(item, position=position))
        return list(seen.items())

    def _side(self, prompt_name: str | None, prompt: str | None) -> tuple[str, str]:
        found = self._prompts.find(prompt_name or DOCUMENT, prompt)
        return (QUERY if prompt_name == QUERY else DOCUMENT), found

    def _scores(
        self, asked: Mapping[int, tuple[str, list[str]]], clock: Clock, *, normalize: bool | None
    ) -> dict[int, list[float]]:
        """Scores of each ranking's documents; the vectors of a document are let go of once it has its score."""
        queries = [self._prompts.named[QUERY] + query for query, _ in asked.values()]
        vectors = dict(self._embed(QUERY, queries, clock, normalize=normalize))
        scores = {position: [0.0] * len(documents) for position, (_, documents) in asked.items()}
        owners = [
            (ranked, position, place)
            for ranked, (position, (_, documents)) in enumerate(asked.items())
            for place in range(len(documents))
        ]
        marker = self._prompts.named[DOCUMENT]
        every = [marker + document for _, documents in asked.values() for document in documents]
        for place, document in self._embed(DOCUMENT, every, clock, normalize=normalize):
            ranked, position, row = owners[place]
            scores[position][row] = self._score(vectors[ranked], document)
        return scores

    def _score(self, query: layers.Floats, document: layers.Floats) -> float:
        score = (query @ document.T).max(axis=1).sum().item() if len(document) else _NOTHING
        return score / max(len(query), 1) if self._mean else score

    def _embed(
        self, side: str, listed: Sequence[str], clock: Clock, *, normalize: bool | None
    ) -> Iterator[tuple[int, layers.Floats]]:
        """The place of each text and the vectors of its tokens that count, batch by batch."""
        for batch in self._graphs[side].run(listed, clock, [self._output]):
            found = self._counting(batch, side)
            joined = np.concatenate(found)
            for kind, step in self._projection.steps:
                if kind == "Normalize":
                    joined = joined if normalize is False else step(joined)
                elif not self._projected:
                    joined = step(joined)
            if normalize:
                joined = layers.unit(joined)
            ends = np.cumsum([len(vectors) for vectors in found])[:-1]
            yield from zip(batch.rows, np.split(joined, ends), strict=True)

    def _counting(self, batch: Batch, side: str) -> list[layers.Floats]:
        """Each text's token vectors that count."""
        outputs = batch.outputs[self._output].astype(np.float32, copy=False)
        skipped = self._skipped[side]
        found = []
        for row, (start, stop) in enumerate(batch.spans):
            ids = batch.ids[row, start:stop]
            counts = ~np.isin(ids, skipped)
            if side == DOCUMENT and len(self._kept):
                counts &= np.isin(ids, self._kept)
            found.append(outputs[row, start:stop][counts])
        return found


def _output(artifact: Artifact, session: Session) -> Any:
    named = {spec.name: spec for spec in session.outputs if len(spec.shape) == 3}
    found = next((named[name] for name in _OUTPUTS if name in named), next(iter(named.values()), None))
    if found is None:
        raise layers.unsupported(artifact, "no output of token vectors")
    return found


def _expansion(artifact: Artifact, graph: TextGraph, filling: multi_vector.Filling) -> Expansion:
    named = filling.token
    found: int | None = graph.tokenizer.backend.token_to_id(named) if named else None
    for part, usual in (special_tokens.MASK, ("eos_token", ())) if not named else ():
        token = special_tokens.find(artifact, graph.tokenizer, part, usual)
        found = token[1] if found is None and token else found
    if found is None:
        raise layers.unsupported(artifact, "queries to be filled up with a token that its vocabulary lacks")
    return Expansion(found, filling.length, filling.attend)


def _skipped(artifact: Artifact, graph: TextGraph, words: Sequence[str]) -> list[int]:
    """Ids of the words that are single tokens; the others come to the unknown token, which must count."""
    unknown = special_tokens.find(artifact, graph.tokenizer, *special_tokens.UNKNOWN)
    found = {word: graph.tokenizer.backend.token_to_id(word) for word in words}
    return [
        index
        for word, index in found.items()
        if index is not None and (unknown is None or (word, index) == unknown or index != unknown[1])
    ]
