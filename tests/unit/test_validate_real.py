"""Cells with real weights: names of tensors, texts of mails, and what answers are held to."""

from __future__ import annotations

import numpy as np
import pytest
import validate_answers
from families import efficientnet_lite, expectations, find, mails
from validate_cell import Cell, table


@pytest.mark.parametrize(
    ("stored", "named"),
    [
        # What timm 1.0.31 calls the tensor of the same shape at the same place of its state dictionary.
        ("_conv_stem.weight", "conv_stem.weight"),
        ("_bn0.running_var", "bn1.running_var"),
        ("_blocks.0._depthwise_conv.weight", "blocks.0.0.conv_dw.weight"),
        ("_blocks.0._project_conv.weight", "blocks.0.0.conv_pw.weight"),
        ("_blocks.0._bn2.bias", "blocks.0.0.bn2.bias"),
        ("_blocks.1._expand_conv.weight", "blocks.1.0.conv_pw.weight"),
        ("_blocks.1._bn0.running_mean", "blocks.1.0.bn1.running_mean"),
        ("_blocks.1._depthwise_conv.weight", "blocks.1.0.conv_dw.weight"),
        ("_blocks.2._project_conv.weight", "blocks.1.1.conv_pwl.weight"),
        ("_blocks.2._bn2.weight", "blocks.1.1.bn3.weight"),
        ("_blocks.15._bn1.num_batches_tracked", "blocks.6.0.bn2.num_batches_tracked"),
        ("_conv_head.weight", "conv_head.weight"),
        ("_bn1.weight", "bn2.weight"),
        ("_fc.bias", "classifier.bias"),
    ],
)
def test_every_tensor_of_efficientnet_lite_has_timm_s_name(stored, named):
    assert efficientnet_lite.name(stored) == named


@pytest.mark.parametrize(
    "stored", ["_blocks.16._bn1.weight", "_blocks.0._expand_conv.weight", "_swish.weight"]
)
def test_a_tensor_that_the_architecture_has_not_is_no_name(stored):
    with pytest.raises((KeyError, IndexError)):
        efficientnet_lite.name(stored)


def test_a_mail_is_its_subject_and_the_text_of_its_body():
    plain = "From: a@example.org\nSubject: Hello\nX-Spam: yes\n\nGood  morning,\nAda\n"
    assert mails.read(plain) == "Hello Good morning, Ada"
    quoted = (
        "Subject: Buy\nContent-Type: text/html\nContent-Transfer-Encoding: quoted-printable\n\n"
        "<html><style>p {}</style><!-- x --><p>Caf=E9 &amp; more</p></html>"
    )
    assert mails.read(quoted) == "Buy Café & more"
    both = (
        'Subject: Two\nContent-Type: multipart/alternative; boundary="b"\n\n--b\nContent-Type: text/plain\n\nplain\n'
        "--b\nContent-Type: text/html\n\n<b>marked</b>\n--b--\n"
    )
    assert mails.read(both) == "Two plain"


def test_no_mail_is_both_fitted_and_held_out():
    given = [mails.Mail(f"mail {index % 2800}", int(index % 3 == 0)) for index in range(5600)]
    fitted, held = mails.split(given)
    assert (len(fitted), len(held)) == (mails.FITTED, mails.HELD_OUT)
    assert not {mail.text for mail in fitted} & {mail.text for mail in held}
    assert mails.split(given) == (fitted, held)


def test_labels_are_held_to_the_right_ones_and_counted_against_pytorch_s():
    right = ["ham"] * 60 + ["spam"] * 40
    given = ["spam"] * 10 + right[10:]
    found = expectations.judge(given, right, right)
    assert found.problem is None
    assert found.told == "accuracy 0.9 on 100 held-out mails, PyTorch 1; 10 labels differ"
    assert "0.6 of the held-out mails" in (expectations.judge(["ham"] * 100, right, right).problem or "")


def _pictured(*best: str):
    labels = [[{"label": label, "score": 0.5}, {"label": "daisy", "score": 0.1}] for label in best]
    return validate_answers.flatten(labels)


def test_photographs_show_what_they_show():
    found = expectations.check("photographs", _pictured("palace", "daisy"), _pictured("palace", "daisy"))
    assert found.problem is None
    assert found.told == "china.jpg: palace, daisy; flower.jpg: daisy, daisy"
    wrong = expectations.check("photographs", _pictured("palace", "bee"), _pictured("palace", "daisy"))
    assert wrong.problem == "flower.jpg is said to be a bee"
    short = expectations.check("photographs", _pictured("palace"), _pictured("palace", "daisy"))
    assert short.problem


def test_sentences_come_in_their_order_of_likeness():
    angles = np.array([[0.0, 0.1, 0.5, 1.5]] * len(expectations.ORDERED))

    def answers():
        return validate_answers.flatten(np.stack([np.cos(angles), np.sin(angles)], -1).reshape(-1, 2))

    assert len(expectations.sentences()) == angles.size
    assert expectations.check("order", answers(), answers()).problem is None
    angles[2] = [0.0, 0.5, 0.1, 1.5]
    wrong = expectations.check("order", answers(), answers())
    assert "Paris is the capital" in (wrong.problem or "")
    assert wrong.told.startswith("5 of 6 groups")


def test_the_table_tells_what_real_weights_answer():
    cell = Cell.of(find("minilm-spam"), fast=True, exporter=None)
    assert (cell.weights, cell.shape) == ("real", "published")
    cell.providers = {"cpu": {"quality": "exact", "checked": "accuracy 0.96 on 300 held-out mails"}}
    text = table([cell], {"date": "2026-11-26", "machine": "two cores", "versions": {}})
    assert "| minilm-spam | transformers | cpu | accuracy 0.96 on 300 held-out mails |" in text
    assert "trained here | text-classification | real |" in text
