"""Compare two editions of the contract: what breaks a client that was written for the older one, what only adds.

python tools/contract_diff.py OLD.json NEW.json      # exit 1 if something breaks
python tools/contract_diff.py --base REVISION        # docs/reference/asyncapi.json as it was there, and as it is now

A sender may send less than before, and a receiver may accept more.  So, of what a client sends, a field that is gone
or newly required, or a narrower type, bound or pattern breaks; of what the server sends, a field that is gone or no
longer certain, another type, a wider pattern or a new word, unless the list of words may grow.

A break on purpose is named in ``changes/breaking.md``: it is listed as ``meant``, and does not count.
"""

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from patterns import admits

ROOT = Path(__file__).parents[1]
PUBLISHED = ROOT / "docs" / "reference" / "asyncapi.json"
OLDER = "docs/asyncapi.json"
MEANT = ROOT / "changes" / "breaking.md"
MEANT_PLACES = re.compile(r"^- `(?P<place>[^`]+)`: (?P<what>[^:\n]+):", re.MULTILINE)

LOWER_BOUNDS = ("minimum", "minLength", "minItems", "minProperties")
UPPER_BOUNDS = ("maximum", "maxLength", "maxItems", "maxProperties")
SAID = ("format", "const", "discriminator")

INCLUDED = {"operate": {"open", "freeze", "define", "mint"}, "admin": {"operate", "open", "freeze", "define", "mint"}}
"""The scopes that another one includes: its holder loses nothing if one of them is enough."""


class Change(NamedTuple):
    """One difference, where it is, and whether it breaks a client."""

    place: str
    what: str
    is_breaking: bool

    def __str__(self) -> str:
        return f"{'breaks' if self.is_breaking else 'adds  '}  {self.place}: {self.what}"


def changes(old: dict[str, Any], new: dict[str, Any]) -> list[Change]:
    """Every difference that a client can notice, in the order of the old document."""
    return [*_operations(old, new), *_rows(old, new)]


def _operations(old: dict[str, Any], new: dict[str, Any]) -> Iterator[Change]:
    for name, before in old["operations"].items():
        after = new["operations"].get(name)
        if after is None:
            yield Change(name, "is gone", True)
            continue
        if before["action"] != after["action"]:
            yield Change(name, "goes the other way", True)
        needed, need = _scopes(before.get("x-needs")), _scopes(after.get("x-needs"))
        if needed != need:
            is_met = all(any(scope in {held, *INCLUDED.get(held, ())} for held in needed) for scope in need)
            yield Change(name, f"needs {after.get('x-needs')} instead of {before.get('x-needs')}", not is_met)
        for reason in after.get("x-errors", []):
            if reason not in before.get("x-errors", []):
                yield Change(name, f"may fail with {reason}", False)
        messages = [name] if before["action"] == "send" else [f"{name}.request", f"{name}.reply"]
        for message in messages:
            walk = _Walk(old, new, is_sent_by_client=message.endswith(".request"))
            payloads = [document["components"]["messages"][message]["payload"] for document in (old, new)]
            yield from walk.schemas(message, *payloads)
    for name in new["operations"]:
        if name not in old["operations"]:
            yield Change(name, "is new", False)


def _scopes(needs: str | None) -> list[str]:
    """The scopes that a sentence about access names, in their order; how the sentence is worded breaks nothing."""
    return re.findall(r"`(\w+)`", needs or "")


def _advice(sentence: str) -> str:
    """Whether a client should reconnect: "yes", "no", or "" if it may do as it likes."""
    return word.group() if (word := re.match(r"yes|no\b", sentence)) else ""


def _rows(old: dict[str, Any], new: dict[str, Any]) -> Iterator[Change]:
    for table, key, held in (("x-errors", "reason", ("code", "retry")), ("x-close-codes", "code", ("reconnect",))):
        before, after = ({row[key]: row for row in document[table]} for document in (old, new))
        for name, row in before.items():
            if name in after:
                for word in held:
                    held_before, held_after = row[word], after[name][word]
                    if word == "reconnect":
                        held_before, held_after = _advice(held_before), _advice(held_after)
                    if held_before != held_after:
                        yield Change(str(name), f"{word} was {row[word]} and is {after[name][word]}", True)
                if gone := sorted(set(row.get("facts", [])) - set(after[name].get("facts", []))):
                    yield Change(str(name), f"says no longer: {', '.join(gone)}", True)
            else:
                yield Change(str(name), "is given no more", False)
        for name in after:
            if name not in before:
                yield Change(str(name), "is new", False)
    limits = [{row["limit"] for row in document["x-limits"]} for document in (old, new)]
    for limit in sorted(limits[0] - limits[1]):
        yield Change(limit, "is a limit no more", True)
    for limit in sorted(limits[1] - limits[0]):
        yield Change(limit, "is a new limit", True)


