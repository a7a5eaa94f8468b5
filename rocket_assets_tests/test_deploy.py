"""What `deploy/` ships fits: its formats, the commands and settings that it names, and the parts together.

What takes an engine or a cluster is not tried here; the README of each way says so.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
import yaml

from rocket_assets import settings
from rocket_assets.cli import main
from rocket_assets.sample_library.server import LibraryServer
from rocket_assets_tests.doors import BIN, ROOT, listening, listens, running
from rocket_assets_tests.programs import HOST, free_port, program

DEPLOY = ROOT / "deploy"
COMPOSE, KUBERNETES, SYSTEMD = DEPLOY / "compose", DEPLOY / "kubernetes", DEPLOY / "systemd"

_Row = dict[str, Any]


def _read(path: Path) -> _Row:
    return yaml.safe_load(path.read_text())


SERVICES: Mapping[str, _Row] = _read(COMPOSE / "compose.yaml")["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
INSTANCE = _read(COMPOSE / "dagster.yaml")
VALUES = _read(KUBERNETES / "values.yaml")

OF_OURS = {setting.name for setting in settings.ALL}
SECRET = re.compile(r"PASSWORD|SECRET|HASH|TOKEN|_KEY|NOTIFY|AUTH")


def _takes(command: list[str]) -> subprocess.CompletedProcess[str]:
    """A command with its options, asked for its help: it refuses options that it does not have, and does nothing."""
    at = shutil.which(command[0], path=str(BIN))
    assert at, f"{command[0]} is not installed with us"
    return subprocess.run([at, *command[1:], "--help"], capture_output=True, text=True, timeout=120)


# Docker Compose

_Compose = Callable[..., subprocess.CompletedProcess[str]]


def test_the_compose_file_is_one_by_the_specification() -> None:
    checked = [BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE / "compose.yaml"]
    done = subprocess.run(checked, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def _placeholders() -> list[tuple[str, str, str]]:
    """Each `${NAME}` of the compose file, with what stands before and after the colon of its default."""
    text = re.sub(r"^\s*#.*", "", (COMPOSE / "compose.yaml").read_text(), flags=re.MULTILINE)
    return re.findall(r"(?<!\$)\$\{(\w+)(:?[-?])([^}]*)\}", text)


REQUIRED = sorted({name for name, how, _ in _placeholders() if how == ":?"})


def _example() -> dict[str, str]:
    lines = re.findall(r"^(\w+)=(.*)$", (COMPOSE / ".env.example").read_text(), re.MULTILINE)
    return dict(lines)


def test_what_nothing_starts_without_is_what_the_example_asks_for() -> None:
    assert {name for name, value in _example().items() if not value} == set(REQUIRED)
    assert {"SITE", "LOGIN_USER", "LOGIN_HASH", "POSTGRES_PASSWORD", "REDIS_PASSWORD"} < set(REQUIRED)


def test_each_secret_comes_from_the_environment_and_has_no_default() -> None:
    for name, how, default in _placeholders():
        assert not (SECRET.search(name) and how != ":?" and default), name
    for service, described in SERVICES.items():
        for name, value in described.get("environment", {}).items():
            if SECRET.search(name):
                assert re.fullmatch(r"\$\{\w+:[?-][^}]*\}", value), (service, name)


def test_every_variable_of_the_compose_file_is_a_setting_or_in_the_example() -> None:
    example = (COMPOSE / ".env.example").read_text()
    for name, _, _ in _placeholders():
        assert name in OF_OURS or re.search(rf"^(?:# )?{name}=", example, re.MULTILINE), name


# Of the programs that are not ours, by their manuals.
_KNOWN = {
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "DAGSTER_POSTGRES_URL",
    "DAGSTER_CELERY_BROKER_URL",
    "DAGSTER_CELERY_BACKEND_URL",
}


@pytest.mark.parametrize("name", sorted(OURS))
def test_what_a_service_of_ours_has_as_its_environment_is_known(name: str) -> None:
    assert set(OURS[name].get("environment", {})) <= OF_OURS | _KNOWN


@pytest.mark.parametrize("name", ["code", "worker"])
def test_every_setting_reaches_who_works_by_it(name: str) -> None:
    assert set(OURS[name]["environment"]) == OF_OURS | _KNOWN


@pytest.mark.parametrize("name", ["webserver", "webserver-public", "daemon", "migrate"])
def test_who_only_keeps_records_knows_nothing_of_files_and_of_the_api(name: str) -> None:
    assert all(variable.startswith("DAGSTER_") for variable in OURS[name]["environment"])


def test_what_dagster_reads_from_the_environment_is_there() -> None:
    def wanted(part: Any) -> Iterator[str]:
        if isinstance(part, dict):
            if list(part) == ["env"]:
                yield part["env"]
            for value in part.values():
                yield from wanted(value)

    assert (variables := set(wanted(INSTANCE)))
    for name in ("webserver", "webserver-public", "daemon", "migrate", "code", "worker"):
        assert variables <= set(OURS[name]["environment"]), name


def test_only_the_proxy_can_be_reached_from_outside() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["proxy"]
    # One in the network of the machine could be, too, and one in that of another service loses it with that.
    assert not [name for name, service in SERVICES.items() if "network_mode" in service]


@pytest.mark.parametrize(
    ("network", "who"),
    [
        ("outside", {"proxy", "gallery", "code", "worker"}),
        ("doors", {"proxy", "gallery", "webserver", "webserver-public"}),
        ("records", {"webserver", "webserver-public", "daemon", "code", "worker", "migrate", "postgres", "redis"}),
        ("files", {"gallery", "code", "worker", "store"}),
    ],
)
def test_nobody_is_in_a_network_that_he_does_not_need(network: str, who: set[str]) -> None:
    assert {name for name, service in SERVICES.items() if network in service.get("networks", ())} == who
    described = _read(COMPOSE / "compose.yaml")["networks"][network] or {}
    assert described.get("internal", False) is (network != "outside")


def test_every_image_has_a_version() -> None:
    images = [service["image"] for service in SERVICES.values()]
    images += re.findall(r"^FROM (\S+)", (COMPOSE / "Dockerfile").read_text(), re.MULTILINE)
    for image in images:
        assert re.fullmatch(r"[\w./-]+:v?\d+(?:\.\d+)*(?:-[\w.-]+)?", image), image


@pytest.mark.parametrize("name", sorted(OURS))
def test_every_command_is_one_that_we_have(name: str) -> None:
    command = OURS[name]["command"]
    if command[:2] == ["python", "-m"]:
        assert (ROOT / f"{command[2].replace('.', '/')}.py").exists()
        return
    done = _takes(command)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", sorted(set(SERVICES) - {"migrate"}))
def test_every_service_tells_whether_it_is_well_and_comes_up_again(name: str) -> None:
    check = SERVICES[name]["healthcheck"]["test"]
    assert check[0] in ("CMD", "CMD-SHELL")
    assert SERVICES[name]["restart"] == "unless-stopped"


def test_records_are_brought_up_to_date_before_anybody_reads_them() -> None:
    readers = {name for name, service in OURS.items() if "DAGSTER_POSTGRES_URL" in service["environment"]} - {"migrate"}
    for name in readers:
        assert OURS[name]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
    assert OURS["migrate"]["restart"] == "no"


def test_there_are_as_many_places_as_runs_at_once() -> None:
    """A run that waits for the throttle of the API keeps its place."""
    command = OURS["worker"]["command"]
    each = int(command[command.index("--concurrency") + 1])
    (workers,) = re.findall(r":-(\d+)", OURS["worker"]["deploy"]["replicas"])
    assert int(workers) * each >= INSTANCE["concurrency"]["runs"]["max_concurrent_runs"]


def test_the_webserver_for_anybody_changes_nothing_and_is_not_there_unless_asked_for() -> None:
    public, ours = OURS["webserver-public"], OURS["webserver"]
    assert public["command"] == [*ours["command"], "--read-only"]
    assert public["profiles"] == ["public"]
    assert "COMPOSE_PROFILES=store\n" in (COMPOSE / ".env.example").read_text()


def test_the_code_location_is_where_the_others_look_for_it() -> None:
    (location,) = _read(COMPOSE / "workspace.yaml")["load_from"]
    host, port = location["grpc_server"]["host"], str(location["grpc_server"]["port"])
    assert OURS[host]["command"][-2:] == ["-p", port]
    assert OURS[host]["healthcheck"]["test"][-2:] == ["-p", port]
    (ours,) = _read(ROOT / "workspace.yaml")["load_from"]
    assert ours["python_module"] in OURS[host]["command"]


def test_the_code_location_has_the_name_that_it_has_on_a_laptop() -> None:
    """Dagster keeps the switches and the memory of sensors by it."""
    (ours,) = _read(ROOT / "workspace.yaml")["load_from"]
    for way in (COMPOSE, SYSTEMD):
        (location,) = _read(way / "workspace.yaml")["load_from"]
        assert location["grpc_server"]["location_name"] == ours["python_module"]


def test_the_proxy_looks_for_everybody_where_they_are_and_knows_all_that_it_needs() -> None:
    found = re.findall(r"\{\$(\w+)(?::([^}]*))?\}", (COMPOSE / "Caddyfile").read_text())
    for name, default in found:
        assert default or name in SERVICES["proxy"]["environment"], name
    behind = dict(found) | SERVICES["proxy"]["environment"]
    doors = {"WEBSERVER": "webserver", "PUBLIC_WEBSERVER": "webserver-public", "GALLERY": "gallery"}
    for variable, service in doors.items():
        (port,) = [word for word in SERVICES[service]["command"] if word.isdigit()]
        assert behind[variable] == f"{service}:{port}"
        assert "0.0.0.0" in SERVICES[service]["command"]  # noqa: S104 - nobody else is in its network


def _is_of_today(command: list[str]) -> bool:
    """Whether it is Docker Compose of version 2 or newer; the first one did not know the specification."""
    said = subprocess.run([*command, "version", "--short"], capture_output=True, text=True)
    return said.returncode == 0 and bool(re.match(r"v?([2-9]|\d\d)\.", said.stdout))


@pytest.mark.parametrize(
    ("says", "is_of_today"),
    [
        ("echo 2.40.3", True),
        ("echo v5.0.0", True),
        ("echo 1.29.2", False),
        ("true", False),
        ("echo 2.40.3; false", False),
    ],
)
def test_a_docker_compose_is_known_by_what_it_says_of_itself(tmp_path: Path, says: str, is_of_today: bool) -> None:
    (program := tmp_path / "docker-compose").write_text(f"#!/bin/sh\n{says}\n")
    program.chmod(0o755)
    assert _is_of_today([str(program)]) is is_of_today


@pytest.fixture
def compose(tmp_path: Path) -> _Compose:
    """Docker Compose itself, where it is installed: it reads the file as it would to start it."""
    found = next(
        (
            command
            for command in (["docker", "compose"], ["docker-compose"])
            if shutil.which(command[0]) and _is_of_today(command)
        ),
        None,
    )
    if found is None:
        pytest.skip("There is no Docker Compose of version 2 or newer.")

    def read(**given: str) -> subprocess.CompletedProcess[str]:
        file = tmp_path / "env"
        file.write_text("".join(f"{name}='{value}'\n" for name, value in given.items()))
        arguments = ["--env-file", str(file), "-f", str(COMPOSE / "compose.yaml"), "--profile", "*"]
        return subprocess.run([*found, *arguments, "config", "--format", "json"], capture_output=True, text=True)

    return read


def test_docker_compose_takes_the_file_and_leaves_the_hash_of_the_password_as_it_is(compose: _Compose) -> None:
    given = dict.fromkeys(REQUIRED, "abc") | {"LOGIN_HASH": "$2a$14$abc"}
    done = compose(**given)
    assert done.returncode == 0, done.stderr
    assert "variable is not set" not in done.stderr
    read = json.loads(done.stdout)["services"]
    assert set(read) == set(SERVICES)
    assert read["proxy"]["environment"]["LOGIN_HASH"].replace("$$", "$") == "$2a$14$abc"


@pytest.mark.parametrize("name", REQUIRED)
def test_docker_compose_starts_nothing_without_what_is_required(compose: _Compose, name: str) -> None:
    done = compose(**dict.fromkeys(REQUIRED, "abc") | {name: ""})
    assert done.returncode != 0
    assert name in done.stderr


# The image


def _instructions() -> list[tuple[str, str]]:
    text = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", (COMPOSE / "Dockerfile").read_text(), flags=re.MULTILINE))
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in text.splitlines() if line)]


def test_all_that_the_image_is_made_of_is_there_and_is_let_through() -> None:
    copied = [source for word, rest in _instructions() if word == "COPY" for source in rest.split()[:-1]]
    sources = [source for source in copied if not source.startswith(("--", "/"))]
    assert sources
    let_through = re.findall(r"^!(\S+)$", (COMPOSE / "Dockerfile.dockerignore").read_text(), re.MULTILINE)
    assert sorted(let_through) == sorted(sources)
    for source in sources:
        assert (ROOT / source).exists(), source
    # What is a link in the package must come along.
    for link in (path for path in (ROOT / "rocket_assets").rglob("*") if path.is_symlink()):
        assert str(link.resolve().relative_to(ROOT)) in sources


@pytest.mark.parametrize("name", ["code", "webserver", "webserver-public"])
def test_the_logs_of_ticks_are_in_a_folder_that_is_shared(name: str) -> None:
    """In `storage` of the home, as `test_instance` says, which the image has, so that its user may write there."""
    (home,) = re.findall(r"DAGSTER_HOME=(\S+)", (COMPOSE / "Dockerfile").read_text())
    assert "install --directory --owner=dagster $DAGSTER_HOME/storage" in (COMPOSE / "Dockerfile").read_text()
    (mounted,) = SERVICES[name]["volumes"]
    assert mounted.removesuffix(":ro") == f"ticks:{home}/storage"


def test_the_image_runs_as_nobody_in_particular_on_what_was_tested() -> None:
    last = [index for index, (word, _) in enumerate(_instructions()) if word == "FROM"][-1]
    final = _instructions()[last:]
    users = [rest for word, rest in final if word == "USER"]
    assert users
    assert int(users[-1]) > 0
    assert not any("pip" in rest for word, rest in final if word == "RUN")
    (installs,) = [rest for word, rest in _instructions() if word == "RUN" and "pip install" in rest]
    assert "-c constraints.txt" in installs
    (extras,) = [rest.partition("=")[2] for _, rest in _instructions() if rest.startswith("EXTRAS=")]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(extras.split(",")) <= set(project["optional-dependencies"])
    assert all(service["image"].endswith(f":{project['version']}") for service in OURS.values())


# Kubernetes


def _snake(part: Any) -> Any:
    """Words as dagster.yaml spells them, where the chart's values spell them otherwise."""
    if isinstance(part, list):
        return [_snake(one) for one in part]
    if not isinstance(part, dict):
        return part
    kept = ("applyLimitPerUniqueValue",)
    return {
        key if key in kept else re.sub(r"[A-Z]", lambda found: f"_{found[0].lower()}", key): _snake(value)
        for key, value in part.items()
    }


