#!/usr/bin/env bash
# Open the sample log, before and after, in the official nuscenes-devkit, which needs an environment of its own.
set -euo pipefail
python=${1:-python3}
here=$(cd "$(dirname "$0")/.." && pwd)
venv="$here/.venv-devkit"
if [ ! -e "$venv/.ready" ]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet 'setuptools<81' wheel
    "$venv/bin/pip" install --quiet nuscenes-devkit==1.2.0
    touch "$venv/.ready"
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
drive="$here/datasets/drive"
"$python" -m fusion_aug run log=nuscenes "log.root='$drive'" pipeline=driving seed=3 "out='$work/drive'"
pairs=("$drive" "$work/drive")
mkdir -p "$work/configs/pipeline"
printf '_target_: fusion_aug.pipeline\ntransforms:\n  speed: {_target_: fusion_aug.SpeedWarp, speed: 1.0}\n' \
    >"$work/configs/pipeline/speed.yaml"
for speed in 0.7 1.4; do
    "$python" -m fusion_aug run --config-dir "$work/configs" log=nuscenes "log.root='$drive'" pipeline=speed \
        "pipeline.transforms.speed.speed=$speed" "out='$work/speed-$speed'"
    pairs+=("$drive" "$work/speed-$speed")
done
real=${FUSION_AUG_REAL_DATA:-$here/../shared/data}/nuscenes
if [ -d "$real" ]; then
    "$python" -m fusion_aug run log=nuscenes "log.root='$real'" pipeline=driving seed=1 "out='$work/real'"
    pairs+=("$real" "$work/real")
fi
MPLBACKEND=Agg "$venv/bin/python" "$here/tools/check_devkit.py" "${pairs[@]}"
