"""Policies: how strongly to augment, which transforms, and what a search or an adversary makes of it."""

from fusion_aug.policy.adversary import Adversary, ZeroGradient
from fusion_aug.policy.by_difficulty import ByDifficulty
from fusion_aug.policy.hard_examples import HardExamples
from fusion_aug.policy.randaugment import RandAugment, TrivialAugment
from fusion_aug.policy.retrieval import retrieval_margins
from fusion_aug.policy.search import search_policy
from fusion_aug.policy.space import Dimension, Space
from fusion_aug.policy.worst_of import WorstOf

__all__ = [
    "Adversary",
    "ByDifficulty",
    "Dimension",
    "HardExamples",
    "RandAugment",
    "Space",
    "TrivialAugment",
    "WorstOf",
    "ZeroGradient",
    "retrieval_margins",
    "search_policy",
]
