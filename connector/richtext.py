"""The text of notes: converted between HTML, plain text and Markdown, cleaned, marked as ours, and shortened.

Everything here is pure. Whatever leaves `convert` holds nothing that runs or tracks (see `richtext_clean`). Plain
text stays plain: no character of it becomes a tag, a link or Markdown. nh3 and markdown-it-py are imported where they
are used.

**The marker.** Where a vendor has no place of its own for our key, a note of ours ends with the line
`[deskbridge:KEY]`. It counts only when it stands alone on the last line that is not empty, outside of any quotation:
whoever answers a note of ours by quoting it (`> ...`, `<blockquote>`) writes a note of their own. A reply that copies
ours below it without any sign of quoting does look like ours; the core tells it apart, for it knows the key as that
of another note already.
"""

from __future__ import annotations

import functools
import html
import re
from typing import TYPE_CHECKING

from connector.model import Body, Format
from connector.richtext_clean import clean_html, clean_text, safe_link
from connector.richtext_render import escape_line, escape_markdown, render, tokens

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

__all__ = [
    "MARK_ROOM",
    "convert",
    "escape_line",
    "escape_markdown",
    "find_key",
    "mark",
    "plain",
    "safe_link",
    "truncate",
    "unmark",
]

MARK_ROOM = 40
"""Characters that `mark` adds at most, in any format."""

_KEY = re.compile(r"\[deskbridge:([a-z2-7]{16})\]")
_IN_HTML = re.compile(
    r"(?:\s|<br\s*/?>|&nbsp;)*(?:<(?:p|div|span)(?:\s[^<>]*)?>(?:\s|&nbsp;)*)*\[deskbridge:[a-z2-7]{16}\]"
    r"(?:\s|<br\s*/?>|&nbsp;)*(?:</(?:p|div|span)>\s*)*$"
)
_ESCAPED = re.compile(
    r"\s*(?:\\?\[|&(?:amp;)?(?:#0*91|#x0*5b|lbrack|lsqb);)deskbridge:[a-z2-7]{16}"
    r"(?:\\?\]|&(?:amp;)?(?:#0*93|#x0*5d|rbrack|rsqb);)",
    re.IGNORECASE,
)
_TOO_DEEP = re.compile(
    r"(?m)^((?:[ ]{0,3}(?:>|[-+*](?=[ ])|\d{1,9}[.)](?=[ ]))){20})(?:[ ]{0,3}(?:>|[-+*](?=[ ])|\d{1,9}[.)](?=[ ])))+"
)
"""More than 20 quotation or list marks before a line: the parser would drop the words behind them."""
_TAIL = 2000
_WIDEST_NOTICE = 90
_SETTLE = 30_000
"""Markdown longer than this is not read back to see whether it stays the same: that would double the time."""


def convert(body: Body, to: Format) -> Body:
    """The body written in `to`, clean in every case.

    `convert(convert(b, f), f) == convert(b, f)`, for Markdown up to 30,000 characters.
    """
    if to is Format.TEXT:
        return Body(plain(body), to)
    cleaned = _html(body)
    if to is Format.HTML:
        return Body(cleaned, to)
    text = render(cleaned, markdown=True)
    if len(text) <= _SETTLE and (body.format is not Format.MARKDOWN or text != body.text):
        text = _settled(text)
    return Body(text, to)


def _settled(markdown: str) -> str:
    """The Markdown that reads and writes back as itself; what never settles keeps its words and loses its looks."""
    for _ in range(3):
        again = render(_html(Body(markdown, Format.MARKDOWN)), markdown=True)
        if again == markdown:
            return markdown
        markdown = again
    words = plain(Body(markdown, Format.MARKDOWN))
    return render(_html(Body(words, Format.TEXT)), markdown=True)


def plain(body: Body) -> str:
    """The body as readable text: links as `label <target>`, lists as `- item`, quotations as `> line`."""
    if body.format is Format.TEXT:
        return clean_text(body.text).strip("\n ").rstrip()
    return clean_text(render(_html(body), markdown=False)).strip("\n ").rstrip()


