"""Encoders trained on one's own photos.

recipe ─▶ Objective (copies) ─ stretch ─▶ Batches ─ stream ─▶ trainer ─▶ checkpoint, log, weights
"""
