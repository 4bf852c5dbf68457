"""Python text as `ruff format` lays it out at 88 columns: literals, calls, sums and lists."""

from __future__ import annotations

import ast
import unicodedata
from collections.abc import Iterable, Sequence

__all__ = ["WIDTH", "assign", "docstring_text", "list_constant", "literal"]

WIDTH = 88


def literal(text: str) -> str:
    """A Python string literal for any text: what cannot be seen is escaped.

    >>> print(literal('say "hi"'), literal("it's"))
    'say "hi"' "it's"
    """
    quote = "'" if text.count('"') > text.count("'") else '"'
    return quote + "".join(_escape(character, quote) for character in text) + quote


def _escape(character: str, quote: str) -> str:
    if character == "\\" or character == quote:
        return "\\" + character
    if character.isprintable():
        return character
    # Controls, line separators, right-to-left marks and lone surrogates could hide or break code.
    short = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character)
    code = ord(character)
    if short:
        return short
    return (
        f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"
    )


def docstring_text(text: str) -> str:
    """`text` on one line, such that it cannot end the docstring it stands in."""
    shown = "".join(c if c.isprintable() else " " for c in text)
    return shown.replace("\\", "\\\\").replace('"', '\\"')


def list_constant(name: str, items: Iterable[str]) -> list[str]:
    """`name = ["a", "b"]`, one item a line where it does not fit into one."""
    texts = [literal(item) for item in items]
    line = f"{name} = [{', '.join(texts)}]"
    if sum(_columns(character) for character in line) <= WIDTH:
        return [line]
    return [f"{name} = [", *(f"    {text}," for text in texts), "]"]


def _columns(character: str) -> int:
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def assign(target: str, value: ast.expr, *, indent: int) -> list[str]:
    """The lines of `target = value`, or of `return value` where the target is "return"."""
    head = " " * indent + ("return " if target == "return" else f"{target} = ")
    line = head + ast.unparse(value)
    if len(line) <= WIDTH:
        return [line]
    if isinstance(value, ast.BinOp):
        operator, operands = _chain(value)
        pad = " " * (indent + 4)
        lines = [pad + operands[0], *(f"{pad}{operator} {text}" for text in operands[1:])]
        return [head + "(", *lines, " " * indent + ")"]
    if isinstance(value, ast.Call):
        opening = head + ast.unparse(value.func) + "("
        return [opening, *_arguments(value, indent + 4), " " * indent + ")"]
    return [line]


def _chain(value: ast.BinOp) -> tuple[str, list[str]]:
    """The operator and the operands of `a + b + c`, which Python nests to the left."""
    operands: list[ast.expr] = []
    node: ast.expr = value
    while isinstance(node, ast.BinOp) and type(node.op) is type(value.op):
        operands.append(node.right)
        node = node.left
    operands.append(node)
    symbol = {ast.Add: "+", ast.Mult: "*", ast.Sub: "-", ast.Div: "/"}[type(value.op)]
    return symbol, [_operand(operand) for operand in reversed(operands)]


def _operand(node: ast.expr) -> str:
    return f"({ast.unparse(node)})" if isinstance(node, ast.BinOp) else ast.unparse(node)


def _arguments(call: ast.Call, indent: int) -> list[str]:
    pad = " " * indent
    texts = [ast.unparse(argument) for argument in call.args]
    texts += [f"{keyword.arg}={ast.unparse(keyword.value)}" for keyword in call.keywords]
    joined = pad + ", ".join(texts)
    if len(joined) <= WIDTH:
        return [joined]
    lines: list[str] = []
    nodes: Sequence[ast.expr | None] = [*call.args, *[None] * len(call.keywords)]
    for node, text in zip(nodes, texts, strict=True):
        if isinstance(node, ast.Tuple) and len(pad) + len(text) + 1 > WIDTH:
            items = [f"{pad}    {ast.unparse(item)}," for item in node.elts]
            lines += [pad + "(", *items, pad + "),"]
        else:
            lines.append(f"{pad}{text},")
    return lines
