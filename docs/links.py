"""Every link inside the built site leads somewhere: to a file that is there and, in it, to a place with that name."""

from __future__ import annotations

from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sphinx.util import logging

LOG = logging.getLogger(__name__)


class _Page(HTMLParser):
    """The links of a page, and the places that links can lead to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.places: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Note what a tag links to, and its name."""
        for name, value in attributes:
            if value and name in ("href", "src"):
                self.links.add(value)
            elif value and (name == "id" or (tag, name) == ("a", "name")):
                self.places.add(value)


@cache
def _page(path: Path) -> _Page:
    return _Page(path.read_text(encoding="utf-8"))


def dead(root: Path) -> list[str]:
    """Links that lead nowhere, one sentence each."""
    found = []
    for path in sorted(set(root.rglob("*.html")) - set(root.glob("_static/**/*.html"))):
        for link in sorted(_page(path).links):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue  # another site's
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if target.is_dir():
                target /= "index.html"
            place = unquote(parts.fragment)
            if not target.exists():
                found.append(f"{path.relative_to(root)}: {link} is not there")
            elif place and target.suffix == ".html" and place not in _page(target).places:
                found.append(f"{path.relative_to(root)}: {link} has no such place")
    return found


def check(app, exception: Exception | None) -> None:
    """Warn of links that lead nowhere; called when the site is built."""
    if exception is None and app.builder.format == "html":
        for sentence in dead(Path(app.outdir)):
            LOG.warning(sentence)
