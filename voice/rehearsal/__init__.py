"""Calls without a phone line or a model: an offline carrier and an offline Realtime server on real sockets.

The rehearsal is the outside world. It knows nothing of the product's rows and shares no code with it but the
wire formats; the application cannot tell it from the real services except by address.
"""
