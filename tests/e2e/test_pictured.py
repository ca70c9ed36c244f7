"""Models that read pictures and write: each component is the source model's, answers are transformers', and wrong input is told."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import version
from pathlib import Path

import models
import numpy as np
import pytest
from PIL import Image
from references.tiny_pictured import CALLS, CAPTIONERS, MODELS, NEW, SIZES, located

import gpux
from gpux.artifact import Artifact, Certificate, Component, File, Manifest, OutputParity, Source, Variant
from gpux.binding import Bindable
from gpux.discovery import discover
from gpux.errors import InvalidInput, UnknownVariant, UsageError
from gpux.export import probes
from gpux.generation.encoder_decoder import EncoderDecoder
from gpux.provider import Options, find
from gpux.registry import prover_generator, prover_pictures

EXPORTED = [name for name in MODELS if name != "llava"]
PARTS = ("vision", "embedder", "decoder")
MARKS = {name: "<|image_pad|>" if name.startswith("qwen") else "<image>" for name in MODELS}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("pictured") / "made"
    models.run("tiny_pictured.py", directory)
    return directory


@pytest.fixture(scope="module")
def answers(made):
    return json.loads((made / "answers.json").read_text(encoding="utf-8"))


def graphs(folder):
    provider = find("cpu", discover())
    found = sorted((folder / "fp32").glob("*.onnx"), key=lambda path: (*PARTS, "encoder").index(path.stem))
    order = sorted(found, key=lambda path: path.stem == "decoder")
    return {path.stem: provider.open(path, Options(threads=1)) for path in order}


def stored(folder, task):
    """What a pull would have stored, without the pull."""
    parts = graphs(folder)
    listed = [
        File(
            str(path.relative_to(folder).as_posix()),
            path.stat().st_size,
            hashlib.sha256(path.read_bytes()).hexdigest(),
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".safetensors"
    ]
    parity = (OutputParity("decode", 0.0, 0.0, 1.0, 1.0),)
    runtime = f"onnxruntime {version('onnxruntime')}"
    certificate = Certificate("exact", "pytorch fp32", "cpu", runtime, ("1×5",), parity)
    manifest = Manifest(
        schema=1,
        gpux="0",
        source=Source(f"file:{folder.name}", "sha256:0", None, None, None),
        task=task,
        architecture=None,
        parameters=None,
        components=tuple(Component(name, one.inputs, one.outputs) for name, one in parts.items()),
        variants=(
            Variant("fp32", {name: f"fp32/{name}.onnx" for name in parts}, "transformers", {}, certificate),
        ),
        files=tuple(listed),
    )
    for one in parts.values():
        one.close()
    return Artifact(folder, hashlib.sha256(folder.name.encode()).hexdigest(), manifest)


@pytest.fixture(scope="module")
def opened(made, store):
    found = {}

    def opening(name):
        if name not in found:
            task = "image-to-text" if name in CAPTIONERS else "image-text-to-text"
            found[name] = gpux.load(stored(made / name, task), provider="cpu")
        return found[name]

    yield opening
    for model in found.values():
        model.close()


@pytest.mark.parametrize("name", EXPORTED)
def test_every_component_is_the_source_models(made, name):
    parts = {part: Bindable(one) for part, one in graphs(made / name).items()}
    for feeds, want in zip(
        probes.read(made / name / "probes.npz"), probes.read(made / name / "reference.npz"), strict=True
    ):
        found = prover_pictures.run(parts, feeds)
        assert set(found) == set(want) == {"vision", "embedder", "prefill", "decode"}
        assert (found["embedder"] == want["embedder"]).all()
        for output in ("vision", "prefill", "decode"):
            np.testing.assert_allclose(found[output], want[output], atol=1e-4)


@pytest.mark.parametrize("name", CAPTIONERS)
def test_captioners_score_as_the_source_model(made, name):
    parts = graphs(made / name)
    decoder = EncoderDecoder(Bindable(parts["encoder"]), Bindable(parts["decoder"]), limit=64)
    for feeds, want in zip(
        probes.read(made / name / "probes.npz"), probes.read(made / name / "reference.npz"), strict=True
    ):
        found = prover_generator.run(decoder, feeds)
        for output in ("prefill", "decode"):
            np.testing.assert_allclose(found[output], want[output], atol=1e-4)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("name", EXPORTED)
def test_answers_are_those_of_the_pipeline(made, answers, opened, name, call):
    item, parameters = CALLS[call]
    given = located(item, made, MARKS[name])
    assert opened(name)(given, **parameters, **NEW) == answers[f"{name}/{call}"]


@pytest.mark.parametrize("name", EXPORTED)
def test_together_alone_and_in_pieces(made, opened, name):
    model = opened(name)
    items = [
        {"images": [str(made / "pictures" / f"{stem}.png") for stem in stems], "text": text}
        for stems, text in (("a", "what is this ?"), ("ab", "this and that ?"), ("", "what is a dog ?"))
    ]
    together = model.generate(items, **NEW)
    alone = [model.generate(item, **NEW) for item in items]
    assert [one.tokens for one in together] == [one.tokens for one in alone]
    for item, one in zip(items, alone, strict=True):
        assert "".join(model.stream(item, **NEW)) == one.text
        assert {"vision", "embedder", "decoder"} < set(one.timings)


def test_what_was_read_of_a_picture_is_kept_for_that_picture_alone(made, opened):
    model, (a, b) = opened("qwen3"), (str(made / "pictures" / f"{stem}.png") for stem in "ab")
    first = model.generate({"image": a, "text": "what is this ?"}, **NEW)
    again = model.generate({"image": a, "text": "what is that ?"}, **NEW)
    assert again.timings["reused"] > 20  # all places of the picture, and the words before and behind it
    with Image.open(a) as picture:
        other = Image.fromarray(255 - np.asarray(picture.convert("RGB")))
    negative = model.generate({"image": other, "text": "what is this ?"}, **NEW)
    assert negative.timings["reused"] < 8  # the words before it: as many places, another picture
    assert model.generate({"image": a, "text": "what is this ?"}, **NEW).tokens == first.tokens
    assert model.generate({"image": b, "text": "what is this ?"}, **NEW).prompt_tokens != first.prompt_tokens


@pytest.mark.parametrize("name", CAPTIONERS)
def test_captions_are_those_of_the_pipeline(made, answers, opened, name):
    model, paths = opened(name), [str(made / "pictures" / f"{stem}.png") for stem in SIZES]
    want = [answers[f"{name}/{stem}"] for stem in SIZES]
    assert model(paths, **NEW) == want
    assert [model(path, **NEW) for path in paths] == want
    assert "".join(model.stream(paths[0], **NEW)) == want[0][0]["generated_text"]
    if name == "blip":
        assert model(paths, text="a cat", **NEW) == [answers[f"blip/{stem}/a cat"] for stem in SIZES]


WRONG = {
    "no text": ("maira", "PICTURE", {}, "has no text"),
    "no picture for a place": ("maira", {"text": "<image> what ?"}, {}, "no pictures"),
    "more places than pictures": ("maira", {"image": "PICTURE", "text": "<image> <image>"}, {}, "2 places"),
    "a picture that is none": ("maira", {"image": b"no picture", "text": "what ?"}, {}, "is no picture"),
    "a place in a conversation": ("maira", [{"role": "user", "content": [{"type": "image"}]}], {}, "no picture there"),
    "a film": ("maira", [{"role": "user", "content": [{"type": "video", "path": "a.mp4"}]}], {}, "a film"),
    "a key": ("maira", {"picture": "PICTURE", "text": "what ?"}, {}, "`picture`"),
    "too many for the context": ("qwen3", {"images": ["PICTURE"] * 30, "text": "what ?"}, {}, "the model takes 512"),
    "a text for a reader": ("trocr", "PICTURE", {"text": "what ?"}, "takes a picture alone"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_is_told(made, opened, case):
    name, item, parameters, said = WRONG[case]
    path = str(made / "pictures" / "a.png")
    filled = json.loads(json.dumps(item).replace("PICTURE", path)) if "b'" not in repr(item) else item
    with pytest.raises(InvalidInput, match=said) as caught:
        opened(name)(filled, **parameters, **NEW)
    assert caught.value.hint


def test_huge_pictures_are_refused(made, opened, monkeypatch):
    monkeypatch.setenv("GPUX_MAX_PIXELS", "1000")
    with pytest.raises(InvalidInput, match="pixels"):
        opened("maira")({"image": str(made / "pictures" / "a.png"), "text": "what ?"}, **NEW)


def test_components_have_providers_of_their_own(made, opened):
    artifact = opened("maira").artifact
    item = {"image": str(made / "pictures" / "a.png"), "text": "what is this ?"}
    with gpux.load(artifact, provider="cpu,vision=CPUExecutionProvider", variant="decoder=fp32") as model:
        assert list(model.session.parts) == list(PARTS)
        assert {part.plan.provider for part in model.session.parts.values()} == {"cpu"}
        assert model.session.parts["vision"].plan is not model.session.parts["embedder"].plan
        assert sum(model.placement.nodes.values()) == sum(
            sum(part.own.nodes.values()) for part in model.session.parts.values()
        )
        assert model.generate(item, **NEW).tokens == opened("maira").generate(item, **NEW).tokens
    with pytest.raises(UsageError, match="no component `visoin`") as caught:
        gpux.load(artifact, provider="visoin=cpu")
    assert "did you mean `vision`" in caught.value.hint
    with pytest.raises(UnknownVariant, match="not as `q4`"):
        gpux.load(artifact, variant="fp32,vision=q4", provider="cpu")


def test_a_pull_proves_each_component_and_a_command_asks_about_pictures(made, answers, store, capfd):
    from gpux.cli import main

    artifact = gpux.pull(str(made / "llava"))
    assert artifact.task == "image-text-to-text"
    assert artifact.certificate.quality == "exact"
    assert [output.name for output in artifact.certificate.outputs] == [
        "vision",
        "embedder",
        "prefill",
        "decode",
    ]
    assert all("picture" in probe for probe in artifact.certificate.probes)
    with gpux.load(artifact, provider="cpu") as model:
        item, parameters = CALLS["chat"]
        assert model(located(item, made, "<image>"), **parameters, **NEW) == answers["llava/chat"]
        wanted = model.generate(
            {"image": str(made / "pictures" / "a.png"), "text": "what is this ?"}, **NEW
        ).text
    words = [
        "run",
        str(made / "llava"),
        str(made / "pictures" / "a.png"),
        "what is this ?",
        "--max-tokens",
        "12",
    ]
    capfd.readouterr()
    with pytest.raises(SystemExit) as ended:
        main([*words, "--provider", "cpu"])
    assert ended.value.code == 0
    assert capfd.readouterr().out.rstrip("\n") == wanted
