"""What leaves `richtext` says the same, runs nothing, tracks nobody, and ends in time."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.model import Body, Format
from connector.richtext import MARK_ROOM, convert, escape_line, find_key, mark, plain, truncate, unmark

KEY = "abcdefgh234567xy"
HTML, TEXT, MARKDOWN = Format.HTML, Format.TEXT, Format.MARKDOWN
SMALL = settings(max_examples=150, deadline=None)

LETTER = """<h2>Report &amp; <b>plan</b></h2>
<p>First line<br>second <a href="https://firm.example/a_b?c=1&amp;d=2">the page</a>, <i>soon</i>, <code>a_b</code>.</p>
<ul><li>one<ul><li>inner</li></ul></li><li>two</li></ul><ol start="3"><li>three</li><li>four</li></ol>
<blockquote><p>he said</p><blockquote>she said</blockquote></blockquote>
<pre><code class="language-py">if x:
    y = "*"</code></pre>
<table><tr><th>Part</th><th>Price|net</th></tr><tr><td>toner</td><td>12</td></tr></table>
<p dir="rtl">שלום @maria 👩‍👩‍👧</p>"""

AS_TEXT = """Report & plan

First line
second the page <https://firm.example/a_b?c=1&d=2>, soon, a_b.

- one
  - inner
- two

3. three
4. four

> he said
>
> > she said

if x:
    y = "*"

Part | Price|net
toner | 12

שלום @maria 👩‍👩‍👧"""

AS_MARKDOWN = """## Report \\& **plan**

