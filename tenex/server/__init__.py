"""How the HTTP and media processes are served: one ASGI app under uvicorn, with a drain before every end."""
