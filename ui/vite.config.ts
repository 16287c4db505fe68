import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vite";

const OUT = "../src/slipstream/server/static";

/** Leave each built file compressed only: the server sends it so, and the wheel is a third of the size. */
function compressed(): Plugin {
  return {
    name: "compressed",
    apply: "build",
    closeBundle() {
      const folder = join(import.meta.dirname, OUT, "assets");
      for (const name of readdirSync(folder)) {
        const path = join(folder, name);
        writeFileSync(`${path}.gz`, gzipSync(readFileSync(path), { level: 9 }));
        rmSync(path);
      }
    },
  };
}

/**
 * The bundler keeps a helper of two lines in a file of its own, and nothing tells it not to: a request of every page for
 * 150 bytes. So it is written into each file that uses it.
 */
function withoutHelperFile(): Plugin {
  return {
    name: "without-helper-file",
    apply: "build",
    closeBundle() {
      const folder = join(import.meta.dirname, OUT, "assets");
      const names = readdirSync(folder);
      const helper = names.find((each) => each.startsWith("rolldown-runtime-"));
      const shell = names.find((each) => each.startsWith("shell-"));
      if (!helper || !shell) return;
      const code = readFileSync(join(folder, helper), "utf-8");
      const found = /^var (\w+)=Object\.defineProperty,(\w+)=(.+);export\{\2(?: as (\w+))?\};\s*$/.exec(code);
      if (!found) throw new Error(`the bundler's helper is another now: ${code.slice(0, 300)}`);
      const [, define, own, body, name = own] = found;
      const imported = new RegExp(`import\\{${name}(?: as (\\w+))?\\}from"\\./${helper}";`);
      for (const each of names) {
        if (!each.endsWith(".js") || each === helper) continue;
        const before = readFileSync(join(folder, each), "utf-8");
        const after = before
          .replace(
            imported,
            (_, local = name) => `const ${local}=(${define}=>${body})(Object.defineProperty);`,
          )
          // what is loaded with a page is told by its place in a list, so its place stays
          .replaceAll(helper, shell);
        if (after !== before) writeFileSync(join(folder, each), after);
      }
      // with a part that is loaded later but is in the shell, the page itself would begin with the helper
      if (readFileSync(join(import.meta.dirname, OUT, "index.html"), "utf-8").includes(helper))
        throw new Error(
          `index.html begins with ${helper}: import what is in the shell as it is, not by import()`,
        );
      rmSync(join(folder, helper));
    },
  };
}

export default defineConfig({
  base: "./",
  plugins: [withoutHelperFile(), compressed()],
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: OUT,
    emptyOutDir: true,
    target: "es2022",
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 120,
    cssCodeSplit: false,
    rolldownOptions: {
      output: {
        codeSplitting: {
          groups: [
            // with what tables and charts share, so that neither brings the other
            {
              name: "shell",
              priority: 2,
              test: /rolldown[\\/]runtime|node_modules[\\/](preact|@preact)|src[\\/](app|api|lib|grid)[\\/]|src[\\/]main|src[\\/]styles[\\/]|src[\\/]charts[\\/](spark|marks|swatch|envelope|series)|src[\\/]runs[\\/](lit|columns|column_picker|state|table)\.tsx?/,
            },
            { name: "markdown", test: /src[\\/]markdown[\\/]/, priority: 1 },
            { name: "models", test: /src[\\/](models|serving)[\\/]|src[\\/]pages[\\/]model/ },
            { name: "charts", test: /src[\\/]charts[\\/](?!small[\\/])/, priority: 1 },
          ],
        },
      },
    },
  },
  server: {
    // `npm run dev` beside `slipstream server --port 5000`
    proxy: { "/api": "http://127.0.0.1:5000", "/ajax-api": "http://127.0.0.1:5000" },
  },
});
