"""What a training run is made of: every setting with its default, its limits and its words, in this one place.

Settings with a help text are options of `neardup train`, named as the field is. Those with `compare=False` may be
other ones when a run is gone on with; of all others its steps follow.
"""

from dataclasses import Field, asdict, dataclass, field, fields
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from neardup.errors import BadInput

Precision = Literal["float32", "mixed_bfloat16", "mixed_float16"]
Loss = Literal["triplet", "supcon", "arcface"]
T = TypeVar("T")


def setting(
    default: T, help: str | None = None, low: float | None = None, high: float | None = None, *, compare: bool = True
) -> T:
    """A field of a recipe. low, high: limits, both included. help: makes it an option of the command line."""
    return field(default=default, compare=compare, metadata={"help": help, "low": low, "high": high})


@dataclass(frozen=True)
class Recipe:
    """What the trainer needs to know, whatever it is that a network is trained for."""

    steps: int = setting(20_000, "Steps of the whole run.", 2)
    photos: int = setting(96, "Photos of a batch.", 2)
    size: int = setting(128, "Edge of a view, in pixels.", 32, 512)
    learning_rate: float = setting(1.5e-3, "At its highest.", 0)
    frozen_blocks: int = setting(
        0, "Blocks, from the root, that stay as they began: faster, for weights that are good already.", 0, 4
    )
    average: float = setting(0.995, "Momentum of the weights' moving average; 0 keeps none.", 0, 1)
    precision: Precision = setting(  # noqa: RUF009
        "float32", "Reduced precision pays on a GPU, and on a CPU with AMX or AVX512-BF16."
    )
    seed: int = setting(0, "Of everything that is drawn.", 0)
    validate_every: int = setting(500, "Steps from one validation to the next.", 1, compare=False)
    patience: int = setting(0, "Validations without progress that end the run; 0 never does.", 0, compare=False)
    workers: int = setting(1, "Processes that make batches; 0: none beside this one.", 0, 64, compare=False)
    input_size: int | None = setting(
        None, "Edge of what the finished model looks at.  [default: 1.25 times that of the last views]", 32, 512,
        compare=False,
    )  # fmt: skip

    def __post_init__(self) -> None:
        for each in fields(self):
            value, (low, high) = getattr(self, each.name), limits(each)
            if value is not None and ((low is not None and value < low) or (high is not None and value > high)):
                allowed = f"at least {low}" if high is None else f"{low} to {high}"
                raise BadInput(f"training: {each.name} is {allowed}, not {value}")
            if (known := choices(type(self), each.name)) and value not in known:
                raise BadInput(f"training: {each.name} is one of {', '.join(known)}, not {value!r}")

    @property
    def last_size(self) -> int:
        """Edge of the last views, in pixels."""
        return self.size

    @property
    def tested_size(self) -> int:
        """Edge of what the finished model looks at, in pixels: a network sees best somewhat above what it was
        trained at (Touvron et al., arXiv 1906.06423)."""
        return self.input_size or self.last_size * 5 // 4 // 16 * 16

    def to_json(self) -> dict[str, Any]:
        """The settings that the steps of a run follow from."""
        return {each.name: asdict(self)[each.name] for each in fields(self) if each.compare}


def limits(each: Field[Any]) -> tuple[float | None, float | None]:
    """The lowest and the highest value of a setting, None where there is none."""
    return each.metadata.get("low"), each.metadata.get("high")


def choices(recipe: type[Recipe], name: str) -> tuple[str, ...]:
    """What a setting is one of; nothing where it is a number."""
    return get_args(hint) if get_origin(hint := get_type_hints(recipe)[name]) is Literal else ()


@dataclass(frozen=True)
class CopyRecipe(Recipe):
    """Self-supervised copy detection after SSCD (Pizzi et al., arXiv 2202.10261)."""

    final_size: int | None = setting(
        None, "Edge of a view in the last fifth of the steps.  [default: as before]", 32, 512
    )
    views: int = setting(3, low=2)  # of each photo
    untouched: float = setting(
        0.9, "Share of photos of which one view is the photo as it is; of the rest all are edited.", 0, 1
    )
    warmup_steps: int = 60  # a quarter of all at most
    weight_decay: float = 0.02
    clip_norm: float = 1.0
    temperature: float = 0.05
    pooled_weight: float = 1.0  # of InfoNCE with the negatives of the whole batch
    margin: float = 0.15  # cosine by which a positive is to be above those
    entropy_weight: float = 5.0
    alike: int = setting(4, low=2)  # photos of a batch that look alike to the network itself, together: hard negatives
    mine_every: int = 1500  # steps after which look-alikes are looked for anew
    same_folder: float = 0.5  # share of a batch from one folder, while the network knows no look-alikes
    hardness: tuple[float, float] = (0.6, 0.85)  # at the start, and from 60 % of the steps on

    def hardness_at(self, step: int) -> float:
        start, end = self.hardness
        return start + (end - start) * min(1.0, step / (0.6 * self.steps))

    def size_at(self, step: int) -> int:
        return self.final_size if self.final_size and step >= 0.8 * self.steps else self.size

    @property
    def last_size(self) -> int:
        return self.final_size or self.size


@dataclass(frozen=True)
class LabelRecipe(Recipe):
    """Metric learning on labels: BiT fine-tuned as its authors do for small pictures (Kolesnikov et al., arXiv
    1912.11370, section 3.3): SGD with momentum, a rate that falls in steps, 160 pixels cut to 128.
    """

    steps: int = setting(3000, "Steps of the whole run.", 2)
    photos: int = setting(60, "Photos of a batch.", 2)
    learning_rate: float = setting(0.03, "At its highest.", 0)
    average: float = setting(0.99, "Momentum of the weights' moving average; 0 keeps none.", 0, 1)
    validate_every: int = setting(100, "Steps from one validation to the next.", 1, compare=False)
    patience: int = setting(5, "Validations without progress that end the run; 0 never does.", 0, compare=False)
    loss: Loss = setting("triplet", "Semi-hard triplets, supervised contrastive, or ArcFace.")  # noqa: RUF009
    head_steps: int = setting(100, "First steps, in which only the embedding layer of a model to begin with learns.", 0)
    held_out: float = setting(0.1, "Share of the pictures of each class that is kept for validation.", 0, 0.9)
    rotation: float = 0.2  # of a full turn, at most, either way
    zoom: float = 0.2  # at most, in and out
    each: int = 4  # photos of a class in a batch, at least
    momentum: float = 0.9
    falls: tuple[float, ...] = (0.5, 0.75, 0.9)  # shares of the steps after which the rate is a tenth
    clip_norm: float = 5.0
    margin: float = 0.2  # of triplets, in squared distance
    temperature: float = 0.1  # of the supervised contrastive loss
    angle: float = 0.3  # of ArcFace, in radians
    scale: float = 20.0  # of ArcFace

    @property
    def squashed(self) -> int:
        """Edge that pictures are squashed to, in pixels; a view is cut out of that."""
        return self.size * 5 // 4
