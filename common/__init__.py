"""What more than one hall needs: checks, patches, files, threads. No torch, and no numba but in
jack/, whose callbacks are compiled."""
