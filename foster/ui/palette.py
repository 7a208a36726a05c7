"""One palette, after Okabe and Ito: told apart with any colour vision, and never by colour alone.

The charts' colours are mid-tones that keep a contrast of at least 3:1 on the light and on the dark page, so a figure
needs not know the theme; text and grid colours come from Streamlit's own theme.
"""

from __future__ import annotations

BLUE = "#1F7FBF"
VERMILION = "#D55E00"
GREEN = "#0B9970"
PURPLE = "#C06597"
OCHRE = "#B8860B"
GREY = "#83878C"

# Points of a map: eight groups at most, each with its own colour *and* marker.
CATEGORY_COLOURS = ("#1F7FBF", "#D55E00", "#0B9970", "#E69F00", "#C06597", "#56B4E9", "#8C6D46", "#83878C")
CATEGORY_SYMBOLS = ("circle", "square", "diamond", "cross", "triangle-up", "x", "triangle-down", "circle-open")

# Sequential, dark blue to yellow: cividis, made for colour-vision deficiency, even in lightness.
SEQUENTIAL = "Cividis"
