"""The browser page: play, hear, shape and see the instrument. Starlette and uvicorn serve it."""
