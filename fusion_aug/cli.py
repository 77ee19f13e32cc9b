"""The command ``fusion-aug``."""

from __future__ import annotations

import errno
import gc
import os
import signal
import sys
from collections.abc import Sequence

from fusion_aug.safe.terminal import EXIT_SIGNAL, STANDARD_OUTPUT, Stoppable, named_streams, stoppable

HELP = """\
fusion-aug: augment every sensor of a driving or robot log at once and keep the calibration true.

  fusion-aug run     log=FORMAT log.root=DIR pipeline=NAME out=DIR [key=value ...]
  fusion-aug run     ... shard=3/64                                    one part of a run, on any machine of a cluster
  fusion-aug merge   OUT                                               its last step, when all shards have ended
  fusion-aug inspect log=FORMAT log.root=DIR                           what a log holds and what a run makes of it
  fusion-aug check   log=FORMAT log.root=DIR pipeline=NAME [n=20]      measure a pipeline on your data
  fusion-aug check   OUT [--html FILE]                                 measure what a run wrote; a report as one page
  fusion-aug check   --compare OUT OUT --html FILE                     two runs beside one another
  fusion-aug show    log=FORMAT log.root=DIR pipeline=NAME out=FILE    a picture, before and after
  fusion-aug show    OUT [index=0] out=FILE                            the same of a finished run
  fusion-aug show    ... --rerun [n=10] out=FILE.rrd [--serve]         a Rerun recording; --serve opens it in a browser
  fusion-aug search  objective=MODULE:FUNCTION pipeline=NAME out=DIR   find the pipeline that trains best
  fusion-aug bank    log=FORMAT log.root=DIR out=DIR                   objects of a log, to paste: donors=DIR of a run
  fusion-aug replay  MANIFEST ID [log.root=DIR] [out=DIR]              make one sample of a run again
  fusion-aug sim check ENV pipeline=sim_robot +cameras.CAM=[120,160]   measure a randomized simulator
  fusion-aug synth   drive out=DIR [size=full frames=N seed=S]         make a driving log with ground truth
  fusion-aug synth   arm out=DIR [parcel=random episodes=N seed=S]     the same of a robot arm, MCAP and LeRobot
  fusion-aug list    [transforms|presets|formats|sensors]              what there is, with a line on each
  fusion-aug explain NAME                                              all of one: Fog, suite/fog, kitti, LidarSensor
  fusion-aug demo    DIR                                               do all of this with the sample logs

  fusion-aug COMMAND --help     every option of a command; with log=FORMAT those of the format
  fusion-aug COMMAND ... --cfg job        print the resolved configuration and stop
  fusion-aug run -m ... seed=1,2,3        one job per combination, each in out/<name>
  --config-dir DIR              a folder with pipeline/*.yaml of your own

Names of files are taken as they are, with ~; a sweep over them is log.root=choice(DIR,DIR).
Options are Hydra overrides: pipeline=[geometry,photometric]  pipeline.yaw_deg=[-10,10]  ~pipeline.transforms.mirror
Exit codes: 0 done, 1 a figure is over its limit, 2 bad input or configuration, 130 ended by Ctrl-C, 143 by SIGTERM.
"""
LONGEST = 4000  # characters of a message
# command -> how many positionals it takes
COMMANDS = {
    "run": (0, 0),
    "merge": (1, 1),
    "inspect": (0, 0),
    "bank": (0, 0),
    "check": (0, 1),
    "show": (0, 1),
    "search": (0, 0),
    "replay": (2, 2),
    "sim": (2, 2),
    "synth": (1, 1),
    "list": (0, 1),
    "explain": (1, 1),
    "demo": (1, 1),
}

# command -> flags of its own, and how many words each takes
OWN_FLAGS = {"show": {"--rerun": 0, "--serve": 0}, "check": {"--html": 1, "--compare": 2}}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    with named_streams(), stoppable() as signals:
        try:
            code = _answered(words, signals)
            sys.stdout.flush()
            return code
        except KeyboardInterrupt:
            _fail("interrupted; the same command goes on from here")
            return signals.exit_code
        except BrokenPipeError as error:
            if error.filename != STANDARD_OUTPUT:
                return _fail(_told(error))
            return EXIT_SIGNAL + signal.SIGPIPE  # who reads has enough, as of any program in a pipe
        except OSError as error:
            return _fail(_told(error))


