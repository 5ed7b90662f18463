"""What a client sends is judged as strictly as its strict type decodes it, whatever was seen before."""

import random
import re
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from tests.protocol.shapes import changed, places_of
from tests.protocol.words import EXAMPLES
from walletd.protocol import strict_types
from walletd.protocol.methods import METHODS, Kind
from walletd.protocol.strict_types import CommandDecoder, is_amount, is_command_id, strict
from walletd.vocabulary.commands import PostTransfer
from walletd.vocabulary.entries import Entry
from walletd.vocabulary.identifiers import COMMAND_ID_PATTERN, WALLET_ID_PATTERN
from walletd.vocabulary.money import AMOUNT_PATTERN

COMMANDS = [name for name, method in METHODS.items() if method.kind is Kind.COMMAND]
POSTING = {"from": "shop:1", "to": "bob", "asset": "EUR", "amount": "5"}
MALFORMED: dict[str, list[str]] = {
    "from": ["", "-a", "@", "a\n", "a b", "ä", "a" * 65],
    "to": ["", "@@a", "a~", "bob\n"],
    "asset": ["", "eur", "EUR\n", "E" * 17],
    "amount": ["", "0", "05", "-5", "5.0", "٥", "²", "5\n", " 5", "1" * 37],
}


def payment(**changes: str) -> bytes:
    return msgspec.json.encode({"command_id": "c1", "postings": [POSTING, POSTING | changes]})


@pytest.mark.parametrize("method", COMMANDS)
def test_a_command_is_decoded_as_by_its_strict_type(method: str) -> None:
    params = msgspec.json.encode(EXAMPLES[method])
    kind = METHODS[method].params
    kept: Any = METHODS[method].decoder.decode(params)
    assert type(kept) is kind
    assert msgspec.json.encode(kept) == msgspec.json.encode(msgspec.json.decode(params, type=strict(kind)))


@pytest.mark.parametrize("method", COMMANDS)
def test_no_text_passes_that_the_strict_type_refuses(method: str) -> None:
    kind, example = METHODS[method].params, EXAMPLES[method]
    decode_strictly = msgspec.json.Decoder(strict(kind)).decode
    for place in places_of(kind, example):
        for text in ("", "@", "a b", "x\n", "0", "-1", "a", "EUR", "@a", "t1", "h1", "a" * 200):
            params = msgspec.json.encode(changed(example, place.path, text))
            assert _fault(METHODS[method].decoder.decode, params) == _fault(decode_strictly, params), (place.name, text)


def _fault(decode: Callable[[bytes], Any], params: bytes) -> str | None:
    try:
        decode(params)
    except msgspec.ValidationError as error:
        return str(error)
    return None


@pytest.mark.parametrize(("field", "text"), [(field, text) for field, texts in MALFORMED.items() for text in texts])
def test_a_malformed_text_is_refused_with_its_place_also_between_texts_that_were_seen(field: str, text: str) -> None:
    decoder = CommandDecoder(PostTransfer)
    decoder.decode(payment())
    with pytest.raises(msgspec.ValidationError, match=rf"\$\.postings\[1\]\.{field}"):
        decoder.decode(payment(**{field: text}))


def test_of_two_faults_the_first_is_named() -> None:
    with pytest.raises(msgspec.ValidationError, match=r"command_id"):
        CommandDecoder(PostTransfer).decode(b'{"command_id":"","postings":7}')


@pytest.mark.parametrize(("judge", "pattern"), [(is_amount, AMOUNT_PATTERN), (is_command_id, COMMAND_ID_PATTERN)])
def test_the_shortest_test_of_a_text_permits_what_its_pattern_permits(judge: Any, pattern: str) -> None:
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    print("seed", seed)
    characters = ["0", "1", "9", "a", "~", "!", " ", "\x7f", "\x1f", "\n", "٣", "²", "é", "\xa0", "\u2028"]
    outcomes = {True: 0, False: 0}
    for _ in range(5_000):
        length = chance.choice([0, 1, 2, 3, 35, 36, 37, 63, 64, 65])
        alphabet = chance.choice([characters, characters[:3], characters[:6]])
        text = "".join(chance.choices(alphabet, k=length))
        expected = re.search(pattern, text) is not None
        assert judge(text) is expected, repr(text)
        outcomes[expected] += 1
    assert min(outcomes.values()) > 300


@pytest.mark.interpreted
def test_the_texts_that_are_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strict_types, "MAX_SEEN", 10)
    decoder = CommandDecoder(PostTransfer)
    for number in range(100):
        decoder.decode(payment(to=f"wallet-{number}"))
        assert len(strict_types._seen[WALLET_ID_PATTERN]) <= 10


def test_an_entry_of_the_journal_is_decoded_without_patterns_and_its_contract_has_them() -> None:
    assert "pattern" not in str(msgspec.json.schema(Entry))
    assert AMOUNT_PATTERN in str(msgspec.json.schema(strict(Entry))).replace("\\\\", "\\")
