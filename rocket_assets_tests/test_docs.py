"""The documents tell the truth: the settings table, the commands, the map, and the two doors of the project."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from rocket_assets import settings
from rocket_assets.cli import main
from rocket_assets.sample_library import catalogue
from rocket_assets.sample_library.story import TRAVELLER

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()


def test_the_table_of_settings_is_that_of_the_code() -> None:
    rows = re.findall(r"^\| (ROCKET_ASSETS_\w+) \| (\S+) \|", README, re.MULTILINE)
    assert rows == [(setting.name, setting.default or "none") for setting in settings.ALL]


def test_the_example_of_an_environment_names_every_setting_with_its_default() -> None:
    lines = re.findall(r"^# (ROCKET_ASSETS_\w+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert lines == [(setting.name, setting.default) for setting in settings.ALL]


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_every_make_target_that_a_document_names_exists(document: str) -> None:
    named = set(re.findall(r"make (?!and|or|without)([a-z][a-z-]+)", (ROOT / document).read_text())) - {"two", "is"}
    assert named <= set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))


def test_every_command_and_option_is_in_the_readme() -> None:
    for name, command in main.commands.items():
        assert f"rocket-assets {name}" in README
        for parameter in command.params:
            if parameter.param_type_name == "option":
                assert parameter.opts[0] in README, (name, parameter.opts)


def test_the_map_of_the_package_shows_every_module() -> None:
    shown = re.findall(r"[├└]── (\w+(?:\.py|/))", README)
    folder = ROOT / "rocket_assets"
    parts = ["defs", "gallery"]
    modules = [*folder.glob("*.py"), *(path for part in parts for path in (folder / part).glob("*.py"))]
    there = [path.name for path in modules if path.name != "__init__.py"]
    assert sorted(shown) == sorted([*there, *(f"{part}/" for part in parts), "sample_library/"])


def test_every_file_that_the_readme_links_to_exists() -> None:
    for target in re.findall(r"\]\((?!http)([^)]+)\)", README):
        assert (ROOT / target).exists(), target


def test_every_test_that_the_page_on_security_names_exists() -> None:
    named = set(re.findall(r"`(test_\w+\.py)`", (ROOT / "SECURITY.md").read_text()))
    assert named
    assert named <= {path.name for path in (ROOT / "rocket_assets_tests").rglob("test_*.py")}


def test_both_doors_open_to_the_same_module() -> None:
    """`dg` reads pyproject.toml, everything else workspace.yaml, unless [tool.dagster] is there and wins in silence."""
    (location,) = yaml.safe_load((ROOT / "workspace.yaml").read_text())["load_from"]
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    assert location["python_module"] == tool["dg"]["project"]["code_location_target_module"]
    assert "dagster" not in tool


def test_every_dependency_is_pinned_and_all_of_dagster_at_one_version() -> None:
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    pinned = {name.lower().replace("_", "-") for name in pins}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    named = [*project["dependencies"], *(line for extra in extras for line in extra)]
    assert {re.split(r"[<>=\[]", line)[0].lower() for line in named} - {project["name"]} <= pinned
    assert len({pins[name] for name in ("dagster", "dagster-webserver", "dagster-graphql")}) == 1
    # What Dagster calls its libraries counts from 0.16 where it counts from 1.0.
    of_dagster = re.sub(r"^1\.(\d+)", lambda found: f"0.{int(found[1]) + 16}", pins["dagster"])
    assert {pins[name] for name in ("dagster-postgres", "dagster-celery")} == {of_dagster}


def test_the_changelog_counts_the_sample_library_right() -> None:
    assert f"{len(catalogue.launches('http://here'))} real launches" in (ROOT / "CHANGELOG.md").read_text()


def test_make_without_a_word_names_the_targets() -> None:
    said = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert {"demo", "gallery", "test", "dev", "dev-demo", "check"} <= set(
        re.findall(r"^make ([a-z-]+)", said, re.MULTILINE)
    )


Make = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Runs `make` in an empty folder, on the installation of these tests."""
    (tmp_path / "Makefile").write_text(MAKEFILE)
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv/bin").symlink_to(Path(sys.executable).parent)

    def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        env = {"PATH": os.environ["PATH"], **environ}
        return subprocess.run(
            ["make", "-o", ".venv/installed", *arguments], cwd=tmp_path, env=env, capture_output=True, text=True
        )

    return run


