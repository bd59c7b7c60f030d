"""Where rows live: in memory, in files, databases and elsewhere. Nothing here knows what a Gaussian is."""

from mixtura.sources.opening import as_source
from mixtura.sources.reader import Opened
from mixtura.sources.source import Block, Source

__all__ = ["Block", "Opened", "Source", "as_source"]
