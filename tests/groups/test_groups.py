"""Groups never chain, follow from the images alone, and honour policies, folders and verdicts."""

import hashlib
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from neardup.errors import BadInput
from neardup.groups import DuplicateGroup, FolderRule, find_groups
from neardup.groups import neighbours as module
from neardup.groups.keep import KeepPolicy
from neardup.index import Index, Model
from neardup.index.notes import Verdict, pair_of, record_verdicts

DIM = 16
MODEL = Model(name="tiny", digest="ab" * 32, engine="onnx", precision="float32", decoder="pillow", dim=DIM)
# cos 25 degrees: pictures up to 25 degrees apart are near.
NEAR_25 = math.cos(math.radians(25.0001))


@dataclass(frozen=True)
class Put:
    """An image to index: its embedding is at this angle in a plane, unless it is given."""

    path: str
    degrees: float = 0.0
    content: str | None = None  # the path's own, unless it is a byte copy
    width: int = 40
    height: int = 30
    margin: float = 0.0
    size_bytes: int = 1000
    mtime_ns: int = 0
    embedding: tuple[float, ...] | None = None

    @property
    def digest(self) -> bytes:
        return hashlib.sha256((self.content or self.path).encode()).digest()

    @property
    def vector(self) -> NDArray[np.float32]:
        if self.embedding is not None:
            return np.array(self.embedding, np.float32)
        vector = np.zeros(DIM, np.float32)
        vector[:2] = math.cos(math.radians(self.degrees)), math.sin(math.radians(self.degrees))
        return vector


