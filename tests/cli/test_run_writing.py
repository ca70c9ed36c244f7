"""``gpux run`` of a task that writes: streamed to standard output, as records, stopped by Ctrl-C, and as a chat on a terminal."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import select
import signal
import subprocess
import sys
import time

import pytest
from command_line import environment, run
from writing_task import CHATS, PLAIN, package, put

SIGINT = pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")
PTY = pytest.mark.skipif(os.name == "nt", reason="Windows has no pseudo-terminals of this kind")
ENDS = ("--provider", "null")


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """The variables of a process that has the task and its models."""
    root = tmp_path_factory.mktemp("writing")
    put(root / "home")
    return {
        "PYTHONPATH": str(package(root / "package")),
        "PYTHONSAFEPATH": "1",
        "GPUX_HOME": str(root / "home"),
    }


@pytest.fixture(scope="module")
def command(paths):
    def call(*words, stdin=b""):
        return run("run", *words, *ENDS, stdin=stdin, env=paths)

    return call


TEXTS = {
    "a prompt is a message": ([CHATS, "hello there"], b"", "u: hello there\n"),
    "as it is": ([CHATS, "hello there", "--raw"], b"", "hello there\n"),
    "no template": ([PLAIN, "hello there"], b"", "hello there\n"),
    "a system": ([CHATS, "hello", "--system", "be brief"], b"", "s u: (be brief) hello\n"),
    "a conversation": ([CHATS, '[{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]'], b"", "u a u: c\n"),
    "several": ([CHATS, "one", "two\n", "three"], b"", "u: one\nu: two\nu: three\n"),
    "lines": ([PLAIN], b"one\n\ntwo\n", "one\ntwo\n"),
    "a length": ([PLAIN, "a b c d", "--max-tokens", "2"], b"", "a b \n"),
    "several answers": ([PLAIN, "a b", "-p", "num_return_sequences=2"], b"", "a b\na b\n"),
    "control characters": ([PLAIN, "a \x1b[31m b"], b"", "a \\u001b[31m b\n"),
    "every option": ([PLAIN, "settings", "--temperature", "0.5", "--seed", "7", "--stop", "END", "--stop", "\n", "--truncate", "--json-schema", '{"type": "object"}', "-p", "logprobs=2"], b"",
                     'settings{"seed": 7, "temperature": 0.5, "stop": ["END", "\\n"], "json_schema": {"type": "object"}, "truncate": true, "logprobs": 2}\n'),
}  # fmt: skip


@pytest.mark.parametrize("case", TEXTS)
def test_an_answer_is_all_that_standard_output_holds(command, case):
    words, stdin, expected = TEXTS[case]
    done = command(*words, stdin=stdin)
    assert (done.code, done.out) == (0, expected), done.err


def test_a_record_for_each_input(command):
    done = command(CHATS, "one two", "refuse", "three", "--json")
    assert done.code == 1
    first, failed, last = done.record["results"]
    assert first == {
        "input": "one two",
        "output": {"text": "u: one two", "tokens": 3, "prompt_tokens": 2, "finish_reason": "stop", "timings": {"total": 0.5}},
    }  # fmt: skip
    assert "longer than the context" in failed["error"]["message"]
    assert last["output"]["text"] == "u: three"
    assert done.record["failed"] == 1


def test_records_go_to_a_file(command, tmp_path):
    done = command(PLAIN, "one", "two", "three", "--output", tmp_path / "a.jsonl", "--max-tokens", "1")
    assert done.code == 0, done.err
    assert done.out == ""
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert [line["output"]["text"] for line in lines] == ["one", "two", "three"]


def test_a_spreadsheet_has_the_columns_of_the_task(command, tmp_path):
    done = command(CHATS, "one", "two", "--output", tmp_path / "a.csv")
    assert done.code == 0, done.err
    with (tmp_path / "a.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [["input", "text"], ["one", "u: one"], ["two", "u: two"]]


def test_what_fails_is_named_and_the_rest_goes_on(command):
    done = command(PLAIN, "one", "refuse", "two")
    assert (done.code, done.out) == (1, "one\ntwo\n")
    assert "failed: input 2 is longer than the context" in done.err
    stopped = command(PLAIN, "one", "refuse", "two", "--fail-fast")
    assert (stopped.code, stopped.out) == (2, "one\n")
    assert "error: input 2 is longer" in stopped.err
    sentence, hint = command(PLAIN, "refuse").refused(2)
    assert (sentence, hint) == ("input 1 is longer than the context", "--truncate")


def test_a_runtime_that_fails_leaves_what_was_written(command):
    done = command(PLAIN, "one two break three")
    assert (done.code, done.out) == (1, "one two \n")
    assert "ran out of memory" in done.err


REFUSED = {
    "--top-p": ([PLAIN, "a", "--top-p", "0.5"], "word-writing knows no `--top-p`", "max_new_tokens"),
    "--top-k": ([PLAIN, "a", "--top-k", "5", "--json"], "word-writing knows no `--top-k`", ""),
    "--system": ([PLAIN, "a", "--system", "x"], "has no chat template", ""),
    "--raw --system": ([CHATS, "a", "--system", "x", "--raw"], "leaves out the chat template", ""),
    "no JSON": ([PLAIN, "a", "--json-schema", "{"], "`--json-schema` is no JSON", ""),
    "no object": ([PLAIN, "a", "--json-schema", "[]"], "is no object", ""),
    "no file": ([PLAIN, "a", "--json-schema", "@none.json"], "`none.json` cannot be read", ""),
    "a picture's": (["org/pictures", "a.jpg", "--max-tokens", "5"], "picture-size", "leave the option out"),
    "a picture's --raw": (["org/pictures", "a.jpg", "--raw"], "knows no `--raw`", ""),
    "a benchmark": ([PLAIN, "a", "--benchmark", "--system", "x"], "a benchmark knows no `--system`", ""),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_options_that_mean_nothing_are_refused(command, case):
    words, said, hinted = REFUSED[case]
    done = command(*words)
    assert done.code == 2
    assert said in done.err
    assert hinted in done.err


@SIGINT
def test_ctrl_c_keeps_what_was_printed(paths):
    out, err, code = interrupted(paths, "slowly", "--max-tokens", "9999", until=b"3 ")
    assert out.startswith("slowly0 1 2 3 ")
    assert out.endswith("\n")
    assert len(out.split()) < 1000
    assert (code, err.strip()) == (130, "stopped")


@SIGINT
def test_ctrl_c_keeps_the_records_that_are_whole(paths):
    out, err, code = interrupted(paths, "first", "second", "slowly", "--json", until=b'"second"')
    record = json.loads(out)
    assert [result["output"]["text"] for result in record["results"]] == ["first", "second"]
    assert record["complete"] is False
    assert (code, err.strip()) == (130, "stopped")


def interrupted(paths, *words, until):
    """What a command left that got Ctrl-C once it had printed something."""
    with subprocess.Popen(
        [sys.executable, "-m", "gpux", "run", PLAIN, *words, *ENDS],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(paths),
    ) as process:
        seen = b""
        while until not in seen:  # pieces come before the answer is whole
            chunk = os.read(process.stdout.fileno(), 65536)
            assert chunk, process.stderr.read()
            seen += chunk
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    return (seen + out).decode(), err.decode(), process.returncode


class Terminal:
    """``gpux run`` with everything on one terminal, as a person has it; a context manager."""

    def __init__(self, paths, *words, stdout=None):
        import pty

        self.leader, follower = pty.openpty()
        variables = environment({**paths, "TERM": "dumb", "INPUTRC": os.devnull})
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gpux", "run", *words, *ENDS],
            stdin=follower,
            stdout=follower if stdout is None else stdout,
            stderr=follower,
            env=variables,
            start_new_session=True,
            preexec_fn=_own_terminal,  # noqa: PLW1509 - nothing else makes it the terminal that Ctrl-C comes from
        )
        os.close(follower)
        self.seen = ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self.leader)

    def until(self, text, seconds=60):
        """What came up to this text, which is taken away."""
        end = time.monotonic() + seconds
        while text not in self.seen:
            assert time.monotonic() < end, f"`{text}` did not come after {self.seen!r}"
            if select.select([self.leader], [], [], 0.5)[0]:
                with contextlib.suppress(OSError):
                    self.seen += os.read(self.leader, 65536).decode().replace("\r\n", "\n")
        before, _, self.seen = self.seen.partition(text)
        return before

    def type(self, text):
        if "\x03" in text:
            time.sleep(0.3)  # a prompt is shown a moment before it is read
        os.write(self.leader, text.encode())

    def ask(self, text):
        """What stands between a line that is typed and the next prompt."""
        self.type(f"{text}\n")
        self.until(f"{text}\n")
        return self.until(">>> ")

    def end(self):
        return self.process.wait(timeout=30)


def _own_terminal():
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@PTY
def test_a_chat(paths, tmp_path):
    with Terminal(paths, CHATS, "--temperature", "0.5") as terminal:
        assert "/help lists commands" in terminal.until(">>> ")
        assert terminal.ask("hello") == "u: hello\n"
        assert terminal.ask("again") == "u a u: again\n"
        assert "/stats" in terminal.ask("/help")
        stats = terminal.ask("/stats")
        assert "prompt               1 tokens" in stats
        assert "answer               4 tokens" in stats
        assert "context              5 of 200 tokens (2%)" in stats
        assert "time to first token" in stats
        assert "tokens/s" in stats
        assert terminal.ask("/set system be brief") == ""
        assert terminal.ask("more") == "s u a u a u: (be brief) more\n"
        assert terminal.ask("/set seed 3") == ""
        assert terminal.ask("/set temperature") == ""
        assert terminal.ask("settings").endswith('settings{"seed": 3}\n')
        assert terminal.ask("/set") == 'system "be brief"\nseed 3\n'
        assert "did you mean `/set temperature`" in terminal.ask("/set temprature 1")
        assert "did you mean `/stats`" in terminal.ask("/stat")
        assert "there is no command `/frobnicate`" in terminal.ask("/frobnicate")
        assert "longer than the context" in terminal.ask("refuse")
        assert "ran out of memory" in terminal.ask("one break")
        saved = tmp_path / "chat.json"
        terminal.ask(f"/save {saved}")
        record = json.loads(saved.read_text())
        assert record["model"] == CHATS
        assert record["parameters"] == {"seed": 3}
        told = [(message["role"], message["content"]) for message in record["messages"]]
        assert told[:3] == [("system", "be brief"), ("user", "hello"), ("assistant", "u: hello")]
        assert told[-2][1] == "one break"  # the part that was written stays in the conversation
        assert "refuse" not in str(told)
        assert "cannot be written" in terminal.ask(f"/save {tmp_path}/none/chat.json")
        assert terminal.ask("/clear") == "the conversation is forgotten\n"
        assert terminal.ask("/etc/passwd is a file") == "s u: (be brief) /etc/passwd is a file\n"
        terminal.type('"""first\n')
        terminal.until("... ")
        terminal.type('second"""\n')
        assert terminal.until(">>> ").endswith("first\nsecond\n")
        terminal.ask(f"/save {tmp_path}/chat.md")
        assert "**assistant**\n\n" in (tmp_path / "chat.md").read_text()
        terminal.type("/bye\n")
        assert terminal.end() == 0


