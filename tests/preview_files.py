"""Files of all kinds that the browser shows."""

import base64
import io
import json
import math
import struct
import wave
import zipfile

import pytest

from logged_run import notebook, png

MLMODEL = """artifact_path: model
flavors:
  python_function:
    loader_module: mlflow.sklearn
    python_version: 3.12.4
  sklearn:
    pickled_model: model.pkl
    sklearn_version: 1.5.0
mlflow_version: 3.17.2
signature:
  inputs: '[{"type": "double", "name": "x", "required": true}, {"type": "string", "name":
    "y", "required": false}]'
  outputs: '[{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 3]}}]'
  params: null
"""
PDF = b"""%PDF-1.4
1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj
2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj
3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]>>endobj
trailer<</Root 1 0 R>>
%%EOF"""
REPORT = """<html><head><style>p { color: rgb(1, 2, 3) }</style></head><body><p id="p" style="margin-left: 7px">still</p>
<script>document.getElementById("p").textContent = "scripts ran"</script></body></html>"""


def sound() -> bytes:
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(b"".join(struct.pack("<h", int(9000 * math.sin(n / 5))) for n in range(8000)))
    return target.getvalue()


def parquet() -> bytes:
    pyarrow = pytest.importorskip("pyarrow", reason="Parquet files are made by pyarrow")
    from pyarrow import parquet as files

    target = io.BytesIO()
    table = pyarrow.Table.from_arrays(
        [
            pyarrow.array([1, 2, 3], pyarrow.int64()),
            pyarrow.array(["x", "y", None], pyarrow.string()),
            pyarrow.array([[1], [2, 3], []], pyarrow.list_(pyarrow.int32())),
        ],
        names=["number", "text", "list"],
    )
    files.write_table(table, target)
    return target.getvalue()


def archive() -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("folder/grüße.txt", "hello " * 100)
        file.writestr("b.txt", "b")
        file.comment = b"a comment"
    return target.getvalue()


FILES: dict[str, str | bytes] = {
    "table.csv": "name,score,comment\n" + "".join(f'n{n},{n * 0.5},"a, ""b"" {n}"\n' for n in range(5000)),
    "table.tsv": "a\tb\n1\t2\n",
    "config.yaml": "lr: 0.1 # rate\nlayers:\n  - a\n",
    "data.json": json.dumps({"a": [1, 2, {"b": None}], "many": list(range(1000)), "c": "text"}),
    "log_table.json": json.dumps({"columns": ["q", "a"], "data": [["why", 1], ["how", 2]]}),
    "broken.json": '{"a": ',
    "notes.md": "# Title\n\n*text* <b>not bold</b>\n\n```python\nx = 1\n```\n",
    "train.py": 'def f(x):\n    """Doc."""\n    return x  # c\n',
    "plots/red.png": png(),
    "plots/shape.svg": "<svg xmlns='http://www.w3.org/2000/svg' width='90' height='60'><rect width='90' height='60'/></svg>",
    "sound.wav": sound(),
    "film.mp4": b"\0\0\0\x18ftypmp42 this is no film",
    "doc.pdf": PDF,
    "report.html": REPORT,
    "nb.ipynb": notebook(
        {"cell_type": "markdown", "metadata": {}, "source": ["# Study\n", "of *things*"]},
        {
            "cell_type": "code",
            "execution_count": 7,
            "metadata": {},
            "source": "df.head()",
            "outputs": [
                {"output_type": "stream", "name": "stdout", "text": "printed\n"},
                {
                    "output_type": "execute_result",
                    "data": {"text/html": "<table><tr><td>in a table</td></tr></table>"},
                },
                {"output_type": "display_data", "data": {"image/png": base64.b64encode(png()).decode()}},
                {"output_type": "error", "traceback": ["\x1b[31mValueError\x1b[0m: bad"]},
            ],
        },
    ),
    "change.patch": "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-old\n+new\n",
    "packed.zip": archive(),
    "no_archive.pt": b"\x80\x02}q\x00.",
    "weights.bin": bytes(range(256)) * 20,
    "array.npy": b"\x93NUMPY\x01\x00v\x00{'descr': '<f8'}",
    "empty.txt": "",
    "utf16.txt": "grüße".encode("utf-16"),
    "big.log": "line\n" * 200_000,
    "model/MLmodel": MLMODEL,
    "model/requirements.txt": "scikit-learn==1.5.0\n",
    **{f"many/{n}.txt": str(n) for n in range(450)},
}
