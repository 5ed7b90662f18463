"""The container's files: they agree with walletd's settings, with each other, and with the checkout."""

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from walletd.settings import layers

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "container"
CONTAINERFILE = re.sub(r"\\\n\s*", "", (FOLDER / "Containerfile").read_text())


def instructions(name: str) -> list[str]:
    """The arguments of each instruction of this name in the image that is kept."""
    kept = CONTAINERFILE[CONTAINERFILE.rindex("\nFROM ") :]
    return re.findall(rf"^{name} (.*)$", kept, re.MULTILINE)


def variables() -> dict[str, str]:
    pairs = [pair for line in instructions("ENV") for pair in shlex.split(line)]
    return dict(pair.split("=", 1) for pair in pairs)


def compose() -> Any:
    """The services, read by Debian's Python, which may have a parser of YAML."""
    python = shutil.which("python3", path="/usr/bin")
    parse = "import json, sys, yaml; print(json.dumps(yaml.safe_load(sys.stdin)))"
    if python is None or subprocess.run([python, "-c", "import yaml"], capture_output=True, check=False).returncode:
        pytest.skip("there is no parser of YAML here (Debian: python3-yaml)")
    text = (FOLDER / "compose.yaml").read_text()
    return json.loads(
        subprocess.run([python, "-c", parse], input=text, capture_output=True, text=True, check=True).stdout
    )


def test_walletd_takes_the_settings_of_the_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "SYSTEM_FILE", ROOT / "no such file")
    settings = layers.load_settings(environment={**variables(), "WALLETD_ALLOWED_HOSTS": "walletd"})
    assert str(settings.data) == "/var/lib/walletd"
    assert (settings.host, settings.admin_host, settings.plain_text) == ("0.0.0.0", "0.0.0.0", True)
    assert instructions("EXPOSE") == [f"{settings.port} {settings.port + 1}"]
    assert instructions("VOLUME") == [str(settings.data)]
    assert variables()["WALLETD_URL"] == f"unix:{settings.data}/walletd.sock"
    assert variables()["WALLETD_TOKEN_FILE"] == f"{settings.data}/operator.token"


def test_the_image_runs_walletd_without_rights_and_looks_after_it() -> None:
    assert instructions("USER") == ["walletd"]
    assert instructions("CMD") == ['["walletd", "serve"]']
    (check,) = instructions("HEALTHCHECK")
    _, _, program = json.loads(check.partition(" CMD ")[2])
    compile(program, "the health check", "exec")
    assert "http://127.0.0.1:7879/healthz" in program


def test_what_the_image_is_built_from_is_sent_to_the_builder() -> None:
    sent = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert all((ROOT / name).exists() for name in sent)
    locks = set(re.findall(r"-r (\S+\.lock)", CONTAINERFILE))
    assert {*locks, "config", "man", "systemd", "src", "pyproject.toml", "README.md", "LICENSE"} == set(sent)


def test_prometheus_finds_walletd_in_the_composition() -> None:
    services = compose()["services"]
    (target,) = re.findall(r'targets: \["(\w+):7879"\]', (FOLDER / "prometheus.yml").read_text())
    assert target in services
    assert services[target]["environment"]["WALLETD_ALLOWED_HOSTS"] == target
    for service in services.values():
        mounted = [volume.partition(":")[0] for volume in service["volumes"]]
        assert all((FOLDER / place).is_file() for place in mounted if place.startswith("."))
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    build = services[target]["build"]
    assert (FOLDER / build["context"] / build["dockerfile"]).is_file()
