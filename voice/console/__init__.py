"""The operators' pages of calls, batches, agents and figures: doors in HTML, as voice.api is one in JSON."""
