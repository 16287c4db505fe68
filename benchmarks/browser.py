"""One address in a fresh Chromium: what it costs until it is there, and what using it costs.

Figures come from the browser itself, over its debugging protocol, and from the kernel. A visit begins with an empty
profile and an empty cache; hosts other than this machine are blocked, and counted. Linux only.
"""

import contextlib
import json
import os
import re
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import CDPSession, Page, Playwright
from playwright.sync_api import TimeoutError as TooLate

Figures = dict[str, float]
ARGUMENTS = [
    "--disable-gpu", "--no-sandbox", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-default-apps", "--disable-quic",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # Playwright's way of blocking would turn the cache off
]  # fmt: skip
SCREEN = {"width": 1440, "height": 900}
_TICKS = os.sysconf("SC_CLK_TCK")
_QUIET_S = 0.7
_SETTLE_S = 8.0
_CALM_MS = 300
"""So long without a long task: then a page can be used."""

# `shown` is looked at in every frame, as a user would.
_WATCH = """(() => {
  if (window.top !== window) return;
  const seen = window.__seen = {long: [], shift: 0, paint: null, there: null};
  const observe = (type, call) => {
    try { new PerformanceObserver(list => list.getEntries().forEach(call)).observe({type, buffered: true}); } catch {}
  };
  observe('longtask', entry => seen.long.push([entry.startTime, entry.duration]));
  observe('layout-shift', entry => { if (!entry.hadRecentInput) seen.shift += entry.value; });
  observe('paint', entry => { if (entry.name === 'first-contentful-paint') seen.paint = entry.startTime; });
  const isThere = () => { try { return Boolean(SHOWN); } catch { return false; } };
  const look = () => {
    if (document.body && isThere()) seen.there = performance.now();
    else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})();"""

# How slow the machine is at this moment: the same sum each time.
_CALIBRATE = """(() => {
  const begin = performance.now();
  let sum = 1;
  for (let at = 0; at < 2e7; at++) sum = (Math.imul(sum, 1664525) + 1013904223) | 0;
  window.__sum = sum;
  return performance.now() - begin;
})()"""

# A brisk fling of 3,000 px a second for three seconds, there and back.
_FLING = """async ([selector, blank]) => {
  const element = document.querySelector(selector);
  const most = element.scrollHeight - element.clientHeight;
  if (most < 100) return null;
  const box = element.getBoundingClientRect();
  const places = [[.1, .3], [.1, .5], [.1, .7], [.4, .5]].map(
    ([x, y]) => [box.left + Math.min(box.width, innerWidth - box.left) * x, box.top + Math.min(box.height, innerHeight - box.top) * y]);
  element.scrollTop = 0;
  await new Promise(go => setTimeout(go, 300));
  const frames = [];
  let blanks = 0, last = await new Promise(requestAnimationFrame);
  const begin = last;
  for (;;) {
    const at = ((last - begin) * 3) % (2 * most);
    element.scrollTop = at > most ? 2 * most - at : at;
    const now = await new Promise(requestAnimationFrame);
    frames.push(now - last);
    last = now;
    const isBlank = places.every(([x, y]) => {
      const there = document.elementFromPoint(x, y);
      const text = (there?.textContent ?? '').trim();
      return !text || text.length > 2000 || (blank && there.querySelector(blank));
    });
    blanks += isBlank;
    if (now - begin > 3000) break;
  }
  frames.sort((one, other) => one - other);
  const sum = frames.reduce((one, other) => one + other, 0);
  return {fps: 1000 * frames.length / sum, median: frames[Math.floor(frames.length / 2)],
          p95: frames[Math.floor(frames.length * .95)], frames: frames.length, blank: blanks / frames.length};
}"""


