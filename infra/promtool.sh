#!/bin/bash
# promtool.sh TARGET: puts promtool at TARGET. It is the one on the path, else that of Debian's package `prometheus`,
# which is unpacked and not installed: installing it would start a server on this machine.
set -euo pipefail

target=$(realpath "$1")

if promtool=$(command -v promtool); then
    ln -sf "$promtool" "$target"
    exit
fi

if ! command -v apt-get >/dev/null; then
    echo "this machine lacks promtool: install Prometheus with its package manager, then run this again" >&2
    exit 1
fi

echo "promtool: $1"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

download() { apt-get download -qq prometheus 2>download.log; }

if ! download; then
    if [ "$(id -u)" -ne 0 ]; then
        cat download.log >&2
        echo "promtool cannot be downloaded; after this command it can: sudo apt-get update" >&2
        exit 1
    fi
    apt-get update -qq
    download || { cat download.log >&2; exit 1; }
fi

dpkg-deb --fsys-tarfile prometheus_*.deb | tar --extract --file=- ./usr/bin/promtool
mv usr/bin/promtool "$target"
