"""XMP that anyone may have written, and sidecars that are added to."""

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neardup.metadata import Carried, Metadata, carried, losses, merged, read_sidecar
from neardup.metadata.facts import Facts
from neardup.metadata.xmp import MAX_BYTES, add_xmp, parse
from tests.metadata.samples import BOMB, DEEP, items, xmp_of

ALL = Carried("1987-05-01 10:00:00", "52.520000 -13.405000", 5, 'Grandma <&> "1987"', ("family", "käse", "]]>"))


def read(content: bytes) -> Metadata:
    facts = Facts()
    add_xmp(facts, content)
    return facts.metadata()


@pytest.mark.parametrize(
    "packet",
    [
        BOMB,
        BOMB.decode().encode("utf-16"),  # where no search of bytes finds its DTD
        b"<!DOCTYPE x SYSTEM 'file:///etc/passwd'><x/>",
        b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>',
        DEEP,
        b"<x>" + b"<a/>" * 200_000 + b"</x>",
        b"<x>" + b" " * MAX_BYTES + b"</x>",
        b"<x",
        b"",
        b"\xff\xfe\0",
        b"no XML",
    ],
)
def test_what_is_no_xmp_is_refused_at_once(packet: bytes) -> None:
    started = time.process_time()
    with pytest.raises(ValueError, match="XMP"):
        parse(packet)
    assert time.process_time() - started < 2


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(packet: bytes) -> None:
    for content in (packet, xmp_of("").replace(b"</rdf:Description>", packet + b"</rdf:Description>")):
        try:
            read(content)
        except ValueError as error:
            if "XMP" not in str(error):
                raise


def test_a_new_sidecar_says_what_was_carried() -> None:
    content = merged(None, ALL)
    said = read(content)
    assert carried(ALL.as_metadata(), said) == Carried()
    assert losses(ALL.as_metadata(), said) == ()
    assert merged(content, ALL) == content


def test_what_a_sidecar_holds_stays() -> None:
    before = (
        b'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>\n<!-- mine --><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><!-- inside -->'
        b'<rdf:Description rdf:about="" xmlns:own="http://example.org/own/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"'
        b' own:kept="yes" xmp:Rating="2"/><rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/">'
        b"<dc:subject><rdf:Bag><rdf:li>family</rdf:li></rdf:Bag></dc:subject></rdf:Description></rdf:RDF></x:xmpmeta>"
        b'<?xpacket end="w"?>'
    )
    content = merged(before, ALL)
    said = read(content)
    assert said.values("rating") == ("2",)  # its own
    assert said.values("keywords") == ("family", "käse", "]]>")
    assert said.date == "1987-05-01 10:00:00"
    assert content.count(b"dc:subject>") == 2
    assert b'own:kept="yes"' in content
    assert b"<!-- inside -->" in content
    assert said.values("other XMP") == ("kept",)


def test_a_rating_of_nothing_is_none() -> None:
    for empty in ("<xmp:Rating>0</xmp:Rating>",):
        said = read(merged(xmp_of(empty), Carried(rating=4)))
        assert said.values("rating") == ("4",)
    attribute = xmp_of("").replace(b'rdf:about=""', b'rdf:about="" xmp:Rating="0"')
    content = merged(attribute, Carried(rating=4))
    assert read(content).values("rating") == ("4",)
    assert content.count(b"Rating") == 2


def test_characters_that_xml_has_not() -> None:
    content = merged(None, Carried(caption="a\x01b\ud800c\n\nd", keywords=("\x02",)))
    assert parse(content) is not None
    assert read(content).whole == {"abc d": "abc\n\nd"}


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=20).filter(
    lambda text: text.split() and " ".join(text.split()) == text and text.isprintable()
)


@settings(max_examples=150, deadline=None)
@given(
    st.builds(
        Carried,
        st.sampled_from([None, "1987", "1987-05", "1987-05-01", "1987-05-01 10:00:00"]),
        st.one_of(st.none(), st.builds(lambda a, b: f"{a:.6f} {b:.6f}", st.floats(-90, 90), st.floats(-180, 180))),
        st.sampled_from([None, -1, 1, 5]),
        st.one_of(st.none(), TEXT),
        st.lists(TEXT, max_size=3, unique_by=str.casefold).map(tuple),
    ),
    st.sampled_from([None, xmp_of("<xmp:Label>Red</xmp:Label>"), xmp_of(items("dc:subject", "Seq", "old"))]),
)
def test_nothing_that_is_carried_is_lost(given: Carried, before: bytes | None) -> None:
    said = read(merged(before, given))
    assert losses(given.as_metadata(), said) == ()
    if before is not None:
        assert losses(read(before), said) == ()


def test_a_sidecar_without_xmp_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "IMG.xmp").write_bytes(b"")
    assert read_sidecar(tmp_path / "IMG.xmp").unreadable == ("sidecar IMG.xmp",)
