"""What using the pages costs: a filter that is typed, a pointer on compared runs, an address that is passed on; and building them."""

import importlib.util
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import ui_seed
from browser import Figures, Visit, quoted

ROOT = Path(__file__).parents[1]

# A pointer that goes over an element in every frame; the times between frames.
_POINT = """async selector => {
  const element = document.querySelector(selector);
  element.scrollIntoView({block: 'center'});
  const box = element.getBoundingClientRect();
  const times = [];
  let last = await new Promise(requestAnimationFrame);
  for (let at = 0; at < 120; at++) {
    const clientX = box.left + 20 + (at * 9) % (box.width - 40), clientY = box.top + 10 + (at * 5) % (box.height - 20);
    const there = document.elementFromPoint(clientX, clientY) ?? element;
    for (const type of ['pointerover', 'pointermove', 'mouseover', 'mousemove'])
      there.dispatchEvent(new (type.startsWith('p') ? PointerEvent : MouseEvent)(type, {bubbles: true, clientX, clientY}));
    const now = await new Promise(requestAnimationFrame);
    times.push(now - last);
    last = now;
  }
  times.sort((one, other) => one - other);
  return {median: times[60], p95: times[113]};
}"""


def typed(there: Visit) -> Figures:
    """Type three filters, none applied: the longest of the times until the page says how many runs each would find."""
    texts = (ui_seed.FILTER, "params.model = 'vit-s'", "metrics.`val/acc` > 0.9")  # of different counts
    times = [
        there.timed(
            "window.__counted = document.querySelector('.filter .would').textContent;"
            "const box = document.querySelector('#filter'); box.focus();"
            f"box.value = {quoted(text)}; box.dispatchEvent(new InputEvent('input', {{bubbles: true}}));",
            # while an answer is on its way, the count before ends with three dots
            "(text => text !== window.__counted && /^[\\d,]+ runs?$/.test(text))(document.querySelector('.filter .would').textContent)",
        )
        for text in texts
    ]
    return {"typed_ms": max(times)}


def pointed(there: Visit) -> Figures:
    """Move a pointer over the table and the parallel coordinates of compared runs; the slower of both."""
    seen = [there.page.evaluate(_POINT, selector) for selector in (".parallel .surface", ".diff-table tbody")]
    return {name: max(each[name] for each in seen) for name in ("median", "p95")}


def shape_a_table(there: Visit) -> str:
    """Filter, sort, select, and group as a user would; return the address that then shows it."""
    page = there.page
    box = page.locator("#filter")
    box.fill(ui_seed.FILTER)
    box.press("Enter")
    page.wait_for_function("() => location.search.includes('filter=')")
    there.settle()
    page.locator("[role=columnheader]", has_text=ui_seed.METRICS[0]).first.click()
    page.wait_for_function("() => location.search.includes('order=')")
    there.settle()
    for place in (0, 2):
        page.locator(".grid .line input[type=checkbox]").nth(place).check()
    page.wait_for_function("() => location.search.includes('chosen=')")
    there.settle()
    address = urlsplit(page.url)
    return f"{address.path}?{address.query}"


def seen_of(there: Visit) -> list[str]:
    """Return what a page says, line by line, and what is filled in and chosen on it."""
    values = "[...document.querySelectorAll('main input')].map(each => each.type === 'checkbox' ? String(each.checked) : each.value)"
    text: str = there.page.evaluate("document.querySelector('main').innerText")
    found: list[Any] = there.page.evaluate(values)
    return [*text.splitlines(), *map(str, found)]


def build_seconds() -> Figures:
    """Build the pages in a copy of their sources that nothing was installed in."""
    spec = importlib.util.spec_from_file_location("ui_build", ROOT / "ui" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    with tempfile.TemporaryDirectory(prefix="ui-build-") as folder:
        root = Path(folder)
        shutil.copytree(ROOT / "ui", root / "ui", ignore=shutil.ignore_patterns("node_modules"))
        (root / "src" / "slipstream" / "server").mkdir(parents=True)
        begin = time.monotonic()
        build._npm(root, "ci", "--no-audit", "--no-fund")
        installed = time.monotonic()
        build._npm(root, "run", "build")
        return {"install_s": installed - begin, "bundle_s": time.monotonic() - installed}
