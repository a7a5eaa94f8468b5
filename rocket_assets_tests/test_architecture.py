"""The line between the halves holds, and imports run one way."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import rocket_assets

ROOT = Path(rocket_assets.__file__).parent
MODULES = {
    ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(ROOT.rglob("*.py"))
}

# From the top down: a module imports from its own floor, or from one below it.
FLOORS = (
    ("rocket_assets.cli",),
    ("rocket_assets.backfill", "rocket_assets.rebuild"),
    ("rocket_assets.definitions",),
    (
        "rocket_assets.defs.schedules",
        "rocket_assets.defs.sensors",
        "rocket_assets.defs.workers",
        "rocket_assets.defs.pods",
    ),
    ("rocket_assets.defs.jobs",),
    ("rocket_assets.defs.assets", "rocket_assets.defs.freshness"),
    (
        "rocket_assets.defs.checks",
        "rocket_assets.defs.conditions",
        "rocket_assets.defs.metadata",
        "rocket_assets.defs.resources",
        "rocket_assets.defs.retention",
    ),
    ("rocket_assets.defs.partitions", "rocket_assets.defs.runs", "rocket_assets.defs.instance"),
    ("rocket_assets.defs.environment",),
    # The line. Nothing below imports dagster.
    ("rocket_assets.repair", "rocket_assets.tally"),
    ("rocket_assets.verification", "rocket_assets.watch", "rocket_assets.gallery.site", "rocket_assets.table"),
    ("rocket_assets.gallery.pages", "rocket_assets.gallery.thumbnails"),
    ("rocket_assets.gallery.summaries",),
    ("rocket_assets.gallery.cards",),
    ("rocket_assets.gallery.licences",),
    ("rocket_assets.months",),
    ("rocket_assets.bringing",),
    ("rocket_assets.archive", "rocket_assets.estimate", "rocket_assets.gallery.server"),
    ("rocket_assets.launch_library", "rocket_assets.images", "rocket_assets.notifications", "rocket_assets.memory"),
    ("rocket_assets.launches", "rocket_assets.network", "rocket_assets.storage", "rocket_assets.progress"),
    ("rocket_assets.documents", "rocket_assets.settings", "rocket_assets.precision"),
    ("rocket_assets.errors",),
)
ABOVE_THE_LINE = {"rocket_assets.cli", "rocket_assets.backfill", "rocket_assets.rebuild", "rocket_assets.definitions"}
PRIVATE = "rocket_assets.defs.instance"
EMPTY = {"rocket_assets", "rocket_assets.defs", "rocket_assets.gallery", "rocket_assets.sample_library"}
FLOOR_OF = {module: number for number, floor in enumerate(FLOORS) for module in floor}


def _is_below_the_line(module: str) -> bool:
    return module not in ABOVE_THE_LINE and not module.startswith("rocket_assets.defs")


def _imports(module: str) -> set[str]:
    """Every module that this one imports, wherever in the file it does so."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import"
            source = node.module or ""
            found |= {f"{source}.{name.name}" if f"{source}.{name.name}" in MODULES else source for name in node.names}
    return found


def test_every_module_has_its_floor() -> None:
    in_the_house = {module for module in MODULES if not module.startswith("rocket_assets.sample_library")} - EMPTY
    assert set(FLOOR_OF) == in_the_house


@pytest.mark.parametrize("module", FLOOR_OF)
def test_imports_run_downwards(module: str) -> None:
    upwards = {name for name in _imports(module) if FLOOR_OF.get(name, len(FLOORS)) < FLOOR_OF[module]}
    assert not upwards


@pytest.mark.parametrize("module", [module for module in MODULES if _is_below_the_line(module)])
def test_the_plain_half_never_imports_dagster(module: str) -> None:
    assert not {name for name in _imports(module) if name.split(".")[0].startswith("dagster")}


def test_importing_the_plain_half_brings_no_dagster_with_it() -> None:
    plain = [module for module in MODULES if _is_below_the_line(module)]
    code = f"import sys, {', '.join(plain)}\nprint([name for name in sys.modules if name.startswith('dagster')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("module", sorted(set(MODULES) - {PRIVATE}))
