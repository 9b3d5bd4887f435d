"""Clean HTML written as readable text or as Markdown, in one pass over its tags, without recursion.

Why not a library: the one at hand (markdownify) takes a time that grows with the square of a list's length, recurses
with the nesting, and writes link targets and text without the escapes that keep a customer's `)` or `![` from
becoming Markdown.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from connector.richtext_clean import clean_text

_TOKEN = re.compile(r"<(/?)([a-z0-9]+)((?:\s[^<>]*)?)>|([^<]+)")
_ATTRIBUTE = re.compile(r'([a-z]+)="([^"]*)"')
_SPECIAL = re.compile(r"([\\`*_\[\]<>|~&])")
_LINE_START = re.compile(r"(#{1,6}(?=\s|$)|[-+](?=\s|$)|=+\s*$|-+\s*$|[-+](?=[-+]))")
_NUMBER_START = re.compile(r"(\d{1,9})([.)])(?=\s|$)")
_BREAK = "\x00"
"""A line break within a paragraph, until the paragraph is laid out. No control character is in clean HTML."""
_BLOCKS_IN_CELL = frozenset({"table", "p", "ul", "ol", "pre", "blockquote", "h1", "h2", "h3", "h4", "h5", "h6", "hr"})
_MARKS = {"strong": "**", "em": "*", "del": "~~"}
_RULE = {True: "---", False: "-" * 20}


@dataclass(frozen=True, slots=True)
class Token:
    """A tag (`name`, `closing`, `attributes`) or, without a name, a piece of text."""

    name: str
    closing: bool = False
    attributes: dict[str, str] = field(default_factory=dict)
    text: str = ""


def tokens(clean: str) -> Iterator[Token]:
    """The tags and texts of HTML as `clean_html` writes it, entities resolved."""
    for hit in _TOKEN.finditer(clean):
        if hit[4] is not None:
            yield Token("", text=html.unescape(hit[4]))
        else:
            attributes = {name: html.unescape(value) for name, value in _ATTRIBUTE.findall(hit[3])}
            yield Token(hit[2], bool(hit[1]), attributes)


def escape_markdown(text: str) -> str:
    """The text with every character escaped that could begin Markdown within a line."""
    return _SPECIAL.sub(r"\\\1", text)


def escape_line(text: str) -> str:
    """One line of plain text as Markdown that formats nothing, wherever in a template it stands."""
    line = escape_markdown(" ".join(clean_text(text).split()))
    if _LINE_START.match(line):
        return "\\" + line
    return _NUMBER_START.sub(r"\1\\\2", line, count=1) if _NUMBER_START.match(line) else line


def render(clean: str, *, markdown: bool) -> str:
    """Clean HTML as Markdown, or as text with links as `label <target>`."""
    return _Page(list(tokens(clean)), markdown).write()


@dataclass(slots=True)
class _Box:
    """A container that puts something before each of its lines: `> `, or a list item's marker and indent."""

    first: str
    rest: str
    used: bool = False


