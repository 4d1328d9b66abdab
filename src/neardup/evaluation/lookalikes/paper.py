"""Paper that was scanned or rendered: pages of one book, letters, invoices, tables of contents, scores."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from neardup.evaluation.drawing import Colour, any_colour, font_of, pick
from neardup.evaluation.lookalikes import words
from neardup.evaluation.lookalikes.lettering import fill_column, width_of, wrapped, write_lines
from neardup.evaluation.lookalikes.sample import Sample

A4 = (1240, 1754)  # at 150 dots an inch
LETTER = (850, 1100)  # at 100
PAPER: Colour = (255, 255, 255)
INK: Colour = (25, 25, 25)
GREY: Colour = (110, 110, 110)


def book_page(sample: Sample) -> Image.Image:
    """A page of running text: header, font and margins are the book's, every line is the page's."""
    common, own = sample.common(), sample.own()
    page = Image.new("RGB", A4, PAPER)
    draw = ImageDraw.Draw(page)
    title, author = words.title(common), words.person(common)
    draw.text((150, 105), author, GREY, font_of(22))
    draw.text((A4[0] / 2, 105), title, GREY, font_of(22), anchor="ma")
    draw.text((A4[0] - 150, 105), str(11 + sample.number), GREY, font_of(22), anchor="ra")
    draw.line((150, 142, A4[0] - 150, 142), GREY, 1)
    fill_column(page, own, (150, 175, A4[0] - 150, A4[1] - 150), 28, 41)
    return page


def text_page(sample: Sample) -> Image.Image:
    """Manuscripts by several hands: each has its own heading, size of type, and one or two columns."""
    own = sample.own()
    page = Image.new("RGB", LETTER, PAPER)
    draw = ImageDraw.Draw(page)
    size, columns = float(own.integers(13, 19)), int(own.integers(1, 3))
    draw.text((LETTER[0] / 2, 80), words.title(own), INK, font_of(30), anchor="ma")
    draw.text((LETTER[0] / 2, 126), words.person(own), GREY, font_of(18), anchor="ma")
    gap = 30
    width = (LETTER[0] - 160 - gap * (columns - 1)) / columns
    for column in range(columns):
        left = 80 + column * (width + gap)
        fill_column(page, own, (left, 170, left + width, LETTER[1] - 80), size, 1.45 * size)
    return page


def invoice(sample: Sample) -> Image.Image:
    """One month's invoices of one company for the same six services: addressee and amounts are all that differ."""
    common, own = sample.common(), sample.own()
    page = Image.new("RGB", A4, PAPER)
    draw = ImageDraw.Draw(page)
    sender, colour, month = words.company(common), any_colour(common), pick(common, words.MONTHS)
    draw.rounded_rectangle((110, 100, 190, 180), 16, fill=colour)
    draw.text((150, 140), sender[0], PAPER, font_of(56), anchor="mm")
    draw.text((215, 118), sender, INK, font_of(38))
    write_lines(draw, [*words.address(common), "Tel 0555 014 226"], (880, 112), 22, 30, GREY)
    write_lines(draw, [words.person(own), words.company(own), *words.address(own)], (110, 320), 28, 38, INK)
    draw.text((110, 560), f"Invoice for {month}", INK, font_of(44))
    draw.text((110, 625), f"For services from 1 to 28 {month}, with our thanks.", GREY, font_of(24))

    draw.rectangle((110, 700, A4[0] - 110, 752), fill=colour)
    columns = (130, 760, 920, A4[0] - 130)
    for x, head in zip(columns, ("Description", "Quantity", "Price", "Amount"), strict=True):
        draw.text((x, 726), head, PAPER, font_of(24), anchor="lm" if x == 130 else "rm")
    y, total = 790, 0
    for _ in range(6):
        service = f"{words.capitalized(pick(common, words.ADJECTIVES))} {pick(common, words.NOUNS)} service"
        quantity, price = int(own.integers(1, 40)), int(own.integers(199, 19999))
        total += quantity * price
        cells = (service, str(quantity), words.amount(price), words.amount(quantity * price))
        for x, cell in zip(columns, cells, strict=True):
            draw.text((x, y), cell, INK, font_of(24), anchor="lm" if x == 130 else "rm")
        draw.line((110, y + 30, A4[0] - 110, y + 30), (215, 215, 215), 1)
        y += 60
    tax = total * 19 // 100
    sums = (("Net", total), ("VAT 19 %", tax), ("Total EUR", total + tax))
    for row, (name, cents) in enumerate(sums):
        size = 30 if row == 2 else 24
        draw.text((760, y + 30 + 50 * row), name, INK, font_of(size), anchor="rm")
        draw.text((A4[0] - 130, y + 30 + 50 * row), words.amount(cents), INK, font_of(size), anchor="rm")
    terms = wrapped("Please pay within 14 days. " + words.paragraph(common, 3), 22, A4[0] - 220)
    write_lines(draw, terms, (110, 1400), 22, 32, GREY)
    draw.line((110, 1600, A4[0] - 110, 1600), GREY, 1)
    draw.text((A4[0] / 2, 1630), f"{sender}   IBAN XX00 0123 4567 8901 2345 00", GREY, font_of(20), anchor="ma")
    return page


