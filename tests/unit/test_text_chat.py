"""Prompts from chat templates equal transformers' own, and a template that is wrong or hostile ends in a clear error."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from models import run
from references import chat_templates
from references.chat_templates import ADDED, ANSWER, CHATML, CONVERSATIONS, FAMILIES, PICTURE, RAG, TOOL, USER

from gpux.artifact import Artifact, File, Manifest, Source
from gpux.errors import CorruptArtifact, InvalidInput, UnsupportedModel, WorkerFailed
from gpux.reference import parse
from gpux.registry.assembly import copy_small_files
from gpux.sources import selection
from gpux.sources.listing import Listed
from gpux.sources.snapshot import Snapshot, SourceFile
from gpux.text.chat import ChatTemplate
from gpux.worker.parent import Limits, Worker

TOKENIZER = {
    "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None, "post_processor": None,
    "decoder": None, "pre_tokenizer": {"type": "Whitespace"}, "model": {"type": "WordLevel", "vocab": {"a": 0, "<unk>": 1}, "unk_token": "<unk>"},
}  # fmt: skip
FAST = {"tokenizer_class": "PreTrainedTokenizerFast"}
BOTH = "{{ bos_token }}|{{ eos_token }}|{{ unk_token }}|{{ pad_token }}|{{ messages[0].content }}"

PLACES = {
    # name: (files, messages, what is given besides)
    "a file of its own wins": ({"chat_template.jinja": BOTH + "\r\nwon\n\n", "tokenizer_config.json": {**FAST, "chat_template": CHATML, "bos_token": "<s>"}}, [USER], {}),
    "named files": ({"chat_template.jinja": CHATML, "additional_chat_templates/tool_use.jinja": chat_templates.TOOL_USE, "tokenizer_config.json": FAST}, [USER], {"tools": [TOOL]}),
    "tokens of an older file": ({"tokenizer_config.json": {**FAST, "chat_template": BOTH, "bos_token": "<a>", "eos_token": "<e>"}, "special_tokens_map.json": {"bos_token": "<s>", "pad_token": {"content": "<p>", "lstrip": False, "normalized": False, "rstrip": False, "single_word": False}}}, [USER], {}),
    "tokens of a newer file": ({"tokenizer_config.json": {**FAST, "chat_template": BOTH, "bos_token": {**ADDED, "content": "<a>"}, "added_tokens_decoder": {}}, "special_tokens_map.json": {"bos_token": "<s>"}}, [USER], {}),
    "no tokens": ({"tokenizer_config.json": {**FAST, "chat_template": BOTH}}, [USER], {}),
    "words of the caller's": ({"tokenizer_config.json": {**FAST, "chat_template": BOTH, "bos_token": "<a>"}}, [USER], {"bos_token": "<mine>"}),
}  # fmt: skip


def stored(folder, files):
    """An artifact of these files."""
    for path, content in {"tokenizer.json": TOKENIZER, **files}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / path).write_bytes(text.encode("utf-8"))
    listed = tuple(File(path, 0, "") for path in files)
    source = Source("org/model", "sha256:0", None, None, None)
    manifest = Manifest(1, "0", source, "text-generation", None, None, (), (), listed)
    return Artifact(folder, "0" * 64, manifest)


@pytest.fixture(scope="module")
def prompts(tmp_path_factory):
    """``(model, conversation)`` → the artifact, the call, and what transformers wrote; one process for all."""
    root = tmp_path_factory.mktemp("chat")
    cases = {}
    for name, (template, settings) in FAMILIES.items():
        config = {**FAST, **settings, "chat_template": template}
        artifact = stored(root / name, {"tokenizer_config.json": config})
        for called, (messages, given) in CONVERSATIONS.items():
            cases[name, called] = (artifact, messages, given)
    for number, (name, (files, messages, given)) in enumerate(PLACES.items()):
        cases[name, ""] = (stored(root / str(number), files), messages, given)
    work, out = root / "calls.json", root / "prompts.json"
    calls = [(str(artifact.directory), [(messages, given)]) for artifact, messages, given in cases.values()]
    work.write_text(json.dumps(calls), encoding="utf-8")
    run("chat_prompts.py", work, out)
    expected = json.loads(out.read_text(encoding="utf-8"))
    return {key: (*case, told) for (key, case), told in zip(cases.items(), expected, strict=True)}


@pytest.fixture(scope="module")
def template():
    """A template of some text, whose process is shared by texts that harm nobody."""
    made = {}

    def make(text, **bounds):
        key = (text, *bounds.items())
        if key not in made:
            made[key] = ChatTemplate("org/model", {"default": text}, **bounds)
        return made[key]

    yield make
    for each in made.values():
        each.close()


@pytest.mark.parametrize("name", [*FAMILIES, *PLACES])
def test_prompts_are_those_of_transformers(prompts, name):
    mine = {called: case for (family, called), case in prompts.items() if family == name}
    rendered = 0
    read = ChatTemplate.read(next(iter(mine.values()))[0])
    for called, (_, messages, given, expected) in mine.items():
        if isinstance(expected, str):
            assert read.render(messages, **given) == expected, called
            rendered += 1
            continue
        with pytest.raises((InvalidInput, UnsupportedModel)) as caught:
            read.render(messages, **given)
        if expected[0] == "TemplateError":
            assert isinstance(caught.value, InvalidInput)
            assert expected[1] in caught.value.message
    read.close()
    assert rendered, "transformers refuses every conversation of this family"


def test_families_write_enough_to_compare(prompts):
    assert sum(isinstance(told, str) for *_, told in prompts.values()) > 80


def test_a_template_is_chosen_by_its_name(prompts):
    artifact = prompts["named", "one"][0]
    read = ChatTemplate.read(artifact)
    document = {"title": "T", "text": "words"}
    assert read.render([USER], documents=[document], template_name="rag") == f"T: words\n{USER['content']}"
    with pytest.raises(InvalidInput, match="no chat template called `rga`") as caught:
        read.render([USER], template_name="rga")
    assert caught.value.hint == "its templates are default, tool_use, rag"
    read.close()


def test_a_model_without_a_template_has_none(tmp_path):
    assert ChatTemplate.read(stored(tmp_path, {"tokenizer_config.json": {"bos_token": "<s>"}})) is None
    assert ChatTemplate.read(stored(tmp_path / "b", {})) is None


def test_a_processors_template_is_read(tmp_path):
    artifact = stored(tmp_path, {"chat_template.json": {"chat_template": "{{ messages[0].content }}!"}})
    read = ChatTemplate.read(artifact)
    assert read.render([{"role": "user", "content": "a"}]) == "a!"
    read.close()


def test_named_templates_are_fetched_and_stored(tmp_path):
    path = "additional_chat_templates/tool_use.jinja"
    other = "notes/tool_use.jinja"
    assert selection.texts([Listed(path, 11), Listed(other, 11)]) == [path]
    for each in (path, other):
        (tmp_path / "source" / each).parent.mkdir(parents=True)
        (tmp_path / "source" / each).write_text("{{ tools }}")
    files = tuple(SourceFile(each, 11, "") for each in (path, other))
    snapshot = Snapshot(parse("org/model"), tmp_path / "source", "sha256:0", files)
    copy_small_files(snapshot, tmp_path / "artifact")
    assert (tmp_path / "artifact" / path).read_text() == "{{ tools }}"
    assert not (tmp_path / "artifact" / other).exists()


@pytest.mark.parametrize(
    ("files", "error"),
    [
        ({"tokenizer_config.json": {"chat_template": 3}}, UnsupportedModel),
        ({"tokenizer_config.json": {"chat_template": ["x"]}}, UnsupportedModel),
        ({"tokenizer_config.json": {"chat_template": [{"name": 1, "template": "x"}]}}, UnsupportedModel),
        ({"tokenizer_config.json": {"chat_template": "x", "bos_token": 7}}, UnsupportedModel),
        ({"tokenizer_config.json": "{"}, CorruptArtifact),
    ],
)
def test_files_that_are_wrong_are_named(tmp_path, files, error):
    with pytest.raises(error, match=r"tokenizer_config\.json"):
        ChatTemplate.read(stored(tmp_path, files))


WRONG = {
    "a text": ("hello", "a list of messages, not a value of type str"),
    "one message": (USER, "a list of messages, not a value of type dict"),
    "nothing": ([], "at least one message"),
    "texts": (["hello"], "message 0 is a value of type str"),
    "no role": ([USER, {"content": "x"}], "message 1 has no `role`"),
    "a role that is none": ([{"role": 3, "content": "x"}], "message 0 has no `role`"),
    "no content": ([{"role": "user"}], "message 0 has no `content`"),
    "content that is nothing": ([{"role": "user", "content": None}], "message 0 has no `content`"),
    "content that is a number": ([{"role": "user", "content": 5}], "is a value of type int, not a text or a list"),
    "content that is an object": ([{"role": "user", "content": {"text": "a"}}], "is a value of type dict"),
    "a list of texts": ([{"role": "user", "content": ["a"]}], "holds a value of type str, not objects"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_messages_of_another_shape_are_refused(template, case):
    messages, said = WRONG[case]
    with pytest.raises(InvalidInput) as caught:
        template(CHATML).render(messages)
    assert said in caught.value.message
    assert '"role": "user"' in caught.value.hint


def test_tools_of_another_shape_are_refused(template):
    with pytest.raises(InvalidInput, match="no list of tools"):
        template(CHATML).render([USER], tools=[print])


def test_what_stands_for_a_picture_is_not_shown_to_the_template(template):
    content = [{"type": "image", "image": object()}]
    shown = template("{{ messages[0].content[0].image }}").render([{"role": "user", "content": content}])
    assert shown == "<object>"


def test_a_refusal_says_why(template):
    with pytest.raises(InvalidInput, match="refuses these messages: never more than one") as caught:
        template("{{ raise_exception('never more\nthan one') }}").render([USER, ANSWER])
    assert "--raw" in caught.value.hint


FAILS = {
    "{% for %}": "cannot be read",
    "{{ messages[3].content }}": "fails",
    "{{ messages | nothing }}": "cannot be read",
    "{{ nobody.name }}": "`nobody` is undefined|'nobody' is undefined",
    "{% include 'x' %}": "fails",
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}": "RecursionError",
    "{{ " + "(" * 3000 + ")" * 3000 + " }}": "fails",
    # Ways out of the sandbox:
    "{{ messages.append(1) }}": "unsafe",
    "{{ cycler.__init__.__globals__.os }}": "unsafe|undefined",
    "{{ namespace(__class__=1) }}": "underscore",
    "{% set n = namespace() %}{% set n.__init__ = 1 %}": "underscore",
    "{{ '{0.__class__}'.format(messages) }}x{{ ''.__class__.__mro__[1] }}": "unsafe|undefined",
    # More than any prompt needs:
    "{{ 'a' * 10**9 }}": "too large",
    "{% set x = [0] * 10**9 %}": "too large",
    "{{ 10**10**8 }}": "too large",
    "{% for i in range(10**6) %}{% endfor %}": "Range too big",
    "{% for i in range(99999) %}{{ 'x' * 100000 }}{% endfor %}": "writes more than",
}  # fmt: skip


@pytest.mark.parametrize("text", FAILS)
def test_a_template_that_fails_says_so(text, template):
    with pytest.raises(UnsupportedModel, match=FAILS[text]) as caught:
        template(text).render([USER])
    assert caught.value.message.startswith("the chat template of `org/model` ")
    assert caught.value.hint == 'gpux run org/model --raw "your text"'


HUGE = {
    "padding": "{{ 'x' | center(2000000000) }}",
    "a format": "{{ '%2000000000d' % 1 }}",
    "doubling": "{% set n = namespace(a='x' * 1000000) %}{% for i in range(99) %}{% set n.a = n.a ~ n.a %}{% endfor %}",
}


@pytest.mark.parametrize("case", HUGE)
def test_a_template_that_takes_all_memory_is_stopped(case, template):
    made = template(HUGE[case], mebibytes=512)
    with pytest.raises(UnsupportedModel, match="takes more than 512 MiB of memory"):
        made.render([USER])


def test_a_template_that_never_ends_is_stopped_and_the_next_prompt_is_written(template):
    loop = "{% if messages|length > 1 %}{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}{% endif %}done"
    made = template(loop, seconds=1)
    assert made.render([USER]) == "done"
    with pytest.raises(UnsupportedModel, match="does not end within 1 seconds"):
        made.render([USER, ANSWER])
    assert made.render([USER]) == "done"


def test_a_process_that_no_system_limits_limits_itself():
    grows = (
        "{% set n = namespace(a='x' * 1000000) %}{% for i in range(7) %}{% set n.a = n.a ~ n.a %}{% endfor %}"
    )
    loop = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"
    with Worker("gpux.text.chat_renderer", bounds=Limits(30, 30, None)) as worker:
        job = {"template": "{{ a }}", "variables": {"a": 1}, "most": 80 << 20}
        assert worker.ask(job) == {"text": "1"}
        with pytest.raises(WorkerFailed, match="code 70"):
            worker.ask({**job, "template": grows + loop})


def test_threads_may_share_a_template(template):
    made = template("{{ messages[0].content }}")
    asked = [str(number) for number in range(200)]
    with ThreadPoolExecutor(8) as pool:
        told = pool.map(lambda text: made.render([{"role": "user", "content": text}]), asked)
        assert list(told) == asked


def test_rag_and_pictures_are_compared_at_all(prompts):
    assert "documents" in RAG
    assert "<|image_pad|>" in prompts["vision", "picture"][3]
    assert PICTURE["content"][1]["text"] in prompts["vision", "picture"][3]