def test_nothing_is_imported_from_the_private_parts_of_dagster(module: str) -> None:
    assert not {name for name in _imports(module) if name.startswith("dagster._")}


def test_one_module_imports_from_the_private_parts_of_dagster_because_dagster_yaml_names_it() -> None:
    """Its own tests fail when they change."""
    assert {name for name in _imports(PRIVATE) if name.startswith("dagster._")}
    named = yaml.safe_load((ROOT.parent / "dagster.yaml").read_text())
    assert {part["module"] for part in named.values() if "module" in part} == {PRIVATE}


BEYOND_ONE = {
    "rocket_assets.defs.workers": {"celery", "dagster_celery"},
    "rocket_assets.defs.pods": {"dagster_k8s"},
}


@pytest.mark.parametrize("module", sorted(MODULES))
def test_what_only_several_machines_need_is_imported_only_there(module: str) -> None:
    """On one machine it need not be installed."""
    beyond = {"celery", "dagster_celery", "dagster_k8s", "dagster_postgres", "kubernetes", "psycopg2", "redis"}
    assert {name.split(".")[0] for name in _imports(module)} & beyond == BEYOND_ONE.get(module, set())
    assert not BEYOND_ONE.keys() & _imports(module)


@pytest.mark.parametrize("module", sorted(EMPTY))
def test_a_package_imports_nothing(module: str) -> None:
    assert not _imports(module)


@pytest.mark.parametrize("module", [module for module in MODULES if module.startswith("rocket_assets.sample_library")])
def test_the_sample_library_knows_nothing_of_the_rest(module: str) -> None:
    outside = {
        name
        for name in _imports(module)
        if name.startswith("rocket_assets") and not name.startswith("rocket_assets.sample_library")
    }
    assert not outside


@pytest.mark.parametrize("module", [module for module in MODULES if module.startswith("rocket_assets.defs.")])
def test_annotations_in_the_dagster_half_are_not_strings(module: str) -> None:
    """Dagster reads them; `from __future__ import annotations` would hide them."""
    assert "__future__" not in _imports(module)


@pytest.mark.parametrize("module", [module for module in MODULES if module != "rocket_assets.defs.environment"])
def test_the_environment_is_read_in_one_place_by_the_project_and_by_its_commands(module: str) -> None:
    reads = "os.environ" in MODULES[module].read_text() or "getenv" in MODULES[module].read_text()
    assert not reads or module == "rocket_assets.cli"


@pytest.mark.parametrize("module", [module for module in MODULES if module != "rocket_assets.defs.resources"])
def test_a_storage_is_opened_where_all_settings_say_and_not_by_its_uri_alone(module: str) -> None:
    """A bucket may be on another server than the one that is asked without a word."""
    calls = [node.func for node in ast.walk(ast.parse(MODULES[module].read_text())) if isinstance(node, ast.Call)]
    assert not [call for call in calls if isinstance(call, ast.Name) and call.id == "Storage"]


@pytest.mark.parametrize("module", [module for module in MODULES if not module.startswith("rocket_assets.sample")])
def test_only_the_commands_the_throttle_and_the_clock_of_the_sensors_know_what_time_it_is(module: str) -> None:
    """The window of the partition is the only clock inside an asset."""
    text = MODULES[module].read_text()
    asks = any(word in text for word in (".now(", ".today(", "utcnow(", "time.time("))
    assert not asks or module in (
        "rocket_assets.cli",
        "rocket_assets.backfill",
        "rocket_assets.definitions",
        "rocket_assets.launch_library",
    )


def test_every_module_has_its_test() -> None:
    tests = Path(__file__).parent
    missing = []
    for module, path in MODULES.items():
        relative = path.relative_to(ROOT)
        if path.name != "__init__.py" and not relative.parts[0].startswith("sample"):
            expected = tests / relative.parent / f"test_{relative.name}"
            missing += [module] if not expected.exists() else []
    assert not missing
