#!/usr/bin/env bash
# Two tests look at a recording and at a report in a browser. Installs Chromium where it may, else prints how; then they are skipped.
set -euo pipefail
command -v chromium >/dev/null || command -v chromium-browser >/dev/null && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; } >/dev/null 2>&1 || true
fi
command -v chromium >/dev/null || echo "no Chromium: tests/show/test_recording.py and tests/run/test_html_report.py skip one test each (apt-get install chromium)"
