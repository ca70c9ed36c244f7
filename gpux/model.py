"""The object that users hold: an artifact, a plan, an open session and a task, callable, closable and picklable."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Unpack

from gpux.artifact import Artifact
from gpux.errors import InvalidInput, UnknownTask
from gpux.pipelines.pipeline import Clock, Pipeline
from gpux.planning import Plan, Request
from gpux.provider import Placement
from gpux.session import Session

if TYPE_CHECKING:
    from gpux.bench.report import Report
    from gpux.bench.settings import Measuring


class Model:
    """A model that answers its task; made by :func:`gpux.load`.

    Safe to call from several threads. A context manager. Pickled by reference: a worker process opens it again.

    Attributes:
        artifact: The stored model.
        request: What was asked for when it was loaded.
        plan: What was chosen, and everything that was not.
        session: The open graph: tensors in, tensors out.
        pipeline: The task.
        timings: Seconds that loading took, by part; ``open`` holds the runtime's own compilation or engine build.
        preparation: Seconds that pulling took, by step; empty where the model was stored already.
    """

    def __init__(
        self,
        artifact: Artifact,
        request: Request,
        plan: Plan,
        session: Session,
        pipeline: Pipeline,
        *,
        task: str,
        timings: dict[str, float],
        preparation: dict[str, float] | None = None,
    ) -> None:
        self.artifact = artifact
        self.request = request
        self.plan = plan
        self.session = session
        self.pipeline = pipeline
        self.task = task
        self.timings = timings
        self.preparation = preparation or {}

    @property
    def placement(self) -> Placement:
        """Which nodes run where, and in which precision."""
        return self.session.placement

    def __call__(self, inputs: Any, **parameters: Any) -> Any:
        """Answer one item, or a list of them in order, as the transformers pipeline of this task would.

        Raises:
            InvalidInput: An item or a parameter that the task cannot take.
        """
        return self.timed(inputs, **parameters)[0]

    def timed(self, inputs: Any, **parameters: Any) -> tuple[Any, dict[str, float]]:
        """The answer, and the seconds spent in ``preprocess``, ``infer`` and ``postprocess``."""
        self.pipeline.check(parameters)
        clock = Clock()
        if self.pipeline.is_item(inputs):
            return self.pipeline.answer_alone(inputs, clock, **parameters), clock.seconds
        return self.pipeline.answer(list(inputs), clock, **parameters), clock.seconds

    def stream(
        self, items: Any, *, window: int | None = None, fail_fast: bool = True, **parameters: Any
    ) -> Iterator[Any]:
        """Answers for any number of items, in order, with bounded memory: generators in, a generator out.

        Of a model that writes, one item gives the pieces of its answer as they come; the iterator ends within one step where
        nobody listens any more, and returns the whole answer.

        Args:
            items: The items, taken as they are needed. One that is a ``GpuxError`` stands for an item that could not be read.
            window: Items that are held at once; as many as suit the task when ``None``.
            fail_fast: Whether the first item that fails ends the stream with its error. Otherwise a :class:`gpux.Failed` stands
                in its place, and the rest goes on.
            **parameters: Those of the task.

        Raises:
            InvalidInput: An item or a parameter that the task cannot take; ``position`` counts from the stream's first item.
            RunFailed: The runtime failed, which is no fault of an item.
        """
        if self.pipeline.emits and self.pipeline.is_item(items):
            return self.emit(items, **parameters)
        return self.pipeline.stream(items, window=window, fail_fast=fail_fast, **parameters)

    def emit(self, item: Any, **parameters: Any) -> Iterator[Any]:
        """The pieces of one answer, one for each token that is written; its text may be empty. See :meth:`stream`.

        Raises:
            UnknownTask: The model's task answers at once.
            InvalidInput: The item or a parameter cannot be taken.
            RunFailed: The runtime failed; the pieces before that stand.
        """
        self.pipeline.check(parameters)
        return self._writing("emit")(item, **parameters)  # type: ignore[no-any-return]

    def generate(self, inputs: Any, **parameters: Any) -> Any:
        """Write the answer to a prompt, or to each of a list, with everything that is known of it.

        Args:
            inputs: One item of the task or a list: a text, a list of messages.
            **parameters: The fields of :class:`gpux.generation.settings.GenerationSettings`, and the task's own.

        Returns:
            :class:`gpux.Generated`, or a list of them; with ``num_return_sequences`` a list for each prompt.

        Raises:
            UnknownTask: The model's task answers at once.
            InvalidInput: An item or a parameter cannot be taken.
            RunFailed: The runtime failed.
        """
        write = self._writing("write")
        alone = self.pipeline.is_item(inputs)
        self.pipeline.check(parameters)
        found = write([inputs] if alone else list(inputs), **parameters)
        whole = found if (parameters.get("num_return_sequences") or 1) > 1 else [each[0] for each in found]
        return whole[0] if alone else whole

    def chat(self, messages: Sequence[Mapping[str, Any]], **parameters: Any) -> Any:
        """The answer to a conversation, by the model's chat template: :meth:`generate` for a list of messages.

        Args:
            messages: ``{"role": "user", "content": "…"}`` and the like, the last one to be answered.
            **parameters: As for :meth:`generate`.

        Raises:
            InvalidInput: The messages are none, the model has no chat template, or it refuses them.
        """
        messages = list(messages)
        if not self.pipeline.is_item(messages):
            raise InvalidInput(
                "a conversation is a list of messages",
                hint='model.chat([{"role": "user", "content": "Hello"}])',
            )
        return self.generate(messages, **parameters)

    def _writing(self, method: str) -> Any:
        if not self.pipeline.emits:
            raise UnknownTask(
                f"`{self.artifact.reference}` answers {self.task}, and writes nothing",
                hint="call the model itself: model(...)",
                task=self.task,
            )
        return getattr(self.pipeline, method)

    def encode(
        self,
        inputs: Any,
        *,
        prompt_name: str | None = None,
        prompt: str | None = None,
        normalize: bool | None = None,
        truncate_dim: int | None = None,
    ) -> Any:
        """Embeddings, as sentence-transformers' ``encode`` gives them.

        Args:
            inputs: One item of the task or a list: texts, or pictures and recordings where the task embeds those.
            prompt_name: The name of a prompt from the model's own configuration.
            prompt: A text put before every text; wins over ``prompt_name``.
            normalize: Scale to unit length; as the model's own modules say when ``None``.
            truncate_dim: Keep only so many leading dimensions.

        Returns:
            float32 [dimensions] for one item, [items, dimensions] for a list. Of a late-interaction model, which has a vector
            for each token: float32 [tokens, dimensions], and a list of those for a list.

        Raises:
            UnknownTask: The model's task has no embeddings.
        """
        encode = getattr(self.pipeline, "encode", None)
        if encode is None:
            raise UnknownTask(
                f"`{self.artifact.reference}` answers {self.task}, which has no embeddings",
                hint="call the model itself: model(...)",
                task=self.task,
            )
        return encode(
            inputs, prompt_name=prompt_name, prompt=prompt, normalize=normalize, truncate_dim=truncate_dim
        )

    def rank(
        self,
        query: str,
        documents: Iterable[str],
        top_k: int | None = None,
        *,
        return_documents: bool = False,
    ) -> list[dict[str, Any]]:
        """Documents by how well they answer a query, as sentence-transformers' ``CrossEncoder.rank`` gives them.

        Args:
            query: The query.
            documents: The documents.
            top_k: That many of them, best first; all when ``None``.
            return_documents: Whether each document's text stands beside its score.

        Returns:
            Per document ``{"corpus_id": its place in the list, "score": float}``, and its ``text`` where that is asked for.

        Raises:
            UnknownTask: The model's task ranks nothing.
        """
        rank = getattr(self.pipeline, "rank", None)
        if rank is None:
            raise UnknownTask(
                f"`{self.artifact.reference}` answers {self.task}, which ranks nothing",
                hint="pull a model for text-ranking or late-interaction",
                task=self.task,
            )
        ranked: list[dict[str, Any]] = rank(query, documents, top_k=top_k, return_documents=return_documents)
        return ranked

    def benchmark(self, inputs: Any = None, **settings: Unpack[Measuring]) -> Report:
        """Measure this model in this process; settings and errors as for :func:`gpux.benchmark`."""
        import gpux

        return gpux.benchmark(self, inputs, **settings)

    def close(self) -> None:
        """Let go of the runtime's memory."""
        self.pipeline.close()
        self.session.close()

    def __enter__(self) -> Model:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self.artifact, self.request, self.task)

    def __repr__(self) -> str:
        return f"<gpux.Model {self.artifact.reference} {self.task} on {self.placement}>"


def _reopen(artifact: Artifact, request: Request, task: str) -> Model:
    import gpux

    return gpux.load(
        artifact,
        provider=request.provider,
        variant=request.variant,
        task=task,
        threads=request.threads,
        strict=request.strict,
        quality=request.quality,
        options=request.options,
        batch=request.batch,
    )
