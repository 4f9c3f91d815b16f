// The compiler is published to npm as a library without a command, so this is the command:
//   node compile.mjs FOLDER_OF_NODE_MODULES OUTPUT_FOLDER FILE.ksy
// Files that FILE.ksy imports are looked for beside it; all of them are written as Python.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";

const [modules, output, main] = process.argv.slice(2).map((path) => resolve(path));

// The packages are installed in a folder for build products, where a plain import does not look.
const require = createRequire(join(modules, "node_modules", "any.js"));
const yaml = require("js-yaml");
const compiler = require("kaitai-struct-compiler");

const load = (path) => yaml.load(readFileSync(path, "utf8"), { filename: path });
const importer = { importYaml: async (name) => load(join(dirname(main), `${name}.ksy`)) };

try {
  const files = await compiler.compile("python", load(main), importer, false);
  mkdirSync(output, { recursive: true });
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(join(output, name), text);
    console.log(`wrote ${name}`);
  }
} catch (error) {
  // The compiler throws objects of its own as well as errors; both say what is wrong as text.
  console.error(String(error));
  process.exit(1);
}
