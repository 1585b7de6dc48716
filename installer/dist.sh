#!/usr/bin/env bash
# Builds every artefact of a release into a directory, the same bytes each time but for the Windows installers:
# packages for Linux, archives for the other systems, what is in them (SBOM, CycloneDX), and the checksums of all.
#
#   installer/dist.sh VERSION DIRECTORY
set -euo pipefail
cd "$(dirname "$0")/.."
for tool in zip wixl msibuild; do
  command -v "$tool" >/dev/null || { echo "dist: $tool is missing; make deps installs it" >&2; exit 1; }
done
version=${1:?"installer/dist.sh VERSION DIRECTORY"} out=${2:?"installer/dist.sh VERSION DIRECTORY"}
# The time of everything is that of the commit.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH CGO_ENABLED=0 TZ=UTC LC_ALL=C
rm -rf "$out"
mkdir -p "$out"
out=$(cd "$out" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

tools=$work/tools
mkdir "$tools"
CGO_ENABLED=0 go build -modfile=.ci/tools.mod -o "$tools/" github.com/goreleaser/nfpm/v2/cmd/nfpm
go run ./installer/linux/pack -version "$version" -nfpm "$tools/nfpm" -out "$out"

# An archive of both programs for each platform, for those who don't want a package.
for platform in linux/amd64 linux/arm64 windows/amd64 darwin/arm64; do
  name=earshot-${version#v}-${platform/\//-}
  dir=$work/$name gui=
  mkdir "$dir"
  case $platform in windows/*) gui=' -H windowsgui' ;; esac
  export GOOS=${platform%/*} GOARCH=${platform#*/}
  go build -trimpath -ldflags "-s -w -buildid= -X main.version=$version" -o "$dir/" ./svc/earshotd
  go build -trimpath -ldflags "-s -w -buildid= -X main.version=$version$gui" -o "$dir/" ./tray/earshot
  unset GOOS GOARCH
  case $platform in
    windows/*)
      installer/windows/resources.sh "$version" "$dir"/*.exe
      go run ./installer/windows/admx -out "$dir/PolicyDefinitions"
      ;;
  esac
  cp README.md README.zh-CN.md LICENSE CHANGELOG.md svc/config/earshotd.example.toml "$dir/"
  find "$dir" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
  case $platform in
    windows/*) (cd "$work" && find "$name" -type f | sort | zip -q -X "$out/$name.zip" -@) ;;
    *) tar -C "$work" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner -cf - "$name" | gzip -9n >"$out/$name.tar.gz" ;;
  esac
done

# Not the same bytes each time: wixl writes the moment of its run, and a compound file has no other place for it.
go run ./installer/windows/msi -version "$version" -programs "$work/earshot-${version#v}-windows-amd64" -out "$out"
go run ./installer/sbom -version "$version" ./svc/earshotd ./tray/earshot >"$out/earshot-${version#v}.cdx.json"
(cd "$out" && sha256sum -- * >"$work/SHA256SUMS" && mv "$work/SHA256SUMS" .)
