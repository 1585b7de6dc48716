#!/usr/bin/env bash
# Renders the SVG sources into the PNG and ICO files beside them, or below the folder that is named.
# The same tools give the same bytes each time.
#
#   png/tray-PANEL-STATE[-N].png   48 px; PANEL is any, light or dark; N is 1 to 9 or more
#   png/app-SIZE.png
#   ico/tray-PANEL-STATE[-N].ico   16 and 32 px, for the light and the dark taskbar of Windows
#   ico/app.ico
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here}
for tool in rsvg-convert convert; do
  command -v "$tool" >/dev/null || { echo "icons: $tool is missing: install librsvg2-bin and imagemagick" >&2; exit 1; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out/png" "$out/ico"

ico() { # target source...
  convert "${@:2}" -define png:exclude-chunks=date,time "$1"
}

for size in 16 22 24 32 48 64 128 256; do
  rsvg-convert -w "$size" -h "$size" "$here/src/app.svg" -o "$out/png/app-$size.png"
done
ico "$out/ico/app.ico" "$out"/png/app-{16,24,32,48,64,256}.png

for panel in any light dark; do
  sizes="16 32 48"
  [ $panel = any ] && sizes=48
  for state in online away busy offline; do
    for n in 0 1 2 3 4 5 6 7 8 9 more; do
      name=tray-$panel-$state
      cat "$here/src/base.css" "$here/src/$state-$panel.css" >"$work/style.css"
      case $n in
        0) ;;
        more) name+=-more; echo '#pill, #nine-plus { display: inline; }' >>"$work/style.css" ;;
        *) name+=-$n; echo "#round, #d$n { display: inline; }" >>"$work/style.css" ;;
      esac
      for size in $sizes; do
        rsvg-convert -s "$work/style.css" -w "$size" -h "$size" "$here/src/tray.svg" -o "$work/$size.png"
      done
      cp "$work/48.png" "$out/png/$name.png"
      [ $panel = any ] || ico "$out/ico/$name.ico" "$work/16.png" "$work/32.png"
    done
  done
done
