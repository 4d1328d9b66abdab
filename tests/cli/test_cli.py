"""The commands as a user types them, in processes of their own where that is the point."""

import csv
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from click.testing import CliRunner
from PIL import Image

from neardup.cli import COMMANDS, main
from neardup.embedding.export import export_model
from tests.conftest import TINY, TINY_SIZE, draw_photo, draw_scene, random_weights

MATCH_FIELDS = {"path", "label", "similarity", "jaccard", "tables", "relation", "change"}


@pytest.fixture
def neardup(tmp_path, monkeypatch):
    """Runs a command in a folder of its own; checks the exit code, and returns what it printed."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("NEARDUP"):
            monkeypatch.delenv(name)

    def run(*arguments, code=0, stdin=None):
        result = CliRunner().invoke(main, [str(a) for a in arguments], input=stdin)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert code is None or result.exit_code == code, result.output
        return result

    return run


@pytest.fixture
def indexed(neardup, photos, tiny_model):
    paths = photos(12, "photos/roses")
    neardup("index", "photos", "--model", tiny_model.folder, "--label-from-folder")
    return paths


def as_json(result):
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_index_prints_its_fields(neardup, photos, tiny_model):
    paths = photos(3)
    paths[0].write_bytes(b"no image")
    [report] = as_json(neardup("index", "photos", "--model", tiny_model.folder, "--format", "json"))
    assert report.keys() == {
        "indexed", "unchanged", "removed", "too_old", "failed", "passed_over", "away", "images", "seconds",
        "images_per_second",
    }  # fmt: skip
    assert (report["indexed"], report["images"]) == (2, 2)
    assert [failure["path"] for failure in report["failed"]] == [str(paths[0])]
    assert Path(".neardup").is_dir()


def test_index_says_what_it_passed_over(neardup, photos, tiny_model):
    photos(2)
    for name in ("1.cr2", "2.CR2", "1.dng", "2.dng", "a.jxl", "b.jxl", "logo.svg", "words.txt"):
        Path("photos", name).touch()
    options = ("--model", tiny_model.folder, "--exclude", "000*", "--exclude", "words")
    shown = neardup("index", "photos", *options)
    assert shown.stdout.splitlines()[1:] == [
        ".neardup holds 1 image.",
        "7 files passed over: 2 .cr2, 2 .dng, 2 .jxl, 1 .svg",
    ]
    [report] = as_json(neardup("index", "photos", *options, "--include", "*.svg", "--format", "json"))
    assert (report["passed_over"], report["removed"], report["images"]) == ({".svg": 1}, 1, 0)


def test_info_says_what_was_passed_over_and_where_roots_lie(neardup, photos, tiny_model, tmp_path):
    photos(2)
    photos(1, "disk", first=5)
    Path("photos", "1.svg").touch()
    neardup("index", "photos", "disk", "--model", tiny_model.folder)
    Path("disk").rename("away")
    [fields] = as_json(neardup("info", "--format", "json"))
    assert fields["passed_over"] == {".svg": 1}
    assert fields["roots"] == [
        {"path": str(tmp_path / "disk"), "images": 1, "there": False},
        {"path": str(tmp_path / "photos"), "images": 2, "there": True},
    ]
    assert neardup("info").stdout.splitlines()[-3:] == [
        "passed over      1 .svg",
        "roots            disk  1 image  (gone or empty)",
        "                 photos  2 images",
    ]
    [row] = csv.DictReader(neardup("info", "--format", "csv").stdout.splitlines())
    assert (row["roots"], row["passed_over"]) == ("2", "1")


def test_prune_needs_no_path_and_no_model(neardup, photos, tiny_model, tmp_path):
    photos(2)
    photos(1, "disk", first=5)
    neardup("index", "photos", "disk", "--model", tiny_model.folder)
    (tmp_path / "disk" / "005.jpg").unlink()
    shown = neardup("index", "disk", "--model", tiny_model.folder)
    assert f"Warning: {tmp_path}/disk: gone or empty, and 1 of its images stay in the index" in shown.stderr
    [report] = as_json(neardup("index", "--prune", "disk", "--format", "json"))
    assert (report["removed"], report["images"]) == (1, 2)
    assert "disk: nothing is recorded below it" in neardup("index", "--prune", "disk", code=1).stderr
    assert "PATH" in neardup("index", code=2).stderr
    [report] = as_json(neardup("index", "disk", "--model", tiny_model.folder, "--format", "json"))
    assert report["away"] == []


def test_the_advice_to_index_again_works_where_no_clock_tells(neardup, tiny_model, tmp_path):
    """What `dedup --apply` and `groups` find to hold other bytes is read by the next `index`, even if the file system
    gives neither ctimes nor inodes."""
    Path("photos").mkdir()
    draw_scene(1).save("photos/original.png")
    draw_scene(1).save("photos/copy.bmp")
    neardup("index", "photos", "--model", tiny_model.folder)
    for command in (["dedup", "--action", "delete", "--apply"], ["groups"]):
        draw = draw_scene(2 if command[0] == "dedup" else 3)
        times = Path("photos/copy.bmp").stat()
        draw.save("photos/copy.bmp")
        os.utime("photos/copy.bmp", ns=(times.st_atime_ns, times.st_mtime_ns))
        with closing(sqlite3.connect(".neardup/catalog.sqlite", isolation_level=None)) as connection:
            connection.execute("UPDATE images SET ctime_ns = 0, inode = 0")
            connection.execute("DELETE FROM links")
            connection.execute("DELETE FROM pixels")
        neardup(*command, *(["--min-similarity", -1] if command[0] == "dedup" else []), code=None)
        [report] = as_json(neardup("index", "photos", "--model", tiny_model.folder, "--format", "json"))
        assert (report["indexed"], report["unchanged"]) == (1, 1)


def test_query_finds_the_photo_first(neardup, indexed):
    [answer] = as_json(neardup("query", indexed[4], "--format", "json", "--top", 3))
    assert answer.keys() == {"query", "query_label", "error", "candidates", "matches"}
    assert answer["error"] is None
    assert answer["candidates"] >= 1
    first = answer["matches"][0]
    assert first.keys() == MATCH_FIELDS
    assert (first["path"], first["label"], first["jaccard"], first["tables"]) == (str(indexed[4]), "roses", 1.0, 8)
    assert first["similarity"] == pytest.approx(1, abs=1e-6)
    assert (first["relation"], first["change"]) == ("exact", "the same file")
    others = answer["matches"][1:]
    assert {match["relation"] for match in others} <= {"similar", "other"}
    assert {match["change"] for match in others} == {None}
    similarities = [match["similarity"] for match in others]
    assert similarities == sorted(similarities, reverse=True)


def test_query_takes_folders_stdin_and_several(neardup, indexed):
    answers = as_json(neardup("query", "photos", indexed[0], "--format", "json", "--top", 1))
    assert [answer["query"] for answer in answers] == [str(path) for path in [*indexed, indexed[0]]]
    assert all(answer["matches"][0]["path"] == answer["query"] for answer in answers)
    [answer] = as_json(neardup("query", "-", "--format", "json", stdin=indexed[3].read_bytes()))
    assert (answer["query"], answer["matches"][0]["path"]) == ("-", str(indexed[3]))


@pytest.mark.parametrize("how", [(), ("--exact",), ("--codes", 64), ("--min-similarity", "-1")])
def test_the_query_itself_takes_no_place(neardup, indexed, tiny_model, how):
    """In what a person reads; records hold as many as were asked for.

    Nor where other files are the same to the byte, whose paths come before its own.
    """
    for twin in ("!a", "!b"):
        shutil.copy(indexed[5], f"photos/{twin}.jpg")
    neardup("index", "photos", "--model", tiny_model.folder)
    [whole] = as_json(neardup("query", indexed[5], *how, "--top", 100, "--format", "json"))
    Path("asked.jpg").write_bytes(indexed[5].read_bytes())
    for top in (1, 3):
        [own, other] = as_json(neardup("query", indexed[5], "asked.jpg", *how, "--top", top, "--format", "json"))
        paths = [match["path"] for match in whole["matches"]]
        assert [match["path"] for match in own["matches"]] == paths[:top]
        assert len(other["matches"]) == top
        text = neardup("query", indexed[5], *how, "--top", top).stdout
        read = [path for path in paths if f"  {Path(path).relative_to(Path.cwd())}" in text]
        assert read == (paths[: top + 1] if str(indexed[5]) in paths[: top + 1] else paths[:top])


def test_exact_query_looks_at_everything(neardup, indexed):
    [answer] = as_json(neardup("query", indexed[0], "--exact", "--top", 10**12, "--format", "json"))
    assert answer["candidates"] == len(answer["matches"]) == 12


def test_text_says_how_many_candidates_and_marks_the_rest(neardup, indexed):
    shown = neardup("query", indexed[0], "--exact", "--min-similarity", "strict").stdout
    assert "Matches: 12 (candidates among 12 images)" in shown
    assert str(indexed[0].relative_to(Path.cwd())) in shown
    draw_photo(1000).save("other.png")
    assert neardup("query", indexed[0], indexed[1]).stderr.count("candidates: ") == 1
    found = neardup("query", "other.png", "--exact", "--min-similarity", "1")
    assert "candidates: " not in found.stderr
    lines = found.stdout.splitlines()
    assert lines[-1] == "  No image reaches the threshold of 1.000."


@pytest.fixture
def photo_server(photos):
    """Serves a folder of photos on this machine; gives its URL."""
    folder = photos(12, "served")[0].parent
    QuietHandler.asked.clear()
    handler = partial(QuietHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class QuietHandler(SimpleHTTPRequestHandler):
    asked: ClassVar[list[str]] = []

    def log_message(self, *arguments):
        self.asked.append(self.path)


def test_a_url_is_a_query(neardup, indexed, photo_server):
    url = f"{photo_server}/005.jpg"
    [answer] = as_json(neardup("query", url, "--allow-private", "--format", "json", "--plot", "url.png"))
    assert (answer["query"], answer["matches"][0]["path"]) == (url, str(indexed[5]))
    assert QuietHandler.asked == ["/005.jpg"]  # once, the picture of the result included
    [answer] = as_json(neardup("query", f"{photo_server}/none.jpg", "--allow-private", "--format", "json", code=1))
    assert "404" in answer["error"]
    [answer] = as_json(neardup("query", url, "--format", "json", code=1))
    assert "--allow-private" in answer["error"]


def test_an_unreadable_query_is_an_answer_with_an_error(neardup, indexed):
    Path("broken.jpg").write_bytes(b"broken")
    answers = as_json(neardup("query", "broken.jpg", indexed[0], "--format", "json"))
    assert answers[0]["error"]
    assert answers[0]["matches"] == []
    assert answers[1]["error"] is None
    assert as_json(neardup("query", "broken.jpg", "--format", "json", code=1))[0]["error"]


def test_a_folder_without_images_says_so(neardup, indexed):
    Path("empty").mkdir()
    assert "no images" in neardup("query", "empty", code=1).stderr


def test_matches_are_not_rounded(neardup, indexed):
    """Rounded, two that differ could look like a tie in the wrong order."""
    [answer] = as_json(neardup("query", indexed[0], "--exact", "--top", 12, "--format", "json"))
    assert all(match["jaccard"] == match["tables"] / (16 - match["tables"]) for match in answer["matches"])
    assert answer["matches"] == sorted(answer["matches"], key=lambda m: (-m["similarity"], -m["jaccard"], m["path"]))
    assert any(match["similarity"] != round(match["similarity"], 6) for match in answer["matches"])


def test_other_urls_are_no_paths(neardup, indexed):
    assert "only http" in neardup("query", "ftp://example.org/a.jpg", code=1).stderr


def test_csv_has_a_row_for_each_match(neardup, indexed):
    lines = neardup("query", indexed[0], "--format", "csv", "--exact").stdout.splitlines()
    assert lines[0] == "query,error,candidates,path,label,similarity,jaccard,tables,relation,change,query_label"
    assert len(lines) == 5


def test_compare_and_its_exit_codes(neardup, photos, tiny_model):
    a, b = photos(2)
    [same] = as_json(neardup("compare", a, a, "--model", tiny_model.folder, "--format", "json"))
    assert same.keys() == {"a", "b", "similarity", "l2", "duplicate", "threshold", "relation", "change"}
    assert (same["similarity"], same["l2"], same["duplicate"]) == (pytest.approx(1), pytest.approx(0, abs=1e-3), True)
    assert (same["relation"], same["change"]) == ("exact", "the same file")
    [other] = as_json(
        neardup("compare", a, b, "--model", tiny_model.folder, "--format", "json", "--min-similarity", "1")
    )
    assert other["l2"] == pytest.approx((2 - 2 * other["similarity"]) ** 0.5, abs=1e-6)
    options = ("--exit-code", "--model", tiny_model.folder, "--min-similarity", "0.999999")
    neardup("compare", a, a, *options, code=0)
    neardup("compare", a, b, *options, code=1)
    neardup("compare", a, "nowhere.jpg", *options, code=2)
    neardup("compare", a, "nowhere.jpg", "--model", tiny_model.folder, code=1)


def test_compare_looks_at_the_pictures_unless_told_not_to(neardup, tiny_model):
    """The cosine alone takes any two of these scenes for one at 0, and a mirrored one for another at 0.999."""
    scene = draw_scene(1)
    scene.save("a.png")
    scene.transpose(Image.Transpose.FLIP_LEFT_RIGHT).crop((0, 0, 400, 360)).save("b.png")
    draw_scene(2).save("c.png")
    options = ("--exit-code", "--model", tiny_model.folder, "--format", "json")
    [copy] = as_json(neardup("compare", "a.png", "b.png", *options))
    assert (copy["relation"], copy["duplicate"]) == ("copy", True)
    assert copy["change"] == "mirrored left to right, cropped to 83 %"
    assert copy["threshold"] == 0.95
    neardup("compare", "a.png", "b.png", *options, "--min-similarity", "0.9999", code=1)
    [other] = as_json(neardup("compare", "a.png", "c.png", *options, code=1))
    assert (other["duplicate"], other["change"]) == (False, None)
    assert other["relation"] == ("similar" if other["similarity"] >= 0.95 else "other")
    [taken] = as_json(neardup("compare", "a.png", "c.png", *options, "--min-similarity", "0"))
    assert (taken["duplicate"], taken["threshold"]) == (True, 0)
    shown = neardup("compare", "a.png", "b.png", "--model", tiny_model.folder).stdout
    assert "near-duplicates, copy: mirrored left to right, cropped to 83 % (threshold 0.950)" in shown


def test_a_picture_is_a_copy_of_itself_at_similarity_1(neardup, photos, tiny_model):
    for photo in photos(12):
        options = ("--model", tiny_model.folder, "--format", "json", "--min-similarity", "1")
        [same] = as_json(neardup("compare", photo, photo, *options))
        assert same["duplicate"] is True


@pytest.mark.parametrize("arguments", [("index", ""), ("query", ""), ("info", "--index", ""), ("compare", "a.jpg", "")])
def test_an_empty_argument_is_not_the_current_folder(neardup, arguments):
    assert "an argument is empty" in neardup(*arguments, code=2).stderr


def test_with_exit_code_a_result_that_cannot_be_written_is_2(photos, tiny_model):
    """1 would say that the images differ."""
    photo = photos(1)[0]
    command = [sys.executable, "-m", "neardup", "compare", photo, photo, "--exit-code", "--model", tiny_model.folder]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr


def test_with_exit_code_every_trouble_is_2(neardup, photos, tiny_model, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    [a] = photos(1)
    monkeypatch.setattr("neardup.jobs.compare.compare_with", interrupted)
    neardup("compare", a, a, "--exit-code", "--model", tiny_model.folder, code=2)


def test_an_uncalibrated_model_compares_by_a_guess_and_says_so(neardup, photos, tmp_path):
    export_model(tmp_path / "raw", "raw", TINY, random_weights(TINY), TINY_SIZE)
    [a] = photos(1)
    shown = neardup("compare", a, a, "--model", tmp_path / "raw", "--format", "json")
    assert as_json(shown)[0]["threshold"] == 0.9
    assert "guess" in shown.stderr


def test_info_of_an_index_and_of_none(neardup, indexed, tmp_path, tiny_model):
    [info] = as_json(neardup("info", "--format", "json"))
    assert {"images", "model", "engine", "dim", "tables", "bits", "size_bytes", "expected_recall"} <= info.keys()
    assert (info["images"], info["model"], info["engine"], info["dim"]) == (12, str(tiny_model.folder), "onnx", 32)
    assert info["expected_recall"] > 0.98
    assert "bucket" in neardup("info", "--buckets", 3).stdout
    members = [
        m
        for bucket in as_json(neardup("info", "--buckets", 3, "--format", "json"))[0]["buckets"]
        for m in bucket["images"]
    ]
    rows = list(csv.DictReader(neardup("info", "--buckets", 3, "--format", "csv").stdout.splitlines()))
    assert [(row["path"], row["label"]) for row in rows] == [(member["path"], "roses") for member in members]
    assert members

    (tmp_path / "empty").mkdir()
    [info] = as_json(neardup("info", "--index", "empty", "--format", "json"))
    assert (info["images"], info["model"], info["expected_recall"]) == (0, None, None)
    assert "neardup index" in neardup("info", "--index", "nowhere", code=1).stderr


def test_the_index_is_found_as_the_contract_says(neardup, indexed, monkeypatch, tmp_path):
    (tmp_path / "deep" / "down").mkdir(parents=True)
    monkeypatch.chdir("deep/down")
    assert as_json(neardup("info", "--format", "json"))[0]["images"] == 12  # the nearest above
    (tmp_path / "a").mkdir()
    monkeypatch.setenv("NEARDUP_INDEX", str(tmp_path / "a"))
    assert as_json(neardup("info", "--format", "json"))[0]["images"] == 0
    monkeypatch.setenv("NEARDUP_INFO_INDEX", str(tmp_path / ".neardup"))
    monkeypatch.setenv("NEARDUP_INFO_FORMAT", "json")
    assert as_json(neardup("info"))[0]["images"] == 12


@pytest.mark.parametrize(
    "command",
    [
        "index .", "index photos", "index -", "query a.jpg", "query a.jpg --index i", "info", "info --index i",
        "compare a.jpg b.jpg", "groups", "groups --output g.json", "dedup", "undo", "review", "explain a.jpg b.jpg",
        "evaluate .", "bench .", "models import x", "train . out",
    ],
)  # fmt: skip
def test_a_deleted_working_folder_is_one_line(neardup, tmp_path, monkeypatch, command):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    result = CliRunner().invoke(main, command.split(), input="a.jpg\n")
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code in (1, 2)
    assert result.stderr.splitlines()[-1].startswith("Error: ")


def test_whole_paths_work_from_a_deleted_folder(neardup, indexed, tiny_model, tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    index = ("--index", tmp_path / ".neardup")
    assert f"{indexed[0]}  [roses]" in neardup("query", indexed[0], *index).stdout
    assert "12" in neardup("info", *index).stdout
    shown = neardup("index", tmp_path / "photos", *index, "--model", tiny_model.folder)
    assert "12 unchanged" in shown.stdout


def test_paths_come_on_stdin(neardup, photos, tiny_model):
    paths = photos(4)
    paths[1] = paths[1].rename(paths[1].with_name("new\nline.jpg"))
    listed = b"\0".join(os.fsencode(path) for path in [*paths[:2], Path("missing.jpg")])
    options = ("--model", tiny_model.folder, "--format", "json")
    [report] = as_json(neardup("index", "-", "-0", *options, stdin=listed))
    assert (report["indexed"], len(report["failed"])) == (2, 1)
    [report] = as_json(neardup("index", "-", "photos", *options, stdin=f"{paths[0]}\n{paths[0]}\n"))
    assert (report["indexed"], report["unchanged"]) == (2, 2)


def test_nothing_could_be_read(neardup, photos, tiny_model):
    Path("broken").mkdir()
    Path("broken/a.jpg").write_bytes(b"no image")
    options = ("--model", tiny_model.folder, "--format", "json")
    assert len(as_json(neardup("index", "broken", *options, code=1))[0]["failed"]) == 1
    photos(1, "broken", first=7)
    shown = neardup("index", "broken", "--model", tiny_model.folder, "--format", "csv")
    assert shown.stdout.splitlines()[1].startswith("1,0,0,1,0,1,")
    assert "a.jpg" in shown.stderr
    assert as_json(neardup("index", "broken", *options))[0]["unchanged"] == 1


def test_a_closed_stdin_is_no_obstacle(neardup, indexed, tiny_model, monkeypatch):
    command = [sys.executable, "-m", "neardup", "query", str(indexed[0]), "--format", "json"]
    ended = subprocess.run(["sh", "-c", 'exec "$@" <&-', "sh", *command], capture_output=True, text=True, check=True)
    assert json.loads(ended.stdout)["matches"]
    ended = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", *command, "-"], capture_output=True, text=True, check=True
    )
    assert "closed" in json.loads(ended.stdout.splitlines()[1])["error"]
    command = [sys.executable, "-m", "neardup", "index", "-", "--model", str(tiny_model.folder)]
    ended = subprocess.run(["sh", "-c", 'exec "$@" <&-', "sh", *command], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)


def test_a_terminal_of_few_letters_is_no_obstacle(neardup, indexed, tiny_model):
    indexed[0].rename(indexed[0].with_name("日本.jpg"))
    neardup("index", "photos", "--model", tiny_model.folder)
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    for form in ("text", "csv"):
        command = [sys.executable, "-m", "neardup", "query", "photos", "--format", form, "--top", "1"]
        shown = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
        assert r"\u65e5\u672c.jpg" in shown


def test_a_list_may_hold_anything_that_find_prints(neardup, photos, tiny_model):
    paths = photos(3)
    Path("photos/notes.txt").write_text("no image")
    os.mkfifo("photos/pipe.jpg")
    listed = "\r\n".join(map(str, [Path("photos"), *paths, "photos/notes.txt", "photos/pipe.jpg", "photos/gone.jpg"]))
    [report] = as_json(neardup("index", "-", "--model", tiny_model.folder, "--format", "json", stdin=listed + "\r\n"))
    assert report["indexed"] == 3
    assert [Path(failure["path"]).name for failure in report["failed"]] == ["gone.jpg"]


@pytest.mark.parametrize(
    "command", ["info --format text", "info --format json", "info --format csv", "--help", "info -h"]
)
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_is_one_line(indexed, command, unbuffered):
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "neardup", *command.split()],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "free some space" in done.stderr


def test_closed_stdout_does_no_harm(indexed):
    done = subprocess.run(
        ["sh", "-c", '"$0" -m neardup info >&-', sys.executable], stderr=subprocess.PIPE, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_shutdown_commits_what_is_done(neardup, photos, tiny_model, tmp_path):
    photos(2000)
    process = subprocess.Popen(
        [sys.executable, "-m", "neardup", "index", "photos", "--model", str(tiny_model.folder)],
        cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while not (tmp_path / ".neardup" / "writer.txt").exists():
        assert process.poll() is None
        time.sleep(0.01)
    time.sleep(0.4)
    process.terminate()
    said = process.communicate()[1]
    if process.returncode == 0:
        pytest.skip("it was done before it was told to stop")
    assert "run the same command to go on" in said
    [info] = as_json(neardup("info", "--format", "json"))
    assert f"Interrupted: {info['images']} images" in said


def test_a_missing_path_is_an_error_and_removes_nothing(neardup, indexed, tiny_model):
    shown = neardup("index", "photos", "nowhere", "--model", tiny_model.folder, code=1)
    assert "nowhere" in shown.stderr
    assert as_json(neardup("info", "--format", "json"))[0]["images"] == 12


def test_another_model_is_refused_until_rebuild(neardup, indexed):
    assert "--rebuild" in neardup("index", "photos", code=1).stderr
    [report] = as_json(neardup("index", "photos", "--rebuild", "--format", "json"))
    assert (report["indexed"], report["images"]) == (12, 12)


def test_usage_errors_exit_with_2(neardup):
    neardup("index", code=2)
    neardup("train", ".", "--frozen-blocks", "1", code=2)
    neardup("query", "x", "--top", "0", code=2)
    neardup("nonsense", code=2)
    neardup("compare", "a", "b", "--min-similarity", "1.5", code=2)
    neardup("compare", "a", "b", "--min-similarity", "exact", code=2)


def test_paths_that_are_no_text_survive_json(neardup, tiny_model):
    name = b"\xff\xfe.png"
    draw_photo(1).save("plain.png")
    Path("photos").mkdir()
    Path("plain.png").rename(Path("photos") / os.fsdecode(name))
    neardup("index", "photos", "--model", tiny_model.folder)
    [answer] = as_json(neardup("query", "photos", "--format", "json"))
    assert os.fsencode(answer["matches"][0]["path"]).endswith(name)


def test_a_picture_of_the_result(neardup, indexed):
    neardup("query", indexed[0], "--plot", "result.png", "--top", 9, "--exact")
    with Image.open("result.png") as picture:
        assert picture.format == "PNG"
        assert picture.width > 1000
        assert picture.height > 500  # ten cells of six columns are two rows


def test_a_picture_that_cannot_be_written_is_refused_before_any_work(neardup, indexed):
    for name in ("nowhere/result.png", "result.jpg"):
        refused = neardup("query", indexed[0], "--plot", name, code=1)
        assert name in refused.stderr
        assert not refused.stdout


def test_the_query_on_stdin_is_in_the_picture(neardup, indexed):
    shutil.copy(indexed[0], "asked.jpg")  # indexed under another name
    neardup("query", "asked.jpg", "--top", 1, "--plot", "file.png")
    neardup("query", "-", "--top", 1, "--plot", "stdin.png", stdin=indexed[0].read_bytes())
    with Image.open("file.png") as file, Image.open("stdin.png") as stdin:
        # Above the caption both are the same.
        box = (0, 0, file.width, file.height * 3 // 4)
        assert file.crop(box).tobytes() == stdin.crop(box).tobytes()


def test_a_picture_survives_odd_names_and_many_matches(tmp_path, recwarn):
    from neardup.index import Match
    from neardup.jobs.query import Answer
    from neardup.output.figures.matches import MOST_ROWS, plot_answers
    from neardup.sources import ImageFile

    matches = tuple(
        Match(tmp_path / "日本$x^{\udcff.jpg", "label\udcff\n" * 50, 0.5, 0.1, 1, relation=relation)
        for relation in (None, "copy", "other")
    )
    queries = [(Answer(ImageFile(tmp_path / "q\udcff.jpg"), matches * 100), None)] * MOST_ROWS
    plot_answers(queries[:1], tmp_path / "one.png", threshold=0.9)
    with Image.open(tmp_path / "one.png") as picture:
        # Six rows of six cells, and the same for the others.
        assert picture.height * MOST_ROWS < 2**16
    assert not recwarn.list


def run_python(code, *options):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NEARDUP")}
    return subprocess.run(
        [sys.executable, *options, "-c", code], capture_output=True, text=True, check=True, env=environment
    )


def test_help_and_import_stay_light():
    heavy = "{'tensorflow', 'keras', 'matplotlib', 'onnx', 'onnxruntime', 'cv2', 'rich', 'PIL', 'numpy'}"
    code = f"import sys, neardup; print(sorted({heavy} & set(sys.modules)))"
    assert run_python(code).stdout.strip() == "[]"
    code = (
        "import sys\nfrom neardup.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        f"print(sorted({heavy} & set(sys.modules)), file=sys.stderr)"
    )
    shown = run_python(code)
    assert shown.stderr.strip() == "[]"
    assert all(command in shown.stdout for command in COMMANDS)


def test_what_finds_duplicates_never_imports_tensorflow(indexed, tiny_model, tmp_path):
    model = ("--model", str(tiny_model.folder))
    first, second = map(str, indexed[:2])
    for command in (
        ("index", "photos", *model),
        ("query", first),
        ("query", first, "--min-similarity", "0.5"),
        ("groups",),
        ("groups", "--min-similarity", "0.5"),
        ("dedup",),
        ("info",),
        ("compare", first, second, *model),
        ("explain", first, second, *model),
    ):
        heavy = {"tensorflow", "keras", "tensorflow_datasets", "matplotlib", "onnx"}
        if command[0] == "index" or "--min-similarity" in command:  # no picture is looked at
            heavy.add("cv2")
        code = (
            f"import sys, os\nos.chdir({str(tmp_path)!r})\nfrom neardup.cli import main\n"
            f"try:\n    main({command!r})\nexcept SystemExit as end:\n    assert end.code in (0, None), end.code\n"
            f"print('imported:', sorted({heavy!r} & set(sys.modules)), file=sys.stderr)"
        )
        assert run_python(code).stderr.splitlines()[-1] == "imported: []", command


def test_index_takes_sigterm_as_an_interrupt_and_gives_it_back(neardup, photos, tiny_model, monkeypatch):
    photos(1)
    during = []
    monkeypatch.setattr(
        "neardup.jobs.index.Indexer.run", lambda *arguments: during.append(signal.getsignal(signal.SIGTERM)) or 1 / 0
    )
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with pytest.raises(ZeroDivisionError):
            neardup("index", "photos", "--model", tiny_model.folder)
        assert during == [signal.default_int_handler]
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)


def test_nothing_is_left_in_the_home_folder(indexed, tmp_path):
    """ONNX Runtime would leave an identifier of the machine there, and report its use."""
    home = tmp_path / "home"
    home.mkdir()
    command = [sys.executable, "-m", "neardup", "query", str(indexed[0]), "--format", "json"]
    environment = {k: v for k, v in os.environ.items() if k not in ("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME")}
    subprocess.run(command, check=True, capture_output=True, env=environment | {"HOME": str(home)})
    assert list(home.rglob("*")) == []


def test_every_command_has_help_and_prints_json():
    for command in COMMANDS:
        shown = CliRunner().invoke(main, [command, "--help"])
        assert shown.exit_code == 0
        assert "Usage:" in shown.output
