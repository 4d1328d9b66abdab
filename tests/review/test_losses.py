"""What would go with each image, for the one that stays."""

from tests.metadata.samples import xmp_of
from tests.review.test_security import ask as ask


def test_losses_are_told_against_the_image_that_stays(ask, client):
    member = client.review.groups[2].members[1]  # of three byte copies
    beside = member.path.with_name(f"{member.path.name}.xmp")
    date = "<xmp:CreateDate>1987-05-01T10:00:00</xmp:CreateDate>"
    beside.write_bytes(xmp_of(f"{date}<xmp:Label><![CDATA[<b>]]></xmp:Label><xmp:Rating>4</xmp:Rating>"))
    told = ask("/api/groups/2/losses").json
    assert (told["group"], told["keeper"]) == (2, 0)
    assert told["images"][1] == {
        "taken": "1987-05-01 10:00:00",
        "lost": ["date 1987-05-01 10:00:00", "rating 4", "other XMP (xmp:Label)"],
        "notes": [f"takes {beside.name} along"],
    }
    assert told["images"][0] == {"taken": None, "lost": [], "notes": []}
    ask("/api/keep-only", {"group": 2, "member": 1})
    told = ask("/api/groups/2/losses").json
    assert told["keeper"] == 1
    assert [image["lost"] for image in told["images"]] == [[], [], []]
    assert ask("/api/groups/9/losses").status_code == 404


def test_files_that_are_gone_are_told_as_such(ask, client):
    for member in client.review.groups[0].members:
        member.path.unlink()
    told = ask("/api/groups/0/losses").json
    assert all("its metadata cannot be read" in image["lost"] for image in told["images"][1:])
