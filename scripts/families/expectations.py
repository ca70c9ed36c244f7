"""What the answers of real weights have to say: plausible classes, the right labels, sentences in their order of likeness."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from families import librivox, mails

Answers = Mapping[str, np.ndarray]
"""An answer as ``validate_answers`` takes it apart."""

ACCURATE = 0.9
"""Share of the held-out mails that a head must get right; two of three right would come from calling none spam."""

ORDERED: tuple[tuple[str, ...], ...] = (
    ("A man is playing the guitar.", "Someone plays a guitar.", "A woman sings in a choir.", "Shares fell sharply today."),
    ("The cat sleeps on the sofa.", "A kitten is napping on the couch.", "A dog runs in the park.", "Interest rates will rise."),
    ("Paris is the capital of France.", "The French capital is Paris.", "Berlin is the capital of Germany.", "She mended her bicycle."),
    ("My train to London is late.", "The train to London was delayed.", "The bus was on time.", "Tomatoes need a lot of sun."),
    ("Scientists discovered a new planet.", "Astronomers found an unknown world.", "A telescope is being repaired.", "He ordered pasta with cheese."),
    ("I forgot my password.", "How can I reset my password?", "How do I change my profile picture?", "The cake needs an hour in the oven."),
)  # fmt: skip
"""A sentence, and others from what says the same by what is about the like to what has nothing to do with it."""

PHOTOGRAPHS: Mapping[str, frozenset[str]] = {
    "china.jpg": frozenset({"palace", "monastery", "stupa, tope"}),
    "flower.jpg": frozenset({"daisy"}),
}
"""scikit-learn's photographs: the ImageNet classes of which the likeliest must be one. The first shows a hall in Beijing's
Summer Palace, the second a flower with many petals."""


CAPITALS: Mapping[str, str] = {
    "What is the capital of France?": "Paris",
    "Name the capital of Italy.": "Rome",
    "What is the capital of Japan? Answer in one short sentence.": "Tokyo",
}
"""What a language model that follows instructions is asked, and the word that its answer must have."""

GERMAN: Mapping[str, str] = {
    "translate English to German: The house is wonderful.": "Das Haus ist wunderbar.",
}
"""What a model that was taught to translate is asked, and its answer."""

HEARD = 0.1
"""Largest word error rate of clean read speech; OpenAI's paper gives tiny.en 5.6 on LibriSpeech's."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was checked and came out, in words for the table, and what is wrong with it."""

    told: str
    problem: str | None = None


def check(name: str, answers: Answers, reference: Answers) -> Finding:
    """Hold answers to what is expected.

    Args:
        name: One of the kinds of expectation.
        answers: GPUX's, on one provider.
        reference: PyTorch's.
    """
    parts, others = ({path: array.shape for path, array in one.items()} for one in (answers, reference))
    if parts != others:
        return Finding("nothing", "its answers have other parts than PyTorch's")
    return _KINDS[name](answers, reference)


def sentences() -> list[str]:
    """The sentences of :data:`ORDERED`, group by group."""
    return [sentence for group in ORDERED for sentence in group]


def _order(answers: Answers, _: Answers) -> Finding:
    vectors = answers[""].reshape(answers["#"].astype(int))
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    groups = vectors.reshape(len(ORDERED), -1, vectors.shape[1])
    likeness = np.einsum("gd,gnd->gn", groups[:, 0], groups[:, 1:])
    wrong = np.flatnonzero((np.diff(likeness, axis=1) >= 0).any(axis=1))
    told = f"{len(ORDERED) - len(wrong)} of {len(ORDERED)} groups of sentences are in their order of likeness"
    if wrong.size:
        found = ", ".join(f"{value:.2f}" for value in likeness[wrong[0]])
        return Finding(told, f"what is like “{ORDERED[wrong[0]][0]}” comes in another order: {found}")
    return Finding(told)


def _mails(answers: Answers, reference: Answers) -> Finding:
    right = [mails.LABELS[mail.label] for mail in mails.parts()[1]]
    return judge(answers["[].label"].tolist(), reference["[].label"].tolist(), right)


def judge(given: Sequence[str], reference: Sequence[str], right: Sequence[str]) -> Finding:
    """Hold labels to the right ones, and count how many are not PyTorch's."""
    accuracy, torch = (sum(map(str.__eq__, labels, right)) / len(right) for labels in (given, reference))
    other = len(right) - sum(map(str.__eq__, given, reference))
    told = (
        f"accuracy {accuracy:.4g} on {len(right)} held-out mails, PyTorch {torch:.4g}; {other} labels differ"
    )
    low = f"{accuracy:.4g} of the held-out mails are labelled right, less than {ACCURATE}"
    return Finding(told, None if accuracy >= ACCURATE else low)


def _photographs(answers: Answers, _: Answers) -> Finding:
    found = answers["[][].label"].reshape(len(PHOTOGRAPHS), -1)
    best = dict(zip(PHOTOGRAPHS, found[:, 0].tolist(), strict=True))
    # Every class has several names, of which the first tells enough.
    shown = [", ".join(label.partition(",")[0] for label in row) for row in found.tolist()]
    told = "; ".join(f"{photograph}: {row}" for photograph, row in zip(PHOTOGRAPHS, shown, strict=True))
    for photograph, label in best.items():
        if label not in PHOTOGRAPHS[photograph]:
            return Finding(told, f"{photograph} is said to be a {label}")
    return Finding(told)


def _capitals(answers: Answers, _: Answers) -> Finding:
    found = answers["[].text"].tolist()
    for (asked, wanted), text in zip(CAPITALS.items(), found, strict=True):
        if wanted not in text:
            return Finding("; ".join(found), f"asked “{asked}” it says “{text}”")
    return Finding("; ".join(found))


def _german(answers: Answers, _: Answers) -> Finding:
    found = answers["[].text"].tolist()
    for (asked, wanted), text in zip(GERMAN.items(), found, strict=True):
        if wanted != text:
            return Finding("; ".join(found), f"asked “{asked}” it says “{text}”")
    return Finding("; ".join(found))


def _librivox(answers: Answers, reference: Answers) -> Finding:
    said = list(librivox.sentences().values())
    rate, torch = (librivox.rate(said, one["[].text"].tolist()) for one in (answers, reference))
    told = f"word error rate {rate:.4g} on {len(said)} sentences of LibriVox, PyTorch {torch:.4g}"
    return Finding(told, None if rate <= HEARD else f"a word error rate of {rate:.4g} is more than {HEARD}")


_KINDS: Mapping[str, Callable[[Answers, Answers], Finding]] = {
    "order": _order,
    "mails": _mails,
    "photographs": _photographs,
    "capitals": _capitals,
    "german": _german,
    "librivox": _librivox,
}
