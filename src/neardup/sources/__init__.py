"""What can be read as an image: a file, a URL, standard input, a record of a data set; and the walk that finds files.

paths ─ Walk ─▶ StoredSource, for an index          arguments ─ open_queries ─▶ Source, for a query
"""

from neardup.sources.records import StoredImage, is_record, load_stored, read_stored
from neardup.sources.source import ImageFile, Kept, Source, StoredSource

__all__ = ["ImageFile", "Kept", "Source", "StoredImage", "StoredSource", "is_record", "load_stored", "read_stored"]
