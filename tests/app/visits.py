"""Pages opened through streamlit's test runner; what stands on them, and presses of their buttons."""

from __future__ import annotations

import html
import re
from pathlib import Path

from patience import PATIENCE_S
from streamlit.testing.v1 import AppTest

ROOT = Path(__file__).resolve().parents[2]
RUN = "20260921-1000-foster-sample-0001"  # the one that `lay_run` lays unasked


def visit(page: str, /, **query: str) -> AppTest:
    """Opens "app.py" or a page such as "pages/map.py", with what its address asks for."""
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=PATIENCE_S)
    for name, value in query.items():
        app.query_params[name] = value
    if page != "app.py":
        app.switch_page(page)
    return check(app.run())


def check(app: AppTest) -> AppTest:
    assert not app.exception, [each.value for each in app.exception]
    return app


def press(app: AppTest, label: str) -> AppTest:
    return check(next(button for button in app.button if button.label == label).click().run())


def markup(app: AppTest) -> str:
    """The HTML of the page as it is sent, without the style sheet."""
    return "\n".join(each.proto.body for each in app.get("html") if not each.proto.body.startswith("<style"))


def shown(app: AppTest) -> str:
    """All text of the page, as a person reads it, and the tags around it."""
    parts = [html.unescape(markup(app))]
    for kind in ("text", "markdown", "caption", "code"):
        parts += [str(each.value) for each in app.get(kind)]
    return "\n".join(parts)


def untagged(app: AppTest, between: str = " ") -> str:
    """The text of the page's HTML, with `between` where a tag was and plain spaces for those that do not break."""
    return html.unescape(re.sub("<[^>]+>", between, markup(app))).replace("\u00a0", " ")


def links(app: AppTest) -> dict[str, str]:
    """What each link to a page hands on in the address, by its label."""
    return {each.proto.label: each.proto.query_string for each in app.get("page_link")}


def names(app: AppTest) -> set[str]:
    """What the page's buttons are called."""
    return {button.label for button in app.button}


def check_escaped(app: AppTest) -> None:
    """No title or name that was given has become markup or turns the text around it."""
    sent = markup(app)
    for bad in ("<script", "<img", "\u202e"):
        assert bad not in sent, (bad, sent)
