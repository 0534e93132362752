"""What operators' monitoring reads of us, in Prometheus' text format (docs/monitoring.md).

Two kinds of figures, told apart by address: what one process counts of itself, and what is so of the whole
installation and is read from its rows.
"""
