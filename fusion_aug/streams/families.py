"""Families of transforms: what a stream class names in ``invariant_to``, and what handlers are registered for."""


class Family:
    """Base of the families. ``strict`` families stop at a stream that has neither a rule nor an exemption."""

    strict = False
    ignores: tuple[type, ...] = ()  # kinds of streams that it has nothing to do with, though their bases have a rule


class Scene(Family):
    """Motions of the whole scene: rotation, translation, scale, mirror."""

    strict = True


class ImagePlane(Family):
    """Maps of the pixels of a camera: resize, crop, flip, perspective."""

    strict = True


class Mount(Family):
    """Mountings of sensors, the true ones or only the reported ones."""

    strict = True


class Kinematic(Family):
    """A robot's own geometry, reported or true."""


class Weather(Family):
    """Everything the air and the light do."""

    strict = True


class Temporal(Family):
    """Maps of time."""

    strict = True


class Photometric(Family):
    """Brightness, colour and noise of pictures."""


class PointOp(Family):
    """Selection and noise of points."""


class Touch(Family):
    """Tactile sensors: their lights, their gel, and where they are touched."""


class Fault(Family):
    """Faults of sensors: they saturate, jump, or drop items."""


class Mix(Family):
    """Transforms that bring in parts of another sample."""
