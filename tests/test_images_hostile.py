"""Files that broke other programs: which decode, to what, and that none takes much memory or writes to stderr.

The files are not part of this repository: the tests skip where ../shared/hostile is missing.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from neardup.errors import UnreadableImage
from neardup.images import decode_image, find_images, read_file

HOSTILE = Path(__file__).parents[1] / ".." / "shared" / "hostile"
pytestmark = [
    pytest.mark.skipif(not HOSTILE.is_dir(), reason="../shared/hostile is not here"),
    pytest.mark.filterwarnings("ignore:::PIL"),  # pytest undoes the filter that the package sets
]

# Every file that cannot be decoded, with what is said about it. All others decode.
UNREADABLE = {
    "truncated_broken/truncated_jpeg.jpg": "truncated JPEG file",
    "truncated_broken/truncated_image.png": "truncated PNG file",
    "truncated_broken/truncated_end_chunk.png": "truncated PNG file",
    "truncated_broken/broken_data_stream.png": "damaged PNG file",
    "truncated_broken/broken.png": "broken PNG file",
    "bomb/decompression_bomb.gif": "4364696535 pixels are more than are decoded",
    "bomb/decompression_bomb.ico": "4294836225 pixels are more than are decoded",
    "bomb/l2rgb_read.bmp": "152 Mpx, more than the 64 Mpx",
    "bomb/reallybig.bmp": "6,000,000 Mpx, more than the 64 Mpx",
    "bomb/badwidth.bmp": "274,878 Mpx, more than the 64 Mpx",
    "bomb/oom-8ed3316a4109213ca96fb8a256a0bfefdece1461.icns": "more than the 64 Mpx that are decoded",
    "bomb/oom-225817ca0f8c663be7ab4b9e717b02c661e66834.tif": "damaged TIFF file",
    "bomb/gofuzz_a4619ba7cc13.webp": "12283620753412 pixels are more than are decoded",
    "bomb/gofuzz_79d4822fb1cb.gif": "GIF file",
    "bomb/gofuzz_411afa58882c.gif": "806124000 pixels are more than are decoded",
    "odd_exceptions/crash-2020-10-test.tif": "damaged TIFF file",
    "odd_exceptions/timeout-1ee28a249896e05b83840ae8140622de8e648ba9.psd": "damaged PSD file",
    "odd_exceptions/unimplemented_dxgi_format.dds": "damaged DDS file: Unimplemented DXGI format 93",
    "odd_exceptions/crash-338516dbd2f0e83caddb8ce256c22db3bd6dc40f.tif": "damaged TIFF file",
    "odd_exceptions/crash-4fb027452e6988530aa5dabee76eecacb3b79f8a.j2k": "damaged JPEG2000 file",
    "odd_exceptions/timeout-6646305047838720": "a TIFF of more than 262,144 strips",
    "odd_exceptions/gofuzz_24e9524757af.gif": "damaged GIF file",
    "odd_exceptions/gofuzz_077972773f02.png": "truncated PNG file",
    "odd_exceptions/gofuzz_b9348150b4d7.png": "truncated PNG file",
    "odd_exceptions/gofuzz_4f63d1f9d5a7.tif": "damaged TIFF file",
    "exif_odd/README": "not an image of a known format",
}


def names() -> list[str]:
    if not HOSTILE.is_dir():
        return []
    lines = (HOSTILE / "files.tsv").read_text().splitlines()[1:]
    return [line.split("\t")[1] for line in lines]


def difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a - b).mean())


def in_mode(name: str) -> np.ndarray:
    return decode_image(read_file(HOSTILE / "modes_formats" / name)).pixels.astype(float)


def test_each_file_decodes_or_says_why_not():
    said = {}
    for name in names():
        try:
            decoded = decode_image(read_file(HOSTILE / name), size=160)
        except UnreadableImage as error:
            said[name] = str(error)
            assert "\n" not in said[name]
        else:
            assert decoded.pixels.dtype == np.uint8
            assert decoded.pixels.shape[2] == 3
            assert min(decoded.width, decoded.height) >= 1
    assert said.keys() == UNREADABLE.keys()
    assert [name for name, reason in UNREADABLE.items() if reason not in said[name]] == []


def test_all_are_found_but_the_text_file_and_the_unknown_extension():
    offered = {str(path.relative_to(HOSTILE)) for path in find_images(HOSTILE)}
    assert set(names()) - offered == {"exif_odd/README", "modes_formats/cmx3g8_wv_1998.260_0745_mcidas.ara"}
    assert offered <= set(names())


def test_they_take_little_memory_and_write_nothing():
    code = (
        "import sys; from pathlib import Path\n"
        "from neardup.errors import UnreadableImage\n"
        "from neardup.evaluation.benchmark import peak_memory_bytes\n"
        "from neardup.images import decode_image, find_images, read_file\n"
        "for path in find_images(Path(sys.argv[1])):\n"
        "    try: decode_image(read_file(path), size=160)\n"
        "    except UnreadableImage: pass\n"
        "print(peak_memory_bytes() >> 20)\n"
    )
    out = subprocess.run([sys.executable, "-c", code, str(HOSTILE)], capture_output=True, text=True, check=True)
    assert out.stderr == ""
    assert int(out.stdout) < 500  # MiB


@pytest.mark.parametrize("scene", ["Landscape", "Portrait"])
def test_every_orientation_of_a_scene_is_the_same_upright_picture(scene):
    first = decode_image(read_file(HOSTILE / f"exif_orientation/{scene}_1.jpg"), size=80)
    assert (first.width > first.height) == (scene == "Landscape")
    for orientation in range(9):
        other = decode_image(read_file(HOSTILE / f"exif_orientation/{scene}_{orientation}.jpg"), size=80)
        assert (other.width, other.height) == (first.width, first.height)
        assert difference(other.pixels.astype(float), first.pixels.astype(float)) < 4, orientation


def test_the_same_picture_in_several_modes():
    """Pillow's portrait, 128 x 128, stored in many ways."""
    colour = in_mode("hopper-missing-pixi.avif")
    assert difference(in_mode("hopper.Lab.tif"), colour) < 6
    grey = colour @ [0.299, 0.587, 0.114]
    for name in ["hopper_16bit.pgm", "hopper.pfm", "hopper_be.pfm", "hopper_gray_4bpp.tif", "8bit.s.tif"]:
        got = in_mode(name)
        assert np.ptp(got, axis=2).max() == 0, name
        assert difference(got[..., 0], grey) < 8, name
    np.testing.assert_array_equal(in_mode("hopper.pfm"), in_mode("hopper_be.pfm"))
    np.testing.assert_array_equal(in_mode("hopper_1bit.pbm"), in_mode("hopper_1bit_plain.pbm"))
    for name in ["hopper_1bit.pbm", "hopper.msp", "hopper.xbm"]:  # dithered
        assert np.corrcoef(in_mode(name)[..., 0].ravel(), grey.ravel())[0, 1] > 0.5, name
    np.testing.assert_array_equal(in_mode("hopper.xbm"), in_mode("hopper_underscore.xbm"))


