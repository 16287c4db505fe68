"""Log trainings of other libraries by themselves (docs/decisions/0015-autologging.md)."""
