"""Reading of saved models and of published weights."""
