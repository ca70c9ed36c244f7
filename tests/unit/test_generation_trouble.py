"""Bad luck while an answer is written: it ends within one step, what was written stays, and the error says where."""

import subprocess
import sys
from pathlib import Path

import pytest
import tiny_tokenizers
from chain_decoder import VOCABULARY, ChainDecoder, scores

from gpux.errors import InvalidInput, RunFailed
from gpux.generation.loop import CANCELLED, FAILED, Answering
from gpux.generation.settings import GenerationSettings

SETTINGS = GenerationSettings(max_new_tokens=20)
PROMPT = [5, 9, 3]


def answering(decoder, prompts=(PROMPT,), settings=SETTINGS, **more):
    return Answering(decoder, prompts, settings, tiny_tokenizers.byte_level(), **more)


def chain(prompt, count):
    tokens = list(prompt)
    for _ in range(count):
        tokens.append(int(scores(tokens).argmax()))
    return tuple(tokens[len(prompt) :])


def test_who_stops_to_listen_pays_for_no_further_step():
    decoder = ChainDecoder()
    pieces = iter(answering(decoder))
    for _ in range(4):
        next(pieces)
    pieces.close()
    assert decoder.calls == [("prefill", 3), *[("step", 1)] * 3]


def test_who_has_left_is_noticed_before_the_next_step():
    decoder, left = ChainDecoder(), []
    work = answering(decoder, cancelled=lambda: bool(left))
    for count, _ in enumerate(work, 1):
        if count == 5:
            left.append(True)
    (found,) = work.answers()
    assert found.finish_reason == CANCELLED
    assert found.tokens == chain(PROMPT, 5)
    assert len(decoder.calls) == 5


def test_a_long_prompt_is_read_in_parts_and_who_leaves_between_them_waits_for_one():
    prompt = [place % VOCABULARY for place in range(90)]
    decoder = ChainDecoder(part=20)
    whole = answering(decoder, [prompt])
    list(whole)
    assert decoder.calls[:5] == [("prefill", 20), *[("extend", 20)] * 3, ("extend", 10)]
    assert whole.answers()[0].tokens == chain(prompt, 20)
    decoder = ChainDecoder(part=20)
    work = answering(decoder, [prompt], cancelled=lambda: len(decoder.calls) >= 2)
    assert not list(work)
    assert decoder.calls == [("prefill", 20), ("extend", 20)]
    (found,) = work.answers()
    assert (found.tokens, found.finish_reason, found.prompt_tokens) == ((), CANCELLED, 90)


def test_of_a_prompt_that_goes_on_only_the_last_scores_are_asked_for():
    decoder, asked = ChainDecoder(), []
    decoder.prefill([PROMPT])
    decoder.calls.clear()
    extend = decoder.extend
    decoder.extend = lambda tokens, *, every=True: asked.append(every) or extend(tokens, every=every)
    work = answering(decoder, [[*PROMPT, 7, 8]])
    list(work)
    assert asked == [False]
    assert work.answers()[0].timings["reused"] == 3
    assert work.answers()[0].tokens == chain([*PROMPT, 7, 8], 20)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RunFailed("the CPU failed: no room", hint="close programs"), "no room"),
        (MemoryError(), "not enough memory"),
    ],
)
def test_what_was_written_before_the_memory_was_full_stays(error, said):
    work = answering(ChainDecoder(fails=8, error=error))
    pieces = []
    with pytest.raises(RunFailed, match=f"{said}.* at token 8 of the answer") as caught:
        pieces += list(iter_into(work, pieces))
    assert [token for piece in pieces for token in piece.tokens] == list(chain(PROMPT, 7))
    (found,) = work.answers()
    assert (found.tokens, found.finish_reason) == (chain(PROMPT, 7), FAILED)
    assert caught.value.details["token"] == 8
    assert caught.value.details["partial"] == [found.text]
    assert caught.value.hint


def iter_into(work, pieces):
    for piece in work:
        pieces.append(piece)
        yield from ()


def test_a_prompt_that_finds_no_room_says_so():
    with pytest.raises(RunFailed, match="while the prompt was read"):
        list(answering(ChainDecoder(fails=1, error=MemoryError())))


def test_settings_that_forbid_everything_are_no_failure_of_the_runtime():
    settings = GenerationSettings(max_new_tokens=3, suppress_tokens=tuple(range(VOCABULARY)))
    with pytest.raises(InvalidInput, match="forbid"):
        list(answering(ChainDecoder(), settings=settings))


def test_a_stop_text_inside_a_character_of_several_tokens_is_found_when_it_is_whole():
    backend = tiny_tokenizers.byte_level()
    spoken = backend.encode("wörld 🙂 fox", add_special_tokens=False).ids
    size = backend.get_vocab_size()
    told = []
    decoder = ChainDecoder(vocabulary=size)

    def say(_):
        found = scores([0], vocabulary=size)
        found[spoken[len(told)]] = 100
        told.append(1)
        return found

    decoder._scores = say
    work = answering(decoder, settings=GenerationSettings(max_new_tokens=len(spoken), stop=("🙂",)))
    pieces = list(work)
    assert "".join(pieces) == "wörld "
    assert not any("\ufffd" in piece for piece in pieces)
    assert work.answers()[0].finish_reason == "stop"


FULL = """
import resource, sys
from pathlib import Path
import tiny_tokenizers
from decoder_graphs import decoder
from gpux.binding import Bindable
from gpux.discovery import discover
from gpux.errors import RunFailed
from gpux.generation.causal import CausalDecoder
from gpux.generation.loop import Answering
from gpux.generation.settings import GenerationSettings
from gpux.provider import Options

class Old(CausalDecoder):
    '''One that has read very much already.'''
    def prefill(self, rows):
        found = super().prefill(rows)
        self.hold(ROOM)
        self.lengths = [ROOM - 5]
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + (40 << 20), resource.RLIM_INFINITY))
        return found

ROOM = 1 << 18
opened = discover()["cpu"].open(decoder(Path(sys.argv[1])), Options(threads=1))
old = Old(Bindable(opened), limit=1 << 22)
work = Answering(old, [[1, 2, 3]], GenerationSettings(max_new_tokens=50), tiny_tokenizers.byte_level())
try:
    for piece in work:
        print(piece.tokens, flush=True)
except RunFailed as error:
    print(error.message, error.details["token"])
old.close()
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(CausalDecoder(Bindable(opened), limit=100).prefill([[1, 2]]).shape)
"""


@pytest.mark.skipif(
    not Path("/proc/self/statm").exists(), reason="this system tells no process's address space"
)
def test_a_buffer_that_cannot_grow_ends_the_answer_where_it_is(tmp_path):
    folders = f"import sys; sys.path[:0] = {[str(Path(__file__).parent), str(Path(__file__).parents[1])]!r}\n"
    found = subprocess.run(
        [sys.executable, "-c", folders + FULL, str(tmp_path / "graph.onnx")],
        capture_output=True,
        text=True,
        check=False,
    )
    *pieces, message, shape = found.stdout.splitlines() or [found.stderr, ""]
    assert message == "there is not enough memory, at token 7 of the answer 7", found.stderr
    assert len(pieces) == 6
    assert shape == "(1, 23)"  # the graph is whole
