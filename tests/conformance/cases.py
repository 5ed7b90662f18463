"""Autobahn's cases, read from the package ``autobahntestsuite`` as data.

    classes = load_cases()
    classes["6.4.1"](player).onOpen()

The package is written in Python 2 and cannot be imported; its cases are small classes that say what to send and what
to expect.  Each file is translated on the way in, in two places only: ``print`` statements, and classes that name
``object`` before their base.  A string of Python 2 is bytes: here it is a str whose characters are those bytes.
"""

import binascii
import builtins
import codecs
import importlib.util
import re
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

PRINT = re.compile(r"^(\s*)print\b.*$", re.MULTILINE)
CASE = re.compile(r"Case(\d+(?:_\d+)+)")


def octets(text: str | bytes) -> bytes:
    """A string of the cases as bytes."""
    return text if isinstance(text, bytes) else text.encode("latin-1")


class Utf8Validator:
    """As much of Autobahn's own as the cases use while they are made."""

    def reset(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    def validate(self, text: str) -> tuple[bool, bool]:
        """Whether it may be the beginning of UTF-8, and whether it ends with a whole character."""
        try:
            self._decoder.decode(octets(text))
        except UnicodeDecodeError:
            return False, False
        return True, not self._decoder.getstate()[0]


class PerMessageDeflateOffer:
    """What a client offers; Autobahn's names."""

    def __init__(self, requestNoContextTakeover: bool = False, requestMaxWindowBits: int = 0) -> None:
        self.requestNoContextTakeover = requestNoContextTakeover
        self.requestMaxWindowBits = requestMaxWindowBits


class Protocol:
    """The constants that the cases compare with."""

    STATE_CLOSED, STATE_CONNECTING, STATE_CLOSING, STATE_OPEN = range(4)
    CLOSE_STATUS_CODE_NORMAL = 1000
    CLOSE_STATUS_CODE_PROTOCOL_ERROR = 1002
    CLOSE_STATUS_CODE_INVALID_PAYLOAD = 1007


def suite() -> Path:
    """The folder of the package.  Raises FileNotFoundError with what to do."""
    found = importlib.util.find_spec("autobahntestsuite")
    if found is None or not found.submodule_search_locations:
        raise FileNotFoundError("the package autobahntestsuite is not there, although `make setup` installs it")
    return Path(found.submodule_search_locations[0])


def load_cases() -> dict[str, type]:
    """Every case class by its number."""
    loader = _Loader(suite())
    for file in sorted((loader.folder / "case").glob("case*.py")):
        if file.stem not in ("case9_9_1", "case10_1_1"):  # Not in the suite's own list; beyond the sections run here.
            loader.load(file.stem)
    numbers = sorted(loader.classes, key=lambda number: [int(part) for part in number.split(".")])
    return {number: loader.classes[number] for number in numbers}


class _Loader:
    """Runs each file once, in a module of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.classes: dict[str, type] = {}
        self._modules: dict[str, Any] = {
            "autobahn.websocket.protocol": SimpleNamespace(WebSocketProtocol=Protocol),
            "autobahn.websocket.utf8validator": SimpleNamespace(Utf8Validator=Utf8Validator),
            "autobahn.websocket.compress": SimpleNamespace(PerMessageDeflateOffer=PerMessageDeflateOffer),
            "binascii": SimpleNamespace(
                b2a_hex=lambda text: binascii.b2a_hex(octets(text)).decode(), hexlify=binascii.hexlify
            ),
            "pkg_resources": SimpleNamespace(resource_filename=lambda package, name: str(folder / name)),
        }
        self._builtins = {**vars(builtins), "__import__": self._import, "xrange": range, "unichr": chr}

    def load(self, name: str) -> Any:
        if name not in self._modules:
            source = (self.folder / "case" / f"{name}.py").read_bytes().decode("latin-1")
            source = PRINT.sub(r"\1pass", source).replace("(object, Case, )", "(Case, )")
            module = ModuleType(name)
            module.__dict__["__builtins__"] = self._builtins
            self._modules[name] = module
            exec(compile(source.replace("# coding=utf-8", ""), name, "exec"), module.__dict__)
            self._collect(module)
        return self._modules[name]

    def _collect(self, module: ModuleType) -> None:
        for value in list(vars(module).values()):
            for kind in value if isinstance(value, list) else [value]:
                if isinstance(kind, type) and (found := CASE.fullmatch(kind.__name__)):
                    self.classes[found.group(1).replace("_", ".")] = kind

    def _import(self, name: str, scope: Any = None, local: Any = None, wanted: Any = (), level: int = 0) -> Any:
        if name in self._modules or name == "case" or name.startswith("case"):
            return self.load(name)
        return builtins.__import__(name, scope, local, wanted, level)
