"""The process of ``fuzz.py`` that reads: it makes the logs, damages a file for each case, and tells what happened.

fuzz_child.py FOLDER make ONLY      makes the logs in FOLDER/good
fuzz_child.py FOLDER SEED ONLY      answers numbers of cases, one a line, in JSON
"""

from __future__ import annotations

import io
import json
import os
import random
import re
import resource
import shutil
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
REPOSITORY = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests" / "support")]
from mutations import ODD_VALUES, damage  # noqa: E402

import fusion_aug as fa  # noqa: E402
from fusion_aug import cli  # noqa: E402
from fusion_aug.errors import USER_ERRORS  # noqa: E402
from fusion_aug.logs.core.account import account_of  # noqa: E402
from fusion_aug.safe.guard import DEBUG  # noqa: E402
from fusion_aug.streams import ImageStream, Ragged  # noqa: E402

MEMORY = 2 * 2**30
ROUND = 25  # of so many cases one is a command line
COMMANDS = [
    "inspect log=kitti log.root={kitti}",
    "run log=kitti log.root={kitti} pipeline=identity out=new dry_run=true",
    "run log=kitti log.root={kitti} pipeline=[geometry,photometric] out=new dry_run=true pipeline.yaw_deg=[-1,1]",
    "check log=kitti log.root={kitti} pipeline=identity n=1",
    "show log=kitti log.root={kitti} pipeline=identity out=picture.png",
    "show {run} index=0 out=picture.png",
    "check {run}",
    "replay {run} training/000000",
    "synth drive out=street size=small frames=1",
    "run -m log=kitti log.root={kitti} pipeline=identity out=new seed=1,2 dry_run=true",
]
OPTIONS = {
    "mcap": {"rig": "{mcap}/mcap_rig.yaml"},
    "lerobot": {"rig": "{lerobot}/lerobot_rig.yaml"},
    "rig": {"rig": "{rig}/rig.yaml"},
}
STARTS = ("os.system", "os.exec", "os.posix_spawn", "subprocess.Popen")
OPTION_FILES = (".yaml", ".urdf")
SLOW = ("run", "nuscenes")
FORMATS = {"rig": "kitti", "old": "mmdet3d"}


# --- the logs ---------------------------------------------------------------------------------------------------------
def make(good: Path, only: str) -> None:
    """Write a small log of every format, a run, and files that are nobody's business."""
    import small_infos
    import small_logs
    from places import ARM, DRIVE

    makers: dict[str, Callable[[Path], Any]] = {
        "kitti": small_logs.kitti,
        "argoverse2": small_logs.argoverse2,
        "robomimic": small_logs.robomimic,
        "mmdet3d": lambda root: small_infos.write_small(root, samples=2),
        "old": lambda root: small_infos.write_small(root, v2=False, samples=2),
        "nuscenes": lambda root: shutil.copytree(DRIVE, root),
        "mcap": lambda root: _arm(root, ARM, "mcap"),
        "lerobot": lambda root: _arm(root, ARM, "lerobot"),
        "folder": lambda root: _run(root, "output=folder", "log=kitti", f"log.root={good / 'kitti'}"),
        "rig": lambda root: _with_rig(root, small_logs.kitti(root)),
        "run": lambda root: _run(root, "log=kitti", f"log.root={good / 'kitti'}"),
    }
    needs = {"folder": ["kitti"], "run": ["kitti"]}.get(only, [])
    for name, maker in makers.items():
        if not only or name in (only, *needs):
            maker(good / name)
    outside = good.parent / "outside"
    outside.mkdir()
    (outside / "secret.json").write_text('{"secret": 1}')
    (good.parent / "here").mkdir()
    (good.parent / "here" / "evil.py").write_text("open('it_ran', 'w').close()\n")


def _arm(root: Path, arm: Path, kind: str) -> None:
    shutil.copytree(arm / kind, root)
    for path in (*arm.glob("*.yaml"), *arm.glob("*.png"), *arm.glob("*.urdf")):
        if not path.name.endswith("_rig.yaml") or path.name.startswith(kind):
            shutil.copy(path, root)


def _run(root: Path, *words: str) -> None:
    assert cli.main(["run", *words, "pipeline=driving", f"out={root}", "workers=0"]) == 0


def _with_rig(root: Path, log: Path) -> None:
    from calib import save_rig

    save_rig(fa.open_log("kitti", log)[0].rig, root / "rig.yaml")


