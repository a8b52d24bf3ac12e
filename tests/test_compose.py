"""The Compose file against the Compose schema, and every command in it against the program it calls.

No container engine is needed: the programs are those of this environment, which has the versions of the image.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from cryptography.fernet import Fernet

from tests.scripts.loading import load_script

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = re.compile(r"\$\{([A-Z_]+)(:\?[^}]*|:-[^}]*)?\}")
SENSITIVE = re.compile(r"PASSWORD|SECRET|KEY|TOKEN|_CONN|BACKEND")
#: Programs of the public images, which are not in this environment.
FOREIGN = {"pg_isready": "postgres", "redis-cli": "redis"}

pytestmark = pytest.mark.packaging

TEXT = (ROOT / "docker-compose.yaml").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
LASTING = sorted(name for name, service in SERVICES.items() if service["restart"] != "no")


def words_of(test: str | list[str]) -> list[str]:
    """The words of a health check, Compose's ``$$`` and the shell's command substitutions resolved."""
    if isinstance(test, str) or test[0] == "CMD-SHELL":
        script = test if isinstance(test, str) else test[1]
        return shlex.split(script.replace("$$", "$").replace("$(hostname)", "worker-1"))
    assert test[0] == "CMD"
    return test[1:]


def commands() -> list[Any]:
    found = []
    for name, service in SERVICES.items():
        if "command" in service:
            found.append(pytest.param(service["command"], name, id=f"{name}-command"))
        if "healthcheck" in service:
            found.append(pytest.param(words_of(service["healthcheck"]["test"]), name, id=f"{name}-healthcheck"))
    return found


def check_airflow(arguments: list[str]) -> None:
    from airflow.cli.cli_parser import get_parser

    namespace = get_parser().parse_args(arguments)  # exits with 2 for what it does not know
    assert callable(namespace.func)


def check_amc(arguments: list[str]) -> None:
    import typer

    from airflow_provider_amc.cli import app

    group = typer.main.get_command(app)
    name, *rest = arguments
    with group.make_context("amc", arguments, resilient_parsing=True) as context:
        command = group.get_command(context, name)  # type: ignore[attr-defined]
        assert command is not None, f"amc has no sub-command {name}"
        command.make_context(name, rest, parent=context)


def check_moto(arguments: list[str], mocker: Any) -> None:
    from moto import server

    mocker.patch("signal.signal")
    serve = mocker.patch.object(server, "run_simple")
    mocker.patch.dict("os.environ")
    server.main(arguments)
    serve.assert_called_once()


def check_celery(arguments: list[str]) -> None:
    from celery.bin.celery import celery
    from celery.worker.control import Panel

    app_option, app, name, *rest = arguments
    assert app_option == "--app"
    module, _, attribute = app.rpartition(".")
    assert hasattr(__import__(module, fromlist=[attribute]), attribute)
    command = celery.get_command(None, name)
    assert command is not None
    command.parse_args(command.context_class(command, info_name=name, resilient_parsing=True), list(rest))
    assert "ping" in rest
    assert "ping" in Panel.meta


def check_python(arguments: list[str]) -> None:
    option, script = arguments
    assert option == "-c"
    code = compile(script, "<compose>", "exec")
    for module in re.findall(r"^(?:import|from) ([\w.]+)", script, re.MULTILINE):
        __import__(module)
    assert code.co_names


@pytest.mark.parametrize(("command", "service"), commands())
def test_command_exists(command: list[str], service: str, mocker: Any) -> None:
    program, *arguments = command
    if program in FOREIGN:
        assert SERVICES[service]["image"].startswith(FOREIGN[program])
        return
    if program == "moto_server":
        check_moto(arguments, mocker)
        return
    {"airflow": check_airflow, "amc": check_amc, "celery": check_celery, "python": check_python}[program](arguments)


def test_an_unknown_command_would_be_noticed() -> None:
    with pytest.raises(SystemExit):
        check_airflow(["celery", "labourer"])
    with pytest.raises(AssertionError):
        check_amc(["imitator"])
    with pytest.raises(ModuleNotFoundError):
        check_python(["-c", "import no_such_module"])


def test_fits_the_compose_schema() -> None:
    schema = resources.files("check_jsonschema.builtin_schemas").joinpath("vendor/compose-spec.json")
    jsonschema.validate(COMPOSE, json.loads(schema.read_text()))


def test_dependencies_exist_and_can_be_met() -> None:
    for name, service in SERVICES.items():
        for other, condition in service.get("depends_on", {}).items():
            target = SERVICES[other]
            if condition["condition"] == "service_healthy":
                assert "healthcheck" in target, f"{name} waits for the health of {other}, which has no check"
            else:
                assert condition["condition"] == "service_completed_successfully"
                assert target["restart"] == "no", f"{name} waits for the end of {other}, which never ends"
            if "profiles" in target and "profiles" not in service:
                assert condition["required"] is False, f"{name} cannot start without the optional {other}"


@pytest.mark.parametrize("name", LASTING)
def test_every_lasting_service_has_a_health_check(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"]


def test_the_whole_of_airflow_is_there() -> None:
    assert {
        "api-server",
        "scheduler",
        "dag-processor",
        "triggerer",
        "worker",
        "postgres",
        "redis",
        "emulator",
        "s3",
    } <= set(LASTING)
    assert SERVICES["worker"]["environment"]["AIRFLOW__CORE__EXECUTOR"] == "CeleryExecutor"


def test_workers_scale() -> None:
    assert not {"container_name", "hostname", "ports"} & set(SERVICES["worker"])


def test_no_port_is_open_to_other_machines() -> None:
    for service in SERVICES.values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_no_secret_is_in_the_file() -> None:
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            assert isinstance(value, str), f"{name}: {variable} has to be a string"
            if SENSITIVE.search(variable):
                assert ":?" in value, f"{name}: {variable} does not come from the environment"
                rest = REFERENCE.sub("", value)
                assert not re.search(r"//[^@/]*:[^@/]+@", rest), f"{name}: {variable} holds a password"


def test_required_variables_are_described_and_generated() -> None:
    references = dict(REFERENCE.findall(TEXT))
    required = {name for name, default in references.items() if default.startswith(":?")}
    assert all(references.values()), "a variable without a default or a message is silently empty"
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert required <= set(re.findall(r"^([A-Z_]+)=$", example, re.MULTILINE))
    assert set(references) <= set(re.findall(r"^#? ?([A-Z_]+)=", example, re.MULTILINE))
    assert required | {"COMPOSE_PROFILES"} == set(load_script("compose_env").variables())


def test_generated_values_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = load_script("compose_env")
    target = tmp_path / ".env"
    assert script.main(["--output", str(target)]) == 0
    assert target.stat().st_mode & 0o077 == 0
    written = dict(re.findall(r"^([A-Z_]+)='([^']*)'$", target.read_text(), re.MULTILINE))
    assert set(written) == set(script.variables())
    Fernet(written["AIRFLOW_FERNET_KEY"])
    for name in ("POSTGRES_PASSWORD", "WAREHOUSE_PASSWORD"):
        assert re.fullmatch(r"[\w-]{20,}", written[name]), "it stands in a URL"
        assert written[name] != script.variables()[name], "every deployment gets its own"
    assert not any("$" in value for value in written.values())

    assert script.main(["--output", str(target)]) == 1
    assert "left as it is" in capsys.readouterr().err
    assert dict(re.findall(r"^([A-Z_]+)='([^']*)'$", target.read_text(), re.MULTILINE)) == written


def test_the_generated_connections_fit_the_services() -> None:
    from airflow_provider_amc.emulator import config

    amc: Mapping[str, Any] = json.loads(load_script("compose_env").variables()["AIRFLOW_CONN_AMC_DEFAULT"])
    assert (amc["login"], amc["password"]) == (config.CLIENT_ID, config.CLIENT_SECRET)
    assert amc["extra"]["refresh_token"] == config.REFRESH_TOKEN
    assert amc["extra"]["account_id"] == config.ACCOUNT_ID
    assert amc["extra"]["marketplace_id"] == config.MARKETPLACE_ID
    assert amc["extra"]["instance_id"] == config.STANDARD_INSTANCE
    assert amc["host"] == f"http://emulator:{option(SERVICES['emulator']['command'], '--port')}"
    aws = json.loads(load_script("compose_env").variables()["AIRFLOW_CONN_AWS_DEFAULT"])
    assert aws["extra"]["endpoint_url"] == f"http://s3:{option(SERVICES['s3']['command'], '--port')}"


def option(command: list[str], name: str) -> str:
    return command[command.index(name) + 1]


# --- the images ------------------------------------------------------------------------------------------------------


def dockerfile() -> list[str]:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_build_targets_exist() -> None:
    stages = {line.split()[-1] for line in dockerfile() if line.startswith("FROM ")}
    assert {service["build"]["target"] for service in SERVICES.values() if "build" in service} <= stages


def test_what_the_image_copies_is_there_and_not_ignored() -> None:
    allowed = {
        line[1:].strip("/") for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")
    }
    for line in dockerfile():
        if line.startswith("COPY "):
            for source in line.split()[1:-1]:
                assert (ROOT / source).exists(), source
                assert source.split("/")[0] in allowed, source


def test_the_image_installs_from_the_default_lock_file() -> None:
    lock = sorted(
        (ROOT / "requirements").glob("airflow-*.txt"), key=lambda path: [int(n) for n in re.findall(r"\d+", path.name)]
    )[-1]
    locked = {re.split(r"[=\[]", line)[0] for line in lock.read_text().splitlines()}
    text = "\n".join(dockerfile())
    assert f"requirements/{lock.name}" in text
    (python,) = re.findall(r"ARG PYTHON_VERSION=(\S+)", text)
    assert python in lock.read_text().splitlines()[0].split()
    assert {"apache-airflow-providers-celery", "moto"} <= locked
    assert all("--constraint" in command for command in re.findall(r"pip install.*", text))


def test_the_mounted_dags_are_there() -> None:
    (source,) = {volume.split(":")[0] for volume in SERVICES["worker"]["volumes"] if volume.startswith("./")}
    assert list((ROOT / source).glob("*.py"))