def _less(part: Mapping[str, Any], *names: str) -> _Row:
    return {name: value for name, value in part.items() if name not in names}


def test_runs_are_limited_and_tried_again_on_kubernetes_as_with_compose() -> None:
    daemon = _snake(VALUES["dagsterDaemon"])
    assert _less(_snake(VALUES["concurrency"]), "enabled") == INSTANCE["concurrency"]
    assert VALUES["concurrency"]["enabled"]
    assert daemon["run_retries"] == INSTANCE["run_retries"]
    of_the_launcher = ("poll_interval_seconds", "start_timeout_seconds")
    assert _less(daemon["run_monitoring"], *of_the_launcher) == _less(INSTANCE["run_monitoring"], *of_the_launcher)


def test_ticks_are_forgotten_on_kubernetes_as_with_compose() -> None:
    assert VALUES["retention"]["enabled"]
    for name, described in INSTANCE["retention"].items():
        kept = _snake(VALUES["retention"])[name]["purge_after_days"]
        # The chart names one kind of tick more.
        assert (_less(kept, "started") if isinstance(kept, dict) else kept) == described["purge_after_days"]


def test_everything_of_dagsters_on_kubernetes_is_our_image_of_this_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (code,) = VALUES["dagster-user-deployments"]["deployments"]
    images = [code["image"], VALUES["dagsterWebserver"]["image"], VALUES["dagsterDaemon"]["image"]]
    assert {image["tag"] for image in images} == {project["version"]}
    assert len({image["repository"] for image in images}) == 1


