"""What is kept between turns: the longest beginning that is exactly the same, of few conversations, each in one pair of hands."""

import threading
from contextlib import ExitStack

import pytest
from chain_decoder import ChainDecoder
from hypothesis import given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from gpux.errors import InvalidInput, RunFailed
from gpux.generation.conversations import KEPT, Conversations
from gpux.generation.speculation import common

TOKENS = st.lists(st.integers(0, 2), min_size=1, max_size=8)


class Opening:
    """Makes decoders, and knows them all."""

    def __init__(self):
        self.made = []

    def __call__(self):
        self.made.append(ChainDecoder())
        return self.made[-1]


def use(conversations, prompt, answer=()):
    """Read a prompt as the decoding loop does; how much of it was known."""
    with conversations.take([prompt]) as conversation:
        decoder = conversation.decoder
        known = decoder.lengths[0] if decoder.lengths else 0
        assert decoder.rows == ([prompt[:known]] if known else [])
        if known:
            decoder.extend(prompt[known:])
        else:
            decoder.prefill([prompt])
        if answer:
            decoder.extend(answer)
        conversation.tokens = list(decoder.rows[0])
    return known


@hypothesis(max_examples=60, deadline=None)
@given(st.lists(st.tuples(TOKENS, TOKENS), min_size=1, max_size=12))
def test_exactly_the_same_beginning_is_kept_and_nothing_else(turns):
    opening = Opening()
    conversations = Conversations(opening)
    for prompt, answer in turns:
        known = use(conversations, prompt, answer)  # which looks at what the decoder has read
        assert known < len(prompt)
        idle = [one for one in opening.made if one.rows]
        assert len(idle) <= KEPT
        assert max(common(one.rows[0], [*prompt, *answer, 0]) for one in idle) == len(prompt) + len(answer)


def test_the_next_turn_reads_only_what_is_new():
    conversations = Conversations(Opening())
    assert use(conversations, [1, 2, 3], [4, 5]) == 0
    assert use(conversations, [1, 2, 3, 4, 5, 6, 7]) == 5
    assert use(conversations, [1, 2, 3, 9]) == 3
    assert use(conversations, [1, 2, 3, 9]) == 3  # the last token is read again for its scores
    conversations.forget()
    assert use(conversations, [1, 2, 3, 9]) == 0


def test_few_are_kept_and_the_others_let_go():
    opening = Opening()
    conversations = Conversations(opening)
    with ExitStack() as stack:
        taken = [stack.enter_context(conversations.take([[number]])) for number in range(6)]
        assert len({id(one.decoder) for one in taken}) == 6
        for number, one in enumerate(taken):
            one.decoder.prefill([[number]])
            one.tokens = [number]
    assert sum(bool(one.rows) for one in opening.made) == KEPT
    assert sum(one.closed for one in opening.made) == 6 - KEPT
    conversations.close()
    assert not any(one.rows for one in opening.made)


def test_one_after_the_other_needs_no_more_than_what_is_kept():
    opening = Opening()
    conversations = Conversations(opening)
    conversations.start()
    for number in range(20):
        use(conversations, [number, 1, 2])
    assert len(opening.made) <= KEPT


def test_what_failed_is_let_go_and_what_was_asked_wrongly_is_not():
    opening = Opening()
    conversations = Conversations(opening)
    use(conversations, [1, 2, 3])
    with pytest.raises(RunFailed):
        fail(conversations, [1, 2, 3, 4], RunFailed("no memory", hint=""))
    assert opening.made[0].closed == 1
    assert use(conversations, [1, 2, 3, 4]) == 0
    with pytest.raises(InvalidInput):
        fail(conversations, [1, 2, 3, 4], InvalidInput("no such setting", hint=""))
    assert use(conversations, [1, 2, 3, 4]) == 3


def fail(conversations, prompt, error):
    with conversations.take([prompt]) as conversation:
        conversation.tokens = prompt[:-1]
        raise error


def test_closing_tells_whoever_writes_and_keeps_nothing_of_it():
    opening = Opening()
    conversations = Conversations(opening)
    with conversations.take([[1]]) as conversation:
        conversation.decoder.prefill([[1]])
        conversation.check()
        conversations.close()
        with pytest.raises(RunFailed, match="closed"):
            conversation.check()
        conversation.tokens = [1]
    assert opening.made[0].closed == 1
    assert use(conversations, [1, 2]) == 0


def test_threads_never_share_a_decoder():
    conversations = Conversations(Opening())
    wrong = []

    def work(number):
        for turn in range(60):
            prompt = [turn % 3, number % 2, turn % 5]
            with conversations.take([prompt]) as conversation:
                decoder = conversation.decoder
                if getattr(decoder, "used", None):
                    wrong.append((number, turn))
                decoder.used = True
                decoder.prefill([prompt])
                if decoder.rows != [prompt]:
                    wrong.append((number, turn))
                conversation.tokens = prompt
                decoder.used = False

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
