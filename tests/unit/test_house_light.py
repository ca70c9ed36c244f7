"""Nothing heavy is imported before it is needed: looked up in ``sys.modules`` of fresh interpreters."""

import json
import subprocess
import sys

import pytest
from house import ROOT

HEAVY = {
    "numpy", "onnxruntime", "torch", "transformers", "tokenizers", "huggingface_hub", "onnx", "openvino",
    "sentence_transformers", "httpx", "requests", "PIL", "gpux_providers",
}  # fmt: skip

LOOK = """
import json, sys
before = set(sys.modules)
{code}
print("\\n" + json.dumps(sorted({{name.partition(".")[0] for name in set(sys.modules) - before}})))
"""
HELP = """
import gpux.cli
try:
    gpux.cli.main({arguments})
except SystemExit as done:
    assert not done.code, done.code
"""


def loaded(code):
    done = subprocess.run(
        [sys.executable, "-c", LOOK.format(code=code)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_import_gpux_imports_nothing_but_itself_and_a_little_of_the_standard_library():
    found = loaded("import gpux")
    assert "gpux" in found
    extra = found & {*HEAVY, "click", "rich", "filelock"}
    assert not extra, (
        f"`import gpux` imports {', '.join(sorted(extra))}: import them inside the functions that need them"
    )


def test_the_errors_and_settings_are_light_too():
    assert not loaded("import gpux\ngpux.errors.GpuxError\nimport gpux.settings, gpux.reference") & {
        *HEAVY,
        "click",
        "rich",
    }


def test_rendering_a_report_needs_no_numpy():
    assert not loaded("import gpux.bench.render, gpux.bench.report") & {*HEAVY, "click", "rich"}


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["run", "--help"], ["pull", "--help"]])
def test_help_imports_no_runtime_no_framework_and_no_server(arguments):
    found = loaded(HELP.format(arguments=arguments))
    assert {"gpux", "click"} <= found
    assert not found & HEAVY, (
        f"`gpux {' '.join(arguments)}` imports {', '.join(sorted(found & HEAVY))}: import them in the command"
    )


def test_the_look_sees_a_heavy_import():
    assert "numpy" in loaded("import gpux.selftest\ngpux.selftest.feeds()")
