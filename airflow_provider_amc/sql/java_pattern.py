"""Reads a regular expression in Java's syntax into a tree (Java API documentation, ``java.util.regex.Pattern``).

Flags are resolved while reading: characters under ``(?i)`` become classes, ``.`` and ``$`` what the flags make of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from airflow_provider_amc.sql import java_classes as classes
from airflow_provider_amc.sql.java_classes import Ranges


class JavaPatternError(ValueError):
    """The pattern is not one of Java's. The message goes to the user."""


@dataclass(frozen=True)
class Characters:
    """One character of a class."""

    ranges: Ranges


@dataclass(frozen=True)
class Anchor:
    """A place: ``start``, ``end``, ``last`` (end, or before a line break there), ``line start``, ``line end``,
    ``word`` (a word boundary), ``not word``."""

    place: str


@dataclass(frozen=True)
class Sequence:
    """One after the other."""

    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Choice:
    """The first that matches."""

    options: tuple[Node, ...]


@dataclass(frozen=True)
class Group:
    """A capturing group.

    :param number: from 1.
    """

    number: int
    inner: Node


@dataclass(frozen=True)
class Atomic:
    """A group that gives nothing back: ``(?>...)``."""

    inner: Node


@dataclass(frozen=True)
class Repeat:
    """A quantifier.

    :param most: ``None`` without bound.
    :param mode: empty, ``?`` (as few as possible) or ``+`` (possessive).
    """

    inner: Node
    least: int
    most: int | None
    mode: str


@dataclass(frozen=True)
class Look:
    """Look-around: what follows (``ahead``) or precedes must match, or must not."""

    inner: Node
    ahead: bool
    wanted: bool


@dataclass(frozen=True)
class Reference:
    """What a group matched, again."""

    number: int
    ignore_case: bool


Node = Characters | Anchor | Sequence | Choice | Group | Atomic | Repeat | Look | Reference

#: Matches nowhere.
NEVER = Characters(())
_EMPTY = Sequence(())


@dataclass(frozen=True)
class JavaPattern:
    """A pattern.

    :param tree: what it means.
    :param groups: number of its capturing groups.
    :param names: numbers of its named groups.
    """

    tree: Node
    groups: int
    names: dict[str, int]


_FLAGS = re.compile(r"([idmsuxU]*)(?:-([idmsuxU]+))?([:)])")
_COUNTS = re.compile(r"\{(\d+)(,(\d*))?\}")
_CONTROLS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "a": "\a", "e": "\x1b"}
_CODES = re.compile(r"x\{([0-9A-Fa-f]+)\}|x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|0([0-3]?[0-7]{1,2})|c(.)", re.DOTALL)


