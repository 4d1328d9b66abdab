"""Strangers' names, indexes and machines at the command line: one line each, and nothing raw on a terminal."""

import csv
import io
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import warnings
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neardup.cli import main
from neardup.index import catalog
from neardup.jobs.index import index_images
from tests.conftest import draw_photo

# What redraws a terminal, ends a line, turns the writing round, or is no text at all.
NASTY = (
    "a\x1b]0;owned\x07\x1b[2Jb",
    "a\nb",
    "a\rb",
    "a\u202egpj.b",
    "a\u2066b\u2069",
    "a\x9b31mb",
    "a\udcffb",
    "a\x7fb",
)
FORBIDDEN = [
    chr(c) for c in [*range(10), *range(11, 32), *range(127, 160), *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
]


def run(*arguments, **options):
    return CliRunner().invoke(main, [os.fsdecode(argument) for argument in arguments], **options)


def in_one_line(result):
    assert not result.exception or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    return result


@pytest.fixture(scope="module")
def collection(tmp_path_factory, tiny_model) -> Path:
    """An index beside folders and files of nasty names, in pairs of copies, with labels."""
    home = tmp_path_factory.mktemp("home")
    for number, name in enumerate(NASTY):
        folder = home / "photos" / name
        folder.mkdir(parents=True)
        draw_photo(number).save(folder / f"{name}.jpg", "JPEG", quality=90)
        draw_photo(number).save(folder / f"{name} 2.jpg", "JPEG", quality=60)
    (home / "photos" / "broken\x1b[2J.jpg").write_bytes(b"broken")
    index_images([home / "photos"], home / "index", model=str(tiny_model.folder), label_from_folder=True)
    return home


COMMANDS = (
    ("groups",),
    ("groups", "--min-similarity", "0.5"),
    ("dedup",),
    ("dedup", "--edited", "--action", "trash"),
    ("info", "--buckets", "5"),
    ("query", "--min-similarity", "0", "PHOTOS", "http://[a\x1b[2J/"),
    ("index", "PHOTOS", "--model", "MODEL"),
)


@pytest.mark.parametrize("format", ["text", "csv", "json"])
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command[:2]))
def test_nothing_reaches_a_terminal_raw(collection, tiny_model, tmp_path, command, format):
    words = {"PHOTOS": str(collection / "photos"), "MODEL": str(tiny_model.folder)}
    index = tmp_path / "index" if command[0] == "index" else collection / "index"
    result = in_one_line(run(*(words.get(word, word) for word in command), "--index", index, "--format", format))
    raw = [hex(ord(c)) for c in FORBIDDEN if c in result.output]
    assert not raw
    if format == "csv":
        assert list(csv.reader(io.StringIO(result.stdout)))


@pytest.mark.parametrize("name", NASTY)
def test_json_leads_to_the_very_file(collection, name):
    lines = in_one_line(run("groups", "--index", collection / "index", "--format", "json", "--min-similarity", "0.9"))
    paths = {image["path"] for line in lines.stdout.splitlines() for image in json.loads(line)["images"]}
    assert any(Path(path).exists() and Path(path).parent.name == name for path in paths)


