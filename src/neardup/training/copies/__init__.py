"""Training to tell copies: photos without labels."""
