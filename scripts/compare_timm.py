"""Compare our BiT-R50x1 with timm's resnetv2_50x1_bit on random weights in the released .npz layout.

    python3 -m venv /tmp/timm && /tmp/timm/bin/pip install torch numpy pillow huggingface_hub safetensors pyyaml
    /tmp/timm/bin/pip install --no-deps timm
    .venv/bin/python scripts/compare_timm.py /tmp/timm/bin/python

The other Python runs this same file to compute timm's features. timm imports torchvision for its data loading, which is
not used here; where torchvision is not installed, empty modules stand in for it, so that the network itself is timm's.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

EDGE = 224
IMAGES = 4
LARGEST_DIFFERENCE = 1e-4


def random_release(path: Path) -> None:
    """Random weights in the layout of BiT-M-R50x1.npz, with a head of 21 classes."""
    from neardup.embedding.architecture import Architecture

    rng = np.random.default_rng(0)
    weights = {}
    architecture = Architecture((3, 4, 6, 3), 1, 32, "average", None)
    head = {"resnet/head/conv2d/kernel": (1, 1, 2048, 21), "resnet/head/conv2d/bias": (21,)}
    for name, shape in (architecture.parameters() | head).items():
        drawn = rng.standard_normal(shape).astype(np.float32)
        weights[name] = 1 + 0.2 * drawn if name.endswith("gamma") else 0.2 * drawn
    np.savez(path, **weights)


def our_features(npz: Path, pixels: np.ndarray) -> np.ndarray:
    """The 2048 features before normalisation to unit rows, in float32."""
    import keras

    from neardup.embedding.bit import build_bit, set_weights
    from neardup.embedding.importing import load_released

    architecture, weights = load_released(npz)
    network = build_bit(architecture, EDGE)
    set_weights(network, weights)
    features = keras.Model(network.input, network.layers[-2].output)
    return np.asarray(features(pixels, training=False))


def timm_features(npz: Path, pixels: np.ndarray) -> np.ndarray:
    try:
        import torchvision  # noqa: F401
    except ImportError:
        stand_in_for_torchvision()
    import timm
    import torch

    network = timm.create_model("resnetv2_50x1_bit", pretrained=False, num_classes=21)
    network.load_pretrained(str(npz))
    network.reset_classifier(0)
    network.eval()
    inputs = torch.from_numpy(pixels.astype(np.float32).transpose(0, 3, 1, 2) / 127.5 - 1)
    with torch.no_grad():
        return network(inputs).numpy()


def stand_in_for_torchvision() -> None:
    """Modules whose attributes are empty classes, and theirs too: what is used of torchvision fails."""
    import importlib.abc
    import importlib.machinery
    import types

    class Empty(type):
        def __getattr__(cls, name: str) -> type:
            if name.startswith("__"):
                raise AttributeError(name)
            return Empty(name, (), {})

    class Module(types.ModuleType):
        def __getattr__(self, name: str) -> type:
            if name.startswith("__"):
                raise AttributeError(name)
            return Empty(name, (), {})

    class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
        def find_spec(self, name: str, path: object = None, target: object = None) -> object:
            if name.partition(".")[0] == "torchvision":
                return importlib.machinery.ModuleSpec(name, self, is_package=True)
            return None

        def create_module(self, spec: importlib.machinery.ModuleSpec) -> Module:
            return Module(spec.name)

        def exec_module(self, module: types.ModuleType) -> None:
            pass

    sys.meta_path.append(Finder())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("timm_python", help="a Python that imports timm and torch")
    parser.add_argument("--timm-side", type=Path, metavar="FOLDER", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.timm_side:
        folder = arguments.timm_side
        np.save(folder / "timm.npy", timm_features(folder / "release.npz", np.load(folder / "pixels.npy")))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        random_release(folder / "release.npz")
        pixels = np.random.default_rng(1).integers(0, 256, (IMAGES, EDGE, EDGE, 3)).astype(np.uint8)
        pixels[1, 60:160, 60:160] = 255
        pixels[2] //= 8
        np.save(folder / "pixels.npy", pixels)
        subprocess.run([arguments.timm_python, __file__, "-", "--timm-side", name], check=True)
        theirs, ours = np.load(folder / "timm.npy"), our_features(folder / "release.npz", pixels)
    difference = float(np.abs(theirs - ours).max())
    spread = float(theirs.std())
    print(f"{theirs.shape[1]} features of {IMAGES} images, standard deviation {spread:.3f}, mean {theirs.mean():.3f}:")
    print(f"largest difference {difference:.1e}, wanted below {LARGEST_DIFFERENCE:.0e}")
    sys.exit(difference >= LARGEST_DIFFERENCE)


if __name__ == "__main__":
    main()
