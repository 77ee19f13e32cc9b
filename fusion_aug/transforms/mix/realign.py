"""What is out of line in a sample, from its history; and the sample as it is without that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from calib.replacing import replace_unchecked
from calib.se3 import rotation_angle
from fusion_aug.core.engine import replay
from fusion_aug.core.registry import Context, transform_class
from fusion_aug.errors import DataError
from fusion_aug.names import full_name
from fusion_aug.ops.modes import standard_modes
from fusion_aug.sample import Sample
from fusion_aug.sample.history import History, Record
from fusion_aug.streams import Text
from fusion_aug.streams.text import mirror_text
from fusion_aug.transforms.mix.mismatch import Mismatch, turn_of, with_clock_errors, with_sentence
from fusion_aug.transforms.mix.mismatch_poses import moving_frames, pose_error, with_true_poses
from fusion_aug.transforms.mix.mismatch_scene import MismatchScene
from fusion_aug.transforms.mix.mismatch_words import word_at
from fusion_aug.transforms.temporal.clocks import LABELS

WRONG = 1e-9  # radians by which a reported turn may differ from the recorded one


@dataclass(frozen=True)
class Misalignment:
    """One thing that is out of line in a sample.

    Attributes:
        kind: time, extrinsics, scene or word.
        sensor: which, by its name now; of a word the stream of sentences.
        seconds: by how much its reported capture times are later than the true ones (time).
        degrees, axis: by what its reported mounting is turned, about a unit vector of its own frame as it was when that
            was drawn (extrinsics).
        donor: id of the sample that it shows (scene).
        was, now: the word that was right, and the one that is there (word).
    """

    kind: str
    sensor: str
    seconds: float = 0.0
    degrees: float = 0.0
    axis: tuple[float, ...] = (0.0, 0.0, 0.0)
    donor: str = ""
    was: str = ""
    now: str = ""


def misalignments(history: History) -> list[Misalignment]:
    """What the mismatches of a history put out of line: kind and amount of each.

    Args:
        history: of a sample, ``sample.history``, or ``sample.metas[u].history`` of a batch.
    """
    out = []
    for i, record in enumerate(history):
        if not _is_mismatch(record):
            continue
        params = record.params[""]
        told: dict[str, Any] = {n: params[n] for n in ("seconds", "degrees", "donor", "was", "now") if n in params}
        if "axis" in params:
            told["axis"] = tuple(params["axis"])
        out.append(Misalignment(params["kind"], name_after(params["sensor"], history[i + 1 :]), **told))
    return out


def name_after(name: str, history: Sequence[Record]) -> str:
    """What a sensor is called after records, where mirrors swap names."""
    for record in history:
        swapped: Mapping[str, str] = record.before.get("names", {}) if record.applied else {}
        name = next((new for new, old in swapped.items() if old == name), name)
    return name


def _is_mismatch(record: Record) -> bool:
    return record.applied and record.name in (full_name(Mismatch), full_name(MismatchScene))


@standard_modes()
def realign(sample: Sample, *, original: Sample | None = None, resources: Mapping[str, Any] | None = None) -> Sample:
    """The sample as it would be without its mismatches, to the last bit; what else was done to it stays.

    Without ``original`` clocks, reported mountings and words are put back in the sample itself.

    Args:
        sample: one sample that ``Mismatch`` or ``MismatchScene`` was applied to.
        original: the sample as its log gives it, to which the rest of the history is applied again. Needed where a
            sensor shows another sample, whose own data the sample does not hold.
        resources: of the other transforms of the history, as of ``replay``; with ``original`` only.

    Raises:
        DataError: what is out of line was changed again since, or is another sample's data and ``original`` was not
            given; or ``original`` is another sample.
    """
    meta = sample.meta
    wrong = [r for r in meta.history if _is_mismatch(r)]
    rest = tuple(r for r in meta.history if not _is_mismatch(r))
    if original is not None:
        if original.id != meta.id:
            raise DataError(f"realign: original is {original.id!r}, and the sample is {meta.id!r}")
        return replay(original, rest, resources=resources)
    for record in wrong:
        transform_class(record)  # whether it means what it meant
    out, frames = sample, dict[str, None]()
    for found in reversed(_with_records(meta.history)):
        label, params = found
        if label.kind == "scene":
            raise DataError(
                f"realign: {label.sensor!r} shows sample {label.donor!r}; give the sample as its log has it: "
                f"original=log[i]"
            )
        if label.kind == "time":
            out = _on_time(out, label)
            frames |= dict.fromkeys(moving_frames(meta.true_rig))
        elif label.kind == "extrinsics":
            frame = meta.rig.sensors[label.sensor].frame
            _check_turn(sample, label, frame, params)
            frames[frame] = None
        else:
            out = _right_word(out, label, params)
    rig = with_true_poses(meta.rig, meta.true_rig, frames) if frames else out.rig
    return out.with_meta(0, rig=rig, history=rest)


def _with_records(history: History) -> list[tuple[Misalignment, Mapping[str, Any]]]:
    params = [r.params[""] for r in history if _is_mismatch(r)]
    return list(zip(misalignments(history), params, strict=True))


def _on_time(sample: Sample, label: Misalignment) -> Sample:
    """The sample with the clock of a sensor right."""
    shift = round(label.seconds * 1e9)
    mine = {n: s for n, s in sample.streams.items() if s.instance(n) == label.sensor and not isinstance(s, LABELS)}
    for name, stream in mine.items():
        off = stream.capture_times - stream.true_capture_times
        if not bool((off == shift).all()):
            raise DataError(
                f"realign: the clock of {name!r} is not {label.seconds} s fast, since its times were changed after "
                f"Mismatch; give the sample as its log has it: original=log[i]"
            )
    out = with_clock_errors(sample, [label.sensor], [-label.seconds], Context({}))
    right = {n: replace_unchecked(out[n], clock_offset=None) for n in mine}
    return sample.with_streams({**out.streams, **right})


def _check_turn(sample: Sample, label: Misalignment, frame: str, params: Mapping[str, Any]) -> None:
    """Raise where the reported mounting of a sensor is wrong by something else than was drawn."""
    time = sample.ref.time
    error = pose_error(sample.rig, sample.true_rig, frame, time)
    drawn = turn_of(params)
    turned = float(rotation_angle(error[:3, :3]) - rotation_angle(drawn[:3, :3]))
    if abs(turned) > WRONG or float(error[:3, 3].norm()) > 1e-9:
        raise DataError(
            f"realign: the mounting of {label.sensor!r} is not wrong by {label.degrees} degrees alone, since it was "
            f"changed after Mismatch; give the sample as its log has it: original=log[i]"
        )


def _right_word(sample: Sample, label: Misalignment, params: Mapping[str, Any]) -> Sample:
    """The sample with a word put back; where the scene was mirrored since, its mirror."""
    stream, number, place = sample[label.sensor], int(params["item"]), int(params["place"])
    at = (stream.item_numbers == number).nonzero()[:, 0].tolist()
    if isinstance(stream, Text) and at:
        there = word_at(str(stream["text"][at[0]]), place)
        for turned in (str, lambda w: mirror_text(w, stream.language)):
            if there == turned(label.now):
                text = with_sentence(sample, 0, label.sensor, number, place, turned(label.was))
                return sample.with_streams({**sample.streams, label.sensor: text})
    raise DataError(
        f"realign: the word {label.now!r} of {label.sensor!r} is not there any more; give the sample as its log has "
        f"it: original=log[i]"
    )
