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

# What is chosen on a map: a dark line inside a light one. On any page, and on any colour of a map, one of the two has a
# contrast of at least 3:1.
CHOSEN, AROUND_CHOSEN = "#16191D", "#FFFFFF"

# Points of a map: eight groups at most, each with its own colour *and* marker.
CATEGORY_COLOURS = ("#1F7FBF", "#D55E00", "#0B9970", "#E69F00", "#C06597", "#56B4E9", "#8C6D46", "#83878C")
CATEGORY_SYMBOLS = ("circle", "square", "diamond", "cross", "triangle-up", "x", "triangle-down", "circle-open")

# Sequential, grey to orange: told apart by saturation, seen on a light and on a dark page; size says it again.
SEQUENTIAL = ((0.0, "#8A9098"), (0.35, "#B98F4A"), (0.7, "#DB7A1C"), (1.0, "#E04E00"))