def test_the_code_location_on_kubernetes_is_ours_and_its_settings_are_known() -> None:
    (code,) = VALUES["dagster-user-deployments"]["deployments"]
    done = _takes(["dagster", "api", "grpc", "-p", str(code["port"]), *code["dagsterApiGrpcArgs"]])
    assert done.returncode == 0, done.stderr
    (ours,) = _read(ROOT / "workspace.yaml")["load_from"]
    assert ours["python_module"] in code["dagsterApiGrpcArgs"]
    given = {one["name"] for one in code["env"]}
    assert given <= OF_OURS
    assert not any(SECRET.search(name) for name in given)
    assert code["includeConfigInLaunchedRuns"]["enabled"]


def test_all_that_bears_the_name_of_the_release_bears_that_of_the_page() -> None:
    (release,) = re.findall(r"helm upgrade --install (\S+)", (KUBERNETES / "README.md").read_text())
    launcher = VALUES["runLauncher"]["config"]["customRunLauncher"]["config"]
    assert launcher["instance_config_map"] == f"{release}-dagster-instance"
    assert f"{release}-dagster-webserver-read-only" in (KUBERNETES / "public.yaml").read_text()
    assert f"deploy/{release}-dagster-user-deployments-rocket-assets" in (KUBERNETES / "README.md").read_text()


