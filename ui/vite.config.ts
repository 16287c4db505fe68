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

/** Rolldown keeps a function of two lines in a file of its own; where it is used it costs less than a request. */
function withoutRuntimeFile(): Plugin {
  return {
    name: "without-runtime-file",
    apply: "build",
    enforce: "post",
    generateBundle: {
      order: "post",
      handler(_, bundle) {
        const runtime = Object.values(bundle).find(
          (file) => file.type === "chunk" && file.name === "rolldown-runtime",
        );
        const shell = Object.values(bundle).find((file) => file.type === "chunk" && file.name === "shell");
        if (runtime?.type !== "chunk" || !shell) return;
        const exported = /export\s*\{\s*(\w+)\s*\};?\s*$/.exec(runtime.code);
        if (!exported?.[1]) throw new Error(`the runtime has another form now: ${runtime.code}`);
        const body = `(()=>{${runtime.code.slice(0, exported.index)}return ${exported[1]}})()`;
        const nameOf = (path: string) => path.split("/").pop() ?? "";
        const name = nameOf(runtime.fileName);
        for (const file of Object.values(bundle)) {
          if (file.type === "chunk" && file !== runtime)
            file.code = file.code
              .replace(
                new RegExp(`import\\s*\\{\\s*\\w+ as (\\w+)\\s*\\}\\s*from\\s*"\\./${name}";?`),
                (_all, local: string) => `const ${local}=${body};`,
              )
              // lists of what is loaded before a page: their places are numbered, so another file takes this one's
              .replaceAll(name, nameOf(shell.fileName));
          else if (file.type === "asset" && file.fileName.endsWith(".html"))
            file.source = String(file.source).replace(new RegExp(`\\s*<link[^>]*${name}[^>]*>`), "");
        }
        delete bundle[runtime.fileName];
      },
    },
  };
}

export default defineConfig({
  base: "./",
  plugins: [compressed(), withoutRuntimeFile()],
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
              test: /node_modules[\\/](preact|@preact)|src[\\/](app|api|lib|grid)[\\/]|src[\\/]main|src[\\/]charts[\\/](spark|marks|swatch|envelope|series)|src[\\/]runs[\\/](lit|columns|column_picker|state|table)\.tsx?/,
            },
            { name: "markdown", test: /src[\\/]markdown[\\/]/, priority: 1 },
            { name: "models", test: /src[\\/](models|serving)[\\/]/ },
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