@PTY
def test_ctrl_c_stops_the_answer_and_a_second_one_leaves(paths):
    with Terminal(paths, CHATS) as terminal:
        terminal.until(">>> ")
        terminal.type("slowly\n")
        terminal.until("u: slowly")
        terminal.until("3 ")
        terminal.type("\x03")
        terminal.until(">>> ")
        assert "stopped by Ctrl-C" in terminal.ask("/stats")
        assert terminal.ask("on").startswith("u a u: on")
        terminal.type("half a line\x03")
        terminal.until("/bye to leave")
        terminal.until(">>> ")
        assert terminal.ask("still here").endswith("still here\n")
        terminal.type("\x03")
        terminal.until(">>> ")
        terminal.type("\x03")
        assert terminal.end() == 0


@PTY
def test_without_a_template_each_text_goes_on_alone(paths):
    with Terminal(paths, PLAIN) as terminal:
        assert "no chat template: it goes on with each text" in terminal.until(">>> ")
        assert terminal.ask("once upon") == "once upon\n"
        assert terminal.ask("a time") == "a time\n"
        assert "no chat template that would tell it" in terminal.ask("/set system x")
        terminal.type("\x04")
        assert terminal.end() == 0


@PTY
def test_standard_output_that_is_no_terminal_holds_answers_alone(paths, tmp_path):
    with (tmp_path / "out").open("wb") as out, Terminal(paths, CHATS, stdout=out) as terminal:
        terminal.until(">>> ")
        terminal.type("hello\n")
        terminal.until(">>> ")
        terminal.type("/stats\n")
        terminal.until(">>> ")
        terminal.type("/exit\n")
        assert terminal.end() == 0
    assert (tmp_path / "out").read_text() == "u: hello\n"


@PTY
@pytest.mark.parametrize("words", [["org/pictures"], [CHATS, "--json"]])
def test_nothing_to_talk_with_is_an_error_and_no_wait(paths, words):
    with Terminal(paths, *words) as terminal:
        terminal.until("there is no input")
        assert terminal.end() == 2
