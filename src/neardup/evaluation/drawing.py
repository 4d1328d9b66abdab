"""What people draw on and around photos: captions, watermarks, stickers, borders, phone screens.

Every size is relative to the photo, so that a thumbnail and a camera file are treated alike.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont, ImageOps

Colour: TypeAlias = tuple[int, int, int]
BLACK: Colour = (0, 0, 0)
WHITE: Colour = (255, 255, 255)

CAPTIONS = (
    "when you see it",
    "Summer 2019",
    "for sale, call 555 0142",
    "nobody: / absolutely nobody:",
    "good morning everyone",
    "BREAKING NEWS",
    "wait for it...",
    "my weekend in one picture",
)
MARKS = ("SAMPLE", "(c) J. Rivers", "stockphoto", "PREVIEW", "www.pictures.example")
NAMES = ("mia.k", "the_daily_cat", "jonas84", "plants & co", "Aunt Rosa")


@lru_cache(maxsize=256)
def font_of(height_px: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own font, at least 6 px so that it stays a drawing of letters."""
    return ImageFont.load_default(size=max(6.0, height_px))


def pick(rng: np.random.Generator, options: tuple[str, ...]) -> str:
    return options[int(rng.integers(len(options)))]


def any_colour(rng: np.random.Generator) -> Colour:
    red, green, blue = (int(value) for value in rng.integers(0, 256, 3))
    return red, green, blue


def black_white_or_colour(rng: np.random.Generator) -> Colour:
    return (BLACK, WHITE, any_colour(rng))[int(rng.integers(3))]


def resized(photo: Image.Image, width: float, height: float) -> Image.Image:
    return photo.resize((max(1, round(width)), max(1, round(height))), Image.Resampling.LANCZOS)


def fitted_font(
    text: str, width: float, height: float, draw: ImageDraw.ImageDraw
) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The font of at most this height in which the text is at most this wide."""
    length = draw.textlength(text, font=font_of(height))
    return font_of(height * min(1.0, width / max(1.0, length)))


def with_text(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    """One or two outlined lines somewhere on the photo, each about a tenth of its short side high."""
    photo = photo.copy()
    draw = ImageDraw.Draw(photo)
    width, height = photo.size
    for centre in rng.choice([0.15, 0.5, 0.85], size=int(rng.integers(1, 3)), replace=False):
        text = pick(rng, CAPTIONS).split(" / ")[0]
        font = fitted_font(text, 0.92 * width, rng.uniform(0.09, 0.14) * min(photo.size), draw)
        ink, outline = ((WHITE, BLACK), (BLACK, WHITE), (any_colour(rng), WHITE))[int(rng.integers(3))]
        stroke = max(1, round(min(photo.size) / 150))
        draw.text((width / 2, centre * height), text, ink, font, anchor="mm", stroke_width=stroke, stroke_fill=outline)
    return photo


def with_watermark(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    """One mark repeated over the whole photo along a slope, a third to a half opaque."""
    width, height = photo.size
    side = 2 * max(photo.size)
    font_size = rng.uniform(0.07, 0.11) * min(photo.size)
    text = pick(rng, MARKS)
    mask = Image.new("L", (side, side))
    draw = ImageDraw.Draw(mask)
    font = font_of(font_size)
    pitch_x = draw.textlength(text, font=font) + font_size
    pitch_y = 2.4 * max(6.0, font_size)
    opacity = int(rng.integers(85, 135))
    for row in range(math.ceil(side / pitch_y)):
        for column in range(-1, math.ceil(side / pitch_x)):
            draw.text(((column + 0.5 * (row % 2)) * pitch_x, row * pitch_y), text, opacity, font)
    mask = mask.rotate(float(rng.uniform(20, 40)), Image.Resampling.BICUBIC)
    left, top = (side - width) // 2, (side - height) // 2
    ink = Image.new("RGB", photo.size, WHITE if rng.random() < 0.7 else BLACK)
    return Image.composite(ink, photo, mask.crop((left, top, left + width, top + height)))


def sticker(kind: str, side: int) -> Image.Image:
    """An emoji-like drawing on a transparent square, drawn four times larger and reduced for smooth edges."""
    size = 4 * side
    image = Image.new("RGBA", (size, size))
    draw = ImageDraw.Draw(image)

    def box(left: float, top: float, right: float, bottom: float) -> tuple[float, float, float, float]:
        return left * size, top * size, right * size, bottom * size

    if kind == "heart":
        angle = np.linspace(0, 2 * math.pi, 80)
        x = 16 * np.sin(angle) ** 3
        y = -(13 * np.cos(angle) - 5 * np.cos(2 * angle) - 2 * np.cos(3 * angle) - np.cos(4 * angle))
        points = [(float(a), float(b)) for a, b in zip((x + 17) / 34 * size, (y + 17) / 34 * size, strict=True)]
        draw.polygon(points, fill=(225, 30, 60))
    elif kind == "star":
        radii = [0.48 if corner % 2 == 0 else 0.2 for corner in range(10)]
        corners = [
            (size * (0.5 + r * math.sin(c * math.pi / 5)), size * (0.5 - r * math.cos(c * math.pi / 5)))
            for c, r in enumerate(radii)
        ]
        draw.polygon(corners, fill=(255, 190, 20))
    else:
        pen = max(1, size // 20)
        draw.ellipse(box(0.02, 0.02, 0.98, 0.98), fill=(255, 215, 60), outline=(200, 140, 20), width=max(1, size // 50))
        if kind == "cool":
            draw.rectangle(box(0.1, 0.3, 0.9, 0.36), fill=(20, 20, 20))
            draw.ellipse(box(0.14, 0.28, 0.46, 0.52), fill=(20, 20, 20))
            draw.ellipse(box(0.54, 0.28, 0.86, 0.52), fill=(20, 20, 20))
            draw.arc(box(0.25, 0.4, 0.75, 0.82), 20, 160, fill=(90, 50, 10), width=pen)
        else:
            draw.ellipse(box(0.27, 0.28, 0.39, 0.44), fill=(70, 40, 10))
            draw.ellipse(box(0.61, 0.28, 0.73, 0.44), fill=(70, 40, 10))
            draw.chord(box(0.22, 0.35, 0.78, 0.85), 0, 180, fill=(120, 40, 30))
    return image.resize((side, side), Image.Resampling.LANCZOS)


def with_stickers(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Three to five stickers, each 14 to 26 % of the short side, slightly turned, anywhere on the photo."""
    photo = photo.copy()
    for _ in range(int(rng.integers(3, 6))):
        side = max(2, round(rng.uniform(0.14, 0.26) * min(photo.size)))
        drawing = sticker(("grin", "cool", "heart", "star")[int(rng.integers(4))], side)
        drawing = drawing.rotate(float(rng.uniform(-25, 25)), Image.Resampling.BICUBIC)
        left = int(rng.integers(0, max(1, photo.width - side + 1)))
        top = int(rng.integers(0, max(1, photo.height - side + 1)))
        photo.paste(drawing, (left, top), drawing)
    return photo


