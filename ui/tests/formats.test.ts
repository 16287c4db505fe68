import { describe, expect, it } from "vitest";
import { isBinary, kindOf } from "../src/artifacts/kinds";
import { asItEnded, parseAnsi } from "../src/formats/ansi";
import { NUMBER, parseDelimited, separatorOf } from "../src/formats/delimited";
import { parseDiff } from "../src/formats/diff";
import { highlight } from "../src/formats/highlight";
import { parseNotebook } from "../src/formats/notebook";
import { footerLength, ParquetError, readFooter } from "../src/formats/parquet_footer";
import { PageCount, TooLargeError } from "../src/formats/parquet_pages";
import { cellText } from "../src/formats/parquet_rows";
import { parseYaml } from "../src/formats/small_yaml";
import { shellQuote } from "../src/lib/shell_words";
import { visible, visibleLine } from "../src/lib/visible";
import { cut } from "../src/run/printed";

describe("CSV", () => {
  it("takes quotes, line ends within them and doubled ones", () => {
    expect(parseDelimited('a,b\r\n1,"x, ""y""\nz"\n\n2,\n', ",")).toEqual({
      head: ["a", "b"],
      rows: [
        ["1", 'x, "y"\nz'],
        ["2", ""],
      ],
    });
  });

  it("leaves out a row that is cut off, and only that", () => {
    expect(parseDelimited("a,b\n1,2\n3,", ",", true).rows).toEqual([["1", "2"]]);
    expect(parseDelimited("a,b\n1,2\n3,4", ",").rows).toHaveLength(2);
  });

  it("finds what separates", () => {
    expect(separatorOf('"a;b";c;d\n', "x.csv")).toBe(";");
    expect(separatorOf("a,b", "x.tsv")).toBe("\t");
  });

  it("does not need a quote to end", () => {
    expect(parseDelimited('a\n"x', ",").rows).toEqual([["x"]]);
  });
});

describe("YAML that programs write", () => {
  it("reads an MLmodel file", () => {
    const text = `artifact_path: model
flavors:
  python_function:
    env:
      conda: conda.yaml
    loader_module: mlflow.sklearn
    python_version: 3.12.4
  sklearn:
    code: null
    sizes: [1, 2]
    empty: {}
list:
- a: 1
  b: 'it''s'
- - x
  - 2
- "q: \\u00e9"
folded: 'one

  two three
  four'
literal: |
  a
    b
is_signature_from_type_hint: false
`;
    expect(parseYaml(text)).toEqual({
      artifact_path: "model",
      flavors: {
        python_function: {
          env: { conda: "conda.yaml" },
          loader_module: "mlflow.sklearn",
          python_version: "3.12.4",
        },
        sklearn: { code: null, sizes: [1, 2], empty: {} },
      },
      list: [{ a: 1, b: "it's" }, ["x", 2], "q: é"],
      folded: "one\ntwo three four",
      literal: "a\n  b\n",
      is_signature_from_type_hint: false,
    });
  });

  it.each(["a: &x 1", "a: !!python/object x", "a: *x", "a: 1\n b: 2\nc", "a: [1, x]"])(
    "refuses %s",
    (text) => {
      expect(() => parseYaml(text)).toThrow();
    },
  );

  it("has no prototype to be changed", () => {
    const read = parseYaml("__proto__:\n  polluted: 1\n") as Record<string, unknown>;
    expect(Object.keys(read)).toEqual(["__proto__"]);
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
  });
});

describe("patches", () => {
  it("numbers lines and counts what came and went", () => {
    const [first, second] = parseDiff(
      "diff --git a/x.py b/x.py\nindex 1..2\n--- a/x.py\n+++ b/x.py\n@@ -3,3 +3,3 @@ def f\n same\n--- not a file\n+++ neither\n end\n\\ No newline at end of file\ndiff --git a/y b/y\nnew file mode 100644\n@@ -0,0 +1 @@\n+one\n",
    );
    expect(first).toMatchObject({ name: "x.py", added: 1, removed: 1 });
    expect(first?.lines.map((line) => [line.kind, line.before, line.after])).toEqual([
      ["place", undefined, undefined],
      ["same", 3, 3],
      ["removed", 4, undefined],
      ["added", undefined, 4],
      ["same", 5, 5],
      ["note", undefined, undefined],
    ]);
    expect(second).toMatchObject({ name: "y", added: 1, removed: 0 });
  });
});