def _answered(words: list[str], signals: Stoppable) -> int:
    """The exit code of a command, of which errors are told.

    Raises:
        KeyboardInterrupt: it was told to end. OSError: a file or standard output was not written.
    """
    if not words or words[0] in ("-h", "--help", "help"):
        print(HELP)
        return 0
    if words[0] == "--version":
        from fusion_aug import __version__

        print(__version__)
        return 0
    if words[0] not in COMMANDS:
        from difflib import get_close_matches

        near = get_close_matches(words[0], COMMANDS, 1)
        hint = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(COMMANDS)}"
        return _fail(f"unknown command {words[0]!r}; {hint}")
    from fusion_aug.errors import USER_ERRORS

    try:
        _load_commands()
        signals.ready()
        return dispatch(words[0], words[1:])
    except USER_ERRORS as error:
        return _fail(str(error))
    except OSError:
        raise
    except Exception as error:  # a fault of ours, or of a library, also of one that an interruption met
        if signals.came:
            raise KeyboardInterrupt from None
        from fusion_aug.safe.guard import DEBUG, print_traceback

        print_traceback()
        what = " ".join(f"{type(error).__name__}: {error}".split())
        return _fail(f"{words[0]} stopped at a fault of its own ({what}); {DEBUG}=1 shows where")


def _load_commands() -> None:
    """Import nearly all of us. It stays, so that no search for garbage need look through it, now or later."""
    if "fusion_aug.run.commands" in sys.modules:
        return
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        import fusion_aug.run.commands  # noqa: F401

        gc.freeze()
    finally:
        if was_enabled:
            gc.enable()


def _told(error: OSError) -> str:
    why = "no space left on the disk" if error.errno == errno.ENOSPC else error.strerror or str(error)
    return f"{error.filename or 'file'}: {why}"


def dispatch(command: str, words: list[str]) -> int:
    """Separate positionals and flags and pass the rest to the command."""
    from fusion_aug.errors import ConfigError
    from fusion_aug.run import commands
    from fusion_aug.run.freed_memory import keep_freed_memory

    keep_freed_memory()
    if "-h" in words or "--help" in words:
        from fusion_aug.run.helping import command_help

        named = [w.partition("=")[2] for w in words if w.startswith(("log=", "output="))]
        print(command_help(command, named[-1] if named else None))
        return 0
    flags, words = _own_flags(command, words)
    fewest, most = COMMANDS[command]
    positionals: list[str] = []
    while words and len(positionals) < most and _is_positional(words[0]):
        positionals.append(os.path.expanduser(words.pop(0)))  # noqa: PTH111
    if len(positionals) < fewest:
        raise ConfigError(f"{command}: expected {fewest} word(s) after the command; see fusion-aug {command} --help")
    multirun, show_config, extra_dir, overrides = _flags(command, words)
    if show_config and positionals:
        raise ConfigError("--cfg job: with OUT or MANIFEST the settings are those of its manifest")
    if show_config:
        return _print_config(command, overrides, extra_dir)
    if command == "run":
        return commands.run_command(overrides, multirun, extra_dir)
    if command == "merge":
        from fusion_aug.run.merging import merge_command

        return merge_command(positionals[0], overrides)
    if command == "inspect":
        from fusion_aug.run.inspecting import inspect_command

        return inspect_command(overrides, extra_dir)
    if command == "bank":
        from fusion_aug.run.banking import bank_command

        return bank_command(overrides, extra_dir)
    if command == "check":
        from fusion_aug.run.check_command import check_command

        return check_command(positionals, overrides, extra_dir, flags)
    if command == "show":
        from fusion_aug.run.showing import show_command

        return show_command(positionals, overrides, extra_dir, set(flags))
    if command == "search":
        from fusion_aug.run.searching import search_command

        return search_command(overrides, extra_dir)
    if command == "replay":
        from fusion_aug.run.replaying import replay_command

        return replay_command(positionals, overrides, extra_dir)
    if command in ("list", "explain"):
        from fusion_aug.run.explaining import explain_command, list_command

        return (list_command if command == "list" else explain_command)(positionals, overrides, extra_dir)
    if command == "synth":
        return commands.synth_command(positionals, overrides)
    if command == "sim":
        from fusion_aug.run.sim_check import sim_command

        return sim_command(positionals, overrides, extra_dir)
    from fusion_aug.run.demo import demo_command

    if overrides:
        raise ConfigError(f"{overrides[0].partition('=')[0]}: demo takes no options")
    return demo_command(positionals)


