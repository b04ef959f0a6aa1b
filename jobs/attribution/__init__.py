"""The attribution job; its contract is in README.md."""
