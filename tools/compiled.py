"""Make a second virtual environment, with walletd's hot modules compiled to C by mypyc.

    python tools/compiled.py .venv-compiled      # after: tools/bootstrap.py .venv-compiled

Needs a C compiler.  The wheel is built from a copy, so that nothing compiled ever lies beside the sources, where it
would be taken instead of what a developer changed.  With ``MYPYC_OPT_LEVEL=1`` the compiler takes less time, and the
modules do the same more slowly: for tests.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "src")
UNAVAILABLE = 69


def main(environment: Path) -> None:
    """Build the wheel and put it in the place of the editable installation."""
    if not any(map(shutil.which, ("gcc", "cc", "clang"))):
        sys.stderr.write("walletd: compiling needs a C compiler: apt-get install gcc\n")
        raise SystemExit(UNAVAILABLE)
    pip = [str(environment / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--quiet", "--no-input"]
    sys.stderr.write("walletd: compiling the hot modules; this takes about a minute\n")
    with tempfile.TemporaryDirectory() as directory:
        copy, wheels = Path(directory) / "walletd", Path(directory) / "wheels"
        copy.mkdir()
        for name in SOURCES:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
            else:
                shutil.copy(source, copy / name)
        if level := os.environ.get("MYPYC_OPT_LEVEL"):
            settings = copy / "pyproject.toml"
            before = settings.read_text(encoding="utf-8")
            settings.write_text(before.replace('opt_level = "3"', f'opt_level = "{int(level)}"'), encoding="utf-8")
        compiling = {**os.environ, "HATCH_BUILD_HOOK_ENABLE_MYPYC": "1"}
        run([*pip, "wheel", "--no-build-isolation", "--no-deps", "-w", str(wheels), str(copy)], compiling)
        (wheel,) = wheels.iterdir()
        run([*pip, "install", "--no-deps", "--force-reinstall", str(wheel)], compiling)


def run(command: list[str], environment: dict[str, str]) -> None:
    """Run a command; what it says is shown only where it fails."""
    ended = subprocess.run(command, env=environment, capture_output=True, text=True)
    if ended.returncode != 0:
        sys.stderr.write(ended.stdout[-4000:] + ended.stderr[-4000:])
        raise SystemExit(ended.returncode)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
