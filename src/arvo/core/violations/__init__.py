"""Violations: broken promises as values, with the issues behind them."""