class _Walk:
    """Two schemas side by side, in one direction."""

    def __init__(self, old: dict[str, Any], new: dict[str, Any], *, is_sent_by_client: bool) -> None:
        self.old, self.new = old, new
        self.is_sent_by_client = is_sent_by_client
        self.seen: set[tuple[str, str]] = set()

    def schemas(self, place: str, before: dict[str, Any], after: dict[str, Any]) -> Iterator[Change]:
        pair = before.get("$ref", ""), after.get("$ref", "")
        if any(pair):
            if pair in self.seen:
                return
            self.seen.add(pair)
        before, after = _resolved(self.old, before), _resolved(self.new, after)
        if ("anyOf" in before) != ("anyOf" in after):
            before, after = ({"anyOf": schema.get("anyOf", [schema])} for schema in (before, after))
        if before.get("type") != after.get("type"):
            yield Change(place, f"was {before.get('type')} and is {after.get('type')}", True)
            return
        yield from self._words(place, before, after)
        yield from self._bounds(place, before, after)
        yield from self._fields(place, before, after)
        for part in ("items", "additionalProperties", "propertyNames"):
            if isinstance(before.get(part), dict) and isinstance(after.get(part), dict):
                yield from self.schemas(f"{place}[]", before[part], after[part])
            elif before.get(part) != after.get(part):
                yield Change(place, f"{part} is another", True)
        is_a_command = before.get("discriminator") == "method"
        yield from self._choices(place, before.get("anyOf", []), after.get("anyOf", []), is_a_command=is_a_command)

    def _words(self, place: str, before: dict[str, Any], after: dict[str, Any]) -> Iterator[Change]:
        for word in SAID:
            if before.get(word) != after.get(word):
                yield Change(place, f"{word} was {before.get(word)} and is {after.get(word)}", True)
        pattern, other = before.get("pattern"), after.get("pattern")
        if pattern != other:
            wider, narrower = (other, pattern) if self.is_sent_by_client else (pattern, other)
            is_safe = wider is None or (narrower is not None and admits(wider, narrower))
            yield Change(place, f"pattern was {pattern} and is {other}", not is_safe)
        if "enum" in before and "enum" in after:
            for value in before["enum"]:
                if value not in after["enum"]:
                    yield Change(place, f"{value!r} is gone", self.is_sent_by_client)
            for value in after["enum"]:
                if value not in before["enum"]:
                    is_surprise = not self.is_sent_by_client and not before.get("x-may-grow", False)
                    yield Change(place, f"{value!r} is new", is_surprise)
        elif ("enum" in before) != ("enum" in after):
            yield Change(place, "the words that there are" if "enum" in before else "only some words now", True)

    def _bounds(self, place: str, before: dict[str, Any], after: dict[str, Any]) -> Iterator[Change]:
        for words, sign in ((LOWER_BOUNDS, 1), (UPPER_BOUNDS, -1)):
            for word in words:
                low, high = before.get(word), after.get(word)
                if low == high:
                    continue
                is_narrower = low is None or (high is not None and sign * high > sign * low)
                yield Change(place, f"{word} was {low} and is {high}", is_narrower == self.is_sent_by_client)

    def _fields(self, place: str, before: dict[str, Any], after: dict[str, Any]) -> Iterator[Change]:
        known, given = before.get("properties", {}), after.get("properties", {})
        was_certain, is_certain = set(before.get("required", [])), set(after.get("required", []))
        for name, schema in known.items():
            if name not in given:
                yield Change(f"{place}.{name}", "is gone", True)
                continue
            if (name in was_certain) != (name in is_certain):
                what = "is required now" if name in is_certain else "is optional now"
                yield Change(f"{place}.{name}", what, (name in is_certain) == self.is_sent_by_client)
            yield from self.schemas(f"{place}.{name}", schema, given[name])
        for name in given:
            if name not in known:
                is_demanded = self.is_sent_by_client and name in is_certain
                yield Change(f"{place}.{name}", "is new" + (" and required" if is_demanded else ""), is_demanded)

    def _choices(
        self, place: str, before: list[dict[str, Any]], after: list[dict[str, Any]], *, is_a_command: bool
    ) -> Iterator[Change]:
        """Entries may have commands of new kinds, as there may be new methods; of anything else, no new kinds."""
        known = {_kind(self.old, choice): choice for choice in before}
        given = {_kind(self.new, choice): choice for choice in after}
        _pair_renamed(known, given)
        for kind, choice in known.items():
            if kind in given:
                yield from self.schemas(place, choice, given[kind])
            else:
                yield Change(place, f"is never {kind} any more", self.is_sent_by_client)
        for kind in given:
            if kind not in known:
                yield Change(place, f"may be {kind}", not self.is_sent_by_client and not is_a_command)


