"""The offline speech model: an imitation of the OpenAI Realtime API (GA), as strict as the original."""
