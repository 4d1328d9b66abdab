"""What is seen on screens: slides of one deck, spreadsheets, one chat, an editor, a dialog."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from neardup.evaluation.drawing import Colour, any_colour, font_of, pick
from neardup.evaluation.lookalikes import words
from neardup.evaluation.lookalikes.lettering import cell_size, typewritten, width_of, wrapped, write_lines
from neardup.evaluation.lookalikes.sample import Sample

WHITE: Colour = (255, 255, 255)
INK: Colour = (33, 33, 33)
GREY: Colour = (120, 120, 120)


def slide(sample: Sample) -> Image.Image:
    """A slide of one deck; each second one is the slide before it with one more line."""
    common, text = sample.common(), sample.shared(2)
    size = (1280, 720)
    slide = Image.new("RGB", size, WHITE)
    draw = ImageDraw.Draw(slide)
    theme = any_colour(common)
    dark = (theme[0] // 2, theme[1] // 2, theme[2] // 2)
    draw.rectangle((0, 0, size[0], 110), fill=dark)
    draw.rectangle((0, 110, size[0], 118), fill=theme)
    draw.ellipse((size[0] - 100, 25, size[0] - 40, 85), fill=theme)
    draw.text((70, 656), f"{words.company(common)}   {pick(common, words.MONTHS)} review", GREY, font_of(20))
    draw.text((70, 55), words.title(text), WHITE, font_of(44), anchor="lm")
    shown = int(text.integers(3, 6)) + sample.number % 2
    for line in range(shown):
        y = 180 + 76 * line
        draw.ellipse((76, y + 10, 90, y + 24), fill=theme)
        draw.text((115, y), words.capitalized(words.clause(text)), INK, font_of(30))
    return slide


def spreadsheet(sample: Sample) -> Image.Image:
    """One sheet of sales in a window: names and figures differ, the frame and the headings do not."""
    common, own = sample.common(), sample.own()
    size, row_height = (1280, 800), 26
    window = Image.new("RGB", size, WHITE)
    draw = ImageDraw.Draw(window)
    draw.rectangle((0, 0, size[0], 44), fill=(33, 115, 70))
    draw.text((20, 22), f"{words.title(common)}.xlsx", WHITE, font_of(18), anchor="lm")
    draw.rectangle((0, 44, size[0], 84), fill=(243, 243, 243))
    for number, menu in enumerate(("File", "Edit", "Insert", "Format", "Data", "View", "Help")):
        draw.text((20 + 90 * number, 64), menu, INK, font_of(16), anchor="lm")
    edges = [0, 50, 250, *(250 + 128 * column for column in range(1, 9))]
    draw.rectangle((0, 84, size[0], 84 + row_height), fill=(230, 230, 230))
    for left, right, letter in zip(edges[1:], edges[2:], "ABCDEFGHI", strict=False):
        draw.text(((left + right) / 2, 97), letter, GREY, font_of(15), anchor="mm")
    heads = ("Customer", *(month[:3] for month in words.MONTHS[:7]), "Sum")
    for row in range(27):
        y = 84 + row_height * (row + 1)
        draw.line((0, y, size[0], y), (212, 212, 212), 1)
        draw.text((25, y + 13), str(row + 1), GREY, font_of(15), anchor="mm")
        figures = [int(value) for value in own.integers(100, 99999, 7)]
        cells = heads if row == 0 else (words.person(own), *(f"{value:,}" for value in figures), f"{sum(figures):,}")
        for column, cell in enumerate(cells):
            left, right = edges[column + 1], edges[column + 2]
            if column == 0:
                draw.text((left + 6, y + 13), cell, INK, font_of(15), anchor="lm")
            else:
                draw.text((right - 6, y + 13), cell, INK, font_of(15), anchor="rm")
    for edge in edges:
        draw.line((edge, 84, edge, size[1]), (212, 212, 212), 1)
    return window


def chat(sample: Sample) -> Image.Image:
    """Screenshots of one chat on one phone, at half its 1,080 x 2,340: the bubbles are others."""
    common, own = sample.common(), sample.own()
    width, height = 540, 1170
    screen = Image.new("RGB", (width, height), (236, 229, 221))
    draw = ImageDraw.Draw(screen)
    bar = (18, 94, 84)
    draw.rectangle((0, 0, width, 110), fill=bar)
    minutes = 8 * 60 + 3 * sample.number % 900
    draw.text((24, 22), f"{minutes // 60:02d}:{minutes % 60:02d}", WHITE, font_of(19), anchor="lm")
    draw.rounded_rectangle((484, 13, 516, 30), 4, outline=WHITE, width=2)
    draw.rectangle((488, 17, 488 + int(own.integers(5, 24)), 26), fill=WHITE)
    draw.ellipse((50, 46, 102, 98), fill=any_colour(common))
    draw.text((118, 62), words.person(common), WHITE, font_of(24), anchor="lm")
    draw.text((118, 90), "online", (200, 225, 220), font_of(16), anchor="lm")
    draw.line([(32, 60), (20, 72), (32, 84)], WHITE, 3)
    y, minutes = 130, minutes - 40
    while True:
        text, mine = words.message(own), own.random() < 0.5
        lines = wrapped(text, 21, 330)
        bubble = max(90, *(width_of(line, 21) + 36 for line in lines)), 30 * len(lines) + 40
        if y + bubble[1] > height - 90:
            break
        left = width - 20 - bubble[0] if mine else 20
        colour = (220, 248, 198) if mine else WHITE
        draw.rounded_rectangle((left, y, left + bubble[0], y + bubble[1]), 14, fill=colour)
        below = write_lines(draw, lines, (left + 18, y + 10), 21, 30, INK)
        minutes += int(own.integers(0, 4))
        clock = f"{minutes // 60:02d}:{minutes % 60:02d}"
        draw.text((left + bubble[0] - 12, below + 12), clock, GREY, font_of(14), anchor="rm")
        y += bubble[1] + int(own.integers(10, 24))
    draw.rounded_rectangle((16, height - 74, width - 90, height - 18), 28, fill=WHITE)
    draw.text((44, height - 46), "Message", (160, 160, 160), font_of(21), anchor="lm")
    draw.ellipse((width - 76, height - 74, width - 20, height - 18), fill=(0, 150, 136))
    return screen


KEYWORD: Colour = (86, 156, 214)
NAME: Colour = (220, 220, 170)
STRING: Colour = (206, 145, 120)
COMMENT: Colour = (106, 153, 85)
PLAIN: Colour = (212, 212, 212)
Token = tuple[str, Colour]


def editor(sample: Sample) -> Image.Image:
    """Code in a dark editor: one project, one window, another file scrolled to another place."""
    common, own = sample.common(), sample.own()
    size, type_size = (1280, 800), 17
    window = Image.new("RGB", size, (30, 30, 30))
    draw = ImageDraw.Draw(window)
    draw.rectangle((0, 0, 210, size[1]), fill=(37, 37, 38))
    draw.rectangle((210, 0, size[0], 40), fill=(45, 45, 45))
    draw.rectangle((210, 0, 420, 40), fill=(30, 30, 30))
    draw.text((20, 22), "EXPLORER", PLAIN, font_of(14), anchor="lm")
    files = [f"{pick(common, words.NOUNS)}_{pick(common, words.NOUNS)}.py" for _ in range(24)]
    for row, file in enumerate(files):
        draw.text((34, 60 + 28 * row), file, (190, 190, 190), font_of(14))
    draw.text((230, 20), files[sample.number % len(files)], PLAIN, font_of(15), anchor="lm")
    draw.rectangle((0, size[1] - 26, size[0], size[1]), fill=(0, 122, 204))
    first = int(own.integers(1, 900))
    draw.text((16, size[1] - 13), f"main   Ln {first + 12}, Col 9   UTF-8   Python", WHITE, font_of(14), anchor="lm")
    pitch, leading = cell_size(type_size)
    y = 48
    for row, line in enumerate(_code(own, 28)):
        draw.text((262, y + leading / 2), str(first + row), (110, 110, 110), font_of(14), anchor="rm")
        column = 0
        for token, colour in line:
            window.paste(colour, (284 + pitch * column, y), typewritten(token, type_size))
            column += len(token)
        y += leading
    return window


def _code(rng: np.random.Generator, lines: int) -> list[list[Token]]:
    """Functions that could be Python, line by line, as coloured tokens."""
    code: list[list[Token]] = []
    while len(code) < lines:
        a, b, c = (pick(rng, words.NOUNS) for _ in range(3))
        code.append([("def ", KEYWORD), (f"{pick(rng, words.VERBS)}_{a}", NAME), (f"({b}, {c}=None):", PLAIN)])
        code.append([("    ", PLAIN), (f'"""{words.capitalized(words.clause(rng))}."""', STRING)])
        for _ in range(int(rng.integers(2, 7))):
            statement = _statement(rng, a, b, c)
            code.append([("    ", PLAIN), *statement])
            if statement[-1][0].endswith(":"):
                code.append([(8 * " ", PLAIN), (f"{c}.{pick(rng, words.VERBS)}({a})", PLAIN)])
        code.append([("    ", PLAIN), ("return ", KEYWORD), (f"{a}.{pick(rng, words.NOUNS)}", PLAIN)])
        code.append([])
    return code[:lines]


def _statement(rng: np.random.Generator, a: str, b: str, c: str) -> list[Token]:
    other, value = pick(rng, words.NOUNS), int(rng.integers(2, 5000))
    forms: tuple[list[Token], ...] = (
        [(f"{a} = {b}.{pick(rng, words.VERBS)}({other}, {value})", PLAIN)],
        [("if ", KEYWORD), (f"{c} > {value}:", PLAIN)],
        [("for ", KEYWORD), (f"{other} ", PLAIN), ("in ", KEYWORD), (f"{b}.{a}_{c}:", PLAIN)],
        [(f"{c}[", PLAIN), (f'"{other}"', STRING), (f"] = {a} + {value}", PLAIN)],
        [(f"# {words.clause(rng)}", COMMENT)],
        [("print", NAME), ("(", PLAIN), (f'"{words.clause(rng)}"', STRING), (")", PLAIN)],
    )
    return forms[int(rng.integers(len(forms)))]


def dialog(sample: Sample) -> Image.Image:
    """One message of one program, in which five words are others. No word comes twice in the first 200."""
    common = sample.common()
    turn, place = divmod(sample.number, len(words.NOUNS))
    own = [
        words.NOUNS[common.permutation(len(words.NOUNS))[(place + slot * turn) % len(words.NOUNS)]] for slot in range(5)
    ]
    size = (690, 260)
    window = Image.new("RGB", size, (240, 240, 240))
    draw = ImageDraw.Draw(window)
    draw.rectangle((0, 0, size[0], 40), fill=WHITE)
    draw.text((16, 20), f"{words.title(common)} - Setup", INK, font_of(16), anchor="lm")
    draw.line([(656, 13), (670, 27)], INK, 2)
    draw.line([(670, 13), (656, 27)], INK, 2)
    draw.polygon([(58, 70), (26, 126), (90, 126)], fill=(255, 200, 40), outline=INK)
    draw.text((58, 105), "!", INK, font_of(34), anchor="mm")
    message = [
        f"The file {own[0]}.dll could not be copied to the folder {own[1]}.",
        f"It is in use by the program {own[2]}, or it is protected.",
        f"Close {own[3]} and try again, or choose Ignore to go on without {own[4]}.",
    ]
    write_lines(draw, message, (120, 72), 16, 28, INK)
    draw.rectangle((0, 196, size[0], size[1]), fill=(225, 225, 225))
    for number, name in enumerate(("Try again", "Ignore", "Cancel")):
        left = 320 + 120 * number
        draw.rounded_rectangle((left, 212, left + 108, 244), 4, fill=WHITE, outline=(150, 150, 150))
        draw.text((left + 54, 228), name, INK, font_of(15), anchor="mm")
    return window
