"""What the person in front of this page may do. Whatever changes something on disk goes through here.

Buttons that would be refused are left out of the pages, but a browser can send what it likes, so the question is asked
again here, at the moment of the deed.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Sequence

import streamlit as st

from foster import policy as policies
from foster import visitors
from foster.launch import launch, require_gpu, resume
from foster.policy import Policy
from foster.runs import Run, RunStore, default_root
from foster.spec import RunSpec

COOKIE = "_streamlit_xsrf"  # random, one a browser, given by the server before a page opens
TOKEN_BYTES = 16
KEY = "visitor"


def policy() -> Policy:
    """Raises UserError when the environment names no policy that there is."""
    return policies.current()


def store() -> RunStore:
    return visitors.store_under(default_root(), policy())


def visitor() -> str:
    """A name for this browser, else for this session, that tells nothing about the person and cannot be guessed."""
    token = _token(st.context.cookies.get(COOKIE, ""))
    if token is None:
        token = st.session_state.setdefault(KEY, secrets.token_bytes(TOKEN_BYTES))
    return hashlib.sha256(b"foster visitor" + token).hexdigest()[:32]


def _token(cookie: str) -> bytes | None:
    """What stays the same in the cookie `2|mask|masked token|time`, whose mask is a new one in every answer.

    >>> _token("2|00000000|" + "ab" * 16 + "|1") == _token("2|ffffffff|" + "54" * 16 + "|1") == b"\\xab" * 16
    True
    >>> _token("2|00|ab|1"), _token("")
    (None, None)
    """
    try:
        version, mask_hex, masked_hex, _ = cookie.strip("\"'").split("|")
        mask, masked = bytes.fromhex(mask_hex), bytes.fromhex(masked_hex)
    except ValueError:
        return None
    if version != "2" or len(mask) != 4 or len(masked) != TOKEN_BYTES:
        return None
    return bytes(byte ^ mask[place % 4] for place, byte in enumerate(masked))


def start(store: RunStore, specs: Sequence[RunSpec] = (), again: Sequence[str] = ()) -> list[Run]:
    """Launches runs, and lets others go on. Raises UserError, for a new run on a GPU where there is none, too."""
    if any(spec.device == "cuda" for spec in specs):
        require_gpu()
    return visitors.start(store, policy(), visitor(), specs, again, launch, resume)


def refusal(run: Run) -> str:
    """Why this person may not stop, pause, step or resume a run, '' if they may."""
    return visitors.refusal(policy(), visitor(), run)


def is_mine(run: Run) -> bool:
    """Whether this visitor launched it."""
    return policy().apart and not refusal(run)


def stop(run: Run) -> None:
    _control(run, run.request_stop)


def pause(store: RunStore, run: Run) -> None:
    visitors.pause(store, policy(), visitor(), run)


def go_on(run: Run) -> None:
    """Ends a pause."""
    _control(run, run.request_resume)


def step(run: Run) -> None:
    """Lets a paused run take one step."""
    _control(run, run.request_step)


def _control(run: Run, do: Callable[[], None]) -> None:
    visitors.require_control(policy(), visitor(), run)
    do()


def edit(do: Callable[[], object]) -> None:
    """Changes what is kept: a name, a note, a run, a data set, the cache. Raises UserError."""
    policy().require_edits()
    do()
