"""What may import what inside `embedding`: engines run models, conversion makes what some of them run."""

import ast
from pathlib import Path

import neardup.embedding

PACKAGE = "neardup.embedding"
FOLDER = Path(neardup.embedding.__file__).parent
# Lowest first; a module may import those of its own row, and of rows before it.
ROWS = (
    ("hardware", "architecture", "preprocess", "parts", "agreement", "thresholds"),
    ("runtimes", "model", "weights", "bit"),
    ("variants", "onnx_graph"),
    ("engines", "export"),
    ("", "conversion"),
    ("trial", "onnx_wrap", "importing_onnx", "importing", "catalogue", "download"),
)


def test_imports_go_downwards():
    row_of = {name: row for row, names in enumerate(ROWS) for name in names}
    for path in FOLDER.rglob("*.py"):
        here = path.relative_to(FOLDER).with_suffix("").parts[0].removesuffix("__init__")
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                if name == PACKAGE or name.startswith(PACKAGE + "."):
                    there = name.removeprefix(PACKAGE).lstrip(".").partition(".")[0]
                    assert row_of[there] <= row_of[here], f"{path}: imports {name}"
