"""The machinery of transforms: ranges, keyed randomness, registry, parameters, engine, containers, replay, inversion."""
