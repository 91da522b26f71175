"""How each command that a page shows is accounted for.

Most blocks run: `RUN_HERE` in `test_running.py`, `RUN_ELSEWHERE` in other tests. What remains needs a program
or a machine that the tests have not got; each word of it is looked at by its program's function in `CHECKS`,
against the files that it works on. A command with neither fails `test_accounted.py`, which says what to do.
"""

import importlib.util
import re
import subprocess
import tempfile
import tomllib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import typer
import yaml
from chat_local.cli import app as chat_command

from .blocks import ROOT

Words = list[str]

#: Blocks by page and first line, and the test that runs each as it stands but for URL, ports and names.
RUN_ELSEWHERE = {
    ("README.md", "URL=http://localhost:8080/api/v1"): "tests/e2e/test_readme.py",
    ("README.md", "curl -s $URL/room/$ROOM/messages"): "tests/e2e/test_readme.py",
}
#: The same for `test_running.py`.
RUN_HERE = {
    ("README.md", "PATH=$PWD/.venv/bin:$PATH"),
    ("docs/cli.md", "chat seed"),
    ("docs/cli.md", "TOKEN=$(echo"),
    ("docs/cli.md", 'echo "some long password" | chat user create'),
    ("docs/operations.md", "chat dlq count"),
    ("services/auth/README.md", "CHAT_ENVIRONMENT=development"),
    ("services/media/README.md", "CHAT_ENVIRONMENT=development"),
    ("services/rooms/README.md", "CHAT_ENVIRONMENT=development"),
}
#: Blocks without a language that are no commands.
NO_COMMANDS = {
    ("README.md", "browser / app / bot"),
    ("deploy/local/README.md", "async with Stack("),
}
#: How a command is called; its options have to exist.
SYNOPSES = {("deploy/local/README.md", "chat up [--port 8080]")}

#: Targets of the Makefile, and what runs the real one in CI.
MAKE_RUNS_IN = {
    "setup": ".ci/run",
    "test": ".ci/run",
    "lint": ".ci/run",
    "help": "tests/docs/test_accounted.py",
    "run": "deploy/local/tests/test_console.py",
    "doctor": "deploy/local/tests/test_doctor.py",
    "contracts": "tests/contracts/test_drift.py",
    "verify": "tests/faults/tests/test_elsewhere.py",
    "bench": "bench/tests/test_small_run.py",
    "fuzz": "tests/e2e/test_schemathesis.py",
    "sanitized": "bench/native/Makefile",
}
#: Targets that nothing in CI can run, and why.
MAKE_NEEDS = {
    "images": "docker; `make lint` checks the Dockerfile",
    "up": "docker; `make lint` checks the compose file, tests/deploy its routes",
    "upgrade": "docker",
    "down": "docker",
}
MONGODUMP_OPTIONS = {"--uri", "--oplog", "--gzip", "--archive"}

DEPLOY = ROOT / "deploy"
BASE = DEPLOY / "k8s" / "base"
COMPOSE_FILE = "deploy/docker-compose.yml"


def check(words: Words, folder: Path) -> None:
    """Look at one command without running it.

    Args:
        folder: where its page is.

    Raises:
        LookupError: no check knows the program.
        AssertionError: the command cannot work as it is written.
    """
    program = words[0].removeprefix(".venv/bin/")
    if program not in CHECKS:
        raise LookupError(program)
    CHECKS[program](words[1:], folder)


def _make(words: Words, folder: Path) -> None:
    place = folder if (folder / "Makefile").exists() else ROOT
    makefile = (place / "Makefile").read_text()
    targets = [word for word in words if "=" not in word]
    for name in (word.partition("=")[0] for word in words if "=" in word):
        assert f"$({name}" in makefile, f"the Makefile knows no {name}"
    for target in targets:
        where = MAKE_RUNS_IN.get(target)
        assert where or target in MAKE_NEEDS, f"say in accounts.py what runs `make {target}` in CI"
        assert where is None or (ROOT / where).exists(), f"{where} is gone"
    _dry_run(place, tuple(words))


@lru_cache
def _dry_run(place: Path, words: tuple[str, ...]) -> None:
    outcome = subprocess.run(["make", "-n", *words], cwd=place, capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stderr


def _chat(words: Words, _folder: Path) -> None:
    """Check that there is such a command with such options; what it is given may be a placeholder."""
    command: Any = typer.main.get_command(chat_command)
    for word in words:
        if not hasattr(command, "commands") or not re.fullmatch(r"[a-z-]+", word):
            break
        assert word in command.commands, f"chat has no {word}"
        command = command.commands[word]
    known = {"--help", *(option for parameter in command.params for option in parameter.opts)}
    used = re.findall(r"--[a-z-]+", " ".join(words))
    assert set(used) <= known, f"{set(used) - known} of {' '.join(words)}"


def _python(words: Words, _folder: Path) -> None:
    assert words[0] == "-m", words
    assert importlib.util.find_spec(words[1]) is not None, f"there is no module {words[1]}"


def _pytest(words: Words, _folder: Path) -> None:
    """The path is a part of what `make test` runs."""
    parts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]["testpaths"]
    for path in words:
        assert (ROOT / path).exists(), path
        assert any(Path(path).is_relative_to(part) for part in parts), f"{path} is not among {parts}"


