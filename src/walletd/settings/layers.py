"""The layers of the configuration, each over the one before, and the origin of every value.

    configuration = load(named_file, {"port": 8000})
    configuration.settings.port, configuration.origins["port"]       # 8000, "the command line"

Defaults; systemd; ``/etc/walletd/walletd.toml`` or the named file; ``conf.d/*.toml`` beside it, by name; the
environment; flags.  An unknown name is refused in every layer, with the nearest known one.
"""

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from walletd.settings.settings import SOCKET_NAME, ConfigurationError, Settings

SYSTEM_FILE = Path("/etc/walletd/walletd.toml")
FRAGMENTS = "conf.d"

ENVIRONMENT_PREFIX = "WALLETD_"
"""``WALLETD_PORT=8000`` sets ``port``; a list is written with commas, a table as ``journal=debug,gateway=info``."""

CLIENT_VARIABLES = {"WALLETD_URL", "WALLETD_TOKEN", "WALLETD_TOKEN_FILE", "WALLETD_CA", "WALLETD_CONFIG"}
"""Read by the command line, not by the daemon."""

OF_A_SERVICE = re.compile(r"([A-Z0-9_]+_)?(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_\d+_(TCP|UDP|SCTP)(_[A-Z]+)?)")
"""The variables, without our prefix, that Kubernetes sets in every pod for a Service called walletd or
walletd-something.
"""
ADDRESS_OF_A_SERVICE = re.compile(r"(tcp|udp|sctp)://[^/]*:\d+")
"""The address of such a Service, in ``WALLETD_PORT`` and the like."""

PLACES = ("CREDENTIALS_DIRECTORY", "STATE_DIRECTORY", "RUNTIME_DIRECTORY")
"""Directories that systemd assigns to a service: ``$CREDENTIALS_DIRECTORY/key.pem`` is understood in every path."""

TOKEN_CREDENTIAL = "walletd.token"
"""The operator's token among a unit's credentials, as in ``LoadCredential=walletd.token:/etc/walletd/token``."""

DEFAULT = "default"


class Configuration(NamedTuple):
    """The settings of all layers, the origin of each, and the files that were read."""

    settings: Settings
    origins: Mapping[str, str]
    files: tuple[Path, ...]


class _Layer(NamedTuple):
    name: str
    values: dict[str, Any]
    lines: Mapping[str, int] = {}
    is_typed: bool = False
    """True if its values have types of their own, as in TOML, so that ``"7878"`` is not a port."""

    def origin(self, setting: str) -> str:
        """The place in the layer that sets it: a file with its line, a variable, or the layer's name."""
        if setting in self.lines:
            return f"{self.name}:{self.lines[setting]}"
        return f"{self.name} {ENVIRONMENT_PREFIX}{setting.upper()}" if self.name == "environment" else self.name


def load(
    file: Path | None = None, flags: Mapping[str, Any] = {}, environment: Mapping[str, str] = os.environ
) -> Configuration:
    """All layers.  Raises ConfigurationError with one line that says where and what to do.  Opens no other files."""
    files = tuple(_files(file, environment))
    layers = [_of_systemd(environment), *map(_of_file, files), _of_environment(environment), _of_flags(flags)]
    values: dict[str, Any] = {}
    origins = dict.fromkeys(Settings.__struct_fields__, DEFAULT)
    for layer in layers:
        _check(layer, environment)
        values |= layer.values
        origins |= {name: layer.origin(name) for name in layer.values}
    return Configuration(_convert(values, environment, is_typed=False), origins, files)


def load_settings(
    file: Path | None = None, flags: Mapping[str, Any] = {}, environment: Mapping[str, str] = os.environ
) -> Settings:
    """The settings alone."""
    return load(file, flags, environment).settings


# --- the layers ----------------------------------------------------------------------------------------------------


def _files(named: Path | None, environment: Mapping[str, str]) -> Iterator[Path]:
    """The main file, which must exist if it was named, and its fragments."""
    if named is None and (variable := environment.get("WALLETD_CONFIG")):
        named = Path(variable)
    main = named or SYSTEM_FILE
    if named is not None or _is_there(main):
        yield main
    yield from _fragments(main.parent / FRAGMENTS)


def _is_there(file: Path) -> bool:
    """True if the file exists or is a dangling link, which cannot be read.

    Raises ConfigurationError if that cannot be determined.
    """
    try:
        os.stat(file)
    except (FileNotFoundError, NotADirectoryError):
        return file.is_symlink()
    except OSError as error:
        raise ConfigurationError(
            f"cannot look into {file.parent}: {error.strerror}; give the user that runs walletd access to it, "
            "or name a file with --config"
        ) from error
    return True


