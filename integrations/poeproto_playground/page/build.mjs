/** Build the page's bundle: `node build.mjs [FOLDER]`, by default the committed one. */

import { build } from "esbuild";
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const target = resolve(process.argv[2] ?? join(here, "..", "assets"));
const { dependencies } = JSON.parse(await readFile(join(here, "package.json"), "utf8"));

await mkdir(target, { recursive: true });
await build({
  absWorkingDir: here,
  entryPoints: { app: "src/main.tsx" },
  outdir: target,
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  jsx: "automatic",
  jsxImportSource: "preact",
  charset: "utf8",
  legalComments: "none",
});
await build({ absWorkingDir: here, entryPoints: ["src/app.css"], outdir: target, bundle: true, minify: true });
await copyFile(join(here, "src/index.html"), join(target, "index.html"));
await writeFile(join(target, "licences.txt"), await licences());

/** The licence of each package in the bundle: what they import, too. */
async function licences() {
  const names = new Set(Object.keys(dependencies));
  for (const name of names) {
    const manifest = JSON.parse(await readFile(join(here, "node_modules", name, "package.json"), "utf8"));
    for (const needed of Object.keys(manifest.dependencies ?? {})) {
      if (!needed.startsWith("@types/")) names.add(needed);
    }
  }
  const parts = ["The file app.js, and app.css for uPlot, contain these packages.\n"];
  for (const name of [...names].sort()) {
    const folder = join(here, "node_modules", name);
    const manifest = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
    const text = await licenceText(folder);
    parts.push(`${"=".repeat(80)}\n${name} ${manifest.version}: ${manifest.license}\n\n${text.trim()}\n`);
  }
  return parts.join("\n");
}

async function licenceText(folder) {
  for (const name of ["LICENSE", "LICENSE.md", "LICENSE.txt", "LICENSE-MIT.txt"]) {
    try {
      return (await readFile(join(folder, name), "utf8")).replaceAll("\r\n", "\n");
    } catch (error) {
      if (error.code !== "ENOENT") throw error;
    }
  }
  throw new Error(`${folder} has no licence file`);
}
