"""The methods of the JavaScript client: its types, what they look like on the wire, and a function for each method.

module(document())  ->  the text of clients/javascript/src/methods.js
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from walletd.contract.schemas import REF, references

LINE = 120

HAND_WRITTEN = {"session.authenticate", "stream.subscribe", "stream.unsubscribe"}
"""What the client does by itself."""

AMOUNTS = {"^[1-9][0-9]{0,35}$", "^(0|[1-9][0-9]{0,35})$", "^(0|-?[1-9][0-9]{0,71})$", "^-?(0|[1-9][0-9]*)$"}
"""The patterns of amounts."""

UNMARKED = {
    ("AssetTotal", "sum"),
    ("AssetTotal", "in_customer_wallets"),
    ("HoldView", "amount"),
    ("HoldView", "captured"),
    ("HoldView", "reserved"),
    ("PostingView", "amount"),
    ("StatementBalance", "posted"),
    ("StatementLine", "amount"),
    ("StatementLine", "posted"),
}
"""Amounts that the contract declares as strings without a pattern: to give them one now would be another contract."""

UNIONS = {("Entry", "command"): "Command", ("ExecuteBatchParams", "commands"): "CommandGiven"}
"""Types that are one of many, and what they are called."""

HEAD = """\
// Made from docs/reference/asyncapi.json by `make docs`.  Do not edit.

/**
 * @typedef {object} CallOptions
 * @property {number} [deadlineSeconds] how long to wait for the answer, reconnections included
 * @property {AbortSignal} [signal] stops waiting; a command that was sent may be applied nevertheless
 */