class Traffic:
    """What goes over the wire, as the browser counts it."""

    def __init__(self, session: CDPSession, base: str) -> None:
        self.kinds: dict[str, str] = {}
        self.urls: dict[str, str] = {}
        self.sizes: dict[str, float] = {}
        self.foreign: list[str] = []
        self.cached: set[str] = set()
        self._base = base
        self._open: set[str] = set()
        self._last = time.monotonic()
        session.send("Network.enable")
        session.on("Network.requestWillBeSent", self._began)
        session.on("Network.requestServedFromCache", lambda event: self.cached.add(event["requestId"]))
        session.on(
            "Network.responseReceived",
            lambda event: event["response"].get("fromDiskCache") and self.cached.add(event["requestId"]),
        )
        session.on("Network.loadingFinished", self._ended)
        session.on("Network.loadingFailed", self._failed)

    def _began(self, event: dict[str, Any]) -> None:
        url = event["request"]["url"]
        if url.startswith(("data:", "blob:", "about:", "chrome")):
            return
        if not url.startswith(self._base):
            self.foreign.append(url)
            return
        number = event["requestId"]
        self.kinds[number] = event.get("type", "Other")
        self.urls[number] = url
        self._last = time.monotonic()
        # A stream of changes stays open: it is counted as a request, but not waited for.
        if event.get("type") not in {"EventSource", "WebSocket"} and not re.search(r"/v1/events\b", url):
            self._open.add(number)

    def _ended(self, event: dict[str, Any]) -> None:
        if event["requestId"] in self.kinds:
            self.sizes[event["requestId"]] = event["encodedDataLength"]
        self._failed(event)

    def _failed(self, event: dict[str, Any]) -> None:
        self._open.discard(event["requestId"])
        self._last = time.monotonic()

    @property
    def is_calm(self) -> bool:
        return not self._open and time.monotonic() - self._last > _QUIET_S

    def kb(self, *kinds: str) -> float:
        wanted = [size for number, size in self.sizes.items() if not kinds or self.kinds[number] in kinds]
        return sum(wanted) / 1000

    def count(self) -> int:
        return len(self.kinds)

    def on_wire(self) -> int:
        """Return how many requests were not answered from the browser's cache."""
        return len(self.kinds.keys() - self.cached)

    def reads(self, pattern: str) -> int:
        return sum(bool(re.search(pattern, url)) for url in self.urls.values())


class Visit:
    """A page that is open. `figures` are those of its load."""

    def __init__(self, page: Page, traffic: Traffic, session: CDPSession, profile: Path) -> None:
        self.page = page
        self.traffic = traffic
        self.figures: Figures = {}
        self._session = session
        self._profile = profile

    def open(self, url: str, patience_s: float) -> None:
        before = self.cpu()
        self.figures["load1"] = os.getloadavg()[0]
        self.page.goto(url, wait_until="commit", timeout=patience_s * 1000)
        with contextlib.suppress(TooLate):
            self.page.wait_for_function(
                "() => window.__seen && window.__seen.there !== null", timeout=patience_s * 1000
            )
        self.settle()
        seen = self.page.evaluate("window.__seen")
        self.figures["cpu_s"] = self.cpu() - before
        tasks = sorted(seen["long"])
        self.figures |= {
            "requests": self.traffic.count(),
            "kb": self.traffic.kb(),
            "kb_js": self.traffic.kb("Script"),
            "kb_css": self.traffic.kb("Stylesheet"),
            "kb_api": self.traffic.kb("Fetch", "XHR"),
            "foreign": len(self.traffic.foreign),
            "paint_ms": seen["paint"] or 0,
            "tbt_ms": sum(max(0, length - 50) for _, length in tasks),
            "longest_ms": max((length for _, length in tasks), default=0),
            "shift": seen["shift"],
        }
        there = seen["there"]
        if there is None:
            self.figures["missing"] = 1
        else:
            usable = there
            for start, length in tasks:
                if usable < start + length and start - usable < _CALM_MS:
                    usable = start + length
            self.figures |= {
                "rows_ms": there,
                "usable_ms": usable,
                "longest_after_ms": max(
                    (length for start, length in tasks if start + length > there), default=0
                ),
            }
        self.figures |= self.memory()

    def settle(self, limit_s: float = _SETTLE_S) -> None:
        """Wait until nothing is under way."""
        end = time.monotonic() + limit_s
        while time.monotonic() < end:
            self.page.wait_for_timeout(100)
            if self.traffic.is_calm:
                return

    def memory(self) -> Figures:
        for _ in range(3):  # what the first frees lets go of other things
            self._session.send("HeapProfiler.collectGarbage")
        now = self._counters()
        return {"heap_mb": now["JSHeapUsedSize"] / 1e6, "nodes": self.page.evaluate("document.querySelectorAll('*').length"), "dom_nodes": now["Nodes"]}  # fmt: skip

    def _counters(self) -> Figures:
        return {
            each["name"]: each["value"] for each in self._session.send("Performance.getMetrics")["metrics"]
        }

    def fling(self, selector: str, blank: str | None = None) -> Figures:
        """Scroll an element fast; return frames a second, and what a frame costs the main thread."""
        requests, size, before = self.traffic.count(), self.traffic.kb(), self._counters()
        found: Figures | None = self.page.evaluate(_FLING, [selector, blank])
        if found is None:
            return {}
        after = self._counters()
        spent = sum(
            after[name] - before[name] for name in ("ScriptDuration", "LayoutDuration", "RecalcStyleDuration")
        )
        self.settle()
        return {
            **found,
            "work_ms": 1000 * spent / found["frames"],
            "requests": self.traffic.count() - requests,
            "kb": self.traffic.kb() - size,
        }

    def timed(self, act: str, until: str, patience_s: float = 60) -> float:
        """Run `act` in the page, and return the ms until `until` is true, seen frame by frame; both are JavaScript."""
        return self.page.evaluate(
            """async ([act, until, patience]) => {
                const isDone = new Function('return Boolean(' + until + ')');
                const begin = performance.now();
                new Function(act)();
                for (;;) {
                    try { if (isDone()) return performance.now() - begin; } catch {}
                    if (performance.now() - begin > patience) throw new Error('never: ' + until);
                    await new Promise(requestAnimationFrame);
                }
            }""",
            [act, until, patience_s * 1000],
        )

    def cpu(self) -> float:
        """Return the CPU seconds of all processes of this browser so far."""
        parents: dict[int, int] = {}
        ticks: dict[int, int] = {}
        ours: set[int] = set()
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            pid = int(entry.name)
            try:
                fields = (entry / "stat").read_text("utf-8", "replace").rsplit(")", 1)[1].split()
                is_ours = str(self._profile).encode() in (entry / "cmdline").read_bytes()
            except OSError:
                continue  # it has just ended
            parents[pid], ticks[pid] = int(fields[1]), int(fields[11]) + int(fields[12])
            if is_ours:
                ours.add(pid)
        grew = True
        while grew:
            more = {pid for pid, parent in parents.items() if parent in ours} - ours
            ours |= more
            grew = bool(more)
        return sum(ticks.get(pid, 0) for pid in ours) / _TICKS


