"""Which files count as images, in which order, and what is never opened."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from neardup.errors import BadInput, UnreadableImage
from neardup.images import files, find, find_images, read_file
from neardup.images.formats import HEAD_BYTES, format_of

PNG = bytes.fromhex("89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b55")
needs_no_root = pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")


def put(path: Path, content: bytes = PNG) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def found(root: Path, **options) -> list[str]:
    return [str(path.relative_to(root)) for path in find_images(root, **options)]


def test_known_extensions_and_nameless_images_are_found_in_the_order_of_their_bytes(tmp_path):
    for name in ["b.jpg", "B.JPG", "a/z.heic", "a.png", "ä.webp", "a/nested/deep/x.tiff", "nameless", "é/1.gif"]:
        put(tmp_path / name)
    for name in ["notes.txt", "movie.mp4", "archive.zip", "photo.jpg.part", "clip.fit", "raw.CR2"]:
        put(tmp_path / name, b"not an image at all")
    put(tmp_path / "LICENSE", b"Apache License")
    put(tmp_path / "empty", b"")
    assert found(tmp_path) == [
        "B.JPG", "a/nested/deep/x.tiff", "a/z.heic", "a.png", "b.jpg", "nameless", "ä.webp", "é/1.gif",
    ]  # fmt: skip


def test_a_shared_extension_counts_when_the_first_bytes_are_an_image(tmp_path):
    put(tmp_path / "sun.ras", b"\x59\xa6\x6a\x95" + bytes(60))
    put(tmp_path / "run.fit", b"\x0e\x10\xd9\x07.FIT")
    assert found(tmp_path) == ["sun.ras"]


def test_hidden_files_hidden_folders_and_the_index_folder_are_left_out(tmp_path):
    for name in [".hidden.jpg", ".neardup/a.jpg", ".git/b.png", "index/c.jpg", "photos/d.jpg"]:
        put(tmp_path / name)
    assert found(tmp_path, leave_out=tmp_path / "index") == ["photos/d.jpg"]
    assert found(tmp_path, leave_out=tmp_path / "absent") == ["index/c.jpg", "photos/d.jpg"]
    assert found(tmp_path / ".git") == ["b.png"]  # named by the user


@pytest.mark.parametrize("name", ["$RECYCLE.BIN", "#recycle", "@eaDir", "System Volume Information"])
def test_recycle_bins_are_left_out(tmp_path, name):
    """A file in one may be gone tomorrow: it must not be what a copy is removed for."""
    (tmp_path / name).mkdir()
    (tmp_path / name / "R1.jpg").touch()
    (tmp_path / "a.jpg").touch()
    assert list(find_images(tmp_path)) == [tmp_path / "a.jpg"]


def test_links_below_the_root_are_not_followed_and_a_linked_root_is(tmp_path):
    real = put(tmp_path / "photos" / "real.jpg")
    (tmp_path / "photos" / "loop").symlink_to(tmp_path / "photos")
    (tmp_path / "photos" / "copy.jpg").symlink_to(real)
    (tmp_path / "photos" / "dangling.jpg").symlink_to("nowhere")
    os.link(real, tmp_path / "photos" / "second.jpg")
    assert found(tmp_path / "photos") == ["real.jpg", "second.jpg"]
    (tmp_path / "link").symlink_to("photos")
    assert found(tmp_path / "link") == ["real.jpg", "second.jpg"]


def test_only_regular_files_are_opened(tmp_path, monkeypatch):
    put(tmp_path / "good.jpg")
    put(tmp_path / "folder.jpg" / "inner.png")
    os.mkfifo(tmp_path / "pipe.jpg")
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        monkeypatch.chdir(tmp_path)  # a socket's path must be short
        listener.bind("socket.jpg")
        opened = []
        monkeypatch.setattr(files.os, "open", lambda path, *rest: opened.append(path))
        assert found(tmp_path) == ["folder.jpg/inner.png", "good.jpg"]
    assert opened == []


def test_names_that_are_not_text_survive(tmp_path):
    odd = ["new\nline \"quoted\" 'twice'.jpg", os.fsdecode(b"latin-\xe9.jpg"), "trailing.", "x.jpeg"]
    for name in odd:
        put(tmp_path / name)
    assert sorted(found(tmp_path)) == sorted(odd)
    assert all(read_file(path) == PNG for path in find_images(tmp_path))


@needs_no_root
def test_what_cannot_be_looked_at_is_reported(tmp_path):
    put(tmp_path / "a.jpg")
    put(tmp_path / "closed" / "b.jpg")
    put(tmp_path / "nameless")
    (tmp_path / "closed").chmod(0)
    (tmp_path / "nameless").chmod(0)
    try:
        reported = []
        assert found(tmp_path, on_error=lambda path, error: reported.append((path.name, type(error)))) == ["a.jpg"]
        assert reported == [("closed", PermissionError), ("nameless", PermissionError)]
        with pytest.raises(BadInput, match=r"closed: Permission denied"):
            list(find_images(tmp_path))
        with pytest.raises(BadInput, match="Permission denied"):
            find_images(tmp_path / "closed")
    finally:
        (tmp_path / "closed").chmod(0o700)


def test_a_folder_that_fails_while_it_is_listed_is_reported(tmp_path, monkeypatch):
    put(tmp_path / "a.jpg")
    put(tmp_path / "bad" / "b.jpg")
    put(tmp_path / "c.jpg")
    real = os.scandir

    def scandir(path):
        if os.fsdecode(path).endswith("bad"):
            raise OSError(5, "Input/output error")
        return real(path)

    monkeypatch.setattr(find.os, "scandir", scandir)
    reported = []
    assert found(tmp_path, on_error=lambda path, error: reported.append(path)) == ["a.jpg", "c.jpg"]
    assert reported == [tmp_path / "bad"]


def test_a_file_as_root_is_offered_whatever_its_name(tmp_path):
    assert list(find_images(put(tmp_path / "scan.dat"))) == [tmp_path / "scan.dat"]


@pytest.mark.parametrize("name", ["missing", "pipe.jpg", "nul\0byte"])
def test_a_root_that_is_no_folder_and_no_file_is_an_error_at_once(tmp_path, name):
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(BadInput, match="give a folder or an image file"):
        find_images(tmp_path / name)


def test_the_walk_hands_out_files_before_it_has_seen_them_all(tmp_path):
    for number in range(20):
        put(tmp_path / f"{number:02}" / "a.jpg")
    walk = find_images(tmp_path)
    assert next(walk).parent.name == "00"
    put(tmp_path / "10" / "b.jpg")  # not listed yet
    assert sum(1 for _ in walk) == 20


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"\xff\xd8\xff\xe0", "JPEG"),
        (b"\xff\xd8", None),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "WEBP"),
        (b"RIFF\x10\0\0\0WAVEfmt ", None),
        (b"\0\0\0\x1cftypavif\0\0\0\0mif1miaf", "AVIF"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf", "AVIF"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "HEIF"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIF"),
        (b"\0\0\0\x20ftypisom\0\0\2\0isomiso2", None),
        (b"BM" + bytes(12) + b"\x28\0\0\0", "BMP"),
        (b"BMW owners' notes", None),
        (b"P6\n640 480\n255\n", "PPM"),
        (b"P1 is the first", None),
        (b"\0\0\1\0\1\0\x10\x10\0\0\1\0", "ICO"),
        (b"#!/bin/sh\n", None),
        (b"", None),
    ],
)
def test_formats_are_told_by_their_first_bytes(head, name):
    assert format_of(head[:HEAD_BYTES]) == name


def test_read_file_reads_all_and_refuses_the_rest(tmp_path, monkeypatch):
    content = os.urandom(300_000)
    path = put(tmp_path / "a.bin", content)
    assert read_file(path) == content
    assert read_file(put(tmp_path / "empty.jpg", b"")) == b""
    os.mkfifo(tmp_path / "pipe.jpg")
    monkeypatch.setattr(files, "MAX_FILE_BYTES", len(content) - 1)
    for refused, reason in [
        (path, "more than the 299999"),
        (tmp_path / "pipe.jpg", "not a regular file"),
        (tmp_path, "not a regular file"),
        (Path("/dev/zero"), "not a regular file"),
        (tmp_path / "missing.jpg", "the file is gone"),
    ]:
        with pytest.raises(UnreadableImage, match=reason):
            read_file(refused)


def test_finding_files_imports_no_decoder():
    code = "import sys, neardup.images.formats; print([m for m in sys.modules if m.startswith('pillow_heif')])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
