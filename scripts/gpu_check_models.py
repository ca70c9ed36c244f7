"""The models of scripts/gpu_check: BERTs of random weights that it makes itself, packed for machines without the exporter.

The weights of all layers are windows of one short table of random numbers, so that a model of the size of BERT-base packs
to a few megabytes and unpacks to the byte; no two layers are alike.
"""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import gpux
from gpux import settings
from gpux._version import __version__
from gpux.artifact import Artifact
from gpux.errors import GpuxError, InvalidInput, UsageError
from gpux.export import toolchains

PREFIX = "random:"
SIZES = {
    "tiny": {
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 128,
        "max_position_embeddings": 128,
    },
    "base": {
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
        "max_position_embeddings": 512,
    },
}
MOST = 50 << 20
"""Bytes of a prepared folder."""

ARCHIVE, INDEX = "models.tar.xz", "prepared.json"

# Runs in the exporter's environment: FOLDER SIZES.
_MAKE = """
import json, sys
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast
folder, sizes = sys.argv[1], json.loads(sys.argv[2])
words = "the of and to in is you that it for on are with this have from not what all were when your can said".split()
letters = [chr(code) for code in range(33, 127) if not chr(code).isupper()]
pieces = ["##" + letter for letter in letters]
vocabulary = {token: i for i, token in enumerate(dict.fromkeys(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *letters, *words, *pieces]))}
text = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
text.normalizer = normalizers.BertNormalizer()
text.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
text.post_processor = processors.TemplateProcessing(
    single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
model = BertModel(BertConfig(vocab_size=len(vocabulary), **sizes)).eval()
table = torch.empty(1021).normal_(generator=torch.Generator().manual_seed(7))
start = 0
with torch.no_grad():
    for name, weight in sorted(model.named_parameters()):
        if weight.ndim > 1:
            window = table[(torch.arange(weight.numel()) + start) % len(table)]
            weight.copy_(window.view_as(weight) / weight.shape[-1] ** 0.5)
            start += 97
model.save_pretrained(folder)
PreTrainedTokenizerFast(tokenizer_object=text, pad_token="[PAD]", unk_token="[UNK]",
    model_max_length=sizes["max_position_embeddings"]).save_pretrained(folder)
"""


@dataclass(frozen=True, slots=True)
class Subject:
    """One model that is checked: what it is called, its artifact, and its checkpoint for PyTorch, where there is one."""

    name: str
    artifact: Artifact
    source: Path | None


def obtain(reference: str, *, progress: Any) -> Subject:
    """A model by reference, pulled where it is not stored; ``random:tiny`` and ``random:base`` are made here.

    Raises:
        GpuxError: It cannot be made or pulled.
    """
    if not reference.startswith(PREFIX):
        return Subject(reference, gpux.pull(reference, progress=progress), None)
    size = reference.removeprefix(PREFIX)
    if size not in SIZES:
        raise UsageError(
            f"there is no model `{reference}`",
            hint=f"those that are made here are {', '.join(PREFIX + name for name in SIZES)}",
        )
    folder = settings.home() / "gpu-check" / size
    if not (folder / "tokenizer.json").exists():
        make(folder, size)
    artifact = gpux.pull(str(folder), progress=progress)
    return Subject(reference, artifact, folder)


def make(folder: Path, size: str) -> None:
    """Write a checkpoint of random weights, by the exporter's PyTorch.

    Raises:
        GpuxError: There is no exporter, or it failed.
    """
    python = toolchains.require()
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [str(python), "-c", _MAKE, str(folder), json.dumps(SIZES[size])],
        env={**os.environ, **toolchains.ENVIRONMENT},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise GpuxError(f"the exporter could not make a model of random weights: {said}", hint="gpux doctor")


def prepare(folder: Path, references: list[str], *, progress: Any) -> dict[str, Any]:
    """Pack models into a folder from which :func:`unpack` takes them on a machine without exporter and network.

    Returns:
        What the index says.

    Raises:
        GpuxError: A model cannot be made, or they are larger than :data:`MOST` together.
    """
    subjects = [obtain(reference, progress=progress) for reference in references]
    folder.mkdir(parents=True, exist_ok=True)
    index = {"gpux": __version__, "models": [_entry(number, one) for number, one in enumerate(subjects)]}
    path = folder / ARCHIVE
    # The dictionary must reach back over what repeats: a few rows of every width.
    with tarfile.open(path, "w:xz", preset=1) as archive:
        for entry, one in zip(index["models"], subjects, strict=True):
            archive.add(one.artifact.directory, entry["artifact"], filter=_unmarked)
            if one.source is not None:
                archive.add(one.source, entry["source"])
    (folder / INDEX).write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")
    size = sum(file.stat().st_size for file in folder.iterdir())
    if size > MOST:
        path.unlink()
        raise InvalidInput(
            f"these models pack to {size >> 20} MiB, more than the {MOST >> 20} that travel",
            hint=f"prepare those of random weights: --model {PREFIX}tiny --model {PREFIX}base",
        )
    return index | {"bytes": size}


def unpack(folder: Path, target: Path) -> list[Subject]:
    """The models of a prepared folder, unpacked.

    Raises:
        GpuxError: It is none, or is damaged.
    """
    from gpux import artifact as artifacts

    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        with tarfile.open(folder / ARCHIVE) as archive:
            archive.extractall(target, filter="data")
    except (OSError, ValueError, EOFError, tarfile.TarError) as error:
        raise InvalidInput(
            f"`{folder}` is no folder that --prepare wrote: {error}",
            hint=f"scripts/gpu_check --prepare {folder}, where the exporter is",
            path=folder,
        ) from error
    return [
        Subject(
            entry["name"],
            artifacts.read(target / entry["artifact"]),
            target / entry["source"] if entry["source"] else None,
        )
        for entry in index["models"]
    ]


def describe(subject: Subject) -> dict[str, Any]:
    """What the report says of a model."""
    manifest = subject.artifact.manifest
    return {
        "name": subject.name,
        "digest": subject.artifact.digest,
        "task": subject.artifact.task,
        "architecture": manifest.architecture,
        "parameters": manifest.parameters,
        "variants": {one.name: one.certificate.quality for one in manifest.variants},
        "source": asdict(manifest.source)["reference"] if subject.source is None else "made by gpu_check",
    }


def _entry(number: int, one: Subject) -> dict[str, Any]:
    return {
        "name": one.name,
        "artifact": f"{number}/artifact/{one.artifact.digest}",
        "source": f"{number}/source" if one.source is not None else None,
    }


def _unmarked(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Without what this machine found out, and the stamp of its files."""
    parts = Path(member.name).parts
    return None if "machines" in parts[3:4] or parts[-1] == "stamp.json" else member
