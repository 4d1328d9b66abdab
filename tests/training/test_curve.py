from PIL import Image

from neardup.output.figures.training import plot_curve


def test_both_losses_and_shares_are_drawn(tmp_path):
    plain = [{"step": n, "loss": 1 / n, "views_per_second": 9.0} for n in range(1, 40)]
    validated = [
        {**row, "validation_loss": 0.5, "knn_accuracy": 0.8} if row["step"] % 10 == 0 else row for row in plain
    ]
    for name, rows in (("plain", plain), ("validated", validated), ("one", plain[:1])):
        plot_curve(rows, tmp_path / f"{name}.png")
    drawn = {name: Image.open(tmp_path / f"{name}.png").convert("RGB") for name in ("plain", "validated", "one")}
    colours = {name: {colour for _, colour in picture.getcolors(1 << 24)} for name, picture in drawn.items()}
    marks = {(0x1A, 0x7F, 0x4B), (0xC2, 0x57, 0x1A)}
    assert marks <= colours["validated"]
    assert not marks & colours["plain"]
