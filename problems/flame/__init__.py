"""Laminar flames: a freely propagating one with one-step chemistry."""
