"""Calibrate a model's thresholds on photos that it was not trained on, and write them into its config.json.

python scripts/calibrate_model.py PHOTOS MODEL_FOLDER [--same FILE.csv] [--pairs FILE.csv] [--write]

--same   pairs of photos that are near-duplicates of each other (two paths a line, relative to PHOTOS): the second of
         each pair is left out
--pairs  where to list the most similar pairs, to be looked at: what is a true near-duplicate goes into --same
"""

import argparse
import csv
import json
from pathlib import Path

from neardup.embedding import load_embedder
from neardup.evaluation.calibration import calibrate_false_matches
from neardup.images import find_images


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--same", type=Path)
    parser.add_argument("--pairs", type=Path)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    left_out: set[Path] = set()
    if options.same:
        with options.same.open(newline="", encoding="utf-8") as file:
            left_out = {options.photos / second for _, second in csv.reader(file)}
    photos = [path for path in find_images(options.photos) if path not in left_out]
    rates = calibrate_false_matches(photos, load_embedder(str(options.model)).embed)
    print(
        f"{rates.photos} photos, {rates.versions} versions of each: {rates.pairs:,} pairs,"
        f" {rates.excesses:,} in the tail"
    )
    for name, threshold in rates.thresholds.items():
        print(
            f"{name:8} {threshold.similarity:.4f}  95 % interval {threshold.low:.4f} to {threshold.high:.4f}"
            f"  {rates.measured[name]} pairs measured above it"
        )
    if options.pairs:
        with options.pairs.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            for pair in rates.top_pairs:
                paths = (str(path.relative_to(options.photos)) for path in (pair.a, pair.b))
                writer.writerow([*paths, pair.a_version, pair.b_version, f"{pair.similarity:.4f}"])
    if options.write:
        path = options.model / "config.json"
        config = json.loads(path.read_text(encoding="utf-8"))
        config["thresholds"] = {name: round(t.similarity, 4) for name, t in rates.thresholds.items()}
        config["calibration"] = {
            "photos": rates.photos,
            "versions": rates.versions,
            "pairs": rates.pairs,
            "intervals": {name: [round(t.low, 4), round(t.high, 4)] for name, t in rates.thresholds.items()},
        }
        path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
