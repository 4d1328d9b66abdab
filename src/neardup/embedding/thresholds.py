"""Cosines from which on two pictures are taken for one: their names, their promises, and the rule to reach them."""

from collections.abc import Callable, Mapping
from typing import Literal, get_args

from neardup.errors import BadInput
from neardup.search import reaches as reaches  # the rule itself, which the index needs, too

ThresholdName = Literal["strict", "default", "loose"]
NAMES: tuple[ThresholdName, ...] = get_args(ThresholdName)
# False matches per pair of different photos that a calibrated threshold of this name lets pass.
RATES: Mapping[str, float] = {"strict": 1e-9, "default": 1e-7, "loose": 1e-5}
# Where a model has no calibrated threshold of this name: careful guesses, and said to be so.
UNCALIBRATED: Mapping[str, float] = {"strict": 0.95, "default": 0.9, "loose": 0.8}


def parse_similarity(text: str | float) -> float:
    """A number in [-1, 1], or a share as `90%`; raises BadInput for anything else."""
    try:
        percent = isinstance(text, str) and text.rstrip().endswith("%")
        number = float(str(text).rstrip().removesuffix("%")) / 100 if percent else float(text)
    except ValueError:
        number = float("nan")
    if not -1 <= number <= 1:
        raise BadInput(f"similarity {text!r}: give a number from -1 to 1, or one of {', '.join(NAMES)}")
    return number


def threshold_of(
    thresholds: Mapping[str, float], wanted: str | float, *, model: str, say: Callable[[str], None] = lambda line: None
) -> float:
    """The cosine that a name or a number asks for.

    thresholds: of the model, calibrated, by name; a name that is not among them gets a guess, and a line that says so
    Raises BadInput for what is neither.
    """
    if wanted in thresholds:
        return thresholds[str(wanted)]
    if wanted in UNCALIBRATED:
        guess = UNCALIBRATED[str(wanted)]
        say(
            f"Model {model} has no calibrated threshold '{wanted}': {guess} is a guess."
            " 'neardup evaluate PATH --calibrate' finds one; --min-similarity sets one."
        )
        return guess
    return parse_similarity(wanted)


def false_match_rate(thresholds: Mapping[str, float], similarity: float) -> float | None:
    """Highest calibrated rate of false matches per pair that a cosine still keeps; None below the loosest."""
    kept = [RATES[name] for name in NAMES if name in thresholds and reaches(similarity, thresholds[name])]
    return min(kept, default=None)
