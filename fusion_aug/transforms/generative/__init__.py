"""Data that networks of the user's own, or laws of physics, make of data."""

from fusion_aug.transforms.generative.diffuse import Diffuse
from fusion_aug.transforms.generative.match_colour import MatchColour
from fusion_aug.transforms.generative.stylize import Stylize

__all__ = ["Diffuse", "MatchColour", "Stylize"]
