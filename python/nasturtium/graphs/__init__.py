"""Batches of labeled graphs of up to 4,096 vertices: what they are, how far apart, and moves."""

from nasturtium.graphs.batch import MAX_VERTICES, GraphBatch
from nasturtium.graphs.canonical import (
    automorphism_counts,
    canonical_forms,
    canonical_keys,
    canonical_orders,
    prune,
    reorder,
)
from nasturtium.graphs.dags import DagClasses, DagFamily
from nasturtium.graphs.distance import EditCosts, edit_bounds, edit_distances
from nasturtium.graphs.hierarchy import LIU_2018, Hierarchy
from nasturtium.graphs.moves import (
    NASBOT,
    NASBOT_STEPS,
    NASBOT_UNITS,
    REAL_2017,
    UNIT_VERBS,
    VERBS,
    Limits,
    Units,
    mutate,
    with_units,
)
from nasturtium.graphs.wiring import barabasi_albert, erdos_renyi, watts_strogatz

__all__ = [
    "LIU_2018",
    "MAX_VERTICES",
    "NASBOT",
    "NASBOT_STEPS",
    "NASBOT_UNITS",
    "REAL_2017",
    "UNIT_VERBS",
    "VERBS",
    "DagClasses",
    "DagFamily",
    "EditCosts",
    "GraphBatch",
    "Hierarchy",
    "Limits",
    "Units",
    "automorphism_counts",
    "barabasi_albert",
    "canonical_forms",
    "canonical_keys",
    "canonical_orders",
    "edit_bounds",
    "edit_distances",
    "erdos_renyi",
    "mutate",
    "prune",
    "reorder",
    "watts_strogatz",
    "with_units",
]