def with_caption_bar(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A meme: a white or black bar above the photo, a fifth to a third of its height, with one or two lines."""
    bar = max(8, round(rng.uniform(0.2, 0.33) * photo.height))
    ground, ink = ((WHITE, BLACK), (BLACK, WHITE))[int(rng.integers(2))]
    meme = Image.new("RGB", (photo.width, photo.height + bar), ground)
    meme.paste(photo, (0, bar))
    draw = ImageDraw.Draw(meme)
    lines = pick(rng, CAPTIONS).split(" / ")
    for number, line in enumerate(lines):
        font = fitted_font(line, 0.9 * photo.width, 0.7 * bar / len(lines), draw)
        middle = bar * (number + 0.5) / len(lines)
        draw.text((photo.width / 2, middle), line, ink, font, anchor="mm")
    return meme


def with_border(photo: Image.Image, rng: np.random.Generator, share: float) -> Image.Image:
    """A plain border on all sides, each side `share` of the short side wide."""
    return ImageOps.expand(photo, max(1, round(share * min(photo.size))), black_white_or_colour(rng))


def bars_canvas(photo: Image.Image, rng: np.random.Generator) -> tuple[int, int]:
    """A common screen shape that leaves bars of a sixth to a half of the canvas, with the photo's size inside."""
    aspect = photo.width / photo.height
    fitting = [shape for shape in (16 / 9, 4 / 3, 1.0, 3 / 4, 9 / 16) if 0.18 <= abs(math.log(shape / aspect)) <= 0.7]
    # A panorama fits none of them: it gets a canvas 1.5 times its height.
    shape = fitting[int(rng.integers(len(fitting)))] if fitting else aspect / 1.5
    if shape > aspect:
        return max(photo.width, round(photo.height * shape)), photo.height
    return photo.width, max(photo.height, round(photo.width / shape))


def with_bars(photo: Image.Image, rng: np.random.Generator, *, blurred: bool) -> Image.Image:
    """Letterbox or pillarbox: plain bars, or the photo itself blown up and blurred behind, as video editors do."""
    width, height = bars_canvas(photo, rng)
    if blurred:
        cover = ImageOps.fit(photo, (width, height), Image.Resampling.BICUBIC)
        canvas = cover.filter(ImageFilter.GaussianBlur(0.06 * min(photo.size)))
    else:
        canvas = Image.new("RGB", (width, height), black_white_or_colour(rng))
    canvas.paste(photo, ((width - photo.width) // 2, (height - photo.height) // 2))
    return canvas


def on_phone_screen(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A phone's screenshot: the photo in a full-screen viewer, or in a feed with name, buttons and caption."""
    width = min(1080, max(360, photo.width))
    height = round(width * rng.uniform(1.78, 2.17))
    dark, feed = rng.random() < 0.5, rng.random() < 0.6
    ground, ink = ((18, 18, 18), (235, 235, 235)) if dark or not feed else ((250, 250, 250), (25, 25, 25))
    grey = (120, 120, 120)
    unit = width / 36
    screen = Image.new("RGB", (width, height), ground)
    draw = ImageDraw.Draw(screen)

    # Status bar: clock, signal, battery.
    clock = f"{int(rng.integers(0, 24)):02d}:{int(rng.integers(0, 60)):02d}"
    draw.text((1.5 * unit, 1.3 * unit), clock, ink, font_of(1.3 * unit), anchor="lm")
    draw.rounded_rectangle((32 * unit, 0.8 * unit, 34.5 * unit, 1.8 * unit), 0.3 * unit, outline=ink, width=1)
    draw.rectangle((32.3 * unit, 1.1 * unit, (32.5 + 1.7 * rng.random()) * unit, 1.5 * unit), fill=ink)
    for bar in range(4):
        left = (28 + 0.7 * bar) * unit
        draw.rectangle((left, (1.6 - 0.25 * bar) * unit, left + 0.4 * unit, 1.8 * unit), fill=ink)

    top = 8 * unit if feed else 5 * unit
    room = height - top - (14 if feed else 8) * unit
    scale = min(width / photo.width, room / photo.height)
    shown = resized(photo, scale * photo.width, scale * photo.height)
    if not feed:
        top = max(top, (height - shown.height) / 2)
    screen.paste(shown, ((width - shown.width) // 2, round(top)))
    if feed:
        draw.ellipse((1.5 * unit, 4 * unit, 4.5 * unit, 7 * unit), fill=any_colour(rng))
        draw.text((5.5 * unit, 5.5 * unit), pick(rng, NAMES), ink, font_of(1.5 * unit), anchor="lm")
        below = top + shown.height
        for column, kind in enumerate(("heart", "star")):
            icon = sticker(kind, max(2, round(2.2 * unit)))
            screen.paste(icon, (round((1.5 + 3.2 * column) * unit), round(below + unit)), icon)
        likes = f"{int(rng.integers(2, 3000))} likes"
        draw.text((1.5 * unit, below + 4.6 * unit), likes, ink, font_of(1.4 * unit), anchor="lm")
        draw.text(
            (1.5 * unit, below + 7 * unit), pick(rng, CAPTIONS).split(" / ")[0], ink, font_of(1.4 * unit), anchor="lm"
        )
        draw.text((1.5 * unit, below + 9.2 * unit), "View all comments", grey, font_of(1.2 * unit), anchor="lm")
    for column in range(5):
        centre, bottom = (4 + 7 * column) * unit, height - 2.5 * unit
        draw.ellipse((centre - 0.9 * unit, bottom - 0.9 * unit, centre + 0.9 * unit, bottom + 0.9 * unit), outline=grey)
    return screen


def pasted(front: Image.Image, back: Image.Image, rng: np.random.Generator, *, share: float) -> Image.Image:
    """`front` at `share` of the area of `back`, smaller where its shape would not fit, anywhere on it."""
    scale = math.sqrt(share * back.width * back.height / (front.width * front.height))
    scale = min(scale, back.width / front.width, back.height / front.height)
    front = resized(front, scale * front.width, scale * front.height)
    canvas = back.copy()
    left = int(rng.integers(0, max(1, back.width - front.width + 1)))
    top = int(rng.integers(0, max(1, back.height - front.height + 1)))
    canvas.paste(front, (left, top))
    return canvas