def test_no_secret_stands_in_the_values() -> None:
    def leaves(part: Any, name: str = "") -> Iterator[tuple[str, Any]]:
        if isinstance(part, dict):
            for key, value in part.items():
                yield from leaves(value, key)
        elif isinstance(part, list):
            for one in part:
                yield from leaves(one, name)
        else:
            yield name, part

    assert not [name for name, value in leaves(VALUES) if re.search(r"(?i)password$|token|secretkey", name) and value]


def test_on_kubernetes_a_login_is_asked_for_but_at_the_readers_own_door() -> None:
    annotations = VALUES["ingress"]["annotations"]
    assert {"nginx.ingress.kubernetes.io/auth-url", "nginx.ingress.kubernetes.io/auth-signin"} <= set(annotations)
    public = _read(KUBERNETES / "public.yaml")
    assert not public["metadata"].get("annotations")
    (rule,) = public["spec"]["rules"]
    service = rule["http"]["paths"][0]["backend"]["service"]
    assert service["name"].endswith("-read-only")
    port = VALUES["dagsterWebserver"]["service"]["port"]
    assert service["port"]["number"] == port == VALUES["dagsterWebserver"]["readinessProbe"]["httpGet"]["port"]
    assert VALUES["dagsterWebserver"]["enableReadOnly"]
    hosts = {VALUES["ingress"][name]["host"] for name in ("dagsterWebserver", "readOnlyDagsterWebserver")}
    assert len({*hosts, rule["host"]}) == 3


