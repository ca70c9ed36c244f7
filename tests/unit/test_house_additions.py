"""A new task is one file, a new provider one file and its line in pyproject.toml: tried on a copy of the package."""

import json
import math
import os
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points

import docs_pages
import pytest
from house import ROOT

from gpux import tasks
from gpux.discovery import discover
from gpux.pipelines.pipeline import Pipeline

TASK = '''
"""Counts letters."""
from gpux.head import Head
from gpux.pipelines.pipeline import Pipeline, Table
class TaskPipeline(Pipeline):
    head = Head("AutoModel", (), ("last_hidden_state",))
    def is_item(self, inputs): return isinstance(inputs, str)
    def answer(self, items, clock, /): return [len(item) for item in items]
    def parse(self, text): return text
    def table(self, items, answers): return Table(("letters",), tuple((str(a),) for a in answers))
    def samples(self): return ["abc"]
'''

TRY_TASK = """
import json, sys
import gpux.tasks
from gpux.errors import UnknownTask
found = gpux.tasks.find("letter-count")
try:
    gpux.tasks.find("letter-cuont")
except UnknownTask as error:
    hint = error.hint
task = found.__new__(found)  # without an artifact to open
from gpux.pipelines.pipeline import Clock
print(json.dumps([gpux.__file__, list(gpux.tasks.names()), task.answer(["four"], Clock()), hint]))
"""

# The graph gives the mean of each colour, which the processor makes 1 of white and -1 of black.
TRY_EXAMPLE = """
import json
from pathlib import Path
from PIL import Image
from vision_tasks import SMALL, means_graph, open_task
import gpux
import task_reference
task = open_task(Path("model"), "image-scoring", means_graph(), {"preprocessor_config.json": SMALL, "config.json": {}})
pictures = [Image.new("RGB", (20, 30), colour) for colour in ("white", "black")]
answers = list(task.stream(pictures, scale=10))
table = task.table(pictures, answers)
print(json.dumps([gpux.__file__, answers, table.columns, table.rows, task_reference.page()]))
"""


@pytest.fixture
def copy(tmp_path):
    shutil.copytree(ROOT / "gpux", tmp_path / "gpux", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_a_task_is_added_by_one_file(copy):
    (copy / "gpux/tasks/letter_count.py").write_text(TASK)
    done = subprocess.run(
        [sys.executable, "-c", TRY_TASK], cwd=copy, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    file, names, answers, hint = json.loads(done.stdout)
    assert file.startswith(str(copy))
    assert set(names) == {*tasks.names(), "letter-count"}
    assert answers == [4]
    assert "letter-count" in hint


def test_the_task_that_the_guide_shows_is_one_file_too_and_documents_itself(copy):
    guide = docs_pages.blocks((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    shown = next(block.text for block in guide if "class TaskPipeline" in block.text)
    (copy / "gpux/tasks/image_scoring.py").write_text(shown)
    done = subprocess.run(
        [sys.executable, "-c", TRY_EXAMPLE],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (copy, ROOT / "tests", ROOT / "scripts")))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    file, answers, columns, rows, page = json.loads(done.stdout)
    assert file.startswith(str(copy))
    white, black = (10 / (1 + math.exp(-mean)) for mean in (1, -1))
    assert answers == pytest.approx([white, black], abs=1e-5)
    assert columns == ["image", "score"]
    assert rows == [["image 0", f"{white:.4f}"], ["image 1", f"{black:.4f}"]]
    row = "| [`image-scoring`](#image-scoring) | image | one number for each picture, such as how well people like it | `scale` |"
    assert row in page.splitlines()
    assert "| `scale` | `1.0` | What a score from 0 to 1 is multiplied by. |" in page.splitlines()


def test_every_name_in_the_list_of_tasks_is_a_task():
    wrong = []
    for name in tasks.names():
        try:
            if not issubclass(tasks.find(name), Pipeline):
                wrong.append(name)
        except AttributeError:
            wrong.append(name)
    assert not wrong, f"gpux.tasks.names() lists files that define no TaskPipeline: {', '.join(wrong)}"


def test_every_task_file_is_in_the_list():
    files = (ROOT / "gpux/tasks").glob("*.py")
    have = {
        path.stem.replace("_", "-")
        for path in files
        if "\nclass TaskPipeline" in path.read_text(encoding="utf-8")
    }
    assert have == set(tasks.names())


def _declared():
    with (ROOT / "pyproject.toml").open("rb") as stream:
        return tomllib.load(stream)["project"]["entry-points"]["gpux.providers"]


def test_each_provider_is_one_file_and_one_line():
    files = {path.stem for path in (ROOT / "providers").glob("*.py") if not path.stem.startswith("_")}
    named = {name.replace("_", "-"): f"gpux_providers.{name}:provider" for name in files}
    assert _declared() == named, (
        'give every file in providers/ its line under [project.entry-points."gpux.providers"], and no line without a file'
    )


def test_a_provider_is_called_as_its_file_is():
    for name, value in _declared().items():
        assert discover()[name].name == name
        assert type(discover()[name].inner).__module__ == value.partition(":")[0]


def test_the_installed_entry_points_are_those_of_pyproject():
    mine = {
        e.name: e.value
        for e in entry_points(group="gpux.providers")
        if e.dist is not None and e.dist.name == "gpux"
    }
    assert mine == _declared(), "install gpux again: pip install -e ."
