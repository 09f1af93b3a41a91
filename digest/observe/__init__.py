"""Observe: what is told besides the terminal: the log, figures for Prometheus, spans for OpenTelemetry.

All are listeners of what the steps of the line tell already, or readers of what is stored; none of them stops anything.
"""
