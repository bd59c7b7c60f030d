"""Where rows live: in memory, in files, databases and elsewhere. Nothing here knows what a Gaussian is."""

from mixtura.sources.opening import as_source
from mixtura.sources.reader import Opened
from mixtura.sources.source import Block, Source
from mixtura.sources.sql import Query

__all__ = ["Block", "Opened", "Query", "Source", "as_source"]
