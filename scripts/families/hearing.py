"""Families that write down speech with a decoder."""

from __future__ import annotations

from families.record import Family

FAMILIES = (
    Family(
        name="whisper-tiny.en", title="Whisper", like="openai/whisper-tiny.en", task="automatic-speech-recognition",
        architecture="WhisperForConditionalGeneration", made="whisper_tiny_en", exact=True,
        # The pipeline's own default is five beams; the model's files ask for none.
        items="librivox", parameters={"return_timestamps": "word", "num_beams": 1}, expects="librivox",
    ),
)  # fmt: skip
