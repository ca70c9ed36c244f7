"""Open graphs of a model → the decoder over them; knows which components make which kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gpux.errors import UnsupportedModel
from gpux.generation.batching import Table
from gpux.generation.causal import CausalDecoder, Graph
from gpux.generation.decoder import Decoder
from gpux.generation.encoder_decoder import EncoderDecoder
from gpux.generation.settings import GenerationSettings


def decoder(graphs: Mapping[str, Graph], *, limit: int, settings: GenerationSettings) -> Decoder:
    """A decoder that has read nothing yet.

    Args:
        graphs: Component → open graph.
        limit: Tokens that a row can come to.
        settings: The model's own settings: what an answer begins with.

    Raises:
        UnsupportedModel: The components make no decoder.
    """
    if set(graphs) == {"model"}:
        return CausalDecoder(graphs["model"], limit=limit)
    if set(graphs) == {"encoder", "decoder"}:
        start = next(
            (t for t in (settings.decoder_start_token_id, settings.bos_token_id) if t is not None), None
        )
        return EncoderDecoder(graphs["encoder"], graphs["decoder"], limit=limit, start=start)
    raise UnsupportedModel(
        f"nothing that writes has the components {', '.join(graphs)}",
        hint="pull the model again with --force",
    )


def sharing(make: Callable[[], Decoder]) -> Callable[[], Decoder]:
    """What makes decoders over the same graphs, for conversations that go on at once: their steps are one run where that can be."""

    def row_by_row() -> CausalDecoder:
        made = make()
        assert type(made) is CausalDecoder  # noqa: S101 - as the first was
        return made

    return Table(row_by_row).seat if type(make()) is CausalDecoder else make