# What may stand where a name is expected.
ODD = ("a" * 300, "/" + "a" * 5000, "a\udcff", "\udcff/x", "a\x1b[2J", "~", "..", "a/" * 3000)
PLACES = (
    ("index", "PHOTOS", "--model", "IT", "--index", "NEW"),
    ("index", "IT", "--index", "NEW"),
    ("index", "tfds:IT", "--index", "NEW"),
    ("index", "PHOTOS", "--index", "IT"),
    ("query", "IT"),
    ("query", "http://IT/"),
    ("compare", "IT", "IT"),
    ("explain", "IT", "IT", "--index", "IT"),
    ("compare", "PHOTO", "PHOTO", "--model", "IT"),
    ("groups", "--output", "IT.json"),
    ("groups", "--keep-under", "IT"),
    ("dedup", "--plan", "IT"),
    ("dedup", "--action", "move", "--to", "IT"),
    ("info", "--index", "IT"),
    ("undo", "--index", "IT"),
    ("models", "verify", "IT"),
    ("models", "download", "IT"),
    ("models", "import", "IT"),
    ("groups", "--min-similarity", "IT"),
    ("IT",),
    ("info", "--IT"),
)


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: ascii(odd[:12]))
@pytest.mark.parametrize("place", PLACES, ids=" ".join)
def test_an_odd_name_is_a_line(collection, tmp_path, monkeypatch, place, odd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NEARDUP_INDEX", str(collection / "index"))
    photo = next((collection / "photos").rglob("*2.jpg"))
    words = {"PHOTOS": str(photo.parent), "PHOTO": str(photo), "NEW": str(tmp_path / "new")}
    result = in_one_line(run(*(words.get(word, word.replace("IT", odd)) for word in place)))
    assert not any(c in result.output for c in FORBIDDEN)


def columns() -> dict[str, list[str]]:
    """By table, those that SQLite makes included."""
    with closing(sqlite3.connect(":memory:")) as connection:
        for statement in catalog.SCHEMA.values():
            connection.execute(statement)
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {table: [row[1] for row in connection.execute(f"PRAGMA table_info({table})")] for table in tables}


COLUMNS = columns()
VALUES = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from([0, 1, -1, 2**31, 2**62, 2**63 - 1, "", "[" * 50_000, "{}", b"", b"\0", b"\xff" * 32, None]),
    st.floats(),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    st.binary(max_size=600),
)
CHANGES = st.sampled_from([(table, column) for table, columns in COLUMNS.items() for column in columns])


@pytest.fixture(scope="module")
def noted(collection, tmp_path_factory, tiny_model) -> Path:
    """An index with something in every table."""
    folder = shutil.copytree(collection / "index", tmp_path_factory.mktemp("noted") / "index")
    run("groups", "--index", folder)
    with closing(sqlite3.connect(folder / "catalog.sqlite", isolation_level=None)) as connection:
        digests = [row[0] for row in connection.execute("SELECT digest FROM contents ORDER BY digest LIMIT 2")]
        connection.execute("INSERT OR REPLACE INTO verdicts VALUES (?, ?, 'later')", digests)
        connection.execute("INSERT OR REPLACE INTO pixels VALUES (?, ?)", (digests[0], digests[1]))
        connection.execute("INSERT OR REPLACE INTO links VALUES (?, ?, 1, '{}')", digests)
        blob = np.ones(tiny_model.dim, "<f2").tobytes()
        connection.execute("INSERT OR REPLACE INTO parts SELECT id, ? FROM contents", (blob,))
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return folder


@settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(change=CHANGES, value=VALUES, one=st.booleans())
def test_odd_values_in_a_catalogue_are_a_line(noted, collection, tiny_model, change, value, one):
    table, column = change
    photo = next((collection / "photos").rglob("*2.jpg"))
    folder = shutil.copytree(noted, noted.parent / "changed", dirs_exist_ok=True)
    try:
        with closing(sqlite3.connect(folder / "catalog.sqlite", isolation_level=None)) as connection:
            where = f" WHERE rowid = (SELECT rowid FROM {table} LIMIT 1)" if one and table in ROWIDS else ""
            try:
                connection.execute(f"UPDATE OR IGNORE {table} SET {column} = ?{where}", (value,))
            except sqlite3.Error:  # SQLite itself does not take it
                return
        for command in (
            ("info", "--buckets", "3"),
            ("query", photo, "--min-similarity", "0"),
            ("groups",),
            ("groups", "--min-similarity", "0.5"),
            ("index", photo, "--model", tiny_model.folder),
        ):
            in_one_line(run(*command, "--index", folder))
    finally:
        shutil.rmtree(folder)


ROWIDS = ("contents", "dead", "segments", "parts", "sqlite_sequence")