describe("colours of a terminal", () => {
  it("become kinds, and other sequences nothing", () => {
    expect(parseAnsi("a\u001b[1;31mb\u001b[0mc\u001b[2K\u001b]0;title\u0007d\u001b[38;5;9me")).toEqual([
      { text: "a", kinds: [] },
      { text: "b", kinds: ["red", "bold"] },
      { text: "c", kinds: [] },
      { text: "d", kinds: [] },
      { text: "e", kinds: [] },
    ]);
  });

  it("lines drawn anew are as they ended", () => {
    expect(asItEnded("1%\r50%\r100%\r\nnext\rlast")).toBe("100%\nlast");
  });
});

describe("notebooks", () => {
  it("are read whatever is wrong in them", () => {
    expect(parseNotebook("{")).toBeUndefined();
    expect(parseNotebook("[]")).toBeUndefined();
    expect(
      parseNotebook(
        '{"nbformat": 4, "cells": [null, 3, {"cell_type": "code", "outputs": "x", "source": 5}]}',
      ),
    ).toEqual({
      language: "python",
      cells: [{ kind: "code", source: "", count: undefined, outputs: [] }],
    });
  });

  it("have images only of content that is one", () => {
    const cell = (png: string) =>
      parseNotebook(
        JSON.stringify({
          nbformat: 4,
          cells: [{ cell_type: "code", outputs: [{ data: { "image/png": png, "text/plain": "t" } }] }],
        }),
      )?.cells[0]?.outputs[0]?.kind;
    expect(cell("iVBO\nRw==")).toBe("image");
    expect(cell('"><script>')).toBe("text");
  });
});

describe("a file's kind", () => {
  it.each([
    ["a/MLmodel", "model"],
    ["x.PNG", "image"],
    ["x.svg", "svg"],
    ["x.tar.gz", "other"],
    ["Dockerfile", "text"],
    ["constructor", "text"],
    ["x.__proto__", "text"],
    ["x.ipynb", "notebook"],
  ])("%s is %s", (path, kind) => {
    expect(kindOf(path)).toBe(kind);
  });

  it("binary content is told by its bytes", () => {
    expect(isBinary(new TextEncoder().encode("text \u001b[1m ünï"))).toBe(false);
    expect(isBinary(new Uint8Array([97, 0, 98]))).toBe(true);
  });
});

describe("highlighting", () => {
  it("keeps the text and finds its parts", () => {
    const text = "def f():  # it's\n    return 'x' + 1.5e3\n";
    const tokens = highlight(text, "py");
    expect(tokens.map((token) => token.text).join("")).toBe(text);
    expect(tokens.filter((token) => token.kind).map((token) => [token.kind, token.text])).toEqual([
      ["word", "def"],
      ["comment", "# it's"],
      ["word", "return"],
      ["string", "'x'"],
      ["number", "1.5e3"],
    ]);
  });

  it.each(["'", '"""', "/*", "`", "a'", "1e", "#"])("is quick whatever is repeated: %s", (part) => {
    const text = part.repeat(60_000);
    const began = performance.now();
    for (const name of ["py", "ts", "sql", "yaml", "sh", "constructor"]) highlight(text, name);
    expect(performance.now() - began).toBeLessThan(2000);
  });
});

