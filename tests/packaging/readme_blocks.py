"""Reads the README's code blocks, and what hidden comments say about testing them.

A comment directly before a block holds one instruction:
`readme: skip, REASON`, `readme: replace "A" with "B"` (what takes minutes becomes small), or
`readme: setup` and a fenced Python block that runs first and is not shown.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"<!-- readme: (.*?)-->\n", re.DOTALL)
_REPLACE = re.compile(r'replace ("(?:[^"\\]|\\.)*") with ("(?:[^"\\]|\\.)*")\s*')


@dataclass(frozen=True)
class Block:
    """One code block: its language, its text as it is to be run, and where it stands."""

    language: str
    text: str
    line: int
    skip: str = ""
    hidden: bool = False


def read(path: Path) -> list[Block]:
    """All blocks of a page in order, hidden ones included.

    Raises:
        ValueError: an instruction is not understood, or replaces text that is not there.
    """
    page = path.read_text(encoding="utf-8")
    blocks: list[Block] = []
    position = 0
    pending: list[str] = []
    while True:
        fence, comment = _FENCE.search(page, position), _COMMENT.search(page, position)
        if comment is not None and (fence is None or comment.start() < fence.start()):
            instruction = comment.group(1)
            line = page.count("\n", 0, comment.start()) + 1
            if instruction.startswith("setup"):
                inner = _FENCE.search(instruction)
                if inner is None:
                    raise ValueError(f"line {line}: a setup without a block")
                blocks.append(Block(inner.group(1), inner.group(2), line, hidden=True))
            else:
                pending.append(instruction)
            position = comment.end()
        elif fence is not None:
            blocks.append(_block(page, fence, pending))
            pending = []
            position = fence.end()
        else:
            return blocks


def _block(page: str, fence: re.Match[str], instructions: list[str]) -> Block:
    language, text = fence.group(1), fence.group(2)
    line = page.count("\n", 0, fence.start()) + 1
    skip = ""
    for instruction in instructions:
        replace = _REPLACE.fullmatch(instruction)
        if instruction.startswith("skip, "):
            skip = instruction.removeprefix("skip, ").strip()
        elif replace is not None:
            old, new = (json.loads(group) for group in replace.groups())
            if old not in text:
                raise ValueError(f"line {line}: the block does not hold {old!r}")
            text = text.replace(old, new)
        else:
            raise ValueError(f"line {line}: unknown instruction {instruction!r}")
    return Block(language, text, line, skip=skip)
