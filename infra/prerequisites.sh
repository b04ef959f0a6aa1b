#!/bin/bash
# Finds what the machine lacks before anything else is done. As root on Debian or Ubuntu it says what it will
# install and installs it; anywhere else it prints the one command that does, and ends with status 1.
set -euo pipefail

missing=()
names=()

lacks() { # lacks NAME PACKAGE...: the machine lacks NAME, which these Debian packages bring
    names+=("$1")
    shift
    missing+=("$@")
}

has_venv() { python3.11 -c 'import ensurepip, venv' 2>/dev/null; }

java_tool() { # java_tool java|javac: the tool of JAVA_HOME, else of the path
    if [ -n "${JAVA_HOME:-}" ]; then echo "$JAVA_HOME/bin/$1"; else command -v "$1" || true; fi
}

has_jdk() {
    local compiler version
    compiler=$(java_tool javac)
    [ -x "$compiler" ] && [ -x "$(java_tool java)" ] || return 1
    version=$("$compiler" -version 2>&1 | sed -n 's/^javac \([0-9]*\).*/\1/p')
    [ "${version:-0}" -ge 17 ]
}

command -v python3.11 >/dev/null || lacks "Python 3.11" python3.11
has_venv || lacks "Python 3.11's venv" python3.11-venv
has_jdk || lacks "JDK 17" openjdk-17-jdk-headless
command -v mvn >/dev/null || lacks "Maven" maven
command -v make >/dev/null || lacks "make" make
# Tests look at the console as people do, and `make demo` takes a picture of it.
if [ "${1:-}" = browser ]; then
    command -v chromium >/dev/null && command -v chromedriver >/dev/null || lacks "Chromium" chromium chromium-driver
fi

[ ${#names[@]} -eq 0 ] && exit 0

list=$(printf ', %s' "${names[@]}")
list=${list:2}

if [ -n "${JAVA_HOME:-}" ] && ! has_jdk; then
    echo "JAVA_HOME=$JAVA_HOME is no JDK 17: set it to one, or unset it to use the one on the path" >&2
    exit 1
fi

if ! command -v apt-get >/dev/null; then
    echo "this machine lacks $list: install it with its package manager, then run this again" >&2
    exit 1
fi

install="apt-get install -y --no-install-recommends ${missing[*]}"

if [ "$(id -u)" -ne 0 ]; then
    echo "this machine lacks $list; this command installs it: sudo sh -c 'apt-get update && $install'" >&2
    exit 1
fi

echo "this machine lacks $list; installing: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
$install
