"""Judge a model on photos that were edited the way people edit them, beside the hashes in use today."""
