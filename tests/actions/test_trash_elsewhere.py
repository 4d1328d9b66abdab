"""Where the trash is not freedesktop's, undo says so, and calls nothing lost."""

import platform

from neardup.actions.records import Header, Record
from neardup.actions.trash import Trash
from neardup.actions.undo import _restore

TRASH = Header("trash", None, "", 1)


def trashed(folder):
    folder.mkdir()
    return Record(0, folder / "a.jpg", 3, 0, 0o644, bytes(32), folder / "b.jpg", None)


def test_a_file_in_the_trash_of_macos_is_not_called_lost(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    record = trashed(tmp_path / "photos")
    assert _restore(TRASH, record, Trash()) == ("lost", "is not in the trash any more")
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    result, reason = _restore(TRASH, record, Trash())
    assert result == "blocked"
    assert "macOS" in reason


def test_a_file_that_was_put_back_by_hand_is_back(tmp_path, monkeypatch):
    import hashlib
    from dataclasses import replace

    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    record = replace(trashed(tmp_path / "photos"), digest=hashlib.sha256(b"abc").digest())
    record.path.write_bytes(b"abc")
    assert _restore(TRASH, record, Trash())[0] == "undone"
