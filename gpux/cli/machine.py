"""``gpux why``, ``providers``, ``doctor`` and ``completion``: what this machine can do, and what to type where it cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

import gpux
from gpux.cli import completing
from gpux.cli.options import choice, examples, talk
from gpux.cli.printer import Printer, size

if TYPE_CHECKING:
    from gpux.planning import Plan


@click.command(
    "why", epilog=examples("gpux why all-MiniLM-L6-v2", "gpux why all-MiniLM-L6-v2 --provider cpu --json")
)
@click.argument("model", shell_complete=completing.models)
@choice
@talk
def why_command(
    printer: Printer, model: str, provider: str | None, variant: str | None, quality: str
) -> None:
    """Show which provider and variant would run a stored model, and why every other one would not."""
    plan = gpux.plan(model, provider=provider, variant=variant, quality=quality)
    if printer.json:
        printer.record(plan)
        return
    proof = plan.certificate
    proven = "" if proof else "; to be proven on this provider when it is first opened"
    threads = f"{plan.threads} thread" + "s" * (plan.threads != 1)
    rows = [(plan.provider, plan.variant, _settings(plan), f"chosen: {plan.reason}; {threads}{proven}")]
    rows += [
        (r.provider, r.variant, r.settings, r.reason + (f" ({r.hint})" if r.hint else ""))
        for r in plan.rejected
    ]
    printer.table(("provider", "variant", "settings", "reason"), rows)
    if plan.note:
        printer.say(f"note: {plan.note}")


def _settings(plan: Plan) -> str:
    batch = {"batch": str(plan.batch)} if plan.batch else {}
    return " ".join(f"{name}={value}" for name, value in sorted({**plan.options, **batch}.items()))


@click.command("providers", epilog=examples("gpux providers", "gpux providers --json"))
@click.option(
    "--fresh", is_flag=True, help="Try all again, instead of remembering what this machine did before."
)
@talk
def providers_command(printer: Printer, *, fresh: bool) -> None:
    """Try every installed provider: `works` means that it ran a graph and the numbers were right.

    Each is tried in a process of its own, and what was found is remembered until hardware, drivers or packages change.
    """
    probes = gpux.providers(fresh=fresh)
    if printer.json:
        printer.record(probes)
        return
    rows = []
    for probe in probes:
        devices = ", ".join(d.name + (f" ({size(d.memory)})" if d.memory else "") for d in probe.devices)
        versions = ", ".join(f"{name} {version}" for name, version in probe.versions.items())
        why = "; ".join(part for part in (probe.reason, probe.hint) if part)
        rows.append((probe.provider, str(probe.state), devices, versions, why))
    printer.table(("provider", "state", "devices", "versions", "what stops it"), rows)
    if printer.verbose:
        options = [
            (name, one.name, one.default, ", ".join(one.values) or "any text", one.help)
            for name, found in gpux.options().items()
            for one in found
        ]
        printer.table(("provider", "option", "default", "values", "what it does"), options)


@click.command("doctor", epilog=examples("gpux doctor", "gpux doctor --json"))
@talk
def doctor_command(printer: Printer) -> int:
    """Look for what keeps GPUX from working here; every finding ends in the line to type. Exits 1 when something fails."""
    checks = gpux.diagnose()
    if printer.json:
        printer.record(checks)
    else:
        rows = [
            (check.state, check.subject, check.finding + (f"; {check.remedy}" if check.remedy else ""))
            for check in checks
        ]
        printer.table(("state", "what", "finding"), rows)
    return 1 if any(check.state == "fail" for check in checks) else 0


@click.command(
    "completion",
    epilog=examples(
        'eval "$(gpux completion bash)"', "gpux completion fish > ~/.config/fish/completions/gpux.fish"
    ),
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@talk
def completion_command(printer: Printer, shell: str) -> None:
    """Print the completion script of a shell."""
    from click.shell_completion import get_completion_class

    from gpux.cli import cli

    kind = get_completion_class(shell)
    if kind is None:
        raise gpux.errors.UsageError(f"there is no completion for `{shell}`", hint="use bash, zsh or fish")
    script = kind(cli, {}, "gpux", "_GPUX_COMPLETE").source()
    if printer.json:
        printer.record({"shell": shell, "script": script})
    else:
        printer.text(script)
