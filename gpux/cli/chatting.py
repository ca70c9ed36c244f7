"""An interactive chat on a terminal: history, commands that begin with a slash, Ctrl-C for the answer alone. Knows no task."""

from __future__ import annotations

import contextlib
import difflib
import json
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gpux
from gpux.cli.asking import read_parameters
from gpux.cli.generating import Spoken, Wish, chats, count, speak
from gpux.cli.partial import Partial
from gpux.cli.printer import Printer, plain
from gpux.errors import GpuxError, InvalidInput

FENCE = '"""'
"""What begins and ends a message of several lines."""

_COMMAND = re.compile(r"/([a-z?]\w*)(?:\s+(.*))?", re.DOTALL)
_HELP = {
    "help": ("", "show this"),
    "set": ("[NAME [VALUE]]", "show settings, change one (system, temperature, max_tokens …), or reset one"),
    "stats": ("", "tokens, speed and context of the last answer"),
    "clear": ("", "forget the conversation"),
    "save": ("FILE", "write the conversation to a .json, .md or .txt file"),
    "bye": ("", "leave, as /exit and Ctrl-D do"),
}
_OTHERS = {"exit": "bye", "quit": "bye", "?": "help"}
_SHORT = {"max_tokens": "max_new_tokens"}


def chat(printer: Printer, model: gpux.Model, wish: Wish) -> int:
    """Talk with a model until the person leaves.

    Args:
        printer: Prints; answers go to standard output, everything else to standard error.
        model: A model that writes. Without a chat template it goes on with each text, and remembers none.
        wish: How answers are to be written.

    Returns:
        The exit code: 0.
    """
    return _Chat(printer, model, wish).run()


class _Leave(Exception):
    """The person leaves."""


class _Chat:
    """A conversation and its settings.

    ``again`` is whether Ctrl-C came last, so that the next one leaves.
    """

    def __init__(self, printer: Printer, model: gpux.Model, wish: Wish) -> None:
        self.printer, self.model = printer, model
        self.talks = chats(model) and not wish.raw
        self.parameters = dict(wish.parameters)
        self.system = wish.system
        self.messages: list[dict[str, str]] = []
        self.last: Spoken | None = None
        self.again = False
        self.ask = _asker(printer)

    def run(self) -> int:
        """Ask and answer until the person leaves."""
        self.greet()
        while True:
            try:
                text = self.read()
                self.again = False
                if text.strip():
                    self.take(text)
            except KeyboardInterrupt:
                self.printer.alert("\n")
                if self.again:
                    return 0
                self.again = True
                self.printer.alert("Ctrl-C again, Ctrl-D or /bye to leave\n")
            except EOFError:
                self.printer.alert("\n")
                return 0
            except _Leave:
                return 0
            except GpuxError as error:
                self.printer.error(error)

    def greet(self) -> None:
        """Say what this is."""
        name = self.model.artifact.reference
        if self.talks:
            self.printer.say(f"{name}: /help lists commands, /bye leaves")
            return
        why = "with --raw" if chats(self.model) else "which has no chat template"
        self.printer.say(
            f"{name}, {why}: it goes on with each text that you type, and remembers none; /bye leaves"
        )

    def read(self) -> str:
        """One message: a line, or the lines between two fences."""
        text = self.ask(">>> ")
        if not text.lstrip().startswith(FENCE):
            return text
        lines = [text.lstrip().removeprefix(FENCE)]
        while FENCE not in lines[-1]:
            lines.append(self.ask("... "))
        lines[-1] = lines[-1].rpartition(FENCE)[0]
        return "\n".join(lines).strip("\n")

    def take(self, text: str) -> None:
        """Follow a command, or answer a message."""
        command = _COMMAND.fullmatch(text.strip())
        if command is None:
            self.answer(text)
            return
        name = _OTHERS.get(command[1], command[1])
        if name not in _HELP:
            close = difflib.get_close_matches(command[1], [*_HELP, *_OTHERS], n=1)
            hint = f"did you mean `/{close[0]}`" if close else "/help lists the commands"
            raise InvalidInput(f"there is no command `/{command[1]}`", hint=hint)
        getattr(self, f"do_{name}")((command[2] or "").strip())

    def answer(self, text: str) -> None:
        """Print the answer, and remember it as far as it came."""
        before = list(self.messages)
        item: Any = text
        if self.talks:
            self.messages.append({"role": "user", "content": text})
            item = [*self.beginning(), *self.messages]
        parts: list[str] = []
        try:
            with _interruptible() as stopped:
                self.last = speak(
                    self.printer, self.model, item, self.parameters, stopped=stopped, parts=parts
                )
                self.again = stopped()
        finally:
            if self.talks and parts:
                self.messages.append({"role": "assistant", "content": "".join(parts)})
            else:
                self.messages = before
        if self.printer.verbose:
            self.do_stats("")

    def beginning(self) -> list[dict[str, str]]:
        """What the model is told before the conversation."""
        return [] if not self.system else [{"role": "system", "content": self.system}]

    def do_help(self, _: str) -> None:
        """Show the commands."""
        rows = [(f"/{name} {words}".strip(), told) for name, (words, told) in _HELP.items()]
        wide = max(len(name) for name, _ in rows)
        told = [f"{name:<{wide}}  {told}" for name, told in rows]
        self.printer.alert(
            "\n".join([*told, f"{FENCE:<{wide}}  begins and ends a message of several lines\n"])
        )

    def do_bye(self, _: str) -> None:
        """Leave."""
        raise _Leave

    def do_clear(self, _: str) -> None:
        """Forget the conversation."""
        self.messages, self.last = [], None
        self.printer.say("the conversation is forgotten")

    def do_stats(self, _: str) -> None:
        """Show what the last answer took."""
        if self.last is None:
            raise InvalidInput("there was no answer yet", hint="ask something")
        self.printer.alert("".join(f"{line}\n" for line in figures(self.model, self.last)))

    def do_set(self, words: str) -> None:
        """Show the settings, or change one."""
        name, _, value = words.partition(" ")
        if name == "parameter":  # as Ollama has it
            name, _, value = value.strip().partition(" ")
        value = value.strip().removeprefix(FENCE).removesuffix(FENCE) if value else ""
        if not name:
            shown = {"system": self.system or "", **self.parameters}
            self.printer.alert("".join(f"{key} {json.dumps(told)}\n" for key, told in shown.items()))
        elif name == "system":
            if not self.talks:
                raise InvalidInput(
                    "there is no chat template that would tell it", hint="write it in the text"
                )
            self.system = value or None
        else:
            self._set(name.replace("-", "_"), value)

    def do_save(self, name: str) -> None:
        """Write the conversation to a file."""
        if not name:
            raise InvalidInput("`/save` needs a file", hint="/save chat.json")
        path = Path(name).expanduser()
        conversation = [*self.beginning(), *self.messages]
        if path.suffix in {".md", ".txt"}:
            text = "\n".join(f"**{one['role']}**\n\n{one['content']}\n" for one in conversation)
        else:
            record = {
                "model": self.model.artifact.reference,
                "messages": conversation,
                "parameters": plain(self.parameters),
            }
            text = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
        file = Partial(path)
        try:
            file.write(text)
            file.finish()
        except BaseException:
            file.drop()
            raise
        self.printer.say(f"{len(conversation)} messages are in {path}")

    def _set(self, name: str, value: str) -> None:
        name = _SHORT.get(name, name)
        known = [*self.model.pipeline.parameters, *_SHORT, "system"]
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean `/set {close[0]}`" if close else f"there are {', '.join(known)}"
            raise InvalidInput(f"there is no setting `{name}`", hint=hint)
        if not value:
            self.parameters.pop(name, None)
            return
        changed = {**self.parameters, **read_parameters((f"{name}={value}",))}
        self.model.pipeline.check(changed)
        self.parameters = changed


