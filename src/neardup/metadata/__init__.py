"""What a file says beside its pixels: read within limits, compared in words, carried into a sidecar.

Path ─ read_metadata, read_sidecar ─▶ Metadata ─ losses ─▶ words
                                      Metadata ─ carried ─▶ Carried ─ merged ─▶ XMP of a sidecar
"""

from neardup.metadata.compare import losses
from neardup.metadata.facts import Metadata
from neardup.metadata.reading import read_metadata
from neardup.metadata.sidecars import Carried, carried, merged, read_sidecar

__all__ = ["Carried", "Metadata", "carried", "losses", "merged", "read_metadata", "read_sidecar"]
