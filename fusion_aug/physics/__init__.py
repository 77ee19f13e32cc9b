"""The air, light, depth and materials: equations and small tables."""
