"""Start a slipstream server and compare its answers, step by step, with recorded ones of MLflow.

    python tools/conformance.py FOLDER_OF_THE_KIT [--all]

With CANDIDATE_URL in the environment, that server is compared and none is started.
The kit is a folder with `kit/` and `open/test_scenarios.py`; it is only read. Prints how many steps agree in each
area and which do not. Exit code 1 when an area named in .ci/conformance-floor is below its floor; a step that
differs is not an error by itself. `--all` prints the differences in full.
"""

import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FLOOR = Path(__file__).parent.parent / ".ci" / "conformance-floor"
START_SECONDS = 60
RUN_SECONDS = 900


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """Run `slipstream server` in `folder` for the time of the block; the value is its address."""
    url = f"http://127.0.0.1:{(port := free_port())}"
    program = Path(sys.executable).with_name("slipstream")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("SLIPSTREAM_", "MLFLOW_"))}
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(program), "server", "--host", "127.0.0.1", "--port", str(port)],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_until_healthy(url, process, log)
            yield url
            if process.poll() is not None:
                sys.exit(f"The server ended during the run:\n{log.read_text('utf-8', 'replace')[-4000:]}")
        finally:
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_until_healthy(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=2) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    sys.exit(f"The server did not start:\n{log.read_text('utf-8', 'replace')[-4000:]}")


def areas(kit: Path) -> dict[str, str]:
    """Return the area of each scenario by its name."""
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(kit))
    from kit import load  # pyright: ignore[reportMissingImports]  # the folder was named on the command line

    return {scenario.name: scenario.area for scenario in load.scenarios(kit / "open")}


def floors() -> dict[str, float]:
    lines = (line.split("#")[0].split() for line in FLOOR.read_text("utf-8").splitlines())
    return {words[0]: float(words[1]) for words in lines if words}


def run(kit: Path, url: str, report: Path) -> str:
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "MLFLOW_", "SLIPSTREAM_"))},
        "CANDIDATE_URL": url,
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    argv = [
        sys.executable,
        "-m",
        "pytest",
        "open/test_scenarios.py",
        "-q",
        "--tb=short",
        "-p",
        "no:cacheprovider",
    ]
    argv += ["-p", "no:randomly", "-p", "no:xdist", f"--junitxml={report}"]
    done = subprocess.run(
        argv, cwd=kit, env=environment, capture_output=True, text=True, timeout=RUN_SECONDS, check=False
    )
    if done.returncode not in (0, 1):
        sys.exit(
            f"The kit could not run (exit code {done.returncode}):\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
        )
    return done.stdout


def read(report: Path) -> tuple[Counter[str], Counter[str], list[tuple[str, str]]]:
    """Return steps compared and steps agreed by scenario, and (step, difference) of the rest."""
    total: Counter[str] = Counter()
    agreed: Counter[str] = Counter()
    differences: list[tuple[str, str]] = []
    for case in ET.parse(report).getroot().iter("testcase"):
        named = re.search(r"\[(.+)-\d+\]$", case.get("name", ""))
        if named is None or case.find("skipped") is not None:
            continue
        total[named[1]] += 1
        problem = case.find("failure") if case.find("failure") is not None else case.find("error")
        if problem is None:
            agreed[named[1]] += 1
        else:
            differences.append((case.get("name", "")[10:-1], problem.text or problem.get("message") or ""))
    return total, agreed, differences


def main(arguments: list[str]) -> int:
    if not arguments:
        sys.exit(__doc__)
    kit = Path(arguments[0]).resolve()
    area_of = areas(kit)
    with tempfile.TemporaryDirectory(prefix="slipstream-conformance-") as name:
        folder = Path(name)
        if running := os.environ.get("CANDIDATE_URL"):
            run(kit, running, folder / "report.xml")
        else:
            with server(folder) as url:
                run(kit, url, folder / "report.xml")
        total, agreed, differences = read(folder / "report.xml")
    if not total:
        sys.exit("The kit compared no step.")
    for step, text in differences:
        lines = [line for line in text.strip().splitlines() if line.strip()]
        print(f"differs: {step}: {lines[0] if lines else ''}")
        for line in lines[1:] if "--all" in arguments else lines[1:3]:
            print(f"    {line.strip()[:300]}")
    by_area: dict[str, list[int]] = {}
    for scenario, count in total.items():
        row = by_area.setdefault(area_of[scenario], [0, 0])
        row[0] += agreed[scenario]
        row[1] += count
    low: list[str] = []
    floor = floors()
    for area, (good, count) in sorted(by_area.items()):
        share = 100 * good / count
        needed = floor.get(area)
        print(
            f"{area:<15} {good:>4} of {count:<4} {share:5.1f} %  "
            + (f"floor {needed:g} %" if needed else "no floor yet")
        )
        if needed is not None and share < needed:
            low.append(area)
    if absent := floor.keys() - by_area.keys():
        low.extend(sorted(absent))
    print(f"conformance: {sum(agreed.values())} of {sum(total.values())} steps agree")
    if low:
        print(f"below the floor of {FLOOR.name}: {', '.join(low)}")
    return 1 if low else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
