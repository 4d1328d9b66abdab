"""Small flat pictures: icons of one set, flags, plain colours."""

from __future__ import annotations

from functools import lru_cache
from itertools import product

from PIL import Image, ImageChops, ImageDraw

from neardup.evaluation.drawing import Colour
from neardup.evaluation.lookalikes.sample import Sample
from neardup.evaluation.lookalikes.shapes import Glyph, glyph, mask

WHITE: Colour = (255, 255, 255)

BASES: dict[str, Glyph] = {
    name: glyph(shapes)
    for name, shapes in {
        "folder": "l 3 19 3 5 9 5 11 8 21 8 21 19 3 19",
        "document": "l 5 2 14 2 19 7 19 22 5 22 5 2; l 14 2 14 7 19 7; l 8 12 16 12; l 8 16 16 16",
        "envelope": "r 2 5 22 19 1; l 2 6 12 13 22 6",
        "bell": "l 4 18 6 15 6 10; a 6 3 18 17 180 360; l 18 10 18 15 20 18; l 4 18 20 18; d 12 20.5 1.6",
        "camera": "r 2 7 22 20 2; c 12 13.5 4; l 8 7 9.5 4 14.5 4 16 7",
        "house": "l 2 12 12 3 22 12; l 5 10 5 21 19 21 19 10; l 10 21 10 15 14 15 14 21",
        "lock": "r 5 11 19 21 1.5; a 8 3 16 15 180 360; l 8 9 8 11; l 16 9 16 11; d 12 16 1.5",
        "cloud": "a 2 10 11 19 90 270; a 6 4 17 15 170 330; a 14 9 22 19 270 450; l 6.5 19 18 19",
        "lens": "c 10 10 7; l 15 15 21 21",
        "person": "c 12 7 4; a 4 13 20 29 180 360",
        "cart": "l 2 3 5 3 8 15 19 15 21 7 6 7; d 9 19 1.8; d 17 19 1.8",
        "calendar": "r 3 5 21 21 1.5; l 3 10 21 10; l 8 2.5 8 6; l 16 2.5 16 6; d 8 14 1.2; d 12 14 1.2; d 16 14 1.2",
        "clock": "c 12 12 9.5; l 12 6 12 12 16 15",
        "phone": "r 6 2 18 22 2.5; l 10.5 19 13.5 19",
        "bin": "l 4 6 20 6; l 9 6 10 3 14 3 15 6; l 6 6 7 21 17 21 18 6; l 10 10 10 17; l 14 10 14 17",
        "key": "c 7.5 16.5 4.5; l 11 13 20 4; l 16 8 19 11",
        "heart": "p 12 21 3 12 2.5 8 4 5 7.5 4 10.5 5 12 7.5 13.5 5 16.5 4 20 5 21.5 8 21 12",
        "star": "p 12 2 15 9 22 9.5 16.5 14 18.5 21.5 12 17.5 5.5 21.5 7.5 14 2 9.5 9 9",
        "drop": "p 12 2 18 11 19 15 17 19.5 12 21.5 7 19.5 5 15 6 11",
        "disk": "r 3 3 21 21 1.5; f 7 3 16 9; r 7 13 17 21",
        "screen": "r 2 4 22 17 1; l 12 17 12 21; l 7 21 17 21",
        "note": "l 9 18 9 4 20 2 20 16; d 6.5 18 2.6; d 17.5 16 2.6",
        "flask": "l 9 2 15 2; l 10 2 10 9 4 21 20 21 14 9 14 2; l 7 15 17 15",
        "globe": "c 12 12 9.5; o 8 2.5 16 21.5; l 2.5 12 21.5 12",
    }.items()
}
BADGES: dict[str, Glyph] = {
    name: glyph(shapes)
    for name, shapes in {
        "plus": "l 18 14.5 18 21.5; l 14.5 18 21.5 18",
        "minus": "l 14.5 18 21.5 18",
        "check": "l 14.5 18 17 20.8 21.8 14.8",
        "cross": "l 15 15 21 21; l 21 15 15 21",
        "up": "l 18 21.8 18 14.5; l 14.8 17.5 18 14.3 21.2 17.5",
        "down": "l 18 14.2 18 21.5; l 14.8 18.5 18 21.7 21.2 18.5",
        "right": "l 14.2 18 21.5 18; l 18.5 14.8 21.7 18 18.5 21.2",
        "dot": "d 18 18 3.2",
        "ring": "c 18 18 3.4",
        "pause": "l 16 14.8 16 21.2; l 20 14.8 20 21.2",
        "play": "p 15.5 14.3 15.5 21.7 22 18",
        "warning": "l 18 13.8 18 18.6; d 18 21.2 1.2",
        "square": "f 15 15 21 21",
        "bars": "l 15 21 15 18.5; l 18 21 18 16.5; l 21 21 21 14.5",
    }.items()
}
ICONS = tuple(product(BASES, ("", *BADGES)))
_CUT = glyph("d 18 18 6.2")
TILES: tuple[Colour, ...] = ((33, 150, 243), (76, 175, 80), (244, 67, 54), (156, 39, 176), (255, 152, 0), (0, 150, 136))
ACCENT: Colour = (255, 235, 59)


def _icon(sample: Sample) -> tuple[Glyph, Glyph]:
    """Each base with each badge once, shuffled by the seed."""
    base, badge = ICONS[int(sample.common().permutation(len(ICONS))[sample.number])]
    return BASES[base], BADGES[badge] if badge else ()