First line  
second [the page](https://firm.example/a_b?c=1&amp;d=2), *soon*, `a_b`.

- one
  - inner
- two

3. three
4. four

> he said
>
> > she said

```py
if x:
    y = "*"
```

| Part | Price\\|net |
| --- | --- |
| toner | 12 |

שלום @maria 👩‍👩‍👧"""  # noqa: W291


def test_html_is_written_as_readable_text() -> None:
    assert plain(Body(LETTER, HTML)) == AS_TEXT


def test_html_is_written_as_markdown() -> None:
    assert convert(Body(LETTER, HTML), MARKDOWN).text == AS_MARKDOWN


def test_formatting_survives_the_way_from_markdown_to_html_and_back() -> None:
    there = convert(Body(AS_MARKDOWN, MARKDOWN), HTML)
    for part in (
        "<h2>",
        "<strong>plan</strong>",
        "<em>soon</em>",
        "<code>a_b</code>",
        'language-py">if x:\n    y',
        "<td>12",
    ):
        assert part in there.text
    assert there.text.count("<blockquote>") == 2
    assert '<ol start="3">' in there.text
    assert convert(there, MARKDOWN).text == AS_MARKDOWN


@pytest.mark.parametrize("to", list(Format))
def test_converting_twice_is_converting_once(to: Format) -> None:
    once = convert(Body(LETTER, HTML), to)
    assert convert(once, to) == once


HOSTILE = [
    "<script>alert(1)</script>x",
    "<SCRIPT SRC=//evil.example/x.js></SCRIPT>x",
    "<scr<script>ipt>alert(1)</script>x",
    "<img src=x onerror=alert(1)>x",
    "<svg onload=alert(1)><g/></svg>x",
    "<svg><style><img src=x onerror=alert(1)></style></svg>x",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    '<a href="javascript:alert(1)">x</a>',
    '<a href=" java\nscript:alert(1)">x</a>',
    '<a href="&#106;avascript:alert(1)">x</a>',
    '<a href="data:text/html,<script>alert(1)</script>">x</a>',
    '<a href="vbscript:x">x</a>',
    '<a href="//evil.example">x</a>',
    "<iframe src=https://evil.example></iframe>x",
    "<form action=https://evil.example><input name=a><button>x</button></form>",
    "<style>@import url(https://evil.example)</style>x",
    '<p style="background:url(https://evil.example/t.gif)" onclick="alert(1)">x</p>',
    '<link rel=stylesheet href=https://evil.example><meta http-equiv=refresh content="0;url=https://evil.example">x',
    "<object data=https://evil.example></object><embed src=https://evil.example>x",
    "<video autoplay src=https://evil.example></video><audio src=https://evil.example>x",
    "<base href=https://evil.example/>x",
    '<div id="x" class="y" data-z="1">x</div>',
    "<!--[if IE]><script>alert(1)</script><![endif]-->x",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<textarea></textarea><script>alert(1)</script>x",
    "<p title='<script>alert(1)</script>'>x</p>",
    "<template><script>alert(1)</script></template>x",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "<x><y onload=1>x",
    '<img src="https://evil.example/t.gif" width="1" height="1">x',
    '<img src="https://evil.example/t.gif" style="display:none">x',
]  # fmt: skip

_ALLOWED_TAG = re.compile(
    r"</?(?:p|div|br|hr|h[1-6]|strong|em|del|u|code|pre|blockquote|ul|ol|li|table|thead|tbody|tfoot|tr|td|th|sub|sup|a)"
    r'(?: (?:href="(?:https?://|mailto:|tel:)[^"<>]*"|rel="noopener noreferrer"|start="\d+"|dir="\w+"|(?:col|row)span="\d+"'
    r'|class="language-[^"]+"))*>',
    re.IGNORECASE,
)


def harmless(html: str) -> bool:
    """Every `<` begins a tag that a note may hold, with attributes that a note may have."""
    return "<" not in _ALLOWED_TAG.sub("", html)


@pytest.mark.parametrize("source", HOSTILE)
@pytest.mark.parametrize("to", list(Format))
def test_nothing_that_runs_or_tracks_comes_through(source: str, to: Format) -> None:
    shown = convert(Body(source, HTML), to).text
    in_the_end = convert(Body(shown, to), HTML).text
    assert harmless(in_the_end)
    assert "evil.example" not in in_the_end
    assert 'href="java' not in in_the_end
    assert "x" in in_the_end or "alert(1)" in in_the_end or "[image]" in in_the_end or in_the_end == ""


def test_an_image_becomes_a_link_with_its_words_and_never_loads() -> None:
    body = Body(
        '<p><img alt="a chart" src="https://firm.example/c.png"> <img src="data:image/png;base64,xx" alt="dot"></p>',
        HTML,
    )
    assert plain(body) == "[image: a chart] <https://firm.example/c.png> [image: dot]"
    assert "<img" not in convert(body, HTML).text
    assert "![" not in convert(body, MARKDOWN).text
    assert "![" not in convert(Body("![a](https://firm.example/c.png)", MARKDOWN), MARKDOWN).text


@pytest.mark.parametrize(
    "text",
    [
        "*not bold* _nor this_ ~~nor~~",
        "[a link](https://evil.example)",
        "![pixel](https://evil.example/t.gif)",
        "<b>tags</b> & &amp; &lt;script&gt;",
        "# no heading",
        "- no list\n+ nor this\n* nor that\n1. nor one\n2) nor two",
        "> no quotation",
        "    no code\n\tnor tab",
        "```\nno fence\n```",
        "`no code`",
        "no heading\n===\nnor\n---",
        "| no | table |\n| --- | --- |\n| a | b |",
        "[ref]: https://evil.example\n[ref]",
        "<https://evil.example>",
        "$body ${link} $$ %s {0} {{x}}",
        "line one\nline two\n\n\nparagraph two",
        r"back\slash \* and \\",
        "***\n---\n___",
        "a\u00a0b   c",
    ],
)
def test_plain_text_stays_plain(text: str) -> None:
    words = " ".join(text.replace("\t", " ").split())
    markdown = convert(Body(text, TEXT), MARKDOWN)
    html = convert(markdown, HTML).text
    assert set(re.findall(r"<(\w+)", html)) <= {"p", "br"}
    assert " ".join(plain(markdown).split()) == words
    assert " ".join(plain(convert(Body(text, TEXT), HTML)).split()) == words


def test_indents_and_empty_lines_of_plain_text_survive_html() -> None:
    text = "Dear Ann,\n\n  total:   12\n    net\n\nBo"
    assert plain(convert(Body(text, TEXT), HTML)) == text
    assert plain(convert(Body(text, TEXT), MARKDOWN)) == text


def test_a_link_cannot_break_out_of_markdown() -> None:
    body = Body('<a href="https://firm.example/) [x](https://evil.example">label](https://evil.example) [</a>', HTML)
    html = convert(convert(body, MARKDOWN), HTML).text
    assert re.findall('href="([^"]*)"', html) == ["https://firm.example/%29%20%5Bx%5D%28https://evil.example"]


def test_control_characters_and_terminal_escapes_go() -> None:
    text = "a\x00b\x1b[31mred\x1b[0m\x1b]0;title\x07 c\x07\x7f\x9b1m\u202eevil\ufeff d\r\ne\rf\u2028g \ud83d h"
    expected = "abred cevil d\ne\nf\ng \ufffd h"
    assert plain(Body(text, TEXT)) == expected
    assert plain(Body("&#27;[31mred&#x1b;[0m&#0;", HTML)) == "red\ufffd"
    for to in Format:
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", convert(Body(text, HTML), to).text)


def test_a_newsletter_laid_out_with_tables_reads_as_paragraphs() -> None:
    body = Body(
        "<table><tr><td><table><tr><td><p>Hello</p><p>there</p></td></tr></table></td><td>side</td></tr></table>", HTML
    )
    assert plain(body) == "Hello\n\nthere\n\nside"
    assert "|" not in convert(body, MARKDOWN).text


@pytest.mark.parametrize(
    "unit",
    [
        "<div>",
        "<blockquote>",
        "<ul><li>",
        "<b><i>",
        "<table><tr><td>",
        "<span>",
        "<font color=red>",
        "<a href=https://a.example>",
    ],
)
def test_nesting_without_end_is_bounded_and_keeps_the_words(unit: str) -> None:
    for to in Format:
        assert "word" in convert(Body(unit * 5000 + "word", HTML), to).text


@pytest.mark.parametrize("unit", ["> ", ">", "- ", "1. ", "> - ", "*a ", "[", "![", "`a", "**a"])
def test_markdown_that_nests_without_end_is_bounded_and_keeps_the_words(unit: str) -> None:
    for to in Format:
        assert "word" in convert(Body("before\n\n" + unit * 5000 + "word", MARKDOWN), to).text


def test_a_long_chain_of_quotations_keeps_its_words() -> None:
    chain = "\n".join(">" * level + f" said {level}\n" for level in range(1, 60))
    for to in Format:
        assert convert(Body(chain, MARKDOWN), to).text.count("said") == 59


@pytest.mark.parametrize(
    "unit",
    ["<div>", "<p><b title={}>", '<a "', '<a ="', "<!--", "<div><!--</div>-->", "<ol><li>x", "<li>x", "<![CDATA[", "&#x",
     "<script>",
     "<p>hello <b>you</b> <a href=https://a.example>x</a></p>\n"],
)  # fmt: skip
def test_time_grows_with_the_length_and_no_faster(unit: str) -> None:
    def seconds(size: int) -> float:
        source = Body(unit * (size // len(unit)), HTML)
        start = time.process_time()
        convert(source, MARKDOWN)
        return time.process_time() - start

    seconds(1000)
    small, large = seconds(40_000), seconds(320_000)
    assert large < max(small, 0.02) * 8 * 4


fragments = st.lists(
    st.sampled_from(
        ["<p>", "</p>", "<div>", "</div>", "<b>", "</b>", "<i>", "</i>", "<a href='https://a.example/x'>", "</a>", "<ul>",
         "</ul>", "<ol>", "<li>", "</li>", "<blockquote>", "</blockquote>", "<pre>", "</pre>", "<code>", "</code>",
         "<table>",
         "<tr>", "<td>", "<th>", "</table>", "<br>", "<hr>", "<h1>", "</h1>", "\n", " ", "word", "*", "_", "`", "1.", "#",
         "- ", "> ", "|", "[", "](x)", "&lt;", "&amp;", "<", "&nbsp;", "<svg>", "<x y='", "'>", "<!--", "-->", "\\", "~~"]
    ),
    max_size=25,
).map("".join)  # fmt: skip
anything = st.one_of(fragments, st.text(max_size=80))


@SMALL
@given(anything, st.sampled_from(list(Format)), st.sampled_from(list(Format)))
def test_any_text_becomes_harmless_and_stable(source: str, given_as: Format, to: Format) -> None:
    once = convert(Body(source, given_as), to)
    assert convert(once, to) == once
    assert harmless(convert(once, HTML).text)


@SMALL
@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=80))
def test_any_plain_text_says_the_same_in_every_format(source: str) -> None:
    words = plain(Body(source, TEXT)).split()
    for to in (HTML, MARKDOWN):
        assert plain(convert(Body(source, TEXT), to)).split() == words


# ------------------------------------------------------------------------------------------------------------- marker


@pytest.mark.parametrize("form", list(Format))
def test_a_marked_body_is_known_again_and_can_be_unmarked(form: Format) -> None:
    body = convert(Body(LETTER, HTML), form)
    marked = mark(body, KEY)
    assert find_key(marked) == KEY
    assert unmark(marked) == body
    assert len(marked.text) - len(body.text) <= MARK_ROOM
    assert find_key(body) is None
    assert unmark(body) == body


@pytest.mark.parametrize(
    "vendors_text, form",
    [
        (f"hello\n\n[deskbridge:{KEY}]\r\n\r\n", TEXT),
        (f"hello [deskbridge:aaaaaaaaaaaaaaaa]\n  [deskbridge:{KEY}]  ", TEXT),
        (f"<p>hello</p><p>[deskbridge:{KEY}]</p>", TEXT),
        (f"&lt;p&gt;hello&lt;/p&gt;&lt;p&gt;[deskbridge:{KEY}]&lt;/p&gt;", TEXT),
        (f"hello<br>[deskbridge:{KEY}]", TEXT),
        (f"<div>hello<br />\n[deskbridge:{KEY}]<br></div>", HTML),
        (f'<div class="c"><p>hello</p><p dir="auto">[deskbridge:{KEY}]</p>\n</div>\n', HTML),
        (f"hello&lt;br&gt;<br>&#91;deskbridge:{KEY}&#93;", HTML),
        (f"hello\n\n\\[deskbridge:{KEY}\\]\n", MARKDOWN),
    ],
)
def test_the_marker_survives_what_vendors_do_to_a_text(vendors_text: str, form: Format) -> None:
    body = Body(vendors_text, form)
    assert find_key(body) == KEY
    rest = unmark(body)
    assert KEY not in plain(rest)
    assert "hello" in plain(rest)


@pytest.mark.parametrize(
    "persons_text, form",
    [
        (f"thanks!\n\n> hello\n> [deskbridge:{KEY}]", TEXT),
        (f"<p>thanks</p><blockquote><p>hello</p><p>[deskbridge:{KEY}]</p></blockquote>", HTML),
        (f"&gt; hello\n&gt; [deskbridge:{KEY}]", TEXT),
        (f"thanks <blockquote>[deskbridge:{KEY}]</blockquote>", TEXT),
        (f"hello\n[deskbridge:{KEY}]\n\nmy answer stands below", TEXT),
        (f"what is [deskbridge:{KEY}]", TEXT),
        (f"- [deskbridge:{KEY}]", MARKDOWN),
        (f"<ul><li>[deskbridge:{KEY}]</li></ul>", HTML),
        ("[deskbridge:UPPERCASE2345678]", TEXT),
        ("[deskbridge:short]", TEXT),
        ("", TEXT),
        ("", HTML),
    ],
)
def test_what_a_person_wrote_around_a_marker_is_not_ours(persons_text: str, form: Format) -> None:
    body = Body(persons_text, form)
    assert find_key(body) is None
    assert unmark(body) is body


def test_only_a_key_of_ours_can_be_a_marker() -> None:
    for key in ("", "x" * 15, "ABCDEFGH234567XY", "abcdefgh234567x]"):
        with pytest.raises(ValueError):
            mark(Body("x", TEXT), key)


@SMALL
@given(st.text(max_size=60), st.sampled_from(list(Format)), st.sampled_from(list(Format)))
def test_any_body_of_ours_is_known_again(source: str, given_as: Format, to: Format) -> None:
    body = convert(Body(source, given_as), to)
    marked = mark(body, KEY)
    assert find_key(marked) == KEY
    assert plain(unmark(marked)) == plain(body)


# ----------------------------------------------------------------------------------------------------------- truncate


def test_what_fits_stays_whole() -> None:
    body = Body("x" * 100, TEXT)
    assert truncate(body, 100) is body


def test_a_text_is_cut_between_words_and_says_how_much_is_missing() -> None:
    body = Body("word " * 100, TEXT)
    cut = truncate(body, 200)
    assert len(cut.text) <= 200
    kept, _, notice = cut.text.partition("\n\n")
    assert set(kept.split()) == {"word"}
    assert notice == f"[... shortened by Deskbridge, {500 - len(kept)} characters more in the original]"


def test_a_character_of_several_parts_is_never_cut() -> None:
    family, flag, accent = "👩‍👩‍👧", "🇩🇰", "e\u0301"
    for unit in (family, flag, accent):
        for limit in range(100, 120):
            kept = truncate(Body(unit * 100, TEXT), limit).text.partition("\n\n")[0]
            assert kept == unit * (len(kept) // len(unit))


def test_html_is_cut_within_its_text_alone_and_every_tag_is_closed() -> None:
    body = Body(
        "<blockquote><p>" + "<b>one &amp; two</b> <a href='https://a.example/'>three</a> " * 50 + "</p></blockquote>",
        HTML,
    )
    for limit in range(100, 400, 7):
        cut = truncate(convert(body, HTML), limit)
        assert len(cut.text) <= limit
        assert convert(cut, HTML) == cut
        assert "shortened by Deskbridge" in cut.text


def test_markdown_is_cut_between_blocks_and_never_within_a_link() -> None:
    body = Body("\n\n".join(f"para {n} [link](https://a.example/{n}) **bold**" for n in range(50)), MARKDOWN)
    for limit in range(120, 700, 31):
        cut = truncate(body, limit)
        assert len(cut.text) <= limit
        html = convert(cut, HTML).text
        assert "](" not in html
        assert "**" not in html
        assert "shortened by Deskbridge" in html


@pytest.mark.parametrize("form", list(Format))
def test_the_marker_outlives_the_cut(form: Format) -> None:
    cut = truncate(mark(convert(Body("word " * 1000, TEXT), form), KEY), 400)
    assert len(cut.text) <= 400
    assert find_key(cut) == KEY


@SMALL
@given(anything, st.sampled_from(list(Format)), st.integers(min_value=0, max_value=200))
def test_no_cut_exceeds_its_limit_or_breaks_what_is_kept(source: str, form: Format, limit: int) -> None:
    body = convert(Body(source * 5, form), form)
    cut = truncate(body, limit)
    assert len(cut.text) <= limit
    assert truncate(cut, limit) == cut
    assert harmless(convert(cut, HTML).text)


@pytest.mark.parametrize(
    "words", ["# not a heading", "- no item", "1. no item", "**bold** [x](https://evil.example)", "> a", "a\nb", "=="]
)
def test_one_line_of_words_formats_nothing_wherever_it_stands(words: str) -> None:
    line = escape_line(words)
    for around in ("{}", "x {} y", "**{}**"):
        text = around.format(line)
        shown = plain(Body(text, Format.MARKDOWN))
        assert " ".join(words.split()) in shown
        assert "<h1" not in convert(Body(text, Format.MARKDOWN), Format.HTML).text
        assert "href" not in convert(Body(text, Format.MARKDOWN), Format.HTML).text
