"""Boot a Debian of its own with systemd as process 1, install walletd's wheel in it, and run ``inside.py`` there.

    sudo make test-systemd                                  # needs debootstrap and systemd-nspawn
    sudo make test-systemd WALLETD_TEST_SUITE=bookworm      # systemd 252 with its drop-in, instead of 257
    sudo python3 tests/systemd/boot.py base                 # only makes the base system, for a later run

Everything happens under ``build/systemd``; the machine's own systemd is not touched.  The base system is kept between
runs.  Exits with 0 when every check inside passed, with 1 when one did not, and with 77, and says so loudly, where this
machine cannot do it.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build" / "systemd"
SUITE = os.environ.get("WALLETD_TEST_SUITE", "trixie")
PYTHON_OF_SUITE = {"trixie": "3.13", "bookworm": "3.11"}
PACKAGES = "systemd,systemd-sysv,dbus,python3,python3-venv"
CANNOT = 77
BOOT_SECONDS = 600

CHECK_UNIT = """\
[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/usr/bin/python3 -u /check/inside.py
ExecStopPost=/usr/bin/systemctl poweroff --no-block
StandardOutput=file:/check/log
StandardError=inherit
TimeoutStartSec=infinity
"""


def main() -> int:
    """The exit code of the checks inside."""
    BUILD.mkdir(parents=True, exist_ok=True)
    (BUILD / "cannot").unlink(missing_ok=True)
    missing = [name for name in ("debootstrap", "systemd-nspawn") if shutil.which(name) is None]
    if os.geteuid() != 0 or missing:
        why = f"{', '.join(missing)} is not here" if missing else "only root can boot a system"
        return cannot(why)
    try:
        base = base_system()
    except subprocess.CalledProcessError as error:
        return cannot(f"no Debian could be made: {error}")
    if sys.argv[1:] == ["base"]:
        return 0
    tree = BUILD / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    run(["cp", "-a", "--reflink=auto", str(base), str(tree)])
    furnish(tree)
    booted = run_to_its_end(tree)
    log = tree / "check" / "log"
    if not log.exists() or not log.read_text():
        return cannot(f"nothing booted here: {booted[-2000:]}")
    sys.stdout.write(log.read_text())
    shutil.copy(log, BUILD / "log")
    return 0 if (tree / "check" / "passed").exists() else 1


def cannot(why: str) -> int:
    """Say so where it cannot be overlooked, and leave a mark for a script."""
    sys.stderr.write(f"\n!!! walletd was NOT tested under systemd: {why} !!!\n\n")
    (BUILD / "cannot").write_text(why)
    return CANNOT


def base_system() -> Path:
    """A minimal Debian with systemd, made once; WALLETD_TEST_BASE names one that is there already."""
    if given := os.environ.get("WALLETD_TEST_BASE"):
        return Path(given)
    base = BUILD / f"base-{SUITE}"
    if not (base / "complete").exists():
        shutil.rmtree(base, ignore_errors=True)
        base.parent.mkdir(parents=True, exist_ok=True)
        run(["debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, str(base), *mirror()])
        (base / "complete").touch()
    return base


def mirror() -> list[str]:
    """The mirror of Debian that this machine uses, where it says so; else debootstrap's own."""
    apt = Path("/etc/apt")
    for file in (apt / "sources.list", *apt.glob("sources.list.d/*.list"), *apt.glob("sources.list.d/*.sources")):
        for line in file.read_text().splitlines() if file.is_file() else ():
            words = line.split()
            found = words[1:2] if words[:1] in (["URIs:"], ["deb"]) else []
            if found and found[0].rstrip("/").endswith("/debian"):
                return found
    return []


def furnish(tree: Path) -> None:
    """The wheel with what it needs, the units at their places, and the checks."""
    check = tree / "check"
    wheels = check / "wheels"
    wheels.mkdir(parents=True)
    python = sys.executable
    run([python, "-m", "hatchling", "build", "-t", "wheel", "-d", str(wheels)])
    wanted = ["--only-binary", ":all:", "--python-version", PYTHON_OF_SUITE[SUITE], "-r", "requirements.lock"]
    run([python, "-m", "pip", "download", "-q", "--no-deps", "-d", str(wheels), *wanted])
    shutil.copy(Path(__file__).parent / "inside.py", check)
    units = ROOT / "systemd"
    places = {
        "walletd.service": "etc/systemd/system/walletd.service",
        "walletd.socket": "etc/systemd/system/walletd.socket",
        "walletd.sysusers": "usr/lib/sysusers.d/walletd.conf",
        "walletd.tmpfiles": "usr/lib/tmpfiles.d/walletd.conf",
    }
    if SUITE == "bookworm":
        places["debian12/10-systemd-252.conf"] = "etc/systemd/system/walletd.service.d/10-systemd-252.conf"
    for name, place in places.items():
        target = tree / place
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(units / name, target)
    (tree / "usr/share/man/man8").mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "man" / "walletd.8", tree / "usr/share/man/man8")
    system = tree / "etc/systemd/system"
    (system / "check.service").write_text(CHECK_UNIT)
    wants = system / "multi-user.target.wants"
    wants.mkdir(exist_ok=True)
    for stale in wants.glob("probe.service"):
        stale.unlink()
    (wants / "check.service").unlink(missing_ok=True)
    (wants / "check.service").symlink_to("../check.service")


def run_to_its_end(tree: Path) -> str:
    """Boot the tree without a network of its own, until it powers off; what its console said."""
    options = ["--register=no", "--keep-unit", "--private-network", "--console=pipe", "--quiet", "-b"]
    booted = subprocess.run(
        ["systemd-nspawn", "-D", str(tree), *options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=BOOT_SECONDS,
        check=False,
    )
    return booted.stdout.decode(errors="replace")


def run(command: list[str]) -> None:
    """Run a command that must succeed."""
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main())
