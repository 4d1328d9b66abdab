"""Pictures that are pairwise different and look alike to a small network, and genuine copies of them.

A tool that throws away duplicates is judged by what it must not throw away: the pages of one book, the invoices of
one template, the frames of a burst. Each kind here is drawn by a seed, at the sizes that such pictures have; what its
pictures share (a template, a deck, a place) follows from the seed, what each has by itself from its number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
from PIL import Image

from neardup.errors import BadInput
from neardup.evaluation.attacks import jpeg
from neardup.evaluation.lookalikes import boards, figures, grounds, paper, scenes, screens, symbols
from neardup.evaluation.lookalikes.sample import Generator, Kind, Sample

__all__ = ["COPIES", "KINDS", "Generator", "Kind", "draw"]

KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "book_pages": Kind(paper.book_page),
        "text_pages": Kind(paper.text_page),
        "invoices": Kind(paper.invoice),
        "contents_pages": Kind(paper.contents_page),
        "blank_scans": Kind(paper.blank_scan, suffix=".jpg"),
        "sheet_music": Kind(paper.sheet_music),
        "slides": Kind(screens.slide),
        "spreadsheets": Kind(screens.spreadsheet),
        "chats": Kind(screens.chat),
        "editors": Kind(screens.editor),
        "dialogs": Kind(screens.dialog),
        "codes": Kind(boards.code),
        "crosswords": Kind(boards.crossword),
        "sudokus": Kind(boards.sudoku),
        "chess_boards": Kind(boards.chess_board),
        "charts": Kind(figures.chart),
        "maps": Kind(figures.city_map),
        "memes": Kind(scenes.meme),
        "quote_cards": Kind(scenes.quote_card),
        "night_skies": Kind(grounds.night_sky, suffix=".jpg"),
        "textures": Kind(grounds.texture),
        "noise": Kind(grounds.noise),
        "microscopy": Kind(grounds.microscopy),
        "coloured_icons": Kind(symbols.coloured_icon, limit=len(symbols.ICONS)),
        "black_icons": Kind(symbols.black_icon, limit=len(symbols.ICONS)),
        "white_icons": Kind(symbols.white_icon, limit=len(symbols.ICONS)),
        "flags": Kind(symbols.flag, limit=symbols.FLAGS),
        "plain_colours": Kind(symbols.plain_colour, limit=len(symbols.COLOURS)),
        "dark_photos": Kind(scenes.dark_photo, suffix=".jpg", of_photos=True),
        "pale_photos": Kind(scenes.pale_photo, suffix=".jpg", of_photos=True),
        "bursts": Kind(scenes.burst_frame, suffix=".jpg", of_photos=True),
    }
)


def most(kind: str, photos: Sequence[Path] = ()) -> int | None:
    """How many pictures of a kind there are at most; None where there is no end."""
    known = _kind(kind)
    if known.of_photos and photos:
        return len(photos) * (scenes.BURST if kind == "bursts" else 1)
    return known.limit


def draw(kind: str, number: int, seed: int = 0, photos: Sequence[Path] = ()) -> Image.Image:
    """Picture `number` of a kind: the same for the same kind, number, seed and photos, whatever was drawn before.

    photos:  pairwise different ones, for the kinds that show photos; without any they show drawn scenes
    returns: RGB; RGBA for white icons, I;16 for microscopy
    raises:  BadInput for an unknown kind, and for a number that it has not
    """
    limit = most(kind, photos)
    if min(number, seed) < 0:
        raise BadInput(f"{kind} {number} with seed {seed}: numbers and seeds are not negative")
    if limit is not None and number >= limit:
        raise BadInput(f"{kind} {number}: there are {limit} different ones; choose a number below")
    return _kind(kind).draw(Sample(kind, number, seed, tuple(photos)))


def _kind(kind: str) -> Kind:
    if kind not in KINDS:
        raise BadInput(f"{kind!r}: no kind of look-alike; choose from {', '.join(KINDS)}")
    return KINDS[kind]


def _eight_bits(picture: Image.Image) -> Image.Image:
    """As a viewer exports it: 16 bits stretched from the darkest to the brightest, transparency on black."""
    if picture.mode == "I;16":
        levels = np.asarray(picture).astype(np.float32)
        levels = 255 * (levels - levels.min()) / max(1.0, float(np.ptp(levels)))
        return Image.fromarray(levels.astype(np.uint8)).convert("RGB")
    if picture.mode == "RGBA":
        ground = Image.new("RGBA", picture.size, "black")
        return Image.alpha_composite(ground, picture).convert("RGB")
    return picture


def half(picture: Image.Image) -> Image.Image:
    size = max(1, picture.width // 2), max(1, picture.height // 2)
    return picture.resize(size, Image.Resampling.BICUBIC)


def jpeg_60(picture: Image.Image) -> Image.Image:
    return jpeg(_eight_bits(picture), 60)


def crop_80(picture: Image.Image) -> Image.Image:
    """80 % of the area, a little to the upper left of the middle."""
    width, height = (max(1, round(math.sqrt(0.8) * side)) for side in picture.size)
    left, top = round(0.3 * (picture.width - width)), round(0.3 * (picture.height - height))
    return picture.crop((left, top, left + width, top + height))


COPIES: Mapping[str, Callable[[Image.Image], Image.Image]] = MappingProxyType(
    {"half": half, "jpeg_60": jpeg_60, "crop_80": crop_80}
)