def index_of(folder: Path, puts: Sequence[Put], commits: int = 1) -> Index:
    with Index.write(folder, MODEL) as writer:
        for count, put in enumerate(puts, 1):
            writer.add(
                Path(put.path),
                size_bytes=put.size_bytes,
                mtime_ns=put.mtime_ns,
                digest=put.digest,
                width=put.width,
                height=put.height,
                margin=put.margin,
                embedding=None if writer.content(put.digest) is not None else put.vector,
            )
            if count % max(1, len(puts) // commits) == 0:
                writer.commit()
    return Index.open(folder)


def names(groups: Iterator[DuplicateGroup]) -> list[list[str]]:
    return [[str(member.path) for member in group.members] for group in groups]


def unit_rows(n: int, seed: int) -> NDArray[np.float32]:
    rows = np.random.default_rng(seed).standard_normal((n, DIM))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def every_pair(embeddings: NDArray[np.float16], *, min_similarity: float, recall: float) -> Iterator[object]:
    """In place of the pairs that hashing finds: all, compared one by one."""
    values = embeddings.astype(np.float32)
    a, b = np.nonzero(np.triu(values @ values.T >= min_similarity, 1))
    yield a, b, np.zeros(len(a), np.float32)


def test_a_chain_is_no_group(tmp_path: Path) -> None:
    """b is near a and c, which are 41 degrees apart: whoever is kept decides who belongs to it."""
    chain = [Put("/a", 0), Put("/b", 20), Put("/c", 41)]
    index = index_of(tmp_path / "i", chain)
    by_path = KeepPolicy("path-order")
    assert names(find_groups(index, min_similarity=NEAR_25, keep=by_path)) == [["/a", "/b"]]
    larger_middle = [Put("/a", 0), Put("/b", 20, width=80), Put("/c", 41)]
    index = index_of(tmp_path / "j", larger_middle)
    [group] = find_groups(index, min_similarity=NEAR_25)
    assert [str(member.path) for member in group.members] == ["/b", "/a", "/c"]
    assert group.members[1].similarity == pytest.approx(math.cos(math.radians(20)), abs=1e-3)
    assert group.keeper.similarity == 1


def test_byte_copies_are_exact_and_need_no_likeness(tmp_path: Path) -> None:
    index = index_of(tmp_path / "i", [Put("/x/2", 0, "same"), Put("/1", 0, "same"), Put("/3", 90)])
    [group] = find_groups(index, min_similarity=1)
    assert [(str(m.path), m.relation, m.similarity) for m in group.members] == [
        ("/1", "exact", 1.0),
        ("/x/2", "exact", 1.0),
    ]


@pytest.mark.parametrize(
    ("order", "kept"),
    [
        ("best", "/wide.jpg"),
        ("largest", "/heavy.jpg"),
        ("oldest", "/old.jpg"),
        ("newest", "/new.jpg"),
        ("path-order", "/a.jpg"),
    ],
)
def test_keep_policies(tmp_path: Path, order: str, kept: str) -> None:
    puts = [
        Put("/a.jpg", 0, mtime_ns=50),
        Put("/wide.jpg", 1, width=60, mtime_ns=50),
        Put("/heavy.jpg", 2, size_bytes=9000, mtime_ns=50),
        Put("/old.jpg", 3, mtime_ns=1),
        Put("/new.jpg", 4, mtime_ns=99),
    ]
    index = index_of(tmp_path / "i", puts)
    [group] = find_groups(index, min_similarity=NEAR_25, keep=KeepPolicy(order))  # type: ignore[arg-type]
    assert str(group.keeper.path) == kept


def test_best_keeps_the_first_of_each_of_these(tmp_path: Path) -> None:
    """At the same resolution: lossless, then the least compressed for its format, older, shorter path, path."""
    falling = [
        Put("/z.png", 0, size_bytes=10),
        Put("/y.heic", 1, size_bytes=600),  # as good as 1200 bytes of JPEG
        Put("/x.jpg", 2, size_bytes=1000, mtime_ns=5),
        Put("/a/x.jpg", 3, size_bytes=1000, mtime_ns=6),
        Put("/b/x.jpg", 4, size_bytes=1000, mtime_ns=6),
        Put("/aa/x.jpg", 5, size_bytes=1000, mtime_ns=6),
        Put("/w.webp", 6, size_bytes=600),  # as good as 900
        Put("/v.gif", 7, size_bytes=9000),
    ]
    for first in range(len(falling) - 1):
        index = index_of(tmp_path / str(first), falling[first:][::-1])
        [group] = find_groups(index, min_similarity=NEAR_25)
        assert str(group.keeper.path) == falling[first].path


@pytest.mark.parametrize(
    ("margin", "kept"),
    [
        (0.31, "/plain.jpg"),  # the whole picture and a border around it, as measured: its true margin is 1/3
        (0.2, "/bordered.jpg"),  # within its border it shows 14 % more
    ],
)
def test_best_does_not_count_a_flat_margin(tmp_path: Path, margin: float, kept: str) -> None:
    puts = [
        Put("/plain.jpg", 0, width=1000, height=1000),
        Put("/bordered.jpg", 20, width=1500, height=1000, size_bytes=9000, margin=margin),
    ]
    [group] = find_groups(index_of(tmp_path / "i", puts), min_similarity=NEAR_25)
    assert str(group.keeper.path) == kept
    assert {member.path.name: round(member.margin, 6) for member in group.members} == {
        "plain.jpg": 0,
        "bordered.jpg": margin,
    }


@pytest.mark.parametrize("copy_margin", [0.19, 0.0])
def test_copies_that_are_framed_alike_share_their_margin(tmp_path: Path, copy_margin: float) -> None:
    """A compressed copy of a bordered scan has a little less of flat border, and none with a line written on it."""
    puts = [
        Put("/scan.png", 0, width=1560, height=1260, size_bytes=90_000, margin=0.2),
        Put("/copy.jpg", 5, width=1560, height=1260, margin=copy_margin),
        Put("/small.jpg", 6, width=1400, height=1130, margin=copy_margin),
    ]
    [group] = find_groups(index_of(tmp_path / "i", puts), min_similarity=NEAR_25)
    assert str(group.keeper.path) == "/scan.png"


def test_a_protected_folder_under_another_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a bind mount gives it, or a file system that takes capitals for small letters: one inode, two names."""
    safe, other = tmp_path / "safe", tmp_path / "SAFE"
    (safe / "2020").mkdir(parents=True)
    (other / "2020").mkdir(parents=True)
    plain_stat = Path.stat

    def stat(path: Path, **how: bool) -> os.stat_result:
        return plain_stat(Path(str(path).replace("SAFE", "safe")), **how)

    monkeypatch.setattr(Path, "stat", stat)
    keep = KeepPolicy(under=(safe,))
    assert keep.is_protected(other / "2020" / "x.jpg")
    assert not keep.is_protected(tmp_path / "x.jpg")
    puts = [Put("/big.jpg", 0, width=90), Put(str(other / "x.jpg"), 1)]
    [group] = find_groups(index_of(tmp_path / "i", puts), min_similarity=NEAR_25, keep=keep)
    assert group.keeper.path == other / "x.jpg"


def test_protected_folders_are_kept_first(tmp_path: Path) -> None:
    index = index_of(tmp_path / "i", [Put("/big.jpg", 0, width=90), Put("/safe/small.jpg", 1), Put("/safer/x.jpg", 50)])
    keep = KeepPolicy(under=(Path("/safe"),))
    assert names(find_groups(index, min_similarity=NEAR_25, keep=keep)) == [["/safe/small.jpg", "/big.jpg"]]
    assert keep.is_protected(Path("/safe/small.jpg"))
    assert not keep.is_protected(Path("/safer/x.jpg"))


def test_a_protected_folder_reached_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    for named, indexed in (("link", "real"), ("real", "link")):
        assert KeepPolicy(under=(tmp_path / named,)).is_protected(tmp_path / indexed / "x.jpg")


PUTS_IN_FOLDERS = [Put("/a/1", 0, width=90), Put("/a/2", 2), Put("/b/1", 4), Put("/b/2", 6), Put("/c/1", 8)]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (None, [["/a/1", "/a/2", "/b/1", "/b/2", "/c/1"]]),
        (FolderRule("within"), [["/a/1", "/a/2"], ["/b/1", "/b/2"]]),
        (FolderRule("across"), [["/a/2", "/b/1", "/b/2", "/c/1"]]),  # /a/2 resembles them more than /a/1 does
        (FolderRule("within", (Path("/b"), Path("/c"))), [["/b/1", "/b/2"]]),
        (FolderRule("across", (Path("/b"), Path("/c"))), [["/b/2", "/c/1"]]),
        (FolderRule("across", (Path("/"), Path("/c"))), [["/b/2", "/c/1"]]),
    ],
)
def test_folder_rules(tmp_path: Path, rule: FolderRule | None, expected: list[list[str]]) -> None:
    index = index_of(tmp_path / "i", PUTS_IN_FOLDERS)
    assert names(find_groups(index, min_similarity=NEAR_25, folders=rule)) == expected


def test_folder_rules_hold_for_byte_copies(tmp_path: Path) -> None:
    puts = [Put(f"/{folder}/{number}", 0, "same") for folder in "ab" for number in range(3)]
    index = index_of(tmp_path / "i", puts)
    within = names(find_groups(index, min_similarity=1, folders=FolderRule("within")))
    assert within == [["/a/0", "/a/1", "/a/2"], ["/b/0", "/b/1", "/b/2"]]
    across = names(find_groups(index, min_similarity=1, folders=FolderRule("across")))
    assert across == [["/a/0", "/b/0", "/b/1", "/b/2"]]


def told(*pairs: tuple[str, str, Verdict]) -> dict[tuple[bytes, bytes], Verdict]:
    return {pair_of(Put(a).digest, Put(b).digest): verdict for a, b, verdict in pairs}


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ([], [["/a", "/b", "/c"]]),
        ([("/a", "/b", "later")], [["/a", "/b", "/c"]]),
        ([("/a", "/b", "not")], [["/b", "/c"]]),  # /c resembles /b more
        ([("/a", "/b", "not"), ("/b", "/c", "not")], [["/a", "/c"]]),
        ([("/b", "/c", "not")], [["/a", "/b"]]),  # two members, both near the keeper
        ([("/a", "/far", "duplicate")], [["/a", "/b", "/c", "/far"]]),
        ([("/b", "/far", "duplicate")], [["/a", "/b", "/c", "/far"]]),  # joined to a member
        ([("/far", "/alone", "duplicate")], [["/a", "/b", "/c"], ["/far", "/alone"]]),
        ([("/b", "/far", "duplicate"), ("/a", "/far", "not")], [["/b", "/c", "/far"]]),
        ([("/b", "/far", "duplicate"), ("/b", "/c", "duplicate"), ("/far", "/c", "not")], None),
        ([("/a", "/b", "not"), ("/a", "/c", "not"), ("/b", "/c", "not")], []),
    ],
)
def test_verdicts(tmp_path: Path, verdicts: list[tuple[str, str, Verdict]], expected: list[list[str]] | None) -> None:
    index = index_of(tmp_path / "i", [Put("/a", 0), Put("/b", 2), Put("/c", 4), Put("/far", 90), Put("/alone", 180)])
    found = names(find_groups(index, min_similarity=NEAR_25, verdicts=told(*verdicts)))
    if expected is not None:
        assert found == expected
    for a, b, verdict in verdicts:
        if verdict == "not":
            assert not any({a, b} <= set(group) for group in found)


def test_verdicts_are_read_from_the_index_and_survive_a_move(tmp_path: Path) -> None:
    index_of(tmp_path / "i", [Put("/a", 0), Put("/b", 2)])
    record_verdicts(tmp_path / "i", told(("/a", "/b", "not")))
    assert names(find_groups(Index.open(tmp_path / "i"), min_similarity=NEAR_25)) == []
    moved = index_of(tmp_path / "i", [Put("/elsewhere/b", 2, "/b")])
    assert names(find_groups(moved, min_similarity=NEAR_25)) == [["/b", "/elsewhere/b"]]


def reference(puts: Sequence[Put], threshold: float) -> list[list[str]]:
    """What `neardup.groups.assign` says, by the cosine alone, image by image."""
    vectors = {put.digest: put.vector.astype(np.float16).astype(np.float64) for put in puts}
    vectors = {digest: vector / np.linalg.norm(vector) for digest, vector in vectors.items()}
    groups: list[list[tuple[float, Put]]] = []
    for put in sorted(puts, key=lambda put: (-put.width, put.path)):
        near = [
            (
                1.0 if put.digest == keeper.digest else round(float(vectors[put.digest] @ vectors[keeper.digest]), 6),
                group,
            )
            for group in groups
            for keeper in [group[0][1]]
        ]
        similarity, best = max(near, key=lambda candidate: candidate[0], default=(-2.0, []))
        if similarity >= threshold:
            best.append((similarity, put))
        else:
            groups.append([(2.0, put)])
    ordered = [sorted(group, key=lambda member: (-member[0], member[1].path)) for group in groups if len(group) > 1]
    return sorted([put.path for _, put in group] for group in ordered)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), threshold=st.sampled_from([0.0, 0.3, 0.6, 0.9]))
def test_groups_are_those_of_the_plain_rule(
    tmp_path_factory: pytest.TempPathFactory, seed: int, threshold: float
) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(2, 30))
    base = unit_rows(4, seed)
    puts = []
    for number in range(count):
        row = base[rng.integers(4)] + rng.uniform(0, 0.5) * unit_rows(1, seed + number)[0]
        content = int(rng.integers(count))
        known = next((put.embedding for put in puts if put.content == f"c{content}"), None)
        embedding = known or tuple((row / np.linalg.norm(row)).tolist())
        puts.append(Put(f"/{number:02d}.jpg", content=f"c{content}", width=content % 3 + 1, embedding=embedding))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "find_pairs", every_pair)
        index = index_of(tmp_path_factory.mktemp("i") / "i", puts)
        assert names(find_groups(index, min_similarity=threshold)) == reference(puts, threshold)


def test_the_order_of_files_changes_nothing(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    base = unit_rows(300, 1)
    copies = base[:120] + 0.15 * unit_rows(120, 2)
    copies /= np.linalg.norm(copies, axis=1, keepdims=True)
    puts = [
        Put(f"/{number:03d}.jpg", embedding=tuple(row.tolist()), width=int(rng.integers(1, 3)))
        for number, row in enumerate(np.concatenate([base, copies]))
    ]
    found = []
    for attempt in range(3):
        order = np.random.default_rng(attempt).permutation(len(puts))
        index = index_of(tmp_path / str(attempt), [puts[i] for i in order], commits=attempt + 1)
        found.append(list(find_groups(index, min_similarity=0.85)))
    assert found[0] == found[1] == found[2]
    paired = {frozenset(str(member.path) for member in group.members) for group in found[0]}
    together = sum(any({f"/{i:03d}.jpg", f"/{300 + i:03d}.jpg"} <= group for group in paired) for i in range(120))
    assert together >= 118  # recall 0.99 or more at the threshold, these are far above it
    for group in found[0]:
        assert all(member.similarity >= 0.85 for member in group.members)


def test_a_crowd_goes_to_the_keeper_by_policy_not_to_whom_the_pairs_lead(tmp_path: Path) -> None:
    """Of a crowd, the pairs name one representative; the best image takes all that resemble it, and no others."""
    rng = np.random.default_rng(5)
    centre = unit_rows(1, 1)[0]
    rows = centre + 0.1 * unit_rows(400, 6)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    best = int(rng.integers(400))
    puts = [
        Put(f"/{n:03d}.jpg", embedding=tuple(row.tolist()), width=9 if n == best else 4) for n, row in enumerate(rows)
    ]
    index = index_of(tmp_path / "i", puts)
    found = list(find_groups(index, min_similarity=0.97))
    group = next(group for group in found if str(group.keeper.path) == f"/{best:03d}.jpg")
    stored = np.array(rows, np.float16).astype(np.float64)
    stored /= np.linalg.norm(stored, axis=1, keepdims=True)
    near = np.flatnonzero(stored @ stored[best] >= 0.97)
    assert len(near) > 100
    assert len(group.members) >= 0.99 * len(near)
    assert all(member.similarity >= 0.97 for member in group.members)


def save(path: Path, image: Image.Image, **how: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **how)


def relations_of(folder: Path, paths: Sequence[Path], sizes: tuple[int, int]) -> dict[str, str]:
    with Index.write(folder, MODEL) as writer:
        for path in paths:
            content = path.read_bytes()
            writer.add(
                path, size_bytes=len(content), mtime_ns=path.stat().st_mtime_ns,
                digest=hashlib.sha256(content).digest(), width=sizes[0], height=sizes[1],
                embedding=Put("/", 0).vector,
            )  # fmt: skip
    index = Index.open(folder)
    [group] = find_groups(index, min_similarity=0.9, keep=KeepPolicy("path-order"))
    return {member.path.name: member.relation for member in group.members}


def test_the_same_pixels_are_exact(tmp_path: Path) -> None:
    """Other metadata or another container, and the same picture; not where frames, depth or colours are more."""
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (24, 32, 3), np.uint8))
    home = tmp_path / "photos"
    save(home / "0.png", image)
    save(home / "bmp.bmp", image)
    exif = Image.Exif()
    exif[306] = "2020:01:02 03:04:05"
    save(home / "dated.png", image, exif=exif)
    other = image.copy()
    other.putpixel((0, 0), (1, 2, 3))
    save(home / "one_pixel.png", other)
    save(home / "film.png", image, save_all=True, append_images=[other])
    save(home / "clear.png", image.convert("RGBA"))
    save(home / "profile.png", image, icc_profile=b"not a profile, and not the same")
    found = relations_of(tmp_path / "i", sorted(home.iterdir()), image.size)
    exact = {name for name, relation in found.items() if relation == "exact"}
    assert exact == {"0.png", "bmp.bmp", "dated.png"}
    assert len(found) == 7


def test_pixels_are_compared_once(tmp_path: Path) -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (24, 32, 3), np.uint8))
    save(tmp_path / "p" / "a.png", image)
    save(tmp_path / "p" / "b.bmp", image)
    paths = sorted((tmp_path / "p").iterdir())
    assert relations_of(tmp_path / "i", paths, image.size) == {"a.png": "exact", "b.bmp": "exact"}
    for path in paths:
        path.unlink()
    [group] = find_groups(Index.open(tmp_path / "i"), min_similarity=0.9)
    assert [member.relation for member in group.members] == ["exact", "exact"]


def test_a_writer_at_work_is_in_nobodys_way(tmp_path: Path) -> None:
    """Then what was found of the pixels is not kept, and found anew the next time."""
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (24, 32, 3), np.uint8))
    save(tmp_path / "p" / "a.png", image)
    save(tmp_path / "p" / "b.bmp", image)
    puts = sorted((tmp_path / "p").iterdir())
    with Index.write(tmp_path / "i", MODEL) as writer:
        for path in puts:
            digest = hashlib.sha256(path.read_bytes()).digest()
            writer.add(path, size_bytes=1, mtime_ns=1, digest=digest, width=32, height=24, embedding=Put("/").vector)
        writer.commit()
        for _ in range(2):
            [group] = find_groups(Index.open(tmp_path / "i"), min_similarity=0.9)
            assert [member.relation for member in group.members] == ["exact", "exact"]


def test_files_that_changed_or_went_are_not_said_to_be_anything(tmp_path: Path) -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (24, 32, 3), np.uint8))
    for name in ("a.png", "b.bmp", "c.tif"):
        save(tmp_path / "p" / name, image)
    paths = sorted((tmp_path / "p").iterdir())
    with Index.write(tmp_path / "i", MODEL) as writer:
        for number, path in enumerate(paths):
            digest = hashlib.sha256(path.read_bytes()).digest() if number else b"x" * 32
            writer.add(
                path, size_bytes=1, mtime_ns=1, digest=digest, width=32, height=24, embedding=Put("/").vector
            )  # fmt: skip
    paths[2].unlink()
    [group] = find_groups(Index.open(tmp_path / "i"), min_similarity=0.9, keep=KeepPolicy("path-order"))
    assert [member.relation for member in group.members] == ["exact", None, None]


def test_an_empty_index_has_no_groups(tmp_path: Path) -> None:
    assert list(find_groups(index_of(tmp_path / "i", []), min_similarity=0.9)) == []
    assert list(find_groups(index_of(tmp_path / "i", [Put("/a")]), min_similarity=-1)) == []


def test_a_similarity_out_of_range(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="between -1 and 1"):
        list(find_groups(index_of(tmp_path / "i", [Put("/a")]), min_similarity=1.5))
