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

export default defineConfig({
  base: "./",
  plugins: [compressed()],
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
              test: /rolldown[\\/]runtime|node_modules[\\/](preact|@preact)|src[\\/](app|api|lib|grid)[\\/]|src[\\/]main|src[\\/]charts[\\/](spark|marks|swatch|envelope|series)|src[\\/]runs[\\/](lit|columns|column_picker|state|table)\.tsx?/,
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
