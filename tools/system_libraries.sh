#!/usr/bin/env bash
# Open3D needs a few system libraries. Install what is missing where we may, else name the one command.
set -euo pipefail
python=${1:-python3}
if "$python" -c 'import open3d' 2>/dev/null; then exit 0; fi
packages="libusb-1.0-0 libegl1 libgl1 libx11-6 libgomp1"
install="apt-get update && apt-get install -y --no-install-recommends $packages"
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    (apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages) >/dev/null
fi
if ! "$python" -c 'import open3d' 2>/dev/null; then
    echo "Open3D cannot be imported. Install its system libraries with: sudo sh -c '$install'" >&2
    exit 1
fi
