"""HTML made safe: what runs, tracks or nests without end is taken out, and what a note may hold is kept.

Two layers. A linear pass of our own reads the tags, bounds the nesting and writes every tag anew with the few
attributes that a note needs; nh3 (html5ever and ammonia) then builds the real tree and drops whatever is not on its
list. The first layer exists because the second one needs a time that grows with the square of the nesting: 40,000
nested `<div>` take 8 seconds there. The second exists because only a real parser knows what a browser would make of
the rest.

Images are never shown, for a remote image tells its sender when and where a note is read. An image that a person
could see becomes a link to it with its alternative text; an invisible one (3 pixels or fewer, or hidden) goes.
"""

from __future__ import annotations

import html
import re
from collections import Counter

MAX_DEPTH = 24
"""Elements may nest this deep; the tags of deeper ones are dropped and their text stays."""

_NAMES = {
    "b": "strong", "i": "em", "strike": "del", "s": "del", "tt": "code", "kbd": "code", "samp": "code", "var": "em",
    "cite": "em", "ins": "u", "dl": "ul", "dt": "li", "dd": "li", "menu": "ul", "dir": "ul", "listing": "pre",
    "section": "div", "article": "div", "header": "div", "footer": "div", "main": "div", "aside": "div", "nav": "div",
    "address": "div", "center": "div", "figure": "div", "figcaption": "div", "fieldset": "div", "legend": "div",
    "details": "div", "summary": "div", "form": "div", "caption": "div",
}  # fmt: skip
_INLINE = frozenset({"strong", "em", "del", "u", "code", "a", "sub", "sup"})
_BLOCKS = frozenset({"p", "div", "h1", "h2", "h3", "h4", "h5", "h6", "pre", "blockquote", "ul", "ol", "li"})
_TABLES = frozenset({"table", "thead", "tbody", "tfoot", "tr", "td", "th"})
_VOID = frozenset({"br", "hr"})
_KEPT = _INLINE | _BLOCKS | _TABLES | _VOID
_CLOSED_BY_THEIR_LIKE = frozenset({"p", "li", "tr", "td", "th", "thead", "tbody", "tfoot"})
"""Their end tags are often left out: a second one ends the first, so that they do not nest by being many."""
_SWALLOWED = frozenset({
    "script", "style", "title", "textarea", "iframe", "object", "embed", "applet", "noscript", "template", "svg",
    "math", "select", "noembed", "noframes", "xmp", "plaintext", "audio", "video", "canvas", "frameset", "datalist",
})  # fmt: skip
_NEVER_CLOSED = frozenset({"embed"})
_ATTRIBUTES = {
    "a": {"href"}, "ol": {"start"}, "td": {"colspan", "rowspan"}, "th": {"colspan", "rowspan"}, "code": {"class"},
    "p": {"dir"}, "div": {"dir"}, "blockquote": {"dir"}, "li": {"dir"}, "ul": {"dir"},
}  # fmt: skip

# Possessive, and a quote that is never closed is looked for once only: the whole is linear.
_TAG = re.compile(r"""<(/?)([a-zA-Z][^\s/>]*+)((?:[^>"'=]++|=\s*+"[^"]*+"|=\s*+'[^']*+'|=|["'])*+)>""")
_ATTRIBUTE = re.compile(r"""([^\s"'<>/=]++)(?:\s*+=\s*+(?:"([^"]*+)"|'([^']*+)'|([^\s"'>]++)))?""")
_TEXT_OR_MARKUP = re.compile(r"<(?=[a-zA-Z/!?])")
_SAFE_LINK = re.compile(r"(?:https?://|mailto:|tel:)[^\s]", re.IGNORECASE)
_HIDDEN = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|(?:^|;)\s*(?:max-)?(?:width|height)\s*:\s*[0-3](?:px|\s*;|$)", re.I
)
_UNQUOTABLE = re.compile(r"""[\s<>"'`\\^{|}()]""")

_ANSI = re.compile(
    r"\x1b(?:\[[0-?]*+[ -/]*+[@-~]?|\][^\x07\x1b]*+(?:\x07|\x1b\\)?|[@-Z\\^_]?)|\x9b[0-?]*+[ -/]*+[@-~]?"
)
_ESCAPED_ESCAPE = re.compile(r"&#(?:0{0,9}27|[xX]0{0,9}1[bB]);?")
_NEWLINES = re.compile(r"\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\ufeff\u202d\u202e\ufdd0-\ufdef\ufffe\uffff]")
_SURROGATES = re.compile(r"[\ud800-\udfff]")


def clean_text(text: str) -> str:
    """The text with LF line ends and without terminal escapes, control characters, overrides of the reading direction
    or halves of characters. Directional marks and isolates, joiners and emoji stay."""
    text = _NEWLINES.sub("\n", _ANSI.sub("", text))
    return _SURROGATES.sub("\ufffd", _CONTROLS.sub("", text))


def clean_html(text: str) -> str:
    """Safe HTML that says the same, in a time linear in the length. `clean_html(clean_html(x)) == clean_html(x)`."""
    once = _clean(text)
    for _ in range(4):
        again = _clean(once)
        if again == once:
            return once
        once = again
    return _clean(html.escape(re.sub(r"<[^>]*+>", " ", once).strip(), quote=False))


