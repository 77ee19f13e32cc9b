"""The promises that every transform makes unless it waives one with a reason (docs/promises.md is made from this)."""

PROMISES = {
    "keeps_rows": "points, boxes and items keep their number and order",
    "keeps_counts": "every box holds the points it held before",
    "content_identity": "what stood at a projected 3-D point stands there afterwards",
    "invertible": "the inverse from the history gives the stream back exactly",
    "differentiable": "geometry has a gradient in the parameters",
    "commutes": "fused and one-by-one application agree",
}

# what transforms that only change readings waive
SIGNAL: dict[str, str] = {
    "invertible": "noise is not undone by looking at it",
    "differentiable": "it has no geometric parameter",
}
