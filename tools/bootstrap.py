"""Make a virtual environment with the locked packages, with what a fresh machine has: python3 and nothing else.

    python3 tools/bootstrap.py .venv

Tries, in order: venv with its own pip; venv without pip, filled by the machine's pip; uv.  Where none of them is
there it says the one command that helps and ends with 69.  The environment is marked as ready at the very end, so
that an interrupted run is begun anew.  Standard library only; old syntax, so that an old Python can complain.
"""

import os
import shutil
import subprocess
import sys

OLDEST = (3, 11)
KNOWN = ("python3.13", "python3.12", "python3.11")
UNAVAILABLE = 69
LOCK = "requirements-dev.lock"
PIP_FLAGS = ["--disable-pip-version-check", "--quiet", "--no-input"]


def main(venv):
    """Make the environment, or explain what is missing."""
    os.chdir(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    python = find_python()
    ready = os.path.join(venv, ".ready")
    if os.path.exists(venv):
        shutil.rmtree(venv)
    say("making %s with %s" % (venv, python))
    install = with_own_pip(python, venv) or with_other_pip(python, venv) or with_uv(python, venv)
    if install is None:
        fail(
            "%s can neither make a virtual environment with pip nor is pip or uv there. "
            "On Debian and Ubuntu this helps: sudo apt-get install python3-venv" % python
        )
    say("installing the locked packages")
    run(install + ["--require-hashes", "-r", LOCK])
    run(install + ["--no-deps", "--no-build-isolation", "-e", "."])
    with open(ready, "w") as mark:
        mark.write("ready\n")


def find_python():
    """This interpreter, or the newest one on the path that is new enough."""
    if sys.version_info >= OLDEST:
        return sys.executable
    for name in KNOWN:
        if shutil.which(name) and works([name, "-c", "pass"]):
            return name
    fail(
        "walletd needs Python 3.11 or newer; this is %s. Install one, then: make PYTHON=python3.13"
        % sys.version.split()[0]
    )


def with_own_pip(python, venv):
    """The way of most machines: venv brings pip along."""
    if not works([python, "-c", "import ensurepip, venv"]) or not works([python, "-m", "venv", venv]):
        return None
    return [in_venv(venv), "-m", "pip", "install"] + PIP_FLAGS


def with_other_pip(python, venv):
    """Debian without python3-venv: no ensurepip, but maybe a pip of the machine's own."""
    if not works([python, "-m", "pip", "--version"]):
        return None
    shutil.rmtree(venv, ignore_errors=True)
    if not works([python, "-m", "venv", "--without-pip", venv]):
        return None
    return [python, "-m", "pip", "--python", in_venv(venv), "install"] + PIP_FLAGS


def with_uv(python, venv):
    """uv needs neither."""
    shutil.rmtree(venv, ignore_errors=True)
    if not shutil.which("uv") or not works(["uv", "venv", "--quiet", "--python", python, venv]):
        return None
    return ["uv", "pip", "install", "--quiet", "--python", in_venv(venv)]


def in_venv(venv):
    """The environment's interpreter."""
    return os.path.join(venv, "bin", "python")


def works(command):
    """Whether the command succeeds; what it says is of no interest."""
    try:
        return subprocess.call(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False


def run(command):
    """Run a command that must succeed."""
    code = subprocess.call(command)
    if code != 0:
        fail("this failed (exit code %d): %s" % (code, " ".join(command)))


def say(sentence):
    """Tell the person who waits."""
    sys.stderr.write("walletd: %s\n" % sentence)


def fail(sentence):
    """Give up, with one line that says what to do."""
    say(sentence)
    sys.exit(UNAVAILABLE)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else ".venv")
