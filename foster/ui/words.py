"""Numbers as a person reads them; they live in `foster.words`, because reports without a page need them too."""

from __future__ import annotations

from foster.words import count, device, duration, measure, moment, ordinal, plural, score, share, size, version

__all__ = ["count", "device", "duration", "measure", "moment", "ordinal", "plural", "score", "share", "size", "version"]
