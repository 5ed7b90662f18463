"""Strict types: commands and records as clients must send them, made from those that the daemon keeps.

    strict(PostTransfer)                               # the same fields, whose texts must match their forms
    CommandDecoder(PostTransfer).decode(params)        # a PostTransfer; raises what the strict type raises
    converted(document, PostTransfer)                  # the same from a document that is decoded already
    misfit(entry)                                      # what is wrong with an entry of a journal that is not trusted

Nearly every command names wallets and assets that were named before, so that matching their patterns again tells
nothing.  A command is therefore decoded without patterns, and then each of its texts is judged by the shortest test
that its form permits.  Only if one is not well-formed, the strict type decodes it again, and says what is wrong.
"""

import re
from collections.abc import Callable, Mapping
from types import UnionType
from typing import Annotated, Any, Final, Generic, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from walletd.vocabulary.commands import Posting, PostTransfer
from walletd.vocabulary.forms import Form
from walletd.vocabulary.identifiers import ASSET_CODE_PATTERN, COMMAND_ID_PATTERN, WALLET_ID_PATTERN
from walletd.vocabulary.money import AMOUNT_PATTERN

Kept = TypeVar("Kept")
Judge = Callable[[Any], bool]
"""True if a value, and everything in it, is well-formed."""

MAX_SEEN: Final = 16_384
"""The number of well-formed texts of one form that are remembered: with the longest, some 2 MB."""

MAX_AMOUNT_DIGITS: Final = 36
MAX_COMMAND_ID: Final = 64

_strict: dict[type, type] = {}
_judges: dict[type, Judge | None] = {}
_seen: dict[str, set[str]] = {}
"""The well-formed texts of each form."""


