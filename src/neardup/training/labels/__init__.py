"""Training on labels: pictures of one class together."""
