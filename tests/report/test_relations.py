"""Relations in the report: totals, filters and what is said of each image."""

import re

from neardup.report import Totals, write_report
from tests.duplicate_groups import group_of, member_of, save_photo
from tests.report.test_report import read


def test_each_relation_is_counted_and_said(tmp_path):
    keeper = member_of(save_photo(tmp_path / "first.jpg", seed=1))
    copy, edited, similar = (
        member_of(save_photo(tmp_path / f"{relation}.jpg", seed=1, size=(200, 150 + n)), 0.9, relation, change=change)
        for n, (relation, change) in enumerate((("copy", "cropped to 80 %"), ("edited", None), ("similar", None)))
    )
    written = member_of(edited.path, 0.9, "edited", change="<b>", shows_more="writing or other content on 3.0 %")
    unseen = member_of(save_photo(tmp_path / "unseen.jpg", seed=3), 0.9, None)
    report = tmp_path / "report.html"
    totals = write_report([group_of(keeper, copy, written, similar), group_of(keeper, unseen)], report)
    # What is merely similar is no duplicate, and what shows something else is not planned unless it is asked for.
    freed = sum(member.path.stat().st_blocks * 512 for member in (copy, unseen))
    assert totals == Totals(groups=2, images=6, copy=1, edited=1, similar=1, near=1, freed_bytes=freed)
    page, text = read(report), report.read_text()
    assert [template["data-kind"] for template in page.all("template")] == ["copy edited similar", "near"]
    buttons = [button["data-kind"] for button in page.all("button") if "data-kind" in button]
    assert buttons == ["all", "copy", "edited", "similar", "near"]
    assert page.texts["change"] == ["cropped to 80 %", "<b>"]
    assert page.texts["change only"] == ["Only here: writing or other content on 3.0 %"]
    assert re.findall(r"<dt>([a-z -]+)</dt>", text)[3:] == ["copies", "edited", "similar", "not looked at"]