def strict(kind: Any) -> Any:
    """The type with a pattern in the place of each form, in all types that it contains; itself if there is none."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        if kind not in _strict:
            _strict[kind] = _twin(kind)
        return _strict[kind]
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        metadata = [msgspec.Meta(pattern=one.pattern) if isinstance(one, Form) else one for one in kind.__metadata__]
        return Annotated[strict(inner[0]), *metadata]
    if origin in (Union, UnionType):
        return Union[tuple(strict(one) for one in inner)]  # noqa: UP007
    if origin in (tuple, dict):
        return origin[tuple(one if one is ... else strict(one) for one in inner)]
    return kind


def _twin(kind: type[msgspec.Struct]) -> type:
    hints = get_type_hints(kind, include_extras=True)
    made = {name: strict(hints[name]) for name in kind.__struct_fields__}
    if all(made[name] == hints[name] for name in made):
        return kind
    return with_types(kind, made)


def with_types(kind: type[msgspec.Struct], types: Mapping[str, Any]) -> type[msgspec.Struct]:
    """A struct like this one, whose fields have these types."""
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    config = kind.__struct_config__
    return msgspec.defstruct(
        kind.__name__,
        [(name, types[name], _field(fields[name])) for name in kind.__struct_fields__],
        module=kind.__module__,
        namespace={"__doc__": kind.__doc__},
        frozen=config.frozen,
        kw_only=True,
        forbid_unknown_fields=config.forbid_unknown_fields,
        omit_defaults=config.omit_defaults,
        tag_field=config.tag_field,
        tag=config.tag,
    )


def _field(field: msgspec.structs.FieldInfo) -> Any:
    if field.default_factory is not msgspec.NODEFAULT:
        return msgspec.field(name=field.encode_name, default_factory=field.default_factory)
    return msgspec.field(name=field.encode_name, default=field.default)


class CommandDecoder(Generic[Kept]):
    """Decodes the params of one kind of command."""

    def __init__(self, kind: type[Kept]) -> None:
        self._decode = msgspec.json.Decoder(kind).decode
        self._decode_strictly = msgspec.json.Decoder(strict(kind)).decode
        self._is_well_formed = judge_of(kind)

    def decode(self, params: bytes | msgspec.Raw) -> Kept:
        """The command.  Raises msgspec.DecodeError if it is not well-formed."""
        try:
            command = self._decode(params)
        except msgspec.DecodeError:
            self._decode_strictly(params)  # Of two faults, the first is named.
            raise
        if self._is_well_formed is not None and not self._is_well_formed(command):
            self._decode_strictly(params)
            raise AssertionError("the forms and the strict types disagree")
        return command


def converted(document: Any, kind: Any) -> Any:
    """The command that a decoded JSON document is.  Raises msgspec.ValidationError if it is not well-formed."""
    msgspec.convert(document, strict(kind))
    return msgspec.convert(document, kind)


def misfit(value: msgspec.Struct) -> str | None:
    """What is not well-formed in a value that was decoded without patterns; None if all is."""
    is_well_formed = judge_of(type(value))
    if is_well_formed is None or is_well_formed(value):
        return None
    try:
        msgspec.json.decode(msgspec.json.encode(value), type=strict(type(value)))
    except msgspec.DecodeError as error:
        return str(error)
    raise AssertionError("the forms and the strict types disagree")


# --- judging ---------------------------------------------------------------------------------------------------------


def judge_of(hint: Any) -> Judge | None:
    """The function that judges values of this type; None if there is nothing to judge."""
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        if hint not in _judges:
            _judges[hint] = _judge_of_fields(hint)
        return _judges[hint]
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        form = next((one for one in hint.__metadata__ if isinstance(one, Form)), None)
        return judge_of(inner[0]) if form is None else _judge_of_form(form)
    if origin in (Union, UnionType):
        return _judge_of_union(inner)
    if origin is tuple:
        return _each(judge_of(inner[0]))
    if origin is dict:
        return _both(judge_of(inner[0]), judge_of(inner[1]))
    return None


def _judge_of_fields(kind: type[msgspec.Struct]) -> Judge | None:
    hints = get_type_hints(kind, include_extras=True)
    judged = [(field.name, field.default, judge_of(hints[field.name])) for field in msgspec.structs.fields(kind)]
    judges = [(name, default, judge) for name, default, judge in judged if judge is not None]

    def fields(value: Any) -> bool:
        for name, default, is_well_formed in judges:
            part = getattr(value, name)
            if part is not default and not is_well_formed(part):
                return False
        return True

    if not judges:
        return None
    if kind is Posting:
        return lambda one: _is_between_known(one) or fields(one)
    return _judge_of_payments(fields) if kind is PostTransfer else fields


_known_wallets = _seen.setdefault(WALLET_ID_PATTERN, set())
_known_assets = _seen.setdefault(ASSET_CODE_PATTERN, set())


def _is_between_known(posting: Posting) -> bool:
    """True for most of what is ever judged: a well-formed amount between wallets that were named before."""
    amount = posting.amount
    return (
        posting.source in _known_wallets
        and posting.to in _known_wallets
        and posting.asset in _known_assets
        and amount.isdigit()
        and amount.isascii()
        and amount[0] != "0"
        and len(amount) <= MAX_AMOUNT_DIGITS
    )


def _judge_of_payments(fields: Judge) -> Judge:
    """The same for most commands: one such posting, without conditions."""

    def payment(command: PostTransfer) -> bool:
        postings = command.postings
        return (
            len(postings) == 1
            and not command.if_version
            and not command.if_balance
            and is_command_id(command.command_id)
            and _is_between_known(postings[0])
        ) or fields(command)

    return payment


def _judge_of_union(members: tuple[Any, ...]) -> Judge | None:
    """One member that is judged, and others that are None or unset; or several structs."""
    judges = {member: judge for member in members if (judge := judge_of(member)) is not None}
    if not judges:
        return None
    if len(judges) > 1:

        def of_its_type(value: Any) -> bool:
            judge = judges.get(type(value))
            return judge is None or judge(value)

        return of_its_type
    (only,) = judges.values()
    return lambda value: value is None or value is msgspec.UNSET or only(value)


def _each(judge: Judge | None) -> Judge | None:
    return None if judge is None else lambda values: all(map(judge, values))


def _both(of_name: Judge | None, of_value: Judge | None) -> Judge | None:
    names, values = _each(of_name), _each(of_value)
    if names is None and values is None:
        return None
    return lambda table: not table or ((names is None or names(table)) and (values is None or values(table.values())))


def _judge_of_form(form: Form) -> Judge:
    if form.pattern == AMOUNT_PATTERN:
        return is_amount
    if form.pattern == COMMAND_ID_PATTERN:
        return is_command_id
    search = re.compile(form.pattern).search
    if not form.is_often_seen:
        return lambda text: search(text) is not None
    seen = _seen.setdefault(form.pattern, set())

    def is_seen(text: str) -> bool:
        if text in seen:
            return True
        if search(text) is None:
            return False
        if len(seen) >= MAX_SEEN:
            seen.clear()
        seen.add(text)
        return True

    return is_seen


def is_amount(text: str) -> bool:
    """True for what ``AMOUNT_PATTERN`` matches."""
    return text.isdigit() and text.isascii() and text[0] != "0" and len(text) <= MAX_AMOUNT_DIGITS


def is_command_id(text: str) -> bool:
    """True for what ``COMMAND_ID_PATTERN`` matches."""
    return text.isascii() and text.isprintable() and " " not in text and 0 < len(text) <= MAX_COMMAND_ID
