"""Families of providers: one entry point that makes several, out of what it finds installed; a broken one stops no other."""

import pytest
from test_third_party import PLUG_IN, PROBE, install, python

FAMILY = (
    PLUG_IN.replace("provider = Numpy()", "")
    + """

class Named(Numpy):
    def __init__(self, name, *modules):
        self.name = name
        self.runtime = Runtime(f"gpux-{name}", f"{name.title()}Provider", modules)


def providers(packages):
    for name in packages("toys_"):
        yield Named(name, name)
    yield Named("other")
"""
)
LIST = """
import json
from gpux.discovery import discover
print(json.dumps({name: [one.runtime.native, one.probe().state] for name, one in discover().items()}))
"""


def family(folder, code=FAMILY, value="gpux_family:providers"):
    install(folder, "gpux-family", line="", code=code)
    (folder / "gpux_family-1.0.dist-info/entry_points.txt").write_text(
        f"[gpux.provider_families]\ntoys = {value}\n"
    )
    (folder / "toys_one").mkdir()
    (folder / "toys_one/__init__.py").write_text("1 / 0")
    (folder / "toys_no-name").mkdir()
    (folder / "toys_file").touch()
    return folder


def test_a_family_makes_a_provider_of_each_package_that_it_knows(tmp_path):
    found = python(family(tmp_path), LIST)
    assert {name: found[name] for name in found if "toys" in name or name == "other"} == {
        "toys_one": ["Toys_OneProvider", "works"],
        "other": ["OtherProvider", "works"],
    }


def test_a_provider_with_a_line_of_its_own_keeps_its_name_and_its_modules(tmp_path):
    one = PLUG_IN.replace(
        'Runtime("gpux-numpy", "NumpyProvider")', 'Runtime("gpux-numpy", "NumpyProvider", ("toys_one",))'
    )
    install(tmp_path, "gpux-numpy", line="numpy = gpux_numpy:provider", code=one)
    found = python(family(tmp_path, FAMILY.replace('Named("other")', 'Named("cpu")')), LIST)
    assert found["cpu"] == ["CPUExecutionProvider", "works"]
    assert "numpy" in found
    assert "toys_one" not in found


@pytest.mark.parametrize(
    ("code", "value", "message"),
    [
        (FAMILY, "gpux_family:nothing", "cannot be loaded (AttributeError"),
        ("1 / 0", "gpux_family:providers", "cannot be loaded (ZeroDivisionError"),
        (
            "providers = 1",
            "gpux_family:providers",
            "cannot be loaded (TypeError: 'int' object is not callable",
        ),
        ("def providers(packages): return None", "gpux_family:providers", "cannot be loaded (TypeError"),
        ("def providers(packages): return [1]", "gpux_family:providers", "is no provider"),
        (FAMILY + "    1 / 0", "gpux_family:providers", "cannot be loaded (ZeroDivisionError"),
        (
            FAMILY + "    raise SystemExit('enough')",
            "gpux_family:providers",
            "cannot be loaded (SystemExit: enough)",
        ),
    ],
)
def test_a_broken_family_says_so_and_the_others_work(tmp_path, code, value, message):
    states = {name: rest for name, *rest in python(family(tmp_path, code, value), PROBE)}
    assert states["cpu"][0] == "works"
    state, reason, hint, named = states["toys"]
    assert state == "installed"
    assert message in reason
    assert "install" in hint or "contract" in hint
    assert named == ["ProviderUnavailable", f"provider `toys` cannot run here: {reason}"]


def test_what_a_family_made_before_it_broke_stays(tmp_path):
    found = python(family(tmp_path, FAMILY + "    1 / 0"), LIST)
    assert found["toys_one"][1] == found["other"][1] == "works"


SETTING = 'Setting("speed", "How fast.", values=("slow", "quick"))'


@pytest.mark.parametrize(
    ("settings", "whole"),
    [("()", True), (f"({SETTING},)", True), (f"[{SETTING}]", False), (f"({SETTING}, 'speed')", False), ("None", False),
     ("property(lambda self: 1 / 0)", False)],
)  # fmt: skip
def test_settings_are_a_tuple_of_setting_or_it_is_no_provider(tmp_path, settings, whole):
    code = PLUG_IN.replace("rank = 1000", f"rank = 1000\n    settings = {settings}").replace(
        "Runtime, State", "Runtime, Setting, State"
    )
    install(tmp_path, "gpux-numpy", line="numpy = gpux_numpy:provider", code=code)
    state = python(tmp_path, LIST)["numpy"][1]
    assert state == ("works" if whole else "installed")
