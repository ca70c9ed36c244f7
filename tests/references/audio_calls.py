"""What the tiny models of sound are asked: call → parameters, for the pipelines and for GPUX alike."""

CHUNKS = {"chunk_length_s": 1.0, "stride_length_s": [0.2, 0.1]}
SPOKEN = {
    "plain": {},
    "characters": {"return_timestamps": "char"},
    "words": {"return_timestamps": "word"},
    "chunks": {**CHUNKS, "return_timestamps": "word"},
    "a sixth": {"chunk_length_s": 0.7},
}
SOUNDS = {
    "plain": {},
    "two": {"top_k": 2},
    "more than there are": {"top_k": 99},
    "sigmoid": {"function_to_apply": "sigmoid"},
    "none": {"function_to_apply": "none"},
}
ASKED = {
    "plain": {"candidate_labels": ["a dog", "rain on a roof", "a car"]},
    "template": {"candidate_labels": ["bark", "bell"], "hypothesis_template": "{} and silence"},
}
