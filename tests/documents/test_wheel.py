"""The wheel, built and installed without a network, has all that a service needs."""

import subprocess
import sys
import sysconfig
import zipfile
from email import message_from_bytes
from functools import partial
from pathlib import Path

import pytest

from walletd.cli import service
from walletd.cli.usage import UsageError

ROOT = Path(__file__).parents[2]

PLACES = (
    "/etc/systemd/system/walletd.service",
    "/etc/systemd/system/walletd.socket",
    "/usr/lib/sysusers.d/walletd.conf",
    "/usr/lib/tmpfiles.d/walletd.conf",
    "/usr/local/share/man/man8/walletd.8",
    "/etc/walletd/walletd.toml",
    "/usr/share/bash-completion/completions/walletd",
    "/usr/share/zsh/vendor-completions/_walletd",
    "/usr/share/fish/vendor_completions.d/walletd.fish",
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program in an environment of its own, which sees the packages that walletd needs, and no checkout."""
    venv = tmp_path_factory.mktemp("bare") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    bare = venv / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(bare), "install", "-q", "--no-index", "--no-deps"]
    subprocess.run([*pip, "--no-compile", str(wheel)], check=True, capture_output=True)
    where = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    packages = subprocess.run([str(bare), "-c", where], check=True, capture_output=True, text=True).stdout.strip()
    (Path(packages) / "of_the_tests.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return venv / "bin" / "walletd"


def run(program: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(program), *words], capture_output=True, text=True, check=False, cwd=program.parent)


def test_the_wheel_says_what_it_is(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        (name,) = (name for name in opened.namelist() if name.endswith("/METADATA"))
        metadata = message_from_bytes(opened.read(name))
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.11"
    assert "Programming Language :: Python :: 3.13" in metadata.get_all("Classifier", [])
    assert "Operating System :: POSIX :: Linux" in metadata.get_all("Classifier", [])


def test_it_runs_where_only_the_wheel_is(installed: Path) -> None:
    assert run(installed, "--version").stdout == "0.1.0\n"


def test_it_prints_the_files_of_the_service_and_where_they_belong(installed: Path) -> None:
    printed = run(installed, "install-service", "--print", "--program", "/srv/walletd").stdout
    assert tuple(line.removeprefix("# --- ") for line in printed.splitlines() if line.startswith("# --- ")) == PLACES
    for file in ("config/walletd.toml", "man/walletd.8", "systemd/walletd.socket"):
        assert (ROOT / file).read_text() in printed
    assert "ExecStart=/srv/walletd serve\n" in printed


def test_a_packager_gets_them_below_a_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(service, "completion_script", lambda shell: f"# {shell}\n")
    install = partial(service.install_service, root=tmp_path, drop_in=("systemd-252", "loopback"))
    assert install() == 0
    assert all(line.startswith(f"installed {tmp_path}/") for line in capsys.readouterr().out.splitlines())
    unit = tmp_path / "usr/lib/systemd/system/walletd.service"
    assert "ExecStart=/usr/bin/walletd serve\n" in unit.read_text()
    assert unit.stat().st_mode & 0o777 == 0o644
    assert unit.parent.stat().st_mode & 0o777 == 0o755
    assert len(list((unit.parent / "walletd.service.d").iterdir())) == 2
    settings = tmp_path / "etc/walletd/walletd.toml"
    settings.write_text("port = 1\n")
    assert install() == 0
    told = capsys.readouterr().out
    assert f"kept {settings}\n" in told
    assert settings.read_text() == "port = 1\n"
    assert f"replaced {unit}\n" in told


def test_what_the_unit_could_not_run_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "_write", lambda *words: pytest.fail("it was written"))
    monkeypatch.setattr(service, "_this_program", lambda: "/home/ann/.local/bin/walletd")
    with pytest.raises(UsageError, match="the service cannot run /home/ann/"):
        service.install_service()
