"""Post-training and the stages of the base: one trainer, any objective."""
