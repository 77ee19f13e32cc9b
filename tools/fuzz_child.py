"""The process of ``fuzz.py`` that reads: it makes the logs, damages a file for each case, and tells what happened.

fuzz_child.py FOLDER make ONLY      makes the logs in FOLDER/good
fuzz_child.py FOLDER SEED ONLY      answers numbers of cases, and names of those by hand, one a line, in JSON
"""

from __future__ import annotations

import json
import os
import random
import re
import resource
import shutil
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
REPOSITORY = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests" / "support")]
from fuzz_by_hand import OPTION_FILES, by_hand, odd_files  # noqa: E402
from fuzz_commands import command_line, damaged_words, of_output  # noqa: E402
from fuzz_logs import FORMATS, INPUTS, OPTIONS, make  # noqa: E402
from fuzz_watch import MEMORY, NEVER, Watch  # noqa: E402
from mutations import damage  # noqa: E402

import fusion_aug as fa  # noqa: E402
from fusion_aug.errors import USER_ERRORS  # noqa: E402
from fusion_aug.logs.core.account import account_of  # noqa: E402
from fusion_aug.streams import ImageStream, Ragged  # noqa: E402

ROUND = 12  # of so many cases one is a command line with damaged words
OURS = ("manifest.jsonl", "run.json", "run.csv", ".work", "fusion_aug")  # files of ours in an output
SHARE_OF_OURS = 0.8
WEIGHTS = {"street_run": 1, "arm_run": 2, "run": 4, "half": 6, "nuscenes": 4}  # 8 of those that take a few ms
Answer = dict[str, Any]


class Cases:
    """Cases by number or name.

    Args:
        folder: with ``good``. seed: of all draws. only: base of all cases; "" for all.
    """

    def __init__(self, folder: Path, seed: int, only: str):
        self.seed, self.good, self.work, self.outside = seed, folder / "good", folder / "work", folder / "outside"
        shutil.rmtree(self.work, ignore_errors=True)
        shutil.copytree(self.good, self.work)
        names = sorted(p.name for p in self.work.iterdir() if only in ("", p.name))
        self.files = {n: sorted(p for p in (self.work / n).rglob("*") if p.is_file()) for n in names}
        self.bases = [n for n in names for _ in range(WEIGHTS.get(n, 8))]
        self.watch = Watch(folder, self.work)

    def case(self, number: int | str) -> Answer:
        """Do one case."""
        rng = random.Random(f"{self.seed}/{number}")
        self.watch.begin()
        if isinstance(number, str):
            what, kind, said = self._by_hand(number)
        elif number % ROUND == 0 and len(self.files) > 1:
            words = damaged_words(rng, {n: self.work / n for n in self.files})
            what, (kind, said) = " ".join(words)[:300], told(lambda: command_line(words), "")
            if any(name in word for name in NEVER for word in words):  # then it is the user who names the file
                self.watch.forget_links()
            self._restore("half")
        else:
            what, kind, said = self._file(rng)
        kind, said = self.watch.found() or (kind, said)
        self.watch.clean()
        return {"kind": kind, "what": what, "said": said}

    def _file(self, rng: random.Random) -> tuple[str, str, str]:
        base = rng.choice(self.bases)
        path = self._drawn_file(base, rng)
        done = damage(path, rng, self.outside)
        what = f"{base}: {path.relative_to(self.work)}: {done}"
        if base in INPUTS:
            words = of_output(base, self.work / base, self.good, rng)
            what = f"{what}: {words[0]}"
            kind, said = told(lambda: command_line(words), os.sep)
        else:
            kind, said = told(lambda: read(base, self.work / base), str(self.work))
        if done == "link outside" and path.suffix in OPTION_FILES:
            self.watch.forget_links()
        self._restore(base, None if base in INPUTS else path)
        return what, kind, said

    def _drawn_file(self, base: str, rng: random.Random) -> Path:
        files = self.files[base]
        own = [p for p in files if base in INPUTS and p.relative_to(self.work / base).parts[0] in OURS]
        if own and rng.random() < SHARE_OF_OURS:
            return rng.choice(own)
        path = rng.choice(files)
        if path.suffix in (".png", ".jpg") and rng.random() < 0.7:  # there are many of them
            path = rng.choice(files)
        return path

    def _by_hand(self, name: str) -> tuple[str, str, str]:
        hand, root = (by_hand() | odd_files())[name], self.work / "hand"
        shutil.copytree(self.good / hand.base, root)
        hand.make(root, self.outside)
        if hand.words:
            words = [w.format(out=root) for w in hand.words]
            kind, said = told(lambda: command_line(words), os.sep)  # it may be the input that a file names
        else:
            kind, said = told(lambda: read(hand.base, root), str(root))
        if hand.may_follow:
            self.watch.forget_links()
        shutil.rmtree(root)
        if kind == "read" and not hand.may_be_read:
            kind, said = "not refused", ""
        return name, kind, said

    def _restore(self, base: str, path: Path | None = None) -> None:
        """Put the good file back; without one, all of a base."""
        path = path or self.work / base
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        source = self.good / path.relative_to(self.work)
        if source.is_dir():
            shutil.copytree(source, path)
        elif source.is_file():
            shutil.copy2(source, path)


def read(base: str, root: Path) -> None:
    """Read all of the first sample of a log."""
    options = {k: v.format(root=root) for k, v in OPTIONS.get(base, {}).items()}
    log = fa.open_log(FORMATS.get(base, base), root, **options)
    sample = log[0]
    for stream in sample.streams.values():
        if isinstance(stream, Ragged):
            stream.realized().loaded()
        elif isinstance(stream, ImageStream):
            for i in range(min(len(stream), 2)):
                stream.image(i)
    account_of(log)


def told(call: Callable[[], None], root: str) -> tuple[str, str]:
    """What a call did: ``read``, ``refused``, or what it may not do.

    Args:
        call: reads something. root: of what it reads, which a refusal names; "" where it need not.
    """
    try:
        call()
        return "read", ""
    except USER_ERRORS as error:
        message = str(error).removeprefix("fusion-aug: ")
        one = "\n" not in message.strip() and (not root or root in message or message.startswith("log."))  # an option
        return ("refused" if one else "unclear"), message[:400]
    except Exception:  # what is counted
        return "traceback", re.sub(r"\s+", " ", traceback.format_exc())[-450:]


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
