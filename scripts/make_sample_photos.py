"""Sample photos: those that scikit-image carries in its wheel, and edited copies of them. None of its code is run.

python scripts/make_sample_photos.py FOLDER
"""

import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from PIL import Image, ImageDraw, ImageEnhance, ImageFont, ImageOps

PHOTOS = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png", "hubble_deep_field.jpg",
          "retina.jpg", "coins.png", "camera.png", "brick.png", "grass.png", "gravel.png")  # fmt: skip


def crop(photo: Image.Image) -> Image.Image:
    width, height = photo.size
    return photo.crop((width // 8, height // 6, width * 7 // 8, height * 5 // 6))


def caption(photo: Image.Image) -> Image.Image:
    written = photo.copy()
    size = max(16, photo.height // 9)
    ImageDraw.Draw(written).text(
        (photo.width // 2, photo.height - size // 2), "look at this!", anchor="ms", fill="white",
        stroke_width=max(1, size // 12), stroke_fill="black", font=ImageFont.load_default(size),
    )  # fmt: skip
    return written


def screenshot(photo: Image.Image) -> Image.Image:
    """The photo in the middle of a phone's screen."""
    width = photo.width
    screen = Image.new("RGB", (width, width * 16 // 9), "white")
    draw = ImageDraw.Draw(screen)
    draw.rectangle((0, 0, width, width // 14), fill="#20242c")
    draw.text((width // 30, width // 50), "12:34", fill="white", font=ImageFont.load_default(width // 24))
    top = (screen.height - photo.height) // 2
    screen.paste(photo, (0, max(top, width // 14)))
    draw.text(
        (width // 20, screen.height - width // 6), "1,204 likes", fill="black", font=ImageFont.load_default(width // 20)
    )
    return screen


EDITS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "small.jpg": lambda photo: photo.resize((photo.width // 2, photo.height // 2)),
    "cropped.jpg": crop,
    "mirrored.jpg": ImageOps.mirror,
    "grey.jpg": lambda photo: ImageOps.grayscale(photo).convert("RGB"),
    "faded.webp": lambda photo: ImageEnhance.Color(ImageEnhance.Contrast(photo).enhance(0.6)).enhance(0.5),
    "captioned.jpg": caption,
    "rotated.jpg": lambda photo: photo.rotate(8, Image.Resampling.BICUBIC, expand=True),
    "screenshot.png": screenshot,
}


def make_sample_photos(folder: Path) -> list[Path]:
    """Write the photos, and of each of the first six every edit; returns the paths, originals first."""
    found = find_spec("skimage")
    if found is None or not found.submodule_search_locations:
        sys.exit("The photographs are in scikit-image's wheel: pip install --no-deps scikit-image")
    folder.mkdir(parents=True, exist_ok=True)
    originals, copies = [], []
    for number, name in enumerate(PHOTOS):
        source = Path(found.submodule_search_locations[0]) / "data" / name
        photo = Image.open(source).convert("RGB")
        photo.thumbnail((640, 640))
        originals.append(folder / f"{source.stem}.jpg")
        photo.save(originals[-1], quality=92)
        for edit, apply in EDITS.items() if number < 6 else ():
            copies.append(folder / f"{source.stem}-{edit}")
            apply(photo).save(copies[-1], **({} if edit.endswith(".png") else {"quality": 60}))
    return originals + copies


if __name__ == "__main__":
    paths = make_sample_photos(Path(sys.argv[1]))
    print(f"Made {len(paths)} sample photos in {sys.argv[1]}.", file=sys.stderr)
