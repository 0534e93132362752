"""`make demo`: a whole system of its own, five calls placed through it, and what came out of them.

Everything here is on the outside: it starts processes, speaks HTTP to them, and looks.
"""
