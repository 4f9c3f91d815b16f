#!/bin/sh
# Compiles the description to Python and runs it over all valid test vectors. Needs node and npm, Python 3
# with venv, and access to the usual registries of both. Everything it makes is in target/kaitai, which is
# not under version control; a second run uses what is there.
set -eu

here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
build=$here/../../target/kaitai
mkdir -p "$build"
build=$(CDPATH= cd -- "$build" && pwd)

# Exact versions, the one indirect dependency (argparse) too: what passes today must pass tomorrow.
npm install --prefix "$build/npm" --no-save --no-package-lock --ignore-scripts --no-audit --no-fund \
  --loglevel=error kaitai-struct-compiler@0.11.0 js-yaml@4.1.0 argparse@2.0.1

[ -x "$build/venv/bin/python" ] || python3 -m venv "$build/venv"
"$build/venv/bin/python" -m pip install --quiet --disable-pip-version-check kaitaistruct==0.11

# Old modules go first, so that a file that is no longer imported cannot be found.
rm -rf "$build/python"
node "$here/compile.mjs" "$build/npm" "$build/python" "$here/blazedb_relay.ksy"

exec "$build/venv/bin/python" "$here/run.py" "$build/python" "$@"
