"""Make a virtual environment with the locked packages, with what a fresh machine has: python3 and nothing else.

    python3 tools/bootstrap.py .venv

Tries, in order: venv with its own pip; venv without pip, filled by the machine's pip; uv.  Where none of them is
there it says the one command that helps and ends with 69.  The environment is marked as ready at the very end, so
that an interrupted run is begun anew; a finished one is brought up to date where it stands, because a daemon may be
running from it.  Standard library only; old syntax, with types in
comments, so that an old Python can complain.
"""

import fcntl
import os
import shutil
import subprocess
import sys

OLDEST = (3, 11)
KNOWN = ("python3.13", "python3.12", "python3.11")
UNAVAILABLE = 69
INTERRUPTED = 130
LOCK = "requirements-dev.lock"
CONFORMANCE_LOCK = "requirements-conformance.lock"  # A package that is read as data: nothing of it is run or imported.
INPUTS = (LOCK, CONFORMANCE_LOCK, "pyproject.toml", "tools/bootstrap.py")
PIP_FLAGS = ["--disable-pip-version-check", "--quiet", "--no-input"]
VERSION = "import sys; print('%d, %d' % sys.version_info[:2])"


def main(venv):  # type: (str) -> None
    """Make the environment, or explain what is missing."""
    os.chdir(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    python = find_python()
    turn = os.open(".", os.O_RDONLY)
    fcntl.flock(turn, fcntl.LOCK_EX)  # Until the end of the process: a second `make` waits, and finds it ready.
    ready = os.path.join(venv, ".ready")
    if is_newer_than_inputs(ready):
        return
    install = in_place(python, venv, ready) or anew(python, venv)
    say("installing the locked packages")
    run(install + ["--require-hashes", "-r", LOCK])
    as_it_is = ["--no-deps", "--no-build-isolation"]
    run(install + as_it_is + ["--no-compile", "--require-hashes", "-r", CONFORMANCE_LOCK])
    run(install + as_it_is + ["-e", "."])
    with open(ready, "w") as mark:
        mark.write("ready\n")


def find_python():  # type: () -> str
    """This interpreter, or the newest one on the path that is new enough."""
    if sys.version_info >= OLDEST:
        return sys.executable
    for name in KNOWN:
        if works([name, "-c", "pass"]):
            return name
    raise fail(
        "walletd needs Python 3.11 or newer; this is %s, and none of %s is on the path"
        % (sys.version.split()[0], ", ".join(KNOWN))
    )


def is_newer_than_inputs(ready):  # type: (str) -> bool
    """Whether the environment was finished after the last change of what it is made from."""
    return os.path.exists(ready) and all(os.path.getmtime(ready) >= os.path.getmtime(name) for name in INPUTS)


def in_place(python, venv, ready):  # type: (str, str, str) -> list[str] | None
    """How to install into a finished environment of the same Python; it counts as unfinished from here on."""
    if not os.path.exists(ready):
        return None
    os.remove(ready)
    same = "import sys; sys.exit(sys.version_info[:2] != (%s))" % said([python, "-c", VERSION])
    if not works([in_venv(venv), "-c", same]) or not works([in_venv(venv), "-m", "pip", "--version"]):
        return None
    say("bringing %s up to date" % venv)
    return [in_venv(venv), "-m", "pip", "install"] + PIP_FLAGS


def anew(python, venv):  # type: (str, str) -> list[str]
    """How to install into an environment made from nothing; what stands there of an unfinished one goes."""
    if not is_ours(venv):
        raise fail("%s is no virtual environment, so it stays as it is; name another directory: make VENV=.venv" % venv)
    say("making %s with %s" % (venv, python))
    install = with_own_pip(python, venv) or with_other_pip(python, venv) or with_uv(python, venv)
    if install is None and works([python, "-c", "import ensurepip, venv"]):
        run([python, "-m", "venv", venv])  # It failed without a word before; now it may say why.
    if install is None:
        raise fail(
            "%s can neither make a virtual environment with pip nor is pip or uv there. "
            "On Debian and Ubuntu this helps: sudo apt-get install python3-venv" % python
        )
    return install


def is_ours(venv):  # type: (str) -> bool
    """Whether the directory may be removed: by its name, as a virtual environment, or because nothing is there."""
    if os.path.basename(venv).startswith(".venv") or os.path.exists(os.path.join(venv, "pyvenv.cfg")):
        return True
    return not os.path.exists(venv) or os.listdir(venv) == []


def with_own_pip(python, venv):  # type: (str, str) -> list[str] | None
    """The way of most machines: venv brings pip along."""
    shutil.rmtree(venv, ignore_errors=True)
    if not works([python, "-c", "import ensurepip, venv"]) or not works([python, "-m", "venv", venv]):
        return None
    return [in_venv(venv), "-m", "pip", "install"] + PIP_FLAGS


def with_other_pip(python, venv):  # type: (str, str) -> list[str] | None
    """Debian without python3-venv: no ensurepip, but maybe a pip of the machine's own, new enough for --python."""
    shutil.rmtree(venv, ignore_errors=True)
    pip = [python, "-m", "pip", "--python", in_venv(venv)]
    if not works([python, "-m", "venv", "--without-pip", venv]) or not works(pip + ["--version"]):
        return None
    return pip + ["install"] + PIP_FLAGS


def with_uv(python, venv):  # type: (str, str) -> list[str] | None
    """uv needs neither."""
    shutil.rmtree(venv, ignore_errors=True)
    if not works(["uv", "venv", "--quiet", "--python", python, venv]):
        return None
    return ["uv", "pip", "install", "--quiet", "--python", in_venv(venv)]


def in_venv(venv):  # type: (str) -> str
    """The environment's interpreter."""
    return os.path.join(venv, "bin", "python")


def works(command):  # type: (list[str]) -> bool
    """Whether the command succeeds; what it says is of no interest."""
    try:
        return subprocess.call(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False


def said(command):  # type: (list[str]) -> str
    """What the command prints."""
    return subprocess.check_output(command).decode().strip()


def run(command):  # type: (list[str]) -> None
    """Run a command that must succeed."""
    code = subprocess.call(command)
    if code != 0:
        raise fail("this failed (exit code %d): %s" % (code, " ".join(command)))


def say(sentence):  # type: (str) -> None
    """Tell the person who waits."""
    sys.stderr.write("walletd: %s\n" % sentence)


def fail(sentence):  # type: (str) -> SystemExit
    """Say in one line what to do; what it returns ends the process."""
    say(sentence)
    return SystemExit(UNAVAILABLE)


if __name__ == "__main__":
    try:
        main(sys.argv[1] if len(sys.argv) > 1 else ".venv")
    except KeyboardInterrupt:
        say("stopped half way; the next run begins anew")
        sys.exit(INTERRUPTED)
