#!/usr/bin/env bash
# Gives Windows programs their icon, version and manifest (sharp on every monitor, today's controls, long paths).
#
#   installer/windows/resources.sh VERSION FILE.exe…
set -euo pipefail
cd "$(dirname "$0")/../.."
version=${1:?"installer/windows/resources.sh VERSION FILE.exe…"}
shift
number=$(grep -oE '^v?[0-9]+\.[0-9]+\.[0-9]+' <<<"$version" | tr -d v)
for file in "$@"; do
  go tool -modfile=.ci/tools.mod go-winres patch --no-backup --in installer/windows/winres.json \
    --file-version "${number:-0.0.0}" --product-version "$version" "$file"
done
