"""Sweeps over builder arguments and recipe fields, trained with the regular trainer."""
