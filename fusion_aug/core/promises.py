"""The promises that every transform makes unless it is exempt, with a reason (docs/promises.md is made from this)."""

PROMISES = {
    "keeps_rows": "points, boxes and items keep their number and order",
    "keeps_counts": "every box holds the points it held before",
    "content_identity": "what is seen at a projected 3-D point is seen at its new pixel afterwards",
    "invertible": "the inverse from the history gives the stream back exactly",
    "differentiable": "geometry has a gradient in the parameters",
    "commutes": "fused and one-by-one application agree",
}

# exemptions of transforms that only change readings
SIGNAL_EXEMPTIONS: dict[str, str] = {
    "invertible": "noise cannot be separated from the signal afterwards",
    "differentiable": "it has no geometric parameter",
}
