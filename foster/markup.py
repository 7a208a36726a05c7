"""HTML built from values: every text and every attribute is escaped here, and nowhere else is HTML written.

`Markup` marks what has been built; a plain string is always text.
"""

from __future__ import annotations

import html
import re

_VOID = frozenset({"br", "hr", "img", "input", "meta"})
_NAME = re.compile(r"[a-z][a-z0-9-]*")
# What would turn a row of titles around or break it: bidirectional overrides and control characters.
_UNSEEN = re.compile("[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def plain(text: str, limit: int = 120) -> str:
    """A title as one short line of text: no control characters, white space folded, cut at `limit` characters.

    >>> plain("A\\u202etitle\\n<b>", 8)
    'Atitle …'
    """
    line = " ".join(_UNSEEN.sub("", text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def tag(name: str, /, *children: str | None, **attributes: str | float | None) -> Markup:
    """One element. `class_` becomes class, other underscores become hyphens, None leaves out.

    >>> tag("span", "<script>", class_='a"b', aria_hidden="true")
    '<span class="a&quot;b" aria-hidden="true">&lt;script&gt;</span>'
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"not an element name: {name!r}")
    given = {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items() if value is not None}
    opening = "".join(f' {key}="{html.escape(str(value), quote=True)}"' for key, value in given.items())
    closing = "" if name in _VOID else f"{join(*children)}</{name}>"
    return Markup(f"<{name}{opening}>{closing}")


def join(*children: str | None) -> Markup:
    """Children one after another; a plain string is escaped."""
    return Markup("".join(c if isinstance(c, Markup) else html.escape(c, quote=True) for c in children if c))
