"""What the report says of losses and of when pictures were taken."""

from neardup.report import write_report
from tests.duplicate_groups import group_of, member_of
from tests.metadata.samples import EXIF_IFD, saved, with_exif, with_iptc
from tests.report.test_report import read


def test_losses_and_capture_dates_are_told(tmp_path):
    contents = {
        "keeper.jpg": saved("jpg"),
        "dated.jpg": with_exif({36867: "1987:05:01 10:00:00"}, EXIF_IFD)(),
        "told.jpg": with_iptc((120, "<b>Grandma</b>"))(),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "told.mov").write_bytes(b"a film")
    group = group_of(*(member_of(tmp_path / name) for name in contents))
    report = tmp_path / "report.html"
    write_report([group], report)
    page = read(report)
    assert sorted(page.texts["change lost"]) == [
        'Loses caption "<b>Grandma</b>"', "Loses date 1987-05-01 10:00:00",
    ]  # fmt: skip
    assert page.texts["change note"] == ["leaves told.mov behind"]
    assert report.read_text().count(">1987-05-01 10:00</span>") == 1