describe("text in which nothing hides", () => {
  it("shows what turns or hides text, and keeps what joins", () => {
    expect(visible("a\u202eb\u200bc\u0007\n\td")).toBe("a⟨202E⟩b⟨200B⟩c␇\n\td");
    expect(visibleLine("a\nb")).toBe("a b");
    expect(visible("👩‍💻")).toBe("👩‍💻");
  });

  it("is one word for a shell", () => {
    expect(shellQuote("a'; rm -rf ~ #")).toBe(`'a'"'"'; rm -rf ~ #'`);
    expect(shellQuote("plain/path_1.txt")).toBe("plain/path_1.txt");
  });
});

describe("Parquet", () => {
  it("says what is wrong with a file", () => {
    expect(() => footerLength(new TextEncoder().encode("abcdefgh"))).toThrow(ParquetError);
    expect(() => readFooter(new Uint8Array([0x19, 0xff, 0xff, 0xff, 0xff, 0x7f]))).toThrow(ParquetError);
    expect(() => readFooter(new Uint8Array(5000).fill(0x1c))).toThrow(ParquetError);
  });

  it("counts what is packed before it is unpacked", () => {
    // a data page of 3 bytes, which says that it has 2 ** 31 - 1 values, or bytes
    const large = [0xfe, 0xff, 0xff, 0xff, 0x0f];
    const page = (bytes: number[], values: number[]) =>
      Uint8Array.from([0x15, 0, 0x15, ...bytes, 0x15, 6, 0x2c, 0x15, ...values, 0, 0, 1, 2, 3]);
    const limits = { page: 100, bytes: 150, values: 10 };
    expect(() => new PageCount(limits).add(page([8], large))).toThrow(TooLargeError);
    expect(() => new PageCount(limits).add(page(large, [8]))).toThrow(TooLargeError);
    const count = new PageCount(limits);
    count.add(page([0xa0, 1], [8])); // 80 bytes, 4 values
    expect(() => count.add(page([0xa0, 1], [8]))).toThrow(TooLargeError);
    expect(() => new PageCount(limits).add(new Uint8Array(9))).toThrow("does not say");
    expect(() => new PageCount(limits).add(Uint8Array.from([0x15]))).toThrow();
  });

  it("shows any value in words", () => {
    expect(cellText(null)).toBe("");
    expect(cellText(12345678901234567890n)).toBe("12345678901234567890");
    expect(cellText({ a: 1n, b: [new Date(0)] })).toBe('{"a":1,"b":["1970-01-01T00:00:00.000Z"]}');
    expect(cellText(new TextEncoder().encode("grüße"))).toBe("grüße");
    expect(cellText(Uint8Array.from([0, 255]))).toBe("00ff");
    expect(cellText("x".repeat(5000))).toHaveLength(1000);
  });
});

describe("what is printed without end", () => {
  it("is as it ended, however often its line was drawn anew", () => {
    expect(asItEnded("a\rb\r\r\nc\r")).toBe("b\nc");
    expect(asItEnded("\r\r")).toBe("");
    const began = performance.now();
    asItEnded(`${"\r".repeat(300_000)}x`);
    expect(performance.now() - began).toBeLessThan(500);
  });

  it("is cut also where no line ends", () => {
    const bar = cut({ text: "#".repeat(900_000), next: 900_000, before: 0 }, false);
    expect(bar.text.length).toBe(400_000);
    expect(bar.before).toBe(500_000);
    const drawn = cut({ text: `${"#".repeat(9_999)}\r`.repeat(50), next: 1, before: 0 }, false);
    expect(drawn.text.startsWith("#".repeat(9_999))).toBe(true);
    expect(drawn.text.length).toBeLessThanOrEqual(400_000);
    expect(cut({ text: `${"a".repeat(5_000)}\n${"b".repeat(3_000)}`, next: 1, before: 0 }, true).text).toBe(
      "b".repeat(3_000),
    );
  });
});

it("asks of a cell of a million digits quickly whether it is a number", () => {
  const began = performance.now();
  expect(NUMBER.test(`${"1".repeat(300_000)}x`)).toBe(false);
  expect(performance.now() - began).toBeLessThan(500);
  for (const text of ["1", "1.", ".5", "-1.5e-3", " 2 "]) expect(NUMBER.test(text)).toBe(true);
});
