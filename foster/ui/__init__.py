"""What the pages are made of. Every page first calls `frame(title)`."""

from foster.ui.frame import frame

__all__ = ["frame"]