def damage_rows(folder: Path, rows: slice, numbers: int) -> None:
    """numbers: the 16 bits of each"""
    [path] = (folder / "segments").glob("*/embeddings.npy")
    array = np.load(path)
    array.view(np.uint16)[rows] = numbers
    np.save(path, array)


@pytest.mark.parametrize("numbers", [0x7E00, 0x7D01, 0x7C00, 0], ids=["NaN", "signalling NaN", "infinite", "zero"])
@pytest.mark.parametrize("how", [(), ("--min-similarity", "-1"), ("--min-similarity", "0.5")])
def test_damaged_rows_are_said_and_the_others_grouped(collection, tmp_path, numbers, how):
    folder = shutil.copytree(collection / "index", tmp_path / "index")
    damage_rows(folder, slice(0, 2), numbers)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ran = in_one_line(run("groups", "--index", folder, "--format", "json", *how))
    assert ran.exit_code == 0
    assert "the embeddings of 2 images are damaged, and in no group: /" in ran.stderr
    assert ran.stdout.count('"group"') >= 1


CUT_SHORT = """
import os, pathlib, sys
import numpy as np
from neardup import Index, NeardupError, find_groups
folder, uses = pathlib.Path(sys.argv[1]), {
    "query": lambda index: index.query(np.eye(index.model.dim, dtype=np.float32)[0]),
    "list": list,
    "groups": lambda index: list(find_groups(index)),
    "buckets": lambda index: index.buckets(3),
}
for name in ("embeddings.npy", "contents.npy", "signatures.npy", "rows.npy"):
    for use, call in uses.items():
        child = os.fork()
        if not child:
            index = Index.open(folder)
            [path] = (folder / "segments").glob(f"*/{name}")
            content = path.read_bytes()
            os.truncate(path, 0)
            try:
                call(index)
            except NeardupError as error:
                print(name, use, error, flush=True)
            finally:
                path.write_bytes(content)
            os._exit(0)
        print(name, use, "ended", os.waitpid(child, 0)[1], flush=True)
        if os.path.getsize(next((folder / "segments").glob(f"*/{name}"))) == 0:
            sys.exit("it was killed")
"""


def test_a_segment_cut_short_under_a_reader_does_not_kill_it(collection, tmp_path):
    """Each file, under each use of an index, in a process of its own."""
    folder = shutil.copytree(collection / "index", tmp_path / "index")
    ran = subprocess.run([sys.executable, "-c", CUT_SHORT, str(folder)], capture_output=True, text=True, timeout=240)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.count("was cut short while it was open") == ran.stdout.count("ended 0") == 16


def test_no_temporary_folder_is_a_line(collection, tmp_path):
    """Of the system's places for such, none can be written to."""
    program = (
        "import tempfile\nfrom neardup.scratch import temporary_folder\nfrom neardup.errors import BadInput\n"
        "tempfile._candidate_tempdir_list = lambda: ['/nowhere']\n"
        "try:\n    with temporary_folder():\n        pass\nexcept BadInput as error:\n    print(error)\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert "set TMPDIR to one with room" in ran.stdout


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv, for root may write everything")
def test_an_index_that_was_read_only_once_is_written_again(collection, tmp_path, tiny_model):
    folder = shutil.copytree(collection / "index", tmp_path / "index")
    (tmp_path / "more").mkdir()
    draw_photo(99).save(tmp_path / "more" / "99.jpg")
    as_user = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", sys.executable, "-m", "neardup"]

    def ran(*arguments):
        return subprocess.run([*as_user, *map(str, arguments)], capture_output=True, text=True, timeout=120)

    adding = ("index", tmp_path / "more", "--index", folder, "--model", tiny_model.folder)
    (folder / "catalog.sqlite").chmod(0o444)
    assert ran("info", "--index", folder).returncode == 0
    refused = ran(*adding)
    assert "catalog.sqlite: read only; make it writable" in refused.stderr
    (folder / "catalog.sqlite").chmod(0o644)
    added = ran(*adding)
    assert "Indexed 1 image" in added.stdout, added.stderr
