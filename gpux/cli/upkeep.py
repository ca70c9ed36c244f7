"""``gpux rm``, ``prune``, ``verify``, ``df`` and ``cp``: the store's upkeep; every deletion is planned, then executed."""

from __future__ import annotations

import re
from typing import Any

import click

import gpux
from gpux.cli import completing
from gpux.cli.options import examples, talk
from gpux.cli.printer import Printer, size


@click.command("rm", epilog=examples("gpux rm all-MiniLM-L6-v2", "gpux rm all-MiniLM-L6-v2 --dry-run"))
@click.argument("models", nargs=-1, required=True, shell_complete=completing.models)
@click.option("--dry-run", is_flag=True, help="Say what would be removed, and remove nothing.")
@talk
def rm_command(printer: Printer, models: tuple[str, ...], *, dry_run: bool) -> None:
    """Remove stored models; a model that has other names keeps those. The Hub's own cache is left alone."""
    store = gpux.Store()
    _carry_out(printer, store, store.plan_removal(list(models)), dry_run=dry_run)


@click.command("prune", epilog=examples("gpux prune --dry-run", "gpux prune --older-than 30d"))
@click.option("--older-than", metavar="D", help="Also models pulled longer ago than this: 12h, 30d, 8w.")
@click.option("--sources", is_flag=True, help="Also fetched packages; the models made of them stay.")
@click.option("--dry-run", is_flag=True, help="Say what would be removed, and remove nothing.")
@talk
def prune_command(printer: Printer, *, older_than: str | None, sources: bool, dry_run: bool) -> None:
    """Remove artifacts that no name points at, leftovers of processes that died, and broken index files."""
    store = gpux.Store()
    _carry_out(
        printer, store, store.plan_prune(older_than=_seconds(older_than), sources=sources), dry_run=dry_run
    )


@click.command("verify", epilog=examples("gpux verify", "gpux verify all-MiniLM-L6-v2 --json"))
@click.argument("models", nargs=-1, shell_complete=completing.models)
@talk
def verify_command(printer: Printer, models: tuple[str, ...]) -> int:
    """Hash every file of stored models, all when none is named, and compare with the manifests; exit 1 on a difference."""
    store = gpux.Store()
    findings: dict[str, list[str]] = {}
    named = {entry.digest: entry.name for entry in store.entries()}
    chosen = {digest: named.get(digest, digest) for digest in store.digests()}
    if models:
        chosen = {store.locate(name).digest: name for name in models}
    for digest, name in chosen.items():
        try:
            findings[name] = store.verify(digest)
        except gpux.errors.StoreError as error:
            findings[name] = [error.message]
    if not models:
        findings |= {str(path): ["this index file is broken or points at nothing"] for path in store.broken()}
    bad = {name: what for name, what in findings.items() if what}
    if printer.json:
        printer.record({"checked": len(findings), "damaged": bad})
    else:
        printer.lines(
            f"{name}  {'ok' if not what else 'damaged: ' + '; '.join(what)}"
            for name, what in findings.items()
        )
        if bad:
            printer.say(f"\nhint: {_remedy(store, next(iter(bad)))}")
    return 1 if bad else 0


@click.command("df", epilog=examples("gpux df", "gpux df --json"))
@talk
def df_command(printer: Printer) -> None:
    """Show what the store takes on disk, and what prune would free."""
    import shutil

    store = gpux.Store()
    freed = store.plan_prune()
    digests = store.digests()
    stored = sum(map(store.size, digests))
    root = next(path for path in (store.root, *store.root.parents) if path.exists())
    record: dict[str, Any] = {
        "root": store.root,
        "artifacts": len(digests),
        "artifact_bytes": stored,
        "source_bytes": store.size_of("sources"),
        "exporter_bytes": store.size_of("exporters"),
        "reclaimable_bytes": freed.size,
        "free_bytes": shutil.disk_usage(root).free,
    }
    if printer.json:
        printer.record(record)
        return
    rows = (
        ("artifacts", str(len(digests)), size(stored)),
        ("fetched sources", "", size(record["source_bytes"])),
        ("exporters", "", size(record["exporter_bytes"])),
        ("prune would free", "", size(freed.size)),
        ("free on this disk", "", size(record["free_bytes"])),
    )
    printer.table(("what", "count", "size"), (*rows, ("folder", "", str(store.root))))


@click.command("cp", epilog=examples("gpux cp all-MiniLM-L6-v2 embedder", "gpux run embedder hello"))
@click.argument("model", shell_complete=completing.models)
@click.argument("name")
@talk
def cp_command(printer: Printer, model: str, name: str) -> None:
    """Give a stored model another name; no bytes are copied."""
    entry = gpux.Store().copy(model, name)
    if printer.json:
        printer.record(entry)
    else:
        printer.lines([f"{entry.name} is {entry.digest[:12]}"])


def _remedy(store: gpux.Store, name: str) -> str:
    try:
        entry = store.find(name)
        origin = store.read(entry.digest).reference if entry else None
    except gpux.errors.StoreError:
        origin = name
    return (
        f"gpux pull {origin} --force makes it anew" if origin else "gpux prune removes what no name points at"
    )


def _carry_out(printer: Printer, store: gpux.Store, removal: gpux.Removal, *, dry_run: bool) -> None:
    if not dry_run:
        store.remove(removal)
    if printer.json:
        printer.record({"dry_run": dry_run, "removal": removal})
        return
    verb = "would remove" if dry_run else "removed"
    lines = [f"{verb} the name {entry.name}" for entry in removal.entries]
    lines += [f"{verb} artifact {digest[:12]}" for digest in removal.digests]
    lines += [f"{verb} {path}" for path in removal.leftovers]
    printer.lines([*lines, f"{'would free' if dry_run else 'freed'} {size(removal.size)}"])


def _seconds(text: str | None) -> float | None:
    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,6})\s*(m|h|d|w)", text.strip().lower())
    if not match:
        raise gpux.errors.UsageError(f"`{text}` is no length of time", hint="write 90m, 12h, 30d or 8w")
    return int(match[1]) * {"m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}[match[2]]
