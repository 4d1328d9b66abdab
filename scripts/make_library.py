"""A library like a photographer's, with its truth: originals from a camera, and what became of them since.

    python scripts/make_library.py OUT --photos PHOTOS [--groups 100] [--seed 0]

Every group is a photo drawn by the seed, saved as a camera would (EXIF with make, model and date, some with a place),
and one to three rivals: what an app, a messenger or a program made of it. A rival keeps the original's EXIF where such
programs keep it, or by the toss of a coin. Where three groups of ten were copied without care for their times, the
files have one time, else the original is the older. Beside some originals, and beside some rivals, lie the files that
belong to a picture: IMG_0001.xmp, IMG_0001.jpg.json, IMG_0001.CR2 (a stand-in).

PHOTOS may be small: each is drawn larger and gets the fine structure and the noise that a camera's picture has. OUT
gets `library/`, its files, and `truth.json`: {"groups": [{"original", "sidecars", "rivals": [{"path", "kind", "exif":
whether it kept the EXIF, "sidecars"}]}]}, paths below library/.
"""

import argparse
import io
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont, ImageOps

from neardup.images import find_images, load_image

MAKE, MODEL, DATE, SOFTWARE, EXIF_IFD, GPS_IFD = 271, 272, 306, 305, 0x8769, 0x8825
TAKEN, SUBSECONDS, OFFSET, WIDTH, HEIGHT = 36867, 37521, 36881, 40962, 40963
CAMERAS = (("NIKON CORPORATION", "NIKON D750"), ("Canon", "Canon EOS 6D"), ("Apple", "iPhone 12"), ("samsung", "SM-G9"))
# Longer edges of what the camera takes; the last two are more than what is looked at.
EDGES = (800, 1200, 1600, 2400)
SIDECARS = (".xmp", ".jpg.json", ".CR2")

Edit = Callable[[Image.Image, np.random.Generator], Image.Image]


@dataclass(frozen=True)
class Kind:
    """What is done to an original."""

    edit: Edit
    ending: str = ".jpg"
    quality: int | None = None  # None: drawn from 80 to 95
    exif: bool | None = None  # whether it stays; None: by the toss of a coin