def contents_page(sample: Sample) -> Image.Image:
    """A table of contents that goes on for pages: number, heading, dots, page."""
    own = sample.own()
    page = Image.new("RGB", LETTER, PAPER)
    draw = ImageDraw.Draw(page)
    draw.text((90, 80), "Contents", INK, font_of(34))
    number, y = 10 + 60 * sample.number, 150
    for chapter in range(4):
        draw.text((90, y), f"{4 * sample.number + chapter + 1}  {words.title(own)}", INK, font_of(21))
        y += 38
        for section in range(5):
            heading = f"{4 * sample.number + chapter + 1}.{section + 1}  {words.title(own)}"
            number += int(own.integers(1, 6))
            draw.text((115, y), heading, INK, font_of(18))
            draw.text((LETTER[0] - 90, y), str(number), INK, font_of(18), anchor="ra")
            left, right = 115 + width_of(heading, 18) + 12, LETTER[0] - 90 - width_of(str(number), 18) - 12
            for x in np.arange(right, left, -9.0):
                draw.point((round(x), y + 16), INK)
            y += 33
        y += 14
    return page


@lru_cache(maxsize=4)
def _scanner(seed: int) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """The light of one scanner on paper, darker towards an edge, and its noise: (H, W) int16 each."""
    rng = np.random.default_rng(seed)
    y, x = np.linspace(-1, 1, A4[1])[:, None], np.linspace(-1, 1, A4[0])[None, :]
    light = 244 - 9 * (x - rng.uniform(-0.5, 0.5)) ** 2 - 6 * (y - rng.uniform(-0.5, 0.5)) ** 2
    return light.astype(np.int16), np.rint(rng.normal(0, 1.5, A4[::-1])).astype(np.int16)


def blank_scan(sample: Sample) -> Image.Image:
    """The back of a sheet: its number, one short note by hand, a few specks."""
    own = sample.own()
    light, grain = _scanner(sample.seed)
    level = (light + np.roll(grain, int(own.integers(grain.size)))).astype(np.uint8)
    page = Image.merge("RGB", [Image.fromarray(level), Image.fromarray(level), Image.fromarray(level - 6)])
    draw = ImageDraw.Draw(page)
    for y in (600, 1154):  # where it was filed
        draw.ellipse((50, y - 22, 94, y + 22), fill=(205, 203, 196))
    draw.text((A4[0] / 2, 1540), str(2 * sample.number + 2), (70, 70, 68), font_of(26), anchor="mm")
    note = Image.new("L", (520, 90))
    text = f"{pick(own, words.ADJECTIVES)} {pick(own, words.NOUNS)} {int(own.integers(2, 99))}"
    ImageDraw.Draw(note).text((260, 45), text, 255, font_of(float(own.uniform(28, 40))), anchor="mm")
    note = note.rotate(float(own.uniform(-6, 6)), Image.Resampling.BICUBIC)
    at = int(own.integers(150, 600)), int(own.integers(200, 1300))
    page.paste(((45, 60, 140), (60, 60, 60), (150, 45, 40))[int(own.integers(3))], at, note)
    for _ in range(int(own.integers(4, 12))):
        speck_x, speck_y, radius = own.uniform(120, 1150), own.uniform(100, 1650), own.uniform(0.6, 2)
        box = (speck_x - radius, speck_y - radius, speck_x + radius, speck_y + radius)
        draw.ellipse(box, fill=(120, 118, 112))
    return page


