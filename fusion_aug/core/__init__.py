"""The machinery of transforms: ranges, randomness, registry, parameters, engine, containers, replay, inversion."""
