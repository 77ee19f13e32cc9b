"""What every transform does that takes parts of another sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from fusion_aug.core.mixing.donors import Donors, NoDonor, NoPlace, Wish
from fusion_aug.core.parameters import ParameterRows
from fusion_aug.core.registry import Context, find_transform
from fusion_aug.core.transform import Transform
from fusion_aug.errors import ConfigError
from fusion_aug.ops.random import digest
from fusion_aug.sample import Sample, merge
from fusion_aug.streams import Boxes3D, Stream, strings
from fusion_aug.streams.families import Mix

DONORS = "donors"  # name of the resource
NOTHING = {"donor", "donor_hash", "why"}  # what the record of a sample holds that stays as it is


@dataclass(frozen=True, kw_only=True)
class MixTransform(Transform, Mix, abstract=True):
    """Base of the mixes: a partner is drawn among the donors, and parts of it are taken into the sample.

    A subclass says whether a donor fits (``refusal``), draws what is taken (``plan``) and takes it (``mixed``). The
    record holds the donor's id and hash: a replay needs the donors, and stops where one has changed. The sample stays
    what it was in all else: id, reference frame, ego motion, and streams that the mix does not name.

    Attributes:
        same: of ``scene``, ``weather`` and ``time_of_day`` what a donor has to share, where both are known.
    """

    same: tuple[str, ...] = ()

    takes: ClassVar[tuple[type[Stream], ...]] = ()  # kinds of streams of which parts become the donor's
    leaves_out: ClassVar[tuple[type[Stream], ...]] = ()  # kinds that it would make untrue
    scopes: ClassVar[tuple[str, ...]] = ("sample",)
    inverse: ClassVar[str] = "lossy"
    loss_reason: ClassVar[str] = "given up to another sample"
    needs_naming: ClassVar[str] = "it needs donors, and stands before all other transforms"
    exemptions: ClassVar[dict[str, str]] = {
        "keeps_rows": "parts of another sample take the place of its own",
        "keeps_counts": "parts of another sample take the place of its own",
        "content_identity": "parts of another sample take the place of its own",
        "invertible": "what was given up is lost",
        "differentiable": "what is taken is chosen",
        "commutes": "it stands first, before anything is pending",
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        Wish(same=self.same)

    def effects(self) -> dict[str, str]:
        """Few formats hold a sample that is made of two."""
        return {"mix": type(self).__name__}

    # --- what a mix says ----------------------------------------------------------------------------------------------
    def wish(self) -> Wish:
        """Which donors are asked for."""
        return Wish(same=self.same)

    def refusal(self, sample: Sample, donor: Sample) -> str:
        """Why a donor does not fit, one figure that parts the two; "" of one that does."""
        return ""

    def plan(self, rng: np.random.Generator, sample: Sample, donor: Sample) -> dict[str, Any] | str:
        """What is taken of a donor: a JSON-able dictionary that ``mixed`` needs nothing beside.

        Instead of it the reason why nothing can be taken of this donor; then another one is drawn. Where none is left,
        a ``NoPlace`` leaves the sample as it is, with the reason in the record, and any other text is raised.
        """
        raise NotImplementedError

    def nothing(self) -> dict[str, Any]:
        """What ``mixed`` is given where nothing finds a place; where that is nothing the sample stays as it is."""
        return {}

    @classmethod
    def mixed(cls, sample: Sample, donor: Sample, params: Mapping[str, Any]) -> Sample:
        """The sample with what was planned.

        Args:
            sample: one sample. donor: another one. params: what ``plan`` gave.
        """
        raise NotImplementedError

    @classmethod
    def donors_places(cls, params: Mapping[str, Any], xyz: Tensor) -> Tensor | None:
        """Which places are the donor's, for boxes that ``invert`` gives back; None where places do not tell.

        Args:
            params: what ``plan`` gave. xyz: (n, 3) metres in the reference frame.

        Returns:
            (n,) bool.
        """
        return None

    # --- how it runs ----------------------------------------------------------------------------------------------
    def sample_params(self, rng: np.random.Generator, sample: Sample, context: Context) -> dict[str, Any]:
        """Draw the partner, then what is taken of it; where nothing finds a place, the record says ``why``.

        Raises:
            ConfigError: there are no donors, or something else was done to the sample before. DataError: none fits.
        """
        who = type(self).__name__
        refuse_changed(who, sample)
        donors = donors_of(context, who)
        seed = int(rng.integers(2**63))
        plans: dict[str, dict[str, Any]] = {}

        def refusal(donor: Sample) -> str:
            if why := self.refusal(sample, donor):
                return why
            # every donor has a random stream of its own, so that those before it leave its plan alone
            planned = self.plan(np.random.Generator(np.random.Philox(key=seed)), sample, donor)
            if isinstance(planned, str):
                return planned
            plans[donor.id] = planned
            return ""

        try:
            donor = donors.partner(sample, rng, self.wish(), refusal)
        except NoDonor as error:
            fits = next((i for i, why in error.reasons.items() if isinstance(why, NoPlace)), None)
            if fits is None:
                raise
            why = {"why": str(error.reasons[fits])}
            return {"donor": fits, "donor_hash": error.hashes[fits], **self.nothing(), **why}
        return {"donor": donor.sample.id, "donor_hash": donor.hash, **plans[donor.sample.id]}

    @classmethod
    def before(cls, sample: Sample, index: int, params: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """The id of the receiver, to which ``invert`` gives boxes back."""
        return {"sample": sample.metas[index].id}

    @classmethod
    def undo(cls, stream: Stream, params: Mapping[str, Any], before: Mapping[str, Any], name: str) -> Stream:
        """Boxes with a column ``sample``: the id of the sample in whose surroundings they stand.

        Both samples have them at the same place, so nothing moves. Other streams stay as they are.
        """
        if not isinstance(stream, Boxes3D) or "sample" in stream.values:
            return stream
        theirs = cls.donors_places(params, stream["pose"][:, :3, 3].to(torch.float64))
        if theirs is None:
            return stream
        ids = (params["donor"] if donors else before["sample"] for donors in theirs.tolist())
        return stream.with_values(sample=strings(ids))

    @classmethod
    def apply(cls, sample: Sample, parameters: ParameterRows, context: Context) -> Sample:
        """Mix every sample of a batch with its donor."""
        donors, parts = donors_of(context, cls.__name__), []
        for u in range(len(sample.metas)):
            params = parameters.of(u)
            if params.keys() == NOTHING:
                parts.append(sample.take([u]))
                continue
            donor = donors.recorded(params["donor"], params["donor_hash"], cls.__name__)
            parts.append(cls.mixed(sample.take([u]), donor, params))
        return parts[0] if len(parts) == 1 else merge(parts)


def donors_of(context: Context, who: str) -> Donors:
    """The donors that were passed: ``Donors``, or a log that they are made of.

    Raises:
        ConfigError: none were.
    """
    if DONORS not in context.resources:
        raise ConfigError(
            f"{who}: needs donors: resources={{'donors': fa.Donors(log)}} in Python, donors=self or donors=DIR in a run"
        )
    found = context.resources[DONORS]
    if not isinstance(found, Donors):
        raise ConfigError(f"{who}: resources['donors'] is a {type(found).__name__}; make it with fa.Donors(log)")
    return found


def refuse_changed(who: str, sample: Sample) -> None:
    """Raise where a transform that is no mix was applied before: donors are as they are in their logs.

    Raises:
        ConfigError: naming it.
    """
    for record in sample.history:
        cls = find_transform(record.name) if record.applied else None
        if cls is not None and not issubclass(cls, Mix):
            raise ConfigError(
                f"{who}: sample {sample.id!r} has been through {record.path} already, and donors are as they are in "
                f"their logs; mix first"
            )


def is_mixed(sample: Sample) -> bool:
    """Whether a sample has parts of another one."""
    kinds = (find_transform(r.name) for r in sample.history if r.applied)
    return any(kind is not None and issubclass(kind, Mix) for kind in kinds)


def check_single(who: str, sample: Sample) -> str:
    """Why a sample is no single keyframe, which mixes of sensors need: "" of one that is."""
    for name, stream in sample.of_type(Boxes3D).items():
        if len(stream) > 1:
            return f"{name!r} has {len(stream)} items: clips are not mixed, only keyframes"
    return ""


def new_instance(donor_id: str, instance: str) -> str:
    """The instance id that a box of a donor has in a mix: another one than any of the receiver's."""
    return digest("instance", donor_id, instance) if instance else ""