def safe_link(target: str) -> str | None:
    """The target percent-encoded where it could break out of HTML or Markdown, or `None` when it is no web, mail or
    phone link (`javascript:`, `data:`, relative)."""
    target = clean_text(html.unescape(target)).strip().replace("\n", "").replace("\t", "")
    if not _SAFE_LINK.match(target):
        return None
    return _UNQUOTABLE.sub(lambda hit: "".join(f"%{byte:02X}" for byte in hit[0].encode()), target)


def _clean(text: str) -> str:
    import nh3

    return nh3.clean(
        _rewrite(clean_text(_ESCAPED_ESCAPE.sub("\x1b", text))),
        tags=set(_KEPT),
        clean_content_tags=set(),
        attributes={tag: set(names) for tag, names in _ATTRIBUTES.items()},
        url_schemes={"http", "https", "mailto", "tel"},
        url_relative="deny",
        link_rel="noopener noreferrer",
    ).strip("\n ")


def _rewrite(text: str) -> str:
    """The tags of `text` written anew: known names, few attributes, bounded nesting, no comments, text escaped."""
    out: list[str] = []
    stack: list[str] = []
    opened: Counter[str] = Counter()
    lower = text.lower() if text.isascii() else re.sub("[A-Z]+", lambda hit: hit[0].lower(), text)
    at, end = 0, len(text)
    pre_starts = False
    while at < end:
        hit = _TEXT_OR_MARKUP.search(text, at)
        chunk = text[at : hit.start() if hit else end]
        if chunk:
            plain = clean_text(html.unescape(chunk))
            if pre_starts:
                plain = plain.lstrip("\n")
            pre_starts = pre_starts and not plain
            out.append(html.escape(plain, quote=False))
        if hit is None:
            break
        at = hit.start()
        if text.startswith("<!--", at):
            close = text.find("-->", at + 4)
            at = end if close < 0 else close + 3
            continue
        tag = _TAG.match(text, at)
        if tag is None:
            close = text.find(">", at) if text[at + 1] in "!?/" else -1
            if close < 0:  # nothing after this is a tag, or all of it is within a quote that never closes
                out.append(html.escape(clean_text(html.unescape(text[at:])), quote=False))
                break
            at = close + 1
            continue
        at = tag.end()
        closing, name = bool(tag[1]), tag[2].lower()
        if name in _SWALLOWED:
            if not closing and name not in _NEVER_CLOSED:
                close = lower.find(f"</{name}", at)
                close = -1 if close < 0 else lower.find(">", close)
                at = end if close < 0 else close + 1
            continue
        if name == "img" and not closing:
            out.append(_image(_attributes(tag[3]), linked=opened["a"] > 0))
            continue
        name = _NAMES.get(name, name)
        if name not in _KEPT:
            continue
        if name in _VOID:
            out.append(f"<{name}>")
            continue
        if closing:
            if opened[name]:
                _close(name, stack, opened, out)
            continue
        if name in _INLINE and opened[name]:
            continue
        if name in _CLOSED_BY_THEIR_LIKE and stack and stack[-1] == name:
            _close(name, stack, opened, out)
        if len(stack) >= MAX_DEPTH:
            out.append(" " if name not in _INLINE else "")
            continue
        attributes = _kept(name, _attributes(tag[3]))
        if name == "a" and not attributes:
            continue
        stack.append(name)
        opened[name] += 1
        out.append(f"<{name}{attributes}>")
        pre_starts = name == "pre" or (name == "code" and pre_starts)
    while stack:
        _close(stack[-1], stack, opened, out)
    return "".join(out)


def _close(name: str, stack: list[str], opened: Counter[str], out: list[str]) -> None:
    while True:
        last = stack.pop()
        opened[last] -= 1
        out.append(f"</{last}>")
        if last == name:
            return


def _attributes(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for hit in _ATTRIBUTE.finditer(text):
        found.setdefault(hit[1].lower(), html.unescape(hit[2] or hit[3] or hit[4] or ""))
    return found


def _kept(name: str, attributes: dict[str, str]) -> str:
    kept = {}
    for attribute in _ATTRIBUTES.get(name, ()):
        value: str | None = attributes.get(attribute)
        if value is None:
            continue
        if attribute == "href":
            value = safe_link(value)
        elif attribute == "dir":
            value = value.lower() if value.lower() in ("ltr", "rtl", "auto") else None
        elif attribute == "class":
            value = value if re.fullmatch(r"language-[\w+#.-]{1,30}", value) else None
        else:
            value = value if re.fullmatch(r"[0-9]{1,3}", value, re.ASCII) else None
        if value is not None:
            kept[attribute] = value
    return "".join(f' {attribute}="{html.escape(value)}"' for attribute, value in sorted(kept.items()))


def _image(attributes: dict[str, str], *, linked: bool) -> str:
    sizes = [attributes.get(side, "").strip().removesuffix("px") for side in ("width", "height")]
    if any(size in ("0", "1", "2", "3") for size in sizes) or _HIDDEN.search(attributes.get("style", "")):
        return ""
    alternative = " ".join(clean_text(attributes.get("alt", "")).split())
    label = html.escape(f"[image: {alternative}]" if alternative else "[image]", quote=False)
    source = attributes.get("src", "")
    target = safe_link(source) if source.lower().lstrip().startswith("http") else None
    return label if linked or target is None else f'<a href="{html.escape(target)}">{label}</a>'
