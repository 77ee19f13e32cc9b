"""What ``fusion-aug COMMAND --help`` prints."""

from __future__ import annotations

import yaml

from fusion_aug.core.registry import own_transforms
from fusion_aug.logs import FORMATS
from fusion_aug.logs.core.options import EVERY_LOG
from fusion_aug.run.composing import config_dir


def command_help(command: str) -> str:
    """What a command does, its options with their meaning, and the choices of every group."""
    if command == "demo":
        return "fusion-aug demo DIR: augment the sample logs, check and draw them, all below DIR."
    if command == "merge":
        return (
            "fusion-aug merge OUT: the last step of a run whose samples were made by shards (run ... shard=3/64).\n\n"
            "plugins: []             # modules of your own that the run used, which are imported only if named here\n"
            "storage.cache: null     # folder that an input or an output in an object store passes through\n"
            "log.root: null          # of the run, where it is in a store of another kind: that it may be opened"
        )
    folder = config_dir()
    file = "sim_check" if command == "sim" else command
    parts = [(folder / f"{file}.yaml").read_text(encoding="utf-8").rstrip(), ""]
    if command == "synth":
        return f"{parts[0]}\n\n{(folder / 'synth_arm.yaml').read_text(encoding='utf-8').rstrip()}"
    if command == "sim":
        return parts[0]
    parts.append("# choices for log=, and their options, given as log.KEY=VALUE")
    for name, format in FORMATS.items():
        parts.append(f"#   {name:28} {format.about}".rstrip())
        parts += [f"#       {key:24} {option.help}" for key, option in format.options.items()]
    parts += [f"#   {key:28} of every log: {option.help}" for key, option in EVERY_LOG.items()]
    if "output:" in parts[0]:
        parts += ["", "# choices for output= of any log, and their options, given as output.KEY=VALUE"]
        for name, format in FORMATS.items():
            parts += [f"#   {name}"] if format.exporter is not None else []
            parts += [f"#       {key:24} {option.help}" for key, option in format.output_options.items()]
    parts += ["", "# choices for pipeline="]
    for path in sorted((folder / "pipeline").rglob("*.yaml")):
        comments = [line.lstrip("# ") for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
        about = next((c for c in comments if not c.startswith("@")), "")  # Hydra's own begin so
        parts.append(f"#   {path.relative_to(folder / 'pipeline').with_suffix('')!s:28} {about}".rstrip())
    if "pipeline:" in parts[0]:
        parts += ["", "# transforms: an example of each, for your own presets and +pipeline.transforms.NAME=EXAMPLE"]
        parts += [f"#   {line}" for line in transform_examples()]
    return "\n".join(parts)


def transform_examples() -> list[str]:
    """One line for every transform: its example, as a configuration has it, and what it does."""
    lines = []
    for name, kind in own_transforms().items():
        config = {"_target_": f"fusion_aug.{name}", **kind.example}
        example = yaml.safe_dump(config, default_flow_style=True, sort_keys=False, width=1000).strip()
        lines.append(f"{example}  # {kind.__doc__.splitlines()[0].replace('``', '`')}")
    return lines
