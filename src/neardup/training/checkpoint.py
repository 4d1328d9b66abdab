"""Everything that a run needs to go on as if it had never stopped."""

import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from neardup.durable import replacing
from neardup.embedding.weights import Weights, check_weights
from neardup.errors import BadInput
from neardup.reading import open_regular
from neardup.training.network import Network


class MovingAverage:
    """Exponential moving average of weights by name, with the start-up correction min(m, (1 + t) / (10 + t))."""

    def __init__(self, weights: Weights, momentum: float) -> None:
        self.weights, self.momentum = weights, momentum

    def update(self, weights: Weights, step: int) -> None:
        momentum = min(self.momentum, (1 + step) / (10 + step))
        for name, value in weights.items():
            self.weights[name] += (1 - momentum) * (value - self.weights[name])


@dataclass
class Checkpoint:
    """A run between two steps."""

    step: int  # steps done
    ready_for: int  # the step that the network was last made ready for: what is trained may change between steps
    state: dict[str, NDArray[Any]]  # the network's and the optimizer's variables, in order
    average: Weights
    memory: dict[str, NDArray[Any]] = field(default_factory=dict)  # of the objective

    @staticmethod
    def _variables(network: Network) -> dict[str, Any]:
        variables = [*network.variables, *network.optimizer.variables]
        return {f"{number:04d}": variable for number, variable in enumerate(variables)}

    @classmethod
    def of(
        cls, network: Network, average: MovingAverage, step: int, ready_for: int, memory: dict[str, NDArray[Any]]
    ) -> "Checkpoint":
        state = {name: ops.convert_to_numpy(v) for name, v in cls._variables(network).items()}
        return cls(step, ready_for, state, average.weights, memory)

    def restore(self, network: Network) -> None:
        """Raises BadWeights where the checkpoint is of another network."""
        variables = self._variables(network)
        check_weights(self.state, {name: tuple(v.shape) for name, v in variables.items()}, "checkpoint")
        for name, variable in variables.items():
            variable.assign(self.state[name])

    def write(self, path: Path) -> None:
        arrays: dict[str, Any] = {"step": np.int64(self.step), "ready_for": np.int64(self.ready_for)}
        for part in ("state", "average", "memory"):
            arrays |= {f"{part}/{name}": value for name, value in getattr(self, part).items()}
        with replacing(path) as file:
            np.savez(file, **arrays)

    @classmethod
    def read(cls, path: Path) -> "Checkpoint":
        """Raises BadInput for a file that is damaged, or none of these."""
        try:
            with open_regular(path) as opened, np.load(opened, allow_pickle=False) as file:
                parts: dict[str, dict[str, NDArray[Any]]] = {"state": {}, "average": {}, "memory": {}}
                for name in file.files:
                    part, _, rest = name.partition("/")
                    if rest:
                        parts[part][rest] = file[name]
                return cls(int(file["step"]), int(file["ready_for"]), **parts)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise BadInput(f"{path}: not a checkpoint that can be read ({error}); remove it to begin anew") from error