def _pair_renamed(known: dict[str, dict[str, Any]], given: dict[str, dict[str, Any]]) -> None:
    """If a single type has another name, it is compared as the same: only the document names types."""
    gone, new = [kind for kind in known if kind not in given], [kind for kind in given if kind not in known]
    if len(gone) == len(new) == 1 and all("$ref" in choice for choice in (known[gone[0]], given[new[0]])):
        given[gone[0]] = given.pop(new[0])


def _resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref")
    if reference is None:
        return schema
    resolved: dict[str, Any] = document["components"]["schemas"][reference.rpartition("/")[2]]
    return resolved


def _kind(document: dict[str, Any], choice: dict[str, Any]) -> str:
    """The name or type that tells a choice from its alternatives."""
    schema = _resolved(document, choice)
    return str(schema.get("title") or schema.get("type") or schema.get("enum") or schema)


def committed(revision: str) -> dict[str, Any]:
    """The contract as it was at a revision of this checkout."""
    said = ""
    for name in (str(PUBLISHED.relative_to(ROOT)), OLDER):
        command = ["git", "show", f"{revision}:{name}"]
        shown = subprocess.run(command, cwd=PUBLISHED.parent, capture_output=True, text=True, check=False)
        if shown.returncode == 0:
            document: dict[str, Any] = json.loads(shown.stdout)
            return document
        said = said or shown.stderr.strip()
    sys.exit(f"walletd: there is no contract at {revision}: {said}")


def meant(change: Change, page: str) -> bool:
    """Whether the page names this break: the place there may have ``*``."""
    named = MEANT_PLACES.findall(page)
    places = ((re.escape(place).replace(r"\*", ".*"), what) for place, what in named)
    return any(re.fullmatch(place, change.place) and change.what.startswith(what) for place, what in places)


def main() -> int:
    """Print the changes, those that break first."""
    parser = argparse.ArgumentParser(description="Compare two editions of the contract.")
    parser.add_argument("documents", nargs="*", type=Path, metavar="OLD.json NEW.json")
    parser.add_argument("--base", metavar="REVISION")
    asked = parser.parse_args()
    if asked.base is None and len(asked.documents) != 2:
        parser.error("name two documents, or one revision with --base")
    if asked.base is not None:
        old, new = committed(asked.base), json.loads(PUBLISHED.read_text())
    else:
        old, new = (json.loads(document.read_text()) for document in asked.documents)
    found = sorted(changes(old, new), key=lambda change: not change.is_breaking)
    page = MEANT.read_text() if asked.base is not None and MEANT.exists() else ""
    on_purpose = [change for change in found if change.is_breaking and meant(change, page)]
    for change in sorted(found, key=lambda change: change in on_purpose):
        sys.stdout.write(f"meant   {change.place}: {change.what}\n" if change in on_purpose else f"{change}\n")
    breaking = sum(change.is_breaking for change in found) - len(on_purpose)
    purpose = f", and {len(on_purpose)} on purpose (changes/breaking.md)" if on_purpose else ""
    sys.stdout.write(f"{len(found)} changes, {breaking} of them breaking{purpose}\n")
    return 1 if breaking else 0


if __name__ == "__main__":
    sys.exit(main())
