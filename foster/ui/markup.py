"""HTML on a page: built and escaped by `foster.markup`, and nowhere else.

Streamlit's sanitizer runs on top of it (`st.html` without scripts), so a title has to get through two gates before it
could do anything.
"""

from __future__ import annotations

from typing import Literal

import streamlit as st

from foster.markup import Markup, join, plain, tag

__all__ = ["Markup", "join", "plain", "show", "tag"]


def show(element: Markup, width: Literal["stretch", "content"] = "stretch") -> None:
    """Put built HTML on the page."""
    st.html(str(element), width=width)
