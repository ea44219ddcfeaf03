"""KITT: a personal assistant in Telegram that never makes you wait."""

__version__ = "0.1.0"