def test_past_the_login_nobody_reaches_a_webserver_or_the_code_location() -> None:
    """The labels are those of the chart."""
    webservers, code = yaml.safe_load_all((KUBERNETES / "network.yaml").read_text())
    (deployed,) = VALUES["dagster-user-deployments"]["deployments"]
    doors = {"dagster-webserver", "dagster-webserver-read-only"}
    assert set(webservers["spec"]["podSelector"]["matchExpressions"][0]["values"]) == doors
    assert code["spec"]["podSelector"]["matchLabels"]["component"] == "user-deployments"
    for policy, port in ((webservers, VALUES["dagsterWebserver"]["service"]["port"]), (code, deployed["port"])):
        (way,) = policy["spec"]["ingress"]
        assert policy["spec"]["policyTypes"] == ["Ingress"]
        assert way["ports"] == [{"port": port}]
        assert len(way["from"]) == 1
    (outside,), (inside,) = (policy["spec"]["ingress"][0]["from"] for policy in (webservers, code))
    assert outside["namespaceSelector"]["matchLabels"] == {
        "kubernetes.io/metadata.name": f"ingress-{VALUES['ingress']['ingressClassName']}"
    }
    assert set(inside["podSelector"]["matchExpressions"][0]["values"]) == doors | {"dagster-daemon"}


