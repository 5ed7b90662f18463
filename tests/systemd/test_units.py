"""The unit files as files: closed enough, understood by this machine's systemd, and true to the daemon."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UNITS = ROOT / "systemd"
SERVICE = (UNITS / "walletd.service").read_text()
MAN = (ROOT / "man" / "walletd.8").read_text()


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd-analyze here")
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("drop_in", [None, "loopback/10-loopback.conf", "debian12/10-systemd-252.conf"])
def test_the_service_is_closed_enough(tmp_path: Path, drop_in: str | None) -> None:
    unit = tmp_path / "walletd.service"
    unit.write_text(SERVICE + ((UNITS / drop_in).read_text() if drop_in else ""))
    said = analyze("security", "--offline=true", "--threshold=15", str(unit))
    assert said.returncode == 0, said.stdout[-300:]


def test_this_machines_systemd_understands_the_units(tmp_path: Path) -> None:
    program = tmp_path / "walletd"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    service = SERVICE.replace("/opt/walletd/bin/walletd", str(program))
    found = analyze("--version").stdout
    version = int(re.search(r"systemd (\d+)", found)[1])  # type: ignore[index]
    if version < 254:
        service += (UNITS / "debian12" / "10-systemd-252.conf").read_text()
    (tmp_path / "walletd.service").write_text(service)
    shutil.copy(UNITS / "walletd.socket", tmp_path)
    for name in ("walletd.service", "walletd.socket"):
        said = analyze("verify", "--man=no", str(tmp_path / name))
        # Not there in a container, and nothing of ours: other units of the machine, and the account.
        ours = [line for line in said.stderr.splitlines() if line.startswith(("walletd", str(tmp_path)))]
        if version < 254:
            ours = [
                line for line in ours if not re.search("notify-reload|ImportCredential|RestartSteps|MaxDelay", line)
            ]
        assert not ours, said.stderr


def test_exit_codes_that_another_start_cannot_mend_do_not_restart() -> None:
    (codes,) = re.findall(r"^RestartPreventExitStatus=(.*)$", SERVICE, re.MULTILINE)
    assert set(codes.split()) == {"64", "65", "78"}


def test_the_manual_knows_every_exit_code_and_every_signal() -> None:
    text = (ROOT / "src/walletd/runtime/ending.py").read_text()
    codes = set(re.findall(r"^EXIT_\w+ = (\d+)$", text, re.MULTILINE)) | {"0", "64"}
    assert codes <= set(re.findall(r"^\.B (\d+)$", MAN, re.MULTILINE))
    signals = re.findall(r"signal\.(SIG[A-Z]\w+)", (ROOT / "src/walletd/runtime/signals.py").read_text())
    assert signals
    assert all(name in MAN for name in signals)


def test_the_manual_is_well_formed() -> None:
    if shutil.which("man") is None:
        pytest.skip("there is no man here")
    command = ["man", "--warnings", "-E", "UTF-8", "-l", str(ROOT / "man" / "walletd.8")]
    shown = subprocess.run(command, capture_output=True, text=True, check=False)
    assert shown.returncode == 0
    assert not shown.stderr
