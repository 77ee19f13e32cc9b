"""Pictures and recordings of samples before and after."""