def mark(body: Body, key: str) -> Body:
    """The body with our marker line as its last."""
    line = f"[deskbridge:{key}]"
    if not _KEY.fullmatch(line):
        raise ValueError("a key is 16 characters of a-z and 2-7")
    if body.format is Format.HTML:
        return Body(f"{body.text}<p>{line}</p>", body.format)
    return Body(f"{body.text}\n\n{line}" if body.text else line, body.format)


def find_key(body: Body) -> str | None:
    """The key of the marker line that ends the body, or `None` where it is not ours.

    Survives what vendors do to a text: escaping it as HTML, wrapping it in paragraphs, spaces and line ends after it.
    """
    tail = body.text.rstrip()[-_TAIL:]
    if "deskbridge:" not in tail:
        return None
    if body.format is Format.HTML:
        lines = render(clean_html(body.text), markdown=False).split("\n")
    else:
        unescaped = html.unescape(html.unescape(tail)).replace("\\", "")
        if re.search(r"<blockquote", unescaped, re.IGNORECASE):
            return None
        lines = re.sub(r"<br\s*/?>|</?(?:p|div|span)(?:\s[^<>]*)?>", "\n", unescaped, flags=re.IGNORECASE).split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    hit = _KEY.fullmatch(html.unescape(last))
    return hit[1] if hit else None


def unmark(body: Body) -> Body:
    """The body without the marker line, and unchanged where `find_key` finds none."""
    if find_key(body) is None:
        return body
    at = body.text.rindex("deskbridge:")
    start, tail = body.text[: max(0, at - 300)], body.text[max(0, at - 300) :]
    cut = _IN_HTML.sub("", tail)
    if cut == tail:  # escaped, or wrapped in what we do not know: the words go and the wrapping stays
        cut = _ESCAPED.sub("", tail)
    return Body((start + cut).rstrip(), body.format)


def truncate(body: Body, limit: int) -> Body:
    """The body in at most `limit` characters: whole where it fits, else cut between words with a line that says so.

    Never cuts within a tag, a link, an escape or a character that is composed of several. A marker line at the end
    stays. What is counted in the line is the text a reader sees.
    """
    if len(body.text) <= limit:
        return body
    key = find_key(body)
    if key is not None and limit > MARK_ROOM:
        return mark(truncate(unmark(body), limit - MARK_ROOM), key)
    room = limit - _WIDEST_NOTICE
    if room < 0:
        return Body(_cut(plain(body), limit) if body.format is Format.TEXT else "", body.format)
    if body.format is Format.HTML:
        return _shorten_html(body, room)
    if body.format is Format.MARKDOWN:
        return _shorten_markdown(body, room)
    kept = _cut(body.text, room)
    return Body(f"{kept}\n\n{_notice(len(body.text) - len(kept))}", body.format)


def _notice(count: int) -> str:
    return f"[... shortened by Deskbridge, {count} characters more in the original]"


def _html(body: Body) -> str:
    if body.format is Format.HTML:
        return clean_html(body.text)
    if body.format is Format.MARKDOWN:
        return clean_html(_from_markdown(clean_text(body.text)))
    return clean_html(_from_text(clean_text(body.text)))


def _from_text(text: str) -> str:
    escaped = html.escape(text.expandtabs(4).strip("\n").rstrip(), quote=False)
    escaped = re.sub(r"(?m)^ | (?= )", "&nbsp;", escaped)
    paragraphs = (part.strip("\n") for part in re.split(r"\n[ \n]*\n", escaped))
    return "\n".join(f"<p>{part.replace(chr(10), '<br>')}</p>" for part in paragraphs if part)


def _from_markdown(text: str) -> str:
    return str(_parser().render(_TOO_DEEP.sub(r"\1", text)))