# --- cases ------------------------------------------------------------------------------------------------------------
class Cases:
    """Cases by number.

    Args:
        folder: with ``good``. seed: of all draws. only: base of all cases; "" for all.
    """

    def __init__(self, folder: Path, seed: int, only: str):
        self.folder, self.seed, self.work = folder, seed, folder / "work"
        shutil.rmtree(self.work, ignore_errors=True)
        shutil.copytree(folder / "good", self.work)
        names = sorted(p.name for p in self.work.iterdir() if only in ("", p.name))
        self.files = {n: sorted(p for p in (self.work / n).rglob("*") if p.is_file()) for n in names}
        self.opened: list[str] = []
        sys.addaudithook(self._watch)

    def _watch(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(args[0], str | bytes):
            name = os.path.realpath(os.fsdecode(args[0]))
            if name.startswith((str(self.folder / "outside"), "/etc/passwd", "/dev/zero")):
                self.opened.append(name)
        elif event in STARTS and not any(name in str(args) for name in ("unpickling.py", "uname")):
            self.opened.append(f"{event} {args}")

    def case(self, number: int) -> dict[str, Any]:
        """Do one case."""
        rng = random.Random(f"{self.seed}/{number}")
        self.opened.clear()
        before = set(self.folder.iterdir()), set((self.folder / "here").iterdir())
        peak = _reset_peak()
        if number % ROUND == 0 and "kitti" in self.files and "run" in self.files:
            what, kind, said = self._command(rng)
        else:
            what, kind, said = self._file(rng)
        ran = (self.folder / "here" / "it_ran").exists() or "evil" in sys.modules
        made = (set(self.folder.iterdir()) - before[0]) - {self.work}
        if ran:
            kind, said = "code ran", said
        elif self.opened or made:
            kind, said = "outside", f"{self.opened} {made}"
        elif _reset_peak() - peak > MEMORY:
            kind = "memory"
        for path in (self.folder / "here").iterdir():
            if path.name != "evil.py":
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        return {"kind": kind, "what": what, "said": said}

    def _file(self, rng: random.Random) -> tuple[str, str, str]:
        base = rng.choice([n for n in self.files for _ in range(1 if n in SLOW and len(self.files) > 1 else 8)])
        path = rng.choice(self.files[base])
        if path.suffix in (".png", ".jpg") and rng.random() < 0.7:  # there are many of them
            path = rng.choice(self.files[base])
        done = damage(path, rng, self.folder / "outside")
        try:
            kind, said = told(lambda: self.read(base), "" if base == "run" else str(self.work))
        finally:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            path.unlink(missing_ok=True)
            shutil.copy2(self.folder / "good" / path.relative_to(self.work), path)
        if done == "link outside" and path.suffix in OPTION_FILES:  # what a user names may be a link
            self.opened.clear()
        return f"{base}: {path.relative_to(self.work)}: {done}", kind, said

    def read(self, base: str) -> None:
        """Read all of the first sample of a log; of a run what its commands read."""
        if base == "run":
            _command_line(["check", str(self.work / base)])
            return
        options = {k: v.format(**{base: self.work / base}) for k, v in OPTIONS.get(base, {}).items()}
        log = fa.open_log(FORMATS.get(base, base), self.work / base, **options)
        sample = log[0]
        for stream in sample.streams.values():
            if isinstance(stream, Ragged):
                stream.realized().loaded()
            elif isinstance(stream, ImageStream):
                for i in range(min(len(stream), 2)):
                    stream.image(i)
        account_of(log)

    def _command(self, rng: random.Random) -> tuple[str, str, str]:
        words = [w.format(**{n: self.work / n for n in self.files}) for w in rng.choice(COMMANDS).split()]
        for _ in range(rng.choice([1, 1, 2])):
            at = rng.randrange(len(words))
            key, equals, _value = words[at].partition("=")
            odd = str(
                rng.choice([*ODD_VALUES, "[1,", "{a:", "${x}", "${oc.env:HOME}", "'", "choice(1,2)", "range(1,9)"])
            )
            words[at] = rng.choice(
                [f"{key}{equals}{odd}", f"{odd}={_value}", words[at][:-1], f"+{words[at]}", f"~{key}", odd]
            )
        words = [w.replace("\0", "?") for w in words]
        if words[0] == "synth" or "=" not in "".join(words):
            words = ["inspect", *words[1:]]
        return " ".join(words)[:300], *told(lambda: _command_line(words), "")


def told(call: Callable[[], None], root: str) -> tuple[str, str]:
    """What a call did: ``read``, ``refused``, or what it may not do."""
    try:
        call()
        return "read", ""
    except USER_ERRORS as error:
        message = str(error)
        one = "\n" not in message.strip() and (not root or root in message or message.startswith("log."))  # an option
        return ("refused" if one else "unclear"), message[:400]
    except Exception:  # what is counted
        return "traceback", re.sub(r"\s+", " ", traceback.format_exc())[-450:]


def _command_line(words: Sequence[str]) -> None:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = cli.main(words)
    said = err.getvalue().strip()
    if code == 2:
        if f"{DEBUG}=1" in said or "Traceback" in said or not said:
            raise RuntimeError(f"{words}: {said}")
        lines = [line for line in said.splitlines() if line.startswith("fusion-aug: ")]
        raise fa.ConfigError(lines[0] if len(lines) == 1 and len(said.splitlines()) == 1 else said)


def _reset_peak() -> int:
    """Peak of resident memory since the last call, bytes."""
    text = Path("/proc/self/status").read_text()
    Path("/proc/self/clear_refs").write_text("5")
    return int(re.search(r"VmHWM:\s+(\d+)", text)[1]) * 1024  # type: ignore[index]


def main() -> None:
    """Make logs, or answer."""
    folder = Path(sys.argv[1])
    if sys.argv[2] == "make":
        make(folder / "good", sys.argv[3])
        return
    cases = Cases(folder, int(sys.argv[2]), sys.argv[3])
    used = int(re.search(r"VmSize:\s+(\d+)", Path("/proc/self/status").read_text())[1]) * 1024  # type: ignore[index]
    resource.setrlimit(resource.RLIMIT_AS, (used + 2 * MEMORY, used + 2 * MEMORY))
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps("ready" if asked == "ready" else cases.case(asked)), file=answers, flush=True)


if __name__ == "__main__":
    main()