def _is_positional(word: str) -> bool:
    """Whether a word is a name or a path, and no flag and no override: ``KEY=VALUE`` is one unless it exists."""
    path = os.path.expanduser(word)  # noqa: PTH111
    if word.startswith(("-", "+")) or (word.startswith("~") and path == word):
        return False
    key, equals, _ = word.partition("=")
    return not equals or not key.replace(".", "_").isidentifier() or os.path.exists(path)  # noqa: PTH110


def _own_flags(command: str, words: list[str]) -> tuple[dict[str, list[str]], list[str]]:
    """Flags that only this command has, with the words that each takes, and what is left."""
    from fusion_aug.errors import ConfigError

    known, found, rest = OWN_FLAGS.get(command, {}), dict[str, list[str]](), list[str]()
    queue = [part for w in words for part in (w.split("=", 1) if w.partition("=")[0] in known else [w])]
    while queue:
        word = queue.pop(0)
        if word not in known:
            rest.append(word)
            continue
        found[word] = [queue.pop(0) for _ in range(min(known[word], len(queue)))]
        if len(found[word]) < known[word]:
            raise ConfigError(f"{word}: expected {known[word]} word(s) after it")
    return found, rest


def _flags(command: str, words: list[str]) -> tuple[bool, bool, str | None, list[str]]:
    """--multirun, --cfg job and --config-dir, and what is left: the overrides."""
    from fusion_aug.errors import ConfigError

    multirun, show_config, extra_dir, overrides = False, False, None, []
    # --flag=value is --flag value
    queue = [part for w in words for part in (w.split("=", 1) if w.startswith("--") and "=" in w else [w])]
    while queue:
        word = queue.pop(0)
        if word in ("-m", "--multirun") and command == "run":
            multirun = True
        elif word in ("--cfg", "-c", "--config-dir", "-cd"):
            if not queue:
                raise ConfigError(f"{word}: expected a word after it")
            value = queue.pop(0)
            if word in ("--cfg", "-c"):
                show_config = True
                if value != "job":
                    raise ConfigError(f"--cfg: only 'job' is known, got {value!r}")
            elif not os.path.isdir(os.path.expanduser(value)):  # noqa: PTH111, PTH112
                raise ConfigError(f"--config-dir: {value} is not a folder")
            else:
                extra_dir = value
        elif word.startswith("-") or ("=" not in word and not word.startswith("~")):
            example = f", as {word.lstrip('-')}=VALUE" if word.startswith("--") and word != "--" else ""
            raise ConfigError(
                f"{word!r} is not understood; options are key=value{example}; see fusion-aug {command} --help"
            )
        else:
            overrides.append(word)
    return multirun, show_config, extra_dir, overrides


def _print_config(command: str, overrides: list[str], extra_dir: str | None) -> int:
    import yaml

    from fusion_aug.run.config import compose_config

    config = compose_config(command, overrides, extra_dir, complete=False)
    print(yaml.safe_dump(config, sort_keys=False, default_flow_style=None), end="")
    return 0


def _fail(message: str) -> int:
    if len(message) > LONGEST:  # it holds a value of a file, which may be of any length
        message = f"{message[: LONGEST // 2]} ... {message[-LONGEST // 4 :]}"
    # as calib.errors.in_one_line, which is not imported, since what comes before a command starts at once
    line = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in message)
    print(f"fusion-aug: {line}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
