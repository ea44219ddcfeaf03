"""Benches: every figure of the README by a command, as JSON, beside a control of the same run."""