# All of them


@pytest.mark.parametrize("path", [ROOT / "dagster.yaml", *sorted(DEPLOY.rglob("dagster.yaml"))], ids=str)
def test_telemetry_is_off_and_nobody_is_greeted(path: Path) -> None:
    assert _read(path)["telemetry"] == {"enabled": False}
    assert _read(path)["nux"] == {"enabled": False}


def test_telemetry_is_off_on_kubernetes() -> None:
    assert VALUES["telemetry"] == {"enabled": False}


PAGES = sorted(DEPLOY.rglob("README.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_each_page_names_what_there_is(page: Path) -> None:
    text = page.read_text()
    assert set(re.findall(r"rocket-assets ([a-z][a-z-]+)\b(?= |`|$)", text)) <= set(main.commands)
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", text):
        assert (page.parent / target).exists(), target
    assert len(text.splitlines()) < 110


@pytest.mark.parametrize("way", [COMPOSE, KUBERNETES, SYSTEMD], ids=lambda way: way.name)
def test_each_way_says_how_it_has_been_tried(way: Path) -> None:
    assert re.search(r"has\s+not\s+been\s+run", (way / "README.md").read_text())


# systemd

UNITS = sorted([*SYSTEMD.glob("*.service"), *SYSTEMD.glob("*.target")])


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units where systemd finds them, with the programs of this installation."""
    folder = tmp_path / "units"
    shutil.copytree(SYSTEMD, folder)
    for unit in folder.glob("*.service"):
        unit.write_text(unit.read_text().replace("/opt/rocket_assets/.venv/bin", str(BIN)))
    return folder


def _analyze(units: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": os.environ["PATH"], "SYSTEMD_UNIT_PATH": f"{units}:", "SYSTEMD_COLORS": "0"}
    return subprocess.run(
        [program("systemd-analyze", "systemd"), *map(str, arguments)], env=environ, capture_output=True, text=True
    )


@pytest.mark.parametrize("name", [unit.name for unit in UNITS])
def test_systemd_has_nothing_to_say_against_a_unit(units: Path, name: str) -> None:
    done = _analyze(units, "verify", units / name)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize("name", [unit.name for unit in UNITS if unit.suffix == ".service"])
def test_a_service_has_few_rights(units: Path, name: str) -> None:
    """By systemd's own count, from 0 to 10 in tenths; a service that asks for nothing has 9.6."""
    done = _analyze(units, "security", "--offline=true", "--threshold=20", units / name)
    assert done.returncode == 0, done.stdout


def test_all_services_begin_and_end_with_the_target_and_write_nowhere_else() -> None:
    wanted = re.findall(r"[\w-]+\.service", (SYSTEMD / "rocket-assets.target").read_text())
    assert sorted(wanted) == [unit.name for unit in UNITS if unit.suffix == ".service"]
    common = (SYSTEMD / "rocket-assets-.service.d/common.conf").read_text()
    assert "PartOf=rocket-assets.target\n" in common
    assert "ProtectSystem=strict\n" in common


def test_the_daemon_is_not_there_while_the_code_location_ends_and_refuses_runs() -> None:
    daemon = (SYSTEMD / "rocket-assets-daemon.service").read_text()
    assert re.search("^After=rocket-assets-code.service$", daemon, re.MULTILINE)
    assert re.search("^PartOf=rocket-assets-code.service$", daemon, re.MULTILINE)


class Server:
    """The lines of the units, run as systemd would, but for other folders and ports."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = {"3000": free_port(), "3001": free_port()}
        common = self._local((SYSTEMD / "rocket-assets-.service.d/common.conf").read_text())
        for line in re.findall(r"^StateDirectory=(.*)$", common, re.MULTILINE):
            for name in line.split():
                (folder / "var" / name).mkdir(parents=True)
        (folder / "run").mkdir()
        (folder / "workspace.yaml").write_text(self._local((SYSTEMD / "workspace.yaml").read_text()))
        given = re.findall(r"^Environment=(\w+)=(.*)$", common, re.MULTILINE)
        self.environ = {"PATH": os.environ["PATH"], "HOME": str(folder), **dict(given)}

    def lines(self, name: str, kind: str) -> list[str]:
        """The lines of one kind in a unit, as this machine can run them."""
        text = (SYSTEMD / f"rocket-assets-{name}.service").read_text()
        return [self._local(line) for line in re.findall(rf"^{kind}=(.*)$", text, re.MULTILINE)]

    def run(self, line: str) -> subprocess.CompletedProcess[str]:
        """A line that comes to an end."""
        at = self.folder / "var/rocket-assets"
        return subprocess.run(["sh", "-c", line], cwd=at, env=self.environ, capture_output=True, text=True, timeout=120)

    def _local(self, text: str) -> str:
        places = {
            "/opt/rocket_assets/.venv/bin": BIN,
            "/opt/rocket_assets/deploy/systemd": self.folder,
            "/var/lib": self.folder / "var",
            "/run/rocket-assets": self.folder / "run",
        }
        for there, here in places.items():
            text = text.replace(there, str(here))
        return re.sub(r"\b(300[01])\b", lambda found: str(self.ports[found[1]]), text)

    @contextmanager
    def serving(self, name: str, is_there: Callable[[], bool]) -> Iterator[psutil.Process]:
        """A service that is there."""
        (line,) = self.lines(name, "ExecStart")
        (folder := self.folder / "log" / name).mkdir(parents=True)
        with running(["sh", "-c", f"exec {line}"], self.environ, folder, is_there) as process:
            yield process


_LAUNCH = """mutation($run: ExecutionParams!) {
    launchRun(executionParams: $run) { ... on LaunchRunSuccess { run { id } } } }"""
_LIVENESS = f"{BIN}/dagster-daemon liveness-check"

_DAY = "2024-12-05"
_RUN = {
    "selector": {
        "repositoryLocationName": "rocket_assets.definitions",
        "repositoryName": "__repository__",
        "jobName": "__ASSET_JOB",
        "assetSelection": [{"path": ["launches"]}],
    },
    "executionMetadata": {"tags": [{"key": "dagster/partition", "value": _DAY}]},
}


@pytest.mark.slow
def test_the_services_of_one_server_bring_a_day_and_listen_on_loopback(
    tmp_path: Path, sample_library: LibraryServer
) -> None:
    server = Server(tmp_path)
    server.environ |= {"ROCKET_ASSETS_API_URL": sample_library.url, "ROCKET_ASSETS_END_DATE": "2025-12-31"}
    ui, gallery = (int(server.ports[port]) for port in ("3000", "3001"))
    for line in server.lines("code", "ExecStartPre"):
        assert server.run(line).returncode == 0

    def ask(query: str, **variables: Any) -> Any:
        asked = {"query": query, "variables": variables}
        return requests.post(f"http://{HOST}:{ui}/graphql", json=asked, timeout=60).json()["data"]

    def status() -> str:
        return ask("query($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }", id=run)["runOrError"][
            "status"
        ]

    with ExitStack() as stack:
        code = stack.enter_context(server.serving("code", (tmp_path / "run/code.sock").exists))
        for line in server.lines("code", "ExecStartPost"):
            assert server.run(line).returncode == 0
        daemon = stack.enter_context(server.serving("daemon", lambda: server.run(_LIVENESS).returncode == 0))
        webserver = stack.enter_context(server.serving("webserver", lambda: listens(ui)))
        pages = stack.enter_context(server.serving("gallery", lambda: listens(gallery)))
        assert listening(webserver) == listening(pages) == {HOST}
        assert listening(code) == listening(daemon) == set()
        sample_library.latency = 5
        run = ask(_LAUNCH, run=_RUN)["launchRun"]["run"]["id"]
        gives_up = time.monotonic() + 180
        while (now := status()) != "STARTED":
            assert now in ("QUEUED", "STARTING")
            assert time.monotonic() < gives_up
            time.sleep(0.2)
        # As `KillMode=mixed` has it: the service is told to end, and not its runs.
        assert server.lines("code", "KillMode") == ["mixed"]
        code.terminate()
        code.wait(90)
        while (now := status()) != "SUCCESS":
            assert now == "STARTED"
            assert time.monotonic() < gives_up
            time.sleep(0.2)
    assert (tmp_path / f"var/rocket-assets/data/launches/2024/{_DAY}.json").exists()
