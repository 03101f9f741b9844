"""Text of others in sentences of ours: on one line, short, and printable on any terminal."""

from __future__ import annotations


def one_line(text: str, longest: int = 300) -> str:
    """Put `text` on one line of at most `longest` characters; what cannot be printed becomes "?".

    >>> one_line("two  lines\\n\\x1b[31mand colour")
    'two lines ?[31mand colour'
    """
    text = " ".join(text[: 4 * longest].split())
    text = "".join(c if c.isprintable() else "?" for c in text)
    return text if len(text) <= longest else text[: longest - 1] + "…"