/** @typedef {(method: string, params: object, options?: CallOptions) => Promise<any>} Ask */
"""


def module(document: dict[str, Any]) -> str:
    """The whole module."""
    return _Module(document).text()


class _Module:
    def __init__(self, document: dict[str, Any]) -> None:
        self.methods = {name: _Method(document, name) for name in _requests(document) if name not in HAND_WRITTEN}
        self.schemas: dict[str, Any] = dict(document["components"]["schemas"])
        error = self.schemas["ErrorObject"]["properties"]["data"]
        said = {"reason", "outcome", "retry"}
        facts = {name: fact for name, fact in error["properties"].items() if name not in said}
        self.schemas["Facts"] = {
            "description": "The facts that explain an error; each reason has some of them.",
            "type": "object",
            "properties": facts,
        }
        params = [method.params for method in self.methods.values()] + ["Subscribe"]
        self.given = self._reachable(params)
        sent = [method.result for method in self.methods.values()]
        self.shown = self._reachable([*sent, "Hello", "Subscribed", "StreamEvent", "Facts", "ErrorObject"])
        known = {(name, field) for name in self.shown for field in self.schemas[name].get("properties", {})}
        assert known >= UNMARKED, "an amount is gone"
        self.shapes = {name: self._shape(name) for name in sorted(self.given | self.shown)}
        self._drop_empty_shapes()

    def text(self) -> str:
        typedefs = [self._typedef(name) for name in sorted(self.given | self.shown)]
        parts = [HEAD, *typedefs, *(self._union(*place) for place in UNIONS), self._tables()]
        return "\n".join([*parts, self._class()])

    # --- types -----------------------------------------------------------------------------------------------------

    def _typedef(self, name: str) -> str:
        schema = self.schemas[name]
        if "properties" not in schema:
            return f"/** @typedef {{{self._type(schema, name)}}} {name} */\n"
        lines = ["/**", *_comment(schema.get("description", "")), f" * @typedef {{object}} {name}"]
        for field, declared in schema["properties"].items():
            said = declared.get("description", "")
            shown = f"[{field}]" if self._is_optional(name, field) else field
            lines.append(f" * @property {{{self._type(declared, name, field)}}} {shown} {said}".rstrip())
        if name == "Applied":
            lines.append(" * @property {string} command_id the id that the command was sent with, given or made")
        return "\n".join([*lines, " */\n"])

    def _union(self, name: str, field: str) -> str:
        schema = _of(self.schemas[name], field)
        return f"/** @typedef {{{self._type(schema.get('items', schema), name)}}} {UNIONS[name, field]} */\n"

    def _is_optional(self, name: str, field: str) -> bool:
        """A client leaves out what has a default, and the command id, which is made; in what it receives the defaults
        are filled in.
        """
        schema = self.schemas[name]
        if name in self.given and field == "command_id" and name.endswith("Params"):
            return True
        is_certain = field in schema.get("required", []) or (name in self.shown and "default" in _of(schema, field))
        return not is_certain

    def _type(self, schema: Any, name: str, field: str = "") -> str:
        is_given = name in self.given
        if (name, field) == ("Refusal", "facts"):
            return "Facts"
        if (name, field) in UNIONS:
            alias = UNIONS[name, field]
            return f"{alias}[]" if schema.get("type") == "array" else alias
        if "$ref" in schema:
            return str(schema["$ref"].removeprefix(REF))
        if "enum" in schema or "const" in schema:
            words = [json.dumps(word) for word in schema.get("enum", [schema.get("const")])]
            if schema.get("x-may-grow"):
                words.append("number & {}" if isinstance(schema["enum"][0], int) else "string & {}")
            return " | ".join(f"({word})" if "&" in word else word for word in words)
        if "anyOf" in schema:
            return " | ".join(self._type(choice, name, field) for choice in schema["anyOf"])
        if isinstance(schema.get("type"), list):
            return " | ".join(self._type(schema | {"type": one}, name, field) for one in schema["type"])
        match schema.get("type"):
            case "string" if self._is_amount(schema, name, field):
                return "bigint"
            case "string":
                return "string | Date" if is_given and schema.get("format") == "date-time" else "string"
            case "integer" | "number":
                return "number"
            case "boolean" | "null" as word:
                return str(word)
            case "array":
                item = self._type(schema["items"], name, field)
                return f"{'readonly ' if is_given else ''}{f'({item})' if '|' in item else item}[]"
            case "object" if isinstance(schema.get("additionalProperties"), dict):
                return f"Record<string, {self._type(schema['additionalProperties'], name, field)}>"
            case "object" if "properties" in schema and name == "ErrorObject":
                return "Facts & { reason: Reason, outcome: string, retry: string }"
        return "Record<string, unknown>"

    def _is_amount(self, schema: Any, name: str, field: str) -> bool:
        return schema.get("pattern") in AMOUNTS or (name, field) in UNMARKED

    # --- what is on the wire ---------------------------------------------------------------------------------------

    def _shape(self, name: str) -> dict[str, list[Any]]:
        """The fields that are not what JSON makes of them: [kind, default]."""
        shape: dict[str, list[Any]] = {}
        for field, declared in self.schemas[name].get("properties", {}).items():
            kind = self._kind(declared, name, field)
            if name in self.shown and name not in self.given and "default" in declared:
                shape[field] = [kind, declared["default"]]
            elif kind:
                shape[field] = [kind]
        return shape

    def _kind(self, schema: Any, name: str, field: str) -> str:
        """``bigint``, a shape, a list (``[]``) or a map (``{}``) of one, or "" for what is as it is in JSON."""
        if (name, field) in (("ErrorObject", "data"), ("Refusal", "facts")):
            return "Facts"
        if "$ref" in schema:
            return str(schema["$ref"].removeprefix(REF))
        if schema.get("discriminator") == "method":
            return "CommandGiven" if name in self.given else "Command"
        choices = {self._kind(choice, name, field) for choice in schema.get("anyOf", [])} - {""}
        if choices:
            assert len(choices) == 1, (name, field)
            return choices.pop()
        types = schema.get("type")
        if "string" in (types if isinstance(types, list) else [types]) and self._is_amount(schema, name, field):
            return "bigint"
        for word, part, suffix in (("array", "items", "[]"), ("object", "additionalProperties", "{}")):
            if types == word and isinstance(schema.get(part), dict):
                inner = self._kind(schema[part], name, field)
                return f"{inner}{suffix}" if inner else ""
        return ""

    def _drop_empty_shapes(self) -> None:
        """Leave out the shapes of which every field is as it is in JSON, and then the fields of such shapes."""
        while True:
            empty = {name for name, shape in self.shapes.items() if not shape}
            if not empty:
                return
            for name in empty:
                del self.shapes[name]
            for name, shape in self.shapes.items():
                self.shapes[name] = {field: kept for field, row in shape.items() if (kept := _without(row, empty))}

    def _commands(self, suffix: str) -> dict[str, str]:
        names = (name for name in self.shapes if name in self.schemas and name.endswith(suffix))
        found = {}
        for name in names:
            words = _of(self.schemas[name], "method").get("enum", []) if "method" in self._fields(name) else []
            if len(words) == 1 and name.endswith("Given") == bool(suffix):
                found[words[0]] = name
        return found

    def _fields(self, name: str) -> dict[str, Any]:
        fields: dict[str, Any] = self.schemas[name].get("properties", {})
        return fields

    def _reachable(self, names: Iterable[str]) -> set[str]:
        reached: set[str] = set()
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name not in reached:
                reached.add(name)
                waiting += references(self.schemas[name])
        return reached

    # --- code ------------------------------------------------------------------------------------------------------

    def _tables(self) -> str:
        rows = [f"  {name}: {_row(shape)}," for name, shape in self.shapes.items()]
        shapes = [
            "/**",
            " * The fields that are not what JSON makes of them: their kind and, if they may be absent, their default.",
            " *",
            " * @type {Record<string, Record<string, [string, unknown?]>>}",
            " */",
            "export const SHAPES = {",
            *rows,
            "};",
        ]
        commands = [
            "",
            "/** The shapes of commands in an entry, and in a batch, by their methods. */",
            "/** @type {Record<string, Record<string, string>>} */",
            "export const COMMANDS = {",
            *(_object(name, self._commands(suffix)) for name, suffix in (("Command", ""), ("CommandGiven", "Given"))),
            "};",
        ]
        methods = [
            "",
            "/** @type {Record<string, { params: string, result: string, isCommand: boolean }>} */",
            "export const METHODS = {",
            *(
                f'  "{name}": {{ params: "{method.params}", result: "{method.result}", '
                f"isCommand: {str(method.is_command).lower()} }},"
                for name, method in self.methods.items()
            ),
            "};",
            "",
        ]
        return "\n".join([*shapes, *commands, *methods])

    def _class(self) -> str:
        groups: dict[str, list[str]] = {}
        for name in self.methods:
            groups.setdefault(name.partition(".")[0], []).append(name)
        lines = ["/** Every method of the protocol: `transfer.post` is `client.transfer.post(params)`. */"]
        lines += ["export class Methods {", "  /** @param {Ask} ask */", "  constructor(ask) {"]
        for group, names in groups.items():
            lines += [f"    this.{group} = {{", *(line for name in names for line in self._method(name)), "    };"]
        return "\n".join([*lines, "  }", "}", ""])

    def _method(self, name: str) -> Iterator[str]:
        method = self.methods[name]
        word, *more = name.partition(".")[2].split("_")
        function = word + "".join(part.capitalize() for part in more)
        yield "      /**"
        said = method.summary if method.params == "NoParams" else self.schemas[method.params].get("description", "")
        yield from (f"      {line}" for line in _comment(said, LINE - 6))
        optional = not self._needed(method.params)
        yield "       *"
        yield f"       * @param {{{method.params}}} {'[params]' if optional else 'params'}"
        yield "       * @param {CallOptions} [options]"
        yield f"       * @returns {{Promise<{method.result}>}}"
        yield "       */"
        yield f'      {function}: (params{" = {}" if optional else ""}, options) => ask("{name}", params, options),'

    def _needed(self, name: str) -> list[str]:
        return [field for field in self._fields(name) if not self._is_optional(name, field)]


class _Method:
    def __init__(self, document: dict[str, Any], name: str) -> None:
        messages = document["components"]["messages"]
        self.summary = document["operations"][name]["summary"]
        self.params = _name_of(messages[f"{name}.request"], "params")
        self.result = _name_of(messages[f"{name}.reply"], "result")
        schema = document["components"]["schemas"][self.params]
        self.is_command = {"command_id", "dry_run"} <= schema.get("properties", {}).keys()


def _requests(document: dict[str, Any]) -> list[str]:
    return [name for name, operation in document["operations"].items() if operation["action"] == "receive"]


def _name_of(message: dict[str, Any], part: str) -> str:
    reference: str = message["payload"]["properties"][part]["$ref"]
    return reference.removeprefix(REF)


def _of(schema: dict[str, Any], field: str) -> dict[str, Any]:
    declared: dict[str, Any] = schema["properties"][field]
    return declared


def _without(row: list[Any], empty: set[str]) -> list[Any] | None:
    """A field's kind and default; the kind is dropped if it is a shape that is not there any more."""
    kind, *default = row
    if kind.rstrip("[]{}") in empty:
        return ["", *default] if default else None
    return row


def _row(shape: dict[str, list[Any]]) -> str:
    return "{ " + ", ".join(f"{field}: {json.dumps(row)}" for field, row in shape.items()) + " }"


def _object(name: str, words: dict[str, str]) -> str:
    return f"  {name}: {json.dumps(words)},"


def _comment(text: str, width: int = LINE) -> list[str]:
    """The text as lines of a comment."""
    lines = []
    for paragraph in text.split("\n"):
        line = " *"
        for word in paragraph.split():
            if len(line) + len(word) >= width:
                lines.append(line)
                line = " *"
            line += f" {word}"
        lines.append(line)
    return lines