def _fragments(folder: Path) -> list[Path]:
    """The fragments by name; none if there is no folder.  A folder that cannot be listed, or a dangling link, may hide
    settings: an error.
    """
    try:
        names = os.listdir(folder)
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not folder.is_symlink():
            return []
        advice = "; give the user that runs walletd read access" if isinstance(error, PermissionError) else ""
        raise ConfigurationError(f"cannot list {folder}: {error.strerror}{advice}") from error
    return sorted(folder / name for name in names if name.endswith(".toml"))


def _of_systemd(environment: Mapping[str, str]) -> _Layer:
    """The settings from a unit: a folder for the data, one for the socket, and perhaps the operator's token."""
    values = {}
    if states := environment.get("STATE_DIRECTORY"):
        values["data"] = states.split(":")[0]
    if runtime := environment.get("RUNTIME_DIRECTORY"):
        values["unix_socket"] = f"{runtime.split(':')[0]}/{SOCKET_NAME}"
    token = Path(environment.get("CREDENTIALS_DIRECTORY") or "/nowhere", TOKEN_CREDENTIAL)
    if token.exists():
        values["operator_token_file"] = str(token)
    return _Layer("systemd", values)


def _of_file(file: Path) -> _Layer:
    try:
        text = file.read_text(encoding="utf-8-sig")
        values = tomllib.loads(text)
    except OSError as error:
        raise ConfigurationError(f"cannot read {file}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file} is not valid TOML: {error}") from error
    lines: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if named := re.match(r"\s*\[?\s*([\w-]+)\s*(?:[=.\]])", line):
            lines.setdefault(named[1], number)
    return _Layer(str(file), values, {name: lines[name] for name in values if name in lines}, is_typed=True)


def _of_environment(environment: Mapping[str, str]) -> _Layer:
    named = {
        name.removeprefix(ENVIRONMENT_PREFIX).lower(): value
        for name, value in environment.items()
        if name.startswith(ENVIRONMENT_PREFIX) and name not in CLIENT_VARIABLES and _is_meant(name, value)
    }
    return _Layer("environment", {name: _taken_apart(name, value) for name, value in named.items()})


def _is_meant(name: str, value: str) -> bool:
    """True if a variable is one of ours: not one of Kubernetes for a Service, and not empty, as compose passes unset
    ones.
    """
    is_address = name.endswith("_PORT") and ADDRESS_OF_A_SERVICE.fullmatch(value)
    return bool(value) and not is_address and not OF_A_SERVICE.fullmatch(name.removeprefix(ENVIRONMENT_PREFIX))


def _taken_apart(name: str, value: str) -> Any:
    """The list or table in a value that had to be written as one string."""
    parts = [part.strip() for part in value.split(",") if part.strip()]
    match getattr(Settings(), name, None):
        case dict():
            return dict(part.partition("=")[::2] for part in parts)
        case tuple():
            return parts
        case _:
            return value


def _of_flags(flags: Mapping[str, Any]) -> _Layer:
    return _Layer("command line", {name: value for name, value in flags.items() if value is not None})


# --- checking ------------------------------------------------------------------------------------------------------


def _check(layer: _Layer, environment: Mapping[str, str]) -> None:
    """Check that each setting is known and has the right type: layer by layer, so that an error can name the place."""
    known = Settings.__struct_fields__
    for name in layer.values:
        if name not in known:
            nearest = get_close_matches(name, known, n=1)
            advice = f"did you mean {nearest[0]!r}?" if nearest else f"the settings are {', '.join(known)}"
            raise ConfigurationError(f"{layer.origin(name)}: there is no setting {name!r}; {advice}")
    for name, value in layer.values.items():
        try:
            _convert({name: value}, environment, is_typed=layer.is_typed)
        except ConfigurationError as error:
            raise ConfigurationError(f"{layer.origin(name)}: {error}") from error


def _convert(values: dict[str, Any], environment: Mapping[str, str], *, is_typed: bool) -> Settings:
    def decode_path(wanted: type, value: Any) -> Any:
        if wanted is Path and isinstance(value, str | Path):
            return Path(_expanded(str(value), environment))
        raise TypeError(f"no setting is a {wanted.__name__}")

    try:
        return msgspec.convert(values, Settings, strict=is_typed, dec_hook=decode_path)
    except msgspec.ValidationError as error:
        complaint, _, path = str(error).partition(" - at `$.")
        raise ConfigurationError(f"{path.rstrip('`') or 'settings'}: {complaint}") from error


def _expanded(path: str, environment: Mapping[str, str]) -> str:
    for place in PLACES:
        for form in (f"${{{place}}}", f"${place}"):
            if form in path:
                if not environment.get(place):
                    raise ConfigurationError(f"{path}: systemd did not set {place}")
                path = path.replace(form, environment[place].split(":")[0])
    return path
