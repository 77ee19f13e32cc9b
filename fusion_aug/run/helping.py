"""What ``fusion-aug COMMAND --help`` prints."""

from __future__ import annotations

import yaml

from fusion_aug.core.registry import own_transforms
from fusion_aug.errors import ConfigError
from fusion_aug.logs import FORMATS
from fusion_aug.logs.core.options import EVERY_LOG
from fusion_aug.run.composing import config_dir
from fusion_aug.run.keys import did_you_mean

TOLD = {
    "list": (
        "fusion-aug list [transforms|presets|formats|sensors]: names, with a line on each.\n\n"
        "plugins: []             # modules of your own, whose transforms and formats are named too"
    ),
    "explain": (
        "fusion-aug explain NAME: all about a transform, preset, format or sensor, as Fog, suite/fog, kitti.\n\n"
        "plugins: []             # modules of your own, whose transforms and formats are known too"
    ),
}


def command_help(command: str, format: str | None = None) -> str:
    """What a command does, its options with their meaning, and the choices of every group.

    Args:
        command: its name. format: that ``log=`` or ``output=`` names; then its options stand in place of the choices.

    Raises:
        ConfigError: there is no such format.
    """
    if format is not None and format not in FORMATS:
        raise ConfigError(f"log: there is no format {format!r}{did_you_mean(format, FORMATS)}")
    if command in ("list", "explain"):
        return TOLD[command]
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
    if format is not None:
        return "\n".join([*parts, *(f"# {line}".rstrip() for line in format_lines(format))])
    parts.append(f"# choices for log=; the options of one: fusion-aug {command} log=kitti --help")
    parts += [f"#   {name:28} {known.about}".rstrip() for name, known in FORMATS.items()]
    if "output:" in parts[0]:
        parts += ["", f"# choices for output= of any log: {', '.join(n for n, f in FORMATS.items() if f.exporter)}"]
    parts += ["", "# choices for pipeline="]
    for path in sorted((folder / "pipeline").rglob("*.yaml")):
        comments = [line.lstrip("# ") for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
        about = next((c for c in comments if not c.startswith("@")), "")  # Hydra's own begin so
        parts.append(f"#   {path.relative_to(folder / 'pipeline').with_suffix('')!s:28} {about}".rstrip())
    if "pipeline:" in parts[0]:
        parts += ["", "# transforms: an example of each, for your own presets and +pipeline.transforms.NAME=EXAMPLE"]
        parts += [f"#   {line}" for line in transform_examples()]
    return "\n".join(parts)


def format_lines(name: str) -> list[str]:
    """Everything about a format: what it is, every option, and how it is written from other logs."""
    format = FORMATS[name]
    lines = [format.about, "", f"log={name} log.root=DIR, and options given as log.KEY=VALUE"]
    lines += [f"  {key:24} {option.help}" for key, option in format.options.items()]
    lines += [f"  {key:24} {option.help}" for key, option in EVERY_LOG.items() if key not in format.options]
    if format.exporter is not None:
        lines += ["", f"output={name} writes any log so; options given as output.KEY=VALUE"]
        lines += [f"  {key:24} {option.help}" for key, option in format.output_options.items()]
    return lines


def transform_examples() -> list[str]:
    """One line for every transform: its example, as a configuration has it, and what it does."""
    lines = []
    for name, kind in own_transforms().items():
        config = {"_target_": f"fusion_aug.{name}", **kind.example}
        example = yaml.safe_dump(config, default_flow_style=True, sort_keys=False, width=1000).strip()
        lines.append(f"{example}  # {kind.__doc__.splitlines()[0].replace('``', '`')}")
    return lines
