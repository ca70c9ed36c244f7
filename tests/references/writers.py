"""What tiny language models are asked; :mod:`tiny_writers` writes down what transformers answers. Imports no framework."""

PROMPTS = ["the cat sat on the mat", "a", "one two three, four five six seven eight — naïve café 漢字"]
CHAT = [{"role": "system", "content": "be short"}, {"role": "user", "content": "hello"}]
CALLS = {
    "greedy": {},
    "penalised": {"repetition_penalty": 1.3, "no_repeat_ngram_size": 3},
    "beams": {"num_beams": 3, "num_return_sequences": 2},
    "at least": {"min_new_tokens": 10},
}