def _drawing(sample: Sample, side: int) -> tuple[Image.Image, Image.Image]:
    """The base without what the badge needs around it, and the badge: (side, side) L."""
    base, badge = _icon(sample)
    drawn = mask(base, side)
    if badge:
        drawn = ImageChops.subtract(drawn, mask(_CUT, side))
    return drawn, mask(badge, side) if badge else Image.new("L", (side, side))


def coloured_icon(sample: Sample) -> Image.Image:
    """An icon of an app or a toolbar, 128 px: a white drawing on a coloured tile, its badge in yellow."""
    side, edge = 128, 16
    tile = Image.new("RGB", (side, side), WHITE)
    shape = mask(glyph("f 0 0 24 24 5"), side)
    tile.paste(TILES[int(sample.own().integers(len(TILES)))], (0, 0), shape)
    base, badge = _drawing(sample, side - 2 * edge)
    tile.paste(WHITE, (edge, edge), base)
    tile.paste(ACCENT, (edge, edge), badge)
    return tile


def black_icon(sample: Sample) -> Image.Image:
    """Black on white, at 64, 128 and 256 px in turn."""
    side = (64, 128, 256)[sample.number % 3]
    base, badge = _drawing(sample, side)
    icon = Image.new("RGB", (side, side), WHITE)
    icon.paste((0, 0, 0), (0, 0), ImageChops.lighter(base, badge))
    return icon


def white_icon(sample: Sample) -> Image.Image:
    """RGBA: white on a transparent ground, for dark menus, at 48, 96 and 192 px in turn."""
    side = (48, 96, 192)[sample.number % 3]
    base, badge = _drawing(sample, side)
    icon = Image.new("RGBA", (side, side), (0, 0, 0, 0))
    icon.paste((255, 255, 255, 255), (0, 0), ImageChops.lighter(base, badge))
    # Pasting blends the colour too: it is white wherever anything shows, and the ink is in alpha alone.
    alpha = ImageChops.lighter(base, badge)
    white = alpha.point(lambda level: 255 if level else 0)
    return Image.merge("RGBA", (white, white, white, alpha))


CLOTH: tuple[Colour, ...] = (
    (206, 17, 38), (255, 255, 255), (0, 56, 168), (252, 209, 22), (0, 135, 81), (20, 20, 20), (117, 178, 221),
    (255, 127, 0),
)  # fmt: skip
Design = tuple[str, tuple[Colour, ...]]


@lru_cache(maxsize=1)
def _designs() -> tuple[Design, ...]:
    """Flags of which none is another one mirrored or turned: bands are named from one end, and stand or lie."""
    pairs = [(a, b) for a, b in product(CLOTH, CLOTH) if a != b]
    triples = [(a, b, c) for (a, b), c in product(pairs, CLOTH) if b != c and CLOTH.index(a) <= CLOTH.index(c)]
    designs: list[Design] = []
    for number, triple in enumerate(triples):
        designs.append(("standing" if number % 2 else "lying", triple))
    for number, (a, b) in enumerate(pair for pair in pairs if CLOTH.index(pair[0]) < CLOTH.index(pair[1])):
        designs.append(("standing" if number % 2 else "lying", (a, b)))
    for name in ("cross", "disc", "saltire", "canton", "chevron"):
        designs += [(name, pair) for pair in pairs]
    return tuple(designs)


def flag(sample: Sample) -> Image.Image:
    """600 x 400: bands, a Nordic cross, a disc, a saltire, a canton or a chevron in flag colours."""
    design, colours = _designs()[int(sample.common().permutation(len(_designs()))[sample.number])]
    width, height = 600, 400
    image = Image.new("RGB", (width, height), colours[0])
    draw = ImageDraw.Draw(image)
    bands = len(colours)
    if design == "standing":
        for band, colour in enumerate(colours):
            draw.rectangle((width * band // bands, 0, width * (band + 1) // bands - 1, height), fill=colour)
    elif design == "lying":
        for band, colour in enumerate(colours):
            draw.rectangle((0, height * band // bands, width, height * (band + 1) // bands - 1), fill=colour)
    elif design == "cross":
        draw.rectangle((180, 0, 250, height), fill=colours[1])
        draw.rectangle((0, 165, width, 235), fill=colours[1])
    elif design == "disc":
        draw.ellipse((180, 80, 420, 320), fill=colours[1])
    elif design == "saltire":
        draw.line((-30, -20, width + 30, height + 20), colours[1], 80)
        draw.line((-30, height + 20, width + 30, -20), colours[1], 80)
    elif design == "canton":
        draw.rectangle((0, 0, 240, 200), fill=colours[1])
    else:
        draw.polygon([(0, 0), (300, 200), (0, 400)], fill=colours[1])
    return image


# Seven levels a channel, 42 or 43 apart: any two of these colours are clearly different in one channel at least.
LEVELS = (0, 43, 85, 128, 170, 213, 255)
COLOURS: tuple[Colour, ...] = tuple(product(LEVELS, LEVELS, LEVELS))
FLAGS = len(_designs())


def plain_colour(sample: Sample) -> Image.Image:
    """One colour, as wallpapers and swatches are."""
    return Image.new("RGB", (400, 300), COLOURS[int(sample.common().permutation(len(COLOURS))[sample.number])])
