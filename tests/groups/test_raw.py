"""A RAW file and the JPEG beside it, or anywhere, are no duplicates of each other; byte copies of a RAW are."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from neardup.actions.plan import make_plan
from neardup.groups import find_groups
from neardup.groups.members import DuplicateGroup
from tests.actions.a_collection import member_of, put
from tests.conftest import draw_scene
from tests.groups.a_gallery import index_files, save_gallery


@pytest.fixture
def gallery(tmp_path):
    """Two shots, each as RAW and JPEG side by side, a copy of the one JPEG elsewhere, and one of the one RAW. What a
    RAW file is, its name says: its pixels are those of the JPEG."""
    pictures = {f"{stem}.png": draw_scene(number) for number, stem in enumerate("ab")}
    folder = tmp_path / "photos"
    pngs = save_gallery(folder, pictures)
    for png in pngs:
        with png.open("ab") as file:  # other bytes
            file.write(b"raw")
        png.rename(png.with_suffix(".CR2"))
    jpegs = save_gallery(folder, {f"{stem}.jpg": pictures[f"{stem}.png"] for stem in "ab"})
    elsewhere = save_gallery(tmp_path / "export", {"small.jpg": pictures["a.png"].resize((240, 180))})
    shutil.copy(folder / "a.CR2", tmp_path / "export" / "backup.cr2")
    return [*(png.with_suffix(".CR2") for png in pngs), *jpegs, *elsewhere, tmp_path / "export" / "backup.cr2"]


@pytest.mark.parametrize("min_similarity", [None, 0.9])
def test_raw_files_are_grouped_with_raw_files_alone(tmp_path, gallery, min_similarity):
    embeddings = np.zeros((len(gallery), 16), np.float32)
    for row, path in zip(embeddings, gallery, strict=True):
        row[1 if path.stem == "b" else 0] = 1
    index = index_files(tmp_path / "index", gallery, embeddings)
    groups = list(find_groups(index, min_similarity=min_similarity))
    names = sorted(sorted(member.path.name for member in group.members) for group in groups)
    assert names == [["a.CR2", "backup.cr2"], ["a.jpg", "small.jpg"]]


@pytest.mark.parametrize(
    ("keeper", "member", "told", "goes"),
    [
        ("a.jpg", "a.nef", False, False),
        ("a.nef", "a.jpg", False, False),
        ("a.dng", "a.nef", False, False),
        ("a.nef", "b.nef", False, True),  # byte copies
        ("a.nef", "a.jpg", True, True),  # a person said so
    ],
)
def test_no_plan_lets_a_raw_file_go_for_its_preview_or_the_reverse(tmp_path, keeper, member, told, goes):
    same = goes and not told
    members = [member_of(put(tmp_path / name, b"bytes" if same else name.encode())) for name in (keeper, member)]
    group = DuplicateGroup((members[0], replace(members[1], relation="copy", told=told)))
    plan = make_plan([group], "trash")
    assert len(plan.steps) == goes
    assert goes or "RAW" in plan.kept[0].reason
