"""Models that read a picture with an encoder and write what is on it: captioners, and readers of lines and pages.

They are taken apart as encoder-decoders of texts are (:mod:`gpux.export.generators.encoder_decoder`), and asked about pictures of noise.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir
import torch
from transformers import GenerationConfig

from gpux.errors import UnsupportedModel
from gpux.export import probes
from gpux.export.generators import encoder_decoder
from gpux.export.generators.answers import ANSWER, probe
from gpux.export.generators.encoder_decoder import Source
from gpux.export.generators.generator import Generator

BLIP, ENCODER_DECODER = FAMILIES = ("blip", "vision-encoder-decoder")
"""``model_type`` of the models that this module can take apart."""

ROWS = (1, 3)
"""Pictures of each probe."""


class Captioner(torch.nn.Module):  # type: ignore[misc]
    """BLIP as any encoder-decoder: transformers has its two halves side by side, and no forward pass that writes.

    Attributes:
        config: That of the half that writes.
        encoder: The half that reads pictures.
        decoder: The half that writes, with its head.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.config = model.config.text_config
        self.encoder = model.vision_model
        self.decoder = model.text_decoder

    def forward(  # noqa: PLR0917 - as transformers calls it
        self,
        pixel_values: Any = None,
        encoder_outputs: Any = None,
        decoder_input_ids: Any = None,
        decoder_position_ids: Any = None,
        cache: Any = None,
        use_cache: bool = True,  # noqa: FBT001, FBT002
    ) -> Any:
        """Scores of the next token, over a picture or over what was read of it."""
        states = self.encoder(pixel_values)[0] if encoder_outputs is None else encoder_outputs[0]
        given = {} if decoder_position_ids is None else {"position_ids": decoder_position_ids}
        return self.decoder(
            input_ids=decoder_input_ids,
            encoder_hidden_states=states,
            cache=cache,
            use_cache=use_cache,
            is_decoder=True,
            **given,
        )

    def get_encoder(self) -> Any:
        """The half that reads."""
        return self.encoder

    def get_decoder(self) -> Any:
        """The half that writes."""
        return self.decoder

    def get_output_embeddings(self) -> Any:
        """Its head."""
        return self.decoder.get_output_embeddings()

    def set_attn_implementation(self, name: str) -> None:
        """How the half that writes attends."""
        self.decoder.set_attn_implementation(name)


def check(config: Any) -> None:
    """Refuse what cannot be taken apart, by its name.

    Raises:
        UnsupportedModel: It is another family.
    """
    if config.model_type not in FAMILIES:
        raise UnsupportedModel(
            f"models of type `{config.model_type}` write what is on pictures in a way that GPUX does not run yet",
            hint=f"the types that run are {', '.join(FAMILIES)}",
            architecture=config.model_type,
        )


def export(model: Any) -> dict[str, onnx_ir.Model]:
    """The graphs of a model, ``encoder`` and ``decoder``.

    Raises:
        UnsupportedModel: It is of no family that is known, or its code cannot be traced.
    """
    check(model.config)
    whole = Captioner(model).eval() if model.config.model_type == BLIP else model
    source = Source(
        {"pixel_values": torch.rand(2, *_shape(model.config))},
        {"pixel_values": {0: "batch"}},
        free=False,
    )
    return encoder_decoder.export(whole, source)


def ask(made: Generator, output: Path) -> None:
    """Write ``probes.npz``, with ``pixel_values`` float32 [rows, 3, height, width] beside what texts have, and ``reference.npz``."""
    made.clock.step("computing the reference outputs")
    check(made.model.config)
    random = np.random.default_rng(20261126)
    feeds, references = [], []
    for rows in ROWS:
        pixels = random.normal(0, 1, (rows, *_shape(made.model.config))).astype(np.float32)
        told = [_answer(made.model, torch.from_numpy(each[None])) for each in pixels]
        given = probe([prompt for prompt, _, _ in told], [tokens for _, tokens, _ in told])
        scores = np.stack([each for _, _, each in told])
        feeds.append({**given, "pixel_values": pixels})
        references.append({"prefill": scores[:, 0], "decode": scores[:, 1:]})
    probes.save(output / "probes.npz", feeds)
    probes.save(output / "reference.npz", references)


def _shape(config: Any) -> tuple[int, int, int]:
    vision = config.vision_config if config.model_type == BLIP else config.encoder
    edge = vision.image_size
    tall, wide = (edge, edge) if isinstance(edge, int) else edge
    return int(getattr(vision, "num_channels", 3)), int(tall), int(wide)


def _answer(model: Any, pixels: Any) -> tuple[list[int], list[int], np.ndarray]:
    """What a model's answer begins with, its tokens, and its scores: as of :func:`gpux.export.generators.generator.answer`."""
    plain = GenerationConfig(
        max_new_tokens=ANSWER + 1,
        do_sample=False,
        return_dict_in_generate=True,
        output_logits=True,
        pad_token_id=0,
    )
    own = model.generation_config
    with torch.inference_mode():
        if model.config.model_type == BLIP:
            start = int(model.config.text_config.bos_token_id)
            writer, before = model.text_decoder, model.text_decoder.generation_config
            writer.generation_config = GenerationConfig()
            states = model.vision_model(pixels)[0]
            found = writer.generate(
                input_ids=torch.tensor([[start]]),
                encoder_hidden_states=states,
                encoder_attention_mask=torch.ones(states.shape[:2], dtype=torch.long),
                generation_config=plain,
            )
            writer.generation_config = before
        else:
            start = int(own.decoder_start_token_id or model.config.decoder_start_token_id)
            model.generation_config = GenerationConfig(decoder_start_token_id=start)
            found = model.generate(pixel_values=pixels, generation_config=plain)
            model.generation_config = own
    tokens = found.sequences[0, -(ANSWER + 1) : -1].tolist()
    return [start], tokens, torch.cat(found.logits).to(torch.float32).numpy()