def figures(model: gpux.Model, spoken: Spoken) -> Iterator[str]:
    """What an answer took, line by line."""
    record, tokens = spoken.record, spoken.tokens
    prompt = count(getattr(record, "prompt_tokens", None))
    if prompt is not None:
        yield f"prompt               {prompt:,} tokens"
    if tokens is not None:
        yield f"answer               {tokens:,} tokens"
    yield f"time to first token  {spoken.first * 1000:,.0f} ms"
    if tokens is not None and tokens > 1 and spoken.seconds > spoken.first:
        yield f"speed                {(tokens - 1) / (spoken.seconds - spoken.first):,.1f} tokens/s"
    limit = getattr(model.pipeline, "context", None)
    if prompt is not None and tokens is not None and isinstance(limit, int) and limit > 0:
        used = prompt + tokens
        yield f"context              {used:,} of {limit:,} tokens ({used / limit:.0%})"
    reason = getattr(record, "finish_reason", None) if record is not None else "stopped by Ctrl-C"
    if reason:
        yield f"ended                {reason}"


@contextlib.contextmanager
def _interruptible() -> Iterator[Callable[[], bool]]:
    """Ctrl-C asks for the end of the answer, between two steps, so that none is left half done; a second one does not wait."""
    asked = threading.Event()

    def interrupt(number: int, frame: Any) -> None:
        del number, frame
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield asked.is_set
    finally:
        signal.signal(signal.SIGINT, before)


def _asker(printer: Printer) -> Callable[[str], str]:
    """What asks for a line: with editing and history where the system has them."""
    with contextlib.suppress(ImportError):  # Windows' own console edits lines
        import readline  # noqa: F401 - input() finds it

    seen = sys.stdout is not None and sys.stdout.isatty()

    def ask(prompt: str) -> str:
        try:
            if seen:
                return input(prompt)
            printer.alert(prompt)  # standard output holds answers alone
            return input()
        except UnicodeDecodeError as error:
            raise InvalidInput("that is no text", hint="type UTF-8") from error

    return ask