def camera_picture(photo: Image.Image, edge: int, rng: np.random.Generator) -> Image.Image:
    """The photo at this size, with structure down to single pixels that falls as in nature, and a sensor's noise."""
    factor = edge / max(photo.size)
    size = tuple(max(16, round(side * factor) // 16 * 16) for side in photo.size)
    large = np.asarray(photo.resize(size, Image.Resampling.BICUBIC), np.float32)
    height, width = large.shape[:2]
    y, x = np.meshgrid(np.fft.fftfreq(height), np.fft.rfftfreq(width), indexing="ij")
    frequency = np.maximum(np.hypot(y, x), 1 / edge)
    spectrum = np.fft.rfft2(rng.standard_normal((height, width))) / frequency
    spectrum[np.hypot(y, x) < 0.25 / factor] = 0  # the photo has what is coarser
    fine = np.fft.irfft2(spectrum, (height, width))
    # Structure is where there is something to see: not in the sky.
    grey = Image.fromarray(large.mean(axis=2).astype(np.uint8))
    busy = np.asarray(grey.filter(ImageFilter.FIND_EDGES).filter(ImageFilter.GaussianBlur(edge / 60)), np.float32)
    strength = 7 * np.clip(busy / max(float(np.percentile(busy, 80)), 1), 0.1, 1.5)
    noise = rng.standard_normal((height, width, 3)) * 1.5
    structured = large + (strength * fine / fine.std())[..., None] + noise
    return Image.fromarray(np.clip(structured, 0, 255).astype(np.uint8))


def scaled(factor: float, how: Image.Resampling = Image.Resampling.BICUBIC) -> Edit:
    def edit(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
        return photo.resize((round(photo.width * factor), round(photo.height * factor)), how)

    return edit


def within(edge: int) -> Edit:
    def edit(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
        small = photo.copy()
        small.thumbnail((edge, edge), Image.Resampling.LANCZOS)
        return small

    return edit


def crop(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    share = float(rng.uniform(0.55, 0.9)) ** 0.5
    width, height = round(photo.width * share), round(photo.height * share)
    left, top = int(rng.integers(0, photo.width - width)), int(rng.integers(0, photo.height - height))
    return photo.crop((left, top, left + width, top + height))


def crop_enlarged(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    return crop(photo, rng).resize(photo.size, Image.Resampling.LANCZOS)


def blurred_bars(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Set on a blurred copy of itself, to fill a square or an upright screen."""
    edge = max(photo.size)
    size = (edge, edge * 16 // 9) if photo.width >= photo.height else (edge * 16 // 9, edge)
    ground = ImageOps.fit(photo, size).filter(ImageFilter.GaussianBlur(edge / 40))
    ground.paste(photo, ((size[0] - photo.width) // 2, (size[1] - photo.height) // 2))
    return ground


def proof(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    over = Image.new("RGBA", photo.size)
    size = max(12, photo.width // 9)
    ImageDraw.Draw(over).text(
        (photo.width / 2, photo.height / 2), "© proof", anchor="mm", fill=(255, 255, 255, 170),
        stroke_width=max(1, size // 30), stroke_fill=(0, 0, 0, 120), font=ImageFont.load_default(size),
    )  # fmt: skip
    return Image.alpha_composite(photo.convert("RGBA"), over).convert("RGB")


def screenshot(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    """The picture across a phone's screen, with the phone's bars."""
    width = 1080
    shown = photo.resize((width, round(photo.height * width / photo.width)), Image.Resampling.BICUBIC)
    screen = Image.new("RGB", (width, max(2340, shown.height + 500)), "black" if rng.random() < 0.5 else "white")
    ink = "white" if screen.getpixel((0, 0)) == (0, 0, 0) else "black"
    draw = ImageDraw.Draw(screen)
    draw.text((50, 40), "12:34", fill=ink, font=ImageFont.load_default(44))
    draw.text((width - 200, 40), "5G 81 %", fill=ink, font=ImageFont.load_default(44))
    screen.paste(shown, (0, (screen.height - shown.height) // 2))
    draw.text((60, screen.height - 170), "Like   Share   Save", fill=ink, font=ImageFont.load_default(52))
    return screen


def border(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    return ImageOps.expand(photo, round(0.04 * max(photo.size)), "white" if rng.random() < 0.5 else "black")


def sharpened(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    return photo.filter(ImageFilter.UnsharpMask(2, 120, 2))


def blurred(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    return photo.filter(ImageFilter.GaussianBlur(max(1.2, max(photo.size) / 800)))


def as_it_is(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    return photo


KINDS: dict[str, Kind] = {
    "enlarged to 110 %": Kind(scaled(1.1), quality=70, exif=False),
    "enlarged to 150 %": Kind(scaled(1.5)),
    "enlarged to 200 %": Kind(scaled(2.0, Image.Resampling.LANCZOS)),
    "PNG export": Kind(as_it_is, ".png", exif=False),
    "TIFF export": Kind(as_it_is, ".tif", exif=False),
    "WebP": Kind(as_it_is, ".webp"),
    "blurred bars": Kind(blurred_bars, exif=False),
    "proof": Kind(proof),
    "screenshot": Kind(screenshot, ".png", exif=False),
    "crop": Kind(crop),
    "crop, enlarged": Kind(crop_enlarged),
    "WhatsApp": Kind(within(1200), quality=72, exif=False),
    "saved again at 98": Kind(as_it_is, quality=98),
    "saved again at 60": Kind(as_it_is, quality=60),
    "turned": Kind(lambda photo, rng: photo.transpose(Image.Transpose.ROTATE_90)),
    "black and white": Kind(lambda photo, rng: ImageOps.grayscale(photo).convert("RGB")),
    "border": Kind(border),
    "thumbnail": Kind(within(320)),
    "sharpened": Kind(sharpened),
    "blurred": Kind(blurred),
    "cut off": Kind(as_it_is),
    "bit rot": Kind(as_it_is),
}


def exif_of(size: tuple[int, int], rng: np.random.Generator) -> Image.Exif:
    """As a camera writes it, the picture's size among it."""
    make, model = CAMERAS[int(rng.integers(len(CAMERAS)))]
    exif = Image.Exif()
    exif[MAKE], exif[MODEL] = make, model
    date = (
        f"20{rng.integers(10, 24):02d}:{rng.integers(1, 13):02d}:{rng.integers(1, 28):02d} 10:{rng.integers(60):02d}:00"
    )
    exif[DATE] = date
    exif.get_ifd(EXIF_IFD).update({WIDTH: size[0], HEIGHT: size[1]})
    exif.get_ifd(EXIF_IFD).update({TAKEN: date, SUBSECONDS: f"{rng.integers(100):02d}", OFFSET: "+02:00"})
    if rng.random() < 0.5:
        latitude, longitude = (float(rng.uniform(0, 60)) for _ in range(2))
        exif.get_ifd(GPS_IFD).update({1: "N", 2: (latitude, 0.0, 0.0), 3: "E", 4: (longitude, 0.0, 0.0)})
    return exif


def damaged(content: bytes, kind: str, rng: np.random.Generator) -> bytes:
    """A JPEG that breaks off, with an end marker put behind by whoever repaired it, or with bytes that changed."""
    if kind == "cut off":
        return content[: int(len(content) * rng.uniform(0.4, 0.9))].rstrip(b"\xff") + b"\xff\xd9"
    rotten = bytearray(content)
    start = int(len(rotten) * rng.uniform(0.4, 0.8))
    for at in range(start, min(start + 400, len(rotten) - 2), 50):
        if rotten[at] not in (0xFF, 0xAA) and rotten[at - 1] != 0xFF:
            rotten[at] ^= 0x55
    return bytes(rotten)


def saved(image: Image.Image, ending: str, quality: int, exif: Image.Exif | None) -> bytes:
    file = io.BytesIO()
    more: dict[str, Any] = {} if exif is None else {"exif": exif}
    if ending == ".tif":
        image.save(file, "TIFF", compression="tiff_lzw")
    elif ending == ".png":
        image.save(file, "PNG", compress_level=1, **more)
    else:
        image.save(file, "WEBP" if ending == ".webp" else "JPEG", quality=quality, **more)
    return file.getvalue()


def rival_of(original: bytes, kind: str, exif: Image.Exif, rng: np.random.Generator) -> tuple[bytes, bool]:
    """Content of a rival, and whether it has the original's EXIF."""
    made = KINDS[kind]
    if kind in ("cut off", "bit rot"):
        return damaged(original, kind, rng), True
    keeps = bool(rng.random() < 0.5) if made.exif is None else made.exif
    with Image.open(io.BytesIO(original)) as opened:
        image = opened.convert("RGB")
    if kind == "turned":  # without loss: the same tables, and sides that whole blocks fill
        file = io.BytesIO()
        turned = made.edit(image, rng)
        turned.save(file, "JPEG", qtables=opened.quantization, subsampling=2, **({"exif": exif} if keeps else {}))
        return file.getvalue(), keeps
    quality = made.quality or int(rng.integers(80, 96))
    return saved(made.edit(image, rng), made.ending, quality, exif if keeps else None), keeps


def write(path: Path, content: bytes, time_ns: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, ns=(time_ns, time_ns))


def write_sidecars(path: Path, chance: float, root: Path, rng: np.random.Generator) -> list[str]:
    """What lies beside an image and belongs to it."""
    if rng.random() >= chance:
        return []
    ending = SIDECARS[int(rng.integers(len(SIDECARS)))]
    beside = path.with_name(path.name + ".json" if ending == ".jpg.json" else path.stem + ending)
    beside.write_text("{}" if ending == ".jpg.json" else f"stand-in for {ending}")
    return [str(beside.relative_to(root))]


def make_group(
    number: int, photo: Path, kinds: list[str], root: Path, rng: np.random.Generator, edges: Sequence[int] = EDGES
) -> dict[str, Any]:
    edge = edges[int(rng.integers(len(edges)))]
    picture = camera_picture(Image.fromarray(load_image(photo)), edge, rng)
    exif = exif_of(picture.size, rng)
    original = saved(picture, ".jpg", int(rng.integers(86, 96)), exif)
    taken = 1_400_000_000_000_000_000 + number * 86_400_000_000_000
    careless = bool(rng.random() < 0.3)
    # Neither order nor length of the paths is to tell which is which.
    folders = rng.permutation(["2019/holiday", "Camera uploads", "a", "sorted/2019/album"]).tolist()
    path = root / folders[0] / f"IMG_{number:04d}.jpg"
    write(path, original, taken)
    group: dict[str, Any] = {"original": str(path.relative_to(root)), "rivals": []}
    group["sidecars"] = write_sidecars(path, 0.3, root, rng)
    for place, kind in enumerate(kinds, 1):
        content, keeps = rival_of(original, kind, exif, rng)
        rival = root / folders[place] / f"IMG_{number:04d}{KINDS[kind].ending}"
        later = 0 if careless and kind != "turned" else int(rng.integers(1, 1000)) * 3_600_000_000_000
        write(rival, content, taken + later)
        sidecars = write_sidecars(rival, 0.15, root, rng)
        group["rivals"].append(
            {"path": str(rival.relative_to(root)), "kind": kind, "exif": keeps, "sidecars": sidecars}
        )
    return group


def make_library(out: Path, photos: list[Path], groups: int, seed: int, edges: Sequence[int] = EDGES) -> None:
    """Every kind as often as every other; of four groups, one has three rivals."""
    root = out / "library"
    root.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(photos), groups, replace=False)
    names = list(KINDS)
    truth = []
    for number, photo in enumerate(chosen.tolist()):
        kinds = [names[number % len(names)]]
        if rng.random() < 0.25:
            kinds += [names[int(other)] for other in rng.choice(len(names), 2, replace=False)]
        own = np.random.default_rng([seed, number])
        truth.append(make_group(number, photos[photo], list(dict.fromkeys(kinds)), root, own, edges))
    (out / "truth.json").write_text(json.dumps({"seed": seed, "groups": truth}, indent=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--groups", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    make_library(options.out, list(find_images(options.photos.absolute())), options.groups, options.seed)


if __name__ == "__main__":
    main()
