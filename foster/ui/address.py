"""The page's address holds its state: each control reads its value from the URL and writes a change back to it.

Streamlit's own `bind="query-params"` is not used: it drops what is bound on one page when another opens, and clears an
unknown value before a page could say that it is unknown. Here the URL is read on every run, before the widget is made,
so a deep link, the browser's back button and a click all take the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import streamlit as st

T = TypeVar("T", bound=int | float | str)
NONE = "-"  # in the URL: an empty choice where the default is not empty
BETWEEN = ","


def asked(name: str) -> str | None:
    """What the URL says, None if it says nothing."""
    return st.query_params.get(name) or None


def put(**values: object) -> None:
    """Write to the URL; None or '' takes a name out of it."""
    for name, value in values.items():
        if value in (None, ""):
            if name in st.query_params:
                del st.query_params[name]
        elif st.query_params.get(name) != str(value):
            st.query_params[name] = str(value)


def carried(**changes: object) -> dict[str, str]:
    """All of the URL's parameters with `changes`, for a link to another page."""
    merged = {**st.query_params.to_dict(), **changes}
    return {name: str(value) for name, value in merged.items() if value not in (None, "")}


def _is_stale(chosen: Iterable[object], options: Sequence[Any]) -> bool:
    """A browser names what it chose by its label. One whose run has been paused or renamed since is no option."""
    return any(each is not None and each not in options for each in chosen)


def _write_back(name: str, key: str, default: object, clears: Iterable[str], options: Sequence[Any] | None) -> None:
    value = st.session_state[key]
    if str(value) == asked(name) or (options is not None and _is_stale([value], options)):
        return  # nothing new: what the URL says stays, a default included
    put(**{name: None if value == default else value}, **dict.fromkeys(clears))


def _controlled(
    name: str, value: object, default: object, clears: Iterable[str] = (), options: Sequence[Any] | None = None
) -> dict[str, Any]:
    key = f"url-{name}"
    st.session_state[key] = value
    return {"key": key, "on_change": _write_back, "args": (name, key, default, tuple(clears), options)}


def pick(name: str, options: Sequence[T], default: T) -> T:
    """The option that the URL asks for, else the default."""
    written = asked(name)
    return next((option for option in options if str(option) == written), default)


def segments(
    name: str,
    label: str,
    options: Sequence[T],
    default: T,
    format_func: Callable[[T], str] = str,
    clears: Iterable[str] = (),
    **looks: Any,
) -> T:
    """One of a few options side by side; their labels are markdown, so only our own words may be options.

    clears: names that leave the URL when the choice changes.
    """
    value = pick(name, options, default)
    st.segmented_control(
        label, options, format_func=format_func, required=True, **_controlled(name, value, default, clears), **looks
    )
    return value


def menu(
    name: str,
    label: str,
    options: Sequence[T],
    default: T | None,
    format_func: Callable[[T], str] = str,
    clears: Iterable[str] = (),
    **looks: Any,
) -> T | None:
    """One of many options in a list, shown as plain text; None while the URL asks for none and there is no default.

    clears: names that leave the URL when the choice changes.
    """
    value = next((option for option in options if str(option) == asked(name)), default)
    looks = {"filter_mode": "contains", **looks, **({"index": None} if default is None else {})}
    controlled = _controlled(name, value, default, clears, options)
    st.selectbox(label, options, format_func=format_func, **controlled, **looks)
    return value


def scrubber(
    name: str, label: str, options: Sequence[T], default: T, format_func: Callable[[T], str] = str, **looks: Any
) -> T:
    """A slider over options in order; needs at least two of them."""
    value = pick(name, options, default)
    st.select_slider(label, options, format_func=format_func, **_controlled(name, value, default), **looks)
    return value


def search(name: str, label: str, **looks: Any) -> str:
    """A search text, stripped."""
    value = (asked(name) or "")[:200]
    st.text_input(label, type="search", max_chars=200, **_controlled(name, value, ""), **looks)
    return value.strip()


def _write_list(name: str, key: str, default: list[Any], options: Sequence[Any]) -> None:
    value = list(st.session_state[key])
    text = BETWEEN.join(str(each) for each in value) or NONE
    if text == asked(name) or _is_stale(value, options):
        return
    put(**{name: None if value == default else text})


def asked_list(name: str) -> list[str] | None:
    """The entries that the URL lists under a name, each once; None if it says nothing."""
    written = asked(name)
    if written is None:
        return None
    return list(dict.fromkeys(filter(None, written.split(BETWEEN)))) if written != NONE else []


def several(
    name: str, label: str, options: Sequence[str], default: list[str], format_func: Callable[[str], str], **looks: Any
) -> list[str]:
    """Any number of options, shown as plain text in the order they were chosen. What the URL asks for and is no option
    comes back too, so that the page can name it."""
    written = asked_list(name)
    value = default if written is None else written
    key = f"url-{name}"
    st.session_state[key] = [each for each in value if each in options]
    st.multiselect(
        label,
        options,
        format_func=format_func,
        key=key,
        on_change=_write_list,
        args=(name, key, default, options),
        **looks,
    )
    return value


def pills(
    name: str, label: str, options: Sequence[T], default: list[T], format_func: Callable[[T], str] = str, **looks: Any
) -> list[T]:
    """Any number of a few options side by side, in the order of the options; only our own words may be options."""
    written = asked_list(name)
    value = default if written is None else [option for option in options if str(option) in written]
    key = f"url-{name}"
    st.session_state[key] = value
    st.pills(
        label,
        options,
        format_func=format_func,
        selection_mode="multi",
        key=key,
        on_change=_write_list,
        args=(name, key, default, options),
        **looks,
    )
    return value


def put_list(name: str, values: Iterable[object]) -> None:
    """Write a list to the URL; an empty one is written too, so that it is not taken for nothing said."""
    put(**{name: BETWEEN.join(str(each) for each in values) or NONE})
