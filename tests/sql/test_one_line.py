from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_amc.exceptions import AmcValidationError
from airflow_provider_amc.sql.one_line import TokenKind, one_line, place_of, placed_tokens, tokens


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT a\nFROM t", "SELECT a FROM t"),
        ("SELECT\ta,\r\n  b\r\nFROM t ;\n", "SELECT a, b FROM t"),
        ("SELECT a -- first\n, b FROM t", "SELECT a , b FROM t"),
        ("SELECT a -- it's the first\nFROM t -- the end", "SELECT a FROM t"),
        ("SELECT a/* x */b FROM t", "SELECT a b FROM t"),
        ("/* head\n * of file */ SELECT 1", "SELECT 1"),
        ("SELECT /* not /* nested */ 1", "SELECT 1"),
        ("SELECT 5 -/**/- 3", "SELECT 5 - - 3"),
        ("SELECT '--no comment', '/* none */' FROM t", "SELECT '--no comment', '/* none */' FROM t"),
        ("SELECT 'it''s -- one' FROM t", "SELECT 'it''s -- one' FROM t"),
        ("SELECT 'two  spaces\nand a line' FROM t", "SELECT 'two  spaces\nand a line' FROM t"),
        ('SELECT a AS "my -- ""name""  x"\nFROM t', 'SELECT a AS "my -- ""name""  x" FROM t'),
        ("SELECT a AS `odd  -- name`\nFROM t", "SELECT a AS `odd  -- name` FROM t"),
        ("SELECT 'C:\\' AS path -- backslash is no escape\nFROM t", "SELECT 'C:\\' AS path FROM t"),
        ("SELECT a<=b,c FROM t;;", "SELECT a<=b,c FROM t"),
        ("\ufeffSELECT\u00a0a FROM t", "SELECT a FROM t"),
        ("SELECT ';' FROM t", "SELECT ';' FROM t"),
    ],
)
def test_rendering(sql: str, expected: str) -> None:
    assert one_line(sql) == expected


@pytest.mark.parametrize("sql", ["", "  \n\t", "-- only a comment", "/* nothing */ -- here", ";", " ; ; "])
def test_a_query_without_tokens_is_refused(sql: str) -> None:
    with pytest.raises(AmcValidationError, match="The SQL is empty"):
        one_line(sql)


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT 'abc FROM t", "line 1, column 8: the string literal .* single quote"),
        ('SELECT a\n  AS "abc\nFROM t', "line 2, column 6: the quoted name .* double quote"),
        ("SELECT a AS `abc", "line 1, column 13: the quoted name .* backtick"),
        ("SELECT a\r\nFROM t /* oh", r"line 2, column 8: the comment .* closing \*/"),
        ("SELECT 'it''s", "line 1, column 8"),
    ],
)
def test_what_is_not_closed_is_refused_with_its_place(sql: str, message: str) -> None:
    with pytest.raises(AmcValidationError, match=message):
        one_line(sql)


def test_the_sql_must_be_text() -> None:
    with pytest.raises(AmcValidationError, match="must be a string, not NoneType"):
        one_line(None)  # type: ignore[arg-type]


def test_tokens_know_their_kind_and_place() -> None:
    placed = placed_tokens("SELECT 'a\nb', 1.5e-3\r\n  FROM \"T\" x$1")
    assert [(p.token.kind, p.token.text, p.line, p.column) for p in placed] == [
        (TokenKind.WORD, "SELECT", 1, 1),
        (TokenKind.TEXT, "'a\nb'", 1, 8),
        (TokenKind.SYMBOL, ",", 2, 3),
        (TokenKind.NUMBER, "1.5e-3", 2, 5),
        (TokenKind.WORD, "FROM", 3, 3),
        (TokenKind.QUOTED_NAME, '"T"', 3, 8),
        (TokenKind.WORD, "x$1", 3, 12),
    ]


def test_place_of_counts_every_kind_of_line_break() -> None:
    assert place_of("a\nb\r\nc\rd", 7) == (4, 1)
    assert place_of("abc", 2) == (1, 3)


# Queries built from known tokens and known gaps: what must come out is known without running the tokenizer.
_words = st.sampled_from(["SELECT", "campaign", "a1", "_x", "FROM", "größe", "x$1"])
_numbers = st.sampled_from(["0", "42", "1.5", ".5", "7e3", "1.5E-3", "100000000"])
_symbols = st.sampled_from(
    ["(", ")", ",", ".", "+", "-", "*", "/", "=", "<", ">", "<=", "<>", "!=", "||", "%", ":", "?"]
)
_inside = st.text(alphabet="ab'\"`-/*\n\r\t ;\\é", max_size=8)
_literals = _inside.map(lambda text: "'" + text.replace("'", "''") + "'")
_names = _inside.map(lambda text: '"' + text.replace('"', '""') + '"')
_ticks = _inside.map(lambda text: "`" + text.replace("`", "``") + "`")
_tokens = st.one_of(_words, _numbers, _symbols, _literals, _names, _ticks)
_comments = st.one_of(
    st.text(alphabet="ab'\"`-/* ;", max_size=8).map(lambda text: f"--{text}\n"),
    st.text(alphabet="ab'\"`-*\n ;", max_size=8).map(lambda text: f"/*{text.replace('*/', '')} */"),
)
_gaps = st.lists(st.one_of(st.sampled_from([" ", "\n", "\t", "\r\n", "   "]), _comments), min_size=1, max_size=3).map(
    "".join
)


@settings(max_examples=200)
@given(st.lists(st.tuples(_gaps, _tokens), min_size=1, max_size=12), _gaps)
def test_the_tokens_before_and_after_are_equal(pieces: list[tuple[str, str]], tail: str) -> None:
    sql = ""
    for gap, token in [*pieces, (tail, "")]:
        # "-" before "--" and "/" before "/*" would be other tokens
        sql += (" " if sql[-1:] in ("-", "/") else "") + gap + token
    rendered = one_line(sql)
    assert rendered == " ".join(token for _, token in pieces)
    assert [token.text for token in tokens(sql)] == [token for _, token in pieces]
    assert tokens(rendered) == tokens(sql)
    assert one_line(rendered) == rendered


@settings(max_examples=200)
@given(st.text(alphabet="aB1.e+'\"`-/*<=>|;:,() \n\r\t\\é", max_size=60))
def test_any_text_keeps_its_tokens_or_is_refused(sql: str) -> None:
    try:
        before = tokens(sql)
        rendered = one_line(sql)
    except AmcValidationError:
        return
    while before and before[-1].text == ";":
        before.pop()
    assert tokens(rendered) == before


def test_the_module_needs_no_sqlglot() -> None:
    code = (
        "import sys, airflow_provider_amc.sql.one_line; print('sqlglot' in sys.modules or 'airflow.sdk' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
