"""Record what MLflow's own pages ask: walk through them in Chromium on a real MLflow server, and write their requests down.

    MLFLOW_PYTHON=/path/to/python .venv/bin/python tools/record_stock_calls.py

Each request is written once, into tests/wire/stock_calls.json.xz, with its status and the names and kinds in its answer;
tests/wire/test_stock_pages.py sends them to our server. Ids are names of what tests/stock_seed.py puts there.
"""

import json
import lzma
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
RECORDED = ROOT / "tests" / "wire" / "stock_calls.json.xz"
sys.path.insert(0, str(ROOT / "tests"))


def main() -> None:
    """Record; say how many requests."""
    import mlflow_server
    from stock_pages import recorded, walked
    from stock_seed import seed

    if (reason := mlflow_server.why_not()) is not None:
        sys.exit(reason)
    with tempfile.TemporaryDirectory() as folder, mlflow_server.running(Path(folder)) as url:
        calls = recorded(walked(url, seed(url)))
    lines = ",\n".join(json.dumps(call, ensure_ascii=False) for call in calls)
    RECORDED.write_bytes(lzma.compress(f"[\n{lines}\n]\n".encode(), preset=9))
    print(f"{len(calls)} requests in {RECORDED.relative_to(ROOT)}, {RECORDED.stat().st_size} bytes")


if __name__ == "__main__":
    main()
