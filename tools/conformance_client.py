"""Run the kit's tests of the client with slipstream in the place of mlflow, against a slipstream server.

    python tools/conformance_client.py FOLDER_OF_THE_KIT

The tests say `import mlflow`; `slipstream exec` gives them slipstream. With CANDIDATE_URL in the environment, that
server is used and none is started. Prints how many tests pass, and what the others say. Exit code 1 when a test fails
that .ci/conformance-client-absent does not name, or one passes that it names.
"""

import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path

from conformance import server

ABSENT = Path(__file__).parent.parent / ".ci" / "conformance-client-absent"
RUN_SECONDS = 600


def run(kit: Path, url: str, report: Path) -> None:
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "MLFLOW_", "SLIPSTREAM_"))},
        "CANDIDATE_URL": url,
        "PYTHONDONTWRITEBYTECODE": "1",
        "MPLBACKEND": "agg",
    }
    program = str(Path(sys.executable).with_name("slipstream"))
    argv = [program, "exec", "-m", "pytest", "open/client", "-q", "--tb=short", "-p", "no:cacheprovider"]
    argv += ["-p", "no:randomly", "-p", "no:xdist", f"--junitxml={report}"]
    done = subprocess.run(
        argv, cwd=kit, env=environment, capture_output=True, text=True, timeout=RUN_SECONDS, check=False
    )
    if done.returncode not in (0, 1):
        sys.exit(
            f"The kit could not run (exit code {done.returncode}):\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
        )


def main(arguments: list[str]) -> int:
    if not arguments:
        sys.exit(__doc__)
    kit = Path(arguments[0]).resolve()
    with tempfile.TemporaryDirectory(prefix="slipstream-conformance-") as name:
        folder = Path(name)
        report = folder / "report.xml"
        if running := os.environ.get("CANDIDATE_URL"):
            run(kit, running, report)
        else:
            with server(folder) as url:
                run(kit, url, report)
        cases = list(ET.parse(report).getroot().iter("testcase"))
    absent = {line.split("#")[0].strip() for line in ABSENT.read_text("utf-8").splitlines()} - {""}
    failed: set[str] = set()
    for case in cases:
        problems = [each for tag in ("failure", "error", "skipped") if (each := case.find(tag)) is not None]
        if problems:
            failed.add(test := case.get("name", ""))
            print(
                f"{'not there' if test in absent else 'FAILS'}: {test}: {problems[0].get('message', '')[:300]}"
            )
    if not cases:
        sys.exit("The kit ran no test.")
    unexpected = failed ^ absent
    print(
        f"conformance-client: {len(cases) - len(failed)} of {len(cases)} tests pass, {len(failed & absent)} ask for "
        "what is not there"
    )
    if unexpected:
        print(f"not as {ABSENT.name} says: {', '.join(sorted(unexpected))}")
    return 1 if unexpected else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
