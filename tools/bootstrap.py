"""Make a virtual environment with the locked packages, with what a fresh machine has: python3 and nothing else.

    python3 tools/bootstrap.py .venv                    # what the tests need: make setup
    python3 tools/bootstrap.py --only-to-run .venv      # what the daemon needs: make run

Tries, in order: venv with its own pip; venv without pip, filled by the machine's pip; uv.  Where none of them is
there it says the one command that helps and ends with 69.  The environment is marked as ready at the very end, so
that an interrupted run starts again; a finished one is brought up to date where it stands, because a daemon may be
running from it.  One that was made to run the daemon becomes that of the tests in the same way.  Standard library
only; old syntax, with types in comments, so that an old Python can complain.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile

OLDEST = (3, 11)
KNOWN = ("python3.13", "python3.12", "python3.11")
UNAVAILABLE = 69
INTERRUPTED = 130
RUN_LOCK = "requirements.lock"
BUILD_LOCK = "requirements-build.lock"  # What makes walletd itself a package.
DEV_LOCK = "requirements-dev.lock"
CONFORMANCE_LOCK = "requirements-conformance.lock"  # A package that is read as data: nothing of it is run or imported.
TO_RUN = (RUN_LOCK, BUILD_LOCK, "pyproject.toml", "tools/bootstrap.py")
TO_TEST = TO_RUN + (DEV_LOCK, CONFORMANCE_LOCK)
RUNNABLE, READY = ".runnable", ".ready"
PIP_FLAGS = ["--disable-pip-version-check", "--no-input"]
QUIET = ["--quiet"]
VERSION = "import sys; print('%d, %d' % sys.version_info[:2])"


def main(venv, only_to_run):  # type: (str, bool) -> None
    """Make the environment, or explain what is missing."""
    os.chdir(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    python = find_python()
    turn = os.open(".", os.O_RDONLY)
    fcntl.flock(turn, fcntl.LOCK_EX)  # Until the end of the process: a second `make` waits, and finds it ready.
    marks = [os.path.join(venv, RUNNABLE), os.path.join(venv, READY)]
    if is_newer_than(marks[0], TO_RUN) if only_to_run else is_newer_than(marks[1], TO_TEST):
        return
    install = in_place(python, venv, marks) or anew(python, venv)
    if only_to_run:
        say("installing the packages that the daemon needs")
        # A person waits for it: pip shows its bar.
        run(install + ([] if sys.stderr.isatty() else QUIET) + ["--require-hashes", "-r", RUN_LOCK])
        install_walletd(install + QUIET)
    else:
        say("installing the locked packages")
        run(install + QUIET + ["--require-hashes", "-r", DEV_LOCK])
        as_it_is = QUIET + ["--no-deps", "--no-build-isolation"]
        run(install + as_it_is + ["--no-compile", "--require-hashes", "-r", CONFORMANCE_LOCK])
        run(install + as_it_is + ["-e", "."])
    for path in marks[:1] if only_to_run else marks:
        with open(path, "w") as mark:
            mark.write("ready\n")


def install_walletd(install):  # type: (list[str]) -> None
    """Walletd itself, by a build backend that lives only meanwhile."""
    backend = tempfile.mkdtemp(prefix="walletd-build-")
    try:
        run(install + ["--require-hashes", "--target", backend, "-r", BUILD_LOCK])
        run(install + ["--no-deps", "--no-build-isolation", "-e", "."], PYTHONPATH=backend)
    finally:
        shutil.rmtree(backend, ignore_errors=True)


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


def is_newer_than(mark, inputs):  # type: (str, tuple[str, ...]) -> bool
    """Whether the environment was finished after the last change of what it is made from."""
    return os.path.exists(mark) and all(os.path.getmtime(mark) >= os.path.getmtime(name) for name in inputs)


def in_place(python, venv, marks):  # type: (str, str, list[str]) -> list[str] | None
    """How to install into a finished environment of the same Python; it counts as unfinished from here on."""
    finished = [mark for mark in marks if os.path.exists(mark)]
    for mark in finished:
        os.remove(mark)
    if not finished:
        return None
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
    return ["uv", "pip", "install", "--python", in_venv(venv)]


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


def run(command, **variables):  # type: (list[str], str) -> None
    """Run a command that must succeed, with these variables in its environment."""
    code = subprocess.call(command, env=dict(os.environ, **variables))
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
    words = [word for word in sys.argv[1:] if word != "--only-to-run"]
    try:
        main(words[0] if words else ".venv", only_to_run="--only-to-run" in sys.argv[1:])
    except KeyboardInterrupt:
        say("stopped half way; the next run begins again")
        sys.exit(INTERRUPTED)
