"""The Keras example "Near-duplicate image search", step by step, with neardup: index, query, look.

    python scripts/flowers.py OUTPUT [--source tfds:tf_flowers | FOLDER] [--images 1000] [--queries 100] [--grids 5]

85 % of the pictures (a data set's first, a folder's by the seed) are what is indexed, of these the first --images; of
the other 15 % the first --queries are asked for. Printed are build and query times, and the smallest buckets of table 0
with their labels; OUTPUT receives the index, and a grid for each of the first --grids queries: look at them.
"""

import time
from pathlib import Path

import click
import numpy as np

from neardup.index import Index
from neardup.jobs.index import hashing_of, index_images
from neardup.jobs.query import Answer, query_images
from neardup.output.figures.matches import plot_answers, preview
from neardup.sources.datasets import find_labelled, is_dataset

SHARE = 0.85
BUCKETS = 5


def parts(source: str, images: int, queries: int) -> tuple[list[str], list[str]]:
    """What to index and what to ask for, as commands take them."""
    if is_dataset(source):
        return [f"{source}:train[:{images}]"], [f"{source}:train[{SHARE:.0%}:]"]
    found = [str(path) for path, _ in find_labelled(source)]
    shuffled = [found[number] for number in np.random.default_rng(0).permutation(len(found))]
    border = round(SHARE * len(shuffled))
    return shuffled[: min(border, images)], shuffled[border:][:queries]


def build(pictures: list[str], folder: Path, tables: int | None, bits: int | None) -> None:
    report = index_images(
        pictures, folder, label_from_folder=True, rebuild=True, hashing=hashing_of(tables=tables, bits=bits)
    )
    print(f"Indexed {report.images:,} images in {report.seconds:.1f} s ({report.images_per_second:.0f} images/s)")
    with Index.open(folder) as index:
        print(f"{index.tables} tables of {index.bits} bits; buckets of table 0 that hold two or more:")
        for bucket in index.buckets(BUCKETS):
            labels = ", ".join(f"{path.name} [{label}]" for path, label in bucket.images)
            print(f"  {bucket.signature}: {labels}")


def ask(pictures: list[str], index: Path, queries: int) -> list[Answer]:
    """By the embeddings alone, as the example does: nobody looks at the pictures."""
    asked = query_images(pictures, index, min_similarity=-1.0)
    started, answers = time.perf_counter(), []
    for answer in asked.answers:
        answers.append(answer)
        if len(answers) == queries:
            break
    seconds = time.perf_counter() - started
    candidates = np.mean([answer.candidates for answer in answers])
    print(f"Asked {len(answers):,} queries in {seconds:.1f} s, embedding included; {candidates:.1f} candidates each")
    return answers


def truth(answer: Answer) -> str | None:
    """A data set's label, or the folder that a file lies in."""
    return answer.label or Path(answer.query).parent.name


@click.command(help=__doc__)
@click.argument("output", type=click.Path(file_okay=False, path_type=Path))
@click.option("--source", default="tfds:tf_flowers", show_default=True)
@click.option("--images", default=1000, show_default=True)
@click.option("--queries", default=100, show_default=True)
@click.option("--grids", default=5, show_default=True)
@click.option("--tables", type=int, help="As the example: 10.  [default: neardup's own]")
@click.option("--bits", type=int, help="As the example: 8.  [default: neardup's own]")
def main(
    output: Path, source: str, images: int, queries: int, grids: int, tables: int | None, bits: int | None
) -> None:
    output.mkdir(parents=True, exist_ok=True)
    indexed, asked = parts(source, images, queries)
    build(indexed, output / "index", tables, bits)
    answers = [answer for answer in ask(asked, output / "index", queries) if answer.error is None]
    right = [answer.matches[0].label == truth(answer) for answer in answers if answer.matches]
    print(f"The first match is of the query's class for {np.mean(right):.3f} of them")
    for number, answer in enumerate(answers[:grids], 1):
        path = output / f"query-{number}.png"
        plot_answers([(answer, preview(answer.source))], path, threshold=1.0)
        print(f"Drawn: {path}")


if __name__ == "__main__":
    main()