@lru_cache(maxsize=8)
def _note_head(*, hollow: bool) -> Image.Image:
    """A notehead 22 px wide (L), drawn four times larger and reduced."""
    large = Image.new("L", (104, 88))
    draw = ImageDraw.Draw(large)
    draw.ellipse((8, 16, 96, 72), fill=255)
    if hollow:
        draw.ellipse((18, 28, 86, 60), fill=0)
    return large.rotate(20, Image.Resampling.BICUBIC).resize((26, 22), Image.Resampling.LANCZOS)


@lru_cache(maxsize=1)
def _clef() -> Image.Image:
    """A treble clef 60 x 140 px (L): a spiral around the second line, a stroke up, a loop, and a stroke down."""
    large = Image.new("L", (240, 560))
    draw = ImageDraw.Draw(large)
    turn = np.linspace(0, 2.6 * np.pi, 60)
    spiral = [(120 - (22 + 9 * t) * np.cos(t) * 0.9, 360 - (22 + 9 * t) * np.sin(t)) for t in turn]
    loop = [(60, 260), (90, 200), (140, 150), (165, 90), (150, 30), (125, 40), (112, 100), (120, 200), (150, 470)]
    tail = [(150, 470), (140, 520), (105, 530), (85, 505)]
    points = [(float(x), float(y)) for x, y in [*spiral, *loop, *tail]]
    draw.line(points, 255, 15, joint="curve")
    draw.ellipse((75, 485, 115, 525), fill=255)
    return large.resize((60, 140), Image.Resampling.LANCZOS)


def sheet_music(sample: Sample) -> Image.Image:
    """A page of one score: ten staves, four bars each, quarters, halves and beamed eighths."""
    common, own = sample.common(), sample.own()
    page = Image.new("RGB", A4, PAPER)
    draw = ImageDraw.Draw(page)
    draw.text((A4[0] / 2, 90), words.title(common), INK, font_of(40), anchor="ma")
    draw.text((A4[0] - 110, 150), words.person(common), GREY, font_of(22), anchor="ra")
    draw.text((A4[0] / 2, A4[1] - 80), str(2 + sample.number), GREY, font_of(22), anchor="mm")
    for stave in range(10):
        top = 230 + 142 * stave
        for line in range(5):
            draw.line((110, top + 16 * line, A4[0] - 110, top + 16 * line), (60, 60, 60), 2)
        page.paste(INK, (118, top - 34), _clef())
        for bar in range(4):
            left = 210 + 230 * bar
            _write_bar(page, draw, own, left, top)
            draw.line((left + 222, top, left + 222, top + 64), INK, 2)
    return page


def _write_bar(page: Image.Image, draw: ImageDraw.ImageDraw, rng: np.random.Generator, left: int, top: int) -> None:
    """Four beats, each a quarter, two eighths under a beam, or with the next a half."""
    step, beat = int(rng.integers(0, 9)), 0
    while beat < 4:
        chance, x = rng.random(), left + 14 + 52 * beat
        if chance < 0.15 and beat < 3:
            step = _next_step(step, rng)
            _write_note(page, draw, x, top, step, hollow=True)
            beat += 2
            continue
        step = _next_step(step, rng)
        end = _write_note(page, draw, x, top, step)
        if chance > 0.6:
            second = _next_step(step, rng)
            second = min(second, 3) if step < 4 else max(second, 4)  # stems of one beam point one way
            other = _write_note(page, draw, x + 26, top, second)
            draw.line((*end, *other), INK, 7)
            step = second
        beat += 1


def _next_step(step: int, rng: np.random.Generator) -> int:
    return int(np.clip(step + rng.integers(-3, 4), -1, 9))


def _write_note(
    page: Image.Image, draw: ImageDraw.ImageDraw, x: int, top: int, step: int, *, hollow: bool = False
) -> tuple[int, int]:
    """A note `step` half spaces above the lowest line; returns where its stem ends."""
    y = top + 64 - 8 * step
    if step < 0:
        draw.line((x - 6, top + 80, x + 30, top + 80), (60, 60, 60), 2)
    page.paste(INK, (x, y - 11), _note_head(hollow=hollow))
    end = (x + 23, y - 52) if step < 4 else (x + 3, y + 52)
    draw.line((end[0], y - 3 if step < 4 else y + 3, *end), INK, 3)
    return end
