"""The literal-only parser of `name(key=value, …)` texts.

    spec  := name [ "(" [ key "=" value { "," key "=" value } [","] ] ")" ]
    value := integer | number | "text" | 'text' | True | False | None
           | "[" values "]" | "(" values ")" | "{" text ":" value … "}"

A name is letters, digits, `_` and `-`. Texts have no escapes. Lists and tuples become tuples.
"""

from __future__ import annotations

import math
import re
from typing import Union

from nasturtium.errors import MethodError

__all__ = ["Literal", "parse_spec"]

Literal = Union[None, bool, int, float, str, "tuple[Literal, ...]", "dict[str, Literal]"]

MAX_LENGTH = 65536
MAX_DEPTH = 8
MAX_DIGITS = 18
_WORDS: dict[str, Literal] = {"True": True, "False": False, "None": None}
_TOKEN = re.compile(
    r"""\s*(?:
    (?P<number>[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,4})?)(?![A-Za-z_0-9.])
    |(?P<name>[A-Za-z_][A-Za-z0-9_-]*)
    |(?P<text>"[^"\\\n]*"|'[^'\\\n]*')
    |(?P<sign>[()\[\]{},=:])
    )""",
    re.VERBOSE | re.ASCII,
)


def parse_spec(text: str) -> tuple[str, dict[str, Literal]]:
    """Read `name(key=value, …)` into the name and its arguments.

    Raises MethodError, naming the column (from 1), for anything else.
    """
    return _Parser(text).spec()


class _Parser:
    def __init__(self, text: str) -> None:
        if len(text) > MAX_LENGTH:
            raise MethodError(f"a method text of {len(text)} characters; at most {MAX_LENGTH}")
        self.text = text
        self.position = 0
        self.kind, self.token = "", ""
        self.advance()

    def fail(self, expected: str) -> MethodError:
        found = f"{self.token!r}" if self.kind else "its end"
        column = self.position - len(self.token) + 1
        shown = self.text if len(self.text) <= 60 else self.text[:57] + "..."
        return MethodError(f"{shown!r}: expected {expected} at column {column}, found {found}")

    def advance(self) -> None:
        found = _TOKEN.match(self.text, self.position)
        if found is None:
            rest = self.text[self.position :].lstrip()
            self.kind, self.token = ("unknown", rest[0]) if rest else ("", "")
            self.position = len(self.text) - len(rest) + len(self.token)
            return
        self.kind = found.lastgroup or ""
        self.token = found.group(self.kind)
        self.position = found.end()

    def take(self, kind: str, expected: str, token: str | None = None) -> str:
        if self.kind != kind or (token is not None and self.token != token):
            raise self.fail(expected)
        taken = self.token
        self.advance()
        return taken

    def at(self, sign: str) -> bool:
        return self.kind == "sign" and self.token == sign

    def spec(self) -> tuple[str, dict[str, Literal]]:
        name = self.take("name", "a name")
        arguments: dict[str, Literal] = {}
        if self.at("("):
            self.advance()
            while not self.at(")"):
                key = self.take("name", 'a parameter or ")"')
                if key in arguments:
                    raise MethodError(f'parameter "{key}" is given twice')
                self.take("sign", '"="', "=")
                arguments[key] = self.value(0)
                if not self.at(")"):
                    self.take("sign", '"," or ")"', ",")
            self.advance()
        if self.kind:
            raise self.fail("nothing more")
        return name, arguments

    def value(self, depth: int) -> Literal:
        if depth > MAX_DEPTH:
            raise MethodError(f"values nested deeper than {MAX_DEPTH}")
        if self.kind == "number":
            return self.number()
        if self.kind == "text":
            return self.take("text", "a text")[1:-1]
        if self.kind == "name" and self.token in _WORDS:
            return _WORDS[self.take("name", "a value")]
        for opening, closing in (("(", ")"), ("[", "]")):
            if self.at(opening):
                return self.sequence(closing, depth)
        if self.at("{"):
            return self.mapping(depth)
        raise self.fail("a value (a number, a quoted text, True, False, None, a list)")

    def number(self) -> int | float:
        token = self.token
        if len(token) > MAX_DIGITS + 8:
            raise self.fail(f"a number of at most {MAX_DIGITS} digits")
        value: int | float = int(token) if token.lstrip("+-").isdigit() else float(token)
        if not math.isfinite(value):
            raise self.fail("a finite number")
        self.advance()
        return value

    def sequence(self, closing: str, depth: int) -> tuple[Literal, ...]:
        self.advance()
        values: list[Literal] = []
        while not self.at(closing):
            values.append(self.value(depth + 1))
            if not self.at(closing):
                self.take("sign", f'"," or "{closing}"', ",")
        self.advance()
        return tuple(values)

    def mapping(self, depth: int) -> dict[str, Literal]:
        self.advance()
        values: dict[str, Literal] = {}
        while not self.at("}"):
            key = self.take("text", "a quoted key")[1:-1]
            self.take("sign", '":"', ":")
            values[key] = self.value(depth + 1)
            if not self.at("}"):
                self.take("sign", '"," or "}"', ",")
        self.advance()
        return values