def test_sixteen_bit_files_against_their_own_bytes():
    raw = (HOSTILE / "modes_formats/16_bit_binary.pgm").read_bytes()
    values = np.frombuffer(raw[-20 * 100 * 2 :], ">u2").reshape(100, 20)
    want = np.rint(values / 257)
    np.testing.assert_array_equal(in_mode("16_bit_binary.pgm")[..., 0], want)
    np.testing.assert_array_equal(in_mode("16_bit_binary_pgm.tiff")[..., 0], want)
    np.testing.assert_array_equal(in_mode("16bit.MM.cropped.tif"), in_mode("16bit.MM.deflate.tif"))
    np.testing.assert_array_equal(in_mode("16bit.MM.cropped.tif"), in_mode("16bit.cropped.jp2"))
    np.testing.assert_array_equal(in_mode("12bit.cropped.tif"), in_mode("12in16bit.tif"))
    np.testing.assert_array_equal(in_mode("m13.fits"), in_mode("m13_gzip.fits"))


def test_colours_alpha_and_first_frames():
    green = in_mode("lab-green.tif")  # L 50, a -100, b 0: as green as sRGB gets
    assert green[0, 0, 1] > 140
    assert green[0, 0, 0] < 10
    cmyk = [
        in_mode(name) for name in ("tiff_strip_cmyk_jpeg.tif", "tiff_strip_cmyk_16l_jpeg.tif", "pil_sample_cmyk.jpg")
    ]
    assert max(difference(cmyk[0], other) for other in cmyk[1:]) < 3
    assert cmyk[0][..., 0].mean() > cmyk[0][..., 2].mean()  # a red logo, not a cyan one
    np.testing.assert_array_equal(in_mode("rgb_trns_ycbc.j2k"), in_mode("rgb_trns_ycbc.jp2"))
    assert difference(in_mode("transparency.avif"), in_mode("rgb_trns_ycbc.jp2")) < 4
    assert difference(in_mode("iss634.apng"), in_mode("iss634.webp")) < 4
    np.testing.assert_array_equal(in_mode("uncompressed_la.dds"), in_mode("uncompressed_la.png"))
    np.testing.assert_array_equal(in_mode("multipage-lastframe.tif")[0, 0], [0, 0, 255])
    np.testing.assert_array_equal(in_mode("multipage.tiff")[0, 0], [0, 128, 0])
