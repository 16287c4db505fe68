"""Export a model to ONNX Runtime GenAI's format, with that library's own builder.

    python export_onnx.py --model tiny-phi3 --precision int4      # writes tiny-phi3-onnx-int4

`--model` is a local folder, or a name on the hub such as microsoft/Phi-3-mini-4k-instruct. Needs onnxruntime-genai,
onnx, onnx-ir, torch and transformers.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path


def export(model: str, folder: Path, precision: str) -> None:
    """Write a model for the CPU into a folder."""
    given = ["-i", model] if Path(model).is_dir() else ["-m", model]
    # The builder starts programs of its own environment by their names.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    with tempfile.TemporaryDirectory() as cache:
        builder = [sys.executable, "-m", "onnxruntime_genai.models.builder", *given]
        subprocess.run(
            [*builder, "-o", str(folder), "-p", precision, "-e", "cpu", "-c", cache],
            env={**os.environ, "PATH": path},
            check=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description="Export a model to ONNX Runtime GenAI's format.")
    parser.add_argument("--model", default="tiny-phi3", help="a folder, or a name on the hub")
    parser.add_argument("--precision", choices=["int4", "fp32"], default="int4")
    parser.add_argument(
        "--folder", type=Path, help="where to write (default: the model's name and the precision)"
    )
    arguments = parser.parse_args()
    folder = arguments.folder or Path(f"{Path(arguments.model).name}-onnx-{arguments.precision}")
    export(arguments.model, folder, arguments.precision)
    print(f"written to {folder}")


if __name__ == "__main__":
    main()