def _git(words: Words, _folder: Path) -> None:
    """Needs a remote repository."""
    assert words[0] in ("clone", "pull"), words


def _make_secrets(words: Words, _folder: Path) -> None:
    """Run it, into another folder; the one that is named is where the kustomization looks."""
    for path in words:
        assert "secrets/" in (ROOT / path).parent.joinpath("kustomization.yaml").read_text(), path
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([str(DEPLOY / "make-secrets.sh"), folder], check=True)
        assert (Path(folder) / "chat_service_token").exists()


def _mongodump(words: Words, _folder: Path) -> None:
    """MongoDB's tools are in no registry that the tests use."""
    used = {word.partition("=")[0] for word in words if word.startswith("--")}
    assert used <= MONGODUMP_OPTIONS, used - MONGODUMP_OPTIONS


def _kind(words: Words, _folder: Path) -> None:
    """Needs a cluster; the image has to be one that `make images` builds."""
    assert words[:2] == ["load", "docker-image"], words
    service, _, version = words[2].removeprefix("chat-").partition(":")
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(rf"^SERVICES := .*\b{service}\b", makefile, re.M), words
    assert f"VERSION ?= {version}\n" in makefile, words


def _docker(words: Words, _folder: Path) -> None:
    """Needs docker: the file and the services are there, and what runs inside is looked at, too."""
    services = yaml.safe_load((ROOT / COMPOSE_FILE).read_text())
    if words[0] in ("kill", "inspect", "start"):
        for container in words[1:]:
            project, service = container.split("-", 1)[0], container.split("-", 1)[1].rpartition("-")[0]
            assert project == services["name"], container
            assert service in services["services"], container
        return
    assert words[:3] == ["compose", "-f", COMPOSE_FILE], words
    positions = [number for number, word in enumerate(words) if word in services["services"]]
    assert positions, f"{words} names no service of the compose file"
    inside = words[positions[0] + 1 :]
    if inside[:1] == ["-m"]:
        _python(inside, ROOT)
    elif inside[:1] == ["mongodump"]:
        _mongodump(inside[1:], ROOT)
    else:
        assert inside == ["config"], inside


def _kubectl(words: Words, _folder: Path) -> None:
    """Needs a cluster: what it names is in the manifests."""
    manifests = "\n".join(path.read_text() for path in sorted((DEPLOY / "k8s").rglob("*.yaml")))
    if words[:2] == ["-n", "chat"]:
        words = words[2:]
    match words:
        case ["apply", "-k", path]:
            _kustomization(ROOT / path)
        case ["label", "namespace", _, label]:
            assert label.replace("=", ": ").replace(": true", ': "true"') in manifests, label
        case ["rollout", "status", "deployment", "-l", label, "--timeout", _]:
            assert label.replace("=", ": ") in manifests, label
        case ["rollout", "undo", "deployment", name]:
            assert f"kind: Deployment\nmetadata:\n  name: {name}\n" in manifests, name
        case ["port-forward", target, port]:
            service = (BASE / f"{target.removeprefix('service/')}.yaml").read_text()
            assert re.search(rf"kind: Service\n.*\bport: {port}\b", service, re.S), words
        case ["create", "secret", "tls", name, *_]:
            assert name in manifests, name
        case ["port-forward"] | ["scale"]:
            pass
        case _:
            raise AssertionError(f"add a check of `kubectl {' '.join(words)}` to accounts.py")


def _kustomization(folder: Path) -> None:
    """Check that all that a kustomization is made of is there, but for secrets, which are made."""
    assert (folder / "kustomization.yaml").exists(), folder
    read = yaml.safe_load((folder / "kustomization.yaml").read_text())
    for name in [*read.get("resources", []), *read.get("components", [])]:
        path = folder / name
        assert path.exists(), path
        if path.is_dir():
            _kustomization(path)


def _nothing(_words: Words, _folder: Path) -> None:
    """A word of the shell, or what a test elsewhere runs."""


CHECKS: dict[str, Callable[[Words, Path], None]] = {
    "make": _make,
    "chat": _chat,
    "python": _python,
    "pytest": _pytest,
    "git": _git,
    "deploy/make-secrets.sh": _make_secrets,
    "mongodump": _mongodump,
    "kind": _kind,
    "docker": _docker,
    "kubectl": _kubectl,
    "cd": _nothing,
    "break": _nothing,
    "node": _nothing,
}
