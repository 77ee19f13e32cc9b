"""Search: which pipeline a training gets best with. Each engine has a file of its own and registers itself."""

from fusion_aug.policy.search.density import Density
from fusion_aug.policy.search.engine import ENGINES, Engine
from fusion_aug.policy.search.grid import Grid
from fusion_aug.policy.search.narrowing import narrowed
from fusion_aug.policy.search.objective import Checkpoint
from fusion_aug.policy.search.optuna import Optuna
from fusion_aug.policy.search.pbt import Pbt
from fusion_aug.policy.search.random import Random
from fusion_aug.policy.search.reinforce import Reinforce
from fusion_aug.policy.search.result import SearchResult
from fusion_aug.policy.search.search import search_policy
from fusion_aug.policy.search.trials import Proposal, Trial

__all__ = [
    "ENGINES", "Checkpoint", "Density", "Engine", "Grid", "Optuna", "Pbt", "Proposal", "Random", "Reinforce",
    "SearchResult", "Trial", "narrowed", "search_policy",
]  # fmt: skip