def test_make_test_all_runs_what_make_test_runs_and_what_it_leaves_out(make: Make) -> None:
    options = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]["addopts"]
    assert options.endswith("-m 'not slow'")
    installed = [part for name in ("dev", "axe", "azurite") for part in ("-o", f".venv/installed-{name}")]
    (some,) = make("-n", *installed, "test").stdout.splitlines()
    assert make("-n", *installed, "test-all").stdout.splitlines() == [f'{some} -m ""']


def test_make_dev_keeps_dagsters_records_in_the_folder_unless_it_is_told_where(make: Make, tmp_path: Path) -> None:
    assert f'DAGSTER_HOME="{tmp_path}/.dagster"' in make("-n", "dev").stdout
    assert 'DAGSTER_HOME="/my own/home"' in make("-n", "dev", DAGSTER_HOME="/my own/home").stdout


@pytest.mark.parametrize("target", ["dev", "dev-demo"])
def test_make_does_not_start_dagster_with_a_wrong_setting(make: Make, tmp_path: Path, target: str) -> None:
    (tmp_path / ".env").write_text("ROCKET_ASSETS_DAYS_AHEAD=abc\n")
    done = make(target, "PORT=0", "SAMPLE_PORT=0", "GALLERY_PORT=0")
    assert done.returncode == 2
    assert done.stderr.startswith("Error: ROCKET_ASSETS_DAYS_AHEAD is 'abc'; what fits is a whole number")
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("target", "taken"),
    [
        ("dev", "PORT"),
        ("dev", "GALLERY_PORT"),
        ("dev-demo", "PORT"),
        ("dev-demo", "SAMPLE_PORT"),
        ("dev-demo", "GALLERY_PORT"),
    ],
)
def test_make_says_how_to_choose_another_port(make: Make, target: str, taken: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        number = listening.getsockname()[1]
        ports = ("PORT", "SAMPLE_PORT", "GALLERY_PORT")
        done = make(target, *(f"{name}={number if name == taken else 0}" for name in ports))
    assert done.returncode == 2
    assert done.stdout == f"Port {number} cannot be listened on. Choose another: make {target} {taken}=…\n"


def _gallery(data: Path) -> Path:
    (page := data / "gallery/index.html").parent.mkdir(parents=True)
    page.write_text("here")
    return page


def test_make_gallery_says_where_ones_own_is_even_where_the_settings_name_another_storage(
    make: Make, tmp_path: Path
) -> None:
    _gallery(tmp_path / ".demo/data")
    own = _gallery(tmp_path / "own")
    (tmp_path / ".env").write_text("ROCKET_ASSETS_STORAGE=own\n")
    done = make("gallery")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{own}\n", "")


def test_make_gallery_says_that_it_is_that_of_the_demo_where_there_is_no_other(make: Make, tmp_path: Path) -> None:
    of_the_demo = _gallery(tmp_path / ".demo/data")
    (tmp_path / ".env").write_text("ROCKET_ASSETS_STORAGE=own\nROCKET_ASSETS_GALLERY_URL=https://example.org/\n")
    said, where = make("gallery").stdout.splitlines()
    assert said == "The gallery of the demo; there is none of your own yet:"
    assert where == str(of_the_demo)


def test_make_gallery_says_what_makes_one_where_there_is_none(make: Make) -> None:
    done = make("gallery")
    assert done.returncode == 2
    assert done.stderr.startswith("Error: There is no gallery in data yet. `rocket-assets backfill`")


def test_make_names_the_launch_of_the_story() -> None:
    assert TRAVELLER in MAKEFILE
