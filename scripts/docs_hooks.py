"""What MkDocs does with a page before it is written (``hooks`` in mkdocs.yml)."""

import re

_ROLE = re.compile(r":(?:class|func|meth|mod|data|attr):<code>~?(?:[\w.]*\.)?(\w+)</code>")


def on_page_content(html: str, **_: object) -> str:
    """Names that docstrings refer to in Sphinx' way, as code."""
    return _ROLE.sub(r"<code>\1</code>", html)
