"""Remote functions for the stategate gateway."""
