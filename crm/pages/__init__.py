"""The operators' pages of leads."""
