"""The harness of the black-box suite: real servers, typed clients, real peers.

The suite knows only the protocol (design §6 and the two public APIs it names). Nothing here
reads the server's data folder or links its code. Start reading at `server.py` (a server process),
then `nexus_api.py`, `gateway.py` and `matrix_api.py` (what speaks to it), and `scene.py` (ready
made starting points for tests).
"""
