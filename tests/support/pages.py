"""Generated parts of Markdown pages."""

from __future__ import annotations


def replace_between(page: str, begin: str, end: str, content: str) -> str:
    """Return the page with new content between two marks.

    Raises:
        ValueError: the page lacks one of the marks.
    """
    head, begin_found, rest = page.partition(begin)
    _, end_found, tail = rest.partition(end)
    if not begin_found or not end_found:
        raise ValueError(f"the page lacks the marks {begin!r} and {end!r}")
    return f"{head}{begin}\n\n{content}\n\n{end}{tail}"
