"""Whether a file is still the one that was indexed, by its stat; where that does not tell, its bytes are worth a look.

Size and modification time tell most changes, but not all: a rating written with the time kept (`exiftool -P`), scans of
one size that were renamed into each other's names. What no program keeps is the ctime, which changes with every write,
and with every chmod, link and rename as well: so it only ever asks for the bytes to be hashed.
"""

from pathlib import Path
from typing import Literal

from neardup.images import FileStat
from neardup.index import IN_DOUBT, FileState, IndexWriter

# "in doubt": its bytes say whether it has changed.
Change = Literal["unchanged", "in doubt", "changed"]


def change_of(writer: IndexWriter, path: Path, known: FileState, found: FileStat) -> Change:
    """What became of a file since it was recorded; what was not known of it then is filled in where it is unchanged."""
    if (known.size_bytes, known.mtime_ns) != (found.size_bytes, found.mtime_ns):
        return "changed"
    if known.ctime_ns == IN_DOUBT or _differ(known.ctime_ns, found.ctime_ns):
        return "in doubt"
    # Of files in folders that changed names nothing but the inode tells. Network disks, exFAT and FUSE number files
    # anew at every mount: another number means something only where it is that of another file of one size and time.
    if _differ(known.inode, found.inode) and writer.is_of_another(path, known, inode=found.inode):
        return "in doubt"
    is_new = (not known.ctime_ns and found.ctime_ns) or (not known.inode and found.inode)
    if is_new and known.error is None:
        writer.restat(path, ctime_ns=found.ctime_ns, inode=found.inode)
    return "unchanged"


def _differ(known: int, found: int) -> bool:
    """Whether two numbers differ that are both known."""
    return bool(known and found and known != found)
