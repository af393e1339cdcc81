"""A text in two forms that look the same."""

import unicodedata

COMPOSED = "Müller-Köln"
DECOMPOSED = unicodedata.normalize("NFD", COMPOSED)
