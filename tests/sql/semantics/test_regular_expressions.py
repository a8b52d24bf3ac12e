"""Regular expressions are Java's ("should follow Java regular expression syntax"): the expected values follow from the
Java API documentation, ``java.util.regex.Pattern`` and ``Matcher.replaceAll``."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_amc.sql import java_regex
from airflow_provider_amc.sql.errors import AmcSqlError
from airflow_provider_amc.sql.java_regex import for_re2
from tests.sql.evaluate import cases, rows, value, with_rows

# text, pattern: does the whole text match?
SIMILAR = [
    ("brand", "brand", True),
    ("my brand", "brand", False),
    ("my brand", ".*brand", True),
    ("", "", True),
    ("", "a?", True),
    ("a", "", False),
    ("a%b", "a%b", True),  # Java knows no SQL wildcards
    ("axb", "a_b", False),
    ("BRAND", "(?i)brand", True),
    ("Brand x", "Brand(?i) X", True),
    ("BRAND x", "Brand(?i) X", False),
    ("BRAND x", "(?i:brand) x", True),
    ("BRAND X", "(?i:brand) x", False),
    ("ÄRGER", "(?i)ärger", False),  # without (?u) only ASCII letters lose their case
    ("ÄRGER", "(?iu)ärger", True),
    ("a\nb", "a.b", False),
    ("a\rb", "a.b", False),
    ("a\u2028b", "a.b", False),
    ("a\nb", "(?s)a.b", True),
    ("a\rb", "(?d)a.b", True),
    ("ab", "(?x) a  b # a comment", True),
    ("a\nb", "(?m)a$\n^b", True),
    ("other", "(?!brand).*", True),
    ("brand x", "(?!brand).*", False),
    ("US_DSP_2026", "(?=.*DSP)(?=.*2026).*", True),
    ("US_SP_2026", "(?=.*DSP)(?=.*2026).*", False),
    ("aXb", ".*(?<=X)b", True),
    ("ab", ".*(?<!a)b", False),
    ("abcd", ".*(?<=a|bc)d", True),
    ("aad", ".*(?<=a{2,3})d", True),
    ("ad", ".*(?<=a{2,3})d", False),
    ("aa", "a*+a", False),
    ("aab", "a*+b", True),
    ("aab", "(?>a|aa)b", False),
    ("abab", "(ab)\\1", True),
    ("abAB", "(?i)(ab)\\1", True),
    ("abba", "(a)(b)\\2\\1", True),
    ("a-a", "(?<one>a)-\\k<one>", True),
    ("aa1", "(a)\\11", True),  # there is no group 11
    ("x", "[a-z&&[^aeiou]]", True),
    ("e", "[a-z&&[^aeiou]]", False),
    ("d", "[a-c[x-z]]", False),
    ("y", "[a-c[x-z]]", True),
    ("b", "[a-z&&[def]]", False),
    ("]", "[]]", True),
    ("-", "[a-]", True),
    ("^", "[a^]", True),
    ("a", "[\\w&&[^\\d]]", True),
    ("5", "[\\w&&[^\\d]]", False),
    ("Ab", "\\p{Upper}\\p{Lower}", True),
    ("ÄB", "\\p{Alpha}+", False),
    ("ÄB", "\\p{L}+", True),
    ("ÄB", "\\p{IsAlphabetic}+", True),
    ("ab", "\\P{Digit}+", True),
    ("a!", "\\w\\p{Punct}", True),
    ("Ж", "\\p{IsCyrillic}", True),
    ("Ж", "\\p{InGreek}", False),
    ("λ", "\\p{IsGreek}", True),
    ("3", "\\pN", True),
    ("٣", "\\d", False),
    ("ü", "\\w", False),
    ("\x0b", "\\s", True),
    ("\xa0", "\\s", False),
    ("\xa0", "\\h", True),
    ("\r\n", "\\R", True),
    ("\x0b", "\\v", True),
    ("a.b", "\\Qa.b\\E", True),
    ("axb", "\\Qa.b\\E", False),
    ("AB", "\\x41\\u0042", True),
    ("😀", "\\x{1F600}", True),
    ("😀", ".", True),
    ("A\t", "\\0101\\t", True),
    ("ab\n", "ab$", False),
    ("ab\n", "ab$\n", True),
    ("a b", "a\\b \\bb", True),
    ("größe x", "größe\\b x", True),
    ("aaa", "a{3}", True),
    ("aaaa", "a{2,3}", False),
    ("a{", "a\\{", True),
    ("a}", "a}", True),
    ("aXXb", "aX{1,}?b", True),
    ("ac", "a(b)?c", True),
    ("ac", "a(b)?c\\1", False),  # a group that did not take part matches nothing
]


@pytest.mark.parametrize(("text", "pattern", "expected"), list(cases("SIMILAR TO", *SIMILAR)))
def test_similar_to(text: str, pattern: str, expected: bool) -> None:
    assert java_regex.java_similar(text, pattern) is expected
    data = with_rows("s, p", f"{_quoted(text)}, {_quoted(pattern)}")
    # The pattern as a literal, from a column, from a parameter
    assert rows(f"{data}SELECT s SIMILAR TO {_quoted(pattern)} AS r FROM t") == [(expected,)]
    assert rows(f"{data}SELECT s NOT SIMILAR TO p AS r FROM t") == [(not expected,)]
    declared = [{"name": "p", "dataType": "STRING"}]
    sql = f"{data}SELECT s SIMILAR TO CUSTOM_PARAMETER('p') AS r FROM t"
    assert rows(sql, parameters=declared, values={"p": pattern}) == [(expected,)]


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        *cases("SIMILAR TO", ("NULL SIMILAR TO 'a'", None), ("'a' SIMILAR TO NULL", None), ("'a' NOT SIMILAR TO NULL", None)),
        *cases(
            "REGEXP_SUBSTR",
            ("REGEXP_SUBSTR('Q3 2026', '\\d{4}')", "2026"),
            ("REGEXP_SUBSTR('a1b22', '[0-9]+')", "1"),
            ("REGEXP_SUBSTR('none', '\\d')", None),
            ("REGEXP_SUBSTR('', 'a')", None),
            ("REGEXP_SUBSTR('price 20 EUR', '\\d+(?= EUR)')", "20"),
            ("REGEXP_SUBSTR('cost: $20', '(?<=\\$)\\d+')", "20"),
            ("REGEXP_SUBSTR('aaa', 'a+?')", "a"),
            ("REGEXP_SUBSTR('aaa', 'a*')", "aaa"),
            ("REGEXP_SUBSTR('abc', 'x*')", ""),
            ("REGEXP_SUBSTR('foo|foobar', 'foo|foobar')", "foo"),
            ("REGEXP_SUBSTR('Größe M', '\\p{Lu}\\p{Ll}+')", "Größe"),
            ("REGEXP_SUBSTR('ab\n', 'b$')", "b"),
            ("REGEXP_SUBSTR('ab\n\n', 'b$')", None),
            ("REGEXP_SUBSTR('ab\nc', '(?m)b$')", "b"),
            ("REGEXP_SUBSTR('x größe', '\\bg\\S*\\b')", "größe"),
            ("REGEXP_SUBSTR(12345, '3.')", "34"),
            ("REGEXP_SUBSTR(NULL, 'a')", None),
            ("REGEXP_SUBSTR('a', NULL)", None),
        ),
        *cases(
            "REGEXP_REPLACE",
            ("REGEXP_REPLACE('a1b22', '[0-9]+', '#')", "a#b#"),
            ("REGEXP_REPLACE('2026-01', '(\\d+)-(\\d+)', '$2/$1')", "01/2026"),
            ("REGEXP_REPLACE('ab', '(?<first>a)', '[${first}]')", "[a]b"),
            ("REGEXP_REPLACE('a', 'a', '\\$1')", "$1"),
            ("REGEXP_REPLACE('a', 'a', '\\\\')", "\\"),
            ("REGEXP_REPLACE('a', '(a)', '$10')", "a0"),
            ("REGEXP_REPLACE('abcdefghijkl', '(a)(b)(c)(d)(e)(f)(g)(h)(i)(j)(k)', '$11-$1')", "k-al"),
            ("REGEXP_REPLACE('abc', '(?<=a)b', 'X')", "aXc"),
            ("REGEXP_REPLACE('abc', 'x*', '-')", "-a-b-c-"),
            ("REGEXP_REPLACE('abxd', 'x*', '-')", "-a-b--d-"),
            ("REGEXP_REPLACE('abc', '', '.')", ".a.b.c."),
            ("REGEXP_REPLACE('a  b   c', '\\s+', ' ')", "a b c"),
            ("REGEXP_REPLACE('abc', '[^a-z]', '')", "abc"),
            ("REGEXP_REPLACE('Ab', '(?i)a(?-i)b', 'x')", "x"),
            ("REGEXP_REPLACE('AB', '(?i)a(?-i)b', 'x')", "AB"),
            ("REGEXP_REPLACE('ac', 'a(b)?c', '[$1]')", "[]"),
            ("REGEXP_REPLACE('trailing  ', '\\s+$', '')", "trailing"),
            ("REGEXP_REPLACE('', 'a', 'b')", ""),
            ("REGEXP_REPLACE('日本', '本', 'x')", "日x"),
            ("REGEXP_REPLACE(NULL, 'a', 'b')", None),
            ("REGEXP_REPLACE('a', NULL, 'b')", None),
            ("REGEXP_REPLACE('a', 'a', NULL)", None),
        ),
        *cases(
            "REGEXP_SPLIT",
            ("REGEXP_SPLIT('a,b;c', '[,;]')", ["a", "b", "c"]),
            ("REGEXP_SPLIT('abc', ',')", ["abc"]),
            ("REGEXP_SPLIT(',a,', ',')", ["", "a", ""]),
            ("REGEXP_SPLIT('', ',')", [""]),
            ("REGEXP_SPLIT('aXbX', '(?<=X)')", ["aX", "bX", ""]),
            ("REGEXP_SPLIT('a.b', '\\.')", ["a", "b"]),
            ("REGEXP_SPLIT('a  b', '\\s+')", ["a", "b"]),
            ("REGEXP_SPLIT('AxBXc', '(?i)x')", ["A", "B", "c"]),
            ("REGEXP_SPLIT('ä|ö', '\\|')[2]", "ö"),
            ("REGEXP_SPLIT(NULL, ',')", None),
            ("REGEXP_SPLIT('a', NULL)", None),
        ),
    ],
)  # fmt: skip
def test_regular_expression_functions(expression: str, expected: Any) -> None:
    assert value(expression) == expected


def test_patterns_and_replacements_may_come_from_columns() -> None:
    data = with_rows("s, p, r", "'a1', '\\d', '<$0>'", "'bb', '(b)\\1', 'x'", "'c', NULL, 'x'")
    sql = "SELECT REGEXP_REPLACE(s, p, r) AS a, REGEXP_SUBSTR(s, p) AS b, REGEXP_SPLIT(s, p) AS c FROM t"
    assert rows(data + sql) == [("a<1>", "1", ["a", ""]), ("x", "bb", ["", ""]), (None, None, None)]


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("'a' SIMILAR TO '*a'", r"Invalid regular expression: Dangling meta character '\*' near index 0"),
        ("'a' SIMILAR TO '(a'", "Unclosed group near index 2"),
        ("'a' SIMILAR TO 'a)'", r"Unmatched closing '\)' near index 1"),
        ("'a' SIMILAR TO '[a'", "Unclosed character class"),
        ("'a' SIMILAR TO 'a{'", "Illegal repetition"),
        ("'a' SIMILAR TO '[z-a]'", "Illegal character range"),
        ("'a' SIMILAR TO '\\y'", "Illegal/unsupported escape sequence"),
        ("'a' SIMILAR TO '\\p{Nonsense}'", "Unknown character property name {Nonsense}"),
        ("'a' SIMILAR TO '(?P<n>a)'", "Unknown inline modifier"),  # Python's and RE2's way to name a group
        ("'a' SIMILAR TO '(?<=a*)b'", "does not have an obvious maximum length"),
        ("REGEXP_REPLACE('a', 'a', '$1')", "No group 1"),
        ("REGEXP_REPLACE('a', 'a', '${n}')", "No group with name {n}"),
        ("REGEXP_REPLACE('a', 'a', '$')", "Illegal group reference"),
    ],
)
def test_what_java_cannot_read_is_refused_with_its_place(expression: str, message: str) -> None:
    with pytest.raises(AmcSqlError, match=message) as caught:
        value(expression)
    assert (caught.value.line, caught.value.column) == (1, 8)


def test_usual_patterns_run_in_duckdb() -> None:
    for pattern in ("brand.*", "(?i)a|b", "[a-z&&[^x]]+", "\\d{4}", "\\p{Alpha}+$", "\\bword\\b"):
        assert for_re2("regexp_substr", pattern) is not None
    for pattern in ("(?=a)", "a*+", "(a)\\1", "x*|^", "(?m)^a"):
        assert for_re2("regexp_replace", pattern) is None


_ATOMS = st.sampled_from(["a", "b", "[ab]", "[^a]", ".", "\\w", "(a|b)", "(?:ab)", "$", "^", "\\b", "(?i:A)", "\\s"])
_PATTERNS = st.lists(st.tuples(_ATOMS, st.sampled_from(["", "", "?", "+", "*", "{1,2}", "+?"])), max_size=4).map(
    lambda parts: "".join(
        atom + (times if atom not in ("^", "$", "\\b") else "") for atom, times in parts
    )
)  # fmt: skip


@given(_PATTERNS, st.text(alphabet="abAB \n", max_size=6))
def test_duckdb_and_python_agree(pattern: str, text: str) -> None:
    data = with_rows("s, p", f"'{text}', '{pattern}'")
    sql = "SELECT s SIMILAR TO {0} AS a, REGEXP_SUBSTR(s, {0}) AS b, REGEXP_REPLACE(s, {0}, '<$0>') AS c, REGEXP_SPLIT(s, {0}) AS d FROM t"
    assert rows(data + sql.format(f"'{pattern}'")) == rows(data + sql.format("p"))


@given(_PATTERNS, st.text(alphabet="abAB ", max_size=6))
def test_simple_patterns_mean_in_java_what_they_mean_in_python(pattern: str, text: str) -> None:
    # On one line of ASCII the two agree about these patterns
    assert java_regex.java_similar(text, pattern) is (re.fullmatch(pattern, text) is not None)
    found = re.search(pattern, text)
    assert java_regex.java_regexp_substr(text, pattern) == (found.group() if found else None)
