"""One file for each engine that models can be deployed to."""
