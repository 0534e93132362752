"""Batches on the phone: a ticking loop that settles finished calls, then places the next ones.

Pull only: nothing calls the dialer back, so no lost message can stall a batch.
"""
