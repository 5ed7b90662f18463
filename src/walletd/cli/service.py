"""``walletd install-service``: the files of the service, where systemd, man and the shells look for them."""

import os
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from cyclopts import Parameter

import walletd
from walletd.cli.names import completion_script
from walletd.cli.usage import UsageError
from walletd.runtime.ending import EXIT_OK

UNIT_PROGRAM = "/opt/walletd/bin/walletd"
"""The program that the unit names in a checkout."""

HIDDEN = ("/home", "/root", "/tmp", "/var/tmp", "/run/user")
"""Folders that the unit hides from the service."""

CONFIGURATION = "etc/walletd/walletd.toml"


class Part(NamedTuple):
    """A file of the service: its place below the root, and its content."""

    place: str
    content: str


def install_service(
    *,
    root: Path | None = None,
    program: Path | None = None,
    drop_in: Annotated[tuple[Literal["systemd-252", "loopback"], ...], Parameter(negative="")] = (),
    print_: Annotated[bool, Parameter(name="--print", negative="", show_default=False)] = False,
) -> int:
    """Install the units, the user, the man page, the configuration and the completions.

    The configuration is written only if there is none; the other files are replaced.  Nothing is started.

    For example:

        $ walletd install-service --print
        $ walletd install-service
        $ walletd install-service --root build/package --program /usr/bin/walletd

    Parameters
    ----------
    root
        The folder of a package that is being made; its files go where those of a distribution are.
    program
        The program that the unit starts; default this one, or /usr/bin/walletd with --root.
    drop_in
        For systemd 252 (Debian 12), or for a daemon that only this machine talks to; may be given twice.
    print
        Print the files and where they belong, and install nothing.
    """
    starts = str(program) if program is not None else "/usr/bin/walletd" if root is not None else _this_program()
    found = parts(starts, drop_in, is_packaged=root is not None)
    if print_:
        sys.stdout.write("\n".join(f"# --- /{part.place}\n{part.content}" for part in found))
        return EXIT_OK
    if starts.startswith(tuple(f"{folder}/" for folder in HIDDEN)) and program is None:
        raise UsageError(
            f"the service cannot run {starts}: it sees no homes and no temporary files of others; install walletd into "
            f"/opt/walletd (python3 -m venv /opt/walletd), or name another program with --program"
        )
    below = Path("/") if root is None else root
    for part in found:
        said = _write(below / part.place, part)
        sys.stdout.write(f"{said} {below / part.place}\n")
    if root is None:
        sys.stdout.write(
            "To start it: systemd-sysusers && systemd-tmpfiles --create walletd.conf && systemctl daemon-reload && "
            "systemctl enable --now walletd.socket walletd.service\n"
        )
    return EXIT_OK


def parts(starts: str, drop_ins: Sequence[str], *, is_packaged: bool) -> Iterator[Part]:
    """The files of the service, for a unit that starts this program."""
    units = "usr/lib/systemd/system" if is_packaged else "etc/systemd/system"
    manual = "usr/share/man/man8" if is_packaged else "usr/local/share/man/man8"
    service = _text("systemd/walletd.service")
    assert UNIT_PROGRAM in service
    yield Part(f"{units}/walletd.service", service.replace(UNIT_PROGRAM, starts))
    yield Part(f"{units}/walletd.socket", _text("systemd/walletd.socket"))
    if "systemd-252" in drop_ins:
        name = "10-systemd-252.conf"
        yield Part(f"{units}/walletd.service.d/{name}", _text(f"systemd/debian12/{name}"))
    if "loopback" in drop_ins:
        name = "10-loopback.conf"
        yield Part(f"{units}/walletd.service.d/{name}", _text(f"systemd/loopback/{name}"))
    yield Part("usr/lib/sysusers.d/walletd.conf", _text("systemd/walletd.sysusers"))
    yield Part("usr/lib/tmpfiles.d/walletd.conf", _text("systemd/walletd.tmpfiles"))
    yield Part(f"{manual}/walletd.8", _text("man/walletd.8"))
    yield Part(CONFIGURATION, _text("config/walletd.toml"))
    yield Part("usr/share/bash-completion/completions/walletd", completion_script("bash"))
    yield Part("usr/share/zsh/vendor-completions/_walletd", completion_script("zsh"))
    yield Part("usr/share/fish/vendor_completions.d/walletd.fish", completion_script("fish"))


def _text(name: str) -> str:
    """A file that the package brings along, in ``share`` of its environment; in a checkout it is where it is kept."""
    source = Path(walletd.__file__).parents[1]
    if source.name == "src" and (source.parent / name).exists():
        return (source.parent / name).read_text(encoding="utf-8")
    shared = Path(sysconfig.get_path("data")) / "share"
    place = shared / "man" / "man8" / Path(name).name if name.startswith("man/") else shared / "walletd" / name
    return place.read_text(encoding="utf-8")


def _this_program() -> str:
    beside = Path(sys.executable).parent / "walletd"
    return str(beside.absolute())


def _write(file: Path, part: Part) -> str:
    """Write the file, readable by all whatever the umask; what was done with it, in a word."""
    is_there = file.exists()
    if is_there and part.place == CONFIGURATION:
        return "kept"
    for folder in reversed([folder for folder in file.parents if not folder.exists()]):
        folder.mkdir()
        folder.chmod(0o755)
    beside = file.with_name(f".{file.name}.new")
    beside.write_text(part.content, encoding="utf-8")
    beside.chmod(0o644)
    os.replace(beside, file)
    return "replaced" if is_there else "installed"