class _Page:
    def __init__(self, parts: list[Token], markdown: bool) -> None:
        self.parts = parts
        self.markdown = markdown
        self.lines: list[str] = []
        self.gap = 0  # 1: the next text begins on a line of its own, 2: after a blank line
        self.boxes: list[_Box] = []
        self.last_boxes: list[_Box] = []
        self.items: list[_Box | None] = []
        self.inline: list[str] = []
        self.open: list[tuple[str, str, int]] = []  # name, link target, where in `inline` it began
        self.lists: list[int | None] = []  # the next number, or None for bullets
        self.first_item = True
        self.in_code = 0
        self.pre: list[str] | None = None
        self.language = ""
        self.heading = 0
        self.rows: list[list[str]] | None = None
        self.cell = False
        self.layout: list[bool] = []
        self.tables = self._which_are_layout()

    def _which_are_layout(self) -> dict[int, bool]:
        """The tables that only arrange a page (a cell holds blocks, or there is one column): they are no tables to a
        reader."""
        found: dict[int, bool] = {}
        open_tables: list[int] = []
        widest: dict[int, int] = {}
        cells = 0
        for index, part in enumerate(self.parts):
            if part.name == "table" and not part.closing:
                if open_tables:
                    found[open_tables[-1]] = True
                open_tables.append(index)
                found[index], widest[index] = False, 0
            elif part.name == "table" and open_tables:
                table = open_tables.pop()
                found[table] = found[table] or widest[table] < 2
            elif open_tables and not part.closing:
                if part.name == "tr":
                    cells = 0
                elif part.name in ("td", "th"):
                    cells += 1
                    widest[open_tables[-1]] = max(widest[open_tables[-1]], cells)
                elif part.name in _BLOCKS_IN_CELL:
                    found[open_tables[-1]] = True
        return found

    def write(self) -> str:
        for index, part in enumerate(self.parts):
            if not part.name:
                self._text(part.text)
            elif self.pre is not None and part.name != "pre":
                if part.name == "br":
                    self.pre.append("\n")
                elif part.name == "code" and not part.closing and not self.pre:
                    self.language = part.attributes.get("class", "").removeprefix("language-")
            elif part.name in ("strong", "em", "del", "a", "code", "u", "sub", "sup"):
                self._span(part)
            else:
                self._block(index, part)
        self._flush()
        return "\n".join(self.lines)

    # -- within a paragraph

    def _text(self, text: str) -> None:
        if self.pre is not None:
            self.pre.append(text)
        elif self.rows is None or self.cell:
            text = re.sub(r"[ \t\n]+", " ", text)
            self.inline.append(text if self.in_code or not self.markdown else escape_markdown(text))

    def _span(self, part: Token) -> None:
        name = part.name
        if name in ("u", "sub", "sup") or (self.in_code and name != "code"):
            return
        if not part.closing:
            self.in_code += name == "code"
            self.open.append((name, part.attributes.get("href", ""), len(self.inline)))
            return
        while self.open:
            last, target, start = self.open.pop()
            self._wrap(last, target, start)
            self.in_code -= last == "code"
            if last == name:
                return

    def _wrap(self, name: str, target: str, start: int) -> None:
        whole = "".join(self.inline[start:])
        text = whole.strip(" " + _BREAK)
        if not text:
            return
        lead = whole[: len(whole) - len(whole.lstrip(" " + _BREAK))]
        tail = whole[len(whole.rstrip(" " + _BREAK)) :]
        self.inline[start:] = [lead, self._wrapped(name, target, text), tail]

    def _wrapped(self, name: str, target: str, text: str) -> str:
        if name == "a":
            if self.markdown:
                return f"[{text}]({target.replace('&', '&amp;')})"
            bare = re.sub(r"^(?:https?://|mailto:|tel:)", "", target).rstrip("/")
            return target if text == target else text if text.rstrip("/") == bare else f"{text} <{target}>"
        if not self.markdown:
            return text
        if name == "code":
            text = text.replace(_BREAK, " ")
            longest = max((len(run) for run in re.findall("`+", text)), default=0)
            pad = " " if longest else ""
            ticks = "`" * (longest + 1)
            code = f"{ticks}{pad}{text}{pad}{ticks}"
            return code.replace("|", r"\|") if self.cell else code
        return _MARKS[name] + text + _MARKS[name]

    def _flush(self) -> None:
        """Ends the paragraph: what is open is closed here and goes on in the next one."""
        going_on = [(name, target) for name, target, _ in self.open]
        while self.open:
            self._wrap(*self.open.pop())
        text = "".join(self.inline)
        self.inline = []
        self.open = [(name, target, 0) for name, target in going_on]
        if not text.strip(" " + _BREAK):
            if _BREAK in text:
                self.gap = 2
            return
        lines = [re.sub(" +", " ", line).strip(" ").rstrip(" \xa0") for line in text.strip(" " + _BREAK).split(_BREAK)]
        if self.heading:
            lines = [" ".join(filter(None, lines))]
        if self.markdown:
            lines = [self._line_start(line) for line in lines]
            if self.heading:
                lines = ["#" * self.heading + " " + re.sub(r"(#+)$", r"\\\1", lines[0])]
            # an empty line would end the paragraph
            lines = [line for line in lines if line]
            lines = [line + "  " for line in lines[:-1]] + lines[-1:]
        else:
            lines = [line.replace("\xa0", " ").rstrip() for line in lines]
        self._put(lines)

    @staticmethod
    def _line_start(line: str) -> str:
        """The line with what would begin a list, a heading or a rule escaped, and its indent kept."""
        if line.startswith("\xa0"):
            return "&nbsp;" + line[1:]
        if _NUMBER_START.match(line):
            return _NUMBER_START.sub(r"\1\\\2", line, count=1)
        return "\\" + line if _LINE_START.match(line) else line

    # -- blocks

    def _put(self, lines: list[str]) -> None:
        if self.gap == 2 and self.lines:
            shared = 0
            for ours, theirs in zip(self.boxes, self.last_boxes, strict=False):
                if ours is not theirs:
                    break
                shared += 1
            self.lines.append("".join(box.rest for box in self.boxes[:shared]).rstrip())
        self.gap = 0
        for line in lines:
            prefix = []
            for box in self.boxes:
                prefix.append(box.rest if box.used else box.first)
                box.used = True
            self.lines.append("".join(prefix) + line if line else "".join(prefix).rstrip())
        self.last_boxes = list(self.boxes)

    def _space(self, gap: int) -> None:
        self._flush()
        self.gap = max(self.gap, gap)

    def _block(self, index: int, part: Token) -> None:
        name, closing = part.name, part.closing
        if self.rows is not None:
            self._table(part)
        elif name == "br":
            self.inline.append(_BREAK)
        elif name == "hr":
            self._space(2)
            self._put([_RULE[self.markdown]])
            self.gap = 2
        elif name == "div":
            self._space(2 if self.markdown else 1)
        elif name == "p":
            self._space(2)
        elif name[0] == "h" and name[1:].isdigit():
            self._space(2)
            self.heading = 0 if closing else int(name[1:])
        elif name == "pre":
            self._pre(closing)
        elif name == "blockquote":
            self._space(2)
            self._box(None if closing else _Box("> ", "> "))
        elif name in ("ul", "ol"):
            self._list(name, closing, part.attributes.get("start", "1"))
        elif name == "li":
            self._item(closing)
        elif name == "table":
            self._space(2)
            if closing:
                if self.layout:
                    self.layout.pop()
            elif self.tables.get(index):
                self.layout.append(True)
            else:
                self.rows = []
        elif name in ("tr", "td", "th"):
            self._space(2 if self.markdown else 1)

    def _box(self, box: _Box | None) -> None:
        if box is not None:
            self.boxes.append(box)
        elif self.boxes:
            self.boxes.pop()

    def _list(self, name: str, closing: bool, start: str) -> None:
        self._flush()
        if closing:
            if self.lists:
                self.lists.pop()
            self.gap = max(self.gap, 1 if self.lists else 2)
            return
        # a nested list stands close to its item; a numbered one that begins elsewhere than at 1 needs the blank line
        close = bool(self.lists) and not (name == "ol" and start != "1")
        self.gap = 1 if close else 2
        self.lists.append(int(start) if name == "ol" else None)
        self.first_item = True

    def _item(self, closing: bool) -> None:
        self._flush()
        if closing:
            self._box(None)
            self.gap = max(self.gap, 1)
            return
        if not self.first_item:
            self.gap = 1  # items stand close together, whatever paragraphs they hold
        self.first_item = False
        number = self.lists[-1] if self.lists else None
        marker = "- "
        if number is not None:
            marker = f"{number}. "
            self.lists[-1] = number + 1
        self.gap = max(self.gap, 1)
        self._box(_Box(marker, " " * len(marker)))

    def _pre(self, closing: bool) -> None:
        if not closing:
            self._space(2)
            self.pre, self.language = [], ""
            return
        code = "".join(self.pre or ()).strip("\n")
        self.pre = None
        if code.strip():
            lines = code.split("\n")
            if self.markdown:
                longest = max((len(run) for run in re.findall("`+", code)), default=0)
                fence = "`" * max(3, longest + 1)
                lines = [fence + self.language, *lines, fence]
            self._put(lines)
        self.gap = 2

    def _table(self, part: Token) -> None:
        rows = self.rows
        if rows is None:
            return
        if part.name in ("td", "th"):
            if part.closing:
                self._end_cell(rows)
            else:
                self.inline, self.open, self.cell = [], [], True
        elif part.name == "tr" and not part.closing:
            rows.append([])
        elif part.name in ("br", "div"):
            self.inline.append(" ")
        elif part.name == "table" and part.closing:
            self.rows = None
            self._put_table([row for row in rows if any(row)])
            self.gap = 2

    def _end_cell(self, rows: list[list[str]]) -> None:
        while self.open:
            self._wrap(*self.open.pop())
        text = " ".join("".join(self.inline).replace(_BREAK, " ").split(" ")).strip()
        text = re.sub(" +", " ", text)
        self.inline, self.cell, self.in_code = [], False, 0
        if not rows:
            rows.append([])
        rows[-1].append(text if self.markdown else text.replace("\xa0", " "))

    def _put_table(self, rows: list[list[str]]) -> None:
        if not rows:
            return
        if not self.markdown:
            self._put([" | ".join(row).rstrip() for row in rows])
            return
        width = min(max(len(row) for row in rows), 50)
        padded = [row[: width - 1] + [" ".join(row[width - 1 :])] + [""] * (width - len(row)) for row in rows]
        lines = ["| " + " | ".join(row[:width]) + " |" for row in padded]
        self._put([lines[0], "|" + " --- |" * width, *lines[1:]])
