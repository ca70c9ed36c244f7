"""Language models pulled and run: every answer is transformers', token for token, alone, in batches, in pieces and in chats."""

from __future__ import annotations

import json
import pickle
import threading
from pathlib import Path

import models
import pytest
from references.writers import CALLS, CHAT, PROMPTS

import gpux
from gpux.errors import ArtifactNotFound, InvalidInput, RunFailed, UnknownTask, UnsupportedModel
from gpux.text.chat import ChatTemplate

NAMES = ("llama", "gpt2", "bloom")
LENGTH = {"max_new_tokens": 12}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return models.tiny_writers(tmp_path_factory.getbasetemp() / "tiny-writers")


@pytest.fixture(scope="module")
def answers(folder):
    return json.loads((folder / "answers.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def loaded(folder, store):
    found = {name: gpux.load(str(folder / name), provider="cpu") for name in NAMES}
    yield found
    for model in found.values():
        model.close()


@pytest.mark.parametrize("name", NAMES)
def test_the_proof_is_of_prompts_and_of_answers(loaded, name):
    certificate = loaded[name].artifact.certificate
    assert certificate.quality == "exact"
    assert [output.name for output in certificate.outputs] == ["prefill", "decode"]
    assert all(output.top1 == 1.0 and output.max_rel < 1e-4 for output in certificate.outputs)
    assert any("and" in probe for probe in certificate.probes)  # rows of different lengths


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("name", NAMES)
def test_answers_are_those_of_transformers(loaded, answers, name, call):
    several = CALLS[call].get("num_return_sequences", 1) > 1
    found = loaded[name].generate(PROMPTS, **LENGTH, **CALLS[call])
    each = found if several else [[one] for one in found]
    for got, want in zip(each, answers[name][call], strict=True):
        assert [list(one.tokens) for one in got] == [one["tokens"] for one in want]
        assert [one.text for one in got] == [one["text"] for one in want]


@pytest.mark.parametrize("name", NAMES)
def test_an_answer_alone_is_that_of_the_batch(loaded, answers, name):
    for prompt, want in zip(PROMPTS, answers[name]["greedy"], strict=True):
        assert list(loaded[name].generate(prompt, **LENGTH).tokens) == want[0]["tokens"]


@pytest.mark.parametrize("name", NAMES)
def test_a_conversation_follows_the_template(loaded, answers, name):
    assert list(loaded[name].chat(CHAT, **LENGTH).tokens) == answers[name]["chat"][0][0]["tokens"]


def test_the_pipeline_gives_the_prompt_or_the_conversation_with_the_answer(loaded, answers):
    model = loaded["llama"]
    text = answers["llama"]["greedy"][0][0]["text"]
    assert model(PROMPTS[0], **LENGTH) == [{"generated_text": PROMPTS[0] + text}]
    assert model(PROMPTS[0], return_full_text=False, **LENGTH) == [{"generated_text": text}]
    (told,) = model(CHAT, **LENGTH)
    last = {"role": "assistant", "content": answers["llama"]["chat"][0][0]["text"]}
    assert told["generated_text"] == [*CHAT, last]


@pytest.mark.parametrize("name", NAMES)
def test_pieces_make_the_answer_and_end_when_nobody_listens(loaded, answers, name):
    model = loaded[name]
    want = answers[name]["greedy"][2][0]
    pieces = list(model.stream(PROMPTS[2], **LENGTH))
    assert "".join(pieces) == want["text"]
    assert [token for piece in pieces for token in piece.tokens] == want["tokens"]
    stream = model.stream(PROMPTS[2], max_new_tokens=100)
    next(stream)
    stream.close()
    assert list(model.generate(PROMPTS[2], **LENGTH).tokens) == want["tokens"]


@pytest.mark.parametrize("name", NAMES)
def test_what_was_read_before_is_not_read_again(loaded, name):
    model = loaded[name]
    first = model.generate(PROMPTS[2], **LENGTH)
    longer = f"{PROMPTS[2]}{first.text[:3]} and then some"
    again = model.generate(longer, **LENGTH)
    assert again.timings["reused"] > 5
    model.pipeline.close()
    fresh = model.generate(longer, **LENGTH)
    assert fresh.timings["reused"] == 0
    assert fresh.tokens == again.tokens


@pytest.mark.parametrize("name", NAMES)
def test_guessing_ahead_changes_nothing(loaded, answers, name):
    model = loaded[name]
    prompt = f"{PROMPTS[0]}, {PROMPTS[0]}, {PROMPTS[0]}"
    plain = model.generate(prompt, max_new_tokens=30)
    guessed = model.generate(prompt, max_new_tokens=30, prompt_lookup=6)
    assert guessed.tokens == plain.tokens
    assert guessed.timings["proposed"] > 0
    drawn = [
        model.generate(prompt, max_new_tokens=20, temperature=1.5, seed=3, prompt_lookup=size).tokens
        for size in (0, 6)
    ]
    assert drawn[0] == drawn[1]


def test_a_seed_repeats_and_another_does_not(loaded):
    def draw(seed):
        return loaded["llama"].generate(PROMPTS[:2], temperature=2.0, seed=seed, **LENGTH)

    assert [one.tokens for one in draw(1)] == [one.tokens for one in draw(1)]
    assert [one.tokens for one in draw(1)] != [one.tokens for one in draw(2)]


def test_two_at_once_do_not_see_each_other(loaded, answers):
    model = loaded["llama"]
    found = {}

    def ask(number):
        found[number] = [list(model.generate(PROMPTS[number % 3], **LENGTH).tokens) for _ in range(6)]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(4):
        assert found[number] == [answers["llama"]["greedy"][number % 3][0]["tokens"]] * 6


def test_stops_and_log_probabilities(loaded, answers):
    model = loaded["gpt2"]
    want = answers["gpt2"]["greedy"][0][0]
    middle = want["text"][3:5]
    stopped = model.generate(PROMPTS[0], stop=middle, **LENGTH)
    assert stopped.text == want["text"][: want["text"].index(middle)]
    assert stopped.finish_reason == "stop"
    told = model.generate(PROMPTS[0], logprobs=2, **LENGTH)
    assert [one["token"] for one in told.logprobs] == want["tokens"]
    assert all(one["alternatives"][0][0] == one["token"] for one in told.logprobs)


def test_wrong_things_are_told(loaded, minilm):
    model = loaded["llama"]
    with pytest.raises(InvalidInput, match="128"):
        model.generate("the cat " * 200)
    cut = model.generate("the cat " * 200, truncate=True, max_new_tokens=4)
    assert cut.prompt_tokens <= 124
    assert len(cut.tokens) == 4
    with pytest.raises(InvalidInput, match="max_new_tokens"):
        model.generate("a", max_new_tokens=0)
    with pytest.raises(InvalidInput, match="max_new_tokens"):
        model.stream("a", max_new_tokens=0)  # at once, not with the first piece
    with pytest.raises(InvalidInput, match="temprature"):
        model.generate("a", temprature=1)
    with pytest.raises(InvalidInput, match="messages"):
        model.chat("hello")
    whole = model.generate("the cat", max_new_tokens=10_000)
    assert whole.finish_reason in {"length", "stop"}
    assert whole.prompt_tokens + len(whole.tokens) <= 128
    assert model.generate("", max_new_tokens=2).prompt_tokens == 1  # the token that texts begin with
    with gpux.load(minilm) as encoder, pytest.raises(UnknownTask, match="writes nothing"):
        encoder.generate("a")


def test_a_runtime_that_fails_leaves_what_was_written(folder):
    with gpux.load(str(folder / "llama"), provider="cpu") as model:
        stream = model.stream(PROMPTS[0], max_new_tokens=100)
        said = [next(stream) for _ in range(5)]
        model.session.close()
        with pytest.raises(RunFailed, match="closed"):
            model.generate(["another text", "and one more"])
        assert len(said) == 5


def test_a_model_that_writes_is_pickled_by_reference(loaded, answers):
    with pickle.loads(pickle.dumps(loaded["llama"])) as again:
        assert list(again.generate(PROMPTS[0], **LENGTH).tokens) == answers["llama"]["greedy"][0][0]["tokens"]


def test_a_prompt_that_is_forgotten_is_read_again(loaded):
    model = loaded["llama"]
    model.generate(PROMPTS[0], **LENGTH)
    assert model.generate(PROMPTS[0], **LENGTH).timings["reused"] > 0
    model.pipeline.forget()
    assert model.generate(PROMPTS[0], **LENGTH).timings["reused"] == 0


def test_answers_in_pieces_to_several_prompts_are_those_to_each(loaded, answers):
    tokens = {row: [] for row in range(len(PROMPTS))}
    for piece in loaded["llama"].emit(PROMPTS, **LENGTH):
        tokens[piece.row] += piece.tokens
    assert list(tokens.values()) == [want[0]["tokens"] for want in answers["llama"]["greedy"]]


@pytest.mark.parametrize("together", [1, 2])
def test_a_benchmark_counts_tokens_step_by_step(loaded, folder, together):
    model, asked = loaded["llama"], {"max_new_tokens": 8, "min_new_tokens": 8}
    report = model.benchmark(PROMPTS[:together], runs=3, warmup=1, batch_size=together, parameters=asked)
    steady, found = report.samples.steady, report.summaries
    assert steady.tokens == ((together,) * 8,) * 3
    assert found.pieces.tokens == 3 * 8 * together
    read = sum(model.generate(prompt, max_new_tokens=1).prompt_tokens for prompt in PROMPTS[:together])
    assert report.identity.workload.work["tokens"] == (read,)
    config = json.loads((folder / "llama" / "config.json").read_text())
    head = config["head_dim"]
    numbers = 2 * config["num_hidden_layers"] * config["num_key_value_heads"] * head  # keys and values
    assert report.memory.cache == 4 * numbers * (read + 8 * together)
    assert found.rates["new tokens"] == pytest.approx(found.pieces.tokens / sum(steady.seconds))


def test_a_benchmark_of_an_answer_without_end_gives_it_one(loaded):
    model = loaded["gpt2"]
    report = model.benchmark(PROMPTS[0], runs=1, warmup=0)
    assert report.settings.parameters == {"max_new_tokens": 128}
    read = model.generate(PROMPTS[0], max_new_tokens=1).prompt_tokens
    assert report.summaries.pieces.tokens <= 128 - read  # what GPT-2 has positions for


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("call", ["greedy", "beams"])
def test_the_source_model_writes_the_same_by_the_same_loop(loaded, answers, folder, name, call):
    from gpux.campaign.source_model import open_source

    with open_source(loaded[name].artifact, folder / name, task=None, threads=2) as source:
        assert source.placement.provider == "pytorch"
        found = source.generate(PROMPTS, **LENGTH, **CALLS[call])
        alone = source.generate(PROMPTS[0], **LENGTH, **CALLS[call])
    each = found if isinstance(found[0], list) else [[one] for one in found]
    for got, want in zip(each, answers[name][call], strict=True):
        assert [list(one.tokens) for one in got] == [one["tokens"] for one in want]
    first = alone if isinstance(alone, list) else [alone]
    assert [list(one.tokens) for one in first] == [one["tokens"] for one in answers[name][call][0]]


def test_a_benchmark_stands_beside_pytorch_in_a_process_of_its_own(loaded, folder):
    given = {"max_new_tokens": 6, "min_new_tokens": 6}
    suite = gpux.sweep(
        str(folder / "llama"), ["mode=torch,onnx"], [PROMPTS[0]], runs=4, warmup=1, parameters=given
    )
    assert [row.reason for row in suite.rows] == [None, None]
    torch, onnx = (row.report for row in suite.rows)
    assert torch.identity.mode == "torch"
    assert torch.samples.steady.tokens == onnx.samples.steady.tokens == ((1,) * 6,) * 4
    assert torch.identity.workload == onnx.identity.workload


@pytest.mark.parametrize(("name", "small"), [("llama", "gpt2"), ("bloom", "llama"), ("gpt2", "gpt2")])
def test_a_smaller_model_guesses_and_changes_nothing(loaded, name, small):
    model, draft = loaded[name], loaded[small].artifact.reference
    plain = model.generate(PROMPTS[2], max_new_tokens=40)
    guessed = model.generate(PROMPTS[2], max_new_tokens=40, draft=draft)
    assert guessed.tokens == plain.tokens
    assert guessed.timings["proposed"] > 0
    if name == small:
        assert guessed.timings["accepted"] == guessed.timings["proposed"]
    pieces = list(model.stream(PROMPTS[2], max_new_tokens=40, draft=draft))
    assert [token for piece in pieces for token in piece.tokens] == list(plain.tokens)
    drawn = [
        model.generate(PROMPTS[2], max_new_tokens=20, temperature=1.5, seed=3, draft=each).tokens
        for each in (None, draft)
    ]
    assert drawn[0] == drawn[1]


def test_a_smaller_model_that_cannot_guess_is_refused(loaded, minilm):
    model = loaded["llama"]
    with pytest.raises(InvalidInput, match="cannot be a draft"):
        model.generate("a", draft=minilm.reference)
    with pytest.raises(ArtifactNotFound, match="nothing-like-this"):
        model.generate("a", draft="nothing-like-this")
    with pytest.raises(InvalidInput, match="draft"):
        model.generate("a", draft=3)


def test_closing_a_model_ends_what_it_writes(folder, answers):
    model = gpux.load(str(folder / "llama"), provider="cpu")
    stream = model.stream(PROMPTS[0], max_new_tokens=100)
    said = [next(stream) for _ in range(5)]
    model.close()
    with pytest.raises(RunFailed, match="closed while it wrote, at token 6"):
        next(stream)
    assert [piece.tokens[0] for piece in said] == answers["llama"]["greedy"][0][0]["tokens"][:5]


@pytest.mark.parametrize("item", [b"\x89PNG", 7, {"image": "photo.jpg"}, None])
def test_what_is_no_text_is_refused(loaded, item):
    with pytest.raises(InvalidInput):
        loaded["llama"].generate([item], **LENGTH)
    picture = [{"role": "user", "content": [{"type": "image", "image": "photo.jpg"}]}]
    with pytest.raises((InvalidInput, UnsupportedModel)):
        loaded["llama"].chat(picture, **LENGTH)


def test_a_template_that_fails_or_is_missing_is_told_and_texts_go_on(loaded, answers):
    pipeline = loaded["llama"].pipeline
    own = pipeline.template
    wrong = {
        "{{ raise_exception('no system') }}": (InvalidInput, "no system"),
        "{% for %}": (UnsupportedModel, "template"),
        None: (InvalidInput, "no chat template"),
    }
    try:
        for template, (kind, said) in wrong.items():
            pipeline.template = template and ChatTemplate("some/model", {"default": template})
            with pytest.raises(kind, match=said) as caught:
                loaded["llama"].chat(CHAT, **LENGTH)
            assert caught.value.hint
            if template:
                pipeline.template.close()
        found = loaded["llama"].generate(PROMPTS[0], **LENGTH)
        assert list(found.tokens) == answers["llama"]["greedy"][0][0]["tokens"]
    finally:
        pipeline.template = own
