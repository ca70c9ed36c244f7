"""Threads against quotas, probes that did not work, looks that raise, pip's settings: records in, findings out."""

import pytest

from gpux.doctor import judge, network, run, threads
from gpux.doctor.check import Check
from gpux.errors import InvalidSetting
from gpux.hardware import Machine
from gpux.provider import Probe, Runtime, State


def machine(cores, allowed):
    return Machine("Linux", "6.8", "x86_64", "a processor", cores, allowed, None, ())


@pytest.mark.parametrize(
    ("allowed", "visible", "asked", "environment", "remedy"),
    [
        (64, 64, None, {}, None),
        (2, 64, None, {}, "export OMP_NUM_THREADS=2"),
        (2, 64, None, {"OMP_NUM_THREADS": "2"}, None),
        (2, 64, None, {"OMP_NUM_THREADS": "2,1"}, None),
        (2, 64, None, {"OMP_NUM_THREADS": "16"}, "export OMP_NUM_THREADS=2"),
        (2, 64, None, {"OMP_NUM_THREADS": "many"}, "export OMP_NUM_THREADS=2"),
        (2, 2, None, {}, None),  # the affinity, which every library counts
        (2, 2, None, {"OMP_NUM_THREADS": "16"}, None),
        (2, 64, 8, {"OMP_NUM_THREADS": "2"}, "export GPUX_THREADS=2"),
        (2, 64, 2, {"OMP_NUM_THREADS": "2"}, None),
    ],
)
def test_threads_against_a_quota(allowed, visible, asked, environment, remedy):
    (check,) = threads(machine(64, allowed), visible, asked, environment)
    assert (check.state, check.remedy) == ("note" if remedy else "ok", remedy)
    assert str(allowed) in check.finding


class Double:
    """A provider of which only the names are read."""

    settings = ()
    rank = 1

    def __init__(self, distribution="", native="Native", extra=""):
        self.runtime, self.extra = Runtime(distribution, native), extra


def judged(state, reason=None, hint=None, name="mine", provider=None):
    return judge([Probe(name, state, reason=reason, hint=hint)], {name: provider} if provider else {})


def test_a_provider_that_works():
    (check,) = judged(State.WORKS)
    assert (check.subject, check.state) == ("provider mine", "ok")


def test_a_plug_in_that_lists_no_device_says_so_with_its_own_line():
    reason, hint = "the plug-in lists no device", "sudo apt install intel-opencl-icd"
    (check,) = judged(State.INSTALLED, reason, hint)
    assert (check.state, check.finding, check.remedy) == ("note", reason, hint)


@pytest.mark.parametrize("hint", [None, "gpux doctor", "reinstall or uninstall onnxruntime-ep-mine"])
def test_a_hint_that_leads_nowhere_becomes_a_command(hint):
    (check,) = judged(State.LISTED, "it computed wrongly", hint, provider=Double("onnxruntime-ep-mine"))
    assert check.remedy == "pip install --force-reinstall onnxruntime-ep-mine"
    (check,) = judged(State.LISTED, "it computed wrongly", hint, provider=Double("x", extra="cpu"))
    assert check.remedy == "pip install --force-reinstall 'gpux[cpu]'"
    (check,) = judged(State.LISTED, "it computed wrongly", hint)
    assert check.remedy == "gpux providers --json"


def test_a_plug_in_that_cannot_be_loaded_is_named_by_its_entry_point():
    """Here gpux itself, by the entry point of its null provider."""
    broken = Double(native="gpux_providers.null:provider")
    (check,) = judged(State.INSTALLED, "broken", "reinstall or uninstall the package", provider=broken)
    assert check.remedy == "pip install --force-reinstall gpux"


def test_providers_that_nobody_installed_are_one_line():
    missing = [Probe(name, State.MISSING, reason="absent", hint="pip install x") for name in ("a", "b")]
    (check,) = judge(missing, {})
    assert (check.subject, check.state) == ("providers", "ok")
    assert check.finding.startswith("not installed: a, b")


def test_without_the_cpu_nothing_works():
    (check,) = judged(State.MISSING, "absent", "pip install 'gpux[cpu]'", name="cpu")
    assert (check.state, check.remedy) == ("fail", "pip install 'gpux[cpu]'")


def test_a_look_that_raises_is_a_finding_and_hides_no_other():
    def refused():
        raise InvalidSetting("`X` is `y`", hint="unset X", variable="X")

    def broken():
        return [1 / 0]

    fine = Check("fine", "ok", "fine")
    found = run({"refused": refused, "broken": broken, "fine": lambda: [fine]})
    assert [(c.subject, c.state, c.finding) for c in found] == [
        ("refused", "fail", "`X` is `y`"),
        ("broken", "fail", "this could not be looked at (ZeroDivisionError: division by zero)"),
        ("fine", "ok", "fine"),
    ]
    assert all(check.remedy for check in found[:2])


LISTED = """:env:.index-url='https://user:secret@env.invalid/simple'
download.index-url='https://download.invalid/simple'
global.cert='/etc/ssl/certs'
global.extra-index-url='https://one.invalid\\nhttps://two.invalid'
global.index-url='https://global.invalid/simple'
install.index-url='https://install.invalid/simple'
"""


def test_pips_settings_in_pips_order():
    settings = network._settings(LISTED)
    assert settings["index-url"] == "https://user:secret@env.invalid/simple"
    assert settings["cert"] == "/etc/ssl/certs"
    without = "\n".join(line for line in LISTED.splitlines() if not line.startswith(":env:"))
    assert network._settings(without)["index-url"] == "https://download.invalid/simple"
    assert network._settings("") == network._settings("nonsense\nglobal.x=[\n") == {}


def test_the_index_that_pip_itself_names():
    text = (
        "  -i, --index-url <url>   Base URL of the index (default https://index.invalid/simple). This should"
    )
    assert network._default(text) == "https://index.invalid/simple"
    assert network._default("no such option") is None
    assert network._host(network._default(network._pip("download", "--help")))
