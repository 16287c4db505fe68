"""Whether the process of a run lives, how it ended if not, and what of it is still to be delivered."""
