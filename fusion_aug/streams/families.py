"""Families of transforms: what a stream class names in ``invariant_to``, and what handlers are registered for."""


class Family:
    """Base of the families. ``strict`` families stop at a stream that has neither a rule nor an exemption."""

    strict = False
    leaves: tuple[type, ...] = ()  # kinds of streams that it has nothing to do with, though their bases have a rule


class Scene(Family):
    """Motions of the whole scene: rotation, translation, scale, mirror."""

    strict = True


class ImagePlane(Family):
    """Maps of the pixels of a camera: resize, crop, flip, perspective."""

    strict = True


class Mount(Family):
    """Where a sensor is mounted, in truth or only in what is told of it."""

    strict = True


class Kinematic(Family):
    """What is told or true of a robot's own geometry."""


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
    """What touch sensors see: their lights, their gel, and where they are touched."""


class Fault(Family):
    """What breaks: sensors that saturate, jump, or fall silent."""


class Mix(Family):
    """Transforms that bring in parts of another sample."""
