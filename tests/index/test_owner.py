"""An index is its user's own where they made it, or said so; and the key that shows it is theirs alone."""

import json
import multiprocessing
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from small_index import MODEL

from neardup.errors import BadInput, NotTrusted
from neardup.index import Index
from neardup.index.key import user_key
from neardup.index.owner import claim, trust_index


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """An index that this user made."""
    folder = tmp_path / "index"
    with Index.write(folder, MODEL):
        pass
    return folder


def test_an_index_is_its_makers(made: Path) -> None:
    trust_index(made)
    with Index.write(made, MODEL):
        pass
    trust_index(made)


def change_owner(mark: Path, **changes: object) -> None:
    mark.write_text(json.dumps(json.loads(mark.read_text()) | changes))


FOREIGN: dict[str, Callable[[Path], object]] = {
    "made by another": lambda mark: change_owner(mark, mac="0" * 64),
    "another id": lambda mark: change_owner(mark, id="0" * 32),
    "another place": lambda mark: change_owner(mark, path="/elsewhere"),
    "one field more": lambda mark: change_owner(mark, run="rm"),
    "made before there were owners": lambda mark: mark.unlink(),
    "no text": lambda mark: mark.write_bytes(b"\xff"),
    "deep JSON": lambda mark: mark.write_bytes(b"[" * 60_000),
    "a MAC that is no text": lambda mark: change_owner(mark, mac="\ud800"),
    "large": lambda mark: os.truncate(mark, 30 << 30),
    "FIFO": lambda mark: (mark.unlink(), os.mkfifo(mark)),
    "link": lambda mark: (mark.rename(mark.with_name("x")), mark.symlink_to("x")),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_what_the_key_did_not_sign_is_a_strangers_until_it_is_trusted(made: Path, kind: str) -> None:
    FOREIGN[kind](made / "owner.json")
    for _ in range(2):
        with pytest.raises(NotTrusted, match="give --trust once"):
            trust_index(made)
        with Index.write(made, MODEL):  # adding to it makes it nobody's own
            pass
    assert Index.open(made).images == 0  # reading asks for nothing
    trust_index(made, trust=True)
    trust_index(made)


@pytest.mark.parametrize("name", ["catalog.sqlite", "catalog.sqlite-wal", "actions", "review-plan.json"])
def test_a_folder_with_anything_to_read_is_not_taken_for_a_new_index(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(NotTrusted):
        trust_index(tmp_path)


def test_a_copy_is_another_index_and_a_new_name_is_not(made: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(made, copy)
    with pytest.raises(NotTrusted, match=f"moved or copied since you used it in {made}"):
        trust_index(copy)
    identifier = claim(made).id
    assert claim(copy, trust=True).id == identifier  # so that its journals are still this user's
    trust_index(made)
    made.rename(tmp_path / "renamed")
    trust_index(tmp_path / "renamed")
    assert json.loads((tmp_path / "renamed" / "owner.json").read_text())["path"] == str(made)
    claim(tmp_path / "renamed")
    assert json.loads((tmp_path / "renamed" / "owner.json").read_text())["path"] == str(tmp_path / "renamed")


def test_a_disk_that_is_mounted_anew_numbers_its_folders_otherwise(made: Path, tmp_path: Path) -> None:
    made.rename(tmp_path / "before")
    shutil.copytree(tmp_path / "before", made)
    trust_index(made)


def test_a_lost_key_makes_strangers_of_all(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEARDUP_STATE", str(tmp_path / "state"))
    with pytest.raises(NotTrusted):
        trust_index(made)


def test_an_index_can_be_made_where_no_key_can_be_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "state").touch()
    monkeypatch.setenv("NEARDUP_STATE", str(tmp_path / "state"))
    with Index.write(tmp_path / "index", MODEL):
        pass
    with pytest.raises(BadInput, match="set NEARDUP_STATE"):
        trust_index(tmp_path / "index")


def _key(start: "multiprocessing.synchronize.Event", _: int) -> bytes:
    start.wait()
    return user_key()


def test_many_processes_make_one_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEARDUP_STATE", str(tmp_path / "a" / "state"))
    context = multiprocessing.get_context("fork")
    with context.Manager() as manager:
        start = manager.Event()
        with context.Pool(8) as pool:
            keys = [pool.apply_async(_key, (start, n)) for n in range(8)]
            start.set()
            assert len({key.get(30) for key in keys}) == 1
    key = tmp_path / "a" / "state" / "key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert key.read_bytes() == user_key()
    assert len(user_key()) == 32


BAD_KEYS: dict[str, Callable[[Path], object]] = {
    "others may read it": lambda key: key.chmod(0o644),
    "belongs to another user": lambda key: os.chown(key, 12345, -1),
    "holds no key of 32 bytes; remove it": lambda key: key.write_bytes(b"short"),
    "holds no key of 32 bytes": lambda key: key.write_bytes(b"x" * 33),
    "not a regular file": lambda key: (key.unlink(), os.mkfifo(key, 0o600)),
    "Too many levels of symbolic links": lambda key: (key.rename(key.with_name("x")), key.symlink_to("x")),
}


@pytest.mark.parametrize("reason", BAD_KEYS)
def test_a_key_that_others_could_have_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: str) -> None:
    if "another user" in reason and os.geteuid() != 0:
        pytest.skip("only root gives files away")
    monkeypatch.setenv("NEARDUP_STATE", str(tmp_path))
    user_key()
    BAD_KEYS[reason](tmp_path / "key")
    with pytest.raises(BadInput, match=reason) as error:
        user_key()
    assert "\n" not in str(error.value)
