"""Pictures that a network makes of pictures: behind a gate, and with the other sensors in the fog that it makes."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from fusion_aug.core.parameters import ParameterRows
from fusion_aug.core.registry import Context
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.ops.color import levels_of
from fusion_aug.ops.random import digest
from fusion_aug.physics.koschmieder import LEAST_SHARE, fog_between
from fusion_aug.sample import Sample
from fusion_aug.sample.some_of_batch import put_back, some_of
from fusion_aug.streams import Camera
from fusion_aug.transforms.camera.photometric import PhotometricTransform, PictureContext
from fusion_aug.transforms.distances import SeesDistances
from fusion_aug.transforms.generative.gate import PASSED, Gate
from fusion_aug.transforms.generative.shown_objects import boxes_in, chosen_pictures, distances
from fusion_aug.transforms.weather import Fog

Array = np.ndarray

FOG = "weather:fog"  # the one air that is told from pictures
MOST_REDRAWS = 20
FEWEST = 200  # pixels that a fit of fog looks at, about that many along the longer side of a picture
MOST_KEPT = 2**27  # bytes of pictures that were made last; gate, fog and the pictures themselves ask for the same

_MADE: OrderedDict[str, Array] = OrderedDict()


@dataclass(frozen=True, kw_only=True)
class MadePictures(PhotometricTransform, SeesDistances, abstract=True):
    """Base of transforms whose pictures come from a network of the user's own.

    Attributes:
        lidar: None, or ``weather:fog``: the fog between picture and product is fitted (Koschmieder), and all other
            sensors are in it. A product that is no fog is refused.
        gate: file of ``Gate.save``. Where a picture of a sample does not pass, all pictures of the sample stay as they
            were; figures and verdicts are in the record, so that a replay asks no gate.
        style: name of the style in the gate. A gate that was not calibrated for it lets nothing pass.
        redraws: how often is drawn anew where the gate refuses.
    """

    scope: str = "scene"
    lidar: str | None = None
    gate: Gate | None = None
    style: str = "default"
    redraws: int = 0

    exemptions: ClassVar[dict[str, str]] = PhotometricTransform.exemptions | {
        "content_identity": "what a network makes is not ours",
    }
    needs_naming: ClassVar[str] = "it needs a network of the user's own"

    def __post_init__(self) -> None:
        super().__post_init__()
        who = type(self).__name__
        if self.lidar not in (None, FOG):
            raise ConfigError(f"{who}.lidar: expected null or {FOG}, got {self.lidar!r}")
        if (self.lidar or self.gate) and self.scope not in ("scene", "sample"):
            raise ConfigError(
                f"{who}.scope: {self.scope} gives every picture a look of its own, but lidar and gate look at all "
                f"pictures of a sample; use scene or sample"
            )
        if type(self.redraws) is not int or not 0 <= self.redraws <= MOST_REDRAWS:
            raise ConfigError(f"{who}.redraws: expected a whole number from 0 to {MOST_REDRAWS}, got {self.redraws!r}")

    # --- what a subclass says -----------------------------------------------------------------------------------------
    def drawn(self, rng: np.random.Generator, sample: Sample, context: Context) -> dict[str, Any]:
        """The numbers of one draw. By default all fields, as transforms draw them."""
        out = super().sample_params(rng, sample, context)
        for name in ("gate", "style", "redraws", "lidar"):
            del out[name]
        return out

    @classmethod
    def made(cls, sample: Sample, name: str, item: int, levels: Array, params: Mapping[str, Any]) -> Array:
        """What the network makes of a picture; pure.

        Args:
            sample: or batch. name: camera stream. item: which of its pictures. levels: of it, (H, W, 3) uint8, or
                float32 from 0 to 1. params: drawn.

        Returns:
            (H, W, 3) float32 from 0 to 1.
        """
        raise NotImplementedError

    # --- the two phases -----------------------------------------------------------------------------------------------
    def sample_params(self, rng: np.random.Generator, sample: Sample, context: Context) -> dict[str, Any]:
        """The first draw that the gate lets pass, else the last with ``kept``: the source stays; and the fog."""
        out = self.drawn(rng, sample, context)
        if self.gate is not None:
            out = self._judged(rng, sample, context, out, self.gate)
        out["fog"] = self._fog(rng, sample, context, out) if self.lidar and not out.get("kept") else None
        return out

    def _judged(
        self, rng: np.random.Generator, sample: Sample, context: Context, out: dict[str, Any], gate: Gate
    ) -> dict[str, Any]:
        for redraw in range(self.redraws + 1):
            out = out if redraw == 0 else self.drawn(rng, sample, context)
            said = {}
            for name, item in chosen_pictures(sample, self.cameras):
                before = levels_of(sample[name].image(item)).numpy()  # type: ignore[attr-defined]
                after = np.rint(self.made(sample, name, item, before, out) * 255).astype(np.uint8)
                one = gate.judged(before, after, boxes_in(sample, name, item), self.style)
                said[f"{name}[{item}]"] = {"verdict": one.word, "beyond": list(one.beyond), "figures": one.figures}
            passed = all(one["verdict"] == PASSED for one in said.values())
            out = {**out, "judged": said, "redraws": redraw, "kept": not passed}
            if passed:
                break
        return out

    def _fog(
        self, rng: np.random.Generator, sample: Sample, context: Context, params: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Parameters of the fog that pictures and products show, and how well it explains them.

        Raises:
            DataError: it explains too little, or nothing tells distances.
        """
        who, seen = f"{type(self).__name__}.lidar", []
        for name, item in chosen_pictures(sample, self.cameras):
            levels = levels_of(sample[name].image(item)).numpy()  # type: ignore[attr-defined]
            three = (
                levels / 255.0,
                self.made(sample, name, item, levels, params),
                distances(sample, name, item, params, who),
            )
            step = max(1, max(levels.shape[:2]) // FEWEST)
            seen.append([x[::step, ::step].reshape(-1, *x.shape[2:]) for x in three])
        if not seen:
            raise DataError(f"{who}: sample {sample.metas[0].id!r} has no picture to tell the fog from")
        fit = fog_between(*(np.concatenate(x) for x in zip(*seen, strict=True)))
        if fit.explained < LEAST_SHARE:
            raise DataError(
                f"{who}: sample {sample.metas[0].id!r}: fog explains {fit.explained:.2f} of what the network changes "
                f"with distance (R^2; {LEAST_SHARE} is asked), so no other sensor can follow it; leave out lidar"
            )
        fog = Fog(mor=round(float(np.clip(fit.mor, *Fog.limits["mor"])), 2), overcast=0.0)
        drawn = fog.sample_params(rng, sample, context)
        noise = digest("fog of pictures", int(rng.integers(2**62)))
        return {"explained": round(fit.explained, 4), "params": {**drawn, "noise": noise}}

    @classmethod
    def apply(cls, sample: Sample, parameters: ParameterRows, context: Context) -> Sample:
        """The pictures, and all else in the fog that they show."""
        out = cls.visit(sample, parameters, context)
        fogs = [{k: p["fog"]["params"] for k, p in rows.items() if p.get("fog")} for rows in parameters.per_sample]
        foggy = [i for i, rows in enumerate(fogs) if rows]
        if not foggy:
            return out
        part = some_of(sample, foggy)
        hazy = Fog.apply(part, ParameterRows([fogs[i] for i in foggy]), context)
        hazy = put_back(sample, foggy, part, hazy) if len(foggy) < len(fogs) else hazy
        shown = {n: s for n, s in out.streams.items() if isinstance(s, Camera)}
        return hazy.with_streams({n: shown.get(n, s) for n, s in hazy.streams.items()})

    @classmethod
    def change(cls, picture: Tensor, params: Mapping[str, Any], context: PictureContext) -> Tensor:
        """What the network makes of the picture, or the picture where the gate kept it.

        Raises:
            DataError: the network is not known here, was changed, or gives no picture of the same size.
        """
        if params.get("kept"):
            return picture
        mine = np.ascontiguousarray(picture.detach().cpu().numpy())
        made = cls.made(context.call.sample, context.call.name, context.item, mine, params)
        made = np.rint(made * 255).astype(np.uint8) if picture.dtype == torch.uint8 else made.copy()
        return torch.from_numpy(made).to(picture.device)


def remembered(arrays: Sequence[Array | None], said: Any, work: Callable[[], Array]) -> Array:
    """What ``work`` gives, worked out once for the same arrays and words; only what was made last is kept.

    Args:
        arrays: all that it depends on, and ``said``, what else, JSON-able. work: gives a picture.
    """
    key = hashlib.blake2b(json.dumps(said, sort_keys=True).encode(), digest_size=16)
    for array in arrays:
        key.update(b"none" if array is None else repr((array.shape, str(array.dtype))).encode())
        key.update(b"" if array is None else np.ascontiguousarray(array).data)
    known = key.hexdigest()
    if known not in _MADE:
        _MADE[known] = work()
        while len(_MADE) > 1 and sum(made.nbytes for made in _MADE.values()) > MOST_KEPT:
            _MADE.popitem(last=False)
    _MADE.move_to_end(known)
    return _MADE[known]
