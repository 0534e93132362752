"""The offline speech model: an imitation of the OpenAI Realtime API (GA) that is as strict as the original."""