class _Reader:
    def __init__(self, pattern: str) -> None:
        self._text = pattern
        self._at = 0
        self._flags: frozenset[str] = frozenset()
        self._groups = 0
        self._names: dict[str, int] = {}
        self._open: set[int] = set()

    def read(self) -> JavaPattern:
        tree = self._choice()
        if self._at < len(self._text):
            raise self._error("Unmatched closing ')'")
        return JavaPattern(tree, self._groups, self._names)

    def _error(self, what: str) -> JavaPatternError:
        return JavaPatternError(f"{what} near index {self._at} of the regular expression {self._text!r}")

    def _peek(self, count: int = 1) -> str:
        return self._text[self._at : self._at + count]

    def _take(self, expected: str) -> bool:
        if not self._text.startswith(expected, self._at):
            return False
        self._at += len(expected)
        return True

    def _skip_comments(self) -> None:
        while "x" in self._flags and self._peek() and (self._peek().isspace() or self._peek() == "#"):
            if self._take("#"):
                while self._peek() not in ("", "\n"):
                    self._at += 1
            else:
                self._at += 1

    # --- structure -----------------------------------------------------------------------------------------------

    def _choice(self) -> Node:
        flags = self._flags
        options = [self._sequence()]
        while self._take("|"):
            options.append(self._sequence())
        self._flags = flags
        return options[0] if len(options) == 1 else Choice(tuple(options))

    def _sequence(self) -> Node:
        parts: list[Node] = []
        while True:
            self._skip_comments()
            if self._peek() in ("", "|", ")"):
                return parts[0] if len(parts) == 1 else Sequence(tuple(parts))
            if self._take("\\Q"):
                parts += self._quoted()
                if parts:
                    parts[-1] = self._quantified(parts[-1])
                continue
            atom = self._atom()
            if atom is not None:
                parts.append(self._quantified(atom))

    def _quoted(self) -> list[Node]:
        end = self._text.find("\\E", self._at)
        text = self._text[self._at : end if end >= 0 else len(self._text)]
        self._at = end + 2 if end >= 0 else len(self._text)
        return [self._character(ord(letter)) for letter in text]

    def _quantified(self, atom: Node) -> Node:
        while True:
            self._skip_comments()
            sign = self._peek()
            if sign and sign in "?*+":
                self._at += 1
                least, most = {"?": (0, 1), "*": (0, None), "+": (1, None)}[sign]
            elif sign == "{":
                counts = _COUNTS.match(self._text, self._at)
                if counts is None:
                    raise self._error("Illegal repetition")
                self._at = counts.end()
                least = int(counts[1])
                most = least if counts[2] is None else int(counts[3]) if counts[3] else None
                if most is not None and most < least:
                    raise self._error("Illegal repetition range")
            else:
                return atom
            mode = "?" if self._take("?") else "+" if self._take("+") else ""
            atom = Repeat(atom, least, most, mode)

    def _atom(self) -> Node | None:
        letter = self._peek()
        self._at += 1
        if letter == "(":
            return self._group()
        if letter == "[":
            return Characters(self._class())
        if letter == "\\":
            return self._escape()
        if letter == ".":
            return Characters(self._any())
        if letter == "^":
            return Anchor("line start" if "m" in self._flags else "start")
        if letter == "$":
            return Anchor("line end" if "m" in self._flags else "last")
        if letter in "*+?":
            self._at -= 1
            raise self._error(f"Dangling meta character '{letter}'")
        if letter == "{":
            self._at -= 1
            raise self._error("Illegal repetition")
        return self._character(ord(letter))

    def _any(self) -> Ranges:
        if "s" in self._flags:
            return classes.ALL
        return classes.complement(classes.of("\n") if "d" in self._flags else classes.LINE_ENDS)

    def _character(self, code: int) -> Characters:
        return Characters(self._cased(((code, code),)))

    def _cased(self, ranges: Ranges) -> Ranges:
        if "i" not in self._flags:
            return ranges
        return classes.without_case(ranges, unicode=bool(self._flags & {"u", "U"}))

    def _group(self) -> Node | None:
        if not self._take("?"):
            return self._capture(None)
        for opener, make in (
            (":", lambda inner: inner),
            (">", Atomic),
            ("=", lambda inner: Look(inner, ahead=True, wanted=True)),
            ("!", lambda inner: Look(inner, ahead=True, wanted=False)),
            ("<=", lambda inner: Look(inner, ahead=False, wanted=True)),
            ("<!", lambda inner: Look(inner, ahead=False, wanted=False)),
        ):
            if self._take(opener):
                inner = self._choice()
                self._close()
                # As its own node, so that a quantifier takes all of it
                made: Node = make(inner)
                return made
        if name := re.compile(r"<([A-Za-z][A-Za-z0-9]*)>").match(self._text, self._at):
            self._at = name.end()
            return self._capture(name[1])
        flags = _FLAGS.match(self._text, self._at)
        if flags is None:
            raise self._error("Unknown inline modifier or group construct")
        self._at = flags.end()
        changed = (self._flags | set(flags[1])) - set(flags[2] or "")
        if flags[3] == ")":
            self._flags = changed
            return None
        before, self._flags = self._flags, changed
        inner = self._choice()
        self._close()
        self._flags = before
        return inner

    def _capture(self, name: str | None) -> Node:
        self._groups += 1
        number = self._groups
        if name is not None:
            if name in self._names:
                raise self._error(f"Named capturing group <{name}> is already defined")
            self._names[name] = number
        self._open.add(number)
        inner = self._choice()
        self._close()
        self._open.discard(number)
        return Group(number, inner)

    def _close(self) -> None:
        if not self._take(")"):
            raise self._error("Unclosed group")

    # --- escapes -------------------------------------------------------------------------------------------------

    def _escape(self) -> Node:
        letter = self._peek()
        if letter in ("1", "2", "3", "4", "5", "6", "7", "8", "9"):
            return self._reference()
        anchors = {"b": "word", "B": "not word", "A": "start", "z": "end", "Z": "last"}
        if letter in anchors:
            self._at += 1
            return Anchor(anchors[letter])
        if letter == "R":
            self._at += 1
            crlf = Sequence((Characters(classes.of("\r")), Characters(classes.of("\n"))))
            return Choice((crlf, Characters(classes.VERTICAL)))
        if letter == "k":
            name = re.compile(r"k<(\w+)>").match(self._text, self._at)
            if name is None or name[1] not in self._names:
                raise self._error("Unknown named group")
            self._at = name.end()
            return self._reference_to(self._names[name[1]])
        if letter in ("G", "X", "N"):
            raise self._error(f"\\{letter} is not supported by the emulator")
        return Characters(self._escaped_class())

    def _reference(self) -> Node:
        number = int(self._peek())
        self._at += 1
        # A further digit belongs to the number while there are that many groups
        while self._peek().isdigit() and number * 10 + int(self._peek()) <= self._groups:
            number = number * 10 + int(self._peek())
            self._at += 1
        return self._reference_to(number)

    def _reference_to(self, number: int) -> Node:
        if number > self._groups or number in self._open:
            return NEVER
        return Reference(number, "i" in self._flags)

    def _escaped_class(self) -> Ranges:
        """The class behind a backslash, of one character or more."""
        letter = self._peek()
        if not letter:
            raise self._error("Unexpected end of the pattern after a backslash")
        if letter.lower() in classes.ESCAPES:
            self._at += 1
            found = classes.ESCAPES[letter.lower()]
            return classes.complement(found) if letter.isupper() else found
        if letter in "pP":
            return self._property()
        code = self._code()
        return self._cased(((code, code),))

    def _code(self) -> int:
        letter = self._peek()
        if letter in _CONTROLS:
            self._at += 1
            return ord(_CONTROLS[letter])
        if code := _CODES.match(self._text, self._at):
            self._at = code.end()
            digits = code[1] or code[2] or code[3]
            number = int(digits, 16) if digits else int(code[4], 8) if code[4] else ord(code[5]) ^ 64
            if number > 0x10FFFF:
                raise self._error("Hexadecimal codepoint is too big")
            return number
        if letter.isalnum() and letter.isascii():
            raise self._error("Illegal/unsupported escape sequence")
        self._at += 1
        return ord(letter)

    def _property(self) -> Ranges:
        match = re.compile(r"[pP](?:\{([^}]*)\}|(\w))").match(self._text, self._at)
        name = (match[1] or match[2] or "") if match else ""
        found = classes.named(name) if name else None
        if match is None or found is None:
            raise self._error(f"Unknown character property name {{{name}}}")
        negated = self._peek() == "P"
        self._at = match.end()
        found = self._cased(found)
        return classes.complement(found) if negated else found

    # --- classes in brackets -------------------------------------------------------------------------------------

    def _class(self) -> Ranges:
        negated = self._take("^")
        result: Ranges | None = None
        found: Ranges = ()
        first = True
        while True:
            self._skip_comments()
            letter = self._peek()
            if not letter:
                raise self._error("Unclosed character class")
            if letter == "]" and not first:
                self._at += 1
                break
            first = False
            if self._peek(2) == "&&":
                while self._take("&"):
                    pass
                result = found if result is None else classes.intersection(result, found)
                found = ()
                continue
            found = classes.union(found, self._class_item())
        if result is not None:
            found = classes.intersection(result, found)
        return classes.complement(found) if negated else found

    def _class_item(self) -> Ranges:
        if self._take("["):
            return self._class()
        if self._take("\\Q"):
            return classes.union(*(part.ranges for part in self._quoted() if isinstance(part, Characters)))
        low = self._class_character()
        if not isinstance(low, int):
            return low
        if self._peek() == "-" and self._peek(2) not in ("-", "-]", "-[") and self._peek(3) != "-&&":
            self._at += 1
            high = self._class_character()
            if not isinstance(high, int) or high < low:
                raise self._error("Illegal character range")
            return self._cased(((low, high),))
        return self._cased(((low, low),))

    def _class_character(self) -> int | Ranges:
        letter = self._peek()
        self._at += 1
        if letter != "\\":
            return ord(letter)
        following = self._peek()
        if following and (following.lower() in classes.ESCAPES or following in "pP"):
            return self._escaped_class()
        if not following:
            raise self._error("Unclosed character class")
        return self._code()


def read_pattern(pattern: str) -> JavaPattern:
    """Read a pattern.

    :param pattern: as Java's ``Pattern.compile`` takes it.
    :raises JavaPatternError: it is not one; the message says what is wrong and where.
    """
    try:
        return _Reader(pattern).read()
    except RecursionError:
        raise JavaPatternError("The regular expression is nested too deeply") from None