@contextlib.contextmanager
def visit(
    playwright: Playwright,
    base: str,
    path: str,
    shown: str,
    *,
    patience_s: float = 60,
    width: int = SCREEN["width"],
    scheme: str = "light",
    touch: bool = False,
    answers: list[Any] | None = None,
) -> Iterator[Visit]:
    """Open `base + path` in a browser of its own, and wait until `shown` (JavaScript) is true and nothing is under way.

    `answers` gets each response.
    """
    profile = Path(tempfile.mkdtemp(prefix="ui-bench-"))
    context = playwright.chromium.launch_persistent_context(
        str(profile),
        executable_path=chromium(),
        args=ARGUMENTS,
        viewport={"width": width, "height": SCREEN["height"]},
        has_touch=touch,
        color_scheme="dark" if scheme == "dark" else "light",
        bypass_csp=True,  # the measuring code is put into the page as text, which slipstream's pages forbid
    )
    try:
        page = context.pages[0] if context.pages else context.new_page()
        if answers is not None:
            page.on("response", lambda answer: answers.append(answer))  # noqa: PLW0108  # Playwright writes on what it calls
        page.add_init_script(_WATCH.replace("SHOWN", shown))
        session = context.new_cdp_session(page)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})
        found = Visit(page, Traffic(session, base), session, profile)
        found.figures["calibration_ms"] = page.evaluate(_CALIBRATE)
        found.open(base + path, patience_s)
        yield found
    finally:
        context.close()
        shutil.rmtree(profile, ignore_errors=True)


def chromium() -> str:
    """Return the browser's program: CHROMIUM, or what Debian, Fedora and Google call it."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if found is None:
        raise SystemExit(
            "There is no Chromium on this machine (Debian: apt-get install chromium), or name it with CHROMIUM=..."
        )
    return found


def medians(repetitions: list[Figures]) -> Figures:
    """Return the median of each figure over those repetitions that have it."""
    names = {name for each in repetitions for name in each}
    return {name: statistics.median(each[name] for each in repetitions if name in each) for name in names}


def quoted(text: str) -> str:
    """Return text as a JavaScript string."""
    return json.dumps(text)