@functools.cache
def _parser() -> MarkdownIt:
    """Reads CommonMark with tables and `~~`, takes no HTML, and keeps line ends as people typed them."""
    from markdown_it import MarkdownIt

    options = {"html": False, "breaks": True, "maxNesting": 100}
    return MarkdownIt("commonmark", options).enable(["table", "strikethrough"])


def _cut(text: str, limit: int) -> str:
    """At most `limit` characters, cut after a line or a word where one ends near, never within a composed character."""
    if len(text) <= limit:
        return text
    end = max(limit, 0)
    for boundary in ("\n", " "):
        at = text.rfind(boundary, int(end * 0.8), end + 1)
        if at > 0:
            return text[:at].rstrip()
    while end > 0 and _joins(text[end - 1], text[end]):
        end -= 1
    return text[:end].rstrip()


def _joins(before: str, after: str) -> bool:
    import unicodedata

    if before == "\u200d" or after in "\u200d\ufe0e\ufe0f\u20e3" or "\U0001f3fb" <= after <= "\U0001f3ff":
        return True
    flags = "\U0001f1e6", "\U0001f1ff"
    return unicodedata.combining(after) > 0 or (flags[0] <= before <= flags[1] and flags[0] <= after <= flags[1])


def _shorten_html(body: Body, room: int) -> Body:
    cleaned = clean_html(body.text)
    out: list[str] = []
    open_tags: list[str] = []
    used = closing = lost = 0
    full = False
    for part in tokens(cleaned):
        if not part.name:
            if full:
                lost += len(part.text)
                continue
            escaped = html.escape(part.text, quote=False)
            if used + closing + len(escaped) > room:
                kept = _cut(part.text, _fitting(part.text, room - used - closing))
                lost += len(part.text) - len(kept)
                escaped = html.escape(kept, quote=False)
                full = True
            out.append(escaped)
            used += len(escaped)
        elif part.closing:
            if open_tags and open_tags[-1] == part.name and not full:
                open_tags.pop()
                out.append(f"</{part.name}>")
                used += len(part.name) + 3
                closing -= len(part.name) + 3
        elif not full:
            text = "".join(f' {name}="{html.escape(value)}"' for name, value in part.attributes.items())
            text = f"<{part.name}{text}>"
            ends = 0 if part.name in ("br", "hr") else len(part.name) + 3
            if used + closing + len(text) + ends > room:
                full = True
                continue
            out.append(text)
            used += len(text)
            closing += ends
            if ends:
                open_tags.append(part.name)
    out += [f"</{name}>" for name in reversed(open_tags)]
    if not full:
        return Body("".join(out), body.format)
    return Body("".join(out) + f"<p>{_notice(lost)}</p>", body.format)


def _fitting(text: str, room: int) -> int:
    """How many characters of `text` fit into `room` once they are escaped."""
    used = 0
    for index, character in enumerate(text):
        used += {"&": 5, "<": 4, ">": 4, "\xa0": 6}.get(character, 1)
        if used > room:
            return index
    return len(text)


def _shorten_markdown(body: Body, room: int) -> Body:
    """Whole blocks as long as they fit, then the beginning of the next one as escaped text."""
    lines = clean_text(body.text).split("\n")
    ends = [
        block.map[1]
        for block in _parser().parse("\n".join(lines))
        if block.map and block.level == 0 and block.nesting >= 0
    ]
    used = kept_lines = at = 0
    for end in ends:
        used += sum(len(line) + 1 for line in lines[at:end])
        at = end
        if used > room:
            break
        kept_lines = end
    kept = "\n".join(lines[:kept_lines]).rstrip()
    rest = plain(Body("\n".join(lines[kept_lines:]), Format.MARKDOWN))
    more = ""
    space = room - len(kept) - 2
    if space > 40:
        cut = _cut(rest, space // 2)
        more = render(_html(Body(cut, Format.TEXT)), markdown=True)
        if len(more) > space:
            cut = more = ""
        rest = rest[len(cut) :]
    parts = [part for part in (kept, more, escape_markdown(_notice(len(rest)))) if part]
    return Body("\n\n".join(parts), body.format)
