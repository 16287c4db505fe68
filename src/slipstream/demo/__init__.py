"""The tour that `slipstream demo` gives: a project on real data, from training to a served model."""
